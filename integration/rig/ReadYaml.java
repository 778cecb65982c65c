// ReadYaml.java: what SnakeYAML, the reader that Cassandra uses, reads in files; to be compared with what ringhaul reads.
import java.io.FileInputStream;
import java.io.InputStream;
import java.util.Map;
import java.util.TreeMap;
import org.yaml.snakeyaml.Yaml;

public class ReadYaml {
    public static void main(String[] paths) throws Exception {
        for (String path : paths) {
            try (InputStream in = new FileInputStream(path)) {
                Map<String, Object> settings = new Yaml().load(in);
                // One line a key: values of several lines are told apart by their escapes.
                for (Map.Entry<String, Object> entry : new TreeMap<>(settings).entrySet()) {
                    String value = String.valueOf(entry.getValue()).replace("\\", "\\\\").replace("\n", "\\n");
                    System.out.println(path + "\t" + entry.getKey() + "\t" + value);
                }
            }
        }
    }
}

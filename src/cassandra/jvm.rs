//! The running Cassandra as its process shows it: arguments, jars, age.

/// Ticks a second in /proc/PID/stat: `USER_HZ`, 100 on every architecture that Cassandra's
/// packages are built for.
const TICKS_A_SECOND: u64 = 100;

/// What a node's process list says of its Cassandra.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Process {
    /// Process id.
    pub pid: u32,
    /// Seconds since it was started, when /proc tells.
    pub age: Option<u64>,
    /// The version in the name of its jar.
    pub version: Option<String>,
    /// The JMX port in its arguments.
    pub jmx_port: Option<u16>,
    /// `cassandra.settings.incremental_backups`, when the process takes such settings: it wins
    /// over cassandra.yaml (5.0).
    pub override_of_yaml: Option<String>,
}

/// Collects what the survey prints of the process.
#[derive(Debug, Default)]
pub struct Reader {
    process: Process,
    stat: Option<String>,
    uptime: Option<String>,
    versions: Vec<String>,
    setting: Option<String>,
    settings_allowed: bool,
}

impl Reader {
    /// Takes one segment of the survey; whether it was one of the process.
    pub fn take(&mut self, word: &str, value: &str) -> bool {
        match word {
            "pid" => self.process.pid = value.parse().unwrap_or_default(),
            "stat" => self.stat = Some(value.to_owned()),
            "uptime" => self.uptime = Some(value.to_owned()),
            "jar" if self.versions.len() < 16 => self.versions.extend(version_of_jar(value)),
            "jar" => {}
            "arg" => self.argument(value),
            _ => return false,
        }
        true
    }

    fn argument(&mut self, argument: &str) {
        let Some((name, value)) = argument.split_once('=') else {
            return;
        };
        match name {
            "-Dcassandra.settings.incremental_backups" => self.setting = Some(value.to_owned()),
            "-Dcassandra.config.allow_system_properties" => {
                self.settings_allowed = value.eq_ignore_ascii_case("true");
            }
            _ if name.contains("jmx") && name.ends_with("port") => {
                self.process.jmx_port = value.parse().ok();
            }
            _ => {}
        }
    }

    /// Returns the process, if one was found.
    pub fn finish(mut self) -> Option<Process> {
        if self.process.pid == 0 {
            return None;
        }
        self.process.age = age(self.stat.as_deref(), self.uptime.as_deref());
        self.versions.dedup();
        // Two jars of different versions on one class path prove neither.
        self.process.version = match self.versions.as_slice() {
            [version] => Some(version.clone()),
            _ => None,
        };
        self.process.override_of_yaml = self.setting.filter(|_| self.settings_allowed);
        Some(self.process)
    }
}

fn version_of_jar(path: &str) -> Option<String> {
    let name = path.rsplit('/').next()?.strip_suffix(".jar")?;
    let version =
        name.strip_prefix("apache-cassandra-").or_else(|| name.strip_prefix("cassandra-all-"))?;
    super::nodetool::version::is_version(version).then(|| version.to_owned())
}

/// Field 22 of stat is the start in ticks since boot; the first of uptime is now, in seconds.
fn age(stat: Option<&str>, uptime: Option<&str>) -> Option<u64> {
    // The command name in field 2 may hold spaces and brackets.
    let (_, fields) = stat?.rsplit_once(')')?;
    let start: u64 = fields.split_whitespace().nth(19)?.parse().ok()?;
    let now: u64 = uptime?.split('.').next()?.parse().ok()?;
    Some(now.saturating_sub(start / TICKS_A_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_from_its_segments() {
        let mut reader = Reader::default();
        for (word, value) in [
            ("pid", "42"),
            ("stat", "42 (ja va) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 500000 20"),
            ("uptime", "6000.12 1.0"),
            ("jar", "/usr/share/cassandra/apache-cassandra-4.1.9.jar"),
            ("arg", "-Dcassandra.jmx.local.port=7299"),
            ("arg", "-Dcassandra.storagedir=/var/lib/cassandra"),
            ("arg", "-Dcassandra.settings.incremental_backups=true"),
        ] {
            assert!(reader.take(word, value));
        }
        let process = reader.finish().unwrap();
        assert_eq!((process.pid, process.age, process.jmx_port), (42, Some(1000), Some(7299)));
        assert_eq!(process.version.as_deref(), Some("4.1.9"));
        assert_eq!(process.override_of_yaml, None, "not allowed, so Cassandra does not look");
    }

    #[test]
    fn jars_of_two_versions_prove_none() {
        let mut reader = Reader::default();
        reader.take("pid", "1");
        reader.take("jar", "/a/apache-cassandra-4.1.9.jar");
        reader.take("jar", "/a/apache-cassandra-4.1.8.jar");
        assert_eq!(reader.finish().unwrap().version, None);
        assert_eq!(version_of_jar("/a/apache-cassandra-thrift.jar"), None);
    }
}

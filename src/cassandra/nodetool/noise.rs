//! Lines that stand on nodetool's standard output and are not its answer.

/// Whether `line` is known noise: what the JVM and logback print when they start.
///
/// Seen: logback's status lines (`12:01:02,345 |-INFO in …`) when the user may not write a log
/// file, HotSpot's warnings (they go to standard output), the security manager's warnings of
/// Java 17 (`WARNING: …`), and what `JAVA_TOOL_OPTIONS` brings.
pub(super) fn is_noise(line: &str) -> bool {
    let line = line.trim();
    line.is_empty()
        || is_logback(line)
        || line.starts_with("WARNING: ")
        || line.starts_with("Picked up ")
        || (line.contains("VM warning: ") && line.contains("VM"))
        || line.starts_with("sudo: unable to resolve host")
}

fn is_logback(line: &str) -> bool {
    // A stack trace follows a logback error; its lines begin with `at ` behind the bar.
    line.split_once(" |-").is_some_and(|(time, _)| {
        time.len() == 12 && time.bytes().all(|b| b.is_ascii_digit() || b == b':' || b == b',')
    })
}

#[cfg(test)]
mod tests {
    use super::is_noise;

    #[test]
    fn starting_noise_is_known_and_answers_are_not_noise() {
        for line in [
            "",
            "00:43:54,610 |-INFO in ch.qos.logback.classic.LoggerContext[default] - x",
            "OpenJDK 64-Bit Server VM warning: Options -Xverify:none were deprecated",
            "WARNING: System::setSecurityManager has been called",
            "Picked up JAVA_TOOL_OPTIONS: -Dx=y",
        ] {
            assert!(is_noise(line), "{line}");
        }
        for line in ["running", "not running", "UN  10.0.0.1 |-x", "Datacenter: dc1"] {
            assert!(!is_noise(line), "{line}");
        }
    }
}

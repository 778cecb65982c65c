//! What it means when a nodetool call does not end well. The exit code alone says little: usage
//! errors are on standard output with 1, JMX refused on standard error with 1, errors of the
//! server on standard error with 2 (seen on 4.0.17, 4.1.9 and 5.0.5).

use crate::cassandra::fact::{Why, WhyKind};
use crate::node::refusal::refusal;
use crate::node::{Exit, Output};
use crate::text::one_line;

/// The exit code with which `timeout` says that it ended the command.
const TIMEOUT_ENDED_IT: u32 = 124;

/// Returns why `output` holds no answer; `None` when nodetool ended with 0.
pub fn why(output: &Output) -> Option<Why> {
    let code = match &output.ended.exit {
        Exit::Code(0) => return None,
        Exit::Code(code) => *code,
        Exit::Signal(name) => {
            let text = format!("nodetool was ended by signal {}", one_line(name.as_bytes(), 20));
            return Some(Why::new(WhyKind::TimedOut, text));
        }
    };
    let said = said(output);
    let has_no = |tool: &str| {
        said.contains(&format!("{tool}: not found"))
            || said.contains(&format!("{tool}: command not found"))
            || said.contains(&format!("'{tool}'"))
    };
    Some(match code {
        // 137: `timeout` had to follow with KILL, or somebody else did.
        TIMEOUT_ENDED_IT => Why::new(
            WhyKind::TimedOut,
            "nodetool got no answer in time: the JVM hangs, or the node is overloaded",
        ),
        137 => Why::new(WhyKind::TimedOut, "nodetool was killed: out of time, or of memory"),
        // `timeout` itself ends with 127, and names nodetool, when that is what is not there.
        127 if !said.contains("nodetool") && (has_no("sudo") || has_no("timeout")) => {
            let missing = format!("a tool is missing on the node: {said}");
            refusal(&said).unwrap_or_else(|| Why::new(WhyKind::NotPermitted, missing))
        }
        127 => Why::new(WhyKind::CommandNotFound, "nodetool was not found on the node"),
        126 => Why::new(WhyKind::NotPermitted, format!("nodetool may not be run: {said}")),
        _ => by_text(&said),
    })
}

/// Texts that nodetool or the JVM print, and what they mean.
const MEANINGS: [(&str, WhyKind, &str); 12] = [
    ("not initialized yet", WhyKind::Starting, "Cassandra is starting"),
    // JMX is open before what it serves is there.
    ("InstanceNotFoundException", WhyKind::Starting, "Cassandra is starting"),
    (
        "Read timed out",
        WhyKind::TimedOut,
        "Cassandra took the JMX connection and did not answer: the JVM hangs",
    ),
    (
        "Connection refused",
        WhyKind::CassandraDown,
        "JMX refused: Cassandra is not running, or JMX is on another port",
    ),
    ("Connection reset", WhyKind::CassandraDown, "Cassandra closed the JMX connection"),
    ("Connection timed out", WhyKind::CassandraDown, "the JMX port does not answer"),
    ("No route to host", WhyKind::CassandraDown, "the JMX host cannot be reached"),
    ("UnknownHostException", WhyKind::CassandraDown, "the JMX host is not known on the node"),
    (
        "Credentials required",
        WhyKind::JmxAuth,
        "JMX asks for a user: set jmx.user and jmx.password_file",
    ),
    ("Authentication failed", WhyKind::JmxAuth, "JMX does not take this user and password"),
    ("Invalid username or password", WhyKind::JmxAuth, "JMX does not take this user and password"),
    ("Access denied", WhyKind::NotPermitted, "JMX does not allow this user the call"),
];

fn by_text(said: &str) -> Why {
    if let Some(why) = refusal(said) {
        return why;
    }
    for (text, kind, meaning) in MEANINGS {
        if said.contains(text) {
            return Why::new(kind, meaning);
        }
    }
    if said.contains("ermission denied") || said.contains("AccessDenied") {
        return Why::new(WhyKind::NotPermitted, format!("not permitted: {said}"));
    }
    if said.is_empty() {
        return Why::new(WhyKind::NotUnderstood, "nodetool failed and said nothing");
    }
    Why::new(WhyKind::NotUnderstood, format!("nodetool failed: {said}"))
}

/// What was printed on both streams, without the noise, as one line.
fn said(output: &Output) -> String {
    let both = [&output.ended.stderr[..], b"\n", &output.stdout[..]].concat();
    let text = String::from_utf8_lossy(&both);
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !super::noise::is_noise(line) && !line.starts_with("at "))
        .collect();
    one_line(lines.join("\n").as_bytes(), 300)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::Ended;

    fn failed(code: u32, stdout: &str, stderr: &str) -> WhyKind {
        let ended = Ended { exit: Exit::Code(code), stderr: stderr.into() };
        why(&Output { stdout: stdout.into(), ended }).expect("a failure").kind
    }

    #[test]
    fn the_kinds_of_failure_are_told_apart() {
        let refused = "nodetool: Failed to connect to '127.0.0.1:7199' - ConnectException: 'Connection refused'.";
        assert_eq!(failed(1, "", refused), WhyKind::CassandraDown);
        assert_eq!(failed(1, refused, ""), WhyKind::CassandraDown);
        assert_eq!(failed(124, "", ""), WhyKind::TimedOut);
        assert_eq!(failed(127, "", "sh: 1: nodetool: not found"), WhyKind::CommandNotFound);
        let timeout = "timeout: failed to run command 'nodetool': No such file or directory";
        assert_eq!(failed(127, "", timeout), WhyKind::CommandNotFound);
        assert_eq!(failed(127, "", "sh: 1: exec: timeout: not found"), WhyKind::NotPermitted);
        assert_eq!(failed(1, "", "sudo: a password is required"), WhyKind::NotPermitted);
        assert_eq!(failed(2, "", "error: boom\n\tat x.y"), WhyKind::NotUnderstood);
    }
}

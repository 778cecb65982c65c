//! Runs one command with a bound on its time, and remembers when it said what.

use std::io::{BufRead, BufReader, Read as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How often a running command is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code, or 128 and the number of the signal.
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// How long it ran.
    pub(crate) took: Duration,
    /// The lines of standard error, each with how long after the start it came.
    pub(crate) said: Vec<(Duration, String)>,
}

impl Ended {
    /// Returns it when it has ended with 0.
    #[track_caller]
    pub(crate) fn fine(self, what: &str) -> Self {
        assert!(
            self.code == 0,
            "{what}: exit {}\n--- stdout\n{}\n--- stderr\n{}",
            self.code,
            self.stdout,
            self.stderr
        );
        self
    }

    /// Returns when the first line of standard error came that holds `text`.
    #[track_caller]
    pub(crate) fn when_said(&self, text: &str) -> Duration {
        match self.said.iter().find(|(_, line)| line.contains(text)) {
            Some((when, _)) => *when,
            None => panic!("no line of standard error holds '{text}':\n{}", self.stderr),
        }
    }
}

/// A command that runs.
pub(crate) struct Running {
    child: Child,
    began: Instant,
    stdout: Option<thread::JoinHandle<Vec<u8>>>,
    lines: Receiver<(Duration, String)>,
    said: Vec<(Duration, String)>,
}

impl Running {
    /// Starts `command` in a process group of its own, so that all of it can be ended.
    pub(crate) fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).env("RUST_BACKTRACE", "0");
        let began = Instant::now();
        let mut child =
            command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let mut stdout = child.stdout.take().expect("a pipe");
        let stderr = child.stderr.take().expect("a pipe");
        let (sender, lines) = channel();
        thread::spawn(move || read_lines(BufReader::new(stderr), began, &sender));
        let stdout = thread::spawn(move || {
            let mut bytes = Vec::new();
            // What came before an error is what a failing story wants to see.
            let _ = stdout.read_to_end(&mut bytes);
            bytes
        });
        Self { child, began, stdout: Some(stdout), lines, said: Vec::new() }
    }

    /// Waits for a line of standard error that holds `text`.
    #[track_caller]
    pub(crate) fn wait_until_said(&mut self, text: &str, limit: Duration) {
        let deadline = Instant::now() + limit;
        while let Ok(line) = self.lines.recv_timeout(deadline.duration_since(Instant::now())) {
            let found = line.1.contains(text);
            self.said.push(line);
            if found {
                return;
            }
        }
        self.kill();
        panic!("'{text}' was not said within {limit:?}; there came: {:#?}", self.said);
    }

    /// Sends the signal of this name.
    pub(crate) fn signal(&self, name: &str) {
        send(name, &self.child.id().to_string());
    }

    /// Waits for the end, at most `limit` from now.
    #[track_caller]
    pub(crate) fn end(mut self, limit: Duration) -> Ended {
        let deadline = Instant::now() + limit;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                break status;
            }
            if Instant::now() >= deadline {
                self.kill();
                self.said.extend(self.lines.iter());
                panic!("it did not end within {limit:?}; it said: {:#?}", self.said);
            }
            thread::sleep(LOOK);
        };
        let took = self.began.elapsed();
        let bytes = self.stdout.take().map(|reader| reader.join().expect("a reader never panics"));
        self.said.extend(self.lines.iter());
        let stderr: Vec<&str> = self.said.iter().map(|(_, line)| line.as_str()).collect();
        Ended {
            code: code(status),
            stdout: String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned(),
            stderr: stderr.concat(),
            took,
            said: self.said,
        }
    }

    fn kill(&mut self) {
        send("KILL", &format!("-{}", self.child.id()));
        let _ = self.child.wait();
    }
}

fn read_lines(mut stderr: impl BufRead, began: Instant, sender: &Sender<(Duration, String)>) {
    let mut line = Vec::new();
    while stderr.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
        let text = String::from_utf8_lossy(&line).into_owned();
        if sender.send((began.elapsed(), text)).is_err() {
            return;
        }
        line.clear();
    }
}

fn send(signal: &str, to: &str) {
    let sent = Command::new("kill").args(["-s", signal, "--", to]).stderr(Stdio::null()).status();
    assert!(sent.is_ok(), "there is no program 'kill'");
}

fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

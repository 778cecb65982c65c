//! Keeps every command and its answer as text, a file a node: for a report of a fault, and for
//! the tests that replay it. Values of settings that are named like passwords are left out.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{Command, Connect, Ended, Endpoint, Exit, Node, NodeError, Sink};

/// Of one answer no more than this is kept, in bytes: a transcript is to be read and sent.
const MOST_KEPT: usize = 64 * 1024 * 1024;

/// Makes the lines of `inner`, and records what goes over them when there is a folder for it.
#[derive(Debug)]
pub struct Recorder<C> {
    inner: C,
    folder: Option<PathBuf>,
    /// Files of this run: the first line to a node begins its file, later ones go on in it.
    begun: Mutex<HashSet<PathBuf>>,
}

impl<C> Recorder<C> {
    /// Returns a recorder that writes into `folder`, which must be there; `None` records nothing.
    pub fn new(inner: C, folder: Option<PathBuf>) -> Self {
        Self { inner, folder, begun: Mutex::default() }
    }

    fn is_new(&self, file: &Path) -> bool {
        // A poisoned lock means a panic elsewhere; the set itself is whole.
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        begun.insert(file.to_owned())
    }

    /// What makes the lines.
    pub fn inner(&self) -> &C {
        &self.inner
    }
}

impl<C: Connect> Connect for Recorder<C> {
    type Node = RecordedNode<C::Node>;

    async fn connect(&self, endpoint: &Endpoint) -> Result<Self::Node, NodeError> {
        self.recorded(endpoint, self.inner.connect(endpoint).await?)
    }

    async fn connect_bulk(&self, endpoint: &Endpoint) -> Result<Self::Node, NodeError> {
        self.recorded(endpoint, self.inner.connect_bulk(endpoint).await?)
    }

    async fn behind(&self, endpoint: &Endpoint) -> Option<String> {
        self.inner.behind(endpoint).await
    }
}

impl<C> Recorder<C> {
    fn recorded<N>(&self, endpoint: &Endpoint, inner: N) -> Result<RecordedNode<N>, NodeError> {
        let file = self.folder.as_ref().map(|folder| folder.join(file_name(endpoint)));
        if let Some(file) = file.as_ref().filter(|file| self.is_new(file)) {
            let host = crate::text::visible(&endpoint.host);
            let title = format!("# ringhaul {}, {host}\n", env!("CARGO_PKG_VERSION"));
            write(file, &title, false)?;
        }
        Ok(RecordedNode { inner, file })
    }
}

/// A line whose commands may be recorded.
#[derive(Debug)]
pub struct RecordedNode<N> {
    inner: N,
    file: Option<PathBuf>,
}

impl<N: Node> Node for RecordedNode<N> {
    async fn feed(&self, command: &Command, sink: &mut Sink<'_>) -> Result<Ended, NodeError> {
        let Some(file) = &self.file else {
            return self.inner.feed(command, sink).await;
        };
        let mut stdout = Vec::new();
        let ended = self.inner.feed(command, &mut kept(&mut stdout, sink)).await;
        write(file, &entry(command, &stdout, &ended), true)?;
        ended
    }

    // What is poured is no text, and as long as the data of the node: its length is kept.
    async fn pour(&self, command: &Command, into: mpsc::Sender<Bytes>) -> Result<Ended, NodeError> {
        let Some(file) = &self.file else {
            return self.inner.pour(command, into).await;
        };
        let (begin, end) = mpsc::channel(1);
        let (ended, count) = tokio::join!(self.inner.pour(command, begin), counted(end, into));
        let mut text = String::new();
        push_command(&mut text, command);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "~ {count} bytes");
        push_ended(&mut text, &ended);
        write(file, &text, true)?;
        ended
    }

    // Written when it ends by itself or is let go; one that is broken off leaves no entry.
    async fn hold(
        &self,
        command: &Command,
        beat: Duration,
        enough: impl Future<Output = ()> + Send,
        sink: &mut Sink<'_>,
    ) -> Result<Ended, NodeError> {
        let Some(file) = &self.file else {
            return self.inner.hold(command, beat, enough, sink).await;
        };
        let mut stdout = Vec::new();
        let ended = self.inner.hold(command, beat, enough, &mut kept(&mut stdout, sink)).await;
        write(file, &entry(command, &stdout, &ended), true)?;
        ended
    }

    fn peer_address(&self) -> Option<std::net::IpAddr> {
        self.inner.peer_address()
    }
}

/// Hands on what comes and counts its bytes, until there is no more or nobody wants it.
async fn counted(mut from: mpsc::Receiver<Bytes>, into: mpsc::Sender<Bytes>) -> u64 {
    let mut count = 0_u64;
    loop {
        let piece = tokio::select! {
            piece = from.recv() => piece,
            () = into.closed() => None,
        };
        let Some(piece) = piece else { return count };
        let length = piece.len() as u64;
        if into.send(piece).await.is_err() {
            return count;
        }
        count = count.saturating_add(length);
    }
}

/// A sink that keeps what it hands on.
fn kept(stdout: &mut Vec<u8>, sink: &mut Sink<'_>) -> impl FnMut(&[u8]) -> ControlFlow<()> + Send {
    move |piece: &[u8]| {
        let room = MOST_KEPT.saturating_sub(stdout.len());
        stdout.extend_from_slice(&piece[..piece.len().min(room)]);
        sink(piece)
    }
}

/// A node's name comes from the operator or from the ring, and may be no file's.
fn file_name(endpoint: &Endpoint) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let name: String = endpoint.host.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    let port = endpoint.port.filter(|port| *port != 22);
    let port = port.map(|port| format!("-{port}")).unwrap_or_default();
    format!("{}{port}.txt", name.trim_start_matches('.'))
}

/// `$ command`, `> stdout`, `! stderr`, `= exit`. A last line without a line end has `>~`, `!~`;
/// of a stream there is `~ bytes`.
fn entry(command: &Command, stdout: &[u8], ended: &Result<Ended, NodeError>) -> String {
    let mut text = String::new();
    push_command(&mut text, command);
    push_lines(&mut text, '>', stdout);
    push_ended(&mut text, ended);
    text
}

fn push_command(text: &mut String, command: &Command) {
    text.push_str("\n$");
    push_line(text, ' ', command.to_string().as_bytes());
}

fn push_ended(text: &mut String, ended: &Result<Ended, NodeError>) {
    // Writing to a String cannot fail.
    let _ = match ended {
        Ok(ended) => {
            push_lines(text, '!', &ended.stderr);
            match &ended.exit {
                Exit::Code(code) => writeln!(text, "= exit {code}"),
                Exit::Signal(name) => writeln!(text, "= signal {}", crate::text::visible(name)),
            }
        }
        Err(error) => writeln!(text, "= error {error}"),
    };
}

fn push_lines(text: &mut String, mark: char, bytes: &[u8]) {
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        text.push(mark);
        match line.strip_suffix(b"\n") {
            Some(line) => push_line(text, ' ', line),
            None => push_line(text, '~', line),
        }
    }
}

fn push_line(text: &mut String, mark: char, line: &[u8]) {
    text.push(mark);
    let shown = match secret_from(line) {
        Some(at) => [&line[..at], b" hidden"].concat(),
        None => line.to_vec(),
    };
    for chunk in shown.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                '\0' => text.push_str("\\0"),
                c if c.is_control() => {
                    let _ = write!(text, "\\u{{{:x}}}", u32::from(c));
                }
                c => text.push(c),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text.push('\n');
}

/// Where the first value begins that belongs to a name such as `keystore_password`.
fn secret_from(line: &[u8]) -> Option<usize> {
    let text = line.to_ascii_lowercase();
    let is_at = |word: &[u8]| text.windows(word.len()).position(|part| part == word);
    let words: [&[u8]; 3] = [b"password", b"passphrase", b"secret"];
    let word = words.into_iter().filter_map(is_at).min()?;
    let colon = word + text[word..].iter().position(|byte| *byte == b':')?;
    (line.len() > colon + 1).then_some(colon + 1)
}

fn write(file: &Path, text: &str, is_more: bool) -> Result<(), NodeError> {
    let mut options = OpenOptions::new();
    options.create(true).write(true).append(is_more).truncate(!is_more);
    options.open(file).and_then(|mut open| open.write_all(text.as_bytes())).map_err(|error| {
        NodeError::Local(format!("cannot write the transcript {}: {error}", file.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_readable_whole_and_holds_no_password() {
        let command = Command::new(["cat", "a b"], Duration::from_secs(1));
        let ended = Ended { exit: Exit::Code(1), stderr: b"no \\ such".to_vec() };
        let stdout = b"\0y key_password: hunter2\nx\x1b[0m\xff\n";
        assert_eq!(
            entry(&command, stdout, &Ok(ended)),
            "\n$ cat 'a b'\n> \\0y key_password: hidden\n> x\\u{1b}[0m\\xff\n!~no \\\\ such\n= exit 1\n"
        );
    }

    #[test]
    fn a_name_cannot_leave_the_folder() {
        let name = |host: &str, port| {
            file_name(&Endpoint { host: host.to_owned(), port, ..Endpoint::default() })
        };
        assert_eq!(name("../../etc/x", None), "_.._etc_x.txt");
        assert_eq!(name("fd77::11", Some(2222)), "fd77__11-2222.txt");
        assert_eq!(name("a", Some(22)), "a.txt");
    }

    #[test]
    fn a_password_is_hidden_wherever_it_stands() {
        for line in ["a: {b: none, Keystore_Password: hunter2}", "key_password:hunter2"] {
            let at = secret_from(line.as_bytes()).unwrap();
            assert!(!line[..at].contains("hunter2"), "{line}");
        }
        assert_eq!(secret_from(b"num_tokens: 4"), None);
    }
}

//! The text a mux client carries, and the marks that frame what the command prints.
//!
//! The exit code of an `ssh` process does not tell a command's 255 from a line that broke, and a
//! client may know the exit before the last of the output came. So the node says itself what its
//! command ended with, behind the last byte of the output.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::super::ssh::chance::random_word;
use super::super::ssh::wire::{Noise, exec_text};
use crate::node::Command;

/// Digits of the longest exit code a shell tells.
const CODE_DIGITS: usize = 3;

/// Digits of the longest number of a process.
const PID_DIGITS: usize = 10;

/// What frames one command.
#[derive(Debug)]
pub(super) struct Marks {
    /// The word behind which output begins.
    begin: String,
    /// The word before the exit code.
    end: String,
}

impl Marks {
    pub(super) fn new() -> Self {
        Self { begin: random_word(), end: random_word() }
    }

    /// Returns the text for the login shell.
    ///
    /// A shell of ours stands around the command. It prints its number, by which a command that
    /// is given up is found again, and at the end the exit code. A command that a signal ended
    /// has the shell's 128 and its number.
    pub(super) fn text(&self, command: &Command) -> String {
        let frame = format!("echo $$;\"$@\";echo {} $?", self.end);
        let mut argv = vec!["sh".to_owned(), "-c".into(), frame, "sh".into()];
        // Scripts of ours set it themselves, which spares the node a program.
        if command.argv().first().is_none_or(|program| program != "sh") {
            argv.extend(["env".into(), "LC_ALL=C".into()]);
        }
        argv.extend(command.argv().iter().cloned());
        exec_text(&self.begin, &Command::new(argv, Duration::ZERO))
    }

    pub(super) fn reader(&self) -> Reader {
        Reader {
            noise: Noise::new(&self.begin),
            end: self.end.clone().into_bytes(),
            head: Some(Vec::new()),
            pid: None,
            held: Bytes::new(),
        }
    }
}

/// Takes the frame off what comes.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) noise: Noise,
    end: Vec<u8>,
    /// The line with the shell's number, while it is not whole.
    head: Option<Vec<u8>>,
    pid: Option<u32>,
    /// The last bytes, as long as they may be the end.
    held: Bytes,
}

impl Reader {
    /// Returns the part of `piece`, with what was held before it, that the command printed.
    pub(super) fn take(&mut self, piece: &Bytes) -> Bytes {
        let own = piece.slice_ref(self.noise.strip(piece));
        let own = self.behind_head(own);
        let mut own = match self.held.is_empty() {
            true => own,
            false => {
                let mut both = BytesMut::from(self.held.as_ref());
                both.extend_from_slice(&own);
                both.freeze()
            }
        };
        self.held = own.split_off(own.len() - self.may_be_the_end(&own));
        own
    }

    fn behind_head(&mut self, mut own: Bytes) -> Bytes {
        let Some(head) = &mut self.head else { return own };
        let end = own.iter().position(|byte| *byte == b'\n').map_or(own.len(), |at| at + 1);
        head.extend_from_slice(&own.split_to(end));
        // A shell prints nothing but the number; what is longer is not ours and stays unread.
        if head.ends_with(b"\n") || head.len() > PID_DIGITS {
            let digits = std::str::from_utf8(head).unwrap_or_default().trim_end();
            self.pid = digits.parse().ok().filter(|pid| *pid > 1);
            self.head = None;
        }
        own
    }

    /// The number of the shell around the command, once it runs.
    pub(super) fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// Returns the code the command ended with, when nothing more comes. `None`: nobody said so,
    /// and what came may not be all.
    pub(super) fn code(&self) -> Option<u32> {
        let rest = self.held.strip_prefix(self.end.as_slice())?;
        let digits = rest.strip_prefix(b" ")?.strip_suffix(b"\n")?;
        std::str::from_utf8(digits).ok()?.parse().ok().filter(|code| *code <= 255)
    }

    /// Returns how many of the last bytes may be the end or the beginning of it.
    fn may_be_the_end(&self, bytes: &[u8]) -> usize {
        let longest = bytes.len().min(self.end.len() + 1 + CODE_DIGITS + 1);
        let is_some_of_it = |length: &usize| {
            let last = bytes.get(bytes.len() - length..).unwrap_or_default();
            match last.strip_prefix(self.end.as_slice()) {
                None => self.end.starts_with(last),
                Some([]) => true,
                Some(rest) => rest.strip_prefix(b" ").is_some_and(|rest| {
                    rest.strip_suffix(b"\n").unwrap_or(rest).iter().all(u8::is_ascii_digit)
                }),
            }
        };
        (1..=longest).rev().find(is_some_of_it).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&[u8]]) -> (Vec<u8>, Reader) {
        let marks = Marks { begin: "B3gin".into(), end: "3nd".into() };
        let mut reader = marks.reader();
        let mut own = Vec::new();
        for piece in pieces {
            own.extend_from_slice(&reader.take(&Bytes::copy_from_slice(piece)));
        }
        (own, reader)
    }

    #[test]
    fn a_frame_cut_anywhere_comes_off_and_the_output_stays() {
        let whole = b"noise\nB3gin\n4711\nout\0put 3n 3nd x3nd 7\n";
        for first in 0..whole.len() {
            for second in first..whole.len() {
                let pieces = [&whole[..first], &whole[first..second], &whole[second..]];
                let (own, reader) = read(&pieces);
                assert_eq!(own, b"out\0put 3n 3nd x", "{first} {second}");
                assert_eq!((reader.pid(), reader.code()), (Some(4711), Some(7)));
            }
        }
    }

    #[test]
    fn without_the_end_nothing_is_whole() {
        for cut in ["out", "out3nd", "out3nd 7", "out3nd \n", "out3nd 256\n", "out3nd 7\nx"] {
            let (_, reader) = read(&[b"B3gin\n4711\n", cut.as_bytes()]);
            assert_eq!(reader.code(), None, "{cut}");
        }
        // Nothing that cannot be the end is kept back: somebody waits for it.
        assert_eq!(read(&[b"B3gin\n1\n", b"ready\n"]).0, b"ready\n");
    }

    #[test]
    fn every_login_shell_frames_a_command_alike() {
        let words = ["printf", "%s|", "a b", "*", "$HOME", "$@", "`id`", "a;b", "{a,b}", "%", ""];
        let command = Command::new(words, Duration::from_secs(1));
        let script = Command::new(["sh", "-c", "echo x; exit 200"], Duration::from_secs(1));
        let killed = Command::new(["sh", "-c", "kill -KILL $$"], Duration::from_secs(1));
        let marks = Marks::new();
        let mut asked = 0;
        for shell in ["sh", "bash", "dash", "zsh", "csh", "tcsh", "fish", "ksh"] {
            let run = |command| {
                let mut shell = std::process::Command::new(shell);
                let output = shell.args(["-c", &marks.text(command)]).output().ok()?;
                let mut reader = marks.reader();
                let own = reader.take(&Bytes::from(output.stdout));
                assert!(reader.pid().is_some());
                Some((own, reader.code()))
            };
            let Some((own, code)) = run(&command) else { continue };
            let want = words[2..].iter().map(|word| format!("{word}|")).collect::<String>();
            assert_eq!((own, code), (want.into(), Some(0)), "{shell}");
            assert_eq!(run(&script).unwrap(), (Bytes::from("x\n"), Some(200)), "{shell}");
            assert_eq!(run(&killed).unwrap(), (Bytes::new(), Some(137)), "{shell}");
            asked += 1;
        }
        assert!(asked > 0);
    }
}

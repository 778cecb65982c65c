//! The text an exec request carries, and what comes before the command's own output.

use super::super::Command;

/// Bytes of login-shell noise that are read before the command is given up.
///
/// Banners, `fortune` and a chatty `.bashrc` stay below some KiB. A server that prints for ever
/// instead of running the command must not be read for ever.
pub(in crate::node) const NOISE_LIMIT: usize = 256 * 1024;

/// Bytes of noise that are kept for the error's text when the command never starts.
const NOISE_KEPT: usize = 1024;

/// Returns the text of the exec request.
///
/// sshd hands it to the login shell as `$SHELL -c text`. bash, dash, zsh, csh, tcsh and fish all
/// read it alike: two simple commands, no variable, no redirection. `exec` spares a process and
/// makes the signal reach the command; `LC_ALL=C` keeps messages parsable.
pub(in crate::node) fn exec_text(word: &str, command: &Command) -> String {
    // Scripts of ours set it themselves, which spares the node a program.
    let is_script = command.argv().first().is_some_and(|program| program == "sh");
    let locale = if is_script { "" } else { "env LC_ALL=C " };
    format!("echo {word};exec {locale}{command}")
}

/// Drops what a login shell's start-up files print on standard output before the command runs.
///
/// The command's output begins behind the line that ends in the word. The word is random, so no
/// start-up file prints it by chance.
#[derive(Debug)]
pub(in crate::node) struct Noise {
    /// The word and its newline.
    mark: Vec<u8>,
    /// The beginning of the noise.
    kept: Vec<u8>,
    /// The last bytes, one short of the mark's length: the mark may come in two pieces.
    tail: Vec<u8>,
    dropped: usize,
    over: bool,
}

impl Noise {
    pub(in crate::node) fn new(word: &str) -> Self {
        Self {
            mark: format!("{word}\n").into_bytes(),
            kept: Vec::new(),
            tail: Vec::new(),
            dropped: 0,
            over: false,
        }
    }

    /// Returns the part of `piece` that the command printed itself.
    pub(in crate::node) fn strip<'a>(&mut self, piece: &'a [u8]) -> &'a [u8] {
        if self.over {
            return piece;
        }
        self.tail.extend_from_slice(piece);
        let found = self.tail.windows(self.mark.len()).position(|bytes| bytes == self.mark);
        if let Some(at) = found {
            self.over = true;
            let own = self.tail.len() - (at + self.mark.len());
            self.tail = Vec::new();
            return piece.get(piece.len() - own..).unwrap_or_default();
        }
        let drop = self.tail.len().saturating_sub(self.mark.len() - 1);
        let room = NOISE_KEPT.saturating_sub(self.kept.len());
        self.kept.extend(self.tail.drain(..drop).take(room));
        self.dropped += drop;
        &[]
    }

    /// Whether the command has started.
    pub(in crate::node) fn is_over(&self) -> bool {
        self.over
    }

    /// Whether more was printed than any start-up file would.
    pub(in crate::node) fn is_too_much(&self) -> bool {
        !self.over && self.dropped > NOISE_LIMIT
    }

    /// The first KiB that was printed instead of the command's output.
    pub(in crate::node) fn text(&self) -> Vec<u8> {
        let room = NOISE_KEPT.saturating_sub(self.kept.len());
        self.kept.iter().chain(self.tail.iter().take(room)).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn stripped(pieces: &[&[u8]]) -> (Vec<u8>, Noise) {
        let mut noise = Noise::new("W0rd");
        let own = pieces.iter().flat_map(|piece| noise.strip(piece).to_vec()).collect();
        (own, noise)
    }

    #[test]
    fn what_comes_before_the_word_is_dropped() {
        assert_eq!(stripped(&[b"W0rd\nout\n"]).0, b"out\n");
        assert_eq!(stripped(&[b"hello\nW0rd\nout"]).0, b"out");
        // A start-up file whose last line has no newline.
        assert_eq!(stripped(&[b"prompt> W0rd\nout"]).0, b"out");
        // A forced command that prints the command line back.
        assert_eq!(stripped(&[b"echo W0rd;exec env true\n"]).0, b"");
        // The word in the output itself stays.
        assert_eq!(stripped(&[b"W0rd\nW0rd\n"]).0, b"W0rd\n");
    }

    #[test]
    fn a_word_cut_anywhere_is_found() {
        let whole = b"noise\nW0rd\nout\nput";
        for first in 0..whole.len() {
            for second in first..whole.len() {
                let pieces = [&whole[..first], &whole[first..second], &whole[second..]];
                assert_eq!(stripped(&pieces).0, b"out\nput", "{first} {second}");
            }
        }
    }

    #[test]
    fn noise_without_end_is_noticed_and_its_beginning_kept() {
        let line = b"no login for you\n".repeat(100);
        let (own, mut noise) = stripped(&[&line]);
        assert!(own.is_empty() && !noise.is_over() && !noise.is_too_much());
        assert_eq!(noise.text(), &line[..NOISE_KEPT]);
        for _ in 0..200 {
            noise.strip(&line);
        }
        assert!(noise.is_too_much());
        assert_eq!(stripped(&[b"short\n"]).1.text(), b"short\n");
    }

    /// sshd runs `$SHELL -c text`; the shells of this machine are asked what they make of it.
    #[test]
    fn every_login_shell_reads_the_text_alike() {
        let words = [
            "printf",
            "%s|",
            "a b",
            "*",
            "$HOME",
            "`id`",
            "a;b",
            "x=y",
            "=ls",
            "~",
            "#c",
            "-n",
            "{a,b}",
            "[x]",
            "?",
            "(",
            "<",
            "&",
            "|",
            "%",
            "\"",
            "^",
            "\u{e9}",
            "",
            "a!x",
            "it's",
            "back\\slash",
            "!",
            "\\!'",
        ];
        let command = Command::new(words, Duration::from_secs(1));
        let want = words[2..].iter().map(|word| format!("{word}|")).collect::<String>();
        let mut asked = Vec::new();
        for shell in ["sh", "bash", "dash", "zsh", "csh", "tcsh", "fish", "ksh"] {
            let run = std::process::Command::new(shell)
                .args(["-c", &exec_text("W0rd", &command)])
                .output();
            let Ok(run) = run else { continue };
            let mut noise = Noise::new("W0rd");
            assert_eq!(
                String::from_utf8_lossy(noise.strip(&run.stdout)),
                want,
                "{shell}: {}",
                String::from_utf8_lossy(&run.stderr)
            );
            asked.push(shell);
        }
        println!("asked {asked:?}");
        assert!(asked.contains(&"sh"));
    }
}

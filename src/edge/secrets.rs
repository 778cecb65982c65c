//! Where secrets come from: descriptors that were named, else the terminal, else nowhere.

use std::collections::HashMap;
use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Fault, moving};
use crate::cli;
use crate::node::secret::{Ask, Question, SecretString, asks_for_password};

/// Bytes of the longest secret that is read from a descriptor.
const LONGEST: u64 = 64 * 1024;

/// What a descriptor's line is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Passphrase,
    Password,
    Become,
}

/// Returns who answers questions; none when nobody could.
///
/// # Errors
/// A descriptor that cannot be read, or is empty: a run in cron would else fail on every node.
pub(super) fn asker(secrets: &cli::Secrets) -> Result<Option<Ask>, Fault> {
    let mut known = HashMap::new();
    for (option, kind, number) in [
        ("--passphrase-fd", Kind::Passphrase, secrets.passphrase_fd),
        ("--password-fd", Kind::Password, secrets.password_fd),
        ("--become-password-fd", Kind::Become, secrets.become_password_fd),
    ] {
        if let Some(number) = number {
            known.insert(kind, read(option, number)?);
        }
    }
    let has_terminal = std::io::stdin().is_terminal();
    if known.is_empty() && !has_terminal {
        return Ok(None);
    }
    Ok(Some(Arc::new(move |question: &Question<'_>| {
        if let Some(secret) = kind(question).and_then(|kind| known.get(&kind)) {
            return Some(secret.clone());
        }
        has_terminal.then(|| prompt(question)).flatten()
    })))
}

/// What a question wants, when a descriptor can answer it.
fn kind(question: &Question<'_>) -> Option<Kind> {
    match question {
        Question::Passphrase(_) => Some(Kind::Passphrase),
        Question::Password { .. } => Some(Kind::Password),
        // What else a server asks for, a one-time code, is no password.
        Question::Prompt { echo: false, text, .. } => {
            asks_for_password(text).then_some(Kind::Password)
        }
        Question::Prompt { echo: true, .. } => None,
        Question::Become { .. } => Some(Kind::Become),
    }
}

/// Returns the first line of a descriptor.
fn read(option: &str, number: i32) -> Result<SecretString, Fault> {
    let wrong = |what: String| Fault::usage(format!("{option} {number}: {what}"));
    // Opened by its name: the number of a descriptor that is not ours to own would need `unsafe`.
    let file = std::fs::File::open(format!("/dev/fd/{number}"))
        .map_err(|error| wrong(error.to_string()).hint(format!("{option} 3 3<FILE")))?;
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text).map_err(|error| wrong(error.to_string()))?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        return Err(wrong("its first line is empty".into()));
    }
    Ok(SecretString::from(line))
}

/// Two prompts at once would mix on the terminal.
static PROMPT: Mutex<()> = Mutex::new(());

/// Asks on the terminal.
fn prompt(question: &Question<'_>) -> Option<SecretString> {
    let _alone = PROMPT.lock().unwrap_or_else(PoisonError::into_inner);
    let text = match question {
        Question::Passphrase(key) => format!("Passphrase for {}: ", key.display()),
        Question::Password { user, host } => format!("Password of {user} at {host}: "),
        Question::Prompt { user, host, text, .. } => format!("({user}@{host}) {text} "),
        Question::Become { host, again } => {
            let wrong = again.map(|node| format!("{node} took it for wrong. ")).unwrap_or_default();
            match host {
                Some(host) => format!("{wrong}Password for sudo at {host}: "),
                None => format!("{wrong}Password for sudo on the nodes: "),
            }
        }
    };
    let _aside = moving::aside();
    if let Question::Prompt { echo: true, .. } = question {
        return visible_answer(&text).ok().map(SecretString::from);
    }
    rpassword::prompt_password(text).ok().map(SecretString::from)
}

/// Asks for what may be seen while it is typed.
fn visible_answer(text: &str) -> std::io::Result<String> {
    let mut terminal = std::fs::OpenOptions::new().read(true).write(true).open("/dev/tty")?;
    terminal.write_all(text.as_bytes())?;
    let mut line = String::new();
    std::io::BufReader::new(terminal.take(LONGEST)).read_line(&mut line)?;
    match line.trim_end_matches(['\n', '\r']) {
        // End of file: nobody answered.
        "" if line.is_empty() => Err(std::io::ErrorKind::UnexpectedEof.into()),
        answer => Ok(answer.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;

    use super::*;
    use crate::node::secret::ExposeSecret as _;

    #[test]
    fn a_descriptors_first_line_answers_what_it_is_for_and_nothing_else() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"sesame street\nmore\n").unwrap();
        let secrets =
            cli::Secrets { password_fd: Some(file.as_raw_fd()), ..cli::Secrets::default() };
        let ask = asker(&secrets).unwrap().unwrap();
        let answer = ask(&Question::Password { user: "ops", host: "n1" }).unwrap();
        assert_eq!(answer.expose_secret(), "sesame street");
        let asked = |text, echo| kind(&Question::Prompt { user: "ops", host: "n1", text, echo });
        assert_eq!(asked("Password:", false), Some(Kind::Password));
        assert_eq!(asked("One-time password:", false), None);
        assert_eq!(asked("Password:", true), None);
    }

    #[test]
    fn a_descriptor_that_is_not_there_or_empty_is_said_at_once() {
        let file = tempfile::tempfile().unwrap();
        for number in [987, file.as_raw_fd()] {
            let secrets =
                cli::Secrets { become_password_fd: Some(number), ..cli::Secrets::default() };
            let Err(fault) = asker(&secrets) else { panic!("{number} was taken") };
            assert!(fault.to_string().starts_with("--become-password-fd "), "{fault}");
        }
    }
}

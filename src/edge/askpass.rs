//! What ssh runs to ask a question: hands it to the run that started ssh, and prints the answer.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use crate::exit::Exit;
use crate::node::openssh::questions::{LOGIN_VARIABLE, SOCKET_VARIABLE};

/// Answers a question of ssh, when that is what this program was started for.
///
/// The environment holds the name of a socket in a folder nobody else may look into; the answer
/// comes through it and stands nowhere else.
pub fn answer() -> Option<Exit> {
    let socket = std::env::var_os(SOCKET_VARIABLE)?;
    let login = std::env::var(LOGIN_VARIABLE).unwrap_or_default();
    let prompt = std::env::args().nth(1).unwrap_or_default();
    Some(match std::env::var("SSH_ASKPASS_PROMPT").as_deref() {
        // Not a question: a security key waits to be touched. ssh ends us when it was.
        Ok("none") => {
            show(&prompt);
            wait();
            Exit::Fine
        }
        // A yes to something we do not know.
        Ok("confirm") => Exit::Failed,
        _ => match ask(&socket, &login, &prompt) {
            Ok(true) => Exit::Fine,
            Ok(false) | Err(_) => Exit::Failed,
        },
    })
}

/// Hands a question on; `false` when nobody answers it.
fn ask(socket: &std::ffi::OsStr, login: &str, prompt: &str) -> std::io::Result<bool> {
    let mut stream = UnixStream::connect(socket)?;
    write!(stream, "{login}\n{prompt}")?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let Some(secret) = answer.strip_prefix(b"+") else { return Ok(false) };
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(secret)?;
    stdout.write_all(b"\n")?;
    stdout.flush()?;
    Ok(true)
}

/// Shows a notice on the terminal of the run, if it has one.
fn show(text: &str) {
    let shown = crate::text::one_line(text.as_bytes(), 300);
    if let Ok(mut terminal) = std::fs::OpenOptions::new().write(true).open("/dev/tty") {
        let _ = writeln!(terminal, "{shown}");
    }
}

/// Waits until the run that started ssh is gone; ssh ends us before, as a rule.
fn wait() {
    let Some(socket) = std::env::var_os(SOCKET_VARIABLE) else { return };
    while UnixStream::connect(&socket).is_ok() {
        std::thread::sleep(std::time::Duration::from_millis(500));
    }
}

//! How a program of a command gets other rights than the account's: by words that stand before it,
//! or by a variable that scripts read, because with a password the words are made on the node.

use std::time::Duration;

use crate::inventory::{NodeSpec, PasswordOf, Rights, Sudo};
use crate::node::Command;

/// What scripts put before a program that needs these rights; without it, `sudo -n --`.
pub const VARIABLE: &str = "RINGHAUL_AS";

/// Runs the program behind it as the variable says. It does not take the shell's place: sudo must
/// find the process that holds the password, and a process of sudo itself shows nothing.
const BY_VARIABLE: &str = "LC_ALL=C ${RINGHAUL_AS:-sudo -n --} \"$@\"; exit $?";

/// The words that stand before a program in an argv.
pub(super) fn words(rights: &Rights) -> Vec<String> {
    let words = match rights.password {
        PasswordOf::None => ["env", "LC_ALL=C"].into_iter().chain(rights.words()).collect(),
        PasswordOf::Ask | PasswordOf::Own => vec!["sh", "-c", BY_VARIABLE, "sh"],
    };
    words.into_iter().map(str::to_owned).collect()
}

/// Prepares a command whose scripts may use other rights.
pub(super) fn given(spec: &NodeSpec, command: Command) -> Command {
    match (spec.sudo, spec.rights.password) {
        (Sudo::Never, _) => command,
        (Sudo::Auto | Sudo::Always, PasswordOf::None) if spec.rights.is_default() => command,
        (Sudo::Auto | Sudo::Always, PasswordOf::None) => command.by(&variable(&spec.rights)),
        (Sudo::Auto | Sudo::Always, PasswordOf::Ask | PasswordOf::Own) => {
            command.with_rights(spec.rights.clone())
        }
    }
}

/// Says that a program of the command is run by [`words`].
pub(super) fn wanted(rights: &Rights, command: Command) -> Command {
    match rights.password {
        PasswordOf::None => command,
        PasswordOf::Ask | PasswordOf::Own => command.with_rights(rights.clone()),
    }
}

/// What stands before a command so that its scripts use these rights without a password.
pub fn variable(rights: &Rights) -> [String; 2] {
    ["env".to_owned(), format!("{VARIABLE}={}", rights.words().join(" "))]
}

/// Where sudo usually looks for programs (`secure_path`), in its order.
const FIND_PATHS: &str = concat!(
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; ",
    "for p in \"$@\"; do echo $p $(command -v $p); done",
);

/// Asks where these programs lie: a line each, the name and the path.
pub fn paths(programs: &[&str], limit: Duration) -> Command {
    let before = ["sh", "-c", FIND_PATHS, "sh"];
    Command::new(before.iter().chain(programs).copied(), limit)
}

//! What sudo and doas say when they say no, and what helps. `LC_ALL=C` keeps them in English.

use crate::cassandra::fact::{Why, WhyKind};

/// A refusal: words of which one is in what was said, what they mean, what helps.
struct Meaning(&'static [&'static str], &'static str, &'static str);

const NO_PASSWORD: &str = "allow the account the programs that `ringhaul sudoers` prints; with a \
                           password for them, set become: {password: ask}";
const RULES: &str = "allow the account the programs that `ringhaul sudoers` prints";

/// In this order: of what comes with a wrong password, a locked account says more.
const MEANINGS: [Meaning; 17] = [
    Meaning(
        &["must have a tty to run sudo"],
        "sudo wants a terminal (requiretty)",
        "take requiretty off for the account, as the lines of `ringhaul sudoers` do",
    ),
    Meaning(
        &["account is locked", "account locked", "is your account locked?"],
        "sudo says that the account is locked or has expired",
        "unlock it there (faillock --reset, passwd -u, chage), or take a key and rules without a \
         password, as `ringhaul sudoers` prints them",
    ),
    Meaning(
        &[
            "ccount or password is expired",
            "ccount has expired",
            "ccount expired",
            "unable to change expired password",
            "password has expired",
            "Password change required",
            "required to change your password",
        ],
        "sudo says that the account or its password has expired",
        "renew it there (chage, passwd), then ask again",
    ),
    Meaning(
        &["incorrect password attempt", "Sorry, try again", "Authentication failed, try again"],
        "sudo took the password for wrong",
        "give the password of the login on that node; if it has one of its own, set become: \
         {password: own}",
    ),
    Meaning(
        &[
            "a password is required",
            "a terminal is required",
            "no tty present and no askpass",
            "interactive authentication is required",
            "no password was provided",
        ],
        "sudo asks for a password",
        NO_PASSWORD,
    ),
    Meaning(
        &["not in the sudoers file", "is not allowed to run sudo", "may not run sudo"],
        "the account may not use sudo: it is in no rule of sudoers",
        RULES,
    ),
    Meaning(
        &["is not allowed to execute", "afraid I can't do that"],
        "the account may not use sudo for this program",
        RULES,
    ),
    Meaning(
        &["must be owned by uid 0 and have the setuid bit", "must be setuid root"],
        "sudo is there and is not setuid root",
        "mend its mode there (chmod 4755), or log in as an account that needs no sudo",
    ),
    Meaning(
        &["no new privileges"],
        "sudo cannot give rights there: sshd runs with `no new privileges`",
        "take NoNewPrivileges off sshd's unit or its container there",
    ),
    Meaning(
        &["effective uid is not 0"],
        "sudo cannot give rights there: its file system is mounted nosuid",
        "mount it with suid there, or log in as an account that needs no sudo",
    ),
    Meaning(
        &["sudo: unknown user", "sudo: unknown uid", "doas: unknown user"],
        "the account of become.user is not known there",
        "set become.user to an account of the node",
    ),
    Meaning(
        &["PAM account management error", "PAM authentication error", "unable to initialize PAM"],
        "PAM of the node refuses sudo",
        "look at /etc/pam.d/sudo and at the log of authentication there",
    ),
    Meaning(
        &["doas: Operation not permitted"],
        "the account may not use doas for this program",
        "put the lines of `ringhaul sudoers --doas` into the node's doas.conf",
    ),
    Meaning(
        &[
            "doas: Authorization required",
            "doas: Authentication required",
            "doas: Authorization failed",
            "doas: Authentication failed",
        ],
        "doas asks for a password",
        "put nopass into the node's doas.conf, as the lines of `ringhaul sudoers --doas` do",
    ),
    Meaning(
        &["doas is not enabled", "doas: not installed setuid", "not configured"],
        "doas is there and not set up",
        "put the lines of `ringhaul sudoers --doas` into the node's doas.conf",
    ),
    Meaning(&[], "there is no doas", "install doas there, or set become.method to sudo"),
    Meaning(
        &[],
        "there is no sudo",
        "install sudo there, set become.method to doas, or log in as an account that needs neither",
    ),
];

/// Returns what a refusal means; `None` for words that are of neither program.
pub fn refusal(said: &str) -> Option<Why> {
    let is_missing = |program: &str| {
        let quoted = ["not found", "No such file or directory"];
        said.lines().any(|line| {
            quoted.iter().any(|end| line.trim_end().ends_with(end))
                && line.split([' ', ':', '\'', '"', '‘', '’', '`']).any(|word| word == program)
        })
    };
    let found = MEANINGS.iter().find(|Meaning(words, meaning, _)| match *meaning {
        "there is no doas" => is_missing("doas"),
        "there is no sudo" => is_missing("sudo"),
        _ => words.iter().any(|word| said.contains(word)),
    });
    found.map(|Meaning(_, meaning, fix)| Why::new(WhyKind::NotPermitted, *meaning).with_fix(fix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sudo_and_doas_say_is_named_with_what_helps() {
        for (said, meaning) in [
            ("sudo: a password is required", "sudo asks for a password"),
            (
                "sudo: a terminal is required to read the password; either use the -S option to \
                 read from standard input or configure an askpass helper\nsudo: a password is required",
                "sudo asks for a password",
            ),
            ("sudo: no tty present and no askpass program specified", "sudo asks for a password"),
            ("sudo: interactive authentication is required", "sudo asks for a password"),
            (
                "\nSorry, try again.\n\nsudo: no password was provided\nsudo: 1 incorrect password attempt",
                "sudo took the password for wrong",
            ),
            (
                "The account is locked due to 3 failed logins.\nsudo: 1 incorrect password attempt",
                "the account is locked",
            ),
            ("sudo: sorry, you must have a tty to run sudo", "wants a terminal (requiretty)"),
            ("ops is not in the sudoers file.", "in no rule of sudoers"),
            ("Sorry, user ops may not run sudo on n1.", "in no rule of sudoers"),
            (
                "Sorry, user ops is not allowed to execute '/bin/cat x' as root on n1.",
                "may not use sudo for this program",
            ),
            ("sh: 3: exec: sudo: not found", "there is no sudo"),
            ("bash: line 1: sudo: command not found", "there is no sudo"),
            ("env: 'sudo': No such file or directory", "there is no sudo"),
            ("xargs: sudo: No such file or directory", "there is no sudo"),
            (
                "sudo: /usr/bin/sudo must be owned by uid 0 and have the setuid bit set",
                "is not setuid root",
            ),
            (
                "sudo: The \"no new privileges\" flag is set, which prevents sudo from running as root.",
                "`no new privileges`",
            ),
            (
                "sudo: effective uid is not 0, is /usr/bin/sudo on a file system with the 'nosuid' \
                 option set or an NFS file system without root privileges?",
                "mounted nosuid",
            ),
            ("sudo: Account expired or PAM config lacks an \"account\" section", "has expired"),
            (
                "sudo: Account or password is expired, reset your password and try again",
                "has expired",
            ),
            ("sudo: account validation failure, is your account locked?", "is locked"),
            ("sudo: unknown user: nobody2", "become.user is not known"),
            ("sudo: unknown user nobody2", "become.user is not known"),
            ("doas: Operation not permitted", "may not use doas"),
            ("doas: Authorization required", "doas asks for a password"),
            ("env: 'doas': No such file or directory", "there is no doas"),
            ("doas: doas is not enabled, /etc/doas.conf: No such file or directory", "not set up"),
        ] {
            let why = refusal(said).unwrap_or_else(|| panic!("not named: {said}"));
            assert!(why.text.contains(meaning), "{said}: {why:?}");
            assert!(why.fix.is_some(), "{said}");
        }
        for said in [
            "cat: /x: Permission denied",
            "find: '/var/lib/sudo/x': No such file or directory",
            "mv: cannot move: Operation not permitted",
            "sudo: unable to resolve host n1: Name or service not known",
        ] {
            assert_eq!(refusal(said), None, "{said}");
        }
    }
}

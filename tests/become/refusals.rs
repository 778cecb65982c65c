//! The refusals of the real sudo, each named.

use ringhaul::node::becoming::Becoming;
use ringhaul::node::{Command, Connect as _, Node as _, NodeError, refusal};

use crate::host::{Host, LIMIT, SECRET, endpoint, rights};
use crate::operator::Operator;

/// What ringhaul says of a host, without a password or with the right one.
async fn said(host: &Host, user: &str, has_password: bool) -> String {
    let door = Becoming::new(host.door(), Some(Operator::new(&[SECRET]).ask()));
    let node = door.connect(&endpoint("n1")).await.unwrap();
    let words = if has_password { rights(user) } else { ringhaul::inventory::Rights::default() };
    let mut command = Command::new(["sh", "-c", "${RINGHAUL_AS:-sudo -n --} id"], LIMIT);
    if has_password {
        command = command.with_rights(words);
    }
    match node.run(&command).await {
        Ok(output) => {
            let said = String::from_utf8(output.ended.stderr).unwrap();
            let why = refusal::refusal(&said).unwrap_or_else(|| panic!("not named: {said}"));
            format!("{why} [{}]", why.hint())
        }
        Err(NodeError::Rights { problem, fix }) => format!("{problem} [{fix}]"),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn each_refusal_of_sudo_is_named_with_what_helps() {
    let all = "ops ALL=(ALL:ALL) ALL";
    // The mounted file itself is changed; another of its name would not be seen.
    let shadow = |fields: &str| {
        format!(
            "sed 's/^\\(ops:[^:]*\\):.*/\\1:{fields}/' $D/shadow >$D/new; cat $D/new >$D/shadow"
        )
    };
    for (rules, before, password, expected) in [
        (all, String::new(), false, "sudo asks for a password"),
        // Without a password sudo does not say that there is no rule, and tries none then.
        ("", String::new(), true, "sudo asks for a password"),
        ("Defaults requiretty\nops ALL=(ALL) ALL", String::new(), true, "(requiretty)"),
        ("Defaults requiretty\nops ALL=(ALL) NOPASSWD: ALL", String::new(), false, "(requiretty)"),
        ("ops ALL=(ALL) /usr/bin/true", String::new(), true, "for this program"),
        (all, shadow("19000:0:99999:7::1:"), true, "is locked or has expired"),
        (all, shadow("0:0:99999:7:::"), true, "the account or its password has expired"),
        (
            "ops ALL=(ALL) NOPASSWD: ALL",
            "cp /usr/bin/sudo $D/sudo; chmod 755 $D/sudo; mount --bind $D/sudo /usr/bin/sudo"
                .into(),
            false,
            "is not setuid root",
        ),
        (
            "ops ALL=(ALL) NOPASSWD: ALL",
            "cp -p /usr/bin/sudo $D/sudo; mount --bind $D/sudo /usr/bin/sudo; \
             mount -o remount,bind,nosuid /usr/bin/sudo"
                .into(),
            false,
            "mounted nosuid",
        ),
    ] {
        let host = Host::prepared(rules, "sh", &before);
        let said = said(&host, "root", password).await;
        assert!(said.contains(expected), "{rules} {before}: {said}");
    }
}

#[tokio::test]
async fn an_account_that_is_not_there_is_named() {
    let host = Host::new("ops ALL=(ALL:ALL) ALL");
    let said = said(&host, "nobody-here", true).await;
    assert!(said.contains("the account of become.user is not known there"), "{said}");
}

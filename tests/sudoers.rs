//! `ringhaul sudoers`: the table behind it against what every verb really asks of sudo, and its
//! lines against visudo and the real sudo.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on must fail")]

#[allow(dead_code, reason = "the tests of hauls use all of it")]
#[path = "common/backups.rs"]
mod backups;
#[allow(dead_code, reason = "the tests of changes use all of it")]
#[path = "common/fleet.rs"]
mod fleet;
#[allow(dead_code, reason = "the tests of rights use all of it")]
#[path = "become/host.rs"]
mod host;
#[path = "common/local.rs"]
mod local;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command as Process;
use std::sync::Arc;
use std::time::Duration;

use assert_cmd::cargo::CommandCargoExt as _;
use backups::Set;
use fleet::{DISABLE, ENABLE, Nodes, Wish, row, run, verify};
use host::{Host, SECRET};
use ringhaul::inventory::Rights;
use ringhaul::node::becoming::Becoming;
use ringhaul::node::programs::{Goes, NODETOOL};
use ringhaul::node::secret::{Ask, SecretString};
use ringhaul::node::survey::{self, Limits};
use ringhaul::node::{Command, Connect as _, Exit, Node as _};
use ringhaul::record::haul::{Clean, Removal, Ship};
use ringhaul::record::{Job, Outcome};
use ringhaul::run::audit::{Order, RingFrom, audit};
use tokio::sync::{mpsc, watch};

/// A node whose sudo does what it is asked, and keeps in mind what that was.
fn recorded() -> Nodes {
    let nodes = Nodes::new(1);
    let tree = nodes.tree(1);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/sudo.sh");
    symlink(script, tree.path("bin/sudo")).unwrap();
    nodes
}

fn asked(nodes: &Nodes) -> BTreeSet<String> {
    let file = nodes.tree(1).path("asked");
    let text = fs::read_to_string(&file).unwrap_or_default();
    let _ = fs::remove_file(file);
    text.lines().map(str::to_owned).collect()
}

/// Runs a verb to its end, and returns what it asked of sudo.
async fn of_job(nodes: &Nodes, job: Job) -> BTreeSet<String> {
    let name = job.verb();
    let wish = Wish { store: Some(nodes.root.path().join("store")), ..Wish::new(job) };
    let ran = run(nodes, &wish, name).await;
    ran.result.unwrap();
    assert_eq!(row(&ran.fleet, 1).outcome(), Outcome::Done, "{:?}", row(&ran.fleet, 1));
    asked(nodes)
}

fn assert_table(verb: Goes, asked: &BTreeSet<String>) {
    let table = verb.programs().into_iter().map(|program| program.name.to_owned());
    let table: BTreeSet<String> = table.chain([NODETOOL.name.to_owned()]).collect();
    assert_eq!(asked, &table, "{}", verb.name());
}

#[tokio::test]
async fn verbs_that_look_ask_sudo_for_what_the_table_says() {
    let nodes = recorded();
    let limits = Limits { nodetool: Duration::from_secs(20), files: Duration::from_secs(60) };
    let (specs, door) = (nodes.specs(), Arc::new(nodes.door()));
    let order = Order {
        nodes: specs.clone(),
        ring: RingFrom::Ask(specs.clone()),
        in_flight: 1,
        per_jump: None,
        limits,
    };
    let (events, _) = mpsc::unbounded_channel();
    let (_stop, stopped) = watch::channel(false);
    let result = audit(Arc::clone(&door), order, events, stopped).await;
    assert!(result.nodes[0].facts.backups.known().is_some(), "{:?}", result.nodes[0].facts);
    assert_table(Goes::Audit, &asked(&nodes));
    let spec = &specs[0];
    let node = door.connect(&spec.endpoint).await.unwrap();
    assert!(survey::ask_ring(&node, spec, limits).await.known().is_some());
    assert!(survey::ask_cluster_name(&node, spec, limits).await.is_some());
    assert_table(Goes::Nodes, &asked(&nodes));
}

#[tokio::test]
async fn verbs_that_set_ask_sudo_for_what_the_table_says() {
    for (verb, job, on) in [(Goes::Enable, ENABLE, false), (Goes::Disable, DISABLE, true)] {
        let nodes = recorded();
        nodes.tree(1).set(on, on);
        // Left by one that was cut.
        nodes.tree(1).tell("conf/cassandra.yaml.ringhaul-tmp-20261121T131500Z-1", "");
        assert_table(verb, &of_job(&nodes, job).await);
    }
}

#[tokio::test]
async fn verify_asks_sudo_for_what_the_table_says() {
    let nodes = recorded();
    nodes.tree(1).set(true, true);
    let Job::Verify(plain) = verify() else { panic!("verify is verify") };
    let all = ringhaul::record::Verify { deep: true, clean_up: true, ..plain };
    assert_table(Goes::Verify, &of_job(&nodes, Job::Verify(all)).await);
}

#[tokio::test]
async fn ship_and_clean_ask_sudo_for_what_the_table_says() {
    let nodes = recorded();
    nodes.tree(1).set(true, true);
    Set::big("shop.orders", "1", "a").write(&nodes.tree(1));
    let store = nodes.root.path().join("store");
    let ship = Ship {
        store: store.clone(),
        tables: Vec::new(),
        snapshot: None,
        rate: None,
        total_rate: None,
        window: None,
        reserve: 0,
        then_clean: None,
    };
    assert_table(Goes::Ship, &of_job(&nodes, Job::Ship(ship)).await);
    let removal = Removal::default();
    let clean = Clean { store, tables: Vec::new(), window: None, removal };
    assert_table(Goes::Clean, &of_job(&nodes, Job::Clean(clean)).await);
}

/// What the program prints.
fn printed(arguments: &[&str]) -> String {
    let mut ringhaul = Process::cargo_bin("ringhaul").unwrap();
    let folder = tempfile::tempdir().unwrap();
    ringhaul.arg("sudoers").args(arguments).current_dir(folder.path());
    let output = ringhaul.env_remove("RINGHAUL_INVENTORY").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_lines_are_shown_with_what_each_program_is_for() {
    insta::assert_snapshot!(printed(&["audit", "clean", "--user", "backup"]), @r#"
    # /etc/sudoers.d/ringhaul: what ringhaul runs on a node with rights of root.
    # Made by ringhaul 0.1.0 sudoers audit clean --user backup
    # Check it with `visudo -cf FILE`; owner root, mode 0440.
    # The paths are the usual ones; --node NODE asks a node for its own.
    #
    # Arguments are left open. What is read and removed is known only when a run lists it, and a
    # pattern would be no fence: a `*` of sudoers stands for spaces and slashes too, so what allows
    # `cat /var/lib/cassandra/*` allows `cat /var/lib/cassandra/x /etc/shadow` as well.
    #
    # So this is as good as root for whoever has the account: find, tar, cp, dd and mv can run or
    # replace anything. `--as cassandra` gives Cassandra's rights in place of root's, which do for
    # Cassandra's own files; let cassandra.yaml belong to cassandra then, with its folder, or change it
    # by other means.

    # audit:
    #   cat   reads cassandra.yaml
    #   df    tells the room in the data folders
    #   find  lists the data folders, backups and snapshots
    Cmnd_Alias RINGHAUL_AUDIT = /usr/bin/cat, /usr/bin/df, /usr/bin/find

    # clean:
    #   cat   reads cassandra.yaml
    #   df    tells the room in the data folders
    #   find  lists the data folders, backups and snapshots
    #   rm    removes from backups/ what the store is proven to hold, file by file
    #   stat  looks whether a file is still the one that was stored
    Cmnd_Alias RINGHAUL_CLEAN = /usr/bin/cat, /usr/bin/df, /usr/bin/find, /usr/bin/rm, \
        /usr/bin/stat

    # There is no terminal; and what sudo logs of a stream it may cut short.
    Defaults:backup !requiretty
    Defaults!RINGHAUL_AUDIT !log_input, !log_output
    Defaults!RINGHAUL_CLEAN !log_input, !log_output

    backup ALL = (root) NOPASSWD: RINGHAUL_AUDIT, RINGHAUL_CLEAN
    "#);
    insta::assert_snapshot!(printed(&["audit", "--doas", "--as", "cassandra"]), @r#"
    # doas.conf: what ringhaul runs on a node with rights of cassandra.
    # Made by ringhaul 0.1.0 sudoers audit --user ops --as cassandra --doas
    # Add it to /etc/doas.conf; check it with `doas -C FILE`.
    #
    # Arguments are left open. What is read and removed is known only when a run lists it, and a
    # pattern would be no fence: a `*` of sudoers stands for spaces and slashes too, so what allows
    # `cat /var/lib/cassandra/*` allows `cat /var/lib/cassandra/x /etc/shadow` as well.
    #
    # So this is as good as cassandra for whoever has the account: what cassandra may read, change and
    # remove, no more. A file that cassandra may not write, such as a cassandra.yaml of root's, is refused.
    #
    # Names without folders: doas looks for them in the system's folders alone.

    # audit: reads cassandra.yaml
    permit nopass ops as cassandra cmd cat

    # audit: tells the room in the data folders
    permit nopass ops as cassandra cmd df

    # audit: lists the data folders, backups and snapshots
    permit nopass ops as cassandra cmd find
    "#);
}

#[test]
fn visudo_takes_every_form_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lines");
    for more in [
        &[][..],
        &["ship"],
        &["--as", "cassandra", "--user", "back.up-1"],
        &["--password", "--nodetool", "verify", "enable", "verify"],
        &["--unmerged"],
    ] {
        fs::write(&file, printed(more)).unwrap();
        let visudo = Process::new("visudo").arg("-cf").arg(&file).output().expect("visudo");
        assert!(visudo.status.success(), "{more:?}: {visudo:?}");
    }
}

/// Whether the account may run each of the programs on a host with these lines.
async fn allowed(lines: &str, rights: &Rights, programs: &[&str]) -> Vec<bool> {
    let host = Host::new(&format!("Defaults requiretty, log_output\n{lines}"));
    let ask: Ask = Arc::new(|_| Some(SecretString::from(SECRET)));
    let door = Becoming::new(host.door(), Some(ask));
    let node = door.connect(&host::endpoint("n1")).await.unwrap();
    let mut allowed = Vec::new();
    for program in programs {
        let words = rights.words().join(" ");
        let script = format!("${{RINGHAUL_AS:-{words}}} {program} --version");
        let mut command = Command::new(["sh", "-c", &script], host::LIMIT);
        if rights.password != ringhaul::inventory::PasswordOf::None {
            command = command.with_rights(rights.clone());
        }
        let output = node.run(&command).await.unwrap();
        allowed.push(output.ended.exit == Exit::Code(0));
    }
    allowed
}

#[tokio::test]
async fn the_lines_allow_what_the_verbs_run_and_nothing_else() {
    let programs = ["cat", "df", "find", "stat", "rm", "tar", "cp", "id", "sh"];
    let clean = [true, true, true, true, true, false, false, false, false];
    for (more, user) in
        [(&["--password"][..], "root"), (&["--password", "--as", "cassandra"], "cassandra")]
    {
        let lines = printed(&[&["audit", "clean"], more].concat());
        assert_eq!(allowed(&lines, &host::rights(user), &programs).await, clean, "{more:?}");
    }
    for user in ["root", "cassandra"] {
        let rights = Rights { user: user.to_owned(), ..Rights::default() };
        let lines = printed(&["audit", "clean", "--as", user]);
        assert_eq!(allowed(&lines, &rights, &programs).await, clean, "{user}");
        // The other one's rights are not had by it.
        let other = if user == "root" { "cassandra" } else { "root" };
        let rights = Rights { user: other.to_owned(), ..Rights::default() };
        assert_eq!(allowed(&lines, &rights, &["cat"]).await, [false], "{user}");
    }
}

//! What is particular about the door over the ssh program: its processes, its questions, its
//! words, and the operator's ssh_config, which it reads itself.

use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command as Process, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ringhaul::node::secret::{Ask, Question, SecretString};
use ringhaul::node::ssh::Options;
use ringhaul::node::{Connect, Endpoint, Exit, Node, NodeError, Transport};

use super::doors::{By, by, with};
use super::{LIMIT, command, pair, shell};
use crate::common::sshd::{Home, Sshd, send, user};

fn door(home: &Home) -> By {
    by(Transport::Openssh, home)
}

fn configured(home: &Home, text: &str) -> By {
    let config = home.path("config");
    fs::write(&config, text).unwrap();
    with(Transport::Openssh, home, Options { config_file: Some(config), ..home.options() })
}

/// The ssh processes whose arguments name the server's port.
fn clients(sshd: &Sshd) -> Vec<u32> {
    let port = sshd.port.to_string();
    let pids = fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_client = |pid: &u32| {
        let argv = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut words = argv.split(|byte| *byte == 0);
        words.next() == Some(b"ssh") && words.any(|word| word == port.as_bytes())
    };
    pids.filter(is_client).collect()
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(15), "{what} never came");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn host_keys_are_judged_strictly_whatever_ssh_config_says() {
    let home = Home::new();
    home.key("id_ed25519", "ed25519", "");
    let sshd = Sshd::start(&home, "");
    let fault = async |door: &By, endpoint: &Endpoint| match door.connect(endpoint).await {
        Err(NodeError::HostKey { problem, fix }) => (problem, fix),
        other => panic!("{other:?}"),
    };
    let shown = format!("it shows the ED25519 key {}", sshd.fingerprint("ed25519"));
    let (problem, fix) = fault(&door(&home), &sshd.endpoint()).await;
    let name = sshd.name();
    assert_eq!(problem, format!("the host key of {name} is not known: {shown}"));
    assert!(fix.contains("--accept-new-host-keys"), "{fix}");
    let known = Endpoint { known_hosts: vec![home.known_hosts()], ..sshd.endpoint() };
    let careless = configured(&home, "StrictHostKeyChecking no\n");
    assert_eq!(fault(&careless, &known).await.0, problem);

    let mut options = home.options();
    options.accept_new_host_keys = true;
    with(Transport::Openssh, &home, options.clone()).connect(&sshd.endpoint()).await.unwrap();
    door(&home).connect(&sshd.endpoint()).await.unwrap();

    let other = home.stranger("other", "ed25519", "").with_extension("pub");
    let other = fs::read_to_string(other).unwrap();
    fs::write(home.known_hosts(), format!("{name} {other}")).unwrap();
    let (problem, fix) = fault(&with(Transport::Openssh, &home, options), &sshd.endpoint()).await;
    let file = home.known_hosts();
    let file = file.display();
    assert_eq!(
        problem,
        format!("the host key of {name} has changed: {shown}, not the ED25519 key at {file}:1")
    );
    assert!(fix.ends_with(&format!("ssh-keygen -R '{name}' -f {file}")), "{fix}");
    fs::write(home.known_hosts(), format!("@revoked * {}\n", sshd.host_key("ed25519"))).unwrap();
    let (problem, _) = fault(&door(&home), &sshd.endpoint()).await;
    assert!(problem.starts_with(&format!("the host key of {name} is revoked: ")), "{problem}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_that_fails_says_what_was_offered() {
    let (home, sshd) = pair("");
    let key = home.stranger("named", "ed25519", "");
    let named = |file: PathBuf| Endpoint { identity_files: vec![file], ..sshd.endpoint() };
    let error = door(&home).connect(&named(key.clone())).await.unwrap_err();
    let NodeError::Auth { user: who, tried } = &error else { panic!("{error:?}") };
    assert_eq!(who, &user());
    assert!(tried.starts_with(&format!("offered {} ED25519 SHA256:", key.display())), "{tried}");
    assert!(tried.ends_with("; the server takes publickey"), "{tried}");
    let missing = home.path("missing");
    let error = door(&home).connect(&named(missing.clone())).await.unwrap_err();
    assert_eq!(error, NodeError::Local(format!("{}: no such key file", missing.display())));
}

/// Asks for a passphrase: counts, and has each of `answers` once.
fn answering(answers: &'static [&'static str]) -> (Ask, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let asked = Arc::clone(&count);
    let ask: Ask = Arc::new(move |question: &Question<'_>| {
        assert!(matches!(question, Question::Passphrase(_)), "{question:?}");
        let answer = answers.get(asked.fetch_add(1, Ordering::SeqCst));
        answer.map(|answer| SecretString::from(*answer))
    });
    (ask, count)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_passphrase_is_asked_for_once_for_all_lines_and_stands_nowhere() {
    const SECRET: &str = "a-passphrase-of-its-own";
    let home = Home::new();
    home.key("id_ed25519", "ed25519", SECRET);
    let sshd = Sshd::start(&home, "");
    home.trust(&sshd);
    let (ask, count) = answering(&[SECRET]);
    let options = Options { ask: Some(ask), ..home.options() };
    let door = with(Transport::Openssh, &home, options);
    let endpoint = sshd.endpoint();
    let lines = futures::future::join_all((0..4).map(|_| door.connect(&endpoint))).await;
    assert!(lines.iter().all(Result::is_ok), "{lines:?}");
    assert_eq!(count.load(Ordering::SeqCst), 1);
    let masters = clients(&sshd);
    assert_eq!(masters.len(), 4);
    for pid in masters {
        for file in ["cmdline", "environ"] {
            let text = fs::read(format!("/proc/{pid}/{file}")).unwrap();
            assert!(!String::from_utf8_lossy(&text).contains(SECRET), "{file}");
        }
    }

    // A wrong one is not tried at the next node; the operator is asked again.
    let (ask, count) = answering(&["wrong", SECRET]);
    let options = Options { ask: Some(ask), ..home.options() };
    let door = with(Transport::Openssh, &home, options);
    let error = door.connect(&endpoint).await.unwrap_err();
    assert!(matches!(error, NodeError::Auth { .. }), "{error:?}");
    door.connect(&endpoint).await.unwrap();
    assert_eq!(count.load(Ordering::SeqCst), 2);

    // Nobody can be asked.
    let error = by(Transport::Openssh, &home).connect(&endpoint).await.unwrap_err();
    assert!(matches!(error, NodeError::Auth { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_who_takes_his_time_costs_the_login_nothing() {
    let home = Home::new();
    home.key("id_ed25519", "ed25519", "secret");
    let sshd = Sshd::start(&home, "");
    home.trust(&sshd);
    let ask: Ask = Arc::new(|_| {
        std::thread::sleep(Duration::from_secs(4));
        Some(SecretString::from("secret"))
    });
    let auth_timeout = Duration::from_secs(3);
    let options = Options { ask: Some(ask), auth_timeout, ..home.options() };
    with(Transport::Openssh, &home, options).connect(&sshd.endpoint()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_remote_255_is_no_lost_line_and_a_lost_line_no_exit() {
    let (home, sshd) = pair("");
    let node = door(&home).connect(&sshd.endpoint()).await.unwrap();
    let lie = shell("echo 'mux: Session open refused by peer' >&2; exit 255");
    let output = node.run(&lie).await.unwrap();
    assert_eq!(output.ended.exit, Exit::Code(255));
    // All that tells the end is gone, although the output came and sshd says how it ended.
    let error = node.run(&shell("echo all of it; kill -KILL $PPID")).await.unwrap_err();
    let cause = "the command ended without an exit status".to_owned();
    assert_eq!(error, NodeError::Lost { cause });
    let bytes = node.run(&shell("printf 'a\\0b\\377'")).await.unwrap();
    assert_eq!(bytes.stdout, b"a\0b\xff");

    // Without its master a client makes no connection of its own.
    let masters = clients(&sshd);
    let [master] = masters.as_slice() else { panic!("{masters:?}") };
    send("-KILL", *master);
    let error = node.run(&command(&["true"])).await.unwrap_err();
    assert!(matches!(error, NodeError::Lost { .. }), "{error:?}");
    assert_eq!(sshd.log().matches("Accepted publickey").count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_is_held_with_beats_and_let_go_with_a_word() {
    let (home, sshd) = pair("MaxSessions 2");
    let node = door(&home).connect(&sshd.endpoint()).await.unwrap();
    let script = "echo ready; while read -r line; do echo \"got:$line\"; done; echo end";
    let held = shell(script).with_stdin(b"first\n".as_slice());
    let (ready, mut is_ready) = tokio::sync::mpsc::unbounded_channel();
    let mut text = Vec::new();
    let mut sink = |piece: &[u8]| {
        text.extend_from_slice(piece);
        let _ = ready.send(());
        ControlFlow::Continue(())
    };
    let enough = async {
        is_ready.recv().await.unwrap();
        // Another runs beside it.
        assert_eq!(node.run(&command(&["echo", "x"])).await.unwrap().stdout, b"x\n");
        tokio::time::sleep(Duration::from_millis(300)).await;
    };
    let ended = node.hold(&held, Duration::from_millis(50), enough, &mut sink).await.unwrap();
    assert_eq!(ended.exit, Exit::Code(0));
    let text = String::from_utf8(text).unwrap();
    assert!(text.starts_with("ready\ngot:first\ngot:\n"), "{text}");
    assert!(text.ends_with("got:\ngot:done\nend\n"), "{text}");

    // Dropped: the input ends without the word.
    let file = home.path("input");
    let script = format!("echo ready; cat >{}; echo cut >>{}", file.display(), file.display());
    let (ready, mut is_ready) = tokio::sync::mpsc::unbounded_channel();
    let mut sink = |_: &[u8]| {
        let _ = ready.send(());
        ControlFlow::Continue(())
    };
    let never = std::future::pending();
    let held = shell(&script);
    tokio::select! {
        ended = node.hold(&held, LIMIT, never, &mut sink) => panic!("{ended:?}"),
        _ = is_ready.recv() => {}
    }
    super::commands::commands_end(&sshd).await;
    assert!(!fs::read_to_string(file).unwrap().contains("done"));

    let (home, sshd) = pair("MaxSessions 1");
    let node = door(&home).connect(&sshd.endpoint()).await.unwrap();
    let mut sink = |_: &[u8]| ControlFlow::Continue(());
    let error = node.hold(&held, LIMIT, async {}, &mut sink).await.unwrap_err();
    let NodeError::NoCommand { cause } = &error else { panic!("{error:?}") };
    assert!(cause.starts_with("sshd allows one session a connection (MaxSessions 1)"), "{cause}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_whose_only_session_is_held_by_what_was_given_up_is_let_go() {
    let (home, sshd) = pair("MaxSessions 1");
    let door = door(&home);
    let node = door.connect(&sshd.endpoint()).await.unwrap();
    let limit = super::commands::short(Transport::Openssh);
    // It ends only when the connection does.
    let script = "echo started; while echo x >&2; do sleep 0.05; done";
    let error = node.run(&ringhaul::node::Command::new(["sh", "-c", script], limit)).await;
    assert!(matches!(error, Err(NodeError::TimedOut { .. })), "{error:?}");
    super::commands::commands_end(&sshd).await;
    let error = node.run(&command(&["true"])).await.unwrap_err();
    let NodeError::Lost { cause } = &error else { panic!("{error:?}") };
    assert!(cause.starts_with("a command that was given up held its only session"), "{cause}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ssh_config_is_read_by_ssh_and_what_would_get_in_the_way_is_not() {
    let (home, jump) = pair("");
    let sshd = Sshd::start(&home, "");
    home.trust(&sshd);
    let here = |name: &str| home.path(name).display().to_string();
    let (key, known) = (here(".ssh/id_ed25519"), here(".ssh/known_hosts"));
    let common = format!(
        "Match host 127.0.0.1 user nobody-here\n  Port 1\nHost *\n  User {}\n  \
         IdentityFile {key}\n  UserKnownHostsFile {known}\n",
        user()
    );
    let text = format!(
        "Host node\n  HostName 127.0.0.1\n  Port {}\n  ControlMaster auto\n  ControlPath {}\n  \
         ControlPersist yes\n  RemoteCommand false\n  RequestTTY force\n  LocalCommand touch {}\n  \
         PermitLocalCommand yes\n  LocalForward 127.0.0.1:1 127.0.0.1:1\n  LogLevel QUIET\n  \
         ProxyCommand ssh -F {} -p {} -W %h:%p 127.0.0.1\n{common}",
        sshd.port,
        here("control"),
        here("touched"),
        here("config"),
        jump.port,
    );
    let door = configured(&home, &text);
    let node = Endpoint { host: "node".into(), ..Endpoint::default() };
    let line = door.connect(&node).await.unwrap();
    assert_eq!(line.run(&command(&["echo", "x"])).await.unwrap().stdout, b"x\n");
    assert_eq!(line.peer_address(), None);
    assert_eq!(jump.log().matches("Accepted publickey").count(), 1);
    assert!(!home.path("control").exists() && !home.path("touched").exists());
    // The operator's own settings win, also over a ProxyCommand.
    let elsewhere = Endpoint { port: Some(1), proxy_jump: Some(Vec::new()), ..node.clone() };
    let error = door.connect(&elsewhere).await.unwrap_err();
    assert_eq!(error, NodeError::Refused { address: "127.0.0.1:1".into() });

    let error = configured(&home, "NoSuchThing y\n").connect(&node).await.unwrap_err();
    let NodeError::Local(text) = &error else { panic!("{error:?}") };
    assert!(text.starts_with("ssh: ") && text.contains("nosuchthing"), "{text}");
    fs::remove_file(home.path("config")).unwrap();
    let options = Options { config_file: Some(home.path("config")), ..home.options() };
    let gone = with(Transport::Openssh, &home, options);
    let error = gone.connect(&node).await.unwrap_err();
    assert!(matches!(&error, NodeError::Local(text) if text.contains("No such file")), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_are_out_of_the_terminals_reach_and_end_with_the_line() {
    let (home, sshd) = pair("");
    let door = door(&home);
    let node = door.connect(&sshd.endpoint()).await.unwrap();
    let masters = clients(&sshd);
    assert_eq!(masters.len(), 1);
    let group = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit_once(") ").unwrap().1.split(' ').nth(2).unwrap().to_owned()
    };
    assert_ne!(group(masters[0]), group(std::process::id()));
    let argv = fs::read(format!("/proc/{}/cmdline", masters[0])).unwrap();
    let argv = String::from_utf8(argv).unwrap();
    let socket = PathBuf::from(argv.split('\0').skip_while(|word| *word != "-S").nth(1).unwrap());
    let room = socket.parent().unwrap().to_owned();
    assert!(socket.exists());
    assert_eq!(fs::metadata(&room).unwrap().permissions().mode() & 0o777, 0o700);
    drop(node);
    until("the end of the master", || clients(&sshd).is_empty()).await;
    assert!(!socket.exists());
    drop(door);
    until("the end of the folder", || !room.exists()).await;
}

/// Starts the program with this ssh, on a server where every command waits for ever.
fn program(home: &Home, sshd: &Sshd, path: &str) -> Process {
    let mut program = Process::new(env!("CARGO_BIN_EXE_ringhaul"));
    program
        .args(["nodes", "--transport", "openssh", "--ssh-config", "none", "-i"])
        .arg(home.path("inventory.yaml"))
        .args(["--via", "n1"])
        .env("PATH", path)
        .stdin(Stdio::null());
    let text = format!(
        "cluster: c\ndefaults:\n  port: {}\n  identity_file: {}\n  known_hosts: {}\n\
         nodes:\n  - host: n1\n    address: 127.0.0.1\n",
        sshd.port,
        home.path(".ssh/id_ed25519").display(),
        home.known_hosts().display()
    );
    fs::write(home.path("inventory.yaml"), text).unwrap();
    program
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_is_killed_leaves_no_ssh_behind() {
    let (home, sshd) = pair("ForceCommand sleep 1000");
    let path = std::env::var("PATH").unwrap();
    let mut program =
        program(&home, &sshd, &path).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("a command", || sshd.log().contains("Starting session: forced-command")).await;
    program.kill().unwrap();
    program.wait().unwrap();
    until("the end of ssh", || clients(&sshd).is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_without_ssh_says_so() {
    let (home, sshd) = pair("");
    let output = program(&home, &sshd, "/nowhere").output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("transport openssh: ssh is not installed"), "{text}");
}

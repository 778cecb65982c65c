//! What ssh 9.2 printed in each situation, and what is made of it.

use super::*;

fn failed(log: &str, stderr: &str) -> Failed {
    let mut told = Log::default();
    told.take(log.as_bytes());
    let endpoint = Endpoint { host: "n1".into(), port: Some(22), ..Endpoint::default() };
    let elapsed = Duration::from_millis(10_020);
    failure(&told, stderr.as_bytes(), &Context { endpoint: &endpoint, elapsed, hint: None })
}

fn finally(log: &str, stderr: &str) -> NodeError {
    match failed(log, stderr) {
        Failed::Finally(error) => error,
        Failed::Early(error) => panic!("tried again: {error:?}"),
    }
}

const CONNECTED: &str = "debug1: Connecting to n1 [10.0.0.1] port 22.\n\
     debug1: Connection established.\ndebug1: Remote protocol version 2.0, x\n\
     debug1: Authenticating to n1:22 as 'ops'\ndebug1: Server host key: ssh-ed25519 SHA256:abc\n";

#[test]
fn hosts_that_are_not_reached() {
    let connecting = "debug1: Connecting to n1 [10.0.0.1] port 22.\n";
    let with = |line: &str| finally(&format!("{connecting}{line}\n"), "");
    assert_eq!(
        with("ssh: connect to host n1 port 22: Connection refused"),
        NodeError::Refused { address: "n1:22".into() }
    );
    assert_eq!(
        with("ssh: connect to host fe80::1 port 22: No route to host"),
        NodeError::Unreachable { address: "[fe80::1]:22".into(), cause: "No route to host".into() }
    );
    let after = Duration::from_secs(10);
    assert_eq!(
        with("ssh: connect to host n1 port 22: Connection timed out"),
        NodeError::TimedOut { stage: Stage::Connect, after }
    );
    assert_eq!(
        with("Connection timed out during banner exchange"),
        NodeError::TimedOut { stage: Stage::Handshake, after }
    );
    let cause = "Name or service not known".to_owned();
    assert_eq!(
        finally("ssh: Could not resolve hostname n1: Name or service not known\n", ""),
        NodeError::Unreachable { address: "n1:22".into(), cause }
    );
    assert_eq!(
        finally("/x/config: line 1: Bad configuration option: nosuch\x1b\n", ""),
        NodeError::Local("ssh: /x/config: line 1: Bad configuration option: nosuch\\u{1b}".into())
    );
}

#[test]
fn only_a_server_that_closes_before_it_proved_itself_is_tried_again() {
    let greeting =
        "debug1: Connecting to n1 [10.0.0.1] port 22.\ndebug1: Connection established.\n";
    let closed = "kex_exchange_identification: Connection closed by remote host\n";
    let early = |why: &str| {
        let cause = format!("closed before the handshake was done: {why}");
        Failed::Early(NodeError::Lost { cause })
    };
    let plain = failed(&format!("{greeting}{closed}"), "");
    assert_eq!(plain, early("sshd's MaxStartups, or a firewall"));
    let banner = "debug1: kex_exchange_identification: banner line 0: Exceeded MaxStartups\n";
    let said = failed(&format!("{greeting}{banner}{closed}"), "");
    assert_eq!(said, early("the server said \"Exceeded MaxStartups\""));
    let later = format!("{CONNECTED}Connection closed by 10.0.0.1 port 22\n");
    assert!(matches!(finally(&later, ""), NodeError::Lost { .. }));
}

#[test]
fn a_host_key_that_is_refused_is_told_with_its_fingerprint_and_the_fix() {
    let refused = |lines: &str| {
        let log = format!("{CONNECTED}{lines}Host key verification failed.\n");
        let error = finally(&log, "");
        let NodeError::HostKey { problem, fix } = error else { panic!("{error:?}") };
        (problem, fix)
    };
    let (problem, fix) = refused(
        "No ED25519 host key is known for [n1]:2222 and you have requested strict checking.\n",
    );
    let want = "the host key of [n1]:2222 is not known: it shows the ED25519 key SHA256:abc";
    assert_eq!(problem, want);
    assert!(fix.contains("ssh -o StrictHostKeyChecking=ask -p 22 n1 true"), "{fix}");
    let (problem, fix) = refused(
        "Offending ECDSA key in /k h:7\n\
         Host key for n1 has changed and you have requested strict checking.\n",
    );
    assert_eq!(
        problem,
        "the host key of n1 has changed: it shows the ED25519 key SHA256:abc, not the ECDSA key \
         at /k h:7"
    );
    assert!(fix.ends_with("ssh-keygen -R n1 -f '/k h'"), "{fix}");
    let (problem, _) =
        refused("ED25519 host key for n1 was revoked and you have requested strict checking.\n");
    assert_eq!(problem, "the host key of n1 is revoked: the ED25519 key SHA256:abc");
}

#[test]
fn a_login_that_failed_tells_what_was_tried() {
    let log = format!(
        "{CONNECTED}debug1: SSH2_MSG_NEWKEYS received\n\
         debug1: Authentications that can continue: publickey\n\
         debug1: Offering public key: /k ED25519 SHA256:def explicit\n\
         ops@n1: Permission denied (publickey).\n"
    );
    let tried = "offered /k ED25519 SHA256:def explicit; the server takes publickey".to_owned();
    assert_eq!(finally(&log, ""), NodeError::Auth { user: "ops".into(), tried });
}

#[test]
fn what_fails_on_the_way_names_the_jump_host() {
    let log = "debug1: Executing proxy command: exec ssh -W '[n1]:22' b1\n\
         kex_exchange_identification: Connection closed by remote host\n\
         Connection closed by UNKNOWN port 65535\n";
    let unreachable =
        |cause: &str| NodeError::Unreachable { address: "n1:22".into(), cause: cause.into() };
    assert_eq!(
        finally(log, "ssh: connect to host b1 port 22: Connection refused\n"),
        unreachable("jump host: ssh: connect to host b1 port 22: Connection refused")
    );
    assert_eq!(
        finally(log, "channel 0: open failed: connect failed: Connection refused\nstdio fo\n"),
        unreachable("the jump host could not connect to it")
    );
    let denied = finally(log, "ops@b1: Permission denied (publickey).\n");
    let user = "ops at the jump host b1".to_owned();
    assert_eq!(denied, NodeError::Auth { user, tried: "the server takes publickey".into() });
    let early = "kex_exchange_identification: read: Connection reset by peer\n";
    assert!(matches!(failed(log, early), Failed::Early(NodeError::Unreachable { .. })));
    let unknown = "No ED25519 host key is known for b1 and you have requested strict checking.\n\
         Host key verification failed.\n";
    assert!(matches!(finally(log, unknown), NodeError::HostKey { .. }));
}

#[test]
fn why_a_line_ended_is_the_last_that_ssh_said_of_it() {
    let ended = |text: &str| {
        let mut log = Log::default();
        log.take(text.as_bytes());
        end(&log)
    };
    let sums = "Transferred: sent 1, received 2 bytes, in 1.3 seconds\nBytes per second: sent 3\n";
    assert_eq!(ended(sums), None);
    let silent = format!("Timeout, server n1 not responding.\n{sums}");
    assert_eq!(ended(&silent).as_deref(), Some("the server no longer answers"));
    let closed = format!("Connection to n1 closed by remote host.\n{sums}");
    assert_eq!(ended(&closed).as_deref(), Some("the connection closed"));
    let hung_up = "Received disconnect from 10.0.0.1 port 22:11: bye now\n";
    assert_eq!(ended(hung_up).as_deref(), Some("the server hung up: bye now"));
}

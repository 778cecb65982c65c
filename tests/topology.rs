//! What is asked of a node about who shares data with whom, on nodes made here: how many
//! questions, and what each failure makes of the answer.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use ringhaul::cassandra::fact::{Fact, WhyKind};
use ringhaul::cassandra::replicas::Replicas;
use ringhaul::inventory::NodeSpec;
use ringhaul::node::catalog::Nodetool;
use ringhaul::node::topology::{ask_replicas, ask_tokens};
use ringhaul::node::{Command, Ended, Endpoint, Exit, Node, NodeError, Output, Sink};
use tokio::sync::mpsc;

type Answer = Box<dyn Fn(&str, usize) -> Output + Send + Sync>;

/// Answers to the arguments of nodetool, and to how often they have come before.
struct Host {
    answer: Answer,
    asked: Mutex<Vec<String>>,
    running: AtomicUsize,
    most_running: AtomicUsize,
}

impl Host {
    fn new(answer: impl Fn(&str, usize) -> Output + Send + Sync + 'static) -> Self {
        Self {
            answer: Box::new(answer),
            asked: Mutex::default(),
            running: AtomicUsize::new(0),
            most_running: AtomicUsize::new(0),
        }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Node for Host {
    async fn pour(
        &self,
        _: &Command,
        _: mpsc::Sender<Bytes>,
    ) -> std::result::Result<Ended, NodeError> {
        panic!("nothing is poured here");
    }

    async fn hold(
        &self,
        _: &Command,
        _: Duration,
        enough: impl Future<Output = ()> + Send,
        sink: &mut Sink<'_>,
    ) -> std::result::Result<Ended, NodeError> {
        let _ = sink(b"\0held 1\0");
        enough.await;
        Ok(Ended { exit: Exit::Code(0), stderr: Vec::new() })
    }

    async fn feed(&self, command: &Command, sink: &mut Sink<'_>) -> Result<Ended, NodeError> {
        let at = command.argv().iter().position(|word| word == "/nodetool").unwrap();
        let words = command.argv()[at + 1..].join(" ");
        let earlier = {
            let mut asked = self.asked.lock().unwrap();
            asked.push(words.clone());
            asked.iter().filter(|other| **other == words).count() - 1
        };
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_running.fetch_max(running, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.running.fetch_sub(1, Ordering::SeqCst);
        let output = (self.answer)(&words, earlier);
        let _ = sink(&output.stdout);
        Ok(output.ended)
    }
}

fn tool() -> Nodetool {
    let mut spec = NodeSpec::at(Endpoint { host: "cass-01".to_owned(), ..Endpoint::default() });
    spec.paths.nodetool = Some("/nodetool".to_owned());
    Nodetool::new(&spec, Duration::from_secs(20))
}

fn printed(text: &str) -> Output {
    Output { stdout: text.into(), ended: Ended { exit: Exit::Code(0), stderr: Vec::new() } }
}

fn failed(stderr: &str) -> Output {
    Output { stdout: Vec::new(), ended: Ended { exit: Exit::Code(2), stderr: stderr.into() } }
}

/// `name class {options}` each.
fn cluster(keyspaces: &[&str]) -> Output {
    let mut text = "Cluster Information:\n\tName: x\n\nKeyspaces:\n".to_owned();
    for line in ["system LocalStrategy {}"].iter().chain(keyspaces) {
        let (name, replication) = line.split_once(' ').unwrap();
        text += &format!("\t{name} -> Replication class: {replication}\n");
    }
    printed(&text)
}

/// A range for each set of endpoints.
fn ranges(endpoints: &[&str]) -> Output {
    let mut text = "Schema Version:x\nTokenRange: \n".to_owned();
    let total = endpoints.len();
    for (number, endpoints) in endpoints.iter().enumerate() {
        let next = (number + 1) % total;
        text += &format!("\tTokenRange(start_token:{number}, end_token:{next}, ");
        text += &format!("endpoints:[{endpoints}], rpc_endpoints:[], endpoint_details:[])\n");
    }
    printed(&text)
}

/// `a: b c; b: a; c: a`
fn shown(fact: &Fact<Replicas>) -> String {
    let apart = fact.known().unwrap().apart();
    let nodes = apart.into_iter().map(|(node, others)| {
        format!("{node}: {}", others.into_iter().collect::<Vec<_>>().join(" "))
    });
    nodes.collect::<Vec<_>>().join("; ")
}

#[tokio::test(start_paused = true)]
async fn keyspaces_of_equal_replication_are_asked_for_once_and_their_pairs_added() {
    let host = Host::new(|words, _| match words {
        "describecluster" => cluster(&[
            "two SimpleStrategy {replication_factor=2}",
            "net NetworkTopologyStrategy {dc1=2, dc2=2}",
            "Net_again NetworkTopologyStrategy {dc2=2, dc1=2}",
            "one SimpleStrategy {replication_factor=1}",
            "system_auth NetworkTopologyStrategy {dc1=3}",
            "own LocalStrategy {}",
        ]),
        "describering two" => ranges(&["1.1.1.1, 1.1.1.2", "1.1.1.2, 1.1.1.1"]),
        "describering Net_again" => ranges(&["1.1.1.2, fd77:0:0:0:0:0:0:11", "1.1.1.1"]),
        "describering one" => ranges(&["1.1.1.1", "1.1.1.4"]),
        other => panic!("{other} is asked"),
    });
    let replicas = ask_replicas(&host, &tool()).await;
    assert_eq!(
        shown(&replicas),
        "1.1.1.1: 1.1.1.2; 1.1.1.2: 1.1.1.1 fd77:0:0:0:0:0:0:11; 1.1.1.4: ; \
         fd77:0:0:0:0:0:0:11: 1.1.1.2"
    );
    assert_eq!(host.asked().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn no_more_than_four_calls_run_at_once() {
    let host = Host::new(|words, _| {
        let keyspaces: Vec<String> = (0..10).map(|n| format!("k{n} X {{dc1={n}}}")).collect();
        let keyspaces: Vec<&str> = keyspaces.iter().map(String::as_str).collect();
        if words == "describecluster" { cluster(&keyspaces) } else { ranges(&["1.1.1.1"]) }
    });
    assert_eq!(shown(&ask_replicas(&host, &tool()).await), "1.1.1.1: ");
    assert_eq!(host.asked().len(), 11);
    assert_eq!(host.most_running.load(Ordering::SeqCst), 4);
}

#[tokio::test(start_paused = true)]
async fn a_ring_without_keyspaces_of_users_keeps_nobody_apart() {
    let host = Host::new(|_, _| cluster(&["system_auth SimpleStrategy {replication_factor=1}"]));
    assert_eq!(shown(&ask_replicas(&host, &tool()).await), "");
    assert_eq!(host.asked(), ["describecluster"]);
}

#[tokio::test(start_paused = true)]
async fn a_keyspace_that_is_everywhere_keeps_everybody_apart() {
    let row = |address: &str, token: i32| format!("{address}  r1  Up  Normal  ?  ?  {token}\n");
    let table = format!("\nDatacenter: dc1\n{}{}", row("1.1.1.1", 5), row("1.1.1.2", -5));
    let table = table + &row("1.1.1.1", -7);
    let host = Host::new(move |words, _| match words {
        "describecluster" => cluster(&["all EverywhereStrategy {}"]),
        "ring" => printed(&table),
        other => panic!("{other} is asked"),
    });
    let replicas = ask_replicas(&host, &tool()).await;
    assert_eq!(shown(&replicas), "1.1.1.1: 1.1.1.2; 1.1.1.2: 1.1.1.1");
    let tokens = ask_tokens(&host, &tool()).await;
    let expected = [("1.1.1.1".to_owned(), -7), ("1.1.1.2".to_owned(), -5)];
    assert_eq!(tokens, Fact::Known(expected.into()));
}

#[tokio::test(start_paused = true)]
async fn without_a_list_of_keyspaces_it_is_unknown_and_says_what_to_do() {
    let host = Host::new(|_, _| printed("Cluster Information:\n\tName: x\n"));
    let replicas = ask_replicas(&host, &tool()).await;
    let why = replicas.why().unwrap();
    assert_eq!(why.kind, WhyKind::NotUnderstood);
    assert!(why.text.contains("before Cassandra 4.0"), "{why}");
    assert!(why.hint().contains("--strategy rack or one"), "{}", why.hint());
    assert_eq!(host.asked(), ["describecluster"]);
}

#[tokio::test(start_paused = true)]
async fn any_failure_makes_all_of_it_unknown() {
    let refused = "nodetool: Failed to connect to '127.0.0.1:7199' - ConnectException: \
                   'Connection refused'.";
    for (bad, kind) in [
        (failed(refused), WhyKind::CassandraDown),
        (failed("error: boom"), WhyKind::NotUnderstood),
        (printed(""), WhyKind::NotUnderstood),
        (printed("Schema Version:x\nTokenRange: \n"), WhyKind::NotUnderstood),
    ] {
        for at in ["describecluster", "describering b"] {
            let bad = bad.clone();
            let host = Host::new(move |words, _| match words {
                _ if words == at => bad.clone(),
                "describecluster" => cluster(&["a X {dc1=1}", "b X {dc1=2}"]),
                _ => ranges(&["1.1.1.1"]),
            });
            let replicas = ask_replicas(&host, &tool()).await;
            assert_eq!(replicas.why().unwrap().kind, kind, "{at}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_keyspace_dropped_in_between_is_no_failure() {
    let host = Host::new(|words, earlier| match (words, earlier) {
        ("describecluster", 0) => cluster(&["a X {dc1=1}", "gone X {dc1=2}"]),
        ("describecluster", 1) => cluster(&["a X {dc1=1}"]),
        ("describering a", _) => ranges(&["1.1.1.1, 1.1.1.2"]),
        ("describering gone", _) => failed("error: No such keyspace: gone"),
        (other, _) => panic!("{other} is asked"),
    });
    let replicas = ask_replicas(&host, &tool()).await;
    assert_eq!(shown(&replicas), "1.1.1.1: 1.1.1.2; 1.1.1.2: 1.1.1.1");
}

#[tokio::test(start_paused = true)]
async fn a_schema_that_never_stands_still_is_not_asked_for_for_ever() {
    let host = Host::new(|words, earlier| match words {
        "describecluster" => cluster(&[&format!("k{earlier} X {{dc1=2}}")]),
        _ => failed("error: No such keyspace"),
    });
    assert!(ask_replicas(&host, &tool()).await.why().is_some());
    assert_eq!(host.asked().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_no_keyspaces_never_reaches_a_command() {
    for name in ["-h", "a;reboot", "$(reboot)", "a\u{202e}b", &"x".repeat(49)] {
        let line = format!("{name} SimpleStrategy {{replication_factor=2}}");
        let host = Host::new(move |_, _| cluster(&[&line]));
        let replicas = ask_replicas(&host, &tool()).await;
        let why = replicas.why().unwrap();
        assert!(why.text.starts_with("the node names a keyspace as no keyspace can be"), "{why}");
        assert!(!why.text.contains('\u{202e}'));
        assert_eq!(host.asked(), ["describecluster"], "{name}");
    }
}

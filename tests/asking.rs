//! The loop that asks, on nodes made here and a clock that jumps: who waits for whom.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use ringhaul::audit::Verdict;
use ringhaul::cassandra::fact::{Fact, WhyKind};
use ringhaul::event::Event;
use ringhaul::inventory::NodeSpec;
use ringhaul::node::survey::Limits;
use ringhaul::node::{Command, Connect, Ended, Endpoint, Exit, Node, NodeError, Sink, Stage};
use ringhaul::run::audit::{Order, Result, RingFrom, audit};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Hosts named `silent…` take the connection and say nothing; `starting…` answer too early;
/// `odd…` hide what they are doing; `bad…` print what makes the reader's work heavy.
struct Fleet {
    asked: Arc<Mutex<Vec<String>>>,
}

struct Host {
    name: String,
    asked: Arc<Mutex<Vec<String>>>,
}

const HANDSHAKE: Duration = Duration::from_secs(15);

impl Connect for Fleet {
    type Node = Host;

    async fn connect(&self, endpoint: &Endpoint) -> std::result::Result<Host, NodeError> {
        if endpoint.host.starts_with("silent") {
            tokio::time::sleep(HANDSHAKE).await;
            return Err(NodeError::TimedOut { stage: Stage::Handshake, after: HANDSHAKE });
        }
        Ok(Host { name: endpoint.host.clone(), asked: Arc::clone(&self.asked) })
    }

    async fn behind(&self, endpoint: &Endpoint) -> Option<String> {
        endpoint.host.contains("inside").then(|| "bastion".to_owned())
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

    async fn feed(
        &self,
        command: &Command,
        sink: &mut Sink<'_>,
    ) -> std::result::Result<Ended, NodeError> {
        let word = command.argv().last().unwrap().clone();
        self.asked.lock().unwrap().push(format!("{} {word}", self.name));
        let id = "d1045090-2a32-41af-9bf1-dca51bb91474";
        let text = match word.as_str() {
            "status" => format!(
                "Datacenter: dc1\n--  Address Load Tokens Owns Host ID Rack\n\
                 UN  good  1 KiB  4  ?  {id}  r1\n"
            ),
            "statusbackup" => "running\n".to_owned(),
            "netstats" if self.name.starts_with("starting") => "Mode: STARTING\n".to_owned(),
            "netstats" if self.name.starts_with("odd") => "no idea\n".to_owned(),
            "netstats" => "Mode: NORMAL\n".to_owned(),
            _ if self.name.starts_with("bad") => "\0nodetool x\0".repeat(100_000),
            _ => "\0now 1\0\0processes 0\0\0yaml /c\0\0yaml-text incremental_backups: true\0\
                  \0data /d\0\0walk yes\0\0d 0 1 /d\0\0walk-end 0\0"
                .to_owned(),
        };
        let _ = sink(text.as_bytes());
        Ok(Ended { exit: Exit::Code(0), stderr: Vec::new() })
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
}

/// Audits `hosts`; returns the result, what was asked, and when each host was done with.
async fn ask(hosts: &[&str], in_flight: usize) -> (Result, Vec<String>, Vec<(String, Duration)>) {
    ask_behind(hosts, in_flight, None).await
}

async fn ask_behind(
    hosts: &[&str],
    in_flight: usize,
    per_jump: Option<usize>,
) -> (Result, Vec<String>, Vec<(String, Duration)>) {
    let nodes: Vec<NodeSpec> = hosts
        .iter()
        .map(|host| NodeSpec::at(Endpoint { host: (*host).to_owned(), ..Endpoint::default() }))
        .collect();
    let limits = Limits { nodetool: Duration::from_secs(20), files: Duration::from_secs(60) };
    let ring = RingFrom::Ask(nodes.clone());
    let order = Order { nodes, ring, in_flight, per_jump, limits };
    let asked = Arc::new(Mutex::new(Vec::new()));
    let fleet = Arc::new(Fleet { asked: Arc::clone(&asked) });
    let (events, mut told) = mpsc::unbounded_channel();
    let (_stop, stopped) = watch::channel(false);
    let begun = Instant::now();
    let times = tokio::spawn(async move {
        let mut times = Vec::new();
        while let Some(event) = told.recv().await {
            if let Event::Finished { node, .. } = event {
                times.push((node, begun.elapsed()));
            }
        }
        times
    });
    let result = audit(fleet, order, events, stopped).await;
    let asked = asked.lock().unwrap().clone();
    (result, asked, times.await.unwrap())
}

#[tokio::test(start_paused = true)]
async fn nodes_that_say_nothing_delay_neither_the_ring_nor_the_others() {
    let mut hosts: Vec<String> = (0..40).map(|number| format!("silent-{number}")).collect();
    hosts.push("good".to_owned());
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let (result, _, times) = ask(&hosts, 64).await;
    assert_eq!(result.ring.known().map(|ring| ring.members.len()), Some(1));
    let (first, when) = &times[0];
    assert_eq!(first, "good");
    assert!(*when < Duration::from_secs(6), "the good node was done after {when:?}");
    let last = times.last().unwrap().1;
    assert!(last < HANDSHAKE * 2, "all were done after {last:?}");
    assert_eq!(result.nodes[0].facts.live.why().map(|why| why.kind), Some(WhyKind::TimedOut));
}

#[tokio::test(start_paused = true)]
async fn no_more_are_asked_behind_one_jump_host_than_may_be() {
    let hosts = ["silent-inside-1", "silent-inside-2", "silent-inside-3", "silent-4", "good"];
    let (_, _, times) = ask_behind(&hosts, 64, Some(2)).await;
    let done = |name: &str| times.iter().find(|(host, _)| host == name).unwrap().1;
    let late = hosts[..3].iter().filter(|name| done(name) >= HANDSHAKE * 2).count();
    assert_eq!(late, 1, "the third behind the jump host waits for a place: {times:?}");
    assert!(done("silent-4") < HANDSHAKE * 2, "{times:?}");
    assert!(done("good") < HANDSHAKE, "the ring is asked of it at once: {times:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_a_node_that_starts_or_will_not_say_is_unknown() {
    let (result, asked, _) = ask(&["good", "starting", "odd"], 8).await;
    let verdicts: Vec<Verdict> = result
        .nodes
        .iter()
        .map(|node| Verdict::of(&node.facts.live, &node.facts.configured()).0)
        .collect();
    assert_eq!(verdicts, [Verdict::Enabled, Verdict::Unknown, Verdict::Unknown]);
    assert_eq!(result.nodes[1].facts.live.why().map(|why| why.kind), Some(WhyKind::Starting));
    let rings = asked.iter().filter(|asked| asked.ends_with(" status")).count();
    assert_eq!(rings, 1, "the ring is asked once: {asked:?}");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_not_up_is_not_believed_about_the_ring() {
    let (_, asked, _) = ask(&["starting", "good"], 8).await;
    let rings: Vec<&str> = asked.iter().filter_map(|asked| asked.strip_suffix(" status")).collect();
    assert_eq!(rings, ["starting", "good"]);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_repeats_itself_is_cut_off_and_keeps_its_flag() {
    let (result, _, _) = ask(&["bad", "good"], 8).await;
    let facts = &result.nodes[0].facts;
    assert_eq!(facts.backups.why().map(|why| why.kind), Some(WhyKind::TooMuch));
    assert_eq!(facts.live, Fact::Known(true));
    assert_eq!(result.nodes[1].facts.live, Fact::Known(true));
}

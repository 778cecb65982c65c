//! Who is asked for a password, and which nodes are given it.

use std::sync::{Arc, Mutex};

use ringhaul::inventory::{PasswordOf, Rights};
use ringhaul::node::becoming::Becoming;
use ringhaul::node::secret::{Ask, Question, SecretString};
use ringhaul::node::{Command, Connect as _, Exit, Node as _, NodeError};

use crate::host::{Host, LIMIT, SECRET, endpoint, rights};

/// Gives these answers, one after the other, the last one again and again.
pub(crate) struct Operator {
    answers: Vec<&'static str>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Operator {
    pub(crate) fn new(answers: &[&'static str]) -> Self {
        Self { answers: answers.to_vec(), asked: Arc::default() }
    }

    pub(crate) fn honest() -> Self {
        Self::new(&[SECRET])
    }

    pub(crate) fn ask(&self) -> Ask {
        let (answers, asked) = (self.answers.clone(), Arc::clone(&self.asked));
        Arc::new(move |question: &Question<'_>| {
            let mut asked = asked.lock().unwrap();
            asked.push(format!("{question:?}"));
            let answer = answers.get(asked.len() - 1).or(answers.last());
            answer.map(|answer| SecretString::from(*answer))
        })
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

fn who(rights: Rights) -> Command {
    Command::new(["sh", "-c", "$RINGHAUL_AS id -un"], LIMIT).with_rights(rights)
}

#[tokio::test]
async fn one_answer_does_for_all_nodes_and_none_is_wanted_where_sudo_wants_none() {
    let (asks, open) = (Host::new("ops ALL=(ALL) ALL"), Host::new("ops ALL=(ALL) NOPASSWD: ALL"));
    let operator = Operator::honest();
    let door = Becoming::new(open.door(), Some(operator.ask()));
    let node = door.connect(&endpoint("n0")).await.unwrap();
    assert_eq!(node.run(&who(rights("root"))).await.unwrap().stdout, b"root\n");
    assert_eq!(operator.asked(), 0);

    let door = Arc::new(Becoming::new(asks.door(), Some(operator.ask())));
    let runs = (0..8).map(|number| {
        let door = Arc::clone(&door);
        async move {
            let node = door.connect(&endpoint(&format!("n{number}"))).await.unwrap();
            node.run(&who(rights("cassandra"))).await.unwrap().stdout
        }
    });
    for stdout in futures::future::join_all(runs).await {
        assert_eq!(stdout, b"cassandra\n");
    }
    assert_eq!(operator.asked(), 1);
}

#[tokio::test]
async fn a_wrong_password_is_given_to_one_node_alone_and_asked_for_again() {
    let host = Host::new("ops ALL=(ALL) ALL");
    let operator = Operator::new(&["wrong", "wrong as well", SECRET]);
    let door = Arc::new(Becoming::new(host.door(), Some(operator.ask())));
    let runs = (0..4).map(|number| {
        let door = Arc::clone(&door);
        async move {
            let node = door.connect(&endpoint(&format!("n{number}"))).await.unwrap();
            node.run(&who(rights("root"))).await.unwrap().stdout
        }
    });
    for stdout in futures::future::join_all(runs).await {
        assert_eq!(stdout, b"root\n");
    }
    assert_eq!(operator.asked(), 3);
    // Each node asks sudo once, tries the password, and runs; two tries were wrong.
    let tries = host.asked().iter().filter(|line| line.ends_with(" root true")).count();
    assert_eq!(tries, 4 + 2, "{:?}", host.asked());
}

#[tokio::test]
async fn the_same_wrong_answer_is_never_given_again() {
    let host = Host::new("ops ALL=(ALL) ALL");
    let operator = Operator::new(&["wrong"]);
    let door = Becoming::new(host.door(), Some(operator.ask()));
    for name in ["n1", "n2", "n1"] {
        let node = door.connect(&endpoint(name)).await.unwrap();
        let error = node.run(&who(rights("root"))).await.unwrap_err();
        let NodeError::Rights { problem, .. } = error else { panic!("{error}") };
        assert!(problem.starts_with("sudo took the password for wrong at n1"), "{problem}");
    }
    let tries = host.asked().iter().filter(|line| line.ends_with(" root true")).count();
    assert_eq!((tries, operator.asked()), (1, 2));
}

#[tokio::test]
async fn with_nobody_to_ask_the_node_says_so() {
    let host = Host::new("ops ALL=(ALL) ALL");
    for ask in [None, Some(Operator::new(&[]).ask())] {
        let door = Becoming::new(host.door(), ask);
        let node = door.connect(&endpoint("n1")).await.unwrap();
        let error = node.run(&who(rights("root"))).await.unwrap_err();
        assert_eq!(error.to_string(), "sudo asks for a password, and nobody is there to give it");
        // What needs no other rights is run all the same.
        let plain = Command::new(["echo", "here"], LIMIT);
        assert_eq!(node.run(&plain).await.unwrap().ended.exit, Exit::Code(0));
    }
}

#[tokio::test]
async fn a_node_with_a_password_of_its_own_is_asked_for_by_its_name() {
    let host = Host::new("ops ALL=(ALL) ALL");
    let operator = Operator::honest();
    let door = Becoming::new(host.door(), Some(operator.ask()));
    for name in ["n1", "n2"] {
        let own = Rights { password: PasswordOf::Own, ..rights("root") };
        let node = door.connect(&endpoint(name)).await.unwrap();
        assert_eq!(node.run(&who(own)).await.unwrap().stdout, b"root\n");
        let asked = operator.asked.lock().unwrap().last().unwrap().clone();
        assert_eq!(asked, format!("Become {{ host: Some(\"{name}\"), again: None }}"));
    }
}

#[tokio::test]
async fn a_node_with_another_password_fails_alone_and_three_are_enough() {
    let (good, other) = (Host::new("ops ALL=(ALL) ALL"), Host::new("ops ALL=(ALL) ALL"));
    // The other host has another password: the shadow file under its mount is changed.
    let shadow = std::fs::read_to_string(other.path("shadow")).unwrap();
    let kept = shadow.lines().filter(|line| !line.starts_with("ops:"));
    let text: String = kept.chain(["ops:*:19000:0:99999:7:::"]).flat_map(|l| [l, "\n"]).collect();
    std::fs::write(other.path("shadow"), text).unwrap();

    let operator = Operator::honest();
    let both = Both { good: good.door(), other: other.door() };
    let door = Becoming::new(both, Some(operator.ask()));
    let ask = async |name: &str| {
        let node = door.connect(&endpoint(name)).await.unwrap();
        node.run(&who(rights("root"))).await.map(|output| output.stdout)
    };
    assert_eq!(ask("good1").await.unwrap(), b"root\n");
    for name in ["bad1", "bad2", "bad3"] {
        let said = ask(name).await.unwrap_err().to_string();
        assert_eq!(said, "sudo took the password for wrong, and another node for right");
        if name != "bad3" {
            assert_eq!(ask(&format!("good-{name}")).await.unwrap(), b"root\n");
        }
    }
    let said = ask("bad4").await.unwrap_err().to_string();
    assert!(said.contains("no further one is given it"), "{said}");
    assert_eq!(ask("good1").await.unwrap(), b"root\n");
    let tries = other.asked().iter().filter(|line| line.ends_with(" root true")).count();
    assert_eq!((tries, operator.asked()), (3, 1));
}

/// Two kinds of hosts, by their names.
struct Both {
    good: crate::host::Door,
    other: crate::host::Door,
}

impl ringhaul::node::Connect for Both {
    type Node = crate::host::Door;

    async fn connect(&self, endpoint: &ringhaul::node::Endpoint) -> Result<Self::Node, NodeError> {
        let is_good = endpoint.host.starts_with("good");
        Ok(if is_good { self.good.clone() } else { self.other.clone() })
    }
}

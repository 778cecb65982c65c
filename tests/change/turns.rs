//! Who starts when, and what stops a run.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ringhaul::fleet::Fleet;
use ringhaul::record::Outcome::{Done, Failed, NotStarted};
use ringhaul::record::{Step, What};
use ringhaul::run::log::Notice;
use ringhaul::schedule::{AfterCanary, Rules, Share, Strategy};
use tokio::sync::watch;

use super::fleet::{ENABLE, Nodes, Wish, again, begin, records, row, run};
use super::{REFUSED, end, outcomes, reason, turns};

fn wish(rules: Rules) -> Wish {
    Wish { rules, ..Wish::new(ENABLE) }
}

async fn resumed(nodes: &Nodes, wish: &Wish, retry_failed: bool) -> Fleet {
    let ready = again(nodes, wish, "run-1", retry_failed).await.unwrap();
    ready.work_alone(Arc::new(nodes.door())).await.fleet
}

#[tokio::test]
async fn turns_keep_the_order_and_the_stagger_from_start_to_start() {
    let (nodes, stagger) = (Nodes::new(3), Duration::from_millis(900));
    let ran = run(&nodes, &wish(Rules { stagger, ..Rules::default() }), "run-1").await;
    ran.result.unwrap();
    assert_eq!(outcomes(&ran.fleet), [Done; 3]);
    let records = records(&nodes, "run-1");
    assert_eq!(turns(&records), ["+n1", "-n1", "+n2", "-n2", "+n3", "-n3"]);
    let starts: Vec<_> = ran.fleet.rows.iter().map(|row| row.started.unwrap()).collect();
    for pair in starts.windows(2) {
        let gap = pair[1].duration_since(pair[0]).as_millis();
        assert!((890..20_000).contains(&gap), "{gap} ms");
    }
    assert!(matches!(records.last().unwrap().what, What::Finished));
    assert_eq!(Fleet::of(&records).unwrap(), ran.fleet, "the journal tells the same");
}

#[tokio::test]
async fn a_failure_too_many_leaves_the_rest_with_the_reason() {
    let nodes = Nodes::new(4);
    nodes.tree(2).tell("fail-enablebackup", REFUSED);
    let ran = run(&nodes, &Wish::new(ENABLE), "run-1").await;
    ran.result.unwrap();
    assert_eq!(outcomes(&ran.fleet), [Done, Failed, NotStarted, NotStarted]);
    let stop = "1 node failed, 0 allowed: nothing else starts";
    assert_eq!(ran.fleet.stopped.as_deref(), Some(stop));
    assert_eq!(reason(&ran.fleet, 3), format!("the run stopped before its turn: {stop}"));
    assert_eq!(nodes.tree(3).said(), [""; 0], "nobody went there");
    nodes.tree(2).untell("fail-enablebackup");
    assert_eq!(outcomes(&resumed(&nodes, &Wish::new(ENABLE), false).await), [Done; 4]);
    assert_eq!(nodes.tree(1).said().iter().filter(|said| *said == "enablebackup").count(), 1);
}

#[tokio::test]
async fn nodes_that_cannot_be_reached_count_apart() {
    let nodes = Nodes::new(3);
    nodes.tree(1).tell("refuses", "");
    let rules = Rules { max_unreachable: Some(Share::Count(1)), ..Rules::default() };
    let ran = run(&nodes, &wish(rules.clone()), "run-1").await;
    assert_eq!(outcomes(&ran.fleet), [Failed, Done, Done]);
    assert!(end(&ran.fleet, 1).unreachable);
    assert_eq!(reason(&ran.fleet, 1), "n1:22 refused the connection");
    nodes.tree(2).tell("refuses", "");
    let rules = Rules { max_unreachable: Some(Share::Count(0)), ..rules };
    let ran = run(&nodes, &wish(rules), "run-2").await;
    assert_eq!(outcomes(&ran.fleet), [Failed, NotStarted, NotStarted]);
    let stop = "1 node unreachable, 0 allowed: nothing else starts";
    assert_eq!(ran.fleet.stopped.as_deref(), Some(stop));
}

#[tokio::test]
async fn a_node_down_at_the_start_is_a_row_and_can_be_taken_at_the_end() {
    let nodes = Nodes::new(3);
    nodes.set_down(2, true);
    let ran = run(&nodes, &Wish::new(ENABLE), "run-1").await;
    ran.result.unwrap();
    assert_eq!(outcomes(&ran.fleet), [Done, NotStarted, Done]);
    let told = "the ring showed it down at the start; --retry-down takes it at the end";
    assert_eq!(reason(&ran.fleet, 2), told);
    assert_eq!(nodes.tree(2).said(), [""; 0]);

    let nodes = Nodes::new(3);
    nodes.set_down(2, true);
    let wish = Wish { retry_down: true, ..Wish::new(ENABLE) };
    // One that stays down is not gone to.
    let ran = run(&nodes, &wish, "run-0").await;
    assert_eq!(outcomes(&ran.fleet), [Done, NotStarted, Done]);
    assert_eq!(nodes.tree(2).said(), [""; 0]);

    let nodes = Nodes::new(3);
    nodes.set_down(2, true);
    let mut ready = begin(&nodes, &wish, "run-1").await;
    let mut notices =
        std::mem::replace(&mut ready.notices, tokio::sync::mpsc::unbounded_channel().1);
    let comes_back = async {
        let mut is_down = true;
        while let Some(notice) = notices.recv().await {
            let is_end = matches!(&notice, Notice::Happened(record) if matches!(record.what, What::Ended(_)));
            if is_end && std::mem::take(&mut is_down) {
                nodes.set_down(2, false);
            }
        }
    };
    let (ran, ()) = futures::join!(ready.work_alone(Arc::new(nodes.door())), comes_back);
    assert_eq!(outcomes(&ran.fleet), [Done; 3]);
    let order = ["+n1", "-n1", "+n3", "-n3", "+n2", "-n2"];
    assert_eq!(turns(&records(&nodes, "run-1")), order);
}

#[tokio::test]
async fn a_node_that_was_down_is_taken_by_resume_when_it_is_up() {
    let nodes = Nodes::new(2);
    nodes.set_down(2, true);
    let wish = Wish::new(ENABLE);
    assert_eq!(outcomes(&run(&nodes, &wish, "run-1").await.fleet), [Done, NotStarted]);
    assert_eq!(outcomes(&resumed(&nodes, &wish, false).await), [Done, NotStarted]);
    nodes.set_down(2, false);
    assert_eq!(outcomes(&resumed(&nodes, &wish, false).await), [Done, Done]);
}

#[tokio::test]
async fn the_gate_waits_for_a_node_that_was_up_and_says_so() {
    let nodes = Nodes::new(3);
    let wish = Wish { knows_ring: false, ..Wish::new(ENABLE) };
    let mut ready = begin(&nodes, &wish, "run-1").await;
    nodes.set_down(3, true);
    let mut notices =
        std::mem::replace(&mut ready.notices, tokio::sync::mpsc::unbounded_channel().1);
    let comes_back = async {
        while let Some(notice) = notices.recv().await {
            if let Notice::Pause(Some(pause)) = notice {
                assert_eq!(pause.why, "10.0.0.3 is DN (says n2)");
                assert!(pause.until.is_some());
                assert!(!nodes.tree(1).is_live(), "nothing starts meanwhile");
                break;
            }
        }
        nodes.set_down(3, false);
        // Whoever watches does so to the end.
        while notices.recv().await.is_some() {}
    };
    let (ran, ()) = tokio::join!(ready.work_alone(Arc::new(nodes.door())), comes_back);
    ran.result.unwrap();
    assert_eq!(outcomes(&ran.fleet), [Done; 3]);
    let mut waits = Vec::new();
    for record in records(&nodes, "run-1") {
        if let What::Waiting { why } = record.what {
            waits.push(why);
        }
    }
    assert_eq!(waits, ["10.0.0.3 is DN (says n2)"]);
}

#[tokio::test]
async fn the_gate_gives_up_in_time_and_nothing_was_touched() {
    let nodes = Nodes::new(2);
    let wish =
        Wish { knows_ring: false, gate_timeout: Duration::from_secs(1), ..Wish::new(ENABLE) };
    let ready = begin(&nodes, &wish, "run-1").await;
    nodes.set_down(2, true);
    let ran = ready.work_alone(Arc::new(nodes.door())).await;
    ran.result.unwrap();
    assert_eq!(outcomes(&ran.fleet), [NotStarted; 2]);
    let stop = "the ring was not as at the start for 1s: 10.0.0.2 is DN (says n2)";
    assert_eq!(ran.fleet.stopped.as_deref(), Some(stop));
    assert!(!nodes.tree(1).is_live() && !nodes.tree(1).is_configured());
    nodes.set_down(2, false);
    assert_eq!(outcomes(&resumed(&nodes, &wish, false).await), [Done; 2]);
}

fn canary(after_canary: AfterCanary) -> Rules {
    Rules { canary: vec![1], after_canary, max_failures: Share::Count(9), ..Rules::default() }
}

#[tokio::test]
async fn a_canary_that_fails_stops_all_whatever_number_may_fail() {
    let nodes = Nodes::new(3);
    nodes.tree(2).tell("fail-enablebackup", REFUSED);
    let ran = run(&nodes, &wish(canary(AfterCanary::GoOn)), "run-1").await;
    assert_eq!(outcomes(&ran.fleet), [NotStarted, Failed, NotStarted]);
    let stop = "the canary failed: nothing else starts: n2";
    assert_eq!(ran.fleet.stopped.as_deref(), Some(stop));

    let nodes = Nodes::new(2);
    // It says that it is on, and links nothing.
    nodes.tree(2).tell("fail-flush", "nodetool: Keyspace [system] does not exist.\n");
    let ran = run(&nodes, &wish(canary(AfterCanary::GoOn)), "run-1").await;
    assert_eq!(outcomes(&ran.fleet), [NotStarted, Failed]);
    assert!(reason(&ran.fleet, 2).starts_with("the canary is not proven: "), "{:?}", ran.fleet);
}

#[tokio::test]
async fn after_a_canary_that_is_fine_the_operator_decides() {
    for (answer, others) in [(Some(true), Done), (Some(false), NotStarted), (None, NotStarted)] {
        let nodes = Nodes::new(3);
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let mut wish = wish(canary(AfterCanary::Ask));
        if let Some(answer) = answer {
            let asked = Arc::clone(&asked);
            wish.question = Some(Arc::new(move |text| {
                asked.lock().unwrap().push(text);
                Box::pin(async move { answer })
            }));
        }
        let ran = run(&nodes, &wish, "run-1").await;
        ran.result.unwrap();
        assert_eq!(outcomes(&ran.fleet), [others, Done, others]);
        assert!(ran.fleet.canary_passed);
        let stop = match answer {
            Some(true) => None,
            Some(false) => Some("the operator did not go on after the canary"),
            None => Some("the canary is done and fine; nobody is there to say go on: resume does"),
        };
        assert_eq!(ran.fleet.stopped.as_deref(), stop);
        let question = "The canary is fine. Go on with the other 2 nodes?".to_owned();
        assert_eq!(*asked.lock().unwrap(), answer.map_or(vec![], |_| vec![question]));
        assert!(!nodes.tree(2).backups().is_empty(), "the canary is proven by a flush");
        if others == NotStarted {
            let fleet = resumed(&nodes, &wish, false).await;
            assert_eq!(outcomes(&fleet), [Done; 3], "resume is the answer");
        }
    }
}

#[tokio::test]
async fn waves_start_when_the_wave_before_has_ended() {
    let nodes = Nodes::new(4);
    let rules = Rules {
        waves: vec![Share::Count(1), Share::Count(2)],
        strategy: Strategy::All,
        max_in_flight: 8,
        ..Rules::default()
    };
    let ran = run(&nodes, &wish(rules), "run-1").await;
    assert_eq!(outcomes(&ran.fleet), [Done; 4]);
    let mut turns = turns(&records(&nodes, "run-1"));
    turns[4..6].sort();
    assert_eq!(turns, ["+n1", "-n1", "+n2", "+n3", "-n2", "-n3", "+n4", "-n4"]);
}

#[tokio::test]
async fn an_interrupted_run_finishes_the_turn_and_starts_no_other() {
    let nodes = Nodes::new(2);
    let wish = Wish::new(ENABLE);
    let mut ready = begin(&nodes, &wish, "run-1").await;
    let mut notices =
        std::mem::replace(&mut ready.notices, tokio::sync::mpsc::unbounded_channel().1);
    let (stop, stopped) = watch::channel(false);
    let interrupt = async {
        while let Some(notice) = notices.recv().await {
            if let Notice::Happened(record) = notice
                && record.what
                    == (What::StepBegun { node: "n1".to_owned(), step: Step::EditConfig })
            {
                stop.send_replace(true);
            }
        }
    };
    let (ran, ()) = tokio::join!(ready.work(Arc::new(nodes.door()), stopped), interrupt);
    ran.result.unwrap();
    assert_eq!(outcomes(&ran.fleet), [Done, NotStarted]);
    assert!(ran.fleet.interrupted && ran.fleet.finished);
    assert_eq!(reason(&ran.fleet, 2), "the run was interrupted before its turn");
    assert!(!nodes.tree(2).is_live());
    let fleet = resumed(&nodes, &wish, false).await;
    assert_eq!(outcomes(&fleet), [Done; 2]);
    assert_eq!((fleet.resumed, fleet.interrupted), (1, false));
    assert!(row(&fleet, 1).started < row(&fleet, 2).started);
}

//! What the row of one node says.

use std::sync::Arc;
use std::time::Duration;

use ringhaul::node::lock::{self, Holder};
use ringhaul::node::{Connect as _, Endpoint};
use ringhaul::record::Outcome::{Done, Failed, NothingToDo, Refused};
use ringhaul::record::{Halves, Job, Outcome, State, Step};

use super::fleet::{DISABLE, ENABLE, LIMITS, Nodes, Wish, run, terms};
use super::{REFUSED, end, outcomes, reason};

const LIVE: Halves = Halves { live: true, config: false };
const CONFIG: Halves = Halves { live: false, config: true };

fn state(live: bool, configured: bool) -> State {
    State { live: Some(live), configured: Some(configured) }
}

#[tokio::test]
async fn a_switch_that_fails_after_the_edit_leaves_exactly_that_state_in_the_row() {
    let nodes = Nodes::new(1);
    let tree = nodes.tree(1);
    tree.tell("fail-enablebackup", REFUSED);
    let ran = run(&nodes, &Wish::new(ENABLE), "run-1").await;
    let ended = end(&ran.fleet, 1);
    assert_eq!((ended.outcome, ended.changed), (Failed, vec![Step::EditConfig]));
    let reason = ended.reason.unwrap();
    assert!(reason.starts_with("cassandra.yaml is on, live is off: JMX refused"), "{reason}");
    assert_eq!((ended.before, ended.after), (state(false, false), state(false, true)));
    assert!(tree.is_configured() && !tree.is_live(), "nothing is undone in silence");
    tree.untell("fail-enablebackup");
    let ended = end(&run(&nodes, &Wish::new(ENABLE), "run-2").await.fleet, 1);
    assert_eq!((ended.outcome, ended.changed), (Done, vec![Step::EnableBackup]));
    assert!(tree.is_configured() && tree.is_live());
}

#[tokio::test]
async fn a_node_as_wanted_is_left_alone() {
    for (job, on) in [(ENABLE, true), (DISABLE, false)] {
        let nodes = Nodes::new(1);
        nodes.tree(1).set(on, on);
        let ended = end(&run(&nodes, &Wish::new(job), "run-1").await.fleet, 1);
        assert_eq!((ended.outcome, ended.changed), (NothingToDo, vec![]));
        let word = if on { "on" } else { "off" };
        let told = format!("{word} already, live and in cassandra.yaml");
        assert_eq!(ended.reason, Some(told));
        let is_change = |said: &String| said.starts_with("enable") || said.starts_with("disable");
        assert!(!nodes.tree(1).said().iter().any(is_change));
    }
}

#[tokio::test]
async fn only_the_half_that_is_asked_for_is_changed() {
    for (halves, wanted, steps) in [
        (LIVE, (true, false), vec![Step::EnableBackup]),
        (CONFIG, (false, true), vec![Step::EditConfig]),
    ] {
        let nodes = Nodes::new(1);
        let ended = end(&run(&nodes, &Wish::new(Job::Enable(halves)), "run-1").await.fleet, 1);
        assert_eq!((ended.outcome, ended.changed), (Done, steps));
        let tree = nodes.tree(1);
        assert_eq!((tree.is_live(), tree.is_configured()), wanted);
        let ended = end(&run(&nodes, &Wish::new(Job::Enable(halves)), "run-2").await.fleet, 1);
        assert_eq!(ended.outcome, NothingToDo);
    }
}

#[tokio::test]
async fn the_file_of_a_node_whose_cassandra_is_down_can_be_changed_alone() {
    let nodes = Nodes::new(2);
    nodes.set_down(2, true);
    for call in ["statusbackup", "version", "netstats", "status"] {
        nodes.tree(2).tell(&format!("fail-{call}"), REFUSED);
    }
    let ran = run(&nodes, &Wish::new(Job::Enable(CONFIG)), "run-1").await;
    assert_eq!(outcomes(&ran.fleet), [Done, Done]);
    assert!(nodes.tree(2).is_configured());
}

#[tokio::test]
async fn a_live_setting_that_is_not_known_is_not_touched() {
    let nodes = Nodes::new(1);
    nodes.tree(1).tell("fail-statusbackup", REFUSED);
    let ran = run(&nodes, &Wish::new(ENABLE), "run-1").await;
    assert_eq!(outcomes(&ran.fleet), [Refused]);
    let told = reason(&ran.fleet, 1);
    assert!(told.starts_with("the live setting is not known: "), "{told}");
    assert!(!nodes.tree(1).is_configured() && !nodes.tree(1).is_live());
}

#[tokio::test]
async fn a_key_that_stands_twice_is_edited_by_nobody_but_the_operator() {
    let nodes = Nodes::new(1);
    let tree = nodes.tree(1);
    let off = format!("incremental_backups: true\n{}", tree.config_text(false));
    tree.write_config(&off);
    let ran = run(&nodes, &Wish::new(ENABLE), "run-1").await;
    assert_eq!(outcomes(&ran.fleet), [Refused]);
    let told = reason(&ran.fleet, 1);
    assert!(told.contains("is left alone: ") && told.contains("lines 1 and 6 both"), "{told}");
    assert_eq!(std::fs::read_to_string(tree.config()).unwrap(), off);
    assert!(!tree.is_live());

    // Cassandra takes the last one, which says what is wanted.
    let on = format!("incremental_backups: false\n{}", tree.config_text(true));
    tree.write_config(&on);
    let ended = end(&run(&nodes, &Wish::new(ENABLE), "run-2").await.fleet, 1);
    assert_eq!((ended.outcome, ended.changed), (Done, vec![Step::EnableBackup]));
    assert_eq!(std::fs::read_to_string(tree.config()).unwrap(), on);
}

#[tokio::test]
async fn a_node_that_another_run_has_is_refused_with_its_name() {
    let nodes = Nodes::new(1);
    let endpoint = Endpoint { host: "n1".to_owned(), ..Endpoint::default() };
    let line = Arc::new(nodes.door().connect(&endpoint).await.unwrap());
    let holder = Holder { run: "run-0", who: "dev@elsewhere", verb: "disable" };
    let terms = terms(Duration::from_secs(1));
    let lock = lock::take(line, &terms, &holder, Duration::ZERO, &mut |_| {}).await.unwrap();
    let ran = run(&nodes, &Wish::new(ENABLE), "run-1").await;
    assert_eq!(outcomes(&ran.fleet), [Refused]);
    let told = reason(&ran.fleet, 1);
    let by = "locked by dev@elsewhere, run run-0, disable, since ";
    assert!(told.starts_with(by), "{told}");
    assert!(!nodes.tree(1).is_configured());
    lock.release().await;
    let ran = run(&nodes, &Wish::new(ENABLE), "run-2").await;
    assert_eq!(outcomes(&ran.fleet), [Done]);
}

#[tokio::test]
async fn a_switch_that_hangs_after_its_work_is_seen_to_be_done() {
    let nodes = Nodes::new(1);
    nodes.tree(1).tell("hang-enablebackup", "");
    let mut wish = Wish::new(ENABLE);
    wish.limits = ringhaul::node::survey::Limits { nodetool: Duration::from_secs(4), ..LIMITS };
    let ended = end(&run(&nodes, &wish, "run-1").await.fleet, 1);
    assert_eq!(ended.outcome, Outcome::Done, "{ended:?}");
    assert_eq!(ended.changed, [Step::EditConfig, Step::EnableBackup]);
    let note = ended.notes.last().unwrap();
    assert!(note.ends_with("; a second look found it done"), "{note}");
}

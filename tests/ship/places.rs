//! Whose place a set goes to: the host id's, whatever the address, and no other's.

use std::fs;

use ringhaul::record::{Job, Outcome};

use super::backups::Set;
use super::fleet::{again, begin};
use super::stored::{copies, faults, host};
use super::{Yard, counts, end, ended};

/// Writes the ring's table: host ids by address.
fn set_ring(yard: &Yard, ids: &[(&str, &str)]) {
    let line = |(address, id): &(&str, &str)| format!("{address} 93 KiB  4  100.0%  {id}  r1\n");
    let text: String = ids.iter().map(line).collect();
    fs::write(yard.nodes.root.path().join("ring"), text).unwrap();
}

#[tokio::test]
async fn nodes_side_by_side_write_into_one_store_each_its_own_place() {
    let yard = Yard::new(3);
    let sets: Vec<Set> =
        (1..=3).map(|n| Set::big("shop.orders", "1", &format!("of node {n}"))).collect();
    for (number, set) in (1..).zip(&sets) {
        set.flush(&yard.nodes.tree(number));
    }
    let fleet = yard.ship().await;
    for (number, set) in (1..).zip(&sets) {
        assert_eq!(end(&fleet, number).outcome, Outcome::Done);
        for other in 1..=3 {
            let expected = usize::from(other == number);
            assert_eq!(copies(&yard.store(), &host(other), set), expected);
        }
    }
    yard.is_sound();
}

#[tokio::test]
async fn a_node_without_a_known_host_id_is_refused() {
    let yard = Yard::new(3);
    for number in 1..=3 {
        Set::big("shop.orders", "1", "a").flush(&yard.nodes.tree(number));
    }
    set_ring(&yard, &[("10.0.0.1", &host(1)), ("10.0.0.2", "null")]);
    let fleet = yard.ship().await;
    assert_eq!(end(&fleet, 1).outcome, Outcome::Done);
    for number in [2, 3] {
        let end = end(&fleet, number);
        assert_eq!(end.outcome, Outcome::Refused);
        let reason = "the ring does not show its host id, which is its place in the store";
        assert_eq!(end.reason.as_deref(), Some(reason));
    }
    yard.is_sound();
}

#[tokio::test]
async fn a_host_id_that_is_not_the_one_the_operator_wrote_is_refused() {
    let yard = Yard::new(2);
    for number in [1, 2] {
        Set::big("shop.orders", "1", "a").flush(&yard.nodes.tree(number));
        // Upper case is the same id.
        let id = host(1).replace("8000", "8abc").to_uppercase();
        yard.nodes.tree(number).tell("host-id", &id);
    }
    let id = host(1).replace("8000", "8abc");
    set_ring(&yard, &[("10.0.0.1", &id), ("10.0.0.2", &host(2))]);
    let fleet = yard.ship().await;
    assert_eq!(end(&fleet, 1).outcome, Outcome::Done, "{:?}", end(&fleet, 1));
    let end = end(&fleet, 2);
    assert_eq!(end.outcome, Outcome::Refused);
    assert!(end.reason.unwrap().contains("it may have been replaced"));
    assert!(!yard.store().join("nodes").join(host(2)).exists());
}

#[tokio::test]
async fn a_node_that_was_replaced_gets_a_place_of_its_own() {
    let yard = Yard::new(1);
    let old = Set::big("shop.orders", "1", "old");
    old.flush(&yard.tree());
    ended(&yard.ship().await, Outcome::Done);
    set_ring(&yard, &[("10.0.0.1", &host(7))]);
    // Nothing of the old node is proven by the new one's place: another disk, another node.
    ended(&yard.clean(Default::default()).await, Outcome::NothingToDo);
    let end = ended(&yard.ship().await, Outcome::Done);
    assert_eq!(counts(&end), [1, 0, 0, 0, 0, 1]);
    assert_eq!(copies(&yard.store(), &host(1), &old), 1);
    assert_eq!(copies(&yard.store(), &host(7), &old), 1);
    yard.is_sound();
}

#[tokio::test]
async fn a_node_that_came_back_under_another_address_goes_on_in_its_place() {
    let yard = Yard::new(2);
    let sets = [1, 2].map(|n| Set::big("shop.orders", "1", &format!("of node {n}")));
    for (number, set) in (1..).zip(&sets) {
        set.flush(&yard.nodes.tree(number));
    }
    yard.ship().await;
    // They change places, files and all.
    let home = |number| yard.nodes.tree(number).home;
    let aside = yard.nodes.root.path().join("aside");
    fs::rename(home(1), &aside).unwrap();
    fs::rename(home(2), home(1)).unwrap();
    fs::rename(&aside, home(2)).unwrap();
    for number in [1, 2] {
        let tree = yard.nodes.tree(number);
        tree.write_config(&tree.config_text(true));
    }
    set_ring(&yard, &[("10.0.0.1", &host(2)), ("10.0.0.2", &host(1))]);
    let fleet = yard.ship().await;
    for number in [1, 2] {
        let end = end(&fleet, number);
        assert_eq!(end.outcome, Outcome::NothingToDo, "{end:?}");
    }
    Set::big("shop.orders", "2", "later").flush(&yard.nodes.tree(2));
    yard.ship().await;
    assert_eq!(copies(&yard.store(), &host(1), &Set::big("shop.orders", "2", "later")), 1);
    yard.is_sound();
}

#[tokio::test]
async fn a_node_that_is_replaced_while_a_run_rests_does_not_write_into_the_old_ones_place() {
    let yard = Yard::new(1);
    let wish = yard.wish(Job::Ship(yard.plain()));
    let ready = begin(&yard.nodes, &wish, "run-1").await;
    yard.tree().tell("refuses", "");
    ready.work_alone(yard.nodes.door().into()).await;
    yard.tree().untell("refuses");
    set_ring(&yard, &[("10.0.0.1", &host(7))]);
    let set = Set::big("shop.orders", "1", "of the new node");
    set.flush(&yard.tree());
    let ready = again(&yard.nodes, &wish, "run-1", true).await.unwrap();
    let fleet = ready.work_alone(yard.nodes.door().into()).await.fleet;
    let end = ended(&fleet, Outcome::Refused);
    assert!(end.reason.unwrap().contains("host id"), "{:?}", end.hint);
    assert_eq!(copies(&yard.store(), &host(1), &set), 0);
    assert_eq!(faults(&yard.store()), [""; 0]);
}

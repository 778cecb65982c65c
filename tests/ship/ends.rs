//! Runs that end early, go slowly, or find no room: whole sets are stored, the rest follows.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ringhaul::record::haul::{Removal, Ship, Window};
use ringhaul::record::{Job, Outcome};
use ringhaul::run::clock;
use tokio::sync::watch;

use super::backups::Set;
use super::fleet::{LONG, again, begin, row};
use super::stored::{copies, host};
use super::{Yard, counts, ended};

/// So many sets, of 100 kB each.
fn some(yard: &Yard, count: usize) -> Vec<Set> {
    let set = |n: usize| Set::big("shop.orders", &n.to_string(), "x").of_size(100_000);
    let sets: Vec<Set> = (1..=count).map(set).collect();
    for set in &sets {
        set.flush(&yard.tree());
    }
    sets
}

fn stored(yard: &Yard, sets: &[Set]) -> usize {
    sets.iter().filter(|set| copies(&yard.store(), &host(1), set) == 1).count()
}

#[tokio::test]
async fn a_run_that_is_to_stop_stores_what_came_whole_and_resume_ships_the_rest() {
    let yard = Yard::new(1);
    let sets = some(&yard, 6);
    let then_clean = Some(Removal::default());
    let slow = Ship { rate: Some(300_000), then_clean, ..yard.plain() };
    let wish = yard.wish(Job::Ship(slow));
    let (stop, stopped) = watch::channel(false);
    let ready = begin(&yard.nodes, &wish, "run-1").await;
    let work = ready.work(Arc::new(yard.nodes.door()), stopped);
    let later = async {
        // As soon as the first set has come.
        let staging = yard.store().join("tmp").join(host(1));
        let begun = Instant::now();
        let is_begun = || staging.read_dir().is_ok_and(|mut drafts| drafts.next().is_some());
        while !is_begun() && begun.elapsed() < LONG {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stop.send_replace(true);
    };
    let (ran, ()) = tokio::join!(work, later);
    let end = ended(&ran.fleet, Outcome::Partly);
    let [shipped, .., cleaned, left] = counts(&end);
    assert!((1..6).contains(&shipped), "{end:?}");
    assert_eq!((cleaned, left), (0, 6), "what was not asked for any more is not removed");
    assert!(end.reason.unwrap().starts_with("the run was interrupted; "));
    assert_eq!(stored(&yard, &sets), usize::try_from(shipped).unwrap());
    yard.is_sound();

    let fast = yard.wish(Job::Ship(yard.plain()));
    let ready = again(&yard.nodes, &fast, "run-1", false).await.unwrap();
    let ran = ready.work_alone(Arc::new(yard.nodes.door())).await;
    let end = ended(&ran.fleet, Outcome::Done);
    assert_eq!(counts(&end)[..2], [6 - shipped, shipped], "{end:?}");
    yard.holds(&sets.iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn nothing_begins_while_the_window_is_closed() {
    let yard = Yard::new(1);
    let sets = some(&yard, 1);
    let now = clock::minute_of_day();
    let day = 24 * 60;
    let window = Some(Window { from: (now + 120) % day, to: (now + 180) % day });
    let wish = yard.wish(Job::Ship(Ship { window, ..yard.plain() }));
    let (stop, stopped) = watch::channel(false);
    let ready = begin(&yard.nodes, &wish, "run-1").await;
    let log = Arc::clone(&ready.log);
    let work = ready.work(Arc::new(yard.nodes.door()), stopped);
    let later = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(log.look(|fleet| row(fleet, 1).started.is_none()));
        stop.send_replace(true);
    };
    let (ran, ()) = tokio::join!(work, later);
    assert_eq!(row(&ran.fleet, 1).outcome(), Outcome::NotStarted);
    assert_eq!(stored(&yard, &sets), 0);
    assert_eq!(yard.tree().tickets(), [""; 0]);
}

#[tokio::test]
async fn it_is_no_faster_than_the_limits_allow() {
    let yard = Yard::new(2);
    for number in [1, 2] {
        Set::big("shop.orders", "1", "x").of_size(300_000).flush(&yard.nodes.tree(number));
    }
    // Either limit alone takes a second; a tenth of one may come as a burst.
    for limits in [
        Ship { rate: Some(300_000), ..yard.plain() },
        Ship { total_rate: Some(600_000), ..yard.plain() },
    ] {
        std::fs::remove_dir_all(yard.store()).unwrap_or_default();
        let begun = Instant::now();
        let fleet = yard.run(Job::Ship(limits)).await;
        assert!(begun.elapsed() > Duration::from_millis(890), "{:?}", begun.elapsed());
        ended(&fleet, Outcome::Done);
    }
    yard.is_sound();
}

#[tokio::test]
async fn without_room_it_is_refused_before_anything_is_fetched_with_how_much_is_missing() {
    let yard = Yard::new(1);
    let sets = some(&yard, 1);
    let end = ended(
        &yard.run(Job::Ship(Ship { reserve: u64::MAX / 2, ..yard.plain() })).await,
        Outcome::Refused,
    );
    let reason = end.reason.clone().unwrap();
    assert!(
        reason.starts_with("the store has ") && reason.contains(" more are needed"),
        "{reason}"
    );
    assert!(end.hint.clone().unwrap().starts_with("make room for "), "{end:?}");
    assert_eq!(counts(&end), [0, 0, 0, 0, 0, 1]);
    assert_eq!(stored(&yard, &sets), 0);
    yard.is_sound();
    // What is there already needs no room.
    yard.ship().await;
    let job = Job::Ship(Ship { reserve: u64::MAX / 2, ..yard.plain() });
    ended(&yard.run(job).await, Outcome::NothingToDo);
}

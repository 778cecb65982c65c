//! Single rules, by hand.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use ringhaul::schedule::{
    AfterCanary, Ending, Hold, Next, Pause, Place, RuleError, Rules, Schedule, Share, Stop,
    Strategy,
};

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A schedule of nodes at `dc/rack`.
fn schedule(rules: Rules, places: &[&str]) -> Schedule {
    Schedule::new(rules, places.iter().copied().map(place).collect()).unwrap()
}

fn place(text: &str) -> Place {
    let (dc, rack) = text.split_once('/').unwrap();
    Place { dc: dc.into(), rack: rack.into(), jump: None }
}

/// As many as wanted in flight, no rule but those added.
fn free() -> Rules {
    Rules { max_in_flight: 100, strategy: Strategy::All, ..Rules::default() }
}

fn started(schedule: &mut Schedule, node: usize, now: Duration) {
    assert_eq!(schedule.next(now), Next::Start(node));
    schedule.started(node, now);
}

fn held(why: Hold) -> Next {
    Next::WaitForNode { why }
}

#[test]
fn no_nodes_are_finished_at_once_and_so_are_skipped_ones() {
    assert_eq!(schedule(Rules::default(), &[]).next(s(0)), Next::Finished);
    let rules = Rules { canary: vec![1], after_canary: AfterCanary::Ask, ..free() };
    let mut all = schedule(rules, &["a/1"; 3]);
    (0..3).for_each(|node| all.skip(node));
    assert_eq!(all.next(s(0)), Next::Finished);
    assert_eq!(all.forecast(s(1)), []);
}

#[test]
fn without_stagger_all_that_may_start_do_so_at_once() {
    let starts = schedule(free(), &["a/1"; 4]).forecast(s(9));
    assert_eq!(starts, [(0, s(0)), (1, s(0)), (2, s(0)), (3, s(0))]);
}

#[test]
fn the_stagger_is_counted_from_start_to_start() {
    let mut two = schedule(Rules { stagger: s(600), ..free() }, &["a/1"; 2]);
    started(&mut two, 0, s(5));
    two.ended(0, Ending::Fine, s(8));
    let wait = Next::WaitUntil { at: s(605), node: 1, why: Pause::Stagger };
    assert_eq!(two.next(s(8)), wait);
    assert_eq!(two.next(s(604)), wait);
    started(&mut two, 1, s(605));
}

#[test]
fn a_node_whose_rack_is_busy_is_overtaken_by_the_first_that_may_start() {
    let rules = Rules { per_rack: Some(1), per_dc: Some(2), ..free() };
    let mut ring = schedule(rules, &["a/1", "a/1", "a/2", "a/3", "b/1"]);
    started(&mut ring, 0, s(0));
    started(&mut ring, 2, s(0));
    started(&mut ring, 4, s(0));
    assert_eq!(ring.next(s(0)), held(Hold::PerRack { node: 0, limit: 1 }));
    ring.ended(0, Ending::Fine, s(1));
    started(&mut ring, 1, s(1));
    assert_eq!(ring.next(s(1)), held(Hold::PerDc { node: 2, limit: 2 }));
}

#[test]
fn so_many_behind_one_jump_host_and_no_more() {
    let mut places: Vec<_> = ["a/1", "a/2", "b/1", "b/2"].map(place).into();
    for (place, jump) in places.iter_mut().zip([Some("east"), Some("east"), Some("west"), None]) {
        place.jump = jump.map(str::to_owned);
    }
    let mut ring = Schedule::new(Rules { per_jump: Some(1), ..free() }, places).unwrap();
    started(&mut ring, 0, s(0));
    started(&mut ring, 2, s(0));
    // One that is reached without a jump host waits for none.
    started(&mut ring, 3, s(0));
    assert_eq!(ring.next(s(0)), held(Hold::PerJump { node: 0, limit: 1 }));
    ring.ended(0, Ending::Fine, s(1));
    started(&mut ring, 1, s(1));
}

#[test]
fn racks_of_one_name_in_two_data_centres_are_two_racks() {
    let mut ring =
        schedule(Rules { strategy: Strategy::Rack, ..free() }, &["a/1", "b/1", "a/1", "b/1"]);
    started(&mut ring, 0, s(0));
    started(&mut ring, 2, s(0));
    assert_eq!(ring.next(s(0)), held(Hold::Rack { node: 0 }));
    ring.ended(0, Ending::Fine, s(1));
    assert_eq!(ring.next(s(1)), held(Hold::Rack { node: 2 }));
    ring.ended(2, Ending::Fine, s(2));
    started(&mut ring, 1, s(2));
    started(&mut ring, 3, s(2));
    assert_eq!(ring.next(s(2)), held(Hold::Last { node: 1 }));
}

#[test]
fn replica_neighbours_are_kept_apart_whichever_side_says_so() {
    let apart = vec![BTreeSet::from([0, 1]), BTreeSet::new(), BTreeSet::from([1])];
    let rules = Rules { strategy: Strategy::Topology, apart, ..free() };
    let mut ring = schedule(rules, &["a/1"; 3]);
    started(&mut ring, 0, s(0));
    started(&mut ring, 2, s(0));
    assert_eq!(ring.next(s(0)), held(Hold::Replicas { node: 0 }));
    ring.ended(0, Ending::Fine, s(1));
    assert_eq!(ring.next(s(1)), held(Hold::Replicas { node: 2 }));
    ring.ended(2, Ending::Fine, s(2));
    started(&mut ring, 1, s(2));
    ring.ended(1, Ending::Fine, s(2));
    // Node 1 itself named nobody.
    ring.retry(1);
    ring.retry(0);
    started(&mut ring, 1, s(2));
    assert_eq!(ring.next(s(2)), held(Hold::Replicas { node: 1 }));
}

#[test]
fn replica_neighbours_matter_to_no_other_strategy() {
    let apart = vec![BTreeSet::from([1]), BTreeSet::new()];
    let mut ring = schedule(Rules { apart, ..free() }, &["a/1"; 2]);
    started(&mut ring, 0, s(0));
    started(&mut ring, 1, s(0));
}

#[test]
fn one_means_one_whatever_may_be_in_flight() {
    let mut ring = schedule(Rules { strategy: Strategy::One, ..free() }, &["a/1"; 2]);
    started(&mut ring, 0, s(0));
    assert_eq!(ring.next(s(0)), held(Hold::InFlight { limit: 1 }));
}

#[test]
fn a_batch_waits_for_the_one_before_and_the_last_size_repeats() {
    let rules = Rules { waves: vec![Share::Percent(0), Share::Percent(40)], ..free() };
    let mut ring = schedule(rules.clone(), &["a/1"; 6]);
    let starts = ring.forecast(s(10));
    let times: Vec<u64> = starts.iter().map(|(_, at)| at.as_secs()).collect();
    assert_eq!(times, [0, 10, 10, 20, 20, 30], "0% is one node, 40% of six are two");
    started(&mut ring, 0, s(0));
    assert_eq!(ring.next(s(0)), held(Hold::Wave { node: 0 }));

    let more = Rules { waves: vec![Share::Count(1); 9], ..rules };
    assert_eq!(schedule(more, &["a/1"; 2]).forecast(s(1)), [(0, s(0)), (1, s(1))]);
}

#[test]
fn a_batch_that_is_skipped_whole_holds_nobody_up() {
    let mut ring = schedule(Rules { waves: vec![Share::Count(2)], ..free() }, &["a/1"; 4]);
    ring.skip(0);
    ring.skip(1);
    started(&mut ring, 2, s(0));
    started(&mut ring, 3, s(0));
}

#[test]
fn the_canary_comes_first_and_is_waited_for() {
    let after_canary = AfterCanary::Wait(s(60));
    let rules = Rules { canary: vec![2, 1, 2], after_canary, stagger: s(7), ..free() };
    let mut ring = schedule(rules, &["a/1"; 3]);
    assert_eq!(ring.forecast(s(10)), [(1, s(0)), (2, s(7)), (0, s(77))]);
    started(&mut ring, 1, s(0));
    started(&mut ring, 2, s(7));
    ring.ended(1, Ending::Fine, s(8));
    assert_eq!(ring.next(s(8)), held(Hold::Canary { node: 2 }));
    ring.ended(2, Ending::Fine, s(9));
    assert_eq!(ring.next(s(9)), Next::WaitUntil { at: s(69), node: 0, why: Pause::AfterCanary });
    ring.go_on();
    assert_eq!(ring.next(s(9)), Next::WaitUntil { at: s(14), node: 0, why: Pause::Stagger });
}

#[test]
fn the_question_after_the_canary_holds_until_it_is_answered() {
    let rules = Rules { canary: vec![0], after_canary: AfterCanary::Ask, ..free() };
    let mut ring = schedule(rules.clone(), &["a/1"; 2]);
    started(&mut ring, 0, s(0));
    assert_eq!(ring.next(s(0)), held(Hold::Canary { node: 0 }));
    ring.ended(0, Ending::Fine, s(1));
    assert_eq!(ring.next(s(1)), Next::Ask);
    assert_eq!(ring.next(s(9999)), Next::Ask);
    ring.go_on();
    started(&mut ring, 1, s(9999));

    let mut resumed = schedule(rules.clone(), &["a/1"; 2]);
    resumed.skip(0);
    assert_eq!(resumed.next(s(0)), Next::Ask, "the canary of an earlier session asks again");
    resumed.go_on();
    assert_eq!(resumed.next(s(0)), Next::Start(1));

    let mut alone = schedule(rules, &["a/1"]);
    started(&mut alone, 0, s(0));
    alone.ended(0, Ending::Fine, s(1));
    assert_eq!(alone.next(s(1)), Next::Finished, "nothing hangs on an answer");
}

#[test]
fn a_canary_that_fails_stops_whatever_failures_are_allowed() {
    for ending in [Ending::Failed, Ending::Unreachable] {
        let max_failures = Share::Percent(100);
        let max_unreachable = Some(max_failures);
        let rules = Rules { canary: vec![0, 1], max_failures, max_unreachable, ..free() };
        let mut ring = schedule(rules, &["a/1"; 5]);
        started(&mut ring, 0, s(0));
        started(&mut ring, 1, s(0));
        ring.ended(1, ending, s(1));
        let stop = Stop::Canary { node: 1 };
        assert_eq!(ring.next(s(1)), held(Hold::Stopping { node: 0, stop }));
        ring.retry(1);
        ring.go_on();
        ring.ended(0, ending, s(2));
        assert_eq!(ring.next(s(2)), Next::Stopped(stop));
    }
}

#[test]
fn few_nodes_of_a_percentage_round_down_to_none() {
    let mut ring = schedule(Rules { max_failures: Share::Percent(30), ..free() }, &["a/1"; 3]);
    started(&mut ring, 0, s(0));
    ring.ended(0, Ending::Failed, s(1));
    assert_eq!(ring.next(s(1)), Next::Stopped(Stop::Failures { failed: 1, limit: 0 }));
}

#[test]
fn unreachable_nodes_are_failures_unless_they_have_a_limit_of_their_own() {
    let limit = Share::Count(1);
    let run = |max_unreachable, endings: [Ending; 2]| {
        let rules = Rules { max_failures: limit, max_unreachable, ..free() };
        let mut ring = schedule(rules, &["a/1"; 3]);
        for (node, ending) in endings.into_iter().enumerate() {
            started(&mut ring, node, s(0));
            ring.ended(node, ending, s(0));
        }
        ring.next(s(0))
    };
    let mixed = [Ending::Failed, Ending::Unreachable];
    assert_eq!(run(None, mixed), Next::Stopped(Stop::Failures { failed: 2, limit: 1 }));
    assert_eq!(run(Some(limit), mixed), Next::Start(2));
    assert_eq!(
        run(Some(limit), [Ending::Unreachable; 2]),
        Next::Stopped(Stop::Unreachable { unreachable: 2, limit: 1 })
    );
    assert_eq!(
        run(Some(limit), [Ending::Failed; 2]),
        Next::Stopped(Stop::Failures { failed: 2, limit: 1 })
    );
}

#[test]
fn what_is_taken_again_comes_last_though_others_run() {
    let rules = Rules { max_failures: Share::Count(1), ..free() };
    let mut ring = schedule(Rules { waves: vec![Share::Count(2)], ..rules }, &["a/1"; 4]);
    ring.skip(3);
    started(&mut ring, 0, s(0));
    started(&mut ring, 1, s(0));
    ring.ended(0, Ending::Failed, s(1));
    ring.retry(0);
    ring.retry(3);
    ring.retry(0);
    ring.retry(1);
    assert_eq!(ring.next(s(1)), held(Hold::Wave { node: 1 }));
    ring.ended(1, Ending::Fine, s(2));
    started(&mut ring, 2, s(2));
    assert_eq!(ring.next(s(2)), held(Hold::Wave { node: 2 }));
    ring.ended(2, Ending::Fine, s(3));
    started(&mut ring, 0, s(3));
    started(&mut ring, 3, s(3));
    ring.ended(0, Ending::Fine, s(4));
    ring.ended(3, Ending::Failed, s(4));
    assert_eq!(ring.next(s(4)), Next::Finished, "a failure that was mended no longer counts");
}

#[test]
fn a_failure_that_is_tried_again_counts_until_it_is_mended() {
    let mut ring = schedule(Rules { max_failures: Share::Count(1), ..free() }, &["a/1"; 3]);
    started(&mut ring, 0, s(0));
    ring.ended(0, Ending::Failed, s(1));
    ring.retry(0);
    started(&mut ring, 1, s(1));
    started(&mut ring, 2, s(1));
    ring.ended(1, Ending::Fine, s(2));
    ring.ended(2, Ending::Failed, s(2));
    assert_eq!(ring.next(s(2)), Next::Stopped(Stop::Failures { failed: 2, limit: 1 }));
}

#[test]
fn a_run_that_has_stopped_stays_so() {
    let mut ring = schedule(Rules { max_failures: Share::Count(1), ..free() }, &["a/1"; 3]);
    started(&mut ring, 0, s(0));
    ring.ended(0, Ending::Failed, s(0));
    ring.retry(0);
    started(&mut ring, 1, s(0));
    started(&mut ring, 2, s(0));
    ring.ended(1, Ending::Fine, s(1));
    // Started against the rules, as by a caller that was late.
    ring.started(0, s(1));
    ring.ended(2, Ending::Failed, s(2));
    ring.ended(0, Ending::Fine, s(3));
    ring.retry(2);
    assert_eq!(ring.next(s(4)), Next::Stopped(Stop::Failures { failed: 2, limit: 1 }));
}

#[test]
fn what_is_told_twice_or_of_nobody_changes_nothing() {
    let mut ring = schedule(Rules { max_in_flight: 2, ..free() }, &["a/1"; 3]);
    for node in [0, 0, 7] {
        ring.started(node, s(0));
    }
    ring.skip(0);
    ring.retry(0);
    ring.skip(9);
    ring.retry(9);
    ring.ended(9, Ending::Failed, s(0));
    started(&mut ring, 1, s(0));
    assert_eq!(ring.next(s(0)), held(Hold::InFlight { limit: 2 }));
    ring.ended(0, Ending::Fine, s(1));
    ring.ended(0, Ending::Fine, s(1));
    started(&mut ring, 2, s(1));
    assert_eq!(ring.next(s(1)), held(Hold::Last { node: 1 }));
}

#[test]
fn an_ending_without_a_start_counts() {
    let mut ring = schedule(free(), &["a/1"; 3]);
    ring.ended(1, Ending::Unreachable, s(0));
    assert_eq!(ring.next(s(0)), Next::Stopped(Stop::Failures { failed: 1, limit: 0 }));
}

#[test]
fn a_stagger_without_end_does_not_overflow() {
    let rules = Rules { stagger: Duration::MAX, jitter: Duration::MAX, ..free() };
    let mut two = schedule(rules, &["a/1"; 2]);
    assert_eq!(two.forecast(Duration::MAX), [(0, s(0)), (1, Duration::MAX)]);
    started(&mut two, 0, s(1));
    let wait = Next::WaitUntil { at: Duration::MAX, node: 1, why: Pause::Stagger };
    assert_eq!(two.next(s(2)), wait);
}

#[test]
fn a_forecast_begins_at_what_was_told_last() {
    let mut ring = schedule(Rules::default(), &["a/1"; 3]);
    started(&mut ring, 0, s(0));
    ring.ended(0, Ending::Fine, s(100));
    assert_eq!(ring.forecast(s(10)), [(1, s(100)), (2, s(110))]);
    started(&mut ring, 1, s(120));
    assert_eq!(ring.forecast(s(10)), [(2, s(130))]);
}

#[test]
fn rules_that_no_run_can_keep_make_no_schedule() {
    let rules = Rules { max_in_flight: 0, ..Rules::default() };
    let error = Schedule::new(rules, Vec::new()).unwrap_err();
    assert_eq!(error, RuleError::NothingMayStart { scope: "at all" });
}

#[test]
fn rules_go_into_a_journal_and_come_back() {
    let rules = Rules {
        stagger: s(600),
        apart: vec![BTreeSet::from([1]), BTreeSet::new()],
        after_canary: AfterCanary::Wait(s(5)),
        waves: vec![Share::Count(1), Share::Percent(30)],
        max_unreachable: Some(Share::Percent(5)),
        ..free()
    };
    let line = serde_json::to_string(&rules).unwrap();
    assert_eq!(serde_json::from_str::<Rules>(&line).unwrap(), rules);
}

/// A thousand nodes of which each shares ranges with many, as with vnodes.
fn thousand() -> Schedule {
    let apart = (0..1000)
        .map(|n: usize| (0..1000).filter(|m| n % 100 != m % 100 && n % 3 == m % 3).collect())
        .collect();
    let rules = Rules {
        strategy: Strategy::Topology,
        apart,
        max_in_flight: 1000,
        per_rack: Some(2),
        ..Rules::default()
    };
    let racks: Vec<String> = (0..1000).map(|n| format!("a/{}", n % 7)).collect();
    schedule(rules, &racks.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn a_thousand_nodes_are_gone_through_in_less_than_a_millisecond() {
    let mut ring = thousand();
    while let Next::Start(node) = ring.next(s(0)) {
        ring.started(node, s(0));
    }
    // The shortest of several: other work on the machine does not count.
    let once = |_| {
        let before = Instant::now();
        assert!(matches!(ring.next(s(0)), Next::WaitForNode { .. }));
        before.elapsed()
    };
    let shortest = (0..50).map(once).min().unwrap();
    assert!(shortest < Duration::from_millis(1), "{shortest:?}");
    assert_eq!(thousand().forecast(s(1)).len(), 1000);
}

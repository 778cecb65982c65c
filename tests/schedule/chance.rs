//! Runs by chance: any rules, any ring, any durations and endings.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use ringhaul::schedule::{
    AfterCanary, Ending, Order, Place, Rules, Schedule, Share, Strategy as Together, arranged,
};

use super::drive::{Plot, Try, play};

fn seconds(most: u64) -> impl Strategy<Value = Duration> {
    (0..=most).prop_map(Duration::from_secs)
}

fn share() -> impl Strategy<Value = Share> {
    prop_oneof![(0..6_usize).prop_map(Share::Count), (0..=100_u8).prop_map(Share::Percent)]
}

fn place() -> impl Strategy<Value = Place> {
    let jump = option::of(select(vec!["east", "west"]));
    (select(vec!["a", "b"]), select(vec!["r1", "r2", "r3"]), jump).prop_map(|(dc, rack, jump)| {
        Place { dc: dc.into(), rack: rack.into(), jump: jump.map(str::to_owned) }
    })
}

fn any_ending() -> BoxedStrategy<Ending> {
    prop_oneof![
        4 => Just(Ending::Fine),
        1 => Just(Ending::Failed),
        1 => Just(Ending::Unreachable),
    ]
    .boxed()
}

fn fine() -> BoxedStrategy<Ending> {
    Just(Ending::Fine).boxed()
}

fn tries(ending: impl Strategy<Value = Ending>) -> impl Strategy<Value = Vec<Try>> {
    vec((seconds(40), ending).prop_map(|(took, ending)| Try { took, ending }), 1..3)
}

fn nodes(total: usize, most: usize) -> BoxedStrategy<BTreeSet<usize>> {
    if total == 0 { Just(BTreeSet::new()).boxed() } else { btree_set(0..total, 0..=most).boxed() }
}

fn after_canary() -> impl Strategy<Value = AfterCanary> {
    prop_oneof![
        Just(AfterCanary::GoOn),
        seconds(50).prop_map(AfterCanary::Wait),
        Just(AfterCanary::Ask),
    ]
}

fn rules(total: usize) -> impl Strategy<Value = Rules> {
    let pace =
        (seconds(20), seconds(9), any::<u64>(), prop_oneof![Just(Duration::ZERO), seconds(30)]);
    let of_dc = prop_oneof![
        Just(BTreeMap::new()),
        (1..3_usize).prop_map(|most| BTreeMap::from([("a".to_owned(), most)])),
    ];
    let limits = (
        1..6_usize,
        option::of(1..3_usize),
        option::of(1..4_usize),
        of_dc,
        any::<bool>(),
        option::of(1..3_usize),
    );
    let together = select(vec![Together::One, Together::Rack, Together::Topology, Together::All]);
    let apart = prop_oneof![1 => Just(Vec::new()), 4 => vec(nodes(total, 2), total)];
    let canary = (prop_oneof![Just(BTreeSet::new()), nodes(total, 3)], after_canary());
    let stops = (share(), option::of(share()));
    (pace, limits, together, apart, canary, vec(share(), 0..4), stops).prop_map(
        |(pace, limits, strategy, apart, (canary, after_canary), waves, stops)| Rules {
            stagger: pace.0,
            jitter: pace.1,
            seed: pace.2,
            rest: pace.3,
            max_in_flight: limits.0,
            per_rack: limits.1,
            per_dc: limits.2,
            of_dc: limits.3,
            dc_parallel: limits.4,
            per_jump: limits.5,
            strategy,
            apart,
            canary: canary.into_iter().collect(),
            after_canary,
            waves,
            max_failures: stops.0,
            max_unreachable: stops.1,
        },
    )
}

/// Any run whose tries end in one of `ending`.
fn plots(ending: BoxedStrategy<Ending>) -> impl Strategy<Value = Plot> {
    (0..14_usize).prop_flat_map(move |total| {
        let late = if total == 0 {
            Just(Vec::new()).boxed()
        } else {
            vec((0..total, 0..total), 0..3).boxed()
        };
        (
            rules(total),
            vec(place(), total),
            nodes(total, 4),
            vec(tries(ending.clone()), total),
            0..3_usize,
            late,
        )
            .prop_map(|(rules, places, skipped, tries, again, mut late)| {
                late.retain(|(node, _)| skipped.contains(node));
                Plot { rules, places, skipped, tries, again, late }
            })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    /// The drive holds every single answer against the rules.
    #[test]
    fn every_run_keeps_every_rule_and_ends(plot in plots(any_ending())) {
        let log = play(&plot);
        prop_assert_eq!(log.starts.len(), log.ends.len(), "what has started is finished");
    }

    #[test]
    fn without_failures_every_node_starts_exactly_once(plot in plots(fine())) {
        let plot = Plot { late: Vec::new(), ..plot };
        let log = play(&plot);
        prop_assert_eq!(log.stopped, None);
        let mut started: Vec<usize> = log.starts.iter().map(|(node, _)| *node).collect();
        started.sort_unstable();
        let wanted: Vec<usize> =
            (0..plot.places.len()).filter(|node| !plot.skipped.contains(node)).collect();
        prop_assert_eq!(started, wanted);
    }

    #[test]
    fn gaps_are_the_stagger_and_at_most_the_jitter_when_nothing_else_holds(
        total in 0..30_usize, stagger in seconds(20), jitter in seconds(9), seed: u64,
    ) {
        let rules = Rules {
            stagger, jitter, seed,
            max_in_flight: total.max(1),
            strategy: Together::All,
            ..Rules::default()
        };
        let place = Place { dc: "a".into(), rack: "r".into(), jump: None };
        let schedule = Schedule::new(rules, vec![place; total]).unwrap();
        let starts = schedule.forecast(Duration::from_secs(5));
        prop_assert_eq!(starts.len(), total);
        for pair in starts.windows(2) {
            let gap = pair[1].1 - pair[0].1;
            prop_assert!((stagger..=stagger + jitter).contains(&gap));
        }
    }

    #[test]
    fn a_forecast_is_the_run_when_all_is_fine(plot in plots(fine()), took in seconds(40)) {
        let one = Try { took, ending: Ending::Fine };
        let tries = vec![vec![one]; plot.places.len()];
        let plot = Plot { late: Vec::new(), tries, ..plot };
        let mut schedule = Schedule::new(plot.rules.clone(), plot.places.clone()).unwrap();
        plot.skipped.iter().for_each(|node| schedule.skip(*node));
        prop_assert_eq!(schedule.forecast(took), play(&plot).starts);
    }

    #[test]
    fn a_forecast_from_the_middle_is_the_rest_of_the_run(
        plot in plots(fine()), took in seconds(40), done in 0..14_usize,
    ) {
        let mut schedule = Schedule::new(plot.rules.clone(), plot.places.clone()).unwrap();
        plot.skipped.iter().for_each(|node| schedule.skip(*node));
        let all = schedule.forecast(took);
        let done = done.min(all.len());
        let Some(&(_, now)) = all[..done].last() else { return Ok(()) };
        let mut events = Vec::new();
        for &(node, start) in &all[..done] {
            events.push((start, 1, node));
            events.push((start + took, 0, node));
        }
        events.sort_unstable();
        for (at, is_start, node) in events {
            match is_start {
                1 => schedule.started(node, at),
                _ if at <= now && took > Duration::ZERO => schedule.ended(node, Ending::Fine, at),
                _ => {}
            }
        }
        if plot.rules.after_canary == AfterCanary::Ask {
            schedule.go_on();
        }
        prop_assert_eq!(schedule.forecast(took), &all[done..]);
    }

    #[test]
    fn every_order_names_every_node_once(
        places in vec(place(), 0..20), tokens in vec(option::of(any::<i128>()), 0..20),
    ) {
        for order in [Order::Inventory, Order::Ring, Order::Rack] {
            let mut nodes = arranged(order, &places, &tokens);
            nodes.sort_unstable();
            prop_assert_eq!(nodes, (0..places.len()).collect::<Vec<_>>());
        }
    }
}

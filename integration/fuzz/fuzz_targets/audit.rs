//! A whole audit of nodes that answer anything: no report holds what a terminal, a spreadsheet or
//! a monitoring system would take for a command.
#![no_main]

use std::sync::Arc;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use ringhaul::audit::{Audit, judge};
use ringhaul::exit::Exit;
use ringhaul::inventory::NodeSpec;
use ringhaul::node::Endpoint;
use ringhaul::node::survey::Limits;
use ringhaul::report::table::{Fold, Look};
use ringhaul::report::{csv, json, junit, nagios, prometheus, table};
use ringhaul::run::audit::{Order, RingFrom, audit};
use ringhaul_fuzz::{Fleet, block_on, shown_lines};
use tokio::sync::{mpsc, watch};

const LIMIT: Duration = Duration::from_secs(30);

fuzz_target!(|data: &[u8]| {
    let spec = NodeSpec::at(Endpoint { host: "n1".to_owned(), ..Endpoint::default() });
    let order = Order {
        nodes: vec![spec.clone()],
        ring: RingFrom::Ask(vec![spec]),
        in_flight: 4,
        per_jump: None,
        limits: Limits { nodetool: LIMIT, files: LIMIT },
    };
    let (events, _) = mpsc::unbounded_channel();
    let (_stop, stopped) = watch::channel(false);
    let result = block_on(audit(Arc::new(Fleet(data.to_vec())), order, events, stopped));
    let audit = judge("ring", result.nodes, &result.ring, &|_| true);
    reports(&audit, data.len() * 40 + 4000);
});

fn reports(audit: &Audit, most: usize) {
    for width in [None, Some(80)] {
        let look = Look { width, color: false, fold: Fold::Auto, now: 1_800_000_000 };
        shown_lines(&table::render(audit, look), most);
    }
    shown_lines(&json::render(audit).expect("JSON"), most);
    shown_lines(&csv::render(audit).expect("CSV").replace('\r', ""), most);
    let nagios = nagios::render(audit, Exit::of(audit));
    // What comes behind it is numbers for the monitoring system.
    assert_eq!(nagios.matches('|').count(), 1, "{nagios}");
    shown_lines(&nagios, most);
    shown_lines(&junit::render(audit), most);
    shown_lines(&prometheus::render(audit, 1_800_000_000), most);
}

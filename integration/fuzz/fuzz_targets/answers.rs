//! A node's answers to our scripts: what is made of them is the same however they are cut, and
//! what is told of them is safe to show.
#![no_main]

use std::sync::Arc;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use ringhaul::cassandra::edit::set_boolean;
use ringhaul::cassandra::fact::{Fact, Why};
use ringhaul::inventory::NodeSpec;
use ringhaul::node::catalog::Nodetool;
use ringhaul::node::lock::{self, Holder, Terms};
use ringhaul::node::survey::{self, Limits};
use ringhaul::node::{Endpoint, config_file, deep, proof, sets, topology, uncovered};
use ringhaul_fuzz::{Hostile, block_on, shown};

const LIMIT: Duration = Duration::from_secs(30);
const LIMITS: Limits = Limits { nodetool: LIMIT, files: LIMIT };

fuzz_target!(|data: &[u8]| {
    let Some((&[what, cut], replies)) = data.split_first_chunk() else { return };
    let spec = NodeSpec::at(Endpoint { host: "n1".to_owned(), ..Endpoint::default() });
    let ask = |piece| {
        let node = Hostile::new(replies, piece);
        block_on(async {
            match what {
                b's' => survey(&node, &spec).await,
                b'l' => list(&node, &spec).await,
                b'd' => deep(&node, &spec).await,
                b't' => ring(&node, &spec).await,
                b'c' => config(&node, &spec).await,
                b'u' => uncovered(&node, &spec).await,
                b'p' => prove(&node, &spec).await,
                b'k' => lock(node).await,
                _ => String::new(),
            }
        })
    };
    assert_eq!(ask(usize::MAX), ask(usize::from(cut)), "cut every {cut} bytes");
});

fn told<T>(fact: &Fact<T>) {
    fact.why().into_iter().for_each(safe);
}

fn safe(why: &Why) {
    shown(&why.text, 401);
    shown(&why.hint(), 1000);
}

async fn survey(node: &Hostile, spec: &NodeSpec) -> String {
    let mut tool = Nodetool::new(spec, LIMIT);
    let facts = survey::survey(node, spec, &mut tool, LIMITS).await;
    told(&facts.live);
    told(&facts.config);
    told(&facts.version);
    told(&facts.process);
    told(&facts.backups);
    told(&facts.disks);
    told(&facts.data_dirs);
    if let Fact::Known((path, _)) = &facts.config {
        shown(path, usize::MAX);
    }
    format!("{facts:?}")
}

async fn list(node: &Hostile, spec: &NodeSpec) -> String {
    let listed = sets::list(node, spec, Some("snap"), LIMIT).await;
    told(&listed.sets);
    let Fact::Known(shelf) = &listed.sets else { return format!("{listed:?}") };
    let found: Vec<_> = shelf.sets.iter().collect();
    let tocs = sets::tocs(node, spec, true, &found, LIMIT).await;
    let again = sets::look_again(node, spec, true, &found, LIMIT).await;
    let all: Vec<_> = shelf.sets.clone();
    let removal = sets::remove(node, spec, &all, LIMIT).await;
    assert!(removal.sets.len() <= all.len());
    format!("{listed:?} {tocs:?} {again:?} {removal:?}")
}

async fn deep(node: &Hostile, spec: &NodeSpec) -> String {
    let dirs = ["/d".to_owned()];
    let mut last = 0;
    let on_file = &mut |progress: deep::DeepProgress| {
        assert!(progress.files_done >= last, "it goes back");
        last = progress.files_done;
    };
    let read = deep::deep(node, spec, &dirs, LIMITS, LIMIT, on_file).await;
    read.as_ref().err().into_iter().for_each(safe);
    format!("{read:?}")
}

async fn ring(node: &Hostile, spec: &NodeSpec) -> String {
    let tool = Nodetool::new(spec, LIMIT);
    let ring = survey::ask_ring(node, spec, LIMITS).await;
    let cluster = topology::ask_cluster(node, &tool).await;
    let replicas = topology::ask_replicas(node, &tool).await;
    told(&ring);
    told(&cluster);
    told(&replicas);
    format!("{ring:?} {cluster:?} {replicas:?}")
}

async fn config(node: &Hostile, spec: &NodeSpec) -> String {
    let path = "/etc/cassandra/cassandra.yaml";
    let file = config_file::read(node, spec, path, LIMIT).await;
    told(&file);
    let Fact::Known(file) = file else { return format!("{file:?}") };
    let Ok(Some(edit)) = set_boolean(&file.bytes, "incremental_backups", true) else {
        return format!("{file:?}");
    };
    let replaced = config_file::replace(node, spec, &file, &edit, "20261121T131500Z", LIMIT).await;
    if let Err(error) = &replaced {
        shown(&error.to_string(), 1000);
    }
    format!("{file:?} {replaced:?}")
}

async fn uncovered(node: &Hostile, spec: &NodeSpec) -> String {
    let dirs = ["/d".to_owned()];
    let from = uncovered::From::Snapshots;
    let files = uncovered::uncovered(node, spec, &dirs, None, from, LIMITS).await;
    let from = uncovered::From::Cqlsh;
    let cqlsh = uncovered::uncovered(node, spec, &dirs, None, from, LIMITS).await;
    told(&files);
    told(&cqlsh);
    format!("{files:?} {cqlsh:?}")
}

async fn prove(node: &Hostile, spec: &NodeSpec) -> String {
    let tool = Nodetool::new(spec, LIMIT);
    let data_dirs = &["/d".to_owned()];
    let ask = proof::Ask { spec, tool: &tool, data_dirs, table: None, wait: LIMIT, limits: LIMITS };
    let proof = proof::prove(node, &ask).await;
    proof.as_ref().err().into_iter().for_each(safe);
    format!("{proof:?}")
}

async fn lock(node: Hostile) -> String {
    let holder = Holder { run: "r1", who: "o@h", verb: "enable" };
    let taken = lock::take(Arc::new(node), &Terms::default(), &holder, LIMIT, &mut |_| {}).await;
    match taken {
        Ok(lock) => {
            lock.release().await;
            "taken".to_owned()
        }
        Err(error) => {
            shown(&error.to_string(), 1000);
            error.to_string()
        }
    }
}

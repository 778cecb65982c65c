//! The way to a node changes while a run is under way.

use serde_json::json;

use super::lab;
use super::runs::{RUN, Runs, assert_set, of, reason, yaml};
use super::three_nodes::{BROKEN, THREE};

/// Longer than a fault takes to be made.
const STAGGER: [&str; 2] = ["--stagger", "15s"];

#[test]
fn a_host_key_exchanged_in_the_middle_of_a_run_is_refused_and_nothing_is_asked() {
    let lab = THREE.turn();
    let runs = Runs::of(&lab);
    let before = yaml(&lab, BROKEN);
    lab.on(BROKEN, "cp -a /etc/ssh /root/ssh-before");
    let running = runs.start(&[&["disable", "--json"], &STAGGER[..]].concat());
    runs.wait_for_node(("turn_begun", ""), 1);
    let logins = || lab.on(BROKEN, "grep -c Accepted /var/log/sshd.log || true");
    let (run, ended) = {
        let _broken = lab.broken(BROKEN, "hostkey-change", &["sshd-stop", "sshd-start"]);
        let earlier = logins();
        let ended = running.end(RUN);
        assert_eq!(logins(), earlier);
        lab.on(BROKEN, "cp -a /root/ssh-before/ssh_host_* /etc/ssh/; rm -r /root/ssh-before");
        (lab::parsed(&ended), ended)
    };
    assert_eq!(of(&run, 1)["outcome"], "done", "{run:#}");
    let broken = of(&run, BROKEN);
    assert_ne!(broken["outcome"], "done", "{broken:#}");
    assert!(reason(broken).contains("host key"), "{broken:#}");
    assert_eq!(broken["changed"], json!([]), "{broken:#}");
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    assert_eq!(yaml(&lab, BROKEN), before);
    runs.run(&["enable", "--strategy", "all"]).fine("enable");
    assert_set(&lab, &[1, 2, 3], true);
}

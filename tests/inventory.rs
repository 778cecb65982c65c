//! The inventory as the operator meets it: what a file gives, and what each mistake says.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use ringhaul::inventory::{
    Draft, DraftError, DraftNode, Inventory, NodeSpec, Rights, Sudo, known_keys, render,
};
use ringhaul::node::Transport;
use ringhaul::selection::Selection;

#[path = "inventory/mistakes.rs"]
mod mistakes;
#[path = "inventory/secrets.rs"]
mod secrets;

fn parse(text: &str) -> Result<Inventory, String> {
    let home = Some(Path::new("/home/ops"));
    Inventory::parse(text, Path::new("inventory.yaml"), Path::new("/etc/ringhaul"), home)
        .map_err(|error| error.to_string())
}

/// What is wrong with a whole file.
fn wrong(text: &str) -> String {
    match parse(text) {
        Ok(inventory) => panic!("{text}\nwas read as {inventory:?}"),
        Err(message) => message,
    }
}

/// What is wrong with a file whose nodes, from line 3 on, are `nodes`.
fn wrong_nodes(nodes: &str) -> String {
    wrong(&format!("cluster: c\nnodes:\n{nodes}"))
}

/// The nodes of a file, one a line, with the keys that were asked for.
fn shown(text: &str) -> String {
    let inventory = parse(text).unwrap_or_else(|error| panic!("{error}"));
    let mut out = String::new();
    for node in &inventory.nodes {
        let ssh = &node.endpoint;
        let address = ssh.address.as_deref().unwrap_or("-");
        let cassandra = node.cassandra_address.as_deref().unwrap_or("-");
        let place = format!("{:?}/{:?}", node.dc, node.rack).replace("Some", "");
        let _ = writeln!(
            out,
            "{}: {address} {cassandra} {place} {:?} line {}",
            node.name(),
            node.labels,
            node.line
        );
    }
    out
}

const EXAMPLE: &str = include_str!("../inventory.example.yaml");

#[test]
fn the_example_is_an_inventory() {
    let inventory = parse(EXAMPLE).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(inventory.ring_from, ["cass-01.dc1.example.net", "cass-20"]);
    let first = &inventory.nodes[0];
    let ssh = &first.endpoint;
    assert_eq!(ssh.user.as_deref(), Some("ops"));
    assert_eq!(ssh.port, Some(22));
    assert_eq!(ssh.identity_files, [PathBuf::from("/home/ops/.ssh/id_ed25519")]);
    assert_eq!(ssh.known_hosts, [PathBuf::from("/etc/ringhaul/known_hosts")]);
    assert_eq!(ssh.proxy_jump, Some(vec!["ops@bastion.example.net:22".to_owned()]));
    assert_eq!(first.paths.data, ["/var/lib/cassandra/data", "/mnt/disk2/cassandra/data"]);
    assert_eq!((first.jmx.port, first.jmx.user.as_deref()), (Some(7199), Some("ringhaul")));
    assert_eq!(first.sudo, Sudo::Auto);

    let old = inventory.node("old-2").unwrap();
    assert_eq!(old.endpoint.proxy_jump, Some(vec![]));
    assert_eq!(old.sudo, Sudo::Never);
    assert_eq!(old.paths.nodetool.as_deref(), Some("/usr/local/cassandra/bin/nodetool"));
    assert_eq!(old.paths.config.as_deref(), Some("/etc/cassandra/cassandra.yaml"));
    insta::assert_snapshot!(shown(EXAMPLE), @r#"
    cass-01.dc1.example.net: - - ("dc1")/("r1") {"env": "prod"} line 92
    cass-02.dc1.example.net: - - ("dc1")/("r1") {"env": "prod"} line 92
    cass-03.dc1.example.net: - - ("dc1")/("r1") {"env": "prod"} line 92
    cass-04.dc1.example.net: - - ("dc1")/("r1") {"env": "prod"} line 92
    cass-05.dc1.example.net: - - ("dc1")/("r1") {"env": "prod"} line 92
    cass-06.dc1.example.net: - - ("dc1")/("r1") {"env": "prod"} line 92
    cass-07.dc1.example.net: - - ("dc1")/("r1") {"env": "prod"} line 92
    cass-08.dc1.example.net: - - ("dc1")/("r1") {"env": "prod"} line 92
    cass-09.dc1.example.net: - - ("dc1")/("r1") {"env": "prod"} line 92
    cass-10.dc1.example.net: - - ("dc1")/("r1") {"env": "prod"} line 92
    cass-11.dc1.example.net: - - ("dc1")/("r1") {"env": "prod"} line 92
    cass-12.dc1.example.net: - - ("dc1")/("r1") {"env": "prod"} line 92
    cass-20: - - ("dc1")/("r1") {"env": "prod"} line 96
    cass-13: 192.0.2.13 10.0.0.13 ("dc1")/("r2") {"canary": "true", "env": "prod"} line 99
    old-1: - 10.0.7.21 ("dc7")/("r1") {"env": "prod"} line 114
    old-2: - 10.0.7.22 ("dc7")/("r1") {"env": "prod"} line 114
    "#);
}

#[test]
fn the_example_explains_every_key_the_reader_knows() {
    let missing: Vec<String> = known_keys()
        .filter(|key| {
            let last = key.rsplit('.').next().unwrap_or(key);
            let stands =
                |line: &str| line.trim_start_matches([' ', '-']).starts_with(&format!("{last}:"));
            !EXAMPLE.lines().any(stands)
        })
        .collect();
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn every_key_that_may_be_a_default_is_one_of_a_node_and_the_other_way_round() {
    let of = |section: &str| -> Vec<String> {
        known_keys().filter_map(|key| key.strip_prefix(section).map(str::to_owned)).collect()
    };
    let nodes: Vec<String> = of("nodes.").into_iter().filter(|key| !key.contains('.')).collect();
    assert_eq!(nodes[..4], ["host", "address", "cassandra_address", "host_id"]);
    assert_eq!(nodes[4..], of("defaults."));
}

#[test]
fn names_cassandra_gives_need_no_quotes() {
    let text = "cluster: 007\nnodes:\n  - {host: a, dc: no, rack: 1, labels: {v: 010, w: 1.50, x: ON, y: '5', z: .inf}}\n";
    assert_eq!(parse(text).unwrap().cluster, "007");
    insta::assert_snapshot!(shown(text), @r#"
    a: - - ("no")/("1") {"v": "010", "w": "1.50", "x": "ON", "y": "5", "z": ".inf"} line 3
    "#);
}

#[test]
fn anchors_aliases_and_merge_keys_work() {
    insta::assert_snapshot!(shown(
        "cluster: c\n\
         nodes:\n\
         \x20 - &big {host: a, rack: r1, labels: &l {size: big}}\n\
         \x20 - {<<: *big, host: b}\n\
         \x20 - {host: c, labels: *l}\n"
    ), @r#"
    a: - - None/("r1") {"size": "big"} line 3
    b: - - None/("r1") {"size": "big"} line 4
    c: - - None/None {"size": "big"} line 5
    "#);
}

#[test]
fn an_anchor_may_be_used_by_a_thousand_nodes() {
    let mut text = String::from("cluster: c\nnodes:\n  - &one {host: n0, rack: r1}\n");
    for index in 1..1000 {
        let _ = writeln!(text, "  - {{<<: *one, host: n{index}}}");
    }
    assert_eq!(parse(&text).unwrap().nodes.len(), 1000);
}

#[test]
fn a_file_may_hold_comments_without_end_and_windows_line_ends() {
    let comments = "# a remark\n".repeat(20_000);
    let text = format!("\u{feff}{comments}cluster: c\nnodes:\n{comments}  - a\n{comments}");
    assert_eq!(parse(&text).unwrap().nodes.len(), 1);
    assert_eq!(parse(&text.replace('\n', "\r\n")).unwrap().nodes[0].line, 40_003);
}

#[test]
fn ranges_pair_with_ranges_and_addresses_of_the_new_kind_are_none() {
    insta::assert_snapshot!(shown(
        "cluster: c\n\
         nodes:\n\
         \x20 - host: a[08-10,1]\n\
         \x20   address: 192.0.2.[11-14]\n\
         \x20   cassandra_address: fd77::[11-14]\n\
         \x20 - 'fd77::20'\n\
         \x20 - '[fd77::21]'\n\
         \x20 - fe80::1%eth0\n"
    ), @r"
    a08: 192.0.2.11 fd77::11 None/None {} line 3
    a09: 192.0.2.12 fd77::12 None/None {} line 3
    a10: 192.0.2.13 fd77::13 None/None {} line 3
    a1: 192.0.2.14 fd77::14 None/None {} line 3
    fd77::20: - - None/None {} line 6
    fd77::21: - - None/None {} line 7
    fe80::1%eth0: - - None/None {} line 8
    ");
}

#[test]
fn a_node_s_own_settings_win_and_maps_are_merged() {
    let inventory = parse(
        "cluster: c\n\
         defaults:\n\
         \x20 jmx: {port: 7200, user: u, password_file: /p}\n\
         \x20 paths: {config: /c, data: /d}\n\
         \x20 labels: {env: prod, tier: hot}\n\
         nodes:\n\
         \x20 - host: a\n\
         \x20   jmx: {port: 7300, sudo: yes}\n\
         \x20   paths: {data: [/x, /y]}\n\
         \x20   labels: {env: test}\n",
    )
    .unwrap();
    let node = &inventory.nodes[0];
    insta::assert_debug_snapshot!((&node.jmx, &node.paths, &node.labels), @r#"
    (
        Jmx {
            host: None,
            port: Some(
                7300,
            ),
            user: Some(
                "u",
            ),
            password_file: Some(
                "/p",
            ),
            sudo: true,
        },
        Paths {
            nodetool: None,
            config: Some(
                "/c",
            ),
            data: [
                "/x",
                "/y",
            ],
        },
        {
            "env": "test",
            "tier": "hot",
        },
    )
    "#);
}

#[test]
fn whose_rights_are_used_is_merged_key_by_key() {
    let inventory = parse(
        "cluster: c\n\
         defaults:\n\
         \x20 become: {user: cassandra, password: ask}\n\
         nodes:\n\
         \x20 - a\n\
         \x20 - host: b\n\
         \x20   become: {password: own}\n\
         \x20 - host: c\n\
         \x20   become: {method: doas, password: none}\n",
    )
    .unwrap();
    let words =
        |node: &NodeSpec| format!("{} {:?}", node.rights.words().join(" "), node.rights.password);
    let words: Vec<String> = inventory.nodes.iter().map(words).collect();
    assert_eq!(
        words,
        ["sudo -n -u cassandra -- Ask", "sudo -n -u cassandra -- Own", "doas -n -u cassandra None"]
    );
    // A journal of an earlier version says nothing of it, and one that need not does not.
    let mut old = inventory.nodes[0].clone();
    old.rights = Rights::default();
    let text = serde_json::to_string(&old).unwrap();
    assert!(!text.contains("become"), "{text}");
    assert_eq!(serde_json::from_str::<NodeSpec>(&text).unwrap(), old);
    let text = serde_json::to_string(&inventory.nodes[2]).unwrap();
    assert!(text.contains(r#""become":{"method":"doas","user":"cassandra","password":"none"}"#));
    assert_eq!(serde_json::from_str::<NodeSpec>(&text).unwrap(), inventory.nodes[2]);
}

#[test]
fn rights_that_cannot_be_had_are_a_mistake_in_the_file() {
    let first = |text: &str| {
        let said = wrong(&format!("cluster: c\nnodes:\n  - host: a\n    become: {text}\n"));
        assert!(!said.contains("hunter2"), "{said}");
        said.lines().next().unwrap().to_owned()
    };
    let texts = [
        "{method: doas, password: ask}",
        "{user: -x}",
        "{user: 'a b'}",
        "{password: hunter2}",
        "{method: su}",
    ];
    insta::assert_snapshot!(texts.map(first).join("\n"), @r"
    inventory.yaml:4:5: doas takes a password from a terminal alone, expected no password here and `nopass` in the nodes' doas.conf
    inventory.yaml:4:20: user is '-x', expected an account's name of letters, digits, '.', '-' and '_'
    inventory.yaml:4:20: user is 'a b', expected an account's name of letters, digits, '.', '-' and '_'
    inventory.yaml:4:24: password is another text (not shown), expected none, ask (one for all nodes) or own (one of this node alone); the password itself has no place in this file
    inventory.yaml:4:22: method is 'su', expected sudo or doas
    ");
}

#[test]
fn the_ring_is_asked_of_nodes_of_this_file_only() {
    let nodes = "nodes: [a.dc1, a.dc2, 'b1.dc1', {host: x, address: 192.0.2.9}]\n";
    let said = wrong(&format!("cluster: c\nring_from: [a, b2, 192.0.2.9]\n{nodes}"));
    insta::assert_snapshot!(said, @r"
    inventory.yaml:2:13: ring_from 'a', expected one node, not a.dc1, a.dc2
      2 | ring_from: [a, b2, 192.0.2.9]
        |             ^
    inventory.yaml:2:16: ring_from 'b2', expected a node of this inventory; did you mean 'b1'?
      2 | ring_from: [a, b2, 192.0.2.9]
        |                ^^
    ");
    let inventory = parse(&format!("cluster: c\nring_from: b[1-1]\n{nodes}")).unwrap();
    assert_eq!(inventory.ring_from, ["b1.dc1"]);
}

#[test]
fn nodes_are_selected_by_what_the_inventory_says_of_them() {
    let nodes = parse(EXAMPLE).unwrap().nodes;
    for (flag, value, names) in [
        ("--node", "10.0.0.13", "cass-13"),
        ("--node", "192.0.2.13,old-*", "cass-13 old-1 old-2"),
        ("--node", "cass-[11-12]", "cass-11.dc1.example.net cass-12.dc1.example.net"),
        ("--rack", "dc1/r2", "cass-13"),
        ("--dc", "!dc1", "old-1 old-2"),
        ("--label", "canary", "cass-13"),
    ] {
        let of = |this: &str| {
            if this == flag { vec![value.to_owned()] } else { vec![] }
        };
        let selection =
            Selection::new(&of("--dc"), &of("--rack"), &of("--node"), &of("--label")).unwrap();
        let selected = selection.select(nodes.iter().collect()).unwrap();
        let chosen: Vec<&str> = selected.chosen.iter().map(|node| node.name()).collect();
        assert_eq!(chosen.join(" "), names, "{flag} {value}");
        assert_eq!(selected.unmatched, Vec::<String>::new());
    }
}

fn draft() -> Draft {
    let node = |host: &str, dc: Option<&str>, rack: Option<&str>| DraftNode {
        host_id: None,
        host: host.to_owned(),
        dc: dc.map(str::to_owned),
        rack: rack.map(str::to_owned),
        comment: Some(format!("host id of {host}\nUN")),
    };
    Draft {
        cluster: "Test Cluster".to_owned(),
        user: Some("ops".to_owned()),
        port: Some(2222),
        identity_files: vec!["/k/a".into(), "/k/b c".into()],
        known_hosts: vec!["/k/known_hosts".into()],
        proxy_jump: Some(vec!["ops@bastion:22".to_owned()]),
        transport: None,
        nodes: vec![
            node("10.0.0.3", Some("dc1"), Some("rack 2")),
            node("10.0.0.1", Some("dc1"), Some("no")),
            node("fd77::1", Some("dc: 2"), Some("1")),
            node("10.0.0.2", Some("dc1"), Some("no")),
            node("cass-9", None, Some("")),
        ],
    }
}

#[test]
fn a_written_inventory_is_grouped_and_quoted_where_needed() {
    insta::assert_snapshot!(render(&draft()).unwrap(), @r#"
    # Written by `ringhaul nodes --write` from what the ring said. Yours from now on: every
    # key that may stand here is explained in inventory.example.yaml.
    cluster: "Test Cluster"

    defaults:
      user: ops
      port: 2222
      identity_file: [/k/a, "/k/b c"]
      known_hosts: /k/known_hosts
      proxy_jump: "ops@bastion:22"

    nodes:
      # data centre and rack not known
      - host: cass-9  # host id of cass-9 UN
      # data centre dc1, rack no
      - host: 10.0.0.1  # host id of 10.0.0.1 UN
        dc: dc1
        rack: "no"
      - host: 10.0.0.2  # host id of 10.0.0.2 UN
        dc: dc1
        rack: "no"
      # data centre dc1, rack rack 2
      - host: 10.0.0.3  # host id of 10.0.0.3 UN
        dc: dc1
        rack: "rack 2"
      # data centre dc: 2, rack 1
      - host: "fd77::1"  # host id of fd77::1 UN
        dc: "dc: 2"
        rack: "1"
    "#);
}

#[test]
fn a_path_that_would_not_be_found_again_is_refused() {
    let relative = Draft { known_hosts: vec!["known_hosts".into()], ..draft() };
    assert_eq!(render(&relative), Err(DraftError::Relative("known_hosts".into())));
    insta::assert_snapshot!(render(&relative).unwrap_err(), @r"
    the path known_hosts is relative: an inventory needs it absolute
    ");
}

/// Names as rings have them, and as they should not: YAML's own words, blanks, quotes, colons.
fn name() -> impl Strategy<Value = String> {
    let odd = prop::sample::select(vec![
        "yes",
        "No",
        "null",
        "~",
        "1",
        "007",
        "1e3",
        "0x10",
        "1_000",
        "12:30:45",
        ".inf",
        "-",
        "- a",
        "? a",
        "a: b",
        "a #b",
        "#",
        "!t",
        "&a",
        "*a",
        "{a}",
        "[a]",
        "'",
        "\"",
        "\\",
        "%",
        "@",
        "`",
        "|",
        ">",
        " a ",
        "größe",
        "数",
        "a\u{2028}b",
        "a\u{feff}",
        "none",
        "2026-11-21",
        "<<",
        "=",
    ]);
    prop_oneof![
        odd.prop_map(str::to_owned),
        "[ -~é数😀]{1,8}".prop_filter("a name", |s| !s.trim().is_empty())
    ]
}

proptest! {
    #[test]
    fn a_written_inventory_reads_back_to_the_same(
        cluster in name(),
        user in prop::option::of("[a-z][a-z0-9_-]{0,8}"),
        port in prop::option::of(1..=u16::MAX),
        keys in prop::collection::vec("/[ -~é]{1,12}", 0..3),
        jump in prop::option::of(prop::collection::vec("[a-m]{1,5}(:[1-9][0-9]{0,3})?", 0..3)),
        transport in prop::option::of(prop::sample::select(vec![Transport::Builtin, Transport::Openssh])),
        places in prop::collection::vec((prop::option::of(name()), prop::option::of(name()), prop::option::of(name())), 1..8),
    ) {
        let host = |i: usize| match i % 3 {
            0 => format!("cass-{i}"),
            1 => format!("10.0.0.{i}"),
            _ => format!("fd77::{i}"),
        };
        let nodes: Vec<DraftNode> = places.into_iter().enumerate()
            .map(|(i, (dc, rack, comment))| DraftNode { host: host(i), host_id: (i % 2 == 0).then(|| format!("3500c635-65e6-4606-be39-{i:012}")), dc, rack, comment })
            .collect();
        let keys: Vec<PathBuf> = keys.iter().map(|key| Path::new(key).components().collect()).collect();
        let draft = Draft { cluster: cluster.clone(), user, port, identity_files: keys.clone(), known_hosts: keys, proxy_jump: jump, transport, nodes };
        let text = render(&draft).unwrap();
        let back = parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        prop_assert_eq!(&back.cluster, &cluster);
        prop_assert_eq!(back.nodes.len(), draft.nodes.len());
        for node in &draft.nodes {
            let read = back.node(&node.host).unwrap();
            prop_assert_eq!((&read.dc, &read.rack), (&node.dc, &node.rack));
            prop_assert_eq!(&read.endpoint.user, &draft.user);
            prop_assert_eq!(read.endpoint.port, draft.port);
            prop_assert_eq!(&read.endpoint.identity_files, &draft.identity_files);
            prop_assert_eq!(&read.endpoint.known_hosts, &draft.known_hosts);
            prop_assert_eq!(&read.endpoint.proxy_jump, &draft.proxy_jump);
            prop_assert_eq!(read.endpoint.transport, draft.transport);
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(
        words in prop::collection::vec(prop::sample::select(vec![
            "cluster: c\n", "nodes:\n", "  - host: a", "[1-3]", "    jmx: {", "password: x", "}\n", "- ", "\n", "\t",
            "  ", ": ", "&a ", "*a", "<<: ", "[", "]", "'", "\"", "|\n", "é", "\u{0}", "\r\n", "---\n", "!x ", "# c\n", "? ",
            "defaults:\n", "  port: 5\n", "  user: u\n", "\u{feff}", "labels: {a: b}\n", "~", "x: ",
        ]), 0..24)
    ) {
        let text = words.concat();
        let _ = parse(&text);
    }
}

//! Each mistake an operator can make in an inventory, and the message it gives.

use std::fmt::Write as _;
use std::path::Path;

use ringhaul::inventory::Inventory;

use super::{parse, wrong, wrong_nodes};

#[test]
fn what_is_no_inventory_at_all_says_so() {
    let said: Vec<String> = [
        "",
        "# nothing but this\n",
        "- a\n- b\n",
        "cass-01, cass-02",
        "cluster: [\n",
        "cluster: c\nnodes:\n\t- a\n",
        "cluster: c\nnodes: [a]\n---\ncluster: d\n",
        "cluster: c\nnodes: *nobody\n",
        "cluster: &a [*a]\n",
        "cluster: !script c\nnodes: [a]\n",
        "cluster: c\nnodes:\n  - <<: 5\n    host: a\n",
        "cluster: c\nnodes: [[[[[[[[[[[[[[[[[[[[[[[[a]]]]]]]]]]]]]]]]]]]]]]]]\n",
        "nodes: [a]\n",
        "cluster: c\n",
        "cluster: c\nnodes:\n",
        "cluster: c\nnodes: []\n",
        "cluster: c\nnodes: cass-01\n",
        "? [a]\n: b\n",
    ]
    .into_iter()
    .map(wrong)
    .collect();
    insta::assert_snapshot!(said.join("\n\n"), @r"
    inventory.yaml:1:1: the file is empty, expected the keys cluster and nodes

    inventory.yaml:1:1: the file is empty, expected the keys cluster and nodes
      1 | # nothing but this
        | ^

    inventory.yaml:1:1: the inventory is a list, expected a map with the keys cluster, ring_from, defaults, nodes
      1 | - a
        | ^

    inventory.yaml:1:1: the inventory is 'cass-01, cass-02', expected a map with the keys cluster, ring_from, defaults, nodes
      1 | cass-01, cass-02
        | ^^^^^^^^^^^^^^^^

    inventory.yaml:1:10: unclosed bracket '[', expected YAML as in inventory.example.yaml
      1 | cluster: [
        |          ^

    inventory.yaml:3:2: tabs disallowed within this context (block indentation), expected spaces instead of the tab
      3 |  - a
        |  ^

    inventory.yaml:4:1: a second document begins, expected one document in the file
      4 | cluster: d
        | ^

    inventory.yaml:2:8: alias references unknown anchor, expected YAML as in inventory.example.yaml
      2 | nodes: *nobody
        |        ^

    inventory.yaml:1:14: an alias stands inside of what it names, expected it outside of that
      1 | cluster: &a [*a]
        |              ^

    inventory.yaml:1:18: a tag, a word that begins with '!', expected a value without, or in quotes
      1 | cluster: !script c
        |                  ^

    inventory.yaml:3:9: YAML merge value must be mapping or sequence of mappings, expected YAML as in inventory.example.yaml
      3 |   - <<: 5
        |         ^

    inventory.yaml:2:23: too much depth, or too much behind aliases, expected a file of ordinary size
      2 | nodes: [[[[[[[[[[[[[[[[[[[[[[[[a]]]]]]]]]]]]]]]]]]]]]]]]
        |                       ^

    inventory.yaml:1:1: the key 'cluster' is missing, expected a name for reports
      1 | nodes: [a]
        | ^

    inventory.yaml:1:1: the key 'nodes' is missing, expected a list of hosts
      1 | cluster: c
        | ^

    inventory.yaml:2:6: nodes is empty, expected a list of hosts, each line beginning with '- '
      2 | nodes:
        |      ^

    inventory.yaml:2:8: nodes is empty, expected at least one host
      2 | nodes: []
        |        ^

    inventory.yaml:2:8: nodes is 'cass-01', expected a list of hosts, each line beginning with '- '
      2 | nodes: cass-01
        |        ^^^^^^^

    inventory.yaml:1:3: a list stands for a key in the inventory, expected a word
      1 | ? [ …
        |   ^
    ");
}

#[test]
fn a_bomb_of_aliases_is_refused_soon() {
    let mut text = String::from("cluster: c\nl0: &l0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let below = format!("*l{}, ", level - 1).repeat(10);
        let _ = writeln!(text, "l{level}: &l{level} [{below}]");
    }
    insta::assert_snapshot!(wrong(&text), @r"
    inventory.yaml:7:10: too much depth, or too much behind aliases, expected a file of ordinary size
      7 | l5: &l5 [*l4, *l4, *l4, *l4, *l4, *l4, *l4, *l4, *l4, *l4, ]
        |          ^
    ");
}

#[test]
fn all_problems_of_a_file_are_named_at_once() {
    insta::assert_snapshot!(wrong(
        "clustr: c\n\
         user: ops\n\
         ring_from: [cass-1, a]\n\
         defaults:\n\
         \x20 identity_fil: x\n\
         \x20 user: 5\n\
         \x20 port: 70000\n\
         \x20 host: nowhere\n\
         \x20 nodetool: /x\n\
         \x20 flavour: sweet\n\
         nodes:\n\
         \x20 - host: b[3-1]\n\
         \x20 - hst: c\n\
         \x20 - rack: r1\n\
         \x20 - host: a\n\
         \x20   rack:\n\
         \x20   paths: /opt\n\
         \x20   sudo: yes\n\
         \x20 -\n"
    ), @r#"
    inventory.yaml:1:1: unknown key 'clustr' in the inventory: did you mean 'cluster'? expected one of cluster, ring_from, defaults, nodes
      1 | clustr: …
        | ^^^^^^
    inventory.yaml:2:1: unknown key 'user' in the inventory, expected it in defaults or a node or jmx or become
      2 | user: …
        | ^^^^
    inventory.yaml:3:13: ring_from 'cass-1', expected a node of this inventory
      3 | ring_from: [cass-1, a]
        |             ^^^^^^
    inventory.yaml:5:3: unknown key 'identity_fil' in defaults: did you mean 'identity_file'? expected one of user, port, identity_file, known_hosts, proxy_jump, auth, transport, sudo, become, paths, jmx, dc, rack, labels
      5 |   identity_fil: …
        |   ^^^^^^^^^^^^
    inventory.yaml:6:9: user is the number 5, expected text; write "5" if that is meant
      6 |   user: 5
        |         ^
    inventory.yaml:7:9: port is the number 70000, expected a number from 1 to 65535, without quotes
      7 |   port: 70000
        |         ^^^^^
    inventory.yaml:8:3: unknown key 'host' in defaults, expected it in a node or jmx
      8 |   host: …
        |   ^^^^
    inventory.yaml:9:3: unknown key 'nodetool' in defaults, expected it in paths
      9 |   nodetool: …
        |   ^^^^^^^^
    inventory.yaml:10:3: unknown key 'flavour' in defaults, expected one of user, port, identity_file, known_hosts, proxy_jump, auth, transport, sudo, become, paths, jmx, dc, rack, labels
      10 |   flavour: …
         |   ^^^^^^^
    inventory.yaml:12:13: host: '3-1' runs backwards in 'b[3-1]', expected a range such as [01-12,15,20-30/2]
      12 |   - host: b[3-1]
         |             ^
    inventory.yaml:13:5: unknown key 'hst' in a node: did you mean 'host'? expected one of host, address, cassandra_address, host_id, user, port, identity_file, known_hosts, proxy_jump, auth, transport, sudo, become, paths, jmx, dc, rack, labels
      13 |   - hst: …
         |     ^^^
    inventory.yaml:14:5: the key 'host' is missing in this node, expected a host name or a range
      14 |   - rack: r1
         |     ^
    inventory.yaml:16:9: rack is empty, expected a name
      16 |     rack:
         |         ^
    inventory.yaml:17:12: paths is '/opt', expected a map with the keys nodetool, config, data
      17 |     paths: /opt
         |            ^^^^
    inventory.yaml:18:11: sudo is the truth value yes, expected auto, never or always; did you mean 'always'?
      18 |     sudo: yes
         |           ^^^
    inventory.yaml:19:4: a node is empty, expected a host name, or a map with the key host
      19 |   -
         |   ^
    "#);
}

#[test]
fn every_wrong_value_says_what_was_expected() {
    let said: Vec<String> = [
        "port: '22'",
        "port: 0",
        "port: 1.5",
        "port: 99999999999999999999",
        "user: -x",
        "user: a;b",
        "user: [a]",
        "user: true",
        "sudo: no",
        "sudo: allways",
        "sudo: 5",
        "sudo: [auto]",
        "identity_file: []",
        "identity_file: [a, 5]",
        "identity_file: ~other/key",
        "known_hosts: {}",
        "proxy_jump: 'a b'",
        "proxy_jump: [none, a]",
        "proxy_jump: a:0",
        "paths: {nodetool: bin/nodetool}",
        "paths: {data: [/a, b]}",
        "paths: {conf: /x}",
        "paths: {config: \"/a\\nb\"}",
        "jmx: 7199",
        "jmx: {sudo: auto}",
        "jmx: {user: u}",
        "jmx: {password_file: /p}",
        "jmx: {host: 'a b'}",
        "dc: [a]",
        "rack: ''",
        "rack: \"a\\e[31mb\"",
        "labels: [a]",
        "labels: {a b: c}",
        "labels: {a: [b]}",
        "labels: {'a=b': c}",
        "address: 192.0.2.[1-2]",
        "address: ops@x",
        "cassandra_address: x:7000",
    ]
    .into_iter()
    .map(|line| wrong_nodes(&format!("  - host: h\n    {line}\n")))
    .collect();
    insta::assert_snapshot!(said.join("\n"), @r#"
    inventory.yaml:4:11: port is '22', expected a number from 1 to 65535, without quotes
      4 |     port: '22'
        |           ^^^^
    inventory.yaml:4:11: port is the number 0, expected a number from 1 to 65535, without quotes
      4 |     port: 0
        |           ^
    inventory.yaml:4:11: port is the number 1.5, expected a number from 1 to 65535, without quotes
      4 |     port: 1.5
        |           ^^^
    inventory.yaml:4:11: port is the number 99999999999999999999, expected a number from 1 to 65535, without quotes
      4 |     port: 99999999999999999999
        |           ^^^^^^^^^^^^^^^^^^^^
    inventory.yaml:4:11: user is '-x', expected a login name
      4 |     user: -x
        |           ^^
    inventory.yaml:4:11: user is 'a;b', expected a login name without quotes and brackets
      4 |     user: a;b
        |           ^^^
    inventory.yaml:4:11: user is a list, expected text
      4 |     user: [a]
        |           ^
    inventory.yaml:4:11: user is the truth value true, expected text; write "true" if that is meant
      4 |     user: true
        |           ^^^^
    inventory.yaml:4:11: sudo is the truth value no, expected auto, never or always; did you mean 'never'?
      4 |     sudo: no
        |           ^^
    inventory.yaml:4:11: sudo is 'allways', expected auto, never or always; did you mean 'always'?
      4 |     sudo: allways
        |           ^^^^^^^
    inventory.yaml:4:11: sudo is the number 5, expected auto, never or always
      4 |     sudo: 5
        |           ^
    inventory.yaml:4:11: sudo is a list, expected auto, never or always
      4 |     sudo: [auto]
        |           ^
    inventory.yaml:4:20: identity_file is a list, expected a text or a list of texts
      4 |     identity_file: []
        |                    ^
    inventory.yaml:4:24: identity_file is the number 5, expected text; write "5" if that is meant
      4 |     identity_file: [a, 5]
        |                        ^
    inventory.yaml:4:20: identity_file is '~other/key', expected '~/…' or a path without '~'
      4 |     identity_file: ~other/key
        |                    ^^^^^^^^^^
    inventory.yaml:4:18: known_hosts is a map, expected a text or a list of texts
      4 |     known_hosts: {}
        |                  ^
    inventory.yaml:4:17: proxy_jump 'a b', expected [user@]host[:port], or none alone
      4 |     proxy_jump: 'a b'
        |                 ^^^^^
    inventory.yaml:4:18: proxy_jump 'none', expected [user@]host[:port], or none alone
      4 |     proxy_jump: [none, a]
        |                  ^^^^
    inventory.yaml:4:17: proxy_jump 'a:0', expected [user@]host[:port], or none alone
      4 |     proxy_jump: a:0
        |                 ^^^
    inventory.yaml:4:23: nodetool is 'bin/nodetool', expected an absolute path on the node
      4 |     paths: {nodetool: bin/nodetool}
        |                       ^^^^^^^^^^^^
    inventory.yaml:4:24: data is 'b', expected an absolute path on the node
      4 |     paths: {data: [/a, b]}
        |                        ^
    inventory.yaml:4:13: unknown key 'conf' in paths: did you mean 'config'? expected one of nodetool, config, data
      4 |     paths: {conf: …
        |             ^^^^
    inventory.yaml:4:21: config is '/a�b', expected a path without control characters
      4 |     paths: {config: "/a\nb"}
        |                     ^^^^^^^
    inventory.yaml:4:10: jmx is the number 7199, expected a map with the keys host, port, user, password_file, sudo
      4 |     jmx: 7199
        |          ^^^^
    inventory.yaml:4:17: sudo is 'auto', expected true or false
      4 |     jmx: {sudo: auto}
        |                 ^^^^
    inventory.yaml:4:5: jmx.user stands alone, expected jmx.password_file with it
      4 |     jmx: {user: u}
        |     ^^^
    inventory.yaml:4:5: jmx.password_file stands alone, expected jmx.user with it
      4 |     jmx: {password_file: /p}
        |     ^^^
    inventory.yaml:4:17: host is 'a b', expected a host name of letters, digits, '.', '-' and '_'
      4 |     jmx: {host: 'a b'}
        |                 ^^^^^
    inventory.yaml:4:9: dc is a list, expected a name
      4 |     dc: [a]
        |         ^
    inventory.yaml:4:11: rack is '', expected a name
      4 |     rack: ''
        |           ^^
    inventory.yaml:4:11: rack is 'a�[31mb', expected a name without control characters
      4 |     rack: "a\e[31mb"
        |           ^^^^^^^^^^
    inventory.yaml:4:13: labels is a list, expected a map of words, such as {env: prod}
      4 |     labels: [a]
        |             ^
    inventory.yaml:4:14: label 'a b', expected a label's name without blanks and any of = , ! * ? [ ] { }
      4 |     labels: {a b: c}
        |              ^^^
    inventory.yaml:4:17: a is a list, expected a name
      4 |     labels: {a: [b]}
        |                 ^
    inventory.yaml:4:14: label 'a=b', expected a label's name without blanks and any of = , ! * ? [ ] { }
      4 |     labels: {'a=b': c}
        |              ^^^^^
    inventory.yaml:4:14: address '192.0.2.[1-2]' stands for 2, expected 1, one for each of 'h'
      4 |     address: 192.0.2.[1-2]
        |              ^^^^^^^^^^^^^
    inventory.yaml:4:14: address is 'ops@x', expected the host without a login name
      4 |     address: ops@x
        |              ^^^^^
    inventory.yaml:4:24: cassandra_address is 'x:7000', expected the host without a port
      4 |     cassandra_address: x:7000
        |                        ^^^^^^
    "#);
}

#[test]
fn a_host_that_is_none_says_what_belongs_there() {
    let said: Vec<String> = [
        "''",
        "-oProxyCommand=x",
        "a b",
        "ops@a",
        "a:22",
        "'a,b'",
        "fd77::zz",
        "'a;reboot'",
        "[a]",
        "'a[1-'",
        "\"a\\tb\"",
        "5",
        "'x[1-2]y[3]]'",
        "a[1-70000]",
        "a/b",
        "'[a:b]'",
    ]
    .into_iter()
    .map(|host| wrong_nodes(&format!("  - host: {host}\n")))
    .collect();
    insta::assert_snapshot!(said.join("\n"), @r#"
    inventory.yaml:3:11: host is '', expected a host name or address
      3 |   - host: ''
        |           ^^
    inventory.yaml:3:11: host is '-oProxyCommand=x', expected a name that does not begin with '-'
      3 |   - host: -oProxyCommand=x
        |           ^^^^^^^^^^^^^^^^
    inventory.yaml:3:11: host is 'a b', expected a host name of letters, digits, '.', '-' and '_'
      3 |   - host: a b
        |           ^^^
    inventory.yaml:3:11: host is 'ops@a', expected the host without a login name
      3 |   - host: ops@a
        |           ^^^^^
    inventory.yaml:3:11: host is 'a:22', expected the host without a port
      3 |   - host: a:22
        |           ^^^^
    inventory.yaml:3:11: host is 'a,b', expected one host; several stand in entries of their own or in a range such as cass-[01-12]
      3 |   - host: 'a,b'
        |           ^^^^^
    inventory.yaml:3:11: host is 'fd77::zz', expected a host name or an IPv6 address
      3 |   - host: fd77::zz
        |           ^^^^^^^^
    inventory.yaml:3:11: host is 'a;reboot', expected a host name of letters, digits, '.', '-' and '_'
      3 |   - host: 'a;reboot'
        |           ^^^^^^^^^^
    inventory.yaml:3:11: host is a list, expected one text; quote what begins with a bracket
      3 |   - host: [a]
        |           ^
    inventory.yaml:3:13: host: '[' without ']' in 'a[1-', expected a range such as [01-12,15,20-30/2]
      3 |   - host: 'a[1-'
        |             ^
    inventory.yaml:3:11: host is 'a b', expected a host name of letters, digits, '.', '-' and '_'
      3 |   - host: "a\tb"
        |           ^^^^^^
    inventory.yaml:3:11: host is the number 5, expected text; write "5" if that is meant
      3 |   - host: 5
        |           ^
    inventory.yaml:3:22: host: ']' without '[' in 'x[1-2]y[3]]', expected a range such as [01-12,15,20-30/2]
      3 |   - host: 'x[1-2]y[3]]'
        |                      ^
    inventory.yaml:3:11: host: too many names in 'a[1-70000]', expected at most 65,536 names
      3 |   - host: a[1-70000]
        |           ^
    inventory.yaml:3:11: host is 'a/b', expected a host name of letters, digits, '.', '-' and '_'
      3 |   - host: a/b
        |           ^^^
    inventory.yaml:3:11: host is '[a:b]', expected a host name or an IPv6 address
      3 |   - host: '[a:b]'
        |           ^^^^^^^
    "#);
}

#[test]
fn a_key_that_comes_twice_names_both_lines() {
    let said = [
        wrong("cluster: c\nnodes: [a]\nnodes: [b]\n"),
        wrong_nodes("  - host: a\n    rack: r1\n    dc: d\n    rack: r2\n    rack: r3\n"),
        wrong_nodes("  - {host: a, labels: {x: 1, x: 2}}\n"),
        wrong_nodes("  - {host: a, labels: {1: a, 2: b, 0x1: c}}\n"),
    ];
    insta::assert_snapshot!(said.join("\n"), @r"
    inventory.yaml:3:1: duplicate key 'nodes' in the inventory, expected it once: line 2 has it already
      3 | nodes: …
        | ^^^^^
    inventory.yaml:6:5: duplicate key 'rack' in a node, expected it once: line 4 has it already
      6 |     rack: …
        |     ^^^^
    inventory.yaml:7:5: duplicate key 'rack' in a node, expected it once: line 6 has it already
      7 |     rack: …
        |     ^^^^
    inventory.yaml:3:30: duplicate key 'x' in labels, expected it once: line 3 has it already
      3 |   - {host: a, labels: {x: 1, x: …
        |                              ^
    inventory.yaml:3:36: duplicate key '0x1', expected each key once
      3 |   - {host: a, labels: {1: a, 2: b, 0x1: c}}
        |                                    ^
    ");
}

#[test]
fn a_node_that_comes_twice_names_both_lines() {
    let said = [
        wrong_nodes("  - a\n  - host: A\n"),
        wrong_nodes("  - cass-[01-04]\n  - b\n  - cass-[02-03,05]\n"),
        wrong_nodes("  - cass-[1-3,2]\n"),
        wrong_nodes("  - fd77::11\n  - 'fd77:0::0011'\n"),
        wrong_nodes("  - {host: a, address: 192.0.2.1}\n  - host: 192.0.2.1\n    port: 22\n"),
    ];
    insta::assert_snapshot!(said.join("\n"), @r"
    inventory.yaml:4:11: duplicate node A, expected each once: line 3 has it already
      4 |   - host: A
        |           ^
    inventory.yaml:5:5: duplicate node cass-[02-03], expected each once: line 3 has it already
      5 |   - cass-[02-03,05]
        |     ^^^^^^^^^^^^^^^
    inventory.yaml:3:5: duplicate node cass-2, expected each once: the same line has it already
      3 |   - cass-[1-3,2]
        |     ^^^^^^^^^^^^
    inventory.yaml:4:5: duplicate node fd77:0::0011, expected each once: line 3 has it already
      4 |   - 'fd77:0::0011'
        |     ^^^^^^^^^^^^^^
    inventory.yaml:4:11: node 192.0.2.1 has the address 192.0.2.1 port 22, expected another: a in line 3 has it already
      4 |   - host: 192.0.2.1
        |           ^^^^^^^^^
    ");
    let other_port = "  - {host: a, address: 127.0.0.1, port: 2201}\n  - {host: b, address: 127.0.0.1, port: 2202}\n";
    assert_eq!(parse(&format!("cluster: c\nnodes:\n{other_port}")).unwrap().nodes.len(), 2);
}

#[test]
fn a_long_line_is_cut_around_the_caret() {
    let nodes: String = (0..20).map(|i| format!("größe-{i}, ")).collect();
    let text = format!("cluster: c\nnodes: [{nodes}{{host: z, prt: 1}}, y]\n");
    insta::assert_snapshot!(wrong(&text), @r#"
    inventory.yaml:2:209: unknown key 'prt' in a node: did you mean 'port'? expected one of host, address, cassandra_address, host_id, user, port, identity_file, known_hosts, proxy_jump, auth, transport, sudo, become, paths, jmx, dc, rack, labels
      2 | röße-16, größe-17, größe-18, größe-19, {host: z, prt: …
        |                                                  ^^^
    inventory.yaml:2:218: host is the truth value y, expected text; write "y" if that is meant
      2 | größe-17, größe-18, größe-19, {host: z, prt: 1}, y]
        |                                                  ^
    "#);
}

#[test]
fn without_a_home_folder_a_tilde_is_an_error() {
    let text = "cluster: c\nnodes:\n  - {host: a, identity_file: ~/.ssh/id}\n";
    let error = Inventory::parse(text, Path::new("i.yaml"), Path::new("/"), None).unwrap_err();
    insta::assert_snapshot!(error.to_string(), @r"
    i.yaml:3:30: identity_file is '~/.ssh/id', expected a path without '~': the home folder is not known
      3 |   - {host: a, identity_file: ~/.ssh/id}
        |                              ^^^^^^^^^
    ");
}

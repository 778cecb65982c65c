//! What a message about an inventory must not show: secrets, and what moves a terminal's cursor.

use std::path::Path;

use ringhaul::inventory::Inventory;

use super::wrong_nodes;

#[test]
fn no_message_ever_shows_a_secret() {
    let mut said = Vec::new();
    for lines in [
        "jmx: {user: u, password: hunter2}",
        "jmx: {password: hunter2, prt: 5, port: x}",
        "jmx: {passwrd: hunter2}",
        "jmx: {Password: hunter2}",
        "jmx: {user: u, password_file: hunter2}",
        "jmx: {user: u, password_file: [hunter2]}",
        "jmx: {user: u, password_file: 5, port: x}",
        "jmx:\n      password: |\n        hunter2\n",
        "jmx:\n      password:\n        hunter2: x: y\n",
        "jmx: {password:\n      hunter2, port: x}",
        "jmx:\n      user: u\n      password: 'hunter2\n",
        "jmx:\n      password: hunter2: x\n",
        "password: hunter2",
        "password: !hunter2",
        "password: *hunter2",
        "password: @hunter2",
        "jmx: {password: !hunter2 x}",
        "pass: hunter2",
        "api-token: hunter2",
        "labels: {\"password\": [hunter2]}",
    ] {
        said.push(wrong_nodes(&format!("  - host: h\n    {lines}\n")));
    }
    let said = said.join("\n");
    assert!(!said.contains("hunter2"), "{said}");
    insta::assert_snapshot!(said, @r#"
    inventory.yaml:4:20: unknown key 'password' in jmx: passwords are not taken, expected jmx.password_file, the path of a file on the node that holds it
      4 |     jmx: {user: u, password: …
        |                    ^^^^^^^^
    inventory.yaml:4:11: unknown key 'password' in jmx: passwords are not taken, expected jmx.password_file, the path of a file on the node that holds it
      4 |     jmx: {password: …
        |           ^^^^^^^^
    inventory.yaml:4:30: unknown key 'prt' in jmx: did you mean 'port'? expected one of host, port, user, password_file, sudo
      4 |     jmx: {password: …
        |                     ^
    inventory.yaml:4:44: port is 'x', expected a number from 1 to 65535, without quotes
      4 |     jmx: {password: …
        |                     ^
    inventory.yaml:4:11: unknown key 'passwrd' in jmx: passwords are not taken, expected jmx.password_file, the path of a file on the node that holds it
      4 |     jmx: {passwrd: …
        |           ^^^^^^^
    inventory.yaml:4:11: unknown key 'Password' in jmx: passwords are not taken, expected jmx.password_file, the path of a file on the node that holds it
      4 |     jmx: {Password: …
        |           ^^^^^^^^
    inventory.yaml:4:35: password_file is another text (not shown), expected an absolute path on the node
      4 |     jmx: {user: u, password_file: …
        |                                   ^
    inventory.yaml:4:35: password_file is a list, expected text
      4 |     jmx: {user: u, password_file: …
        |                                   ^
    inventory.yaml:4:35: password_file is no text (not shown), expected an absolute path on the node
      4 |     jmx: {user: u, password_file: …
        |                                   ^
    inventory.yaml:4:44: port is 'x', expected a number from 1 to 65535, without quotes
      4 |     jmx: {user: u, password_file: …
        |                                   ^
    inventory.yaml:5:7: unknown key 'password' in jmx: passwords are not taken, expected jmx.password_file, the path of a file on the node that holds it
      5 |       password: …
        |       ^^^^^^^^
    inventory.yaml:6:19: mapping values are not allowed in this context, expected YAML as in inventory.example.yaml
      6 | …
        | ^
    inventory.yaml:4:11: unknown key 'password' in jmx: passwords are not taken, expected jmx.password_file, the path of a file on the node that holds it
      4 |     jmx: {password: …
        |           ^^^^^^^^
    inventory.yaml:5:22: port is 'x', expected a number from 1 to 65535, without quotes
      5 | …
        | ^
    inventory.yaml:8:1: invalid indentation in multiline quoted scalar, expected YAML as in inventory.example.yaml
    inventory.yaml:5:24: mapping values are not allowed in this context, expected YAML as in inventory.example.yaml
      5 |       password: …
        |                 ^
    inventory.yaml:4:5: unknown key 'password' in a node: passwords are not taken, expected jmx.password_file, the path of a file on the node that holds it
      4 |     password: …
        |     ^^^^^^^^
    inventory.yaml:4:23: a tag, a word that begins with '!', expected a value without, or in quotes
      4 |     password: …
        |               ^
    inventory.yaml:4:15: alias references unknown anchor, expected YAML as in inventory.example.yaml
      4 |     password: …
        |               ^
    inventory.yaml:4:15: unexpected character: `@', expected YAML as in inventory.example.yaml
      4 |     password: …
        |               ^
    inventory.yaml:4:30: a tag, a word that begins with '!', expected a value without, or in quotes
      4 |     jmx: {password: …
        |                     ^
    inventory.yaml:4:5: unknown key 'pass' in a node: passwords are not taken, expected jmx.password_file, the path of a file on the node that holds it
      4 |     pass: …
        |     ^^^^
    inventory.yaml:4:5: unknown key 'api-token' in a node: passwords are not taken, expected jmx.password_file, the path of a file on the node that holds it
      4 |     api-token: …
        |     ^^^^^^^^^
    inventory.yaml:4:26: password is a list, expected a name
      4 |     labels: {"password": …
        |                          ^
    "#);
}

#[test]
fn what_would_disturb_a_terminal_is_not_printed() {
    let text = "cluster: c\nnodes:\n  - host: \"a\u{1b}[2J\"\n    rckk\u{202e}: \u{7}\n";
    let error =
        Inventory::parse(text, Path::new("in\u{1b}[1m.yaml"), Path::new(""), None).unwrap_err();
    insta::assert_snapshot!(error.to_string(), @r#"
    in�[1m.yaml:3:13: unexpected character: `\u{1b}', expected YAML as in inventory.example.yaml
      3 |   - host: "a�[2J"
        |             ^
    "#);
}

#[test]
fn a_quote_that_is_not_closed_shows_no_secret_of_the_lines_it_swallows() {
    for filler in ["", "    # a comment of some length, which is no comment any more\n"] {
        let rest = filler.repeat(9);
        let text = format!(
            "cluster: c\nnodes:\n  - host: \"[n1\n{rest}    password: hunter2\n  - host: \"\n"
        );
        let parsed = Inventory::parse(&text, Path::new("i.yaml"), Path::new(""), None);
        let shown = parsed.unwrap_err().to_string();
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.chars().count() < 800, "{shown}");
    }
}

#[test]
fn what_cannot_be_seen_on_a_terminal_is_marked() {
    let text = "cluster: c\nnodes: [\"a\u{200b}\u{feff} b\"]\n";
    let parsed = Inventory::parse(text, Path::new("i.yaml"), Path::new(""), None);
    let shown = parsed.unwrap_err().to_string();
    assert!(shown.contains("\u{fffd}") && !shown.contains(['\u{200b}', '\u{feff}']), "{shown}");
}

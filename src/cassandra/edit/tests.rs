//! Every form a setting may have in cassandra.yaml, and what becomes of it.

use super::*;
use crate::cassandra::config;

pub(super) const KEY: &str = "incremental_backups";

/// The new text, after all that must hold of every edit was checked.
pub(super) fn set(before: &str, value: bool) -> Result<Option<String>, Refusal> {
    let Some(edit) = set_boolean(before.as_bytes(), KEY, value)? else {
        return Ok(None);
    };
    let new = String::from_utf8(edit.apply(before.as_bytes())).unwrap();
    let end = edit.offset + edit.length;
    assert_eq!(new[..edit.offset], before[..edit.offset], "what is before the edit stays");
    assert_eq!(new[edit.offset + edit.text.len()..], before[end..], "what is behind it stays");
    let read = config::parse(&new).unwrap();
    assert_eq!(read.incremental_backups.known(), Some(&value), "{new}");
    assert_eq!(set_boolean(new.as_bytes(), KEY, value), Ok(None), "twice is once: {new}");
    assert_eq!(edit.before.is_none(), edit.text.contains(['\n', '\r']), "{edit:?}");
    Ok(Some(new))
}

fn becomes(before: &str, after: &str) {
    assert_eq!(set(before, true).unwrap().as_deref(), Some(after), "{before}");
}

fn refused(before: &str) -> String {
    set_boolean(before.as_bytes(), KEY, true).expect_err(before).to_string()
}

#[test]
fn only_the_word_is_replaced() {
    for (before, after) in [
        ("incremental_backups: false\n", "incremental_backups: true\n"),
        ("incremental_backups: No # why\nx: 1\n", "incremental_backups: true # why\nx: 1\n"),
        (
            "incremental_backups :  OFF\t# w\r\nx: 1\r\n",
            "incremental_backups :  true\t# w\r\nx: 1\r\n",
        ),
        ("incremental_backups:   false   \n\n\n", "incremental_backups:   true   \n\n\n"),
        ("incremental_backups: false", "incremental_backups: true"),
        ("a: ü€𝄞 # ü\nincremental_backups: false\n", "a: ü€𝄞 # ü\nincremental_backups: true\n"),
        ("\u{feff}incremental_backups: false\n", "\u{feff}incremental_backups: true\n"),
        (
            "\u{feff}# é\r\nincremental_backups: false\r\n",
            "\u{feff}# é\r\nincremental_backups: true\r\n",
        ),
        ("'incremental_backups': false\n", "'incremental_backups': true\n"),
        ("\"incremental_backups\" : false\n", "\"incremental_backups\" : true\n"),
        ("incremental_backups: \"false\"\n", "incremental_backups: \"true\"\n"),
        ("incremental_backups: 'no' # x\n", "incremental_backups: 'true' # x\n"),
        ("incremental_backups: !!bool false\n", "incremental_backups: !!bool true\n"),
        ("incremental_backups: !!bool 'false'\n", "incremental_backups: !!bool 'true'\n"),
        ("incremental_backups: &off false\nx: 1\n", "incremental_backups: &off true\nx: 1\n"),
        ("incremental_backups:\n  false\nx: 1\n", "incremental_backups:\n  true\nx: 1\n"),
        (
            "incremental_backups: # here:\n    # or here\n  false\nx: 1\n",
            "incremental_backups: # here:\n    # or here\n  true\nx: 1\n",
        ),
        ("? incremental_backups\n: false\n", "? incremental_backups\n: true\n"),
        (
            "x: &no false\nincremental_backups: *no\ny: *no\n",
            "x: &no false\nincremental_backups: true\ny: *no\n",
        ),
        (
            "  a: 1\n  incremental_backups: false\n  b: 2\n",
            "  a: 1\n  incremental_backups: true\n  b: 2\n",
        ),
        ("---\nincremental_backups: false\n...\n", "---\nincremental_backups: true\n...\n"),
        (
            "%YAML 1.1\n---\nincremental_backups: false\n",
            "%YAML 1.1\n---\nincremental_backups: true\n",
        ),
        ("--- # one\nincremental_backups: false\n", "--- # one\nincremental_backups: true\n"),
        ("{a: 1, incremental_backups: false}\n", "{a: 1, incremental_backups: true}\n"),
        (
            "{\"a\": 1, \"incremental_backups\":false}\n",
            "{\"a\": 1, \"incremental_backups\":true}\n",
        ),
        ("{\n  a: 1,\n  incremental_backups: no\n}", "{\n  a: 1,\n  incremental_backups: true\n}"),
        ("a: 1\rincremental_backups: false\rb: 2\r", "a: 1\rincremental_backups: true\rb: 2\r"),
        (
            "# incremental_backups: true\nincremental_backups: false\n",
            "# incremental_backups: true\nincremental_backups: true\n",
        ),
        (
            "a:\n  incremental_backups: true\nincremental_backups: false\n",
            "a:\n  incremental_backups: true\nincremental_backups: true\n",
        ),
        (
            "t: |\n  incremental_backups: true\nincremental_backups: false\n",
            "t: |\n  incremental_backups: true\nincremental_backups: true\n",
        ),
        // Other keys given twice are Cassandra's to read, the last wins.
        ("a: 1\na: 2\nincremental_backups: false\n", "a: 1\na: 2\nincremental_backups: true\n"),
    ] {
        becomes(before, after);
    }
}

#[test]
fn a_key_without_a_value_gets_one() {
    for (before, after) in [
        ("incremental_backups:\nx: 1\n", "incremental_backups: true\nx: 1\n"),
        ("incremental_backups:", "incremental_backups: true"),
        (
            "x: 1\r\nincremental_backups :  # why\r\n",
            "x: 1\r\nincremental_backups : true  # why\r\n",
        ),
        ("\"incremental_backups\":\n# c\n\nx: 1\n", "\"incremental_backups\": true\n# c\n\nx: 1\n"),
        ("incremental_backups: ~\n", "incremental_backups: true\n"),
        ("incremental_backups: null # n\n", "incremental_backups: true # n\n"),
        ("{incremental_backups: , a: 1}\n", "{incremental_backups: true , a: 1}\n"),
    ] {
        becomes(before, after);
    }
}

#[test]
fn a_commented_key_gets_a_line_behind_the_comment() {
    for (before, after) in [
        (
            "a: 1\n# incremental_backups: false\nb: 2\n",
            "a: 1\n# incremental_backups: false\nincremental_backups: true\nb: 2\n",
        ),
        (
            "#incremental_backups: true\r\nb: 2\r\n",
            "#incremental_backups: true\r\nincremental_backups: true\r\nb: 2\r\n",
        ),
        ("b: 2\n# incremental_backups:", "b: 2\n# incremental_backups:\nincremental_backups: true"),
        // Of two, the last.
        (
            "# incremental_backups: true\nb: 2\n#incremental_backups: false\nc: 3\n",
            "# incremental_backups: true\nb: 2\n#incremental_backups: false\nincremental_backups: true\nc: 3\n",
        ),
        // Prose is no setting.
        (
            "# incremental_backups: false means no links\nb: 2\n",
            "# incremental_backups: false means no links\nb: 2\nincremental_backups: true\n",
        ),
        // Inside of another setting there is no place for it.
        (
            "dirs:\n# incremental_backups: false\n  - /a\nb: 2\n",
            "dirs:\n# incremental_backups: false\n  - /a\nb: 2\nincremental_backups: true\n",
        ),
        (
            "t: |\n  x\n  # incremental_backups: false\n  y\n",
            "t: |\n  x\n  # incremental_backups: false\n  y\nincremental_backups: true\n",
        ),
        (
            "# incremental_backups: false\n---\nb: 2\n",
            "# incremental_backups: false\n---\nb: 2\nincremental_backups: true\n",
        ),
        (
            "b: 2\n...\n# incremental_backups: false\n",
            "b: 2\nincremental_backups: true\n...\n# incremental_backups: false\n",
        ),
        (
            "  a: 1\n  # incremental_backups: false\n  b: 2\n",
            "  a: 1\n  # incremental_backups: false\n  incremental_backups: true\n  b: 2\n",
        ),
    ] {
        becomes(before, after);
    }
}

#[test]
fn an_absent_key_comes_last_in_the_form_of_the_file() {
    for (before, after) in [
        ("a: 1\n", "a: 1\nincremental_backups: true\n"),
        ("a: 1\r\nb: 2\r\n", "a: 1\r\nb: 2\r\nincremental_backups: true\r\n"),
        ("a: 1", "a: 1\nincremental_backups: true"),
        ("a: 1\r\nb: 2", "a: 1\r\nb: 2\r\nincremental_backups: true"),
        ("a: 1\n# last words", "a: 1\n# last words\nincremental_backups: true"),
        ("a: 1\n\n\n", "a: 1\n\n\nincremental_backups: true\n"),
        ("   a: 1\n   b: 2\n", "   a: 1\n   b: 2\n   incremental_backups: true\n"),
        ("---\na: 1\n...\n", "---\na: 1\nincremental_backups: true\n...\n"),
        ("a: 1\n... # end\n# more\n", "a: 1\nincremental_backups: true\n... # end\n# more\n"),
        (
            "a:\n  - 1\n  - incremental_backups: true\n",
            "a:\n  - 1\n  - incremental_backups: true\nincremental_backups: true\n",
        ),
        ("a: |\n  text\n", "a: |\n  text\nincremental_backups: true\n"),
        ("{a: 1}\n", "{incremental_backups: true, a: 1}\n"),
        ("{ a: 1 }", "{incremental_backups: true, a: 1 }"),
        ("{\"a\": 1}\n", "{\"incremental_backups\": true, \"a\": 1}\n"),
        ("{}\n", "{incremental_backups: true}\n"),
    ] {
        becomes(before, after);
    }
}

#[test]
fn what_says_so_already_is_left_alone() {
    for yes in
        ["true", "True", "TRUE", "yes", "on", "On", "'true'", "\"yes\"", "!!bool on", "&a yes"]
    {
        assert_eq!(set(&format!("incremental_backups: {yes} # x\n"), true), Ok(None), "{yes}");
    }
    for no in ["false", "no", "OFF", "'No'"] {
        assert_eq!(set(&format!("incremental_backups: {no}\r\n"), false), Ok(None), "{no}");
    }
    assert_eq!(set("x: &y yes\nincremental_backups: *y\n", true), Ok(None));
    assert_eq!(set("<<: {incremental_backups: true}\n", true), Ok(None));
}

#[test]
fn what_cannot_be_done_with_certainty_is_refused_with_its_line() {
    for (before, why) in [
        (
            "incremental_backups: true\na: 1\nincremental_backups: false\n",
            "lines 1 and 3 both set incremental_backups, and only the last counts: leave one of them",
        ),
        (
            "a: 1\nincremental_backups: maybe\n",
            "line 2 sets incremental_backups to maybe, which is no boolean: mend it first",
        ),
        (
            "incremental_backups: y\n",
            "line 1 sets incremental_backups to y, which is no boolean: mend it first",
        ),
        (
            "incremental_backups: 1\n",
            "line 1 sets incremental_backups to 1, which is no boolean: mend it first",
        ),
        ("incremental_backups: {a: 1}\n", "line 1 sets incremental_backups to {"),
        ("incremental_backups:\n  a: 1\n", "line 2 sets incremental_backups to "),
        ("incremental_backups: !!str true\n", "which is no boolean"),
        ("incremental_backups: |\n  false\n", "which is no boolean"),
        ("incremental_backups: !!bool\n", "line 1 is not valid YAML"),
        ("{a: 1, incremental_backups}\n", "which is no boolean"),
        ("x: &m {a: 1}\nincremental_backups: *m\n", "line 2 sets incremental_backups to *m"),
        (
            "<<: {incremental_backups: false}\n",
            "incremental_backups is set by an alias or a merge (<<): give it a line of its own first",
        ),
        (
            "a: 1\n---\nincremental_backups: false\n",
            "line 2 begins a second document: cassandra.yaml holds one",
        ),
        (
            "a: 1\nincremental_backups: {{ backups }}\n",
            "line 2 is a template (incremental_backups: {{ backups }}): edit it where it is made",
        ),
        ("{% if x %}\na: 1\n{% endif %}\n", "line 1 is a template"),
        ("# {{ not live }}\na: <%= @b %>\n", "line 2 is a template"),
        ("- incremental_backups: false\n", "cassandra.yaml holds no settings"),
        ("", "cassandra.yaml holds no settings"),
        ("# incremental_backups: false\n", "cassandra.yaml holds no settings"),
        ("a: 1\n  b: 2\nincremental_backups: false\n", "line 2 is not valid YAML"),
        ("a: [1\nincremental_backups: false\n", "is not valid YAML"),
        ("a: 1\0\n", "line 1 holds the character U+0000"),
        ("a: 1\n# x\u{2028}incremental_backups: true\n", "line 2 holds the character U+2028"),
        ("# x\u{85}incremental_backups: true\na: 1\n", "line 1 holds the character U+0085"),
        (
            "incremental_backups: &x false\nother: *x\n",
            "line 1 cannot be changed alone (other would change too): change it by hand",
        ),
    ] {
        let said = refused(before);
        assert!(said.contains(why), "{before:?}: {said}");
    }
    let said = set_boolean(b"a: 1\nb: \xff\n", KEY, true).unwrap_err();
    assert_eq!(said.to_string(), "line 2 is not UTF-8: mend it, then ask again");
}

#[test]
fn an_edit_shows_the_line_before_and_after() {
    let edit = |text: &str| set_boolean(text.as_bytes(), KEY, true).unwrap().unwrap();
    let changed = edit("a: 1\r\nincremental_backups: false # \u{202e}x\r\n");
    assert_eq!(changed.line, 2);
    assert_eq!(changed.before.as_deref(), Some("incremental_backups: false # \\u{202e}x"));
    assert_eq!(changed.after, "incremental_backups: true # \\u{202e}x");
    for (text, line) in [
        ("a: 1\n", 2),
        ("a: 1", 2),
        ("a: 1\r\n\r\nb: 2", 4),
        ("a: 1\n# incremental_backups: false\nb: 2\n", 3),
        ("a: 1\n...\n", 2),
    ] {
        let added = edit(text);
        assert_eq!((added.line, added.before), (line, None), "{text:?}");
        assert_eq!(added.after, "incremental_backups: true", "{text:?}");
    }
    assert_eq!(edit("\n\nx: 1\nincremental_backups:\n  # c\n  false\n").line, 6);
}

#[test]
fn a_tool_that_writes_the_file_is_named() {
    for header in
        ["# Ansible managed: /x/y.j2\n", "\n---\n# This file is managed by Puppet\n", "## Chef\r\n"]
    {
        let text = format!("{header}incremental_backups: false\n");
        let edit = set_boolean(text.as_bytes(), KEY, true).unwrap().unwrap();
        assert_eq!(edit.warnings.len(), 1, "{header}");
    }
    assert_eq!(
        warnings(b"# Ansible managed\n"),
        ["line 1 says '# Ansible managed': change it there too, or that tool puts its value back"]
    );
    for none in
        ["# Cassandra storage config YAML\n", "a: 1\n# managed by puppet\n", "# kitchef salted\n"]
    {
        assert!(warnings(none.as_bytes()).is_empty(), "{none}");
    }
}

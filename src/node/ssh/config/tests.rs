use std::collections::HashMap;
use std::path::Path;

use super::*;

fn rules(text: &str, folder: &Path) -> Result<Rules, Fail> {
    let file = folder.join("config");
    std::fs::write(&file, text).unwrap();
    let mut parser = Parser::new();
    parser.file(&file, Roots { home: folder, include: folder, system: false }, false)?;
    Ok(parser.done())
}

fn found(text: &str, host: &str, ran: &HashMap<String, bool>) -> Result<Said, Fail> {
    let dir = tempfile::tempdir().unwrap();
    let rules = rules(text, dir.path())?;
    let home = Path::new("/home/me");
    lookup(&rules, &Asked { host, user: None, port: None, local_user: "me", home, ran })
}

fn said(text: &str, host: &str) -> Said {
    found(text, host, &HashMap::new()).unwrap()
}

/// Why the text is not taken, without its folder.
fn refused(text: &str) -> String {
    let fail = found(text, "n1", &HashMap::new()).unwrap_err();
    let kind = match &fail {
        Fail::Odd(..) => "odd",
        Fail::Bad(..) => "bad",
        Fail::File(_) => "file",
        Fail::Exec(..) => "exec",
    };
    let text = fail.to_string();
    format!("{kind} {}", text.rsplit('/').next().unwrap())
}

#[test]
fn the_first_value_wins_and_identity_files_add_up() {
    let text = "IdentityFile ~/.ssh/first\nHost n?.dc1 !n2.dc1\n User ops\n  Port 2222\n\
        IdentityFile ~/.ssh/first\nIdentityFile ~/.ssh/%r\nHost *\nUser other\nPort = 22\n";
    let files = |said: &Said| -> Vec<String> {
        said.all("identityfile").iter().map(|value| value.text().to_owned()).collect()
    };
    let n1 = said(text, "n1.dc1");
    assert_eq!((n1.text("user"), n1.number("port")), (Some("ops"), Some(2222)));
    assert_eq!(files(&n1), ["~/.ssh/first", "~/.ssh/%r"]);
    let n2 = said(text, "n2.dc1");
    assert_eq!((n2.text("user"), n2.number("port")), (Some("other"), Some(22)));
    assert_eq!(files(&n2), ["~/.ssh/first"]);
}

#[test]
fn each_value_knows_its_line() {
    let said = said("\n\nHost n1\n  Port 2222\n", "n1");
    let origin = said.get("port").unwrap().origin.to_string();
    assert!(origin.ends_with("/config:4"), "{origin}");
}

#[test]
fn what_openssh_refuses_is_refused_with_its_line() {
    for (text, says) in [
        ("User a b", "bad config:1: user: one value is wanted: a b"),
        ("Host x\nUser", "bad config:2: user wants a value"),
        ("User \"a", "bad config:1: user: a quote is open: \"a"),
        ("User # me", "bad config:1: user: a value is missing"),
        ("HashKnownHosts maybe", "bad config:1: hashknownhosts: yes or no is wanted: maybe"),
        ("Port 0", "bad config:1: port: bad port: 0"),
        ("Port 65536", "bad config:1: port: bad port: 65536"),
        ("ConnectTimeout 1x", "bad config:1: connecttimeout: not a time: 1x"),
        ("RekeyLimit 8", "bad config:1: rekeylimit: too small: 8"),
        ("UserKnownHostsFile none a", "bad config:1: userknownhostsfile: none must stand alone"),
        (
            "IdentityAgent ${RH_NOT_SET}",
            "bad config:1: identityagent: ${RH_NOT_SET} of ${RH_NOT_SET} is not set",
        ),
        ("Match", "bad config:1: match wants a value"),
        ("Match host", "bad config:1: Match: host wants a value"),
        ("Match all host n1", "bad config:1: Match: all stands alone"),
        ("Ciphers a,,b", "bad config:1: ciphers: not a list of algorithms: a,,b"),
        ("User \u{fffd}", "bad config:1: not UTF-8"),
    ] {
        assert_eq!(refused(text), says, "{text}");
    }
}

#[test]
fn what_only_the_program_knows_is_left_to_it_and_not_guessed() {
    for (text, says) in [
        ("CanonicalizeHostname yes", "odd config:1: canonicalizehostname yes"),
        (
            "Host n1\nCanonicalizePermittedCNAMEs *:*",
            "odd config:2: canonicalizepermittedcnames *:*",
        ),
        ("\n\nNoSuchThing x", "odd config:3: nosuchthing"),
        ("Host other\nNoSuchThing x", "odd config:2: nosuchthing"),
        ("IgnoreUnknown Other\nNoSuchThing x", "odd config:2: nosuchthing"),
        ("Port ssh", "odd config:1: port ssh"),
        ("Match localnetwork 10.0.0.0", "odd config:1: match localnetwork"),
        ("Match sessiontype shell", "odd config:1: match sessiontype shell"),
        ("Include %h.conf", "odd config:1: include %h.conf"),
        ("User x-%u", "odd config:1: user x-%u"),
        ("AddressFamily ipv7", "odd config:1: addressfamily ipv7"),
    ] {
        assert_eq!(refused(text), says, "{text}");
    }
    // Where it decides nothing it is of no matter.
    for text in [
        "Host other\nCanonicalizeHostname yes",
        "Match localnetwork 10.0.0.0 host other\nUser x",
        "IgnoreUnknown nosuch*\nNoSuchThing x",
        "CanonicalizeHostname no",
    ] {
        assert_eq!(said(text, "n1").text("user"), None, "{text}");
    }
}

#[test]
fn a_command_is_asked_for_only_when_it_decides() {
    let text = "Host n1\nPort 2222\nMatch host n1 exec \"test %h = n1 -a %p = 2222\"\nUser x\n";
    let none = HashMap::new();
    assert_eq!(
        found(text, "n1", &none).unwrap_err().to_string().rsplit('/').next(),
        Some("config:3: match exec test n1 = n1 -a 2222 = 2222")
    );
    assert_eq!(found(text, "n2", &none).unwrap().text("user"), None);
    for (well, user) in [(true, Some("x")), (false, None)] {
        let ran = HashMap::from([("test n1 = n1 -a 2222 = 2222".to_owned(), well)]);
        assert_eq!(found(text, "n1", &ran).unwrap().text("user"), user);
    }
    let negated = "Match !exec false\nUser x\n";
    let ran = HashMap::from([("false".to_owned(), false)]);
    assert_eq!(found(negated, "n1", &ran).unwrap().text("user"), Some("x"));
}

#[test]
fn a_tag_is_matched_as_newer_programs_do() {
    let text =
        "Host n1\nTag ring\nMatch tagged \"ri*,other\"\nUser x\nMatch !tagged ring\nUser y\n";
    assert_eq!(said(text, "n1").text("user"), Some("x"));
    assert_eq!(said(text, "n2").text("user"), Some("y"));
}

#[test]
fn files_that_include_each_other_end() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("loop"), "Include loop\n").unwrap();
    let fail = rules("Include loop\n", dir.path()).unwrap_err();
    assert!(fail.to_string().ends_with("too many Include levels"), "{fail}");
    // Twice each: 2 to the power of 16 files.
    std::fs::write(dir.path().join("a"), "Include b\nInclude b\n").unwrap();
    std::fs::write(dir.path().join("b"), "Include a\n").unwrap();
    let fail = rules("Include a\n", dir.path()).unwrap_err();
    let text = fail.to_string();
    assert!(text.ends_with("levels") || text.contains("1024 files"), "{text}");
    for number in 0..10 {
        let next = number + 1;
        let text = format!("Include {next}\nInclude {next}\n");
        std::fs::write(dir.path().join(number.to_string()), text).unwrap();
    }
    std::fs::write(dir.path().join("10"), "User x\n").unwrap();
    let fail = rules("Include 0\n", dir.path()).unwrap_err();
    assert_eq!(fail, Fail::File("ssh_config of more than 1024 files".into()));
}

#[test]
fn files_that_are_too_large_are_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let big = "#".repeat(5 * 1024 * 1024);
    for name in ["a", "b"] {
        std::fs::write(dir.path().join(name), &big).unwrap();
    }
    assert!(rules("Include a\n", dir.path()).is_ok());
    let fail = rules("Include a b\n", dir.path()).unwrap_err().to_string();
    assert!(fail.ends_with("/b: ssh_config of more than 8 MiB"), "{fail}");
}

#[test]
fn an_included_file_that_others_may_write_is_refused() {
    use std::os::unix::fs::PermissionsExt;

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("open");
    std::fs::write(&file, "User x\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o664)).unwrap();
    let fail = rules("Host other\nInclude open\n", dir.path()).unwrap_err().to_string();
    let file = file.display();
    assert_eq!(fail, format!("{file} may be written by others: chmod go-w {file}"));
}

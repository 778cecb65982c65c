//! Each rule of choosing nodes, on a ring of six.

use super::*;

/// Two data centres, a node of which nobody knows where it stands, and labels.
struct Fleet(Vec<Member>);

struct Member {
    names: Vec<&'static str>,
    place: Option<(&'static str, &'static str)>,
    labels: BTreeMap<String, String>,
}

impl Selectable for &Member {
    fn candidate(&self) -> Candidate<'_> {
        Candidate {
            names: self.names.iter().map(|name| Cow::Borrowed(*name)).collect(),
            dc: self.place.map(|(dc, _)| dc),
            rack: self.place.map(|(_, rack)| rack),
            labels: &self.labels,
        }
    }
}

fn fleet() -> Fleet {
    let member = |names: &'static str, place, labels: &str| Member {
        names: names.split(' ').collect(),
        place,
        labels: labels
            .split_terminator(' ')
            .filter_map(|label| label.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
    };
    Fleet(vec![
        member("cass-01.dc1.example.net 10.0.0.1 id-1", Some(("dc1", "r1")), "env=prod tier=hot"),
        member("cass-02.dc1.example.net 10.0.0.2 id-2", Some(("dc1", "r2")), "env=prod"),
        member("cass-03.dc1.example.net 10.0.0.3 id-3", Some(("dc1", "r1")), "env=test"),
        member("cass-01.dc2.example.net fd77::1 id-4", Some(("dc2", "r1")), "env=prod"),
        member("10.2.0.5 id-5", Some(("dc2", "r/5")), ""),
        member("stray id-6", None, "env=prod"),
    ])
}

/// The selection of options written as on a command line.
fn selection(options: &str) -> Result<Selection, PatternError> {
    let of = |flag: &str| -> Vec<String> {
        let words: Vec<&str> = options.split(' ').collect();
        let pairs = words.chunks(2).filter(|pair| pair[0] == flag);
        pairs.map(|pair| pair.get(1).copied().unwrap_or_default().to_owned()).collect()
    };
    Selection::new(&of("--dc"), &of("--rack"), &of("--node"), &of("--label"))
}

/// The host ids chosen, and the warnings.
fn chosen(options: &str) -> (String, Vec<String>) {
    let fleet = fleet();
    let selected = selection(options).unwrap().select(fleet.0.iter().collect()).unwrap();
    let ids: Vec<&str> = selected
        .chosen
        .iter()
        .filter_map(|member| member.names.last()?.strip_prefix("id-"))
        .collect();
    (ids.join(""), [selected.unmatched, selected.undecided].concat())
}

fn empty(options: &str) -> String {
    let fleet = fleet();
    selection(options)
        .unwrap()
        .select(fleet.0.iter().collect())
        .map(|_| ())
        .unwrap_err()
        .to_string()
}

#[test]
fn options_choose_the_nodes_the_operator_means() {
    for (options, ids) in [
        ("", "123456"),
        ("--dc dc1", "123"),
        ("--dc dc1,dc2", "12345"),
        ("--dc dc1 --dc dc2", "12345"),
        ("--dc dc*", "12345"),
        ("--dc {dc1,dc2}", "12345"),
        ("--dc dc[2-9]", "45"),
        ("--dc !dc1", "456"),
        ("--dc dc*,!dc2", "123"),
        ("--rack r1", "134"),
        ("--rack dc1/r1", "13"),
        ("--rack dc*/r1", "134"),
        ("--rack !dc1/r1", "2456"),
        ("--rack r/5", "5"),
        ("--rack dc2/r/5", "5"),
        ("--dc dc1 --rack r1", "13"),
        ("--node cass-01", "14"),
        ("--node cass-01.dc1.example.net", "1"),
        ("--node *.dc1.*", "123"),
        ("--node cass-[01-03]", "1234"),
        ("--node cass-[01-02]*,stray", "1246"),
        ("--node 10.0.0.[1-2]", "12"),
        ("--node fd77:0::0001", "4"),
        ("--node [fd77::1]", "4"),
        ("--node id-5", "5"),
        ("--node 10", "none"),
        ("--node !cass-[01-02]", "356"),
        ("--label env=prod", "1246"),
        ("--label env=p*", "1246"),
        ("--label tier", "1"),
        ("--label !tier", "23456"),
        ("--label !env=prod", "35"),
        ("--label env,!env=test", "1246"),
        ("--label maintenance", "none"),
        ("--dc dc1 --label env=prod,env=test --node !id-2", "13"),
    ] {
        if ids == "none" {
            assert!(empty(options).starts_with("no node is chosen by"), "{options}");
        } else {
            assert_eq!(chosen(options).0, ids, "{options}");
        }
    }
}

#[test]
fn a_word_no_node_answers_to_is_a_warning_when_others_match() {
    let warnings = |options: &str| format!("{options}\n  {}\n", chosen(options).1.join("\n  "));
    let said: String = [
        "--dc dc1,dc9",
        "--dc !dc3 --node !cass-7",
        "--node cass-[01-05],cass-0[7-9]*",
        "--dc dc1 --node cass-01,id-4",
        "--rack r1,dc1/r8",
        "--label env=prod,env=prud,!maintenance",
        "--dc !dc1 --rack !r2",
        "--node id-1",
    ]
    .into_iter()
    .map(warnings)
    .collect();
    insta::assert_snapshot!(said, @r"
    --dc dc1,dc9
      --dc dc9 matches no node; did you mean 'dc1'?
      --dc neither chooses nor leaves out nodes whose data centre is not known: stray
    --dc !dc3 --node !cass-7
      --dc !dc3 matches no node, so it leaves none out; did you mean 'dc1'?
      --node !cass-7 matches no node, so it leaves none out; did you mean 'cass-01'?
      --dc neither chooses nor leaves out nodes whose data centre is not known: stray
    --node cass-[01-05],cass-0[7-9]*
      --node cass-[04-05] matches no node
      --node cass-0[7-9]* matches no node
    --dc dc1 --node cass-01,id-4
      --node id-4 adds no node: another option leaves its nodes out
      --dc neither chooses nor leaves out nodes whose data centre is not known: stray
    --rack r1,dc1/r8
      --rack dc1/r8 matches no node; did you mean 'dc1/r1'?
      --rack neither chooses nor leaves out nodes whose rack is not known: stray
    --label env=prod,env=prud,!maintenance
      --label env=prud matches no node; did you mean 'env=prod'?
    --dc !dc1 --rack !r2
      --dc neither chooses nor leaves out nodes whose data centre is not known: stray
      --rack neither chooses nor leaves out nodes whose rack is not known: stray
    --node id-1
    ");
}

#[test]
fn an_empty_selection_says_what_was_asked_and_what_there_is() {
    let said: Vec<String> = [
        "--dc dc3",
        "--node cass-04 --label env=prud",
        "--dc dc2 --label tier",
        "--node !*,!stray",
        "--rack !r*,stray",
        "--label owner",
    ]
    .into_iter()
    .map(empty)
    .collect();
    insta::assert_snapshot!(said.join("\n\n"), @r"
    no node is chosen by --dc dc3
      --dc dc3 matches no node; did you mean 'dc1'?
      data centre known: dc1, dc2
      --dc neither chooses nor leaves out nodes whose data centre is not known: stray

    no node is chosen by --node cass-04 --label env=prud
      --node cass-04 matches no node; did you mean 'cass-01'?
      --label env=prud matches no node; did you mean 'env=prod'?
      node known: 10.2.0.5, cass-01.dc1.example.net, cass-01.dc2.example.net, cass-02.dc1.example.net, cass-03.dc1.example.net, stray
      label known: env=prod, env=test, tier=hot

    no node is chosen by --dc dc2 --label tier
      each option alone matches some nodes, together they leave none
      data centre known: dc1, dc2
      label known: env=prod, env=test, tier=hot
      --dc neither chooses nor leaves out nodes whose data centre is not known: stray

    no node is chosen by --node !* --node !stray
      each option alone matches some nodes, together they leave none
      node known: 10.2.0.5, cass-01.dc1.example.net, cass-01.dc2.example.net, cass-02.dc1.example.net, cass-03.dc1.example.net, stray

    no node is chosen by --rack !r* --rack stray
      --rack stray matches no node
      rack known: r/5, r1, r2
      --rack neither chooses nor leaves out nodes whose rack is not known: stray

    no node is chosen by --label owner
      --label owner matches no node
      label known: env=prod, env=test, tier=hot
    ");
    let none: Vec<&Member> = Vec::new();
    let error = selection("--dc x").unwrap().select(none).map(|_| ()).unwrap_err();
    assert_eq!(error.to_string(), "there are no nodes to choose from");
}

#[test]
fn a_pattern_that_cannot_be_read_says_what_was_expected() {
    let said: Vec<String> = [
        "--dc ",
        "--dc dc1,,dc2",
        "--dc !",
        "--dc dc[",
        "--rack {r1",
        "--node cass-[3-1]",
        "--node x[z-a]",
        "--label =prod",
        "--node c[1-2000]*",
        "--node c[1-70000]",
    ]
    .into_iter()
    .map(|options| selection(options).unwrap_err().to_string())
    .collect();
    insta::assert_snapshot!(said.join("\n"), @r"
    --dc '': nothing asked for, expected a data centre or a glob such as 'dc*', '{dc1,dc2}' or '!dc3'
    --dc '': nothing asked for, expected a data centre or a glob such as 'dc*', '{dc1,dc2}' or '!dc3'
    --dc '!': nothing asked for, expected a data centre or a glob such as 'dc*', '{dc1,dc2}' or '!dc3'
    --dc 'dc[': unclosed character class; missing ']', expected a data centre or a glob such as 'dc*', '{dc1,dc2}' or '!dc3'
    --rack '{r1': unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?), expected a rack or a glob such as r1, 'dc1/r*' or '!r3'
    --node 'cass-[3-1]': '3-1' runs backwards, expected a host, address or host id, a range or a glob such as 'cass-[01-03]*'
    --node 'x[z-a]': invalid range; 'z' > 'a', expected a host, address or host id, a range or a glob such as 'cass-[01-03]*'
    --label '=prod': no key before '=', expected key, key=value, !key or !key=value; globs may stand in both
    --node 'c[1-2000]*': a range that gives more than 1024 globs, expected a host, address or host id, a range or a glob such as 'cass-[01-03]*'
    --node 'c[1-70000]': too many names, expected a host, address or host id, a range or a glob such as 'cass-[01-03]*'
    ");
}

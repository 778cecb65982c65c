//! Our own reader against `ssh -G`: the same settings, or both refuse.

use std::collections::HashMap;
use std::process::Command;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;
use crate::node::ssh::ConfigReader;

#[path = "compare_corpus.rs"]
mod corpus;

/// The program and where its files are; none where there is none.
struct Judge {
    home: PathBuf,
    /// What `ssh -Q` knows, and what `ssh -G` takes when nobody asks for anything.
    lists: HashMap<&'static str, (Vec<String>, Vec<String>)>,
    /// What `ssh -G` prints then.
    printed: String,
    runtime: tokio::runtime::Runtime,
}

impl Judge {
    fn new() -> Option<Self> {
        let run = |program: &str, words: &[&str]| -> Option<String> {
            let output = Command::new(program).args(words).output().ok()?;
            output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
        };
        let Some(printed) = run("ssh", &["-T", "-G", "-F", "none", "localhost"]) else {
            println!("not compared: no ssh program here (apt-get install openssh-client)");
            return None;
        };
        // The program asks the system where its user is at home, not the environment.
        let user = run("id", &["-un"])?;
        let home = tokens::tilde(&format!("~{}", user.trim()), Path::new("/")).unwrap();
        let lists = [
            ("ciphers", "cipher"),
            ("kexalgorithms", "kex"),
            ("macs", "mac"),
            ("hostkeyalgorithms", "HostKeyAlgorithms"),
            ("pubkeyacceptedalgorithms", "PubkeyAcceptedAlgorithms"),
            ("casignaturealgorithms", "sig"),
        ];
        let split = |text: &str, at: char| text.trim().split(at).map(str::to_owned).collect();
        let lists = lists.map(|(name, question)| {
            let all = run("ssh", &["-Q", question]).unwrap();
            let line = printed.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
            (name, (split(&all, '\n'), split(line.unwrap(), ',')))
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Some(Self { home, lists: lists.into(), printed, runtime })
    }

    fn ask(
        &self,
        reader: ConfigReader,
        file: &Path,
        endpoint: &Endpoint,
    ) -> Result<Settings, String> {
        let options = Options {
            config_file: Some(file.into()),
            config_reader: reader,
            allow_match_exec: true,
            agent: Some("/run/agent".into()),
            ..Options::default()
        };
        let mut resolver = Resolver::new(Arc::new(options), self.home.clone());
        resolver.source.defaults = OnceCell::new_with(Some(self.printed.clone()));
        let found = self.runtime.block_on(resolver.settle(endpoint));
        found.map(|settings| self.spelt(settings)).map_err(|error| error.to_string())
    }

    /// Spells lists of algorithms out as the program does: one is a change of its own list, and
    /// then of ours.
    fn spelt(&self, mut settings: Settings) -> Settings {
        let wanted = &mut settings.algorithms;
        for (name, list) in [
            ("ciphers", &mut wanted.ciphers),
            ("kexalgorithms", &mut wanted.kex),
            ("macs", &mut wanted.macs),
            ("hostkeyalgorithms", &mut wanted.host_keys),
            ("pubkeyacceptedalgorithms", &mut wanted.user_keys),
            ("casignaturealgorithms", &mut wanted.ca_signatures),
        ] {
            let (all, usual) = &self.lists[name];
            let strs = |list: &[String]| -> Vec<String> { list.to_vec() };
            let (all, usual) = (strs(all), strs(usual));
            let all: Vec<&str> = all.iter().map(String::as_str).collect();
            let usual: Vec<&str> = usual.iter().map(String::as_str).collect();
            let names = crate::node::ssh::wanted::names(name, list.as_deref(), &usual, &all);
            *list = Some(names.unwrap().join(","));
        }
        settings
    }

    /// Panics unless both say the same of a host.
    fn compare(&self, file: &Path, endpoint: &Endpoint) -> Result<(), String> {
        let ours = self.ask(ConfigReader::Own, file, endpoint);
        let theirs = self.ask(ConfigReader::Program, file, endpoint);
        let same = match (&ours, &theirs) {
            (Ok(ours), Ok(theirs)) => ours == theirs,
            (Err(ours), Err(_)) => ours.contains(':'),
            (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
        };
        if same {
            return Ok(());
        }
        let text = std::fs::read(file).unwrap();
        let (ours, theirs) = (format!("{ours:#?}"), format!("{theirs:#?}"));
        let only = |one: &str, other: &str| -> String {
            one.lines().filter(|line| !other.lines().any(|l| l == *line)).collect()
        };
        Err(format!(
            "{} {:?} {:?}\n---\n{}\n---\nours   {}\ntheirs {}",
            endpoint.host,
            endpoint.user,
            endpoint.port,
            String::from_utf8_lossy(&text),
            only(&ours, &theirs),
            only(&theirs, &ours)
        ))
    }
}

fn endpoints(hosts: &[&str]) -> Vec<Endpoint> {
    let named = |host: &&str| Endpoint { host: (*host).into(), ..Endpoint::default() };
    let mut endpoints: Vec<Endpoint> = hosts.iter().map(named).collect();
    endpoints.push(Endpoint { user: Some("ops".into()), port: Some(2022), ..named(&"node1") });
    endpoints.push(Endpoint { user: Some("Bob".into()), ..named(&"n9.dc1") });
    endpoints
}

/// A folder with the files that the corpus includes.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_str().unwrap();
    for (name, text) in corpus::INCLUDED {
        let file = dir.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text.replace("{}", folder)).unwrap();
    }
    dir
}

#[test]
fn our_reader_and_the_ssh_program_agree_on_every_file_of_the_corpus() {
    let Some(judge) = Judge::new() else { return };
    let dir = folder();
    let endpoints = endpoints(&["node1", "n9.dc1", "NODE1", "2001:DB8:0::1"]);
    let mut wrong = Vec::new();
    let mut refused = 0;
    for (number, text) in corpus::CORPUS.iter().chain(corpus::REFUSED).enumerate() {
        let file = dir.path().join(format!("config{number}"));
        std::fs::write(&file, text.replace("{}", dir.path().to_str().unwrap())).unwrap();
        let all = number < corpus::CORPUS.len();
        // Each file for some of them, and all files together for all.
        let (first, others) = endpoints.split_at(2);
        let some = [&first[0], &first[1], &others[number % others.len()]];
        let some = if all { &some[..] } else { &some[..1] };
        let before = wrong.len();
        for endpoint in some {
            wrong.extend(judge.compare(&file, endpoint).err());
        }
        let own = judge.ask(ConfigReader::Own, &file, &endpoints[0]);
        if wrong.len() == before && own.is_ok() != all {
            wrong.push(format!("taken or not: {text}\n{own:?}"));
        }
        refused += usize::from(own.is_err());
    }
    assert!(wrong.is_empty(), "{} differ\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(refused, corpus::REFUSED.len());
}

#[test]
fn what_is_left_to_the_program_is_had_from_it() {
    let Some(judge) = Judge::new() else { return };
    let dir = folder();
    let file = dir.path().join("config");
    let plain = dir.path().join("plain");
    for (host, text, same) in corpus::LEFT {
        std::fs::write(&file, text).unwrap();
        std::fs::write(&plain, same).unwrap();
        let endpoint = Endpoint { host: (*host).into(), ..Endpoint::default() };
        let own = judge.ask(ConfigReader::Own, &file, &endpoint).unwrap_err();
        assert!(own.ends_with("only the ssh program understands this line"), "{text}: {own}");
        let had = judge.ask(ConfigReader::Auto, &file, &endpoint);
        let want = judge.ask(ConfigReader::Own, &plain, &endpoint);
        assert!(want.is_ok(), "{same}: {want:?}");
        assert_eq!(had, want, "{text}");
    }
}

/// Lines as operators write them, and as they should not.
fn line() -> impl Strategy<Value = String> {
    let keyword = prop_oneof![
        6 => Just("Host"),
        1 => Just("Match"),
        1 => Just("User"),
    ];
    let host = prop::sample::select(vec![
        "node1",
        "node*",
        "n?.dc1",
        "*.dc1",
        "!node1",
        "*",
        "!*.dc1",
        "NODE1",
        "other",
        "\"node1\"",
    ]);
    let hosts = prop::collection::vec(host, 1..4).prop_map(|hosts| hosts.join(" "));
    let criterion = prop::sample::select(vec![
        "host node*",
        "!host node1",
        "originalhost n9.dc1,NODE?",
        "user ops",
        "!user ops,Bob",
        "user root",
        "localuser root",
        "!localuser root",
        "final",
        "!final",
        "canonical",
        "all",
        "host \"a.example\"",
        "exec true",
        "exec \"test %p = 22\"",
        "!exec false",
        "host=node1",
    ]);
    let criteria = prop::collection::vec(criterion, 1..4).prop_map(|all| all.join(" "));
    let setting = prop::sample::select(corpus::SETTINGS.to_vec());
    let joint = prop::sample::select(vec![" ", "=", " = ", "\t", "  ", "= "]);
    let indent = prop::sample::select(vec!["", " ", "\t", "    "]);
    let end = prop::sample::select(vec!["\n", "\r\n", " \n", " # why\n", "\n\n", "\n# Host x\n"]);
    let body = prop_oneof![
        2 => (keyword, hosts).prop_map(|(_, hosts)| ("Host".to_owned(), hosts)),
        2 => criteria.prop_map(|criteria| ("Match".to_owned(), criteria)),
        8 => setting.prop_map(|(keyword, value)| (keyword.to_owned(), value.to_owned())),
        1 => prop::sample::select(vec!["{}/one", "{}/host", "{}/conf.d/*.conf", "{}/nested {}/one"])
            .prop_map(|name| ("Include".to_owned(), name.to_owned())),
    ];
    (indent, body, joint, end, 0..3u8).prop_map(|(indent, (keyword, value), joint, end, case)| {
        let keyword = match case {
            0 => keyword.to_uppercase(),
            1 => keyword.to_lowercase(),
            _ => keyword,
        };
        // A comment behind a command is part of it.
        format!("{indent}{keyword}{joint}{value}{end}")
    })
}

#[test]
fn our_reader_and_the_ssh_program_agree_on_any_file() {
    let Some(judge) = Judge::new() else { return };
    let dir = folder();
    let file = dir.path().join("config");
    // A case is two processes; the variable asks for more of them.
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let mut runner = TestRunner::new(Config { cases: cases.unwrap_or(150), ..Config::default() });
    let hosts = prop::sample::select(endpoints(&["node1", "n9.dc1", "NODE1", "other"]));
    let files = (prop::collection::vec(line(), 0..14), hosts);
    runner
        .run(&files, |(lines, endpoint)| {
            let text = lines.concat().replace("{}", dir.path().to_str().unwrap());
            std::fs::write(&file, text).unwrap();
            judge.compare(&file, &endpoint).map_err(TestCaseError::fail)
        })
        .unwrap();
}

use std::process::{Command, Stdio};

use super::*;

fn rules(text: &str, folder: &Path) -> Result<Vec<Rule>, Odd> {
    parse(text, Path::new("config"), Roots { home: folder, include: folder }, 0)
}

fn said(text: &str, host: &str) -> Said {
    lookup(&rules(text, Path::new("/nonexistent")).unwrap(), host)
}

#[test]
fn the_first_value_wins_and_identity_files_add_up() {
    let text = "IdentityFile ~/.ssh/first\nHost n?.dc1 !n2.dc1\n User ops\n  Port 2222\n\
        IdentityFile ~/.ssh/first\nIdentityFile ~/.ssh/%r\nHost *\nUser other\nPort = 22\n";
    let n1 = said(text, "n1.dc1");
    assert_eq!((n1.user.as_deref(), n1.port), (Some("ops"), Some(2222)));
    assert_eq!(n1.identity_files, ["~/.ssh/first", "~/.ssh/%r"]);
    let n2 = said(text, "n2.dc1");
    assert_eq!((n2.user.as_deref(), n2.port), (Some("other"), Some(22)));
    assert_eq!(n2.identity_files, ["~/.ssh/first"]);
}

#[test]
fn lines_for_the_ssh_program_are_named_and_not_guessed() {
    for (text, line) in [
        ("Host a\nMatch host b\nUser x", "config:2: match host b"),
        ("CanonicalizeHostname yes", "config:1: canonicalizehostname yes"),
        ("\n\nNoSuchThing x", "config:3: nosuchthing x"),
        ("Port ssh", "config:1: bad port: ssh"),
        ("User a b", "config:1: one value is wanted: a b"),
        ("User", "config:1: a value is missing"),
        ("User \"a", "config:1: a quote is open: \"a"),
        ("HashKnownHosts maybe", "config:1: yes or no is wanted: maybe"),
        ("Include ~other/x", "config:1: Include ~other/x"),
        ("Include [ab].conf", "config:1: Include [ab].conf"),
    ] {
        let odd = rules(text, Path::new("/nonexistent")).unwrap_err();
        assert_eq!(odd.to_string(), line);
    }
    let debian = "Include /nonexistent/*.conf\nHost *\n    SendEnv LANG LC_*\n\
        HashKnownHosts yes\n    GSSAPIAuthentication yes\nCanonicalizeHostname no\n";
    assert_eq!(said(debian, "n1"), Said { hash_known_hosts: Some(true), ..Said::default() });
}

#[test]
fn files_that_include_each_other_end() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("loop"), "Include loop\n").unwrap();
    let odd = rules("Include loop\n", dir.path()).unwrap_err();
    assert_eq!(odd.what, "too many Include levels");
}

/// Configs both programs understand. `{}` is a folder with the files of `INCLUDED`.
const CORPUS: &[&str] = &[
    "",
    "User ops\n",
    "Host node1\n  HostName 10.0.0.1\n  Port 2222\n  User ops\n  IdentityFile ~/.ssh/ops_ed25519\n",
    "Host node*\n\tHostName %h.example.com\n\tUser=ops\n\tPort = 2200\n",
    "Host node1 node2\nUser a\nHost node?\nUser b\nHost *\nUser c\n",
    "Host !node1 *\n  User notone\nHost *\n  User any\n",
    "Host !node1\n  User never\n",
    "Host *.dc1 !bad.dc1\n User dc1\nHost bad.dc1\n User bad\n",
    "host NODE1\nUser upper\nHOST node1\nUSER lower\n",
    "Host \"node1\"\n  User \"a b\"\n",
    "Host \"node1 node2\"\n  User never\n",
    "# comment\n\n   # another\nHost node1 # not a host\n  User ops # the operator\n",
    "IdentityFile a\nIdentityFile b\nIdentityFile a\nHost node1\nIdentityFile c\n",
    "IdentityFile ~/.ssh/%r@%h-%p\n",
    "IdentityFile none\n",
    "IdentityFile \"/tmp/a key\"\n",
    "IdentityFile '/tmp/a key'\nIdentitiesOnly yes\n",
    "IdentityFile /tmp/a\\ key\n",
    "IdentitiesOnly no\nIdentitiesOnly yes\n",
    "ProxyJump bastion\nProxyCommand nc %h %p\n",
    "ProxyCommand nc %h %p\nProxyJump bastion\n",
    "ProxyCommand none\nProxyJump bastion\n",
    "Host node1\nProxyJump none\nHost *\nProxyJump ops@bastion:2222\n",
    "ProxyJump a,b@c,d:33\n",
    "UserKnownHostsFile /tmp/k1 /tmp/k2\nGlobalKnownHostsFile /tmp/g\n",
    "UserKnownHostsFile ~/.ssh/fleet\n",
    "UserKnownHostsFile /dev/null\n",
    "UserKnownHostsFile none\n",
    "HostKeyAlias ring-%h\nHashKnownHosts yes\n",
    "IdentityAgent none\n",
    "IdentityAgent ~/.agent.sock\n",
    "IdentityAgent SSH_AUTH_SOCK\n",
    "Include {}/one\nUser after\n",
    "Host other\nInclude {}/one\nHost *\nUser after\n",
    "Host node1\nInclude {}/host\nUser inside\n",
    "Host other\nInclude {}/host\nUser inside\n",
    "Include {}/conf.d/*.conf\n",
    "Include {}/conf.d/?0.conf {}/one\n",
    "Include {}/missing\nUser x\n",
    "Include {}/nested\n",
    "Include \"{}/one\"\n",
    "Compression yes\nForwardAgent yes\nServerAliveInterval 30\nConnectTimeout 5\nUser x\n",
    "Port 22\r\nUser crlf\r\n",
    "User\tops\nPort\t=\t2222\n",
    "Port=2222\nUser =ops\nHostName= 10.0.0.9\n",
    "Host node1,node2\nUser comma\n",
    "Host *\n  StrictHostKeyChecking accept-new\n  LogLevel ERROR\n  ControlMaster auto\n  User z\n",
    "HostName node1.%h\n",
    "HostName 100%%h\n",
    "HostName fe80::1%%eth0\n",
    "UserKnownHostsFile /tmp/%h /tmp/a%%b\nGlobalKnownHostsFile /etc/%h\nIdentityAgent /tmp/%h\n",
    "ProxyJump j-%h:22\nIdentityFile /tmp/%h\n",
];

const INCLUDED: &[(&str, &str)] = &[
    ("one", "User one\nHost node1\nPort 1111\n"),
    ("host", "Host node*\nPort 3333\nUser fromhost\nHost zzz\nPort 1\n"),
    (
        "nested",
        "Host node1\nInclude {}/conf.d/10.conf\nInclude {}/conf.d/20.conf\nHost *\nPort 9\n",
    ),
    ("conf.d/20.conf", "User twenty\nPort 20\n"),
    ("conf.d/10.conf", "User ten\n"),
    ("conf.d/.hidden.conf", "User hidden\nPort 1\n"),
    ("conf.d/other.txt", "User other\nPort 2\n"),
];

/// `ssh -G` is the judge: both resolvers are asked about every config and several hosts.
#[test]
fn the_resolver_agrees_with_the_ssh_program() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_str().unwrap();
    std::fs::create_dir(dir.path().join("conf.d")).unwrap();
    for (name, text) in INCLUDED {
        std::fs::write(dir.path().join(name), text.replace("{}", folder)).unwrap();
    }
    let Some(defaults) = ask_ssh("none", "node1") else {
        println!("not compared: no ssh program here (apt-get install openssh-client)");
        return;
    };
    let file = dir.path().join("config");
    for text in CORPUS {
        let text = text.replace("{}", folder);
        std::fs::write(&file, &text).unwrap();
        for host in ["node1", "node2", "n9.dc1", "bad.dc1", "NODE1", "other", "10.0.0.1"] {
            let ours = lookup(&rules(&text, dir.path()).unwrap(), host);
            let Some(theirs) = ask_ssh(file.to_str().unwrap(), host) else {
                panic!("ssh refuses what we take, for {host}:\n{text}");
            };
            let ours = filled(ours, host, &defaults);
            assert_eq!(ours, filled(theirs, host, &defaults), "{host}:\n{text}");
        }
    }
}

fn ask_ssh(file: &str, host: &str) -> Option<Said> {
    let output = Command::new("ssh")
        .args(["-T", "-G", "-F", file, "--", host])
        .stdin(Stdio::null())
        .output()
        .ok()?;
    output.status.success().then(|| from_ssh(&String::from_utf8_lossy(&output.stdout)))
}

/// Fills in what `ssh -G` prints even if nobody set it, and the tokens it fills in.
fn filled(said: Said, host: &str, defaults: &Said) -> Said {
    let home = defaults.user_known_hosts.as_ref().unwrap()[0]
        .strip_suffix(".ssh/known_hosts")
        .unwrap()
        .to_owned();
    let percent =
        |text: &str, name: &str| text.replace("%%", "\0").replace("%h", name).replace('\0', "%");
    let name = said.host_name.map_or(host.to_owned(), |text| percent(&text, host)).to_lowercase();
    let path = |text: String| percent(&text.replacen("~/", &home, 1), &name);
    let users = said.user_known_hosts.or(defaults.user_known_hosts.clone());
    Said {
        port: said.port.or(Some(22)),
        user: said.user.or(defaults.user.clone()),
        identities_only: Some(said.identities_only.unwrap_or(false)),
        identity_agent: said.identity_agent.map(path),
        proxy: said.proxy.filter(
            |proxy| !matches!(proxy, Proxy::Jump(text) | Proxy::Command(text) if text == "none"),
        ),
        user_known_hosts: users.map(|list| list.into_iter().map(path).collect()),
        global_known_hosts: said.global_known_hosts.or(defaults.global_known_hosts.clone()),
        hash_known_hosts: Some(said.hash_known_hosts.unwrap_or(false)),
        host_name: Some(name.clone()),
        ..said
    }
}

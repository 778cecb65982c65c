use std::os::unix::fs::PermissionsExt;

use super::*;

/// A home directory with this ~/.ssh/config, which alone is read.
fn home(config: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join(".ssh")).unwrap();
    let file = dir.path().join(".ssh/config");
    std::fs::write(&file, config).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    dir
}

async fn settle(home: &tempfile::TempDir, endpoint: &Endpoint) -> Result<Settings, NodeError> {
    let options = Options {
        config_file: Some(home.path().join(".ssh/config")),
        agent: Some("/run/agent".into()),
        ..Options::default()
    };
    Resolver::new(Arc::new(options), home.path().into()).settle(endpoint).await
}

fn named(host: &str) -> Endpoint {
    Endpoint { host: host.into(), ..Endpoint::default() }
}

#[tokio::test]
async fn with_nothing_set_the_defaults_are_those_of_openssh() {
    let home = home("");
    let settings = settle(&home, &named("Node1")).await.unwrap();
    let user = std::process::Command::new("id").arg("-un").output().unwrap().stdout;
    assert_eq!(
        settings,
        Settings {
            name: "Node1".into(),
            host: "node1".into(),
            user: String::from_utf8(user).unwrap().trim().into(),
            agent: Some("/run/agent".into()),
            known_hosts: vec![
                home.path().join(".ssh/known_hosts"),
                home.path().join(".ssh/known_hosts2"),
                "/etc/ssh/ssh_known_hosts".into(),
                "/etc/ssh/ssh_known_hosts2".into(),
            ],
            ..Settings::plain("Node1")
        }
    );
    assert_eq!((settings.address().as_str(), settings.names().own.as_str()), ("node1:22", "node1"));
}

const CONFIG: &str = "Host node*\n  HostName %h.dc1\n  Port 2222\n  User cassandra\n\
    IdentityFile ~/.ssh/%r@%h:%p-%n%%\n  IdentityFile /keys/%k\n  IdentitiesOnly yes\n\
    UserKnownHostsFile ~/.ssh/fleet_%k\n  GlobalKnownHostsFile none\n  HostKeyAlias ring\n\
    HashKnownHosts yes\n  ProxyJump ops@bastion-%h:2200, second\n  IdentityAgent %d/agent\n";

#[tokio::test]
async fn ssh_config_fills_what_the_operator_left_open() {
    let home = home(CONFIG);
    let path = |name: &str| home.path().join(name);
    let found = |path: PathBuf| Identity { path, must_exist: false };
    let settings = settle(&home, &named("node1")).await.unwrap();
    assert_eq!(
        settings,
        Settings {
            name: "node1".into(),
            host: "node1.dc1".into(),
            port: 2222,
            user: "cassandra".into(),
            alias: Some("ring".into()),
            identities: vec![
                found(path(".ssh/cassandra@node1.dc1:2222-node1%")),
                found("/keys/ring".into())
            ],
            identities_given: true,
            identities_only: true,
            agent: Some(path("agent")),
            known_hosts: vec![path(".ssh/fleet_ring")],
            hash_known_hosts: true,
            jumps: vec!["ops@bastion-node1.dc1:2200".into(), "second".into()],
            ..Settings::plain("node1")
        }
    );
    assert_eq!(settings.names().own, "ring");
}

#[tokio::test]
async fn the_operators_own_settings_win() {
    let home = home(CONFIG);
    let endpoint = Endpoint {
        host: "node1".into(),
        address: Some("10.0.0.1".into()),
        port: Some(22),
        user: Some("root".into()),
        identity_files: vec!["~/key".into()],
        known_hosts: vec!["~/hosts".into(), "/fleet".into()],
        proxy_jump: Some(Vec::new()),
        ..Endpoint::default()
    };
    let settings = settle(&home, &endpoint).await.unwrap();
    assert_eq!((settings.address().as_str(), settings.user.as_str()), ("10.0.0.1:22", "root"));
    let key = Identity { path: home.path().join("key"), must_exist: true };
    assert_eq!(settings.identities, [key]);
    assert_eq!(settings.known_hosts, [home.path().join("hosts"), "/fleet".into()]);
    assert_eq!(settings.jumps, [""; 0]);
}

#[tokio::test]
async fn what_cannot_be_filled_in_is_said() {
    for (config, host, says) in [
        ("IdentityFile /k/%C", "node1", "unknown % token in /k/%C of the ssh config"),
        ("IdentityFile /k/%", "node1", "unknown % token in /k/% of the ssh config"),
        ("IdentityFile /k/${RH_NOT_SET}", "node1", "${RH_NOT_SET} of /k/${RH_NOT_SET} is not set"),
        ("IdentityFile /k/${RH", "node1", "no } in /k/${RH"),
        ("HostName %p", "node1", "unknown % token in %p of the ssh config"),
        ("HostName a;b", "node1", "not a host name: \"a;b\""),
        ("", "#n1", "not a host name: \"#n1\""),
        ("", "@revoked", "not a host name: \"@revoked\""),
        ("", "-oProxyCommand=x", "not a host name: \"-oproxycommand=x\""),
    ] {
        let error = settle(&home(config), &named(host)).await.unwrap_err();
        let NodeError::Local(text) = &error else { panic!("{error:?}") };
        assert_eq!(text.to_lowercase(), says.to_lowercase(), "{config}");
    }
    let path = std::env::var("PATH").unwrap();
    let home = home("IdentityFile /k/${PATH}/x");
    let settings = settle(&home, &named("node1")).await.unwrap();
    assert_eq!(settings.identities[0].path, PathBuf::from(format!("/k/{path}/x")));
}

#[tokio::test]
async fn a_config_others_may_write_is_refused_as_openssh_does() {
    let home = home("User x");
    let file = home.path().join(".ssh/config");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o620)).unwrap();
    let options = Arc::new(Options::default());
    let resolver = Resolver::new(options, home.path().into());
    let error = resolver.settle(&named("node1")).await.unwrap_err();
    let file = file.display();
    let want = format!("{file} may be written by others: chmod go-w {file}");
    assert_eq!(error, NodeError::Local(want));
}

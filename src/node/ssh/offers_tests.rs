use std::path::PathBuf;

use russh::keys::PrivateKey;
use russh::keys::ssh_key::private::Ed25519Keypair;

use super::*;
use crate::node::ssh::settings::Identity;

/// A key made of one number, so that tests can name it.
fn private(seed: u8) -> PrivateKey {
    Ed25519Keypair::from_seed(&[seed; 32]).into()
}

fn file(seed: u8, body: fn(u8) -> Body) -> Arc<KeyFile> {
    let public = Some(private(seed).public_key().clone());
    Arc::new(KeyFile::new(PathBuf::from(format!("f{seed}")), public, body(seed)))
}

fn open(seed: u8) -> Body {
    Body::Open(Arc::new(private(seed)))
}

fn locked(_: u8) -> Body {
    Body::Locked(String::new())
}

fn agent(seeds: &[u8]) -> Vec<AgentIdentity> {
    let identity = |seed: &u8| AgentIdentity::PublicKey {
        key: private(*seed).public_key().clone(),
        comment: format!("a{seed}"),
    };
    seeds.iter().map(identity).collect()
}

fn settings(given: bool, only: bool) -> Settings {
    Settings { identities_given: given, identities_only: only, ..Settings::plain("n") }
}

/// The order in one line: `f` for files, `a` for the agent's; and the notes.
fn ordered(
    settings: &Settings,
    files: &[Arc<KeyFile>],
    held: &[u8],
    can_ask: bool,
) -> (String, String) {
    let mut notes = Vec::new();
    let offers = order(settings, files, &agent(held), can_ask, &mut notes);
    let names = offers.iter().map(|offer| match offer {
        Offer::Agent(identity) => identity.comment().to_owned(),
        Offer::File(file) => shown(&file.path),
    });
    (names.collect::<Vec<_>>().join(" "), notes.join("; "))
}

#[test]
fn named_files_come_first_and_from_the_agent_if_it_holds_them() {
    let files = [file(1, open), file(2, locked), file(3, |_| Body::PublicOnly), file(4, open)];
    let given = settings(true, false);
    let (order, notes) = ordered(&given, &files, &[9, 2, 3], true);
    assert_eq!((order.as_str(), notes.as_str()), ("f1 a2 a3 f4 a9", ""));
    // Without the agent's help: the locked one comes last, if somebody can be asked.
    let (order, notes) = ordered(&given, &files, &[9], true);
    assert_eq!(order, "f1 f4 a9 f2");
    assert_eq!(notes, "f3 is a public key the agent does not hold");
    let (order, notes) = ordered(&given, &files, &[], false);
    assert_eq!(order, "f1 f4");
    assert!(notes.starts_with("f2 is encrypted and not in the agent: use ssh-add"), "{notes}");
}

#[test]
fn identities_only_keeps_the_agents_other_keys_back() {
    let files = [file(1, open), file(2, locked)];
    let (order, _) = ordered(&settings(true, true), &files, &[9, 2], true);
    assert_eq!(order, "f1 a2");
    // No file is named, so the default ones are those that may be offered.
    let (order, _) = ordered(&settings(false, true), &files, &[9, 2], true);
    assert_eq!(order, "f1 a2");
}

#[test]
fn with_no_file_named_the_agent_comes_first_and_default_files_are_optional() {
    let files = [file(1, open), file(2, |_| Body::Missing), file(3, |_| Body::PublicOnly)];
    let (order, notes) = ordered(&settings(false, false), &files, &[9, 1], true);
    assert_eq!((order.as_str(), notes.as_str()), ("a9 a1", ""));
    let (order, _) = ordered(&settings(false, false), &files, &[], true);
    assert_eq!(order, "f1");
    // No key is offered twice, each counts against the server's limit.
    let twice = [file(1, open), file(1, open)];
    assert_eq!(ordered(&settings(true, false), &twice, &[1], true).0, "a1");
}

#[test]
fn a_file_the_operator_named_has_to_be_usable() {
    let mut settings = settings(true, false);
    settings.identities = vec![Identity { path: "f1".into(), must_exist: true }];
    let check = |body| check_files(&settings, &[file(1, body)], &[]);
    assert_eq!(check(open), Ok(()));
    assert_eq!(check(locked), Ok(()));
    let missing = NodeError::Local("f1: no such key file".into());
    assert_eq!(check(|_| Body::Missing), Err(missing));
    let broken = NodeError::Local("f1: why".into());
    let unusable: fn(u8) -> Body = |_| Body::Unusable("why".into());
    assert_eq!(check(unusable), Err(broken));
    assert_eq!(check_files(&settings, &[file(1, unusable)], &agent(&[1])), Ok(()));
}

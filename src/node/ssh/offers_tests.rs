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

/// The order in one line: `f` for files, `a` for the agent's, `+c` for a certificate; and the notes.
fn ordered_with(
    settings: &Settings,
    files: &[Arc<KeyFile>],
    certificates: &[Arc<CertFile>],
    agent: &[AgentIdentity],
    can_ask: bool,
) -> (String, String) {
    let mut notes = Vec::new();
    let stock = Stock { files, certificates, agent, can_ask };
    let offers = order(settings, &stock, &mut notes);
    let names = offers.iter().map(|offer| {
        let signer = match &offer.by {
            By::Agent(identity) => identity.comment().to_owned(),
            By::File(file) => shown(&file.path),
        };
        match &offer.certificate {
            Some(own) => format!("{}+{signer}", shown(&own.path)),
            None => signer,
        }
    });
    (names.collect::<Vec<_>>().join(" "), notes.join("; "))
}

fn ordered(
    settings: &Settings,
    files: &[Arc<KeyFile>],
    held: &[u8],
    can_ask: bool,
) -> (String, String) {
    ordered_with(settings, files, &[], &agent(held), can_ask)
}

/// A certificate for the key of `seed`.
fn certificate(seed: u8) -> Certificate {
    use russh::keys::ssh_key::certificate::{Builder, CertType};

    let public = private(seed).public_key().clone();
    let mut builder = Builder::new(vec![seed; 16], public.key_data().clone(), 0, 9).unwrap();
    builder.cert_type(CertType::User).unwrap().all_principals_valid().unwrap();
    builder.sign(&private(200)).unwrap()
}

fn cert_file(seed: u8, beside: Option<usize>) -> Arc<CertFile> {
    let path = PathBuf::from(format!("c{seed}"));
    Arc::new(CertFile { path, certificate: certificate(seed), beside })
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

#[test]
fn a_certificate_comes_before_its_key_and_is_signed_for_by_whoever_has_the_key() {
    let with = |settings: &Settings, files: &[_], certificates: &[_], held: &[u8]| {
        ordered_with(settings, files, certificates, &agent(held), true)
    };
    let given = settings(true, false);
    let files = [file(1, open), file(2, locked), file(3, open)];
    let beside = [cert_file(1, Some(0)), cert_file(2, Some(1))];
    assert_eq!(with(&given, &files, &beside, &[]).0, "c1+f1 f1 f3 c2+f2 f2");
    assert_eq!(with(&given, &files, &beside, &[2, 9]).0, "c1+f1 f1 c2+a2 a2 f3 a9");
    // With no file named the agent comes first.
    let plain = settings(false, false);
    assert_eq!(with(&plain, &files, &beside, &[9, 1]).0, "a9 c1+a1 a1 f3 c2+f2 f2");
    // Named ones come before all.
    let named = [cert_file(3, None), cert_file(9, None)];
    assert_eq!(with(&given, &files, &named, &[9]).0, "c3+f3 c9+a9 f1 f3 a9 f2");
    assert_eq!(with(&settings(true, true), &files, &named, &[9]).0, "c3+f3 c9+a9 f1 f3 f2");
    let (order, notes) = with(&given, &[file(1, |_| Body::PublicOnly)], &beside[..1], &[]);
    let public = "f1 is a public key the agent does not hold";
    let want = format!("c1 is for a key that cannot be used here; {public}");
    assert_eq!((order, notes), (String::new(), want));
}

#[test]
fn a_certificate_the_agent_holds_as_well_is_offered_once() {
    let files = [file(1, open)];
    let mut held = agent(&[1]);
    held.push(AgentIdentity::Certificate { certificate: certificate(1), comment: "ca1".into() });
    let beside = [cert_file(1, Some(0))];
    let all = |settings: &Settings, certificates: &[_]| {
        ordered_with(settings, &files, certificates, &held, true).0
    };
    assert_eq!(all(&settings(true, false), &beside), "ca1 a1");
    assert_eq!(all(&settings(true, true), &[]), "ca1 a1");
    assert_eq!(all(&settings(false, false), &beside), "ca1 a1");
    assert_eq!(all(&settings(true, false), &[cert_file(1, None)]), "ca1 a1");
}

#[test]
fn what_has_run_out_or_is_no_certificate_is_noted_and_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let text = certificate(1).to_openssh().unwrap();
    std::fs::write(path("good"), &text).unwrap();
    std::fs::write(path("f1-cert.pub"), &text).unwrap();
    std::fs::write(path("bad"), "no certificate").unwrap();
    let read = |names: &[&str], now| {
        let mut settings = settings(true, false);
        settings.certificates = names.iter().map(|name| path(name)).collect();
        let file = Arc::new(KeyFile::new(path("f1"), None, open(1)));
        let mut notes = Vec::new();
        let found = certificates(&settings, &[file], now, &mut notes);
        let found = found.iter().map(|own| own.path.file_name().unwrap().to_str().unwrap());
        let notes = notes.join("; ").replace(&format!("{}/", dir.path().display()), "");
        (found.collect::<Vec<_>>().join(" "), notes)
    };
    let wanted = |found: &str, notes: &str| (found.to_owned(), notes.to_owned());
    assert_eq!(read(&[], 5), wanted("f1-cert.pub", ""));
    // CertificateFile takes the place of those beside the keys.
    let notes = "bad: not a certificate; none does not exist";
    assert_eq!(read(&["good", "bad", "none"], 5), wanted("good", notes));
    let notes = "f1-cert.pub expired 1970-01-01 00:00 UTC";
    assert_eq!(read(&[], 9), wanted("", notes));
}

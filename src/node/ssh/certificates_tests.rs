use super::*;

#[test]
fn lists_of_algorithms_are_changed_as_ssh_config_says() {
    let listed = |name, wanted| is_listed(name, SIGNATURES, wanted);
    assert!(listed("ssh-ed25519", None));
    assert!(!listed("ssh-rsa", None));
    assert!(listed("ssh-rsa", Some("+ssh-rsa")) && listed("ssh-ed25519", Some("+ssh-rsa")));
    assert!(listed("ssh-rsa", Some("^ssh-rsa")) && listed("ssh-ed25519", Some("^ssh-rsa")));
    assert!(!listed("rsa-sha2-512", Some("-rsa-*")) && listed("ssh-ed25519", Some("-rsa-*")));
    assert!(listed("ssh-rsa", Some("ssh-rsa,x")) && !listed("ssh-ed25519", Some("ssh-rsa,x")));
    assert!(!listed("ssh-ed25519", Some("")));
}

#[test]
fn dates_are_said_in_utc_and_those_that_are_none_too() {
    assert_eq!(date(0), "1970-01-01 00:00 UTC");
    assert_eq!(date(1_600_000_000), "2020-09-13 12:26 UTC");
    assert_eq!(date(u64::MAX), "in a far future");
}

#[test]
fn what_is_no_certificate_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x-cert.pub");
    assert_eq!(read(&path), Ok(None));
    std::fs::write(&path, "ssh-ed25519-cert-v01@openssh.com AAAA").unwrap();
    assert_eq!(read(&path), Err("not a certificate".into()));
    std::fs::write(&path, vec![b'A'; 33 * 1024]).unwrap();
    assert_eq!(read(&path), Err("not a certificate".into()));
    assert_eq!(read(dir.path()), Err("not a certificate".into()));
}

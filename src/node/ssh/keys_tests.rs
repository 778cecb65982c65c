use std::process::Command;

use super::*;

/// Makes a key in one of the formats of `ssh-keygen -m`.
fn keygen(folder: &Path, kind: &str, format: &str, passphrase: &str) -> PathBuf {
    let file = folder.join(format!("{kind}_{format}_{}", passphrase.len()));
    let bits = if kind == "rsa" { "2048" } else { "256" };
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", kind, "-m", format, "-b", bits, "-a", "1", "-N", passphrase, "-f"])
        .arg(&file)
        .status()
        .expect("apt-get install openssh-client");
    assert!(made.success());
    file
}

#[test]
fn keys_of_every_format_are_read_and_decrypted() {
    let dir = tempfile::tempdir().unwrap();
    let ask: Ask = Arc::new(|_: &Question<'_>| Some("sesame".into()));
    for (kind, format) in [
        ("ed25519", "RFC4716"),
        ("ecdsa", "RFC4716"),
        ("rsa", "RFC4716"),
        ("ecdsa", "PEM"),
        ("rsa", "PEM"),
        ("ecdsa", "PKCS8"),
        ("rsa", "PKCS8"),
    ] {
        let plain = read(&keygen(dir.path(), kind, format, ""));
        let is_open = matches!(plain.body, Body::Open(_));
        assert!(is_open, "{kind} {format}: {}", why(&plain));
        let path = keygen(dir.path(), kind, format, "sesame");
        let locked = read(&path);
        if (kind, format) == ("ecdsa", "PEM") {
            let path = path.display();
            let want = format!("its old encryption is not supported: ssh-keygen -p -f {path}");
            assert_eq!(why(&locked), want);
            continue;
        }
        assert!(matches!(locked.body, Body::Locked(_)), "{kind} {format}: {}", why(&locked));
        assert!(locked.open().is_none());
        let public = locked.public.as_ref().map(PublicKey::key_data).cloned();
        match ask_and_decrypt(&locked, Some(&ask)) {
            Ok(key) => assert_eq!(Some(key.public_key().key_data().clone()), public),
            Err(error) => panic!("{kind} {format}: {error}"),
        }
    }
}

fn why(file: &KeyFile) -> &str {
    match &file.body {
        Body::Missing => "missing",
        Body::PublicOnly => "public only",
        Body::Open(_) => "open",
        Body::Locked(_) => "locked",
        Body::Unusable(why) => why,
    }
}

#[test]
fn what_is_no_key_of_ours_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let key = keygen(dir.path(), "ed25519", "RFC4716", "");
    let beside = key.with_extension("pub");
    assert_eq!(why(&read(&path("none"))), "missing");
    assert_eq!(why(&read(dir.path())), "not a key file");
    std::fs::write(path("text"), "hello\n").unwrap();
    assert_eq!(why(&read(&path("text"))), "not a private key");
    // The public half may be named itself, or stand beside a private one that is elsewhere.
    assert_eq!(why(&read(&beside)), "public only");
    std::fs::write(path("cut"), "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNz\n").unwrap();
    std::fs::set_permissions(path("cut"), std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(read(&path("cut")).body, Body::Unusable(_)));
    for mode in [0o640, 0o604, 0o777] {
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
        let want = format!("others may read it: chmod 600 {}", key.display());
        assert_eq!(why(&read(&key)), want);
    }
    std::fs::remove_file(&key).unwrap();
    let file = read(&key);
    assert_eq!(why(&file), "public only");
    assert!(file.public.is_some());
}

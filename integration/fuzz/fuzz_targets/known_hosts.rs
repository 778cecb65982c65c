//! known_hosts files and the keys that servers show: a line that we write is read back, whatever
//! file it is added to, and a refusal is safe to show.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use ringhaul::node::NodeError;
use ringhaul::node::ssh::fuzz::{HostKey, ask_known_hosts};
use ringhaul_fuzz::{first_line, shown, twice};

const KEY: &[u8] =
    b"\0\0\0\x0bssh-ed25519\0\0\0\x20\x31\x24\x8a\x94\x7c\xb5\xb1\x29\x8c\x57\x22\x6f\
    \x8a\xdf\x02\x6c\x90\x52\x3e\x5d\xce\x99\x42\x97\xd1\x61\xa0\xb8\xa8\x9b\x3e\x7a";

fn ours() -> &'static HostKey {
    static OURS: OnceLock<HostKey> = OnceLock::new();
    OURS.get_or_init(|| HostKey::read(KEY).expect("a key"))
}

fuzz_target!(|data: &[u8]| {
    let (name, file) = first_line(data);
    let text = String::from_utf8_lossy(file);
    let name = String::from_utf8_lossy(name);
    let (host, port) = name.split_once(' ').unwrap_or((&name, ""));
    let (host, port) = (host.to_lowercase(), port.parse().unwrap_or(22));
    if !is_host(&host) {
        return;
    }
    judge(&text, &host, port, ours());
    // The file as a key that a server shows.
    if let Some(key) = HostKey::read(file) {
        shown(&key.fingerprint(), 60);
        let again = key.bytes().and_then(|bytes| HostKey::read(&bytes)).expect("it was read");
        assert_eq!(again.fingerprint(), key.fingerprint());
        judge("", &host, port, &key);
        judge("other ssh-ed25519 AAAA\n@revoked * x\n", &host, port, &key);
    }
});

/// Such as the resolver takes for one.
fn is_host(host: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]@#%+=/".contains(&byte);
    !host.is_empty() && !host.starts_with(['-', '#', '@']) && host.bytes().all(fits)
}

fn judge(text: &str, host: &str, port: u16, key: &HostKey) {
    let told = twice(|| ask_known_hosts(text, host, port, key));
    assert!(told.entries <= text.lines().count());
    assert!(!(told.is_known && told.is_revoked));
    match &told.refusal {
        // A certificate is trusted by its authority's key.
        None => assert!(told.is_known || key.is_certificate(), "{told:?}"),
        Some(NodeError::HostKey { problem, fix }) => {
            assert!(!told.is_known || key.is_certificate(), "{told:?}");
            shown(problem, 1000);
            shown(fix, 3000);
        }
        Some(other) => panic!("{other}"),
    }
    for salt in [None, Some([7; 20])] {
        let Some(line) = key.line(host, port, salt) else { return };
        assert!(line.ends_with('\n') && line.lines().count() == 1, "{line:?}");
        let added = ask_known_hosts(&format!("{text}\n{line}"), host, port, key);
        assert_eq!(added.entries, told.entries + 1, "{line:?}");
        assert!(added.is_known || (added.is_revoked && told.is_revoked), "{line:?}: {added:?}");
    }
}

use super::*;

fn wish<'a>(settings: &'a Settings, known: &'a [Algorithm]) -> Wish<'a> {
    Wish { known, certificate: false, load: Load::Control, settings }
}

fn settings(change: impl FnOnce(&mut Settings)) -> Settings {
    let mut settings = Settings::plain("n1");
    change(&mut settings);
    settings
}

fn keys(config: &client::Config) -> Vec<String> {
    config.preferred.key.iter().map(ToString::to_string).collect()
}

#[test]
fn known_types_are_asked_for_first_and_sha1_never() {
    let configs = Configs::default();
    let plain = Settings::plain("n1");
    let known = [Algorithm::Rsa { hash: None }];
    let rsa = configs.get(&wish(&plain, &known)).unwrap();
    assert_eq!(
        keys(&rsa),
        [
            "rsa-sha2-512",
            "rsa-sha2-256",
            "ssh-ed25519",
            "ecdsa-sha2-nistp256",
            "ecdsa-sha2-nistp384",
            "ecdsa-sha2-nistp521",
        ]
    );
    let again = configs.get(&wish(&plain, &known)).unwrap();
    assert!(Arc::ptr_eq(&rsa, &again));
    let none = configs.get(&Wish { load: Load::Bulk, ..wish(&plain, &[]) }).unwrap();
    assert!(rsa.window_size < none.window_size);
    assert_eq!(none.preferred.key.as_ref(), HOST_KEYS);
    assert!(none.preferred.host_key_certificates.is_empty());
    assert_eq!(none.preferred.cipher[0].as_ref(), "aes128-gcm@openssh.com");
}

#[test]
fn a_host_with_an_authority_is_asked_for_its_certificate() {
    let plain = Settings::plain("n1");
    let asked = Wish { certificate: true, ..wish(&plain, &[]) };
    let config = Configs::default().get(&asked).unwrap();
    assert_eq!(config.preferred.host_key_certificates.as_ref(), HOST_KEYS);
    assert_eq!(config.preferred.key.as_ref(), HOST_KEYS);
    let only =
        settings(|s| s.algorithms.host_keys = Some("ssh-ed25519-cert-v01@openssh.com".into()));
    let config = Configs::default().get(&Wish { settings: &only, ..asked }).unwrap();
    assert_eq!(config.preferred.host_key_certificates.as_ref(), [Algorithm::Ed25519]);
    assert!(config.preferred.key.is_empty());
    let error = Configs::default().get(&wish(&only, &[])).unwrap_err().to_string();
    assert_eq!(
        error,
        "HostKeyAlgorithms ssh-ed25519-cert-v01@openssh.com takes certificates alone, and \
         known_hosts has no @cert-authority for the host"
    );
}

#[test]
fn a_list_of_the_operator_wins_over_what_is_on_file() {
    let known = [Algorithm::Rsa { hash: None }];
    for (asked, first) in [
        ("ssh-ed25519,rsa-sha2-512", "ssh-ed25519"),
        ("^ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521"),
        ("+ssh-rsa", "rsa-sha2-512"),
        ("-ssh-ed25519*", "rsa-sha2-512"),
    ] {
        let own = settings(|s| s.algorithms.host_keys = Some(asked.into()));
        let config = Configs::default().get(&wish(&own, &known)).unwrap();
        assert_eq!(keys(&config)[0], first, "{asked}");
        assert_eq!(keys(&config).contains(&"ssh-rsa".into()), asked == "+ssh-rsa");
    }
}

#[test]
fn every_list_is_followed_and_the_protection_of_the_handshake_stays() {
    let own = settings(|s| {
        s.algorithms = Wanted {
            ciphers: Some("aes256-cbc,chacha20-poly1305@openssh.com".into()),
            kex: Some("diffie-hellman-group14-sha1".into()),
            macs: Some("-hmac-sha2-512*".into()),
            ..Wanted::default()
        };
    });
    let config = Configs::default().get(&wish(&own, &[])).unwrap();
    let preferred = &config.preferred;
    let ciphers: Vec<&str> = preferred.cipher.iter().map(AsRef::as_ref).collect();
    assert_eq!(ciphers, ["aes256-cbc", "chacha20-poly1305@openssh.com"]);
    let kex: Vec<&str> = preferred.kex.iter().map(AsRef::as_ref).collect();
    assert_eq!(kex, ["diffie-hellman-group14-sha1", "ext-info-c", "kex-strict-c-v00@openssh.com"]);
    let macs: Vec<&str> = preferred.mac.iter().map(AsRef::as_ref).collect();
    assert_eq!(macs, ["hmac-sha2-256-etm@openssh.com", "hmac-sha2-256"]);
}

#[test]
fn no_encryption_is_not_to_be_had_by_any_name() {
    for asked in ["none", "clear", "n*,clear"] {
        let own = settings(|s| s.algorithms.ciphers = Some(asked.into()));
        let error = Configs::default().get(&wish(&own, &[])).unwrap_err().to_string();
        assert!(error.starts_with(&format!("Ciphers {asked} leaves nothing")), "{error}");
    }
    let all = settings(|s| {
        s.algorithms.ciphers = Some("*".into());
        s.algorithms.macs = Some("*".into());
        s.algorithms.kex = Some("*".into());
    });
    let config = Configs::default().get(&wish(&all, &[])).unwrap();
    assert!(config.preferred.cipher.iter().all(|name| !["none", "clear"].contains(&name.as_ref())));
    assert!(config.preferred.mac.iter().all(|name| name.as_ref() != "none"));
    assert!(config.preferred.kex.iter().all(|name| name.as_ref() != "none"));
}

#[test]
fn limits_of_rekeying_stay_within_what_is_safe_and_useful() {
    let of = |bytes, seconds: Option<u64>| {
        let limits = limits(Rekey { bytes, time: seconds.map(Duration::from_secs) });
        assert_eq!(limits.rekey_read_limit, limits.rekey_write_limit);
        (limits.rekey_read_limit, limits.rekey_time_limit.as_secs())
    };
    assert_eq!(of(None, None), (1 << 30, 3600));
    assert_eq!(of(Some(64 << 20), Some(600)), (64 << 20, 600));
    assert_eq!(of(Some(u64::MAX), None), (1 << 30, 3600));
    assert_eq!(of(Some(16), Some(1)), (1 << 20, 5));
}

#[test]
fn the_server_is_asked_for_life_as_the_settings_say() {
    let own = settings(|s| s.keepalive = Keepalive { interval: Duration::from_secs(7), max: 2 });
    let config = Configs::default().get(&wish(&own, &[])).unwrap();
    assert_eq!(config.keepalive_interval, Some(Duration::from_secs(7)));
    assert_eq!(config.keepalive_max, 2);
}

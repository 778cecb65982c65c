//! What ssh_config asks for and is not followed, said once in a run.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::config::{Said, Value};
use super::settings::Settings;
use crate::text::one_line;

/// Hears of what is not followed.
pub type Notice = Arc<dyn Fn(&str) + Send + Sync>;

/// Notices that wait to be fetched. There are as many as lines in the files, and no more than this.
const MOST: usize = 256;

/// What was said already.
pub(super) struct Notices {
    told: Option<Notice>,
    said: Mutex<Heard>,
}

#[derive(Default)]
struct Heard {
    all: HashSet<String>,
    new: Vec<String>,
}

impl fmt::Debug for Notices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notices").finish_non_exhaustive()
    }
}

impl Notices {
    pub(super) fn new(told: Option<Notice>) -> Self {
        Self { told, said: Mutex::default() }
    }

    /// Says what is new.
    pub(super) fn say(&self, texts: Vec<String>) {
        for text in texts {
            {
                let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
                if said.all.len() >= MOST || !said.all.insert(text.clone()) {
                    continue;
                }
                said.new.push(text.clone());
            }
            if let Some(told) = &self.told {
                told(&text);
            }
        }
    }

    pub(super) fn drain(&self) -> Vec<String> {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut said.new)
    }
}

/// Returns what `said` asks for and `settings` do not hold: whatever would change whether the
/// host is reached or trusted.
pub(super) fn unsupported(said: &Said, settings: &Settings) -> Vec<String> {
    let set = |name: &str, off: &[&str]| {
        let value = said.get(name)?;
        let off = off.iter().any(|off| value.text().eq_ignore_ascii_case(off));
        (!off).then_some(value)
    };
    let mut texts = Vec::new();
    let mut tell = |name: &str, value: Option<&Value>, what: &str| {
        if let Some(value) = value {
            let text = one_line(value.words.join(" ").as_bytes(), 80);
            texts.push(format!("{}: {name} {text} is not followed: {what}", value.origin));
        }
    };
    tell("KnownHostsCommand", set("knownhostscommand", &["none"]), "only files tell host keys");
    tell("VerifyHostKeyDNS", set("verifyhostkeydns", &["no"]), "no host key is taken from DNS");
    tell(
        "NoHostAuthenticationForLocalhost",
        set("nohostauthenticationforlocalhost", &["no"]),
        "host keys are checked there, too",
    );
    tell(
        "HostbasedAuthentication",
        set("hostbasedauthentication", &["no"]),
        "there is no such login",
    );
    tell(
        "PKCS11Provider",
        set("pkcs11provider", &["none"]),
        "load its keys into the agent: ssh-add -s",
    );
    tell(
        "SecurityKeyProvider",
        set("securitykeyprovider", &["internal"]),
        "security keys are used through the agent",
    );
    tell("BindInterface", set("bindinterface", &["none"]), "set BindAddress");
    tell("Compression", set("compression", &["no"]), "it costs the node more than it saves");
    let size = said.get("requiredrsasize").filter(|_| {
        said.number::<u32>("requiredrsasize").is_some_and(|bits| bits > LEAST_RSA_BITS)
    });
    tell("RequiredRSASize", size, "every RSA key the library takes is taken");
    if said.flag("permitlocalcommand") == Some(true) {
        tell("LocalCommand", set("localcommand", &["none"]), "nothing is run here");
    }
    if settings.proxy_command.is_some() {
        let passes = "a ProxyCommand hands no socket on: --transport openssh does it";
        tell("ProxyUseFdpass", set("proxyusefdpass", &["no"]), passes);
    }
    let only_gssapi = said.get("preferredauthentications").filter(|value| {
        let mut methods = value.text().split(',');
        !settings.publickey
            && settings.auth.is_empty()
            && methods.any(|one| one.starts_with("gssapi"))
    });
    tell(
        "PreferredAuthentications",
        only_gssapi,
        "no way to log in is left without GSSAPI: --transport openssh has it",
    );
    texts
}

/// What OpenSSH asks of an RSA key when nobody says it.
const LEAST_RSA_BITS: u32 = 1024;

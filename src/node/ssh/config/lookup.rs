//! Finds what the rules say of one host: of every directive the first value that applies.

use std::cell::RefCell;
use std::collections::HashMap;

use super::Fail;
use super::criteria::{Match, Seen};
use super::parse::{Rule, Rules};
use super::said::{Origin, Said, Value};
use crate::node::ssh::pattern;
use crate::node::ssh::tokens::{self, Tokens};

/// Key files OpenSSH takes.
const MAX_IDENTITIES: usize = 100;

/// Whom the rules are asked about.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Asked<'a> {
    pub(in super::super) host: &'a str,
    /// As the operator set them, before any file is read.
    pub(in super::super) user: Option<&'a str>,
    pub(in super::super) port: Option<u16>,
    /// The user who runs this.
    pub(in super::super) local_user: &'a str,
    pub(in super::super) home: &'a std::path::Path,
    /// How the commands of `Match exec` ended that were asked for before.
    pub(in super::super) ran: &'a HashMap<String, bool>,
}

/// Returns what `rules` say.
///
/// # Errors
/// What only the `ssh` program knows; a command that has to be run first.
pub(in super::super) fn lookup(rules: &Rules, asked: &Asked<'_>) -> Result<Said, Fail> {
    if let Some((place, what)) = &rules.odd {
        return Err(Fail::Odd(place.clone(), what.clone()));
    }
    let mut first =
        Pass { asked, host: asked.host.to_owned(), second: false, said: Said::default() };
    first.apply(&rules.rules, true)?;
    let mut said = first.said;
    canonical(&said)?;
    if !rules.second {
        return Ok(said);
    }
    let host = match said.get("hostname") {
        Some(value) => tokens::expand(value.text(), &[('h', asked.host)]).map_err(Fail::File)?,
        None => asked.host.to_owned(),
    };
    let host = tokens::host(&host);
    let found = said.get("hostname").cloned();
    let mut second = Pass { asked, host: host.clone(), second: true, said };
    // It is settled now; what the second pass says of it comes too late.
    let origin = found.as_ref().map_or(Origin::Program, |found| found.origin.clone());
    second.said.put("hostname", Value { words: vec![host], origin, filled: true });
    second.apply(&rules.rules, true)?;
    said = second.said;
    if found.is_none() {
        said.remove("hostname");
    }
    canonical(&said)?;
    Ok(said)
}

/// Leaves the search for a host's full name to the program.
fn canonical(said: &Said) -> Result<(), Fail> {
    let wanted = |name: &str, off: &str| said.get(name).filter(|value| value.text() != off);
    let found = wanted("canonicalizehostname", "no")
        .map(|value| (value, "canonicalizehostname"))
        .or_else(|| {
            wanted("canonicalizepermittedcnames", "none")
                .map(|value| (value, "canonicalizepermittedcnames"))
        });
    match found {
        Some((Value { origin: Origin::File(place), words, .. }, name)) => {
            Err(Fail::Odd(place.clone(), format!("{name} {}", words.join(" "))))
        }
        _ => Ok(()),
    }
}

/// One time through the files.
struct Pass<'a> {
    asked: &'a Asked<'a>,
    /// What `Host` is matched with.
    host: String,
    second: bool,
    said: Said,
}

impl Pass<'_> {
    /// Applies rules; `active` says whether those before the first `Host` apply.
    fn apply(&mut self, rules: &[Rule], active: bool) -> Result<(), Fail> {
        let outer = active;
        let mut active = active;
        for rule in rules {
            match rule {
                Rule::Host(patterns) => {
                    let patterns = patterns.iter().map(String::as_str);
                    active = outer && pattern::list_matches(patterns, &self.host);
                }
                // OpenSSH judges it even where nothing can come of it.
                Rule::Match(found) => active = outer && self.matches(found)?,
                Rule::Set(directive, words, place) if active => {
                    let value = Value {
                        words: words.clone(),
                        origin: Origin::File(place.clone()),
                        filled: false,
                    };
                    if directive.adds_up() {
                        if self.said.add(directive.name, value) > MAX_IDENTITIES {
                            let what = format!("more than {MAX_IDENTITIES} key files");
                            return Err(Fail::Bad(place.clone(), what));
                        }
                    } else {
                        set(&mut self.said, directive.name, value);
                    }
                }
                // In a block that does not apply, its lines still have to be understood.
                Rule::File(rules) => self.apply(rules, active)?,
                Rule::Unknown(keyword, place) => {
                    let ignored = self.said.text("ignoreunknown").unwrap_or_default();
                    let ignored = ignored.to_lowercase();
                    if !pattern::list_matches(ignored.split(','), keyword) {
                        return Err(Fail::Odd(place.clone(), keyword.clone()));
                    }
                }
                Rule::Set(..) => {}
            }
        }
        Ok(())
    }

    fn matches(&self, found: &Match) -> Result<bool, Fail> {
        let user = self.asked.user.or(self.said.text("user")).unwrap_or(self.asked.local_user);
        let host = match self.said.get("hostname") {
            Some(value) if value.filled => value.text().to_owned(),
            Some(value) => tokens::expand(value.text(), &[('h', self.asked.host)])
                .map_err(|what| Fail::Bad(found.place.clone(), what))?,
            None => self.asked.host.to_owned(),
        };
        let seen = Seen {
            host: &host,
            original: self.asked.host,
            user,
            local_user: self.asked.local_user,
            tag: self.said.text("tag").unwrap_or_default(),
            second: self.second,
        };
        found.holds(&seen, |command| self.ended_well(found, command, &seen))
    }

    /// How a command of `Match exec` ended.
    fn ended_well(&self, found: &Match, command: &str, seen: &Seen<'_>) -> Result<bool, Fail> {
        let port = self.asked.port.or_else(|| self.said.number("port")).unwrap_or(22).to_string();
        let tokens = Tokens {
            home: self.asked.home,
            host: seen.host,
            name: seen.original,
            port: &port,
            user: seen.user,
            alias: self.said.text("hostkeyalias").unwrap_or(seen.host),
            local_user: seen.local_user,
            jump: "",
            hash: RefCell::default(),
        };
        let command = tokens
            .fill(command, "CLdhiklnpru", false)
            .map_err(|what| Fail::Bad(found.place.clone(), what))?;
        match self.asked.ran.get(&command) {
            Some(well) => Ok(*well),
            None => Err(Fail::Exec(found.place.clone(), command)),
        }
    }
}

/// Keeps a value if it is the first; a way to the host excludes the other.
fn set(said: &mut Said, name: &'static str, value: Value) {
    match name {
        "proxyjump" if said.get("proxycommand").is_some() => {}
        // `ProxyJump none` leaves `ProxyCommand` open.
        "proxycommand" if said.text("proxyjump").is_some_and(|jump| jump != "none") => {}
        // Its amount and its time are set one by one.
        "rekeylimit" => said.first_words(name, value),
        _ => said.first(name, value),
    }
}

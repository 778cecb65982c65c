//! The conditions of `Match`.

use super::Fail;
use super::lines::next;
use super::said::Place;
use crate::node::ssh::pattern;

/// The conditions of one `Match` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Match {
    criteria: Vec<Criterion>,
    pub(super) place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Criterion {
    negated: bool,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    All,
    /// The second time through the files, which this asks for.
    Final,
    /// The second time through the files, if there is one.
    Canonical,
    Host(String),
    OriginalHost(String),
    User(String),
    LocalUser(String),
    Tagged(String),
    Exec(String),
    /// One that only the `ssh` program judges.
    Odd(String),
}

/// What the conditions are judged by.
pub(super) struct Seen<'a> {
    /// The name that is connected to, as far as it is known.
    pub(super) host: &'a str,
    pub(super) original: &'a str,
    pub(super) user: &'a str,
    pub(super) local_user: &'a str,
    pub(super) tag: &'a str,
    pub(super) second: bool,
}

impl Match {
    /// Reads the rest of a `Match` line.
    ///
    /// # Errors
    /// What OpenSSH refuses; what only the program understands.
    pub(super) fn read(rest: &str, place: Place) -> Result<Self, Fail> {
        let bad = |what: &str| Fail::Bad(place.clone(), format!("Match: {what}"));
        let mut left = Some(rest);
        let mut criteria = Vec::new();
        while let Some(word) = next(&mut left) {
            if word.is_empty() || word.starts_with('#') {
                break;
            }
            let (negated, name) = match word.strip_prefix('!') {
                Some(name) => (true, name),
                None => (false, word.as_str()),
            };
            let name = name.to_ascii_lowercase();
            if name == "all" {
                let more =
                    next(&mut left).is_some_and(|more| !more.is_empty() && !more.starts_with('#'));
                if more || criteria.len() > 1 {
                    return Err(bad("all stands alone"));
                }
                criteria.push(Criterion { negated, test: Test::All });
                return Ok(Self { criteria, place });
            }
            if name == "final" || name == "canonical" {
                let test = if name == "final" { Test::Final } else { Test::Canonical };
                criteria.push(Criterion { negated, test });
                continue;
            }
            let argument = next(&mut left)
                .filter(|argument| !argument.is_empty() && !argument.starts_with('#'))
                .ok_or_else(|| bad(&format!("{name} wants a value")))?;
            let test = match name.as_str() {
                "host" => Test::Host(argument),
                "originalhost" => Test::OriginalHost(argument),
                "user" => Test::User(argument),
                "localuser" => Test::LocalUser(argument),
                "tagged" => Test::Tagged(argument),
                "exec" => Test::Exec(argument),
                "localnetwork" => Test::Odd(name),
                _ => return Err(Fail::Odd(place, format!("match {name} {argument}"))),
            };
            criteria.push(Criterion { negated, test });
        }
        if criteria.is_empty() {
            Err(bad("a condition is missing"))
        } else {
            Ok(Self { criteria, place })
        }
    }

    /// Whether the files have to be gone through twice.
    pub(super) fn wants_second(&self) -> bool {
        self.criteria.iter().any(|one| one.test == Test::Final)
    }

    /// The command of an `exec`.
    pub(super) fn command(&self) -> Option<&str> {
        self.criteria.iter().find_map(|one| match &one.test {
            Test::Exec(command) => Some(command.as_str()),
            Test::All
            | Test::Final
            | Test::Canonical
            | Test::Host(_)
            | Test::OriginalHost(_)
            | Test::User(_)
            | Test::LocalUser(_)
            | Test::Tagged(_)
            | Test::Odd(_) => None,
        })
    }

    /// Judges the conditions in their order; `exec` is asked only while all before hold.
    ///
    /// # Errors
    /// A condition that decides and that only the program judges; those of `exec`.
    pub(super) fn holds(
        &self,
        seen: &Seen<'_>,
        exec: impl Fn(&str) -> Result<bool, Fail>,
    ) -> Result<bool, Fail> {
        let mut odd = None;
        let mut holds = true;
        for Criterion { negated, test } in &self.criteria {
            let found = match test {
                Test::All => true,
                Test::Final | Test::Canonical => seen.second,
                Test::Host(list) => host_matches(list, seen.host),
                Test::OriginalHost(list) => host_matches(list, seen.original),
                Test::User(list) => pattern::list_matches(list.split(','), seen.user),
                Test::LocalUser(list) => pattern::list_matches(list.split(','), seen.local_user),
                Test::Tagged(list) => pattern::list_matches(list.split(','), seen.tag),
                Test::Exec(command) if holds => match &odd {
                    None => exec(command)?,
                    Some(_) => continue,
                },
                Test::Exec(_) => continue,
                Test::Odd(name) => {
                    odd.get_or_insert(name);
                    continue;
                }
            };
            holds &= found != *negated;
        }
        match odd {
            Some(name) if holds => Err(Fail::Odd(self.place.clone(), format!("match {name}"))),
            _ => Ok(holds),
        }
    }
}

/// Names of hosts are the same in upper case.
fn host_matches(list: &str, host: &str) -> bool {
    let (list, host) = (list.to_ascii_lowercase(), host.to_ascii_lowercase());
    pattern::list_matches(list.split(','), &host)
}

//! One thing asked for by `--dc`, `--rack`, `--node` or `--label`, and whether a node is meant.

use std::collections::HashSet;
use std::net::IpAddr;

use globset::{GlobBuilder, GlobMatcher};

use super::Candidate;
use crate::nodeset;

/// A range before a glob gives as many globs: beyond this, compiling them takes too long.
const MAX_GLOBS: usize = 1024;

/// The options that choose nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flag {
    /// `--dc`
    Dc,
    /// `--rack`
    Rack,
    /// `--node`
    Node,
    /// `--label`
    Label,
}

impl Flag {
    /// The option as it is typed.
    pub fn option(self) -> &'static str {
        match self {
            Self::Dc => "--dc",
            Self::Rack => "--rack",
            Self::Node => "--node",
            Self::Label => "--label",
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Dc => "a data centre or a glob such as 'dc*', '{dc1,dc2}' or '!dc3'",
            Self::Rack => "a rack or a glob such as r1, 'dc1/r*' or '!r3'",
            Self::Node => "a host, address or host id, a range or a glob such as 'cass-[01-03]*'",
            Self::Label => "key, key=value, !key or !key=value; globs may stand in both",
        }
    }
}

/// An option's value that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{option} '{text}': {problem}, expected {expected}")]
pub struct PatternError {
    option: &'static str,
    text: String,
    problem: String,
    expected: &'static str,
}

/// One item of an option's value.
#[derive(Debug, Clone)]
pub struct Pattern {
    pub(super) flag: Flag,
    /// As typed, without the `!`.
    pub(super) text: String,
    pub(super) negated: bool,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    Dc(Words),
    /// The rack alone, and the same text as `dc/rack`, because a rack's name may hold a slash.
    Rack(Words, Option<(Words, Words)>),
    Node(Words),
    Label(Words, Option<Words>),
}

/// Words to be met exactly, and globs.
#[derive(Debug, Clone, Default)]
struct Words {
    exact: HashSet<String>,
    globs: Vec<GlobMatcher>,
}

impl Pattern {
    /// Reads the comma-separated items of one option's values.
    pub(super) fn read_all(flag: Flag, values: &[String]) -> Result<Vec<Self>, PatternError> {
        let items = values.iter().flat_map(|value| nodeset::split_list(value));
        items.map(|item| Self::read(flag, item.trim())).collect()
    }

    fn read(flag: Flag, item: &str) -> Result<Self, PatternError> {
        let (negated, text) = item.strip_prefix('!').map_or((false, item), |rest| (true, rest));
        let wrong = |problem: String| PatternError {
            option: flag.option(),
            text: item.to_owned(),
            problem,
            expected: flag.expected(),
        };
        if text.is_empty() {
            return Err(wrong("nothing asked for".into()));
        }
        let test = Test::read(flag, text).map_err(wrong)?;
        Ok(Self { flag, text: text.to_owned(), negated, test })
    }

    /// Whether the pattern's words mean the node, the `!` aside; `None` when the inventory and the
    /// ring do not say.
    pub(super) fn means(&self, node: &Candidate<'_>) -> Option<bool> {
        match &self.test {
            Test::Dc(words) => node.dc.map(|dc| words.matches(dc)),
            Test::Rack(words, pair) => {
                let rack = node.rack?;
                let by_pair = |(dc, name): &(Words, Words)| {
                    node.dc.is_some_and(|known| dc.matches(known)) && name.matches(rack)
                };
                Some(words.matches(rack) || pair.as_ref().is_some_and(by_pair))
            }
            Test::Node(words) => Some(node.all_names().any(|name| words.matches(name))),
            Test::Label(key, value) => Some(node.labels.iter().any(|(name, text)| {
                key.matches(name) && value.as_ref().is_none_or(|value| value.matches(text))
            })),
        }
    }

    /// The words that none of `nodes` meets: of a range the single names, folded again.
    pub(super) fn unmet(&self, nodes: &[Candidate<'_>]) -> Option<String> {
        let Test::Node(words) = &self.test else {
            let met = nodes.iter().any(|node| self.means(node) == Some(true));
            return (!met).then(|| self.text.clone());
        };
        let known: HashSet<String> =
            nodes.iter().flat_map(Candidate::all_names).map(canonical).collect();
        let exact = words.exact.iter().filter(|word| !known.contains(*word)).map(String::as_str);
        let globs = words.globs.iter().filter(|glob| !known.iter().any(|name| glob.is_match(name)));
        let mut unmet: Vec<&str> = exact.chain(globs.map(|glob| glob.glob().glob())).collect();
        if unmet.len() == words.exact.len() + words.globs.len() {
            return Some(self.text.clone());
        }
        unmet.sort_unstable();
        (!unmet.is_empty()).then(|| nodeset::fold(&unmet))
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let not = if self.negated { "!" } else { "" };
        write!(f, "{} {not}{}", self.flag.option(), self.text)
    }
}

impl Test {
    fn read(flag: Flag, text: &str) -> Result<Self, String> {
        Ok(match flag {
            Flag::Dc => Self::Dc(Words::read(text)?),
            Flag::Rack => {
                let pair =
                    text.split_once('/').filter(|(dc, rack)| !dc.is_empty() && !rack.is_empty());
                let pair =
                    pair.map(|(dc, rack)| Ok::<_, String>((Words::read(dc)?, Words::read(rack)?)));
                Self::Rack(Words::read(text)?, pair.transpose()?)
            }
            Flag::Node => Self::Node(Words::with_ranges(text)?),
            Flag::Label => match text.split_once('=') {
                Some(("", _)) => return Err("no key before '='".into()),
                Some((key, value)) => Self::Label(Words::read(key)?, Some(Words::read(value)?)),
                None => Self::Label(Words::read(text)?, None),
            },
        })
    }
}

impl Words {
    fn read(text: &str) -> Result<Self, String> {
        let mut words = Self::default();
        words.add(text)?;
        Ok(words)
    }

    fn with_ranges(text: &str) -> Result<Self, String> {
        let mut words = Self::default();
        if is_address_literal(text) {
            words.exact.insert(canonical(text));
            return Ok(words);
        }
        let texts = nodeset::expand_among_globs(text).map_err(|error| error.problem)?;
        for text in texts {
            words.add(&text)?;
            if words.globs.len() > MAX_GLOBS {
                return Err(format!("a range that gives more than {MAX_GLOBS} globs"));
            }
        }
        Ok(words)
    }

    fn add(&mut self, text: &str) -> Result<(), String> {
        if !text.contains(['*', '?', '[', ']', '{', '}', '\\']) {
            self.exact.insert(canonical(text));
            return Ok(());
        }
        let glob = GlobBuilder::new(text)
            .literal_separator(false)
            .backslash_escape(true)
            .build()
            .map_err(|error| error.kind().to_string())?;
        self.globs.push(glob.compile_matcher());
        Ok(())
    }

    fn matches(&self, text: &str) -> bool {
        self.exact.contains(&canonical(text)) || self.globs.iter().any(|glob| glob.is_match(text))
    }
}

/// The form in which two ways of writing one address are equal; names stay as they are.
fn canonical(text: &str) -> String {
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    inner.parse::<IpAddr>().map_or_else(|_| text.to_owned(), |address| address.to_string())
}

fn is_address_literal(text: &str) -> bool {
    text.starts_with('[') && canonical(text) != text
}

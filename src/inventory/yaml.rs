//! YAML text → a tree in which every key and value knows its place and its text as written.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::{
    DefaultMessageFormatter, DuplicateKeyPolicy, Error, Location, MessageFormatter, Options,
    Spanned,
};

/// Where something stands, counted from 1; `width` is in characters, at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) width: usize,
}

/// The beginning of a file, for what is missing in it as a whole.
pub(super) const START: Place = Place { line: 1, column: 1, width: 1 };

/// A value and where it stands. Of an aliased or merged value it is the place of its definition.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) at: Place,
    pub(super) value: Value,
}

#[derive(Debug, Clone)]
pub(super) enum Value {
    /// `null`, `~` or nothing at all.
    Nothing,
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

/// One word or number. `text` is what stands in the file: `007` and `no` are not changed.
#[derive(Debug, Clone)]
pub(super) struct Scalar {
    pub(super) text: String,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Text,
    Truth(bool),
    Whole(u64),
    Number,
}

/// Why a text is no YAML, and where.
pub(super) struct Fault {
    pub(super) at: Place,
    pub(super) message: String,
    pub(super) expected: &'static str,
}

/// Returns the tree of `text`, with duplicate keys left in for the checker to name both places.
pub(super) fn read(text: &str) -> Result<Node, Fault> {
    let root: Spanned<Raw> =
        serde_yaml::from_str_with_options(text, options(DuplicateKeyPolicy::LastWins))
            .map_err(|error| fault(&error))?;
    Ok(node(root, text))
}

/// Looks for the one kind of duplicate that [`read`] does not hand on: keys that are numbers.
pub(super) fn check_number_keys(text: &str) -> Result<(), Fault> {
    serde_yaml::from_str_with_options::<Spanned<Raw>>(text, options(DuplicateKeyPolicy::Error))
        .map(drop)
        .map_err(|error| fault(&error))
}

fn options(duplicates: DuplicateKeyPolicy) -> Options {
    serde_yaml::options! {
        budget: serde_yaml::budget! {
            // An inventory is five levels deep; the tree is walked by recursion.
            max_depth: 16,
            max_nodes: 1_000_000,
            // A node list in which each of 500 nodes says `<<: *big` is honest work. The bomb is
            // stopped by the limit on replayed events below.
            enforce_alias_anchor_ratio: false,
        },
        alias_limits: serde_yaml::alias_limits! {
            max_total_replayed_events: 200_000,
            max_replay_stack_depth: 16,
        },
        // Comments are counted against small limits when they are emitted; nobody reads them here.
        emit_comments: false,
        duplicate_keys: duplicates,
        reject_unsupported_tags: true,
        non_finite_float_policy: serde_yaml::NonFiniteFloatPolicy::PassThrough,
        // The excerpt is drawn by us, with secrets masked.
        with_snippet: false,
    }
}

fn fault(error: &Error) -> Fault {
    let at = error.location().map_or(START, |location| place(&location));
    let mut inner = error.without_snippet();
    while let Error::AliasError { error, .. } = inner {
        inner = error;
    }
    let (message, expected) = sentence(inner);
    Fault { at: Place { width: 1, ..at }, message, expected }
}

/// What to say of the few faults the parser explains in words of its own options, and of others.
fn sentence(error: &Error) -> (String, &'static str) {
    if let Error::MultipleDocuments { .. } = error {
        return ("a second document begins".into(), "one document in the file");
    }
    if let Error::DuplicateMappingKey { key, .. } = error {
        let key = key.as_deref().unwrap_or("?");
        return (format!("duplicate key '{key}'"), "each key once");
    }
    if let Error::Budget { .. }
    | Error::AliasReplayLimitExceeded { .. }
    | Error::AliasReplayStackDepthExceeded { .. } = error
    {
        return ("too much depth, or too much behind aliases".into(), "a file of ordinary size");
    }
    if let Error::UnsupportedTag { .. } = error {
        // The tag is not shown: it may be a password that begins with '!'.
        return ("a tag, a word that begins with '!'".into(), "a value without, or in quotes");
    }
    if let Error::RecursiveReferencesRequireWeakTypes { .. } = error {
        return ("an alias stands inside of what it names".into(), "it outside of that");
    }
    (
        DefaultMessageFormatter.format_message(error).into_owned(),
        "YAML as in inventory.example.yaml",
    )
}

/// What the parser hands over, before the text as written is looked up.
enum Raw {
    Nothing,
    Scalar(String, Kind),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<Raw>, Spanned<Raw>)>),
}

fn node(raw: Spanned<Raw>, text: &str) -> Node {
    let at = place(&raw.defined);
    let one_character = Place { width: 1, ..at };
    match raw.value {
        Raw::Nothing => Node { at: one_character, value: Value::Nothing },
        Raw::Scalar(value, kind) => {
            let text = written(&raw.defined, text, kind).unwrap_or(value);
            Node { at, value: Value::Scalar(Scalar { text, kind }) }
        }
        Raw::List(items) => {
            let items = items.into_iter().map(|item| node(item, text)).collect();
            Node { at: one_character, value: Value::List(items) }
        }
        Raw::Map(pairs) => {
            let pairs = pairs.into_iter().map(|(k, v)| (node(k, text), node(v, text))).collect();
            Node { at: one_character, value: Value::Map(pairs) }
        }
    }
}

/// The text of a number or truth value as it stands in the file. (Text is what the parser made
/// of it: quotes gone, escapes resolved.)
fn written(location: &Location, text: &str, kind: Kind) -> Option<String> {
    if kind == Kind::Text {
        return None;
    }
    let from = usize::try_from(location.span().byte_offset()?).ok()?;
    let length = usize::try_from(location.span().byte_len()?).ok()?;
    let slice = text.get(from..from.checked_add(length)?)?.trim();
    let plain = !slice.is_empty() && !slice.starts_with(['!', '"', '\'', '&', '|', '>']);
    plain.then(|| slice.to_owned())
}

fn place(location: &Location) -> Place {
    let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX).max(1);
    Place {
        line: number(location.line()),
        column: number(location.column()),
        width: number(location.span().len()),
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Nothing)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Scalar(value.to_string(), Kind::Truth(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Scalar(value.to_string(), Kind::Whole(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Scalar(value.to_string(), Kind::Number))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Scalar(value.to_string(), Kind::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Scalar(value.to_owned(), Kind::Text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Raw::Map(pairs))
    }
}

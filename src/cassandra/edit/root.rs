//! Where the bytes of one key and of its value lie in a YAML text.

use std::ops::Range;

use granit_parser::{Event, Options, Parser, ScalarStyle, Span, StructureStyle, Tag};

use super::Refusal;

/// The map that a cassandra.yaml is.
pub(super) struct Root {
    /// Whether it is written in braces.
    pub(super) is_flow: bool,
    /// Where it begins: its first key, or its brace.
    pub(super) start: usize,
    /// How far its keys are indented.
    pub(super) indent: usize,
    /// Whether its first key is in double quotes, as in JSON.
    pub(super) is_json: bool,
    /// Whether it has no keys.
    pub(super) is_empty: bool,
    /// Every place where the key stands.
    pub(super) entries: Vec<Entry>,
}

/// A key and its value.
pub(super) struct Entry {
    pub(super) key: Range<usize>,
    /// The bytes of the value without tag and anchor; empty, anywhere, when there is none.
    pub(super) value: Range<usize>,
    pub(super) held: Held,
}

/// What a key holds.
pub(super) enum Held {
    /// Nothing, `~` or `null`.
    Nothing,
    /// One word, in these quotes.
    Word { word: String, quote: &'static str },
    /// `*name`.
    Alias,
    /// A list, a map, a text of several lines, a value with a tag that makes it no boolean.
    Other,
}

/// Finds `key` in the root of `text`.
pub(super) fn read(text: &str, key: &str) -> Result<Root, Refusal> {
    let nodes = nodes(text)?;
    let Some((Node { what: What::Map { is_flow }, place, .. }, rest)) = nodes.split_first() else {
        return Err(Refusal::NoSettings);
    };
    let mut root = Root {
        is_flow: *is_flow,
        start: place.bytes.start,
        indent: place.column,
        is_json: false,
        is_empty: true,
        entries: Vec::new(),
    };
    let mut rest = rest;
    while let Some((name, after)) = child(rest) {
        let Some((value, after)) = child(after) else { break };
        rest = after;
        if root.is_empty {
            root.is_empty = false;
            root.is_json =
                matches!(name.what, What::Scalar { style: ScalarStyle::DoubleQuoted, .. });
            root.indent = name.place.column;
            root.start = if root.is_flow { root.start } else { name.place.bytes.start };
        }
        if matches!(&name.what, What::Scalar { word, .. } if word == key) {
            root.entries.push(Entry {
                key: name.place.bytes.clone(),
                value: value.place.bytes.clone(),
                held: held(value),
            });
        }
    }
    Ok(root)
}

/// A node, or the end of a collection.
struct Node {
    what: What,
    place: Place,
    /// Whether an anchor or a tag stands before it.
    has_properties: bool,
}

/// Bytes, and the column in characters.
struct Place {
    bytes: Range<usize>,
    column: usize,
}

enum What {
    Map { is_flow: bool },
    List,
    End,
    Alias,
    Scalar { word: String, style: ScalarStyle, may_be_boolean: bool },
}

/// Reads the one document of `text`.
fn nodes(text: &str) -> Result<Vec<Node>, Refusal> {
    let mut options = Options::default();
    options.set_emit_comments(false);
    let mut nodes = Vec::new();
    let mut documents = 0;
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| Refusal::NotYaml {
            line: error.marker().line(),
            problem: crate::text::one_line(error.to_string().as_bytes(), 160),
        })?;
        if let Event::DocumentStart(..) = event {
            documents += 1;
            if documents > 1 {
                return Err(Refusal::Documents { line: span.start.line() });
            }
        }
        if let Some((what, has_properties)) = what(event) {
            nodes.push(Node { what, place: place(text, &span)?, has_properties });
        }
    }
    Ok(nodes)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the enum is the library's, and may grow")]
fn what(event: Event<'_>) -> Option<(What, bool)> {
    let may_be_boolean = |tag: &Option<_>| -> bool {
        tag.as_ref()
            .is_none_or(|tag: &std::borrow::Cow<'_, Tag>| tag.is_yaml_core_schema_tag("bool"))
    };
    match event {
        Event::MappingStart(style, anchor, tag) => {
            let is_flow = style == StructureStyle::Flow;
            Some((What::Map { is_flow }, anchor != 0 || tag.is_some()))
        }
        Event::SequenceStart(_, anchor, tag) => Some((What::List, anchor != 0 || tag.is_some())),
        Event::MappingEnd | Event::SequenceEnd => Some((What::End, false)),
        Event::Alias(_) => Some((What::Alias, false)),
        Event::Scalar(word, style, anchor, tag) => {
            let may_be_boolean = may_be_boolean(&tag);
            let has_properties = anchor != 0 || tag.is_some();
            let word = word.into_owned();
            Some((What::Scalar { word, style, may_be_boolean }, has_properties))
        }
        // Comments, and events that are given out on request alone.
        _ => None,
    }
}

fn place(text: &str, span: &Span) -> Result<Place, Refusal> {
    // The reader counts characters beside bytes; only bytes are of use here.
    let bytes = span.start.byte_offset().zip(span.end.byte_offset());
    let bytes =
        bytes.map(|(start, end)| start..end).filter(|bytes| text.get(bytes.clone()).is_some());
    let place = bytes.map(|bytes| Place { bytes, column: span.start.col() });
    place.ok_or_else(|| Refusal::NotYaml {
        line: span.start.line(),
        problem: "the reader does not say where its values lie".to_owned(),
    })
}

/// Returns the first node of `nodes`, a whole one, and what comes behind it; `None` at the end of
/// the collection.
fn child(nodes: &[Node]) -> Option<(&Node, &[Node])> {
    let first = nodes.first()?;
    let mut depth = 0_usize;
    for (index, node) in nodes.iter().enumerate() {
        match node.what {
            What::Map { .. } | What::List => depth += 1,
            What::End => depth = depth.checked_sub(1)?,
            What::Alias | What::Scalar { .. } => {}
        }
        if depth == 0 {
            return Some((first, &nodes[index + 1..]));
        }
    }
    None
}

fn held(node: &Node) -> Held {
    let What::Scalar { word, style, may_be_boolean } = &node.what else {
        return if matches!(node.what, What::Alias) { Held::Alias } else { Held::Other };
    };
    let quote = match style {
        _ if !may_be_boolean => return Held::Other,
        ScalarStyle::Plain => "",
        ScalarStyle::SingleQuoted => "'",
        ScalarStyle::DoubleQuoted => "\"",
        ScalarStyle::Literal | ScalarStyle::Folded => return Held::Other,
    };
    let is_nothing =
        quote.is_empty() && matches!(word.as_str(), "" | "~" | "null" | "Null" | "NULL");
    match (is_nothing, node.has_properties) {
        (true, false) => Held::Nothing,
        // A tag or an anchor of nothing at all: there is no place for a value that is certain.
        (true, true) => Held::Other,
        (false, _) => Held::Word { word: word.clone(), quote },
    }
}

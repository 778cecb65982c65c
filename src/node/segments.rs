//! Answers of our scripts as they come: segments between NULs, each a word and a value.

use std::ops::ControlFlow;

use super::answer;
use super::{Command, Ended, Exit, Node};
use crate::cassandra::fact::{Why, WhyKind};

/// No segment is longer: `head` prints a few thousand schemas of some KiB in one.
const LONGEST_SEGMENT: usize = 64 * 1024 * 1024;

/// One segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Segment<'a> {
    /// A word and its value.
    Word(&'a str, &'a str),
    /// What `head -v` printed.
    Files(&'a str),
}

/// What a script said of its own way.
#[derive(Debug, Default)]
struct Way {
    errors: String,
    is_at_end: bool,
}

/// Runs `command` and gives each segment of its answer to `each`, but for those by which a script
/// tells its errors and its end.
pub(super) async fn read<N: Node>(
    node: &N,
    command: &Command,
    each: &mut (dyn FnMut(Segment<'_>) -> Result<(), Why> + Send),
) -> Result<(), Why> {
    let mut rest = Vec::new();
    let mut fault = None;
    let mut way = Way::default();
    let ended = node
        .feed(command, &mut |piece: &[u8]| match take(&mut rest, piece, &mut way, each) {
            Ok(()) => ControlFlow::Continue(()),
            Err(why) => {
                fault.get_or_insert(why);
                ControlFlow::Break(())
            }
        })
        .await;
    if let Some(why) = fault {
        return Err(why);
    }
    let ended = ended?;
    if let Some(why) = answer::walk_fault(&way.errors) {
        return Err(why);
    }
    if way.is_at_end && ended.exit == Exit::Code(0) { Ok(()) } else { Err(broke_off(&ended)) }
}

fn take(
    rest: &mut Vec<u8>,
    piece: &[u8],
    way: &mut Way,
    each: &mut (dyn FnMut(Segment<'_>) -> Result<(), Why> + Send),
) -> Result<(), Why> {
    for part in piece.split_inclusive(|byte| *byte == 0) {
        rest.extend_from_slice(part);
        if part.last() == Some(&0) {
            rest.pop();
            if !rest.is_empty() {
                segment(&String::from_utf8_lossy(rest), way, each)?;
            }
            rest.clear();
        } else if rest.len() > LONGEST_SEGMENT {
            return Err(Why::new(WhyKind::TooMuch, "the node's answer has no end"));
        }
    }
    Ok(())
}

fn segment(
    text: &str,
    way: &mut Way,
    each: &mut (dyn FnMut(Segment<'_>) -> Result<(), Why> + Send),
) -> Result<(), Why> {
    if text.starts_with("==> ") || text.starts_with("\n==> ") {
        return each(Segment::Files(text.trim_start()));
    }
    let (word, value) = text.split_once(' ').unwrap_or((text, ""));
    match word {
        "walk-errors" => value.clone_into(&mut way.errors),
        // find ends with 1 when a file went away under its hands.
        "walk-end" if matches!(value, "0" | "1") => {}
        "walk-end" => return Err(Why::new(WhyKind::TimedOut, "the look at the files was ended")),
        "end" => way.is_at_end = true,
        _ => {
            if word == "walk" {
                // A second walk, with other rights, takes the place of the first.
                way.errors.clear();
            }
            return each(Segment::Word(word, value));
        }
    }
    Ok(())
}

/// What is said of a segment that no script of ours prints.
pub(super) fn not_understood(word: &str, value: &str) -> Why {
    let text = crate::text::one_line(format!("{word} {value}").as_bytes(), 120);
    let text = format!("the node's answer holds what ringhaul does not understand: {text}");
    Why::new(WhyKind::NotUnderstood, text)
}

fn broke_off(ended: &Ended) -> Why {
    let said = crate::text::one_line(&ended.stderr, 200);
    match &ended.exit {
        Exit::Code(124 | 137) => Why::new(WhyKind::TimedOut, "the look at the files took too long"),
        Exit::Code(_) | Exit::Signal(_) => {
            Why::new(WhyKind::NotUnderstood, format!("the script on the node broke off: {said}"))
        }
    }
}

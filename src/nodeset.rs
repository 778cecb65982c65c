//! Names with ranges, such as `cass-[01-12].dc1`: unfolds one text to names, folds names to a text.

mod fold;

pub use fold::fold;

/// The most names one text may stand for: far above the largest ring, far below what would fill
/// the memory when a digit is typed too often.
pub const MAX_NAMES: usize = 65_536;

/// Numbers of more digits would not fit a 64-bit integer.
const MAX_DIGITS: usize = 18;

/// What is wrong with a range, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem} in '{text}', expected {expected}")]
pub struct RangeError {
    /// The whole text that was read.
    pub text: String,
    /// How many characters of the text stand before the fault.
    pub at: usize,
    /// What is wrong.
    pub problem: String,
    /// What would have been right.
    pub expected: &'static str,
}

/// Returns the names `text` stands for, in the order written; the leftmost range varies slowest.
///
/// A text without brackets is itself. A bracket that holds a `:` is an IPv6 address, not a range.
///
/// # Errors
/// A range that cannot be read, or more than [`MAX_NAMES`] names.
pub fn expand(text: &str) -> Result<Vec<String>, RangeError> {
    unfold(text, &parts(text, Brackets::AreRanges)?)
}

/// Returns the names of a list as [`fold`] writes it: texts with ranges, separated by commas.
///
/// # Errors
/// As [`expand`]; an empty item is one too.
pub fn expand_list(text: &str) -> Result<Vec<String>, RangeError> {
    let mut names = Vec::new();
    for item in split_list(text) {
        let item = item.trim();
        if item.is_empty() {
            return Err(fault(text, 0, "empty item", "names, separated by single commas"));
        }
        names.extend(expand(item)?);
        if names.len() > MAX_NAMES {
            return Err(too_many(text));
        }
    }
    Ok(names)
}

/// As [`expand`], for a text that may be a glob too: only brackets of digits, commas, dashes and
/// slashes are ranges, any other bracket stays as it is.
///
/// # Errors
/// As [`expand`].
pub(crate) fn expand_among_globs(text: &str) -> Result<Vec<String>, RangeError> {
    unfold(text, &parts(text, Brackets::MayBeGlobs)?)
}

/// Splits at the commas that stand outside of brackets and braces.
pub(crate) fn split_list(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    text.split(move |c: char| {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
}

#[derive(Clone, Copy, PartialEq)]
enum Brackets {
    AreRanges,
    MayBeGlobs,
}

/// A piece of a text: the same for all names, or the numbers that vary.
enum Part<'a> {
    Same(&'a str),
    Varies(Vec<Numbers>),
}

/// `first-last/step`, each number written with at least `width` digits.
struct Numbers {
    first: u64,
    last: u64,
    step: u64,
    width: usize,
}

impl Numbers {
    fn count(&self) -> u64 {
        (self.last - self.first) / self.step + 1
    }

    fn texts(&self) -> impl Iterator<Item = String> + '_ {
        (0..self.count()).map(|i| {
            let width = self.width;
            format!("{:0width$}", self.first + i * self.step)
        })
    }
}

fn parts(text: &str, brackets: Brackets) -> Result<Vec<Part<'_>>, RangeError> {
    let mut parts = Vec::new();
    let mut from = 0;
    while let Some(found) = text[from..].find(['[', ']']) {
        let open = from + found;
        parts.push(Part::Same(&text[from..open]));
        let Some(content) = content_of(text, open, brackets)? else {
            parts.push(Part::Same(&text[open..=open]));
            from = open + 1;
            continue;
        };
        let close = open + 1 + content.len();
        if is_range(content, brackets) {
            parts.push(Part::Varies(ranges(text, open + 1, content)?));
        } else {
            parts.push(Part::Same(&text[open..=close]));
        }
        from = close + 1;
    }
    parts.push(Part::Same(&text[from..]));
    Ok(parts)
}

/// What stands in the bracket that begins at `open`; `None` when it is none and need not be one.
fn content_of(text: &str, open: usize, brackets: Brackets) -> Result<Option<&str>, RangeError> {
    let rest = &text[open + 1..];
    let end = rest.find(['[', ']']).map(|at| (at, rest.as_bytes()[at]));
    if text.as_bytes()[open] == b'['
        && let Some((length, b']')) = end
    {
        return Ok(Some(&rest[..length]));
    }
    if brackets == Brackets::MayBeGlobs {
        return Ok(None);
    }
    Err(match (text.as_bytes()[open], end) {
        (b']', _) => fault(text, open, "']' without '['", RANGE),
        (_, Some((at, _))) => fault(text, open + 1 + at, "'[' inside of a range", RANGE),
        (_, None) => fault(text, open, "'[' without ']'", RANGE),
    })
}

fn is_range(content: &str, brackets: Brackets) -> bool {
    match brackets {
        Brackets::AreRanges => !content.contains(':'),
        Brackets::MayBeGlobs => {
            content.starts_with(|c: char| c.is_ascii_digit())
                && content.bytes().all(|b| b.is_ascii_digit() || b",-/".contains(&b))
        }
    }
}

const RANGE: &str = "a range such as [01-12,15,20-30/2]";

fn ranges(text: &str, from: usize, content: &str) -> Result<Vec<Numbers>, RangeError> {
    let mut ranges = Vec::new();
    let mut at = from;
    for item in content.split(',') {
        ranges.push(range(text, at, item)?);
        at += item.len() + 1;
    }
    Ok(ranges)
}

fn range(text: &str, at: usize, item: &str) -> Result<Numbers, RangeError> {
    let wrong = |problem: String| Err(fault(text, at, problem, RANGE));
    if item.is_empty() {
        return wrong("empty range".into());
    }
    let (span, step) = item.split_once('/').map_or((item, None), |(s, n)| (s, Some(n)));
    let (first, last) = span.split_once('-').unwrap_or((span, span));
    let numbers = (number(first), number(last), step.map_or(Some(1), number));
    let (Some(begin), Some(end), Some(step_by)) = numbers else {
        return wrong(format!("'{item}' is no range of numbers"));
    };
    if step.is_some() && (!span.contains('-') || step_by == 0) {
        return wrong(format!("'{item}' has a step that leads nowhere"));
    }
    let padded = is_padded(first) || is_padded(last);
    if padded && first.len() != last.len() {
        return wrong(format!("'{item}' pads its two numbers differently"));
    }
    if begin > end {
        return wrong(format!("'{item}' runs backwards"));
    }
    let width = if padded { first.len() } else { 0 };
    Ok(Numbers { first: begin, last: end, step: step_by, width })
}

fn number(digits: &str) -> Option<u64> {
    let fits = !digits.is_empty() && digits.len() <= MAX_DIGITS;
    (fits && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok())?
}

/// Whether a number is written with leading zeros, which its range then keeps.
fn is_padded(digits: &str) -> bool {
    digits.len() > 1 && digits.starts_with('0')
}

fn unfold(text: &str, parts: &[Part<'_>]) -> Result<Vec<String>, RangeError> {
    let count = parts.iter().try_fold(1_u64, |count, part| match part {
        Part::Same(_) => Some(count),
        Part::Varies(ranges) => {
            let here = ranges.iter().try_fold(0_u64, |sum, r| sum.checked_add(r.count()))?;
            count.checked_mul(here)
        }
    });
    if count.is_none_or(|count| count > MAX_NAMES as u64) {
        return Err(too_many(text));
    }
    let mut names = vec![String::new()];
    for part in parts {
        match part {
            Part::Same(same) => names.iter_mut().for_each(|name| name.push_str(same)),
            Part::Varies(ranges) => {
                let endings: Vec<String> = ranges.iter().flat_map(Numbers::texts).collect();
                names = names
                    .iter()
                    .flat_map(|name| endings.iter().map(move |end| format!("{name}{end}")))
                    .collect();
            }
        }
    }
    Ok(names)
}

fn too_many(text: &str) -> RangeError {
    fault(text, 0, "too many names", "at most 65,536 names")
}

fn fault(text: &str, at: usize, problem: impl Into<String>, expected: &'static str) -> RangeError {
    let at = text.get(..at).map_or(0, |before| before.chars().count());
    RangeError { text: text.to_owned(), at, problem: problem.into(), expected }
}

#[cfg(test)]
mod tests;

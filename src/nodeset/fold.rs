//! The way back: from many names to the short text an operator would have written.

use std::collections::{HashMap, HashSet};

use super::{MAX_DIGITS, is_padded};

/// Returns the usual short text for `names`: `cass-[01-03,07].dc1, db-[1-2]`.
///
/// Groups stand in the order of their first name; a name that comes twice counts once.
/// [`super::expand_list`] gives the same names back, unless a name itself holds brackets, commas
/// or spaces: such a name is left as it is.
pub fn fold(names: &[&str]) -> String {
    let mut seen = HashSet::new();
    let mut shapes: HashMap<Vec<&str>, Vec<Boxed<'_>>> = HashMap::new();
    for (first, name) in names.iter().enumerate().filter(|(_, name)| seen.insert(**name)) {
        let (literals, numbers) = cut(name);
        let numbers = numbers.into_iter().map(|digits| vec![digits]).collect();
        shapes.entry(literals).or_default().push(Boxed { first, numbers });
    }
    let mut texts = Vec::new();
    for (literals, mut boxes) in shapes {
        for place in places(&literals) {
            boxes = joined(boxes, place);
        }
        texts.extend(boxes.into_iter().map(|boxed| (boxed.first, written(&literals, &boxed))));
    }
    texts.sort();
    let texts: Vec<String> = texts.into_iter().map(|(_, text)| text).collect();
    texts.join(", ")
}

/// Some names of one shape: every choice of one number from each list.
struct Boxed<'a> {
    first: usize,
    numbers: Vec<Vec<&'a str>>,
}

/// Cuts a name into what stands around its numbers, and the numbers.
fn cut(name: &str) -> (Vec<&str>, Vec<&str>) {
    let (mut literals, mut numbers) = (Vec::new(), Vec::new());
    let (mut from, mut at) = (0, 0);
    if !name.contains(['[', ']', '{', '}', ',', ' ']) {
        while let Some(found) = name[at..].find(|c: char| c.is_ascii_digit()) {
            let begin = at + found;
            let rest = &name[begin..];
            let length = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            at = begin + length;
            if length <= MAX_DIGITS {
                literals.push(&name[from..begin]);
                numbers.push(&name[begin..at]);
                from = at;
            }
        }
    }
    literals.push(&name[from..]);
    (literals, numbers)
}

/// The order in which numbers are joined: in an address the last first; in a name the last of the
/// first label first, because `dc1` in the domain seldom is what counts.
fn places(literals: &[&str]) -> Vec<usize> {
    let count = literals.len() - 1;
    let is_address = literals.iter().any(|literal| literal.contains(':'))
        || *literals == ["", ".", ".", ".", ""];
    if is_address {
        return (0..count).rev().collect();
    }
    let label = literals.iter().take(count).take_while(|literal| !literal.contains('.')).count();
    (0..label).rev().chain(label..count).collect()
}

/// Joins the boxes that differ in nothing but the number at `place`.
fn joined(boxes: Vec<Boxed<'_>>, place: usize) -> Vec<Boxed<'_>> {
    let mut out: Vec<Boxed<'_>> = Vec::new();
    let mut known: HashMap<Vec<Vec<&str>>, usize> = HashMap::new();
    for boxed in boxes {
        let mut others = boxed.numbers.clone();
        others[place].clear();
        if let Some(&index) = known.get(&others) {
            out[index].numbers[place].extend(&boxed.numbers[place]);
        } else {
            known.insert(others, out.len());
            out.push(boxed);
        }
    }
    for boxed in &mut out {
        boxed.numbers[place].sort_by_key(|digits| (value(digits), digits.len()));
    }
    out
}

fn written(literals: &[&str], boxed: &Boxed<'_>) -> String {
    let mut text = String::from(literals[0]);
    for (numbers, literal) in boxed.numbers.iter().zip(&literals[1..]) {
        match numbers.as_slice() {
            [one] => text.push_str(one),
            many => text.push_str(&format!("[{}]", runs(many))),
        }
        text.push_str(literal);
    }
    text
}

/// Writes sorted numbers as `1-3,7`. Numbers of another padding get a run of their own.
fn runs(numbers: &[&str]) -> String {
    let mut runs: Vec<(&str, &str)> = Vec::new();
    // The runs that may still go on; without this list, many gaps would cost quadratic time.
    let mut open: Vec<usize> = Vec::new();
    for &digits in numbers {
        open.retain(|&run| value(runs[run].1) + 1 >= value(digits));
        match open.iter().find(|&&run| follows(runs[run], digits)) {
            Some(&run) => runs[run].1 = digits,
            None => {
                open.push(runs.len());
                runs.push((digits, digits));
            }
        }
    }
    let texts = runs.iter().map(|(first, last)| {
        if first == last { (*first).to_owned() } else { format!("{first}-{last}") }
    });
    texts.collect::<Vec<_>>().join(",")
}

fn follows((first, last): (&str, &str), next: &str) -> bool {
    let padded = is_padded(first) || is_padded(next);
    value(next) == value(last) + 1 && (!padded || first.len() == next.len())
}

fn value(digits: &str) -> u64 {
    // At most MAX_DIGITS digits: it always fits.
    digits.parse().unwrap_or(u64::MAX - 1)
}

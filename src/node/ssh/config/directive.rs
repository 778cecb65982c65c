//! What the directives of ssh_config take, and how their values are written once and for all.

use super::lines::{BLANKS, words};
use super::{jumps, numbers};

/// What a directive takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// `yes` or `no`.
    Flag,
    /// One of these words; the second is what it means.
    Choice(&'static [(&'static str, &'static str)]),
    /// A number of at least none.
    Number,
    /// Seconds, or with units; `none` for none.
    Time,
    Port,
    Rekey,
    /// One word.
    Word,
    /// One word in which variables are filled in, and which may name one with a bare `$`.
    Agent,
    /// The login name: newer programs fill in tokens.
    User,
    /// Words, at most so many.
    Words(usize),
    /// Files, or `none` alone.
    Files,
    /// A list of algorithms, perhaps after `+`, `-` or `^`.
    Algorithms,
    /// The rest of the line, as it stands.
    Line,
    Jumps,
    /// Anything: it is of no use here.
    Any,
}

/// A directive of ssh_config.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Directive {
    /// Its name in lower case, as `ssh -G` prints it.
    pub(in super::super) name: &'static str,
    pub(super) takes: Takes,
}

/// Why a value is not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// OpenSSH refuses it as well.
    Bad(String),
    /// Only the `ssh` program knows.
    Odd(String),
}

impl From<String> for Fault {
    fn from(text: String) -> Self {
        Self::Bad(text)
    }
}

/// Files OpenSSH takes in one directive.
const MAX_FILES: usize = 32;

impl Directive {
    /// Whether nothing is made of its values.
    pub(super) fn is_idle(&self) -> bool {
        self.takes == Takes::Any
    }

    /// Whether each value counts, and not the first alone.
    pub(super) fn adds_up(&self) -> bool {
        matches!(self.name, "identityfile" | "certificatefile")
    }

    /// Reads its values from the rest of a line, and writes them in one way only: flags as `yes`
    /// and `no`, times in seconds.
    pub(super) fn read(&self, rest: &str) -> Result<Vec<String>, Fault> {
        let words = words(rest)?;
        match self.takes {
            Takes::Any => return if words.is_empty() { Err(missing()) } else { Ok(words) },
            Takes::Line => {
                let line = rest.trim_start_matches(BLANKS).trim_start_matches(['=', ' ', '\t']);
                return if line.is_empty() { Err(missing()) } else { Ok(vec![line.to_owned()]) };
            }
            Takes::Jumps => return jumps::read(rest),
            Takes::Words(most) => return several(words, most),
            Takes::Files => return files(words),
            Takes::Rekey => return numbers::rekey(&words),
            Takes::Flag
            | Takes::Choice(_)
            | Takes::Number
            | Takes::Time
            | Takes::Port
            | Takes::Word
            | Takes::Agent
            | Takes::User
            | Takes::Algorithms => {}
        }
        let word = match <[String; 1]>::try_from(words) {
            Ok([word]) if word.is_empty() => return Err(missing()),
            Ok([word]) => word,
            Err(words) if words.is_empty() => return Err(missing()),
            Err(_) => return Err(Fault::Bad(format!("one value is wanted: {rest}"))),
        };
        self.value(word).map(|word| vec![word])
    }

    /// Reads its one value as `ssh -G` prints it, without quotes.
    pub(super) fn read_printed(&self, rest: &str) -> Result<Vec<String>, Fault> {
        match self.takes {
            Takes::Word | Takes::Agent | Takes::User | Takes::Algorithms | Takes::Line => {
                Ok(vec![rest.to_owned()])
            }
            Takes::Words(_) | Takes::Files => Ok(rest.split(' ').map(str::to_owned).collect()),
            Takes::Flag
            | Takes::Choice(_)
            | Takes::Number
            | Takes::Time
            | Takes::Port
            | Takes::Rekey
            | Takes::Jumps
            | Takes::Any => self.read(rest),
        }
    }

    fn value(&self, word: String) -> Result<String, Fault> {
        match self.takes {
            Takes::Flag => match word.to_ascii_lowercase().as_str() {
                "yes" | "true" => Ok("yes".into()),
                "no" | "false" => Ok("no".into()),
                _ => Err(Fault::Bad(format!("yes or no is wanted: {word}"))),
            },
            Takes::Choice(choices) => {
                let found = choices.iter().find(|(name, _)| name.eq_ignore_ascii_case(&word));
                // A newer program may know more of them.
                found
                    .map(|(_, meant)| (*meant).to_owned())
                    .ok_or_else(|| Fault::Odd(format!("{} {word}", self.name)))
            }
            Takes::Number => numbers::number(&word, self.name),
            Takes::Time => numbers::time(&word),
            Takes::Port => numbers::port(&word),
            Takes::User if word.contains('%') || word.contains("${") => {
                Err(Fault::Odd(format!("user {word}")))
            }
            Takes::Agent => agent(word),
            Takes::Algorithms => algorithms(word),
            Takes::Word
            | Takes::User
            | Takes::Words(_)
            | Takes::Files
            | Takes::Line
            | Takes::Rekey
            | Takes::Jumps
            | Takes::Any => Ok(word),
        }
    }
}

fn missing() -> Fault {
    Fault::Bad("a value is missing".into())
}

fn several(words: Vec<String>, most: usize) -> Result<Vec<String>, Fault> {
    if words.is_empty() || words.iter().any(String::is_empty) {
        return Err(missing());
    }
    if words.len() > most {
        return Err(Fault::Bad(format!("more than {most} values")));
    }
    Ok(words)
}

fn files(words: Vec<String>) -> Result<Vec<String>, Fault> {
    let words = several(words, MAX_FILES)?;
    match <[String; 1]>::try_from(words) {
        Ok([word]) if word.eq_ignore_ascii_case("none") => Ok(vec!["none".into()]),
        Ok([word]) => Ok(vec![word]),
        Err(words) if words.iter().any(|word| word.eq_ignore_ascii_case("none")) => {
            Err(Fault::Bad("none must stand alone".into()))
        }
        Err(words) => Ok(words),
    }
}

/// OpenSSH looks for the variables while it reads the file.
fn agent(word: String) -> Result<String, Fault> {
    super::super::tokens::variables(&word)?;
    let name = word.strip_prefix('$').filter(|name| !name.starts_with('{'));
    let wrong = |c: char| !c.is_ascii_alphanumeric() && c != '_';
    if name.is_some_and(|name| name.is_empty() || name.contains(wrong)) {
        return Err(Fault::Bad(format!("not the name of a variable: {word}")));
    }
    Ok(word)
}

/// A name nobody knows is told when the list is used: which names are known changes from one
/// version of OpenSSH to the next.
fn algorithms(word: String) -> Result<String, Fault> {
    let list = word.trim_start_matches(['+', '-', '^']);
    let many_marks = word.len() - list.len() > 1;
    if list.is_empty() || many_marks || list.split(',').any(str::is_empty) {
        return Err(Fault::Bad(format!("not a list of algorithms: {word}")));
    }
    Ok(word)
}

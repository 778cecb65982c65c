//! Reads files of ssh_config into rules. Each file is read once, whatever the number of hosts.

use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::criteria::Match;
use super::directive::{Directive, Fault};
use super::said::Place;
use super::{Fail, include, lines, table};
use crate::node::ssh::tokens;

/// One line that matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Rule {
    Host(Vec<String>),
    Match(Match),
    Set(&'static Directive, Vec<String>, Place),
    /// The rules of a file; a `Host` or `Match` in it ends with it.
    File(Vec<Rule>),
    /// A keyword that is not known here; `IgnoreUnknown` may name it.
    Unknown(String, Place),
}

/// The rules of all files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in super::super) struct Rules {
    pub(super) rules: Vec<Rule>,
    /// A line that only the `ssh` program understands.
    pub(super) odd: Option<(Place, String)>,
    /// Where a `Match exec` stands.
    pub(in super::super) exec: Option<Place>,
    /// Whether the files are gone through twice.
    pub(super) second: bool,
}

/// Includes within includes, as many as OpenSSH follows.
const MAX_DEPTH: usize = 16;

/// Bytes of all files together. A config for ten thousand hosts has one MiB.
const MAX_BYTES: u64 = 8 * 1024 * 1024;

/// Files together: two that include each other twice would be 65,536 of them.
const MAX_FILES: usize = 1024;

/// Where relative and `~` paths of `Include` begin.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Roots<'a> {
    pub(in super::super) home: &'a Path,
    /// `~/.ssh`, or `/etc/ssh` for the system's file.
    pub(in super::super) include: &'a Path,
    /// Whether it is the system's file: `~` has no meaning in it.
    pub(in super::super) system: bool,
}

/// Reads files.
#[derive(Debug)]
pub(in super::super) struct Parser {
    rules: Rules,
    files: usize,
    bytes: u64,
}

impl Parser {
    pub(in super::super) fn new() -> Self {
        Self { rules: Rules::default(), files: 0, bytes: 0 }
    }

    pub(in super::super) fn done(self) -> Rules {
        self.rules
    }

    /// Adds the rules of a file.
    ///
    /// # Errors
    /// What OpenSSH refuses, too; a file that cannot be read, or that others may write and
    /// `guarded` is set.
    pub(in super::super) fn file(
        &mut self,
        path: &Path,
        roots: Roots<'_>,
        guarded: bool,
    ) -> Result<(), Fail> {
        let rules = match self.read(path, guarded)? {
            Some(text) => self.text(&text, path, roots, 0)?,
            None => Vec::new(),
        };
        self.rules.rules.push(Rule::File(rules));
        Ok(())
    }

    /// Adds the rules of a file's `text`.
    ///
    /// # Errors
    /// As [`Parser::file`].
    #[cfg(fuzzing)]
    pub(in super::super) fn add(
        &mut self,
        text: &str,
        path: &Path,
        roots: Roots<'_>,
    ) -> Result<(), Fail> {
        let rules = self.text(text, path, roots, 0)?;
        self.rules.rules.push(Rule::File(rules));
        Ok(())
    }

    /// Returns a file's text; none when it is not there, or is a folder.
    fn read(&mut self, path: &Path, guarded: bool) -> Result<Option<String>, Fail> {
        let fail = |error: std::io::Error| Fail::File(format!("{}: {error}", path.display()));
        self.files += 1;
        if self.files > MAX_FILES {
            return Err(Fail::File(format!("ssh_config of more than {MAX_FILES} files")));
        }
        let file = match std::fs::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(fail(error)),
        };
        let meta = file.metadata().map_err(fail)?;
        if guarded {
            check_owner(path, &meta)?;
        }
        if meta.is_dir() {
            return Ok(None);
        }
        let mut text = Vec::new();
        file.take(MAX_BYTES + 1 - self.bytes).read_to_end(&mut text).map_err(fail)?;
        self.bytes += u64::try_from(text.len()).unwrap_or(MAX_BYTES);
        if self.bytes > MAX_BYTES {
            return Err(Fail::File(format!("{}: ssh_config of more than 8 MiB", path.display())));
        }
        Ok(Some(String::from_utf8_lossy(&text).into_owned()))
    }

    /// Returns the rules of a file's `text`.
    pub(super) fn text(
        &mut self,
        text: &str,
        file: &Path,
        roots: Roots<'_>,
        depth: usize,
    ) -> Result<Vec<Rule>, Fail> {
        let file: Arc<Path> = Arc::from(file);
        let mut rules = Vec::new();
        for (index, line) in text.split('\n').enumerate() {
            let place = Place { file: Arc::clone(&file), line: index + 1 };
            // OpenSSH reads a line up to its first NUL.
            let line = line.split('\0').next().unwrap_or_default();
            let Some((keyword, rest)) = lines::keyword(line) else {
                continue;
            };
            match self.rule(&keyword, rest, &place, roots, depth, &mut rules) {
                Ok(()) => {}
                Err(Fail::Odd(place, what)) => {
                    self.rules.odd.get_or_insert((place, what));
                }
                Err(fail) => return Err(fail),
            }
        }
        Ok(rules)
    }

    fn rule(
        &mut self,
        keyword: &str,
        rest: &str,
        place: &Place,
        roots: Roots<'_>,
        depth: usize,
        rules: &mut Vec<Rule>,
    ) -> Result<(), Fail> {
        let bad = |what: String| Fail::Bad(place.clone(), what);
        if rest.contains('\u{fffd}') {
            return Err(bad("not UTF-8".into()));
        }
        if rest.is_empty() && table::find(keyword).is_some() {
            return Err(bad(format!("{keyword} wants a value")));
        }
        let words = || match lines::words(rest) {
            Ok(words) if words.is_empty() && keyword != "host" => {
                Err(bad(format!("{keyword} wants a value")))
            }
            Ok(words) if words.iter().any(String::is_empty) => {
                Err(bad(format!("{keyword}: an empty value")))
            }
            Ok(words) => Ok(words),
            Err(what) => Err(bad(what)),
        };
        match keyword {
            "host" if rest.is_empty() => return Err(bad("host wants a value".into())),
            "host" => rules.push(Rule::Host(words()?)),
            "match" => {
                words()?;
                let found = Match::read(rest, place.clone())?;
                self.rules.second |= found.wants_second();
                if found.command().is_some() {
                    self.rules.exec.get_or_insert_with(|| place.clone());
                }
                rules.push(Rule::Match(found));
            }
            "include" => {
                for name in words()? {
                    self.include(&name, place, roots, depth, rules)?;
                }
            }
            _ => match table::find(keyword) {
                Some(directive) => match directive.read(rest) {
                    Ok(_) if directive.is_idle() => {}
                    Ok(words) => rules.push(Rule::Set(directive, words, place.clone())),
                    Err(Fault::Bad(what)) => return Err(bad(format!("{keyword}: {what}"))),
                    Err(Fault::Odd(what)) => return Err(Fail::Odd(place.clone(), what)),
                },
                None => rules.push(Rule::Unknown(keyword.to_owned(), place.clone())),
            },
        }
        Ok(())
    }

    fn include(
        &mut self,
        name: &str,
        place: &Place,
        roots: Roots<'_>,
        depth: usize,
        rules: &mut Vec<Rule>,
    ) -> Result<(), Fail> {
        if depth == MAX_DEPTH {
            return Err(Fail::Bad(place.clone(), "too many Include levels".into()));
        }
        if name.starts_with('~') && roots.system {
            return Err(Fail::Bad(place.clone(), format!("bad Include path: {name}")));
        }
        // Newer programs fill these in, for each host.
        if name.contains('%') || name.contains("${") {
            return Err(Fail::Odd(place.clone(), format!("include {name}")));
        }
        let pattern: PathBuf = match tokens::tilde(name, roots.home) {
            Ok(path) => roots.include.join(path),
            // Nobody of that name, so no files.
            Err(_) => return Ok(()),
        };
        let found = include::find(&pattern).map_err(|what| Fail::Bad(place.clone(), what))?;
        for path in found {
            if let Some(text) = self.read(&path, true)? {
                let included = self.text(&text, &path, roots, depth + 1)?;
                rules.push(Rule::File(included));
            }
        }
        Ok(())
    }
}

/// Refuses a file that another user owns or may write, as OpenSSH does.
fn check_owner(path: &Path, meta: &std::fs::Metadata) -> Result<(), Fail> {
    let shown = path.display();
    if meta.permissions().mode() & 0o022 != 0 {
        return Err(Fail::File(format!("{shown} may be written by others: chmod go-w {shown}")));
    }
    if meta.uid() != 0 && meta.uid() != rustix::process::getuid().as_raw() {
        return Err(Fail::File(format!("{shown} belongs to another user: chown it to yourself")));
    }
    Ok(())
}

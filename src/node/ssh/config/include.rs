//! Finds the files of an `Include`, as the system's `glob` does.

use std::path::{Path, PathBuf};

use globset::GlobBuilder;

/// Files one pattern may stand for; a pattern that names more is a mistake.
const MAX_FOUND: usize = 512;

/// Returns the files `pattern` names, in the order of their names; files that are not there are
/// none.
///
/// # Errors
/// Too many files.
pub(super) fn find(pattern: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = vec![PathBuf::from("/")];
    for part in pattern.components().skip(1) {
        let part = part.as_os_str().to_string_lossy();
        let special = part.contains(['*', '?', '[', '\\']);
        let mut next = Vec::new();
        for folder in found {
            if special {
                next.extend(matching(&folder, &part));
            } else {
                next.push(folder.join(part.as_ref()));
            }
            if next.len() > MAX_FOUND {
                return Err(format!("more than {MAX_FOUND} files: {}", pattern.display()));
            }
        }
        found = next;
    }
    found.retain(|path| path.symlink_metadata().is_ok());
    found.sort_by(|one, other| one.as_os_str().cmp(other.as_os_str()));
    Ok(found)
}

/// The entries of a folder that fit one part of a pattern.
fn matching(folder: &Path, part: &str) -> Vec<PathBuf> {
    let glob =
        GlobBuilder::new(&as_globset(part)).literal_separator(true).backslash_escape(true).build();
    let plain = part.replace('\\', "");
    let glob = glob.ok().map(|glob| glob.compile_matcher());
    let fits = |name: &str| glob.as_ref().map_or(name == plain, |glob| glob.is_match(name));
    let hidden = part.starts_with('.');
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| hidden || !name.starts_with('.'))
        .filter(|name| fits(name))
        .take(MAX_FOUND + 1)
        .map(|name| folder.join(name))
        .collect()
}

/// Writes a part of a pattern as globset reads it. To OpenSSH's own `glob` braces are letters, and
/// so is a `^` behind a bracket.
fn as_globset(part: &str) -> String {
    let part = part.replace('{', "[{]").replace('}', "[}]");
    let mut written = String::with_capacity(part.len());
    let mut rest = part.as_str();
    while let Some((before, after)) = rest.split_once("[^") {
        written.push_str(before);
        match after
            .get(1..)
            .and_then(|tail| tail.find(']'))
            .and_then(|at| after.split_at_checked(at + 1))
        {
            Some((inside, tail)) => {
                written.push_str("{\\^,[");
                written.push_str(inside);
                written.push_str("]}");
                rest = tail.strip_prefix(']').unwrap_or(tail);
            }
            None => {
                written.push_str("[^");
                rest = after;
            }
        }
    }
    written.push_str(rest);
    written
}

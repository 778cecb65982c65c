//! `TOC.txt`: what belongs to a set, by Cassandra's own word.

use std::collections::HashSet;

use super::sets::{FoundSet, PAPERS};
use super::sstable::TOC;

/// More of a TOC is not read; one of a table with fifty SAI indexes has some 20 KiB.
pub const MOST_BYTES: u64 = 64 * 1024;

/// Finds what `head -v` printed of each of `paths` in `text`, in their order.
///
/// The headers are looked for by name: what a file holds may end without a line end, or look like
/// a header itself. `None`: it was not there, or is no text.
pub fn read(text: &[u8], paths: &[String]) -> Vec<Option<Vec<String>>> {
    let mut at = 0;
    let mut begun: Vec<Option<(usize, usize)>> = Vec::with_capacity(paths.len());
    for path in paths {
        let header = format!("==> {path} <==\n");
        let found = position(text.get(at..).unwrap_or_default(), header.as_bytes());
        begun.push(found.map(|found| (at + found, at + found + header.len())));
        at = begun.last().copied().flatten().map_or(at, |(_, end)| end);
    }
    let mut end = text.len();
    let mut tocs: Vec<_> = begun
        .into_iter()
        .rev()
        .map(|found| {
            let (header, begin) = found?;
            let toc = text.get(begin..std::mem::replace(&mut end, header))?;
            let whole = (toc.len() as u64) < MOST_BYTES;
            let lines = std::str::from_utf8(toc).ok().filter(|_| whole)?.lines();
            Some(lines.map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
        })
        .collect();
    tocs.reverse();
    tocs
}

/// Where `word`, which is a header, begins in `text`.
fn position(text: &[u8], word: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let mark = text.get(from..)?.windows(4).position(|bytes| bytes == b"==> ")?;
        from += mark;
        if text.get(from..)?.starts_with(word) {
            return Some(from);
        }
        from += 1;
    }
}

/// Whether all files are there that the set's TOC lists.
///
/// # Errors
/// What is missing, in one line.
pub fn is_complete(set: &FoundSet, toc: Option<&[String]>) -> Result<(), String> {
    if set.place.descriptor == PAPERS {
        return Ok(());
    }
    let present: HashSet<&str> = set.files.iter().map(|file| &*file.component).collect();
    if !present.contains(TOC) {
        return Err(format!("{TOC} is missing"));
    }
    let toc = match toc {
        None => return Err(format!("{TOC} could not be read")),
        Some([]) => return Err(format!("{TOC} lists nothing")),
        Some(toc) => toc,
    };
    let missing: Vec<_> = toc.iter().filter(|name| !present.contains(name.as_str())).collect();
    match missing.as_slice() {
        [] => Ok(()),
        [one] => Err(format!("{} is missing", crate::text::one_line(one.as_bytes(), 120))),
        [one, more @ ..] => {
            let one = crate::text::one_line(one.as_bytes(), 120);
            Err(format!("{one} and {} more are missing", more.len()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tocs_are_told_apart_by_the_names_that_were_asked_for() {
        let paths = ["/a", "/gone", "/b b", "/c"].map(str::to_owned);
        // The second `head` begins where the first file has no line end.
        let text = b"==> /a <==\nData.db\n\n==> x <==\n==> /b b <==\nTOC.txt==> /c <==\n";
        let list = |words: &[&str]| Some(words.iter().map(|&word| word.to_owned()).collect());
        assert_eq!(
            read(text, &paths),
            [list(&["Data.db", "==> x <=="]), None, list(&["TOC.txt"]), list(&[])]
        );
        assert_eq!(read(b"==> /a <==\n\xff", &paths[..1]), [None]);
        assert_eq!(read(b"", &paths[..1]), [None]);
    }
}

//! Which tables are meant: `KEYSPACE`, `KEYSPACE.TABLE`, globs in both, `!` leaves out.

use globset::{GlobBuilder, GlobMatcher};

use crate::cassandra::sets::SetPlace;
use crate::cassandra::sstable;

/// Which tables are meant. Any pattern without `!` and none with it must hold; none at all is
/// everything.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    patterns: Vec<Pattern>,
}

#[derive(Debug, Clone)]
struct Pattern {
    is_not: bool,
    keyspace: GlobMatcher,
    table: Option<GlobMatcher>,
}

/// A pattern that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is no table: expected KEYSPACE or KEYSPACE.TABLE, such as shop, 'shop.ord*', '!system*'"
)]
pub struct BadTable(String);

impl Tables {
    /// Reads the values of an option; commas part patterns.
    ///
    /// # Errors
    /// The first that cannot be read.
    pub fn read(values: &[String]) -> Result<Self, BadTable> {
        let words = values.iter().flat_map(|value| crate::nodeset::split_list(value));
        let patterns = words.map(|word| read(word.trim())).collect::<Result<_, _>>()?;
        Ok(Self { patterns })
    }

    /// Whether sets of this place are meant.
    pub fn mean(&self, place: &SetPlace) -> bool {
        let table = sstable::split_table_folder(&place.folder).0;
        let is_met = |is_not: bool| {
            let mut patterns = self.patterns.iter().filter(|pattern| pattern.is_not == is_not);
            patterns.any(|pattern| pattern.holds(&place.keyspace, table))
        };
        let names_some = self.patterns.iter().any(|pattern| !pattern.is_not);
        !is_met(true) && (!names_some || is_met(false))
    }
}

impl Pattern {
    fn holds(&self, keyspace: &str, table: &str) -> bool {
        self.keyspace.is_match(keyspace)
            && self.table.as_ref().is_none_or(|glob| glob.is_match(table))
    }
}

fn read(word: &str) -> Result<Pattern, BadTable> {
    let bad = || BadTable(crate::text::visible(word));
    let (is_not, text) = word.strip_prefix('!').map_or((false, word), |rest| (true, rest));
    let (keyspace, table) = match text.split_once('.') {
        Some((keyspace, table)) => (keyspace, Some(table)),
        None => (text, None),
    };
    let glob = |text: &str| {
        if text.is_empty() || text.contains(['/', '.']) {
            return Err(bad());
        }
        GlobBuilder::new(text).build().map(|glob| glob.compile_matcher()).map_err(|_| bad())
    };
    Ok(Pattern { is_not, keyspace: glob(keyspace)?, table: table.map(glob).transpose()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(keyspace: &str, table: &str) -> SetPlace {
        SetPlace {
            keyspace: keyspace.to_owned(),
            folder: format!("{table}-6a1adbe06a0211f184742b61a3e0ec16"),
            index: None,
            descriptor: "oa-1-big".to_owned(),
        }
    }

    #[test]
    fn tables_are_meant_by_keyspace_glob_and_exclusion() {
        for (words, meant) in [
            (vec![], [true, true, true]),
            (vec!["shop"], [true, true, false]),
            (vec!["shop.ord*"], [true, false, false]),
            (vec!["!system"], [true, true, false]),
            (vec!["shop,!*.items"], [true, false, false]),
            (vec!["s*"], [true, true, true]),
            (vec!["shop.orders", "system.local"], [true, false, true]),
        ] {
            let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
            let tables = Tables::read(&words).unwrap();
            let places =
                [place("shop", "orders"), place("shop", "items"), place("system", "local")];
            assert_eq!(places.map(|place| tables.mean(&place)), meant, "{words:?}");
        }
        for bad in ["", "!", "a.", ".b", "a.b.c", "a/b", "[", "!a.["] {
            assert!(Tables::read(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }
}

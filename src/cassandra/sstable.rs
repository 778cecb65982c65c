//! Names of SSTable components, and the sets they make.
//!
//! `<version>-<generation>-<format>-<Component>`, e.g. `nb-1-big-Data.db` (4.x), `oa-…` (5.0),
//! `da-…-bti-…`; the generation is a number or, with uuid identifiers, text such as
//! `3gcm_0c7a_2pdfk2dvq5p6xq3klm`; a component may hold `+` (SAI).

/// Which component is listed last of all by nobody, yet lists the others: `TOC.txt`.
pub const TOC: &str = "TOC.txt";

/// Splits a component's file name into the set's descriptor (`nb-1-big`) and the component
/// (`Data.db`); `None` when the name is no component's.
pub fn split_name(name: &str) -> Option<(&str, &str)> {
    let mut dashes = name.match_indices('-').map(|(at, _)| at);
    let (first, second, third) = (dashes.next()?, dashes.next()?, dashes.next()?);
    let version = &name[..first];
    let generation = &name[first + 1..second];
    let format = &name[second + 1..third];
    let component = &name[third + 1..];
    let is_set = version.len() == 2
        && version.bytes().all(|b| b.is_ascii_lowercase())
        && is_generation(generation)
        && !format.is_empty()
        && format.bytes().all(|b| b.is_ascii_lowercase());
    // A temporary file of a writer that was stopped is no component.
    let is_component = component.contains('.')
        && !component.ends_with(".tmp")
        && component.bytes().all(|b| b.is_ascii_alphanumeric() || b"._+-".contains(&b));
    (is_set && is_component).then(|| (&name[..third], component))
}

fn is_generation(text: &str) -> bool {
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let is_uuid = text.split('_').map(str::len).eq([4, 4, 18])
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    is_number || is_uuid
}

/// A table's folder name: its name and the 32 hex digits of its id, which folders made before
/// Cassandra 2.1 lack.
pub fn split_table_folder(folder: &str) -> (&str, Option<&str>) {
    match folder.rsplit_once('-') {
        Some((table, id)) if id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()) => {
            (table, Some(id))
        }
        _ => (folder, None),
    }
}

/// Returns when a table was made, in ticks of a version 1 UUID: they order the ids of a table
/// that was dropped and made again. `None` when the id is of another version.
pub fn created(id: &str) -> Option<u64> {
    let low = u64::from_str_radix(id.get(..8)?, 16).ok()?;
    let mid = u64::from_str_radix(id.get(8..12)?, 16).ok()?;
    let high = u64::from_str_radix(id.get(12..16)?, 16).ok()?;
    (high >> 12 == 1).then_some(((high & 0xfff) << 48) | (mid << 32) | low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_format_are_split() {
        for (name, descriptor, component) in [
            ("mc-12-big-Data.db", "mc-12-big", "Data.db"),
            ("nb-1-big-TOC.txt", "nb-1-big", "TOC.txt"),
            ("oa-1-big-SAI+aa+sai_name+TermsData.db", "oa-1-big", "SAI+aa+sai_name+TermsData.db"),
            (
                "da-3h5p_06i9_0spyi2g9g478xhr7vg-bti-Rows.db",
                "da-3h5p_06i9_0spyi2g9g478xhr7vg-bti",
                "Rows.db",
            ),
            ("oa-1-big-SAI+aa+my-index+Meta.db", "oa-1-big", "SAI+aa+my-index+Meta.db"),
        ] {
            assert_eq!(split_name(name), Some((descriptor, component)), "{name}");
        }
    }

    #[test]
    fn other_files_are_no_components() {
        for name in [
            "manifest.json",
            "x",
            "nb-x-big-Data.db",
            "nb-1-big-",
            "NB-1-big-Data.db",
            "nb-1-big-Data.db.tmp",
            ".nb-1-big-Data.db.NM5Ext",
        ] {
            assert_eq!(split_name(name), None, "{name}");
        }
    }

    #[test]
    fn a_table_folder_is_a_name_and_an_id() {
        let id = "6a1adbe06a0211f184742b61a3e0ec16";
        assert_eq!(split_table_folder(&format!("a-b-{id}")), ("a-b", Some(id)));
        assert_eq!(split_table_folder("backups"), ("backups", None));
        assert!(created(id) < created("f7146460e54c11f19cc7876c33cf10d3"));
        assert_eq!(created("6a1adbe06a0241f184742b61a3e0ec16"), None);
    }
}

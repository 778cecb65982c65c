//! "did you mean …?": the known word that a mistyped one most likely stands for.

/// Returns the word of `known` nearest to `word`, when one is near enough to be meant.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = plain(word);
    known
        .into_iter()
        .filter_map(|known| Some((distance(&typed, &plain(known))?, known)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// Case and the kind of dash are what people mix up first: neither counts.
fn plain(word: &str) -> String {
    word.to_lowercase().replace('-', "_")
}

/// A third of the letters may be wrong: more, and the suggestion is a guess that misleads.
fn distance(typed: &str, known: &str) -> Option<usize> {
    let letters = typed.chars().count().max(known.chars().count());
    let distance = strsim::osa_distance(typed, known);
    if distance <= (letters / 3).max(1) && distance < letters {
        return Some(distance);
    }
    // `identity` for `identity_file`, `hosts` for `known_hosts`. It comes after every true typo.
    let part =
        typed.len() >= 3 && known.contains(typed) || known.len() >= 4 && typed.contains(known);
    part.then_some(letters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_finds_its_word_and_a_stranger_none() {
        let known = ["host", "port", "identity_file", "known_hosts", "dc"];
        for (typed, meant) in [
            ("hots", Some("host")),
            ("Host", Some("host")),
            ("identity-file", Some("identity_file")),
            ("identity", Some("identity_file")),
            ("knownhosts", Some("known_hosts")),
            ("cd", Some("dc")),
            ("zz", None),
            ("", None),
            ("flavour", None),
        ] {
            assert_eq!(nearest(typed, known), meant, "{typed}");
        }
    }
}

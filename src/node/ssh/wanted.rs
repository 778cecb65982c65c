//! Makes a list of algorithms out of what ssh_config asks for, over our own usual one.

use super::pattern;
use crate::node::NodeError;
use crate::text::one_line;

/// Returns the names `asked` for: a list, or a change of the `usual` one after `+`, `-` or `^`.
///
/// Names may be patterns; what is not one of `all` is left out.
///
/// # Errors
/// [`NodeError::Local`] when nothing is left. It names the `directive` and what we can do.
pub(super) fn names<'a>(
    directive: &str,
    asked: Option<&str>,
    usual: &[&'a str],
    all: &[&'a str],
) -> Result<Vec<&'a str>, NodeError> {
    let Some(asked) = asked else {
        return Ok(usual.to_vec());
    };
    let found = change(asked, usual, all);
    if found.is_empty() {
        let text = format!(
            "{directive} {} leaves nothing that can be used; there are {}",
            one_line(asked.as_bytes(), 200),
            all.join(", ")
        );
        return Err(NodeError::Local(text));
    }
    Ok(found)
}

fn change<'a>(asked: &str, usual: &[&'a str], all: &[&'a str]) -> Vec<&'a str> {
    let named = |list: &str| -> Vec<&'a str> {
        let patterns = list.split(',');
        patterns
            .flat_map(|one| all.iter().filter(move |name| pattern::matches(one, name)))
            .copied()
            .collect()
    };
    let usual = usual.to_vec();
    let joined = match asked.split_at_checked(1) {
        Some(("+", more)) => [usual, named(more)].concat(),
        Some(("^", first)) => [named(first), usual].concat(),
        Some(("-", gone)) => {
            let stays = |name: &&str| !pattern::list_matches(gone.split(','), name);
            usual.into_iter().filter(stays).collect()
        }
        _ => named(asked),
    };
    let mut once = Vec::with_capacity(joined.len());
    for name in joined {
        if !once.contains(&name) {
            once.push(name);
        }
    }
    once
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &[&str] = &["aes128-gcm", "aes256-gcm", "aes128-ctr", "aes256-ctr", "chacha20"];
    const USUAL: &[&str] = &["aes128-gcm", "aes256-gcm", "chacha20"];

    #[test]
    fn lists_and_their_marks_are_understood_as_openssh_does() {
        for (asked, want) in [
            ("chacha20,aes128-ctr", &["chacha20", "aes128-ctr"][..]),
            ("chacha20,umac,chacha20", &["chacha20"]),
            ("+aes128-ctr,chacha20", &["aes128-gcm", "aes256-gcm", "chacha20", "aes128-ctr"]),
            ("^chacha20,aes256-ctr", &["chacha20", "aes256-ctr", "aes128-gcm", "aes256-gcm"]),
            ("-aes*", &["chacha20"]),
            ("-aes128-gcm,chacha20", &["aes256-gcm"]),
            ("-unknown", USUAL),
            ("+unknown", USUAL),
            ("*-ctr", &["aes128-ctr", "aes256-ctr"]),
        ] {
            assert_eq!(names("Ciphers", Some(asked), USUAL, ALL).unwrap(), want, "{asked}");
        }
        assert_eq!(names("Ciphers", None, USUAL, ALL).unwrap(), USUAL);
    }

    #[test]
    fn a_list_of_which_nothing_is_left_is_an_error() {
        for asked in ["3des-cbc,arcfour", "-*", "none"] {
            let error = names("Ciphers", Some(asked), USUAL, ALL).unwrap_err().to_string();
            let want = format!(
                "Ciphers {asked} leaves nothing that can be used; there are aes128-gcm, \
                 aes256-gcm, aes128-ctr, aes256-ctr, chacha20"
            );
            assert_eq!(error, want);
        }
    }
}

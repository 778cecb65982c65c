//! OpenSSH's patterns: `*` and `?`, and `!` for "not".

/// Whether `text` matches `pattern`, in which `*` stands for any characters and `?` for one.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut from) = (0, 0);
    // Where to go on when a character does not fit: behind the last star, one character on.
    let mut star = None;
    while at < text.len() {
        match pattern.get(from) {
            Some(b'*') => {
                star = Some((from, at));
                from += 1;
            }
            Some(&byte) if byte == b'?' || Some(&byte) == text.get(at) => {
                from += 1;
                at += 1;
            }
            _ => {
                let Some((star_at, text_at)) = star else {
                    return false;
                };
                star = Some((star_at, text_at + 1));
                from = star_at + 1;
                at = text_at + 1;
            }
        }
    }
    pattern.get(from..).is_none_or(|rest| rest.iter().all(|&byte| byte == b'*'))
}

/// Whether `text` matches one of `patterns` and none of those that begin with `!`.
pub(super) fn list_matches<'a>(patterns: impl IntoIterator<Item = &'a str>, text: &str) -> bool {
    let mut found = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(not) if matches(not, text) => return false,
            Some(_) => {}
            None => found |= matches(pattern, text),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_match_as_in_openssh() {
        for (pattern, text) in [
            ("*", ""),
            ("*", "x"),
            ("a*", "a"),
            ("*.dc1", "n1.dc1"),
            ("n?", "n1"),
            ("a*b*c", "axxbyyc"),
            ("a**b", "ab"),
            ("*a*", "bab"),
            ("", ""),
            ("*.*", "a.b"),
            ("*ab", "aab"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in
            [("", "x"), ("a", "A"), ("n?", "n"), ("*.dc1", "dc1"), ("a*b", "abc"), ("?", "")]
        {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
        // A pattern made to take for ever is refused as fast as any other.
        assert!(!matches(&format!("{}c", "a*".repeat(40)), &"a".repeat(2000)));
    }

    #[test]
    fn a_negated_pattern_wins() {
        assert!(list_matches(["*.dc1", "!bad*"], "n1.dc1"));
        assert!(!list_matches(["*.dc1", "!bad*"], "bad.dc1"));
        assert!(!list_matches(["!bad*"], "n1"));
        assert!(!list_matches([], "n1"));
    }
}

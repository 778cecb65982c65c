//! Takes a line of ssh_config apart, with OpenSSH's two ways of reading words.

/// What OpenSSH takes for a blank.
pub(super) const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

/// Returns the keyword in lower case and the rest of the line; none for blanks and comments.
///
/// A keyword may stand in quotes, and one `=` may stand behind it.
pub(super) fn keyword(line: &str) -> Option<(String, &str)> {
    let mut rest = Some(line.trim_end_matches([' ', '\t', '\r', '\n', '\x0c']));
    let mut word = next(&mut rest)?;
    if word.is_empty() {
        // The line began with a blank.
        word = next(&mut rest)?;
    }
    let rest = rest.unwrap_or_default().trim_start_matches(BLANKS);
    (!word.is_empty() && !word.starts_with('#')).then(|| (word.to_lowercase(), rest))
}

/// Takes the next word off `rest` in the older of the two ways, in which `=` parts words, too,
/// and nothing escapes a quote. `Match` is read so.
///
/// Returns none at the end, and where a quote stays open.
pub(super) fn next(rest: &mut Option<&str>) -> Option<String> {
    let text = rest.take()?;
    let Some(at) = text.find(|c| BLANKS.contains(&c) || c == '"' || c == '=') else {
        return Some(text.to_owned());
    };
    let (before, after) = text.split_at_checked(at)?;
    if let Some(after) = after.strip_prefix('"') {
        let (inside, after) = after.split_once('"')?;
        *rest = Some(after.trim_start_matches(BLANKS));
        return Some(format!("{before}{inside}"));
    }
    let equals = after.starts_with('=');
    let after = after.get(1..).unwrap_or_default().trim_start_matches(BLANKS);
    *rest = Some(match after.strip_prefix('=') {
        Some(after) if !equals => after.trim_start_matches(BLANKS),
        _ => after,
    });
    Some(before.to_owned())
}

/// Splits values in the newer way: both quotes, backslash, `#` at the start of a word.
///
/// # Errors
/// A quote that stays open.
pub(super) fn words(rest: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut chars = rest.chars().peekable();
    loop {
        while chars.next_if(|c| matches!(c, ' ' | '\t')).is_some() {}
        if matches!(chars.peek(), None | Some('#')) {
            return Ok(words);
        }
        let mut word = String::new();
        let mut quote = None;
        while let Some(c) = chars.next_if(|c| quote.is_some() || !matches!(c, ' ' | '\t')) {
            let escaped = |next: &char| {
                matches!(next, '\'' | '"' | '\\') || (quote.is_none() && *next == ' ')
            };
            match c {
                '\\' => word.push(chars.next_if(escaped).unwrap_or('\\')),
                '\'' | '"' if quote == Some(c) => quote = None,
                '\'' | '"' if quote.is_none() => quote = Some(c),
                _ => word.push(c),
            }
        }
        if quote.is_some() {
            return Err(format!("a quote is open: {rest}"));
        }
        words.push(word);
    }
}

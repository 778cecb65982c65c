//! `nodetool statusbackup`: `running` or `not running`, whatever stands around it.

use super::ParseError;
use super::noise::is_noise;

/// Returns whether incremental backups are on in the running process.
///
/// # Errors
/// When the answer is missing, given twice with different words, or a line is neither the answer
/// nor known noise printed after it.
pub fn parse(stdout: &str) -> Result<bool, ParseError> {
    let error = |reason, line: &str| Err(ParseError::new("statusbackup", reason, line));
    let mut answer = None;
    for line in stdout.lines().map(str::trim) {
        let this = match line {
            "running" => true,
            "not running" => false,
            // Before the answer anything may stand (start-up banners); after it nothing new may.
            _ if answer.is_none() || is_noise(line) => continue,
            _ => return error("a line after the answer", line),
        };
        if answer.is_some_and(|earlier| earlier != this) {
            return error("two answers", stdout);
        }
        answer = Some(this);
    }
    answer.map_or_else(|| error("no answer", stdout), Ok)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn the_answer_is_found_behind_noise() {
        assert_eq!(parse("running\n"), Ok(true));
        assert_eq!(parse("Welcome to prod!\n12:00:00,000 |-INFO in x\nnot running\n"), Ok(false));
        assert_eq!(parse("running\r\n"), Ok(true));
    }

    #[test]
    fn no_answer_two_answers_or_more_after_it_are_errors() {
        for text in ["", "is running\n", "running\nnot running\n", "running\nerror: x\n"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}

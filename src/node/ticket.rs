//! Tickets: what the lock of a node is told of its holder, and what it answers. See `lock.sh`.

use std::fmt;
use std::time::Duration;

use crate::text::one_line;

/// How long a node stays taken after the line has died. A nodetool that was under way then is
/// ended by its own `timeout` in less: 20 s, and 2 more for one that is deaf to it.
pub const LINGER: Duration = Duration::from_secs(25);

/// The longest word of a ticket. Its name holds three of them and must stay below 255 bytes.
const LONGEST_WORD: usize = 60;

/// An answer is one segment with a file's name in it, or a complaint of the shell.
const LONGEST_ANSWER: usize = 8 * 1024;

/// Who takes a node. Words of letters, digits and `@ . _ -`, at most 60 bytes each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder<'a> {
    /// The run's id. A resumed run passes by the tickets that it left itself.
    pub run: &'a str,
    /// `user@host` of the controller.
    pub who: &'a str,
    /// What the run does.
    pub verb: &'a str,
}

/// Where a node keeps its tickets, and its times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The folder of the tickets. It must be the same for all who are to hear of each other.
    pub folder: String,
    /// How often the node hears that the controller lives.
    pub beat: Duration,
    /// How long a silence the node takes for a dead line, in whole seconds.
    pub silence: Duration,
    /// How long the node stays taken after that, in whole seconds.
    pub linger: Duration,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            // Every account may write there, and it is on the node's own disk.
            folder: "/tmp/ringhaul.lock".to_owned(),
            // Four beats may be late: as long as the SSH line takes to notice the same.
            beat: Duration::from_secs(15),
            silence: Duration::from_secs(60),
            linger: LINGER,
        }
    }
}

impl Terms {
    /// Returns the usual terms, with a linger that no nodetool call of `limit` outlives.
    pub fn outliving(limit: Duration) -> Self {
        let terms = Self::default();
        // The call's own end, and that of `timeout -k`, after the line's.
        let linger = terms.linger.max(limit + Duration::from_secs(5));
        Self { linger, ..terms }
    }
}

/// Who has a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldBy {
    /// The run's id.
    pub run: String,
    /// `user@host` of its controller.
    pub who: String,
    /// What it does.
    pub verb: String,
    /// When it took the node, in seconds since 1970 of the node's clock.
    pub since: i64,
    /// How long ago that was, in seconds.
    pub age: i64,
    /// Its line has died: the node is free after [`LINGER`].
    pub is_line_dead: bool,
}

impl HeldBy {
    /// Reads `live NOW RUN,PID,START,BOOT,SINCE,VERB,WHO`; `None` is no answer of `lock.sh`.
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let is_line_dead = match words.next()? {
            "live" => false,
            "dead" => true,
            _ => return None,
        };
        let now: i64 = words.next()?.parse().ok()?;
        let ticket = words.next()?;
        let fields: Vec<&str> = ticket.split(',').collect();
        let [run, _, _, _, since, verb, who] = fields.as_slice() else { return None };
        if words.next().is_some() || !ticket.bytes().all(|byte| is_plain(byte) || byte == b',') {
            return None;
        }
        let since: i64 = since.parse().ok()?;
        Some(Self {
            run: (*run).to_owned(),
            who: (*who).to_owned(),
            verb: (*verb).to_owned(),
            since,
            age: now.saturating_sub(since),
            is_line_dead,
        })
    }
}

impl fmt::Display for HeldBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { who, run, verb, .. } = self;
        // The hour alone says it, unless it may be that of another day.
        let form = if self.age < 12 * 3600 { "%H:%M:%S UTC" } else { "%Y-%m-%d %H:%M:%S UTC" };
        let since = match jiff::Timestamp::from_second(self.since) {
            Ok(since) => since.strftime(form).to_string(),
            Err(_) => "an unknown time".to_owned(),
        };
        write!(f, "{who}, run {run}, {verb}, since {since}")?;
        if self.is_line_dead {
            f.write_str(" (its line is dead, the lock ends in a moment)")?;
        }
        Ok(())
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"@._-".contains(&byte)
}

/// Returns `word` as a ticket can hold it.
pub(super) fn plain(word: &str) -> String {
    let shown = |c: char| if u8::try_from(c).is_ok_and(is_plain) { c } else { '_' };
    let plain: String = word.chars().map(shown).take(LONGEST_WORD).collect();
    if plain.is_empty() { "_".to_owned() } else { plain }
}

/// What a node answers when it is to be taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is ours.
    Held,
    /// Somebody else's run has it.
    Blocked(HeldBy),
    /// There can be no lock.
    Refused(String),
}

/// Reads the answer of `lock.sh`, a segment between NULs.
#[derive(Debug, Default)]
pub(super) struct Reader {
    rest: Vec<u8>,
}

impl Reader {
    /// Takes a piece; returns the answer once it is whole.
    pub(super) fn take(&mut self, piece: &[u8]) -> Option<Answer> {
        let room = LONGEST_ANSWER.saturating_sub(self.rest.len());
        self.rest.extend(piece.iter().take(room));
        let begun = self.rest.iter().position(|byte| *byte != 0)?;
        let begun = self.rest.get(begun..).unwrap_or_default();
        let end = begun.iter().position(|byte| *byte == 0);
        if end.is_none() && self.rest.len() < LONGEST_ANSWER {
            return None;
        }
        Some(answer(begun.get(..end.unwrap_or(begun.len())).unwrap_or_default()))
    }
}

fn answer(segment: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(segment);
    let understood = match text.split_once(' ') {
        Some(("held", _)) => Some(Answer::Held),
        Some(("blocked", value)) => HeldBy::parse(value).map(Answer::Blocked),
        Some(("refused", value)) => Some(Answer::Refused(one_line(value.as_bytes(), 300))),
        _ => None,
    };
    understood.unwrap_or_else(|| {
        let shown = one_line(segment, 120);
        Answer::Refused(format!("its answer holds what ringhaul does not understand: {shown}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICKET: &str = "2026-1,77,123,0a1b2c3d,1800000000,enable,ops@host";

    fn read(text: &str) -> Option<Answer> {
        let mut reader = Reader::default();
        let mut answers = text.as_bytes().chunks(3).filter_map(|piece| reader.take(piece));
        answers.next()
    }

    #[test]
    fn a_holder_is_told_by_name_run_verb_and_time() {
        let blocked =
            |state: &str, now: i64| match read(&format!("\0blocked {state} {now} {TICKET}\0")) {
                Some(Answer::Blocked(by)) => by.to_string(),
                other => panic!("{other:?}"),
            };
        assert_eq!(
            blocked("live", 1_800_000_060),
            "ops@host, run 2026-1, enable, since 08:00:00 UTC"
        );
        assert_eq!(
            blocked("dead", 1_800_100_000),
            "ops@host, run 2026-1, enable, since 2027-01-15 08:00:00 UTC \
             (its line is dead, the lock ends in a moment)"
        );
    }

    #[test]
    fn an_answer_counts_when_it_is_whole() {
        assert_eq!(read("\0held 1\0"), Some(Answer::Held));
        assert_eq!(read("\0held 1"), None);
        assert_eq!(read("\0"), None);
        assert_eq!(
            read("\0refused no\nway\x1b\0"),
            Some(Answer::Refused("no / way\\u{1b}".into()))
        );
    }

    #[test]
    fn what_is_no_answer_is_refused_and_shown_safely() {
        for text in [
            "\0hello \x1b[2J\0".to_owned(),
            format!("\0blocked live 1 {TICKET},more\0"),
            format!("\0blocked live 1 {TICKET} more\0"),
            format!("\0blocked live 1 {}\0", TICKET.replace("ops", "\x1b[2J")),
            format!("\0blocked live x {TICKET}\0"),
            "y\n".repeat(10_000),
        ] {
            let Some(Answer::Refused(shown)) = read(&text) else { panic!("{text:?}") };
            assert!(shown.len() < 400 && !shown.contains(|c: char| c.is_control()), "{shown}");
        }
    }

    #[test]
    fn a_word_of_a_ticket_is_plain_and_short() {
        assert_eq!(plain("ops@a-b.c_d"), "ops@a-b.c_d");
        assert_eq!(plain("a,b c\n\u{e9}'"), "a_b_c___");
        assert_eq!(plain(""), "_");
        assert_eq!(plain(&"x".repeat(300)).len(), 60);
    }
}

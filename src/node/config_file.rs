//! cassandra.yaml on a node: read byte for byte, and changed in one step that is done or not done.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::catalog::{self, ConfigEdit};
use super::{Command, Ended, Exit, Node, NodeError, Output, Stage};
use crate::cassandra::edit::Edit;
use crate::cassandra::fact::{Fact, Why, WhyKind};
use crate::inventory::NodeSpec;
use crate::text::one_line;

/// cassandra.yaml as it lies on a node, every byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFile {
    /// The path as it was asked for.
    pub path: String,
    /// The file behind its links: this is what is changed.
    pub target: String,
    /// Its content.
    pub bytes: Vec<u8>,
    /// SHA-256 of the content, in hexadecimal digits.
    pub sha256: String,
    /// `user:group`.
    pub owner: String,
    /// The mode, in octal digits.
    pub mode: String,
}

/// What a change that was made left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// The copy of the file as it was. With `was_already` the last one there is.
    pub backup: Option<String>,
    /// How many older copies were removed.
    pub pruned: usize,
    /// The file was the new one before anything was done.
    pub was_already: bool,
}

/// Why a file was not changed, or may not have been.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The node said no. The file is as it was.
    #[error("{0}; nothing was changed")]
    Refused(Why),
    /// Somebody changed the file since it was read: read again and plan again.
    #[error("cassandra.yaml was changed by somebody else meanwhile; nothing was changed by us")]
    Changed,
    /// The line broke: the file is the old one or the new one, whole. Look again.
    #[error("{0}; cassandra.yaml is as it was, or changed as wanted: look again")]
    Line(NodeError),
}

/// Reads the file at `path`, and changes nothing.
pub async fn read<N: Node>(
    node: &N,
    spec: &NodeSpec,
    path: &str,
    limit: Duration,
) -> Fact<ConfigFile> {
    if let Err(why) = plain(path) {
        return Fact::Unknown(why);
    }
    let output = match node.run(&catalog::config_read(spec, path, limit)).await {
        Ok(output) => output,
        Err(error) => return Fact::Unknown(error.into()),
    };
    match file(path, &output, limit) {
        Ok(file) => Fact::Known(file),
        Err(why) => Fact::Unknown(why),
    }
}

/// Makes `edit` in `file`, which must be as it was read. `stamp` becomes part of the name of the
/// copy that is kept beside it, such as `20261121T131500Z`.
///
/// # Errors
/// See [`EditError`].
pub async fn replace<N: Node>(
    node: &N,
    spec: &NodeSpec,
    file: &ConfigFile,
    edit: &Edit,
    stamp: &str,
    limit: Duration,
) -> Result<Replaced, EditError> {
    plain(&file.path).and_then(|()| plain(&file.target)).map_err(EditError::Refused)?;
    if !is_stamp(stamp) {
        let why = Why::new(WhyKind::Local, format!("'{stamp}' is no stamp like 20261121T131500Z"));
        return Err(EditError::Refused(why));
    }
    let command = command(spec, file, edit, stamp, limit);
    let output = match node.run(&command).await {
        Ok(output) => output,
        Err(error @ NodeError::Rights { .. }) => return Err(EditError::Refused(error.into())),
        Err(error) => return Err(EditError::Line(error)),
    };
    replaced(&file.target, &output, limit)
}

/// Returns the command that changes the file.
pub fn command(
    spec: &NodeSpec,
    file: &ConfigFile,
    edit: &Edit,
    stamp: &str,
    limit: Duration,
) -> Command {
    let new_sha256 = hex_sha256(&edit.apply(&file.bytes));
    let words = ConfigEdit {
        path: &file.path,
        target: &file.target,
        offset: edit.offset,
        length: edit.length,
        text: &edit.text,
        old_sha256: &file.sha256,
        new_sha256: &new_sha256,
        stamp,
    };
    catalog::config_edit(spec, &words, limit)
}

/// Refuses a path that could be read as another one.
fn plain(path: &str) -> Result<(), Why> {
    let is_odd = !path.starts_with('/')
        || path.len() > 4096
        || path.chars().any(char::is_control)
        || path.split('/').any(|part| part == "..");
    if is_odd {
        let shown = one_line(path.as_bytes(), 80);
        let text = format!("'{shown}' is no plain absolute path: set paths.config");
        return Err(Why::new(WhyKind::NotUnderstood, text));
    }
    Ok(())
}

fn is_stamp(stamp: &str) -> bool {
    let shape = stamp.chars().map(|c| if c.is_ascii_digit() { '0' } else { c });
    shape.eq("00000000T000000Z".chars())
}

fn hex_sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The value behind `word` among segments between NULs. What a start-up file of the login shell
/// printed lies before the first NUL.
fn value(segments: &[u8], word: &str) -> Option<String> {
    segments.split(|byte| *byte == 0).skip(1).find_map(|segment| {
        let rest = segment.strip_prefix(word.as_bytes())?.strip_prefix(b" ")?;
        Some(String::from_utf8_lossy(rest).into_owned())
    })
}

fn file(path: &str, output: &Output, limit: Duration) -> Result<ConfigFile, Why> {
    let stdout = &output.stdout;
    let text_at = find(stdout, b"\0text ");
    let head = &stdout[..text_at.unwrap_or(stdout.len())];
    if let Some(refused) = value(head, "refused") {
        return Err(refusal(path, &refused));
    }
    let broke_off = || broken_off(&output.ended, limit);
    let rest = &stdout[text_at.ok_or_else(broke_off)? + b"\0text ".len()..];
    // The last one: the text itself may hold anything.
    let end = rest.windows(5).rposition(|part| part == b"\0end ").ok_or_else(broke_off)?;
    let (bytes, tail) = rest.split_at(end);
    let sum = value(head, "sum").unwrap_or_default();
    if sum.is_empty() {
        return Err(Why::new(WhyKind::CommandNotFound, "the node has no sha256sum"));
    }
    let sha256 = hex_sha256(bytes);
    if tail != b"\0end 0\0" || sha256 != sum {
        let text = format!("{path} did not come as it lies there: it was changed meanwhile");
        return Err(Why::new(WhyKind::NotUnderstood, text).with_fix("ask again"));
    }
    let target = value(head, "target").ok_or_else(broke_off)?;
    plain(&target)?;
    let stat = value(head, "stat").unwrap_or_default();
    let field = |index| stat.split(' ').nth(index).map(|text| one_line(text.as_bytes(), 80));
    Ok(ConfigFile {
        path: path.to_owned(),
        target,
        bytes: bytes.to_vec(),
        sha256,
        owner: field(5).unwrap_or_default(),
        mode: field(3).unwrap_or_default(),
    })
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

fn replaced(target: &str, output: &Output, limit: Duration) -> Result<Replaced, EditError> {
    let value = |word| value(&output.stdout, word);
    if value("changed").is_some() {
        return Err(EditError::Changed);
    }
    if let Some(refused) = value("refused") {
        // Whoever works on the same file at the same time removes what we were building.
        let (step, said) = refused.split_once(' ').unwrap_or((&refused, ""));
        if step != "look" && said.contains("No such file") {
            return Err(EditError::Changed);
        }
        return Err(EditError::Refused(refusal(target, &refused)));
    }
    let done = value("done");
    let was_already = match done.as_deref() {
        Some("replaced") => false,
        Some("already") => true,
        _ => return Err(cut(&output.ended, limit)),
    };
    let backup = if was_already { value("last") } else { value("backup") };
    let pruned = value("pruned").and_then(|count| count.parse().ok()).unwrap_or(0);
    // The name is the file's and a stamp; a node may print anything.
    let backup = backup.map(|path| one_line(path.as_bytes(), target.len() + 80));
    Ok(Replaced { backup, pruned, was_already })
}

/// What a script without its last word means for the file.
fn cut(ended: &Ended, limit: Duration) -> EditError {
    match &ended.exit {
        // `timeout` did not find the shell, or the shell did not find `timeout`: nothing ran.
        Exit::Code(126 | 127) => EditError::Refused(broken_off(ended, limit)),
        Exit::Code(124 | 137) => {
            EditError::Line(NodeError::TimedOut { stage: Stage::Command, after: limit })
        }
        Exit::Code(_) | Exit::Signal(_) => {
            let cause = format!("the change broke off: {}", one_line(&ended.stderr, 200));
            EditError::Line(NodeError::Lost { cause })
        }
    }
}

fn broken_off(ended: &Ended, limit: Duration) -> Why {
    let said = one_line(&ended.stderr, 200);
    match &ended.exit {
        Exit::Code(124 | 137) => {
            let text = format!("reading cassandra.yaml took more than {limit:?}");
            Why::new(WhyKind::TimedOut, text)
        }
        Exit::Code(126 | 127) => Why::new(WhyKind::CommandNotFound, said)
            .with_fix("the node needs a POSIX shell and GNU coreutils"),
        Exit::Code(_) | Exit::Signal(_) => Why::new(
            WhyKind::NotUnderstood,
            format!("the look at cassandra.yaml broke off: {said}"),
        ),
    }
}

/// What it means when a step of `edit.sh` did not succeed. `refused` is the step, a space, and
/// what its program complained of.
fn refusal(path: &str, refused: &str) -> Why {
    let (step, said) = refused.split_once(' ').unwrap_or((refused, ""));
    let why = |kind, text: String, fix: &str| Why::new(kind, text).with_fix(fix);
    let by_hand = "change it by hand there";
    match step {
        "links" => {
            let count = said.split(' ').next().unwrap_or_default();
            let text = format!("{path} has {count} hard links, which a new file would part");
            return why(WhyKind::NotPermitted, text, by_hand);
        }
        "kind" => {
            return why(WhyKind::NotUnderstood, format!("{path} is no regular file"), by_hand);
        }
        "size" => {
            let text = format!("{path} has {said} bytes, more than a cassandra.yaml ever has");
            return Why::new(WhyKind::TooMuch, text);
        }
        "owner" => {
            let text = format!("a new {path} would not have the owner, mode or label of the old");
            let fix = "set sudo: always and let become.user be root or its owner, or change it by \
                       hand";
            return why(WhyKind::NotPermitted, text, fix);
        }
        "sum" => return Why::new(WhyKind::CommandNotFound, "the node has no sha256sum"),
        _ => {}
    }
    complaint(path, said)
}

/// What a program's words mean; `LC_ALL=C` keeps them in English.
fn complaint(path: &str, said: &str) -> Why {
    let has = |part: &str| said.contains(part);
    let no = |text: String, fix: &str| Why::new(WhyKind::NotPermitted, text).with_fix(fix);
    if let Some(why) = super::refusal::refusal(said) {
        let fix = why.hint();
        no(
            format!("the account may not change {path}, and {}", why.text),
            &format!("{fix}; or make the account the owner of the file and its folder"),
        )
    } else if has("No space left") || has("quota exceeded") {
        no(format!("there is no room for a new {path} and a copy"), "make room on its file system")
    } else if has("Read-only file system") {
        no(format!("{path} lies on a file system that is read-only"), "change it where it is made")
    } else if has("Device or resource busy") {
        let fix = "change the file on the host of the container";
        no(format!("{path} is mounted from elsewhere and cannot be replaced"), fix)
    } else if has("Operation not permitted") {
        let fix = "take the attribute away (chattr -i), or change it by hand there";
        no(format!("{path} is immutable, or its folder is"), fix)
    } else if has("ermission denied") {
        let fix = "name the file as paths.config to have sudo used; or make the account, or become.user, the \
                   owner of it and its folder";
        no(format!("the account may not do that with {path}: {said}"), fix)
    } else if has("No such file") {
        Why::new(WhyKind::FileNotFound, format!("there is no {path}"))
    } else {
        Why::new(WhyKind::NotUnderstood, format!("{path}: {said}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(stdout: &[u8], code: u32) -> Output {
        let ended = Ended { exit: Exit::Code(code), stderr: b"why".to_vec() };
        Output { stdout: stdout.to_vec(), ended }
    }

    const LIMIT: Duration = Duration::from_secs(9);

    #[test]
    fn a_file_is_taken_whole_or_not_at_all() {
        let answer = |text: &[u8], tail: &[u8]| {
            let sum = hex_sha256(b"a\0end 1\0b\r\n");
            let head = format!(
                "motd\n\0target /c/x\0\0stat 1 0 0 640 9 root:adm regular file\0\0sum {sum}\0\0text "
            );
            output(&[head.as_bytes(), text, tail].concat(), 0)
        };
        let whole = answer(b"a\0end 1\0b\r\n", b"\0end 0\0");
        let read = file("/x", &whole, LIMIT).unwrap();
        assert_eq!(read.bytes, b"a\0end 1\0b\r\n");
        assert_eq!(
            (read.target, read.owner, read.mode),
            ("/c/x".into(), "root:adm".into(), "640".into())
        );
        for torn in [
            answer(b"a\0end 1\0b\n", b"\0end 0\0"),
            answer(b"a\0end 1\0b\r\n", b"\0end 1\0"),
            answer(b"a\0end 1\0b\r\n", b"\0end 0"),
            answer(b"", b""),
            output(b"motd", 0),
            output(b"\0target /c/../x\0", 0),
        ] {
            assert!(file("/x", &torn, LIMIT).is_err());
        }
        assert_eq!(file("/x", &output(b"", 124), LIMIT).unwrap_err().kind, WhyKind::TimedOut);
    }

    #[test]
    fn without_a_last_word_nobody_knows_which_file_it_is() {
        let end = |stdout: &[u8], code| replaced("/x", &output(stdout, code), LIMIT);
        assert!(matches!(end(b"\0backup /x.b\0", 0), Err(EditError::Line(_))));
        assert!(matches!(end(b"", 1), Err(EditError::Line(_))));
        assert!(matches!(end(b"", 124), Err(EditError::Line(NodeError::TimedOut { .. }))));
        assert!(matches!(end(b"", 127), Err(EditError::Refused(_))));
        assert_eq!(end(b"\0changed text\0", 0), Err(EditError::Changed));
        assert_eq!(
            end(b"\0refused rename mv: No such file or directory\0", 0),
            Err(EditError::Changed)
        );
        let done = Replaced { backup: Some("/x.b".into()), pruned: 2, was_already: false };
        assert_eq!(
            end(b"noise\0backup /x.b\0\0pruned 2\0\0last /x.c\0\0done replaced\0", 0),
            Ok(done)
        );
    }

    #[test]
    fn a_refusal_says_what_helps() {
        for (said, kind, part) in [
            (
                "look sudo: a password is required",
                WhyKind::NotPermitted,
                "sudo asks for a password",
            ),
            ("new dd: error writing: No space left on device", WhyKind::NotPermitted, "no room"),
            ("rename mv: Device or resource busy", WhyKind::NotPermitted, "mounted from elsewhere"),
            ("look /x: No such file or directory", WhyKind::FileNotFound, "there is no /x"),
            ("links 2 regular file", WhyKind::NotPermitted, "has 2 hard links"),
            ("odd \x1b[2J", WhyKind::NotUnderstood, "\\u{1b}[2J"),
        ] {
            let why = refusal("/x", said);
            assert!(why.kind == kind && why.text.contains(part), "{why:?}");
        }
    }

    #[test]
    fn odd_paths_and_stamps_never_reach_a_node() {
        for path in ["x", "/etc/cassandra/../shadow", "/a\nb", "/a/..", ""] {
            assert!(plain(path).is_err(), "{path}");
        }
        assert!(plain("/etc/c a'ss/..x.yaml").is_ok());
        assert!(is_stamp("20261121T131500Z"));
        assert!(!is_stamp("20261121T131500Z;") && !is_stamp("2026-11-21") && !is_stamp(""));
    }
}

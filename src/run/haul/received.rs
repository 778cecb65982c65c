//! What came of one stream: which sets are whole, which failed and why, which did not come.

use std::collections::{BTreeSet, HashMap};

use super::fetch::Stopped;
use crate::cassandra::fact::{Why, WhyKind};
use crate::cassandra::sets::FoundSet;
use crate::node::refusal::refusal;
use crate::node::{Ended, Exit, NodeError};
use crate::store::Draft;
use crate::store::intake::{IntakeError, SetFault};
use crate::store::manifest::StoredSet;

/// tar's standard error is kept up to 64 KiB; of what is longer, the end is not known.
const KEPT: usize = 60 * 1024;

/// One set of a stream, by its number in it.
pub(super) type Taken = (usize, Result<(StoredSet, Draft), SetFault>);

/// How both ends of a stream ended.
pub(super) struct Came {
    pub(super) taken: Vec<Taken>,
    pub(super) end: Result<(), IntakeError>,
    pub(super) poured: Result<Ended, NodeError>,
    pub(super) closing: Option<String>,
}

/// What came of it. Sets are told by their number in the yard.
pub(super) struct Received {
    pub(super) whole: Vec<(usize, StoredSet, Draft)>,
    pub(super) failed: Vec<(usize, String, Option<Draft>)>,
    /// Those of which nothing, or not all, came.
    pub(super) missing: Vec<usize>,
    /// How the stream ended, when not well.
    pub(super) broke: Option<Stopped>,
    /// What tar said.
    pub(super) said: String,
}

/// Sorts it out. `set` is a set by its number.
pub(super) fn received<'a>(
    portion: &[usize],
    set: &dyn Fn(usize) -> &'a FoundSet,
    came: Came,
) -> Received {
    let mut missing: BTreeSet<usize> = portion.iter().copied().collect();
    let (mut whole, mut failed) = (Vec::new(), Vec::new());
    for (at, taken) in came.taken {
        let at = portion[at];
        match taken {
            Ok((stored, draft)) => whole.push((at, stored, draft)),
            // Whether it is still there is looked at.
            Err(SetFault::Missing { .. }) => continue,
            Err(fault) => failed.push((at, fault.to_string(), None)),
        }
        missing.remove(&at);
    }
    let mut said = String::new();
    if let Ok(ended) = &came.poured {
        said = crate::text::one_line(&ended.stderr, 200);
        if ended.exit != Exit::Code(0) {
            let faults = faults(&ended.stderr, portion, set);
            let (bad, good): (Vec<_>, Vec<_>) =
                whole.into_iter().partition(|(at, ..)| faults.of(*at).is_some());
            let told = |(at, _, draft)| (at, faults.of(at).unwrap_or_default(), Some(draft));
            failed.extend(bad.into_iter().map(told));
            whole = good;
        }
    }
    let missing: Vec<usize> = missing.into_iter().collect();
    let broke = broke(came.end, came.closing, came.poured, missing.is_empty());
    Received { whole, failed, missing, broke, said }
}

/// What tar could not read as it should. Of a file that it cannot read, or that shrank, it sends
/// zeros, so that the sizes are right and the content is not.
struct Faults {
    of_sets: HashMap<usize, String>,
    /// What is not understood, or cut off, may be of any set.
    of_all: Option<String>,
}

impl Faults {
    fn of(&self, at: usize) -> Option<String> {
        self.of_sets.get(&at).or(self.of_all.as_ref()).cloned()
    }
}

fn faults<'a>(stderr: &[u8], portion: &[usize], set: &dyn Fn(usize) -> &'a FoundSet) -> Faults {
    let mut paths: HashMap<String, usize> = HashMap::new();
    for at in portion {
        let set = set(*at);
        paths.extend(set.files.iter().map(|file| (set.path(file), *at)));
    }
    let mut faults = Faults { of_sets: HashMap::new(), of_all: None };
    if stderr.len() >= KEPT {
        faults.of_all = Some("the node's tar said more than can be read".to_owned());
    }
    let text = String::from_utf8_lossy(stderr);
    for line in text.lines().filter_map(|line| line.trim().strip_prefix("tar: ")) {
        // What changed or went is seen by the look after the stream; the rest names no file.
        let is_known = line.ends_with(": file changed as we read it")
            || line.ends_with(": File removed before we read it")
            || line.starts_with("Exiting with failure status")
            || line.starts_with("Removing leading");
        if is_known {
            continue;
        }
        let shown = crate::text::one_line(line.as_bytes(), 200);
        let mut ends = line.match_indices(": ").map(|(at, _)| &line[..at]);
        match ends.find_map(|path| paths.get(path)) {
            Some(at) => drop(faults.of_sets.entry(*at).or_insert(shown)),
            None => drop(faults.of_all.get_or_insert(shown)),
        }
    }
    faults
}

/// What sudo says when it does not run tar, whose own lines begin otherwise.
fn refused(ended: &Ended) -> Option<Why> {
    let text = String::from_utf8_lossy(&ended.stderr);
    let is_of_tar = text.lines().any(|line| line.starts_with("tar: "));
    (ended.exit != Exit::Code(0) && !is_of_tar).then(|| refusal(&text)).flatten()
}

fn broke(
    end: Result<(), IntakeError>,
    closing: Option<String>,
    poured: Result<Ended, NodeError>,
    has_all_come: bool,
) -> Option<Stopped> {
    let line = |kind, text| Some(Stopped::Line(Why::new(kind, text)));
    match (end, closing, poured) {
        (Err(IntakeError::Store(error)), ..) => Some(Stopped::Store(error)),
        (Err(error @ IntakeError::Hostile(_)), ..) => {
            let why = Why::new(WhyKind::NotUnderstood, error.to_string());
            Some(Stopped::Line(why.with_fix("find out what answers on that node in tar's place")))
        }
        (Err(IntakeError::Read(error)), ..) => line(WhyKind::Lost, error.to_string()),
        // What came decides, and all came.
        (Ok(()), ..) if has_all_come => None,
        (Ok(()), Some(why), _) => Some(Stopped::Closing(why)),
        (Ok(()), None, Err(error)) => Some(Stopped::Line(error.into())),
        // tar was not even begun.
        (Ok(()), None, Ok(ended)) if refused(&ended).is_some() => {
            refused(&ended).map(Stopped::Line)
        }
        (Ok(()), None, Ok(ended)) => match &ended.exit {
            // tar ends with 1 or 2 on healthy nodes: what came decides.
            Exit::Code(0..=2) => None,
            Exit::Code(124 | 137) => {
                line(WhyKind::TimedOut, "the node's tar took too long".to_owned())
            }
            Exit::Code(code) => {
                let said = crate::text::one_line(&ended.stderr, 200);
                line(WhyKind::NotUnderstood, format!("the node's tar ended with {code}: {said}"))
            }
            Exit::Signal(name) => {
                line(WhyKind::Lost, format!("the node's tar was ended by {name}"))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::cassandra::sets::{FoundFile, Origin, SetPlace};

    fn set(descriptor: &str) -> FoundSet {
        let file = |component| FoundFile {
            component: Arc::from(component),
            device: 1,
            inode: 1,
            links: 1,
            size: 1,
            modified: 1,
        };
        FoundSet {
            place: SetPlace {
                keyspace: "shop".to_owned(),
                folder: "orders-6a1adbe06a0211f184742b61a3e0ec16".to_owned(),
                index: None,
                descriptor: descriptor.to_owned(),
            },
            origin: Origin::Backups,
            dir: Arc::from("/d: x"),
            files: ["Data.db", "Index.db"].map(file).into(),
            digest: None,
            untouchable: None,
        }
    }

    #[test]
    fn what_tar_read_as_zeros_fails_its_set_and_what_is_not_understood_all() {
        let sets = [set("nb-1-big"), set("nb-2-big")];
        let of = |stderr: &str| {
            let faults = faults(stderr.as_bytes(), &[0, 1], &|at| &sets[at]);
            [faults.of(0).is_some(), faults.of(1).is_some()]
        };
        let exiting = "tar: Exiting with failure status due to previous errors\n";
        for (stderr, failed) in [
            ("tar: /d: x/nb-1-big-Data.db: file changed as we read it\n", [false, false]),
            (
                "tar: /d: x/nb-2-big-Index.db: Read error at byte 0, while reading 3000 bytes: \
                 Input/output error\n",
                [false, true],
            ),
            (
                "tar: /d: x/nb-1-big-Data.db: File shrank by 7 bytes; padding with zeros\n",
                [true, false],
            ),
            ("sudo: unable to resolve host a\n", [false, false]),
            ("tar: something new\n", [true, true]),
        ] {
            assert_eq!(of(&format!("{stderr}{exiting}")), failed, "{stderr}");
        }
        assert_eq!(of(&"x".repeat(64 * 1024)), [true, true]);
    }

    #[test]
    fn a_stream_that_sudo_refuses_says_so_and_one_of_tar_does_not() {
        let broke = |code, stderr: &str| {
            let ended = Ended { exit: Exit::Code(code), stderr: stderr.into() };
            match broke(Ok(()), None, Ok(ended), false) {
                Some(Stopped::Line(why)) => Some(why.text),
                _ => None,
            }
        };
        let refused = "Sorry, user ops is not allowed to execute '/usr/bin/tar' as root on n1.";
        let said = "the account may not use sudo for this program";
        assert_eq!(broke(1, refused).as_deref(), Some(said));
        assert_eq!(broke(127, "exec: sudo: not found").as_deref(), Some("there is no sudo"));
        assert_eq!(broke(2, "tar: /d/x: Cannot stat: No such file or directory"), None);
        assert_eq!(broke(1, "tar: /d/sudo: File removed before we read it"), None);
    }
}

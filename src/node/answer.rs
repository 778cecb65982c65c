//! The survey's answer, read as it comes: segments between NULs, each a word and a value.

use crate::cassandra::config::{self, Config};
use crate::cassandra::disk::{self, Disk};
use crate::cassandra::fact::{Fact, Why, WhyKind};
use crate::cassandra::jvm::{self, Process};
use crate::cassandra::listing::Listing;
use crate::cassandra::socket;
use crate::cassandra::tree::{Tree, TreeError};

/// No segment is longer: a cassandra.yaml has 100 KiB, a batch of TOC files under 1 MiB.
const LONGEST_SEGMENT: usize = 8 * 1024 * 1024;

/// What the walk at the end of the answer is read into.
pub trait Walk {
    /// Takes a record; `None` when it knows no such word.
    fn take(&mut self, word: &str, value: &str) -> Option<Result<(), TreeError>>;

    /// Takes what `head -v` printed.
    fn take_files(&mut self, text: &str) -> Result<(), TreeError>;

    /// Adds a data folder.
    fn add_data_dir(&mut self, path: &str) -> Result<(), TreeError>;

    /// The data folders.
    fn data_dirs(&self) -> &[String];

    /// Returns a data folder that the walk does not show.
    fn unseen_dir(&self) -> Option<&str>;

    /// Forgets what was listed.
    fn restart(&mut self);
}

/// Reads the answer of `survey.sh` and of the walk that follows it.
#[derive(Debug, Default)]
pub struct Reader<W> {
    rest: Vec<u8>,
    process: jvm::Reader,
    processes: Option<u32>,
    now: Option<i64>,
    nodetools: Vec<String>,
    candidates: Vec<String>,
    yaml_path: Option<String>,
    yaml: Option<Result<String, String>>,
    df: Option<Result<String, String>>,
    tree: W,
    may_read: bool,
    is_hidden: bool,
    listening: Option<Vec<u16>>,
    walk_errors: String,
    walk_end: Option<u32>,
    fault: Option<Why>,
}

/// What the answer says, all of it that came.
#[derive(Debug)]
pub struct Answer<W> {
    /// The node's clock, seconds since 1970.
    pub now: Fact<i64>,
    /// The running Cassandra.
    pub process: Fact<Option<Process>>,
    /// The ports that are listened on, when that can be seen.
    pub listening: Option<Vec<u16>>,
    /// Paths of nodetool on the node, the likeliest first.
    pub nodetools: Vec<String>,
    /// cassandra.yaml.
    pub config: Fact<(String, Config)>,
    /// The data folders' file systems.
    pub disks: Fact<Vec<Disk>>,
    /// What lies in the data folders.
    pub tree: Fact<W>,
    /// Whether the account could look there without sudo.
    pub may_read: bool,
    /// The data folders that were looked at.
    pub data_dirs: Vec<String>,
}

impl<W: Walk> Reader<W> {
    /// Returns a reader of the survey's own part and of a walk.
    pub fn new(walk: W) -> Self
    where
        W: Default,
    {
        Self { tree: walk, ..Self::default() }
    }

    /// Takes a piece of the answer. `false`: no more is wanted, the rest cannot be understood.
    pub fn take(&mut self, piece: &[u8]) -> bool {
        for part in piece.split_inclusive(|byte| *byte == 0) {
            self.rest.extend_from_slice(part);
            if part.last() == Some(&0) {
                self.rest.pop();
                let segment = std::mem::take(&mut self.rest);
                if !segment.is_empty()
                    && let Err(why) = self.segment(&segment)
                {
                    self.fault.get_or_insert(why);
                    return false;
                }
            } else if self.rest.len() > LONGEST_SEGMENT {
                let why = Why::new(WhyKind::TooMuch, "the survey's answer has no end");
                self.fault.get_or_insert(why);
                return false;
            }
        }
        true
    }

    fn segment(&mut self, segment: &[u8]) -> Result<(), Why> {
        let text = String::from_utf8_lossy(segment);
        if text.starts_with("==> ") || text.starts_with("\n==> ") {
            return Ok(self.tree.take_files(text.trim_start())?);
        }
        let (word, value) = text.split_once(' ').unwrap_or((&text, ""));
        match word {
            "now" => self.now = value.parse().ok(),
            "processes" => self.processes = value.parse().ok(),
            "hidden" => self.is_hidden = true,
            "listen" => self.listening = socket::listening(value),
            "nodetool" => few(&mut self.nodetools, value)?,
            "yaml-candidate" => few(&mut self.candidates, value)?,
            "yaml" => self.yaml_path = Some(value.to_owned()),
            "yaml-text" => self.yaml = Some(Ok(value.to_owned())),
            "yaml-error" => self.yaml = Some(Err(value.to_owned())),
            "df" => self.df = Some(Ok(value.to_owned())),
            "df-error" => self.df = Some(Err(value.to_owned())),
            "data" => self.tree.add_data_dir(value)?,
            "walk" => {
                // A second walk, with other rights, takes the place of the first.
                self.tree.restart();
                self.may_read = value == "yes";
                self.walk_errors.clear();
                self.walk_end = None;
            }
            "walk-errors" => value.clone_into(&mut self.walk_errors),
            "walk-end" => self.walk_end = value.parse().ok(),
            "end" => {}
            _ if self.process.take(word, value) => {}
            _ => {
                if let Some(taken) = self.tree.take(word, value) {
                    return Ok(taken?);
                }
                let text = format!(
                    "the survey's answer holds what ringhaul does not understand: {}",
                    crate::text::one_line(segment, 120)
                );
                return Err(Why::new(WhyKind::NotUnderstood, text));
            }
        }
        Ok(())
    }

    /// Returns what was learnt. `cut` is why the answer broke off, if it did: what came before
    /// stands, the rest is unknown for that reason.
    pub fn finish(self, cut: Option<Why>) -> Answer<W> {
        let missing = self
            .fault
            .or(cut)
            .unwrap_or_else(|| Why::new(WhyKind::NotUnderstood, "the survey's answer broke off"));
        // The folders come after cassandra.yaml: with them, what has not come is not there.
        let is_past_config = !self.tree.data_dirs().is_empty();
        let config = match (self.yaml_path, self.yaml) {
            _ if self.candidates.len() > 1 => several(&self.candidates),
            (Some(path), Some(Ok(text))) => read_config(path, &text),
            (Some(_), Some(Err(said))) => Fact::Unknown(match refusal(&said) {
                // Of a file that only the process names, root's rights are not used.
                why if why.kind == WhyKind::NotPermitted => why.with_fix(
                    "name it in the inventory (paths.config), or let the account read it",
                ),
                why => why,
            }),
            (None, _) if is_past_config => Fact::unknown(
                WhyKind::FileNotFound,
                "cassandra.yaml was not found: set paths.config",
            ),
            (None, _) | (Some(_), None) => Fact::Unknown(missing.clone()),
        };
        let disks = match &self.df {
            None => Fact::Unknown(missing.clone()),
            Some(Err(said)) => Fact::Unknown(refusal(said)),
            Some(Ok(text)) => match disk::parse(text) {
                Ok(disks) => Fact::Known(disks),
                Err(line) => Fact::unknown(WhyKind::NotUnderstood, format!("df printed: {line}")),
            },
        };
        let process = match self.processes {
            None => Fact::Unknown(missing.clone()),
            Some(count) => match self.process.finish() {
                None if count > 0 => Fact::unknown(
                    WhyKind::NotUnderstood,
                    format!("{count} Cassandra processes run, not one alone on the JMX port"),
                ),
                None if self.is_hidden => Fact::unknown(
                    WhyKind::NotPermitted,
                    "the node hides the processes of other accounts",
                ),
                process => Fact::Known(process),
            },
        };
        let data_dirs = self.tree.data_dirs().to_vec();
        let tree = match walk_fault(&self.walk_errors) {
            Some(why) => Fact::Unknown(why),
            None => match (self.walk_end, self.tree.unseen_dir()) {
                (None, _) => Fact::Unknown(missing.clone()),
                // find ends with 1 when a file went away under its hands.
                (Some(2..), _) => Fact::unknown(
                    WhyKind::NotUnderstood,
                    "the look at the data folders was ended from outside",
                ),
                (Some(_), Some(dir)) => {
                    Fact::unknown(WhyKind::FileNotFound, format!("there is no folder {dir}"))
                }
                (Some(_), None) => Fact::Known(self.tree),
            },
        };
        Answer {
            now: self.now.map_or_else(|| Fact::Unknown(missing), Fact::Known),
            process,
            listening: self.listening,
            nodetools: self.nodetools,
            config,
            disks,
            tree,
            may_read: self.may_read,
            data_dirs,
        }
    }
}

impl Walk for Tree {
    fn take(&mut self, word: &str, value: &str) -> Option<Result<(), TreeError>> {
        match word {
            "f" => Some(self.take_file(value)),
            "d" => Some(self.take_folder(value)),
            _ => None,
        }
    }

    fn take_files(&mut self, text: &str) -> Result<(), TreeError> {
        self.take_tocs(text);
        Ok(())
    }

    fn add_data_dir(&mut self, path: &str) -> Result<(), TreeError> {
        self.add_data_dir(path)
    }

    fn data_dirs(&self) -> &[String] {
        self.data_dirs()
    }

    fn unseen_dir(&self) -> Option<&str> {
        self.unseen_dir()
    }

    fn restart(&mut self) {
        self.restart();
    }
}

impl Walk for Listing {
    fn take(&mut self, word: &str, value: &str) -> Option<Result<(), TreeError>> {
        match word {
            "f" => Some(self.take_file(value)),
            "k" => Some(self.take_linked_file(value)),
            "d" => Some(self.take_folder(value, false)),
            "l" => Some(self.take_folder(value, true)),
            _ => None,
        }
    }

    fn take_files(&mut self, text: &str) -> Result<(), TreeError> {
        self.take_digests(text)
    }

    fn add_data_dir(&mut self, path: &str) -> Result<(), TreeError> {
        self.add_data_dir(path)
    }

    fn data_dirs(&self) -> &[String] {
        self.data_dirs()
    }

    fn unseen_dir(&self) -> Option<&str> {
        self.unseen_dir()
    }

    fn restart(&mut self) {
        self.restart();
    }
}

/// Keeps a value of which an honest node has a few.
fn few(kept: &mut Vec<String>, value: &str) -> Result<(), Why> {
    if kept.len() >= 16 || value.len() > 4096 {
        return Err(Why::new(WhyKind::TooMuch, "the survey's answer repeats itself without end"));
    }
    kept.push(value.to_owned());
    Ok(())
}

fn several(candidates: &[String]) -> Fact<(String, Config)> {
    let text = format!(
        "Cassandra does not run and several cassandra.yaml exist ({}): set paths.config",
        candidates.join(", ")
    );
    Fact::unknown(WhyKind::FileNotFound, text)
}

fn read_config(path: String, text: &str) -> Fact<(String, Config)> {
    match config::parse(text) {
        Ok(config) => Fact::Known((crate::text::visible(&path), config)),
        Err(why) => Fact::Unknown(Why::new(why.kind, format!("{path}: {}", why.text))),
    }
}

/// What it means when `cat`, `df`, `find` or sudo before them complained.
pub(super) fn refusal(said: &str) -> Why {
    let lines: Vec<&str> = said.lines().filter(|line| !is_grumble(line)).collect();
    let text = lines.join("\n");
    let has = |part: &str| text.contains(part);
    if let Some(why) = super::refusal::refusal(&text) {
        let text = format!("the account may not read the files, and {}", why.text);
        Why { text, ..why }
    } else if has("ermission denied") {
        Why::new(WhyKind::NotPermitted, text)
    } else if has("No such file") {
        Why::new(WhyKind::FileNotFound, text)
    } else {
        Why::new(WhyKind::NotUnderstood, text)
    }
}

/// sudo's remark on a host that cannot resolve its own name; it goes on all the same.
fn is_grumble(line: &str) -> bool {
    line.trim().is_empty() || line.contains("unable to resolve host")
}

/// Returns what makes the walk's sums wrong, if anything does. Files that went away during the
/// walk do not: Cassandra compacts and flushes all the time. A data folder that is not there is
/// known by its absence from the listing.
pub(super) fn walk_fault(errors: &str) -> Option<Why> {
    let fault = errors.lines().find(|line| {
        !is_grumble(line) && !line.trim_end().ends_with("No such file or directory")
    })?;
    Some(refusal(fault))
}

impl From<TreeError> for Why {
    fn from(error: TreeError) -> Self {
        let kind = match error {
            TreeError::NotUnderstood(_) => WhyKind::NotUnderstood,
            TreeError::TooMany => WhyKind::TooMuch,
        };
        Self::new(kind, error.to_string())
    }
}

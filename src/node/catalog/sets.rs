//! The commands of ship and clean: list the sets, stream them, look again, remove them.

use std::time::Duration;

use super::rights::{given, wanted, words};
use super::{GRACE, SURVEY_OUTPUT_LIMIT, seconds, sudo_word, survey_words};
use crate::inventory::{NodeSpec, Sudo};
use crate::node::Command;

const SETS_SCRIPT: &str = concat!(
    include_str!("../prelude.sh"),
    "tag=$1\nshift\n",
    include_str!("../survey.sh"),
    include_str!("../sets.sh"),
);

const REMOVE_SCRIPT: &str =
    concat!(include_str!("../prelude.sh"), include_str!("../remove_sets.sh"));

/// Takes a script off standard input up to the line `#data` and runs it; the rest of the input is
/// the script's. A shell's `read` takes no byte too many from a pipe, where `sh -s` may.
pub(in crate::node) const LOAD: &str = concat!(
    "n=$(echo; echo x); n=${n%x}; t=; while IFS= read -r l; do ",
    r##"case $l in "#data") break ;; esac; t=$t$l$n; done; eval "$t""##,
);

/// Writes 64 KiB at once: what a pipe holds.
const BLOCKS: u64 = 128;

/// What others do on the node goes first. `tar` is told each name and follows none; a second link
/// to a file comes whole, not as a reference; names come as they were given.
const STREAM: &str = concat!(
    "LC_ALL=C PATH=$PATH:/usr/local/bin:/usr/bin:/bin; export LC_ALL PATH; cd /; ",
    "command -v ionice >/dev/null && ionice -c 3 -p $$ </dev/null >/dev/null 2>&1; ",
    "run=; command -v nice >/dev/null && run=\"nice -n 19\"; ",
    "case $0 in sudo) run=\"$run ${RINGHAUL_AS:-sudo -n --}\" ;; esac; ",
    "exec $run tar --create --file=- --format=gnu --blocking-factor=128 --no-recursion ",
    "--hard-dereference --numeric-owner -P --null -T -",
);

/// A stream slower than this, in bytes a second, is given up in the end.
const SLOWEST_STREAM: u64 = 64 * 1024;

/// Looks at process, cassandra.yaml and disks, and lists the sets in backups and, if one is named,
/// in a snapshot; see `sets.sh`. The name must have passed
/// [`is_tag`](crate::cassandra::shelf::is_tag).
///
/// `data` are folders to look at in place of those of the inventory or of cassandra.yaml.
pub fn list(spec: &NodeSpec, snapshot: Option<&str>, data: &[String], limit: Duration) -> Command {
    let mut argv = ["sh", "-s", "--"].map(str::to_owned).to_vec();
    argv.push(snapshot.unwrap_or_default().to_owned());
    argv.extend(survey_words(spec, data));
    let command = Command::new(argv, limit)
        .with_stdin(SETS_SCRIPT.as_bytes())
        .with_output_limit(SURVEY_OUTPUT_LIMIT);
    given(spec, command)
}

/// Prints the TOC files at `paths`, each behind its name; at most `bytes` in all are taken.
pub fn tocs(
    spec: &NodeSpec,
    may_read: bool,
    paths: &[String],
    bytes: u64,
    limit: Duration,
) -> Command {
    let most = crate::cassandra::toc::MOST_BYTES.to_string();
    of_each(spec, may_read, &["head", "-v", "-c", &most, "--"], paths, limit)
        .with_output_limit(bytes)
}

/// Tells of the files at `paths`, and of no link's target: device, inode, size, time, kind, number
/// of links, name.
pub fn stat(spec: &NodeSpec, may_read: bool, paths: &[String], limit: Duration) -> Command {
    of_each(spec, may_read, &["stat", "-c", STAT_FORMAT, "--"], paths, limit)
        .with_output_limit(paths.iter().map(|path| path.len() as u64 + 200).sum())
}

/// What [`stat`] prints of a file; see [`crate::node::sets`].
const STAT_FORMAT: &str = "%d:%i:%s:%.9Y:%f:%h %n";

/// Writes the files, each a path and its size, to standard output as a tar stream; for
/// [`Node::pour`](crate::node::Node::pour). More than these sizes make is not taken. `rate` is how
/// fast it may be, in bytes a second: it is given twice the time that takes.
pub fn stream(
    spec: &NodeSpec,
    may_read: bool,
    files: &[(String, u64)],
    rate: Option<u64>,
) -> Command {
    let bytes = stream_bytes(files);
    let slowest = rate.map_or(SLOWEST_STREAM, |rate| SLOWEST_STREAM.min(rate / 2)).max(1);
    let limit = Duration::from_secs(3600 + bytes / slowest);
    let needs = needs_sudo(spec, may_read);
    let sudo = if needs { "sudo" } else { "plain" };
    let time = seconds(limit);
    let command =
        Command::new(["timeout", "-k", "2", &time, "sh", "-c", STREAM, sudo], limit + GRACE)
            .with_stdin(with_nuls(files.iter().map(|(path, _)| path)))
            .with_output_limit(bytes);
    if needs { given(spec, command) } else { command }
}

/// The length of a tar stream of these files, each a path and its size.
pub fn stream_bytes(files: &[(String, u64)]) -> u64 {
    let blocks = |bytes: u64| bytes.div_ceil(512);
    // A name of more than 100 bytes comes as a file of its own before its file.
    let name = |path: &str| match path.len() as u64 {
        0..=100 => 0,
        length => 1 + blocks(length + 1),
    };
    let file = |(path, size): &(String, u64)| (1 + name(path)).saturating_add(blocks(*size));
    let sum = crate::human::sum(files.iter().map(file)).saturating_add(2);
    sum.div_ceil(BLOCKS).saturating_mul(BLOCKS * 512)
}

/// Removes files, each only if its whole set is still what it was; see `remove_sets.sh`, which
/// says what `lines` are.
pub fn remove(spec: &NodeSpec, lines: &str, limit: Duration) -> Command {
    let text = format!("{REMOVE_SCRIPT}#data\n{lines}");
    // Each path may come back twice, with what stat says of it.
    let bytes = lines.len() as u64 * 3 + 64 * 1024;
    let time = seconds(limit);
    let argv = ["timeout", "-k", "2", &time, "sh", "-c", LOAD, "sh", sudo_word(spec)];
    let command =
        Command::new(argv, limit + GRACE).with_stdin(text.into_bytes()).with_output_limit(bytes);
    given(spec, command)
}

/// Runs a program with `paths` behind its arguments, as few times as they allow.
fn of_each(
    spec: &NodeSpec,
    may_read: bool,
    program: &[&str],
    paths: &[String],
    limit: Duration,
) -> Command {
    let time = seconds(limit);
    let needs = needs_sudo(spec, may_read);
    let mut argv = ["timeout", "-k", "2", &time, "xargs", "-0", "-r"].map(str::to_owned).to_vec();
    if needs {
        argv.extend(words(&spec.rights));
    }
    argv.extend(program.iter().map(|&word| word.to_owned()));
    let command = Command::new(argv, limit + GRACE).with_stdin(with_nuls(paths.iter()));
    if needs { wanted(&spec.rights, command) } else { command }
}

fn needs_sudo(spec: &NodeSpec, may_read: bool) -> bool {
    match spec.sudo {
        Sudo::Always => true,
        Sudo::Auto => !may_read,
        Sudo::Never => false,
    }
}

fn with_nuls<'a>(paths: impl Iterator<Item = &'a String>) -> Vec<u8> {
    paths.flat_map(|path| path.bytes().chain([0])).collect()
}

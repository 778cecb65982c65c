//! Every command line that is ever sent to a node, one function each.
//!
//! What ship and clean send stands in [`sets`].
//!
//! Single plain programs of them run with other rights, by sudo or doas, where the account may not
//! do it itself: those of the table in [`super::programs`]. nodetool does only where the inventory
//! says so, because its password file belongs to another user. Nothing else ever does.

pub mod rights;
pub mod sets;

use std::time::Duration;

use super::Command;
use super::ticket::{Holder, Terms, plain};
use crate::cassandra::links::MadeSet;
use crate::cassandra::table_name::TableName;
use crate::inventory::{NodeSpec, Rights, Sudo};

/// How long nodetool may take on the node before `timeout` ends it, unless the operator says
/// otherwise. A busy production node needs 1 to 3 s; nodetool itself gives up on a hung JVM only
/// after 60 s and would live on there.
pub const NODETOOL_LIMIT: Duration = Duration::from_secs(20);

/// How long the controller waits beyond a limit that the node itself keeps.
const GRACE: Duration = Duration::from_secs(5);

/// How long the look at files may take. A hundred thousand files on a cold disk need a minute.
pub const SURVEY_LIMIT: Duration = Duration::from_secs(300);

/// The survey prints about 200 bytes a file of backups and snapshots; two million are taken.
const SURVEY_OUTPUT_LIMIT: u64 = 1024 * 1024 * 1024;

/// `describering` prints some 600 bytes a range and `ring` 130 a token; a thousand nodes with 256
/// tokens each are taken.
const TOKENS_OUTPUT_LIMIT: u64 = 256 * 1024 * 1024;

/// How long a lock's script may need to start, and to end once it is released: a node that needs
/// longer is not one to be changed now.
const LOCK_LIMIT: Duration = Duration::from_secs(30);

/// A lock's answer is one segment.
const LOCK_OUTPUT_LIMIT: u64 = 64 * 1024;

const LOCK_SCRIPT: &str = include_str!("lock.sh");

const SURVEY_SCRIPT: &str =
    concat!(include_str!("prelude.sh"), include_str!("survey.sh"), include_str!("survey_walk.sh"));

/// A listing prints some 200 bytes a set; a million sets are taken.
const LISTING_OUTPUT_LIMIT: u64 = 256 * 1024 * 1024;

const LISTING_SCRIPT: &str = concat!(include_str!("prelude.sh"), include_str!("listing.sh"));
const REMOVE_SCRIPT: &str = concat!(include_str!("prelude.sh"), include_str!("remove.sh"));
const DEEP_SCRIPT: &str = concat!(include_str!("prelude.sh"), include_str!("deep.sh"));
const EDIT_SCRIPT: &str = include_str!("edit.sh");
const SCHEMA_SCRIPT: &str = concat!(include_str!("prelude.sh"), include_str!("schema.sh"));

/// As for nodetool.
const FIND_CQLSH: &str = concat!(
    "LC_ALL=C PATH=$PATH:/usr/local/bin:/usr/bin:/bin:/opt/cassandra/bin; export LC_ALL PATH; ",
    r#"exec timeout -k 2 "$0" cqlsh "$@""#,
);

/// The longest cassandra.yaml that is read to be changed; a stock file is about 100 KiB.
pub const CONFIG_LIMIT: usize = 2 * 1024 * 1024;

/// A non-login shell's PATH often lacks the folders where Cassandra's tools lie.
const FIND_NODETOOL: &str = concat!(
    "LC_ALL=C PATH=$PATH:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin",
    ":/opt/cassandra/bin:/usr/share/cassandra/bin; export LC_ALL PATH; ",
    r#"exec timeout -k 2 "$0" nodetool "$@""#,
);

/// Looks at process, cassandra.yaml, disks and files; see `survey.sh`.
///
/// `data` are folders to look at in place of those of the inventory or of cassandra.yaml.
pub fn survey(spec: &NodeSpec, data: &[String], limit: Duration) -> Command {
    let mut argv = ["sh", "-s", "--"].map(str::to_owned).to_vec();
    argv.extend(survey_words(spec, data));
    let command = Command::new(argv, limit)
        .with_stdin(SURVEY_SCRIPT.as_bytes())
        .with_output_limit(SURVEY_OUTPUT_LIMIT);
    rights::given(spec, command)
}

/// What `survey.sh` is told.
fn survey_words(spec: &NodeSpec, data: &[String]) -> Vec<String> {
    let port = spec.jmx.port.map(|port| port.to_string()).unwrap_or_default();
    let config = spec.paths.config.clone().unwrap_or_default();
    let mut words = vec![sudo_word(spec).to_owned(), port, config];
    words.extend_from_slice(if data.is_empty() { &spec.paths.data } else { data });
    words
}

fn sudo_word(spec: &NodeSpec) -> &'static str {
    match spec.sudo {
        Sudo::Auto => "auto",
        Sudo::Never => "never",
        Sudo::Always => "always",
    }
}

/// Reads the file at `path`, every byte of it; see `edit.sh`.
pub fn config_read(spec: &NodeSpec, path: &str, limit: Duration) -> Command {
    let most = CONFIG_LIMIT.to_string();
    edit_script("read", spec, path, limit, &[&most]).with_output_limit(2 * CONFIG_LIMIT as u64)
}

/// What a change of a file needs to know of it; its content does not travel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEdit<'a> {
    /// The path as it was asked for.
    pub path: &'a str,
    /// The file behind its links.
    pub target: &'a str,
    /// Where the bytes to be replaced begin.
    pub offset: usize,
    /// How many they are.
    pub length: usize,
    /// What takes their place.
    pub text: &'a str,
    /// SHA-256 of the file as it was read, in hexadecimal digits.
    pub old_sha256: &'a str,
    /// SHA-256 of the file as it will be.
    pub new_sha256: &'a str,
    /// The tail of the backup's name, such as `20261121T131500Z`.
    pub stamp: &'a str,
}

/// Replaces some bytes of a file: the new one is made beside it and takes its name; see `edit.sh`.
pub fn config_edit(spec: &NodeSpec, edit: &ConfigEdit<'_>, limit: Duration) -> Command {
    let (offset, length) = (edit.offset.to_string(), edit.length.to_string());
    // Line ends and quotes must not stand in an argv: three octal digits a byte.
    let text: String = edit.text.bytes().map(|byte| format!("{byte:03o}")).collect();
    let (old, new) = (edit.old_sha256, edit.new_sha256);
    let words = [edit.target, &offset, &length, &text, old, new, edit.stamp];
    edit_script("edit", spec, edit.path, limit, &words)
}

/// The node ends it after `limit`: a folder of a file server that is away must not hold it.
fn edit_script(
    mode: &str,
    spec: &NodeSpec,
    path: &str,
    limit: Duration,
    words: &[&str],
) -> Command {
    let seconds = limit.as_secs().max(1).to_string();
    let given = spec.paths.config.as_deref().unwrap_or_default();
    let mut argv = vec!["timeout", "-k", "2", &seconds, "sh", "-s", "--", mode];
    argv.extend([sudo_word(spec), given, path]);
    argv.extend(words);
    let command = Command::new(argv, limit + GRACE).with_stdin(EDIT_SCRIPT.as_bytes());
    rights::given(spec, command)
}

/// Takes the node for one run until the line dies or the lock is released; see `lock.sh`. It is
/// for [`super::Node::hold`].
pub fn lock(holder: &Holder<'_>, terms: &Terms) -> Command {
    let argv = [
        "sh".to_owned(),
        "-s".to_owned(),
        "--".to_owned(),
        terms.folder.clone(),
        plain(holder.run),
        plain(holder.verb),
        plain(holder.who),
        seconds(terms.silence),
        seconds(terms.linger),
    ];
    Command::new(argv, LOCK_LIMIT)
        .with_stdin(LOCK_SCRIPT.as_bytes())
        .with_output_limit(LOCK_OUTPUT_LIMIT)
}

/// `nodetool status`: the ring as this node sees it.
pub fn nodetool_status(tool: &Nodetool) -> Command {
    tool.command(&["status"])
}

/// `nodetool statusbackup`: whether incremental backups are on in the running process.
pub fn nodetool_statusbackup(tool: &Nodetool) -> Command {
    tool.command(&["statusbackup"])
}

/// `nodetool enablebackup`: switches the running process on.
pub fn nodetool_enablebackup(tool: &Nodetool) -> Command {
    tool.command(&["enablebackup"])
}

/// `nodetool disablebackup`: switches the running process off.
pub fn nodetool_disablebackup(tool: &Nodetool) -> Command {
    tool.command(&["disablebackup"])
}

/// `nodetool netstats`: what the node is doing.
pub fn nodetool_netstats(tool: &Nodetool) -> Command {
    tool.command(&["netstats"])
}

/// `nodetool version`: the version of the running process.
pub fn nodetool_version(tool: &Nodetool) -> Command {
    tool.command(&["version"])
}

/// `nodetool describecluster`: the ring's name, and its keyspaces with their replication (4.0+).
pub fn nodetool_describecluster(tool: &Nodetool) -> Command {
    tool.command(&["describecluster"])
}

/// `nodetool describering`: the ranges of `keyspace` and their replicas. The name must have passed
/// [`is_keyspace_name`](crate::cassandra::nodetool::describecluster::is_keyspace_name).
pub fn nodetool_describering(tool: &Nodetool, keyspace: &str) -> Command {
    tool.command(&["describering", keyspace]).with_output_limit(TOKENS_OUTPUT_LIMIT)
}

/// `nodetool ring`: every token of every node.
pub fn nodetool_ring(tool: &Nodetool) -> Command {
    tool.command(&["ring"]).with_output_limit(TOKENS_OUTPUT_LIMIT)
}

/// `nodetool refreshsizeestimates`: Cassandra writes system.size_estimates anew.
pub fn nodetool_refreshsizeestimates(tool: &Nodetool) -> Command {
    tool.command(&["refreshsizeestimates"])
}

/// `nodetool flush`: Cassandra writes what it holds of one table in memory to disk.
pub fn nodetool_flush(tool: &Nodetool, table: &TableName) -> Command {
    tool.command(&["flush", table.keyspace(), table.table()])
}

/// Lists one table's SSTable files; see `listing.sh`. `since` is a time of the node's clock,
/// without which only the Data.db files are listed.
pub fn listing(
    spec: &NodeSpec,
    data: &[String],
    table: &TableName,
    since: Option<i64>,
    limit: Duration,
) -> Command {
    let since = since.map(|since| since.to_string()).unwrap_or_default();
    let words = [sudo_word(spec), table.keyspace(), table.table(), &since];
    // The paths that come back begin with these words.
    let data: Vec<String> = data.iter().map(|data| data.trim_end_matches('/').to_owned()).collect();
    script(spec, &[], LISTING_SCRIPT, &words, &data, limit)
}

/// Removes one set's files in backups, each only if it is still that file; see `remove.sh`.
pub fn remove_set(spec: &NodeSpec, set: &MadeSet, limit: Duration) -> Command {
    let mut words = vec![sudo_word(spec).to_owned(), set.folder.clone()];
    for file in &set.components {
        let (seconds, nanos) =
            (file.modified.div_euclid(1_000_000_000), file.modified.rem_euclid(1_000_000_000));
        words.push(format!("{}:{}:{}:{seconds}.{nanos:09}", file.device, file.inode, file.size));
        words.push(file.name.clone());
    }
    script(spec, &[], REMOVE_SCRIPT, &[], &words, limit)
}

/// Lists every Data.db in backups with its digest; see `deep.sh`.
pub fn deep_list(spec: &NodeSpec, data: &[String], limit: Duration) -> Command {
    script(spec, &[], DEEP_SCRIPT, &["list", sudo_word(spec), "yes"], data, limit)
}

/// Sums up every Data.db in backups, after everybody else on the node; see `deep.sh`.
pub fn deep_sums(spec: &NodeSpec, data: &[String], may_list: bool, limit: Duration) -> Command {
    let may_list = if may_list { "yes" } else { "no" };
    let words = ["sums", sudo_word(spec), may_list];
    script(spec, &["nice", "-n", "19"], DEEP_SCRIPT, &words, data, limit)
}

/// Prints the schemas in snapshots; see `schema.sh`.
pub fn schemas(spec: &NodeSpec, data: &[String], limit: Duration) -> Command {
    script(spec, &[], SCHEMA_SCRIPT, &[sudo_word(spec)], data, limit)
}

/// Asks Cassandra itself which tables keep out of incremental backups.
pub fn cqlsh_tables(limit: Duration) -> Command {
    let seconds = seconds(limit);
    let ask = "PAGING OFF; SELECT keyspace_name, table_name, incremental_backups \
               FROM system_schema.tables";
    Command::new(["sh", "-c", FIND_CQLSH, &seconds, "-e", ask], limit + GRACE)
        .with_output_limit(LISTING_OUTPUT_LIMIT)
}

/// A script on the standard input of `sh`, ended by the node itself after `limit`.
fn script(
    spec: &NodeSpec,
    before: &[&str],
    text: &'static str,
    words: &[&str],
    more: &[String],
    limit: Duration,
) -> Command {
    let seconds = seconds(limit);
    let mut argv = vec!["timeout", "-k", "2", &seconds];
    argv.extend_from_slice(before);
    argv.extend_from_slice(&["sh", "-s", "--"]);
    argv.extend_from_slice(words);
    argv.extend(more.iter().map(String::as_str));
    let command = Command::new(argv, limit + GRACE)
        .with_stdin(text.as_bytes())
        .with_output_limit(LISTING_OUTPUT_LIMIT);
    rights::given(spec, command)
}

fn seconds(limit: Duration) -> String {
    limit.as_secs().max(1).to_string()
}

/// How nodetool is called on one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nodetool {
    /// Its path; `None` looks for it in PATH and the usual folders.
    pub path: Option<String>,
    /// JMX port; `None` leaves it to nodetool.
    pub port: Option<u16>,
    host: Option<String>,
    user: Option<String>,
    password_file: Option<String>,
    rights: Option<Rights>,
    limit: Duration,
}

impl Nodetool {
    /// Returns how `spec` wants nodetool called, each call ended after `limit` by the node.
    pub fn new(spec: &NodeSpec, limit: Duration) -> Self {
        Self {
            path: spec.paths.nodetool.clone(),
            port: spec.jmx.port,
            host: spec.jmx.host.clone(),
            user: spec.jmx.user.clone(),
            password_file: spec.jmx.password_file.clone(),
            rights: spec.jmx.sudo.then(|| spec.rights.clone()),
            limit,
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let seconds = self.limit.as_secs().max(1).to_string();
        let mut argv: Vec<String> = Vec::new();
        let words = |argv: &mut Vec<String>, words: &[&str]| {
            argv.extend(words.iter().map(|&word| word.to_owned()));
        };
        if let Some(rights) = &self.rights {
            argv.extend(rights::words(rights));
        }
        match &self.path {
            Some(path) => words(&mut argv, &["timeout", "-k", "2", &seconds, path]),
            // sudo has a PATH of its own.
            None if self.rights.is_some() => {
                words(&mut argv, &["timeout", "-k", "2", &seconds, "nodetool"])
            }
            None => words(&mut argv, &["sh", "-c", FIND_NODETOOL, &seconds]),
        }
        // The password itself never stands in an argv: nodetool reads it from a file of the node.
        for (option, value) in [
            ("-h", self.host.clone()),
            ("-p", self.port.map(|port| port.to_string())),
            ("-u", self.user.clone()),
            ("-pwf", self.password_file.clone()),
        ] {
            if let Some(value) = value {
                words(&mut argv, &[option, &value]);
            }
        }
        words(&mut argv, arguments);
        let command = Command::new(argv, self.limit + GRACE);
        match &self.rights {
            Some(rights) => rights::wanted(rights, command),
            None => command,
        }
    }
}

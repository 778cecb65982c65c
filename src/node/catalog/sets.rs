//! The commands of ship and clean: list the sets, stream them, look again, remove them.
//!
//! What each needs of sudo, where the account may not do it itself: the list `find` (which runs
//! `head`) and `df` and, of cassandra.yaml, `cat`.

use std::time::Duration;

use super::{SURVEY_OUTPUT_LIMIT, survey_words};
use crate::inventory::NodeSpec;
use crate::node::Command;

const SETS_SCRIPT: &str = concat!(
    include_str!("../prelude.sh"),
    "tag=$1\nshift\n",
    include_str!("../survey.sh"),
    include_str!("../sets.sh"),
);

/// Looks at process, cassandra.yaml and disks, and lists the sets in backups and, if one is named,
/// in a snapshot; see `sets.sh`. The name must have passed
/// [`is_tag`](crate::cassandra::listing::is_tag).
///
/// `data` are folders to look at in place of those of the inventory or of cassandra.yaml.
pub fn list(spec: &NodeSpec, snapshot: Option<&str>, data: &[String], limit: Duration) -> Command {
    let mut argv = ["sh", "-s", "--"].map(str::to_owned).to_vec();
    argv.push(snapshot.unwrap_or_default().to_owned());
    argv.extend(survey_words(spec, data));
    Command::new(argv, limit)
        .with_stdin(SETS_SCRIPT.as_bytes())
        .with_output_limit(SURVEY_OUTPUT_LIMIT)
}

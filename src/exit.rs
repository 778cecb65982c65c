//! The one table of exit codes. README.md holds the same table; a test compares them.

use crate::audit::Audit;
use crate::audit::finding::Severity;
use crate::fleet::Fleet;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All enabled and aligned.
    Fine,
    /// Findings of severity critical or warning.
    Findings,
    /// A job failed: the work itself could not be done.
    Failed,
    /// Some node is unknown.
    Unknown,
    /// Wrong usage or inventory.
    Usage,
    /// Interrupted.
    Interrupted,
}

impl Exit {
    /// All exits: code and meaning.
    pub const TABLE: [(Self, u8, &'static str); 6] = [
        (Self::Fine, 0, "all enabled and aligned; all done; all proven"),
        (Self::Findings, 1, "findings; not proven"),
        (Self::Failed, 2, "a job failed"),
        (Self::Unknown, 3, "some node unknown, or not started"),
        (Self::Usage, 64, "wrong usage or inventory"),
        (Self::Interrupted, 130, "interrupted"),
    ];

    /// Returns the code.
    pub fn code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Findings => 1,
            Self::Failed => 2,
            Self::Unknown => 3,
            Self::Usage => 64,
            Self::Interrupted => 130,
        }
    }

    /// Returns what a run ends with. A node that was not done outweighs one that was not tried, as
    /// for that one nothing is known to have gone wrong.
    pub fn of_run(fleet: &Fleet) -> Self {
        let sum = fleet.summary();
        let verdicts = fleet.verdicts().unwrap_or_default();
        if fleet.interrupted && sum.not_started + sum.unsure + sum.partly > 0 {
            Self::Interrupted
        } else if sum.refused + sum.failed + sum.unsure > 0 {
            Self::Failed
        } else if sum.not_started + sum.partly > 0 || verdicts.unknown > 0 || !fleet.finished {
            Self::Unknown
        } else if verdicts.not_proven > 0 {
            Self::Findings
        } else {
            Self::Fine
        }
    }

    /// Returns what an audit ends with: an unknown node outweighs findings, because a check that
    /// was not made can hide any of them.
    pub fn of(audit: &Audit) -> Self {
        if audit.summary.unknown > 0 {
            Self::Unknown
        } else if audit.findings.iter().any(|finding| finding.severity != Severity::Info) {
            Self::Findings
        } else {
            Self::Fine
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Exit;

    #[test]
    fn the_table_and_the_codes_are_one() {
        for (exit, code, _) in Exit::TABLE {
            assert_eq!(exit.code(), code);
        }
    }
}

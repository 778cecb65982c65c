//! ringhaul: Cassandra's incremental backups across a whole ring, over SSH, with no agent.
//!
//! Data goes one way. Each room uses only the rooms above its line:
//!
//! ```text
//! inventory.yaml ─► Inventory ─┐
//!                              ├─► nodes ─► a survey of each ─► Facts ─► judge ─► Audit ─► texts
//! nodetool status ─► Ring ─────┘            (one door: Node)
//! ```
//!
//! | line | rooms | may touch |
//! |---|---|---|
//! | nouns | [`cassandra`], [`inventory`], [`nodeset`], [`selection`], [`node::command`], [`node::catalog`] | nothing: no tokio, files, clock, environment |
//! | decisions | [`join`], [`audit`], [`event`], [`exit`], [`plan`], [`report`], [`schedule`] | the nouns |
//! | door | [`node`]: the one way to a node; [`node::ssh`] is the real one | SSH, its key and host files |
//! | hands | [`run`]: turns, lines, the loop that asks | all of the above, and time |
//! | edge | [`cli`], [`edge`], `main` | terminal, files, signals, the clock |
//!
//! To read it: [`run::audit`] (the loop), [`node::survey`] (what one node is asked, in two
//! commands), `node/survey.sh` (what the node does then), [`audit`] (what is made of it). A new
//! check is a function in `audit/checks.rs`; every command that is ever sent is in
//! [`node::catalog`].
//!
//! What is not known is never told as false: see [`cassandra::fact::Fact`].

pub mod audit;
pub mod cassandra;
pub mod cli;
pub mod edge;
pub mod event;
pub mod exit;
pub mod fleet;
pub mod human;
pub mod inventory;
pub mod join;
pub mod nearest;
pub mod node;
pub mod nodeset;
pub mod plan;
pub mod record;
pub mod report;
pub mod run;
pub mod schedule;
pub mod selection;
pub mod text;

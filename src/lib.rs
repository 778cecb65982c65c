//! ringhaul: Cassandra's incremental backups across a whole ring, over SSH, with no agent.
//!
//! Data goes one way. Each room uses only the rooms above its line:
//!
//! ```text
//! inventory.yaml ─► Inventory ─┐                         ┌─ each node, when its turn comes ─┐
//!                              ├─► nodes ─► Schedule ─►  │ look ─► plan ─► steps ─► look    │ ─► Records ─► Fleet ─► texts
//! nodetool status ─► Ring ─────┘                         └──────────────────────────────────┘      └─► journal (resume)
//! ```
//!
//! An audit is the first look of all nodes at once: `Facts ─► judge ─► Audit ─► texts`.
//!
//! | line | rooms | may touch |
//! |---|---|---|
//! | nouns | [`cassandra`], [`inventory`], [`nodeset`], [`selection`], [`record`], [`node::command`], [`node::catalog`], [`store::layout`], [`store::manifest`] | nothing: no tokio, files, clock, environment |
//! | decisions | [`join`], [`audit`], [`plan`], [`schedule`], [`fleet`], [`event`], [`exit`], [`report`] | the nouns |
//! | doors | [`node`]: the one way to a node, by [`node::ssh`] or by [`node::openssh`], the ssh program; [`store`]: the one way to where backups lie | SSH, its key and host files; the store's folder |
//! | hands | [`run`]: turns, lines, the loop that asks, the loop that changes, the journal | all of the above, time, the journal's file |
//! | edge | [`cli`], [`edge`], `main` | terminal, files, signals, the clock |
//!
//! To read it: [`run::audit`] (the loop that asks), [`node::survey`] (what one node is asked, in
//! two commands), `node/survey.sh` (what the node does then), [`audit`] (what is made of it). A
//! new check is a function in `audit/checks.rs`. Of a change: [`run::change`] (the loop),
//! `run/turn.rs` and `run/setting.rs` (one node's turn), [`plan`] (what is to be done),
//! [`record`] (all that a journal knows). Every command that is ever sent is in
//! [`node::catalog`].
//!
//! Of ship and clean: `run/haul/ship.rs` and `run/haul/clean.rs` (one node's turn),
//! [`plan::ship`] and [`plan::clean`] (what is new, what may go), `run/haul/fetch.rs` (a stream and
//! the look after it), [`store`] (what counts, and from when).
//!
//! Of rights on the nodes: `node/programs.rs` (what each verb runs with other rights than the
//! account's, and what for), [`node::becoming`] (where a password gives them).
//!
//! What is not known is never told as false: see [`cassandra::fact::Fact`].

pub mod audit;
pub mod cassandra;
pub mod cli;
pub mod edge;
pub mod event;
pub mod exit;
pub mod fleet;
#[cfg(fuzzing)]
pub mod fuzz;
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
pub mod store;
pub mod text;

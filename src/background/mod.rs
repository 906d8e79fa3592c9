//! The background plane: one thread that runs multi-step file jobs, off the request path.
//!
//! The only user of `glommio`, under the rules that keep its known edges harmless: no pending task is ever cancelled or dropped
//! (tasks are detached and end by themselves), a heartbeat of 5 ms runs while there is work (a parked executor with runnable
//! work is then bounded), nothing is borrowed across an await, there is no select around file futures, every file is closed,
//! padding is zeroed, a short write is an error. Without work the thread sleeps in a plain condition variable, where no
//! heartbeat is needed, so an idle broker costs no CPU.
//!
//! Invariants: each request ends in one note to its shard; jobs of one path run one after the other; each kind of work has a
//! bounded number of jobs under way. Must not know: what the files mean.

mod files;
mod plane;
mod queue;

#[cfg(test)]
mod tests;

pub use plane::{Background, BackgroundConfig, start};

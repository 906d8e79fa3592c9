//! The shard: composes log, partitions, sessions and APIs into one synchronous state machine.

pub mod event;
mod host;
pub mod out;
#[allow(clippy::module_inception)]
pub mod shard;

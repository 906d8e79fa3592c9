//! The shard: composes log, partitions, sessions and APIs into one synchronous state machine.

pub mod event;
pub mod out;

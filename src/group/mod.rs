//! Consumer groups: the classic group protocol, the new one (KIP-848), and committed offsets, for one partition of
//! `__consumer_offsets`.
//!
//! [`machine::Groups`] is a synchronous state machine. An operation yields answers and [`machine::Write`]s: records, and what is
//! to happen once they are durable. Invariants: committed offsets, and groups across a restart, change only through
//! [`machine::Groups::replay`] of durable records; classic membership is volatile, as in Kafka (`GroupMetadataManager`,
//! `ClassicGroup`, `OffsetMetadataManager`), that of the new protocol is written before it is told; every member has a deadline.
//! An id names a group of one kind. Time comes in, deadlines go out. Must not know: the log, shards, request encodings.

mod admin;
mod classic;
mod commit;
mod consumer;
mod join;
pub mod machine;
mod member;
mod offsets;
mod rebalance;
pub mod request;
mod session;
mod subscription;
mod sync;
pub mod topics;

pub use consumer::{Assignor, Migration};

#[cfg(test)]
mod tests;

/// The coordinator partition of a group: Java's `String.hashCode`, made positive as `Utils.abs` does, modulo the partitions.
pub fn partition_of(group: &str, partitions: u32) -> u32 {
    let hash = group
        .encode_utf16()
        .fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    let positive = if hash == i32::MIN { 0 } else { hash.abs() };
    positive as u32 % partitions.max(1)
}

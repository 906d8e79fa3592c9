//! The log: frames, journal blocks, segments, index, checkpoint, recovery. Pure formats and plans; no I/O.
//!
//! Knows partitions only by id. Must not know the Kafka protocol beyond the record batch header (`wire::batch`).

pub mod block;
pub mod checkpoint;
pub mod compact;
pub mod frame;
pub mod index;
pub mod journal;
pub mod recovery;
pub mod segment;

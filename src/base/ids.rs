//! Identifiers shared by all layers. Newtypes, so that two integers of different meaning never mix.

use std::fmt;

/// Index of a shard (one pinned thread, one state machine) on this node, from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct ShardId(pub u16);

/// A client connection of one shard. `generation` tells a reused slot from its predecessor.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnId {
    /// Slot in the reactor's connection table.
    pub index: u32,
    /// Grows each time the slot is reused.
    pub generation: u32,
}

/// A topic's identity, stable over its life and new on re-creation (KIP-516). All zero = no id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TopicId(pub [u8; 16]);

impl TopicId {
    /// The null id of KIP-516: "not given".
    pub const ZERO: TopicId = TopicId([0; 16]);
    /// True for the null id.
    pub fn is_zero(&self) -> bool {
        self.0 == [0; 16]
    }
}

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One partition of one topic.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PartitionId {
    /// The topic.
    pub topic: TopicId,
    /// Partition index within the topic, from 0.
    pub partition: u32,
}

/// A file as one shard knows it; the runtime maps it to a descriptor. Never reused within a run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FileId(pub u64);

/// Names an outstanding disk operation of a shard. Never reused within a run, so a late completion is recognised.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct IoKey(pub u64);

/// Names an outstanding background job of a shard. Never reused within a run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct JobKey(pub u64);

/// The time of an event: an input of the state machine, which has no clock of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Now {
    /// Monotonic nanoseconds since an arbitrary start.
    pub mono_ns: u64,
    /// Wall clock, milliseconds since the epoch. Only for record timestamps and retention.
    pub wall_ms: i64,
}

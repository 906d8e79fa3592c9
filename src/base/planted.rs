//! Bugs planted on purpose, to prove that the simulator would find their like (`tests/planted.rs`).
//!
//! They exist in debug builds only: in a release [`is`] is a constant `false` and each site compiles to nothing. At most one is
//! planted at a time, per thread, so that one test run can try them all; only that test plants any.

/// A bug that can be planted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Planted {
    /// Produce is acknowledged when its journal block is issued, not when the write has completed.
    AckBeforeFlush,
    /// Fetch serves batches above the high watermark: in memory, not yet durable.
    ReadBeforeFlush,
    /// A completed journal write counts for the ones before it that are still in flight.
    AckOutOfOrder,
    /// Each destage write puts the segment's last block in place once more, with bytes that the journal may no longer hold.
    TailRewrite,
    /// Segment writes count as flushed when they have completed, so journal files are recycled without a flush.
    ReclaimBeforeFlush,
    /// A failed segment flush is taken for a good one.
    FailedFlushIgnored,
    /// A failed segment write is taken for a good one.
    FailedWriteIgnored,
    /// A checkpoint names segments whose names nobody has flushed.
    NamesNotFlushed,
    /// Journal files are recycled when the checkpoint is issued, not when it is durable.
    RecycleBeforeCheckpoint,
    /// Recovery takes the older of two checkpoints.
    StaleCheckpoint,
    /// Recovery goes on with any later file instead of the one whose first block is next in the chain.
    RecoveryOrder,
    /// Recovery does not look at the payloads of a block, so a torn one is accepted.
    TornBlockAccepted,
    /// The checkpoint forgets the producers' windows.
    ProducersNotSaved,
    /// Recovery does not note the producers of the batches that it replays.
    ProducersNotReplayed,
    /// An offset commit is acknowledged when its record is staged.
    CommitAckEarly,
    /// A coordinator serves before the whole of its log is replayed.
    ServesWhileLoading,
    /// Compacted segments' predecessors go before a checkpoint names their successors.
    OldSegmentsEarly,
    /// Compaction drops tombstones at once.
    TombstoneDroppedEarly,
    /// Compaction takes a record for superseded when an earlier one of its key is known.
    FirstValueKept,
}

/// Every bug there is.
#[cfg(debug_assertions)]
pub const ALL: &[Planted] = &[
    Planted::AckBeforeFlush,
    Planted::ReadBeforeFlush,
    Planted::AckOutOfOrder,
    Planted::TailRewrite,
    Planted::ReclaimBeforeFlush,
    Planted::FailedFlushIgnored,
    Planted::FailedWriteIgnored,
    Planted::NamesNotFlushed,
    Planted::RecycleBeforeCheckpoint,
    Planted::StaleCheckpoint,
    Planted::RecoveryOrder,
    Planted::TornBlockAccepted,
    Planted::ProducersNotSaved,
    Planted::ProducersNotReplayed,
    Planted::CommitAckEarly,
    Planted::ServesWhileLoading,
    Planted::OldSegmentsEarly,
    Planted::TombstoneDroppedEarly,
    Planted::FirstValueKept,
];

#[cfg(debug_assertions)]
thread_local! {
    static CHOSEN: std::cell::Cell<Option<Planted>> = const { std::cell::Cell::new(None) };
}

/// Plants a bug in this thread, in place of the one before.
#[cfg(debug_assertions)]
pub fn plant(bug: Option<Planted>) {
    CHOSEN.set(bug);
}

/// True when this thread has that bug.
#[cfg(debug_assertions)]
pub fn is(bug: Planted) -> bool {
    CHOSEN.get() == Some(bug)
}

/// Never: this build has no planted bugs.
#[cfg(not(debug_assertions))]
pub const fn is(_bug: Planted) -> bool {
    false
}

//! OffsetForLeaderEpoch: where a leader epoch ends (KIP-320).

use crate::wire::error::ErrorCode;
use crate::wire::message::{api, message};

api! {
    /// Key 23, v2 to v4.
    OffsetForLeaderEpoch: OffsetForLeaderEpochRequest => OffsetForLeaderEpochResponse
}

message! {
    /// Which epochs.
    pub struct OffsetForLeaderEpochRequest {
        /// Follower, -1 = consumer, -2 = not said; from v3.
        replica_id: i32 [3..] = -2;
        /// Per topic.
        topics: Vec<OffsetForLeaderTopic> [..] = Vec::new();
    }
}

message! {
    /// One topic.
    pub struct OffsetForLeaderTopic {
        /// Name.
        topic: String [..] = String::new();
        /// Per partition.
        partitions: Vec<OffsetForLeaderPartition> [..] = Vec::new();
    }
}

message! {
    /// One partition.
    pub struct OffsetForLeaderPartition {
        /// Partition index, unchecked.
        index: i32 [..] = 0;
        /// Leader epoch the client believes in, -1 = no check.
        current_leader_epoch: i32 [2..] = -1;
        /// The epoch asked about.
        leader_epoch: i32 [..] = 0;
    }
}

message! {
    /// The ends.
    pub struct OffsetForLeaderEpochResponse {
        /// How long the client is throttled, milliseconds.
        throttle_time_ms: i32 [2..] = 0;
        /// Per topic.
        topics: Vec<OffsetForLeaderTopicResult> [..] = Vec::new();
    }
}

message! {
    /// One topic.
    pub struct OffsetForLeaderTopicResult {
        /// Name.
        topic: String [..] = String::new();
        /// Per partition.
        partitions: Vec<EpochEndOffset> [..] = Vec::new();
    }
}

message! {
    /// One partition.
    pub struct EpochEndOffset {
        /// `None` when fine.
        error: ErrorCode [..] = ErrorCode::None;
        /// Partition index.
        index: i32 [..] = 0;
        /// Largest epoch not above the one asked about, -1 = none.
        leader_epoch: i32 [1..] = -1;
        /// Exclusive end of that epoch, -1 = none.
        end_offset: i64 [..] = -1;
    }
}

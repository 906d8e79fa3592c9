//! ListOffsets: offsets by timestamp, and special offsets.

use crate::wire::error::ErrorCode;
use crate::wire::message::{api, message};

api! {
    /// Key 2, v1 to v11.
    ListOffsets: ListOffsetsRequest => ListOffsetsResponse
}

message! {
    /// Which offsets are wanted.
    pub struct ListOffsetsRequest {
        /// Follower, -1 = consumer.
        replica_id: i32 [..] = -1;
        /// 0 = read_uncommitted, 1 = read_committed; from v2.
        isolation_level: i8 [2..] = 0;
        /// Per topic.
        topics: Vec<ListOffsetsTopic> [..] = Vec::new();
        /// How long to wait for tiered storage, milliseconds; from v10.
        timeout_ms: i32 [10..] = 0;
    }
}

message! {
    /// One topic.
    pub struct ListOffsetsTopic {
        /// Name.
        name: String [..] = String::new();
        /// Per partition.
        partitions: Vec<ListOffsetsPartition> [..] = Vec::new();
    }
}

message! {
    /// One partition.
    pub struct ListOffsetsPartition {
        /// Partition index, unchecked.
        index: i32 [..] = 0;
        /// Leader epoch the client believes in, -1 = no check; from v4.
        current_leader_epoch: i32 [4..] = -1;
        /// Milliseconds, or -1 latest, -2 earliest, -3 max timestamp (v7), -4 earliest local (v8), -5 latest tiered (v9),
        /// -6 earliest pending upload (v11).
        timestamp: i64 [..] = 0;
    }
}

message! {
    /// The offsets.
    pub struct ListOffsetsResponse {
        /// How long the client is throttled, milliseconds; from v2.
        throttle_time_ms: i32 [2..] = 0;
        /// Per topic.
        topics: Vec<ListOffsetsTopicResponse> [..] = Vec::new();
    }
}

message! {
    /// One topic.
    pub struct ListOffsetsTopicResponse {
        /// Name.
        name: String [..] = String::new();
        /// Per partition.
        partitions: Vec<ListOffsetsPartitionResponse> [..] = Vec::new();
    }
}

message! {
    /// One partition.
    pub struct ListOffsetsPartitionResponse {
        /// Partition index.
        index: i32 [..] = 0;
        /// `None` when fine, also when nothing was found.
        error: ErrorCode [..] = ErrorCode::None;
        /// Of the record found, -1 = none or a special offset.
        timestamp: i64 [1..] = -1;
        /// -1 = nothing found.
        offset: i64 [1..] = -1;
        /// Epoch of the record found, -1 = unknown; from v4.
        leader_epoch: i32 [4..] = -1;
    }
}

/// Lowest request version in which a special (negative) timestamp has its meaning, `None` for numbers without one
/// (KIP-734, KIP-405, KIP-1005, KIP-1023).
pub fn special_timestamp_from(timestamp: i64) -> Option<i16> {
    match timestamp {
        -1 | -2 => Some(1),
        -3 => Some(7),
        -4 => Some(8),
        -5 => Some(9),
        -6 => Some(11),
        _ => None,
    }
}

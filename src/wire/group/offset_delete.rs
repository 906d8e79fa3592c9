//! OffsetDelete: offsets of single partitions (KIP-496).

use crate::wire::error::ErrorCode;
use crate::wire::message::{api, message};

api! {
    /// Key 47, v0, which is not flexible.
    OffsetDelete: OffsetDeleteRequest => OffsetDeleteResponse
}

message! {
    /// Offsets to delete.
    pub struct OffsetDeleteRequest {
        /// Group.
        group_id: String [..] = String::new();
        /// Topics.
        topics: Vec<OffsetDeleteTopic> [..] = Vec::new();
    }
}

message! {
    /// Partitions of one topic.
    pub struct OffsetDeleteTopic {
        /// Name.
        name: String [..] = String::new();
        /// Partition indexes.
        partitions: Vec<i32> [..] = Vec::new();
    }
}

message! {
    /// How it went.
    pub struct OffsetDeleteResponse {
        /// About the whole request.
        error: ErrorCode [..] = ErrorCode::None;
        /// How long the client is throttled, milliseconds.
        throttle_time_ms: i32 [..] = 0;
        /// Topics as in the request.
        topics: Vec<OffsetDeleteTopicResult> [..] = Vec::new();
    }
}

message! {
    /// One topic.
    pub struct OffsetDeleteTopicResult {
        /// Name.
        name: String [..] = String::new();
        /// Partitions.
        partitions: Vec<OffsetDeletePartitionResult> [..] = Vec::new();
    }
}

message! {
    /// One partition.
    pub struct OffsetDeletePartitionResult {
        /// Partition index.
        index: i32 [..] = 0;
        /// `None` when deleted.
        error: ErrorCode [..] = ErrorCode::None;
    }
}

//! DeleteRecords: moves the start of a log.

use crate::wire::error::ErrorCode;
use crate::wire::message::{api, message};

api! {
    /// Key 21, v0 to v2.
    DeleteRecords: DeleteRecordsRequest => DeleteRecordsResponse
}

message! {
    /// Which records to delete.
    pub struct DeleteRecordsRequest {
        /// Per topic.
        topics: Vec<DeleteRecordsTopic> [..] = Vec::new();
        /// How long the client waits, milliseconds.
        timeout_ms: i32 [..] = 0;
    }
}

message! {
    /// One topic.
    pub struct DeleteRecordsTopic {
        /// Name.
        name: String [..] = String::new();
        /// Per partition.
        partitions: Vec<DeleteRecordsPartition> [..] = Vec::new();
    }
}

message! {
    /// One partition.
    pub struct DeleteRecordsPartition {
        /// Partition index, unchecked.
        index: i32 [..] = 0;
        /// First offset to keep, -1 = the high watermark.
        offset: i64 [..] = 0;
    }
}

message! {
    /// How it went.
    pub struct DeleteRecordsResponse {
        /// How long the client is throttled, milliseconds.
        throttle_time_ms: i32 [..] = 0;
        /// Per topic.
        topics: Vec<DeleteRecordsTopicResult> [..] = Vec::new();
    }
}

message! {
    /// One topic.
    pub struct DeleteRecordsTopicResult {
        /// Name.
        name: String [..] = String::new();
        /// Per partition.
        partitions: Vec<DeleteRecordsPartitionResult> [..] = Vec::new();
    }
}

message! {
    /// One partition.
    pub struct DeleteRecordsPartitionResult {
        /// Partition index.
        index: i32 [..] = 0;
        /// New log start, -1 on errors.
        low_watermark: i64 [..] = -1;
        /// `None` on success.
        error: ErrorCode [..] = ErrorCode::None;
    }
}

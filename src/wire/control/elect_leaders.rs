//! ElectLeaders: to move leadership to preferred or other replicas (KIP-183, KIP-460).

use super::log_dirs::TopicPartitions;
use crate::wire::error::ErrorCode;
use crate::wire::message::{api, message};

api! {
    /// Key 43, v0 to v2.
    ElectLeaders: ElectLeadersRequest => ElectLeadersResponse
}

message! {
    /// Partitions that need a leader.
    pub struct ElectLeadersRequest {
        /// 0 = the preferred replica, 1 = any, in sync or not; from v1.
        election_type: i8 [1..] = 0;
        /// Partitions, null = all.
        topic_partitions: Option<Vec<TopicPartitions>> [..] null [..] = None;
        /// How long the client waits, milliseconds.
        timeout_ms: i32 [..] = 60_000;
    }
}

message! {
    /// How it went.
    pub struct ElectLeadersResponse {
        /// How long the client is throttled, milliseconds.
        throttle_time_ms: i32 [..] = 0;
        /// `None` on success; from v1.
        error: ErrorCode [1..] = ErrorCode::None;
        /// Per topic.
        results: Vec<ElectLeadersTopic> [..] = Vec::new();
    }
}

message! {
    /// One topic.
    pub struct ElectLeadersTopic {
        /// Name.
        topic: String [..] = String::new();
        /// Its partitions.
        partitions: Vec<ElectLeadersPartition> [..] = Vec::new();
    }
}

message! {
    /// One partition.
    pub struct ElectLeadersPartition {
        /// Index.
        index: i32 [..] = 0;
        /// `None` on success.
        error: ErrorCode [..] = ErrorCode::None;
        /// For people.
        error_message: Option<String> [..] null [..] = None;
    }
}

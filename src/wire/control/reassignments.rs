//! AlterPartitionReassignments and ListPartitionReassignments: replicas that move between brokers (KIP-455).

use crate::wire::error::ErrorCode;
use crate::wire::message::{api, message};

api! {
    /// Key 45, v0 and v1.
    AlterPartitionReassignments: AlterPartitionReassignmentsRequest => AlterPartitionReassignmentsResponse
}

api! {
    /// Key 46, v0.
    ListPartitionReassignments: ListPartitionReassignmentsRequest => ListPartitionReassignmentsResponse
}

message! {
    /// Where replicas are to go.
    pub struct AlterPartitionReassignmentsRequest {
        /// How long the client waits, milliseconds.
        timeout_ms: i32 [..] = 60_000;
        /// Whether the number of replicas may change; from v1.
        allow_replication_factor_change: bool [1..] = true;
        /// Per topic.
        topics: Vec<ReassignableTopic> [..] = Vec::new();
    }
}

message! {
    /// One topic.
    pub struct ReassignableTopic {
        /// Name.
        name: String [..] = String::new();
        /// Its partitions.
        partitions: Vec<ReassignablePartition> [..] = Vec::new();
    }
}

message! {
    /// One partition.
    pub struct ReassignablePartition {
        /// Index.
        index: i32 [..] = 0;
        /// Brokers, null = take back what is under way.
        replicas: Option<Vec<i32>> [..] null [..] = None;
    }
}

message! {
    /// How it went.
    pub struct AlterPartitionReassignmentsResponse {
        /// How long the client is throttled, milliseconds.
        throttle_time_ms: i32 [..] = 0;
        /// As asked; from v1.
        allow_replication_factor_change: bool [1..] = true;
        /// `None` on success.
        error: ErrorCode [..] = ErrorCode::None;
        /// For people.
        error_message: Option<String> [..] null [..] = None;
        /// Per topic.
        topics: Vec<ReassignedTopic> [..] = Vec::new();
    }
}

message! {
    /// One topic.
    pub struct ReassignedTopic {
        /// Name.
        name: String [..] = String::new();
        /// Its partitions.
        partitions: Vec<ReassignedPartition> [..] = Vec::new();
    }
}

message! {
    /// One partition.
    pub struct ReassignedPartition {
        /// Index.
        index: i32 [..] = 0;
        /// `None` on success.
        error: ErrorCode [..] = ErrorCode::None;
        /// For people.
        error_message: Option<String> [..] null [..] = None;
    }
}

message! {
    /// Which partitions.
    pub struct ListPartitionReassignmentsRequest {
        /// How long the client waits, milliseconds.
        timeout_ms: i32 [..] = 60_000;
        /// Topics, null = all.
        topics: Option<Vec<ListedTopic>> [..] null [..] = None;
    }
}

message! {
    /// One topic.
    pub struct ListedTopic {
        /// Name.
        name: String [..] = String::new();
        /// Indexes.
        partitions: Vec<i32> [..] = Vec::new();
    }
}

message! {
    /// What is under way.
    pub struct ListPartitionReassignmentsResponse {
        /// How long the client is throttled, milliseconds.
        throttle_time_ms: i32 [..] = 0;
        /// `None` on success.
        error: ErrorCode [..] = ErrorCode::None;
        /// For people.
        error_message: Option<String> [..] null [..] = None;
        /// Per topic.
        topics: Vec<OngoingTopic> [..] = Vec::new();
    }
}

message! {
    /// One topic.
    pub struct OngoingTopic {
        /// Name.
        name: String [..] = String::new();
        /// Its partitions that move.
        partitions: Vec<OngoingPartition> [..] = Vec::new();
    }
}

message! {
    /// One partition that moves.
    pub struct OngoingPartition {
        /// Index.
        index: i32 [..] = 0;
        /// All brokers.
        replicas: Vec<i32> [..] = Vec::new();
        /// Of these, new ones.
        adding: Vec<i32> [..] = Vec::new();
        /// Of these, leaving ones.
        removing: Vec<i32> [..] = Vec::new();
    }
}

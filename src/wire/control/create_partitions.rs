//! CreatePartitions.

use crate::wire::error::ErrorCode;
use crate::wire::message::{api, message};

api! {
    /// Key 37, v0 to v3.
    CreatePartitions: CreatePartitionsRequest => CreatePartitionsResponse
}

message! {
    /// Topics to widen.
    pub struct CreatePartitionsRequest {
        /// Per topic.
        topics: Vec<CreatePartitionsTopic> [..] = Vec::new();
        /// How long the client waits, milliseconds.
        timeout_ms: i32 [..] = 0;
        /// Only check.
        validate_only: bool [..] = false;
    }
}

message! {
    /// One topic.
    pub struct CreatePartitionsTopic {
        /// Name.
        name: String [..] = String::new();
        /// Wanted number of partitions altogether.
        count: i32 [..] = 0;
        /// Replicas of the new partitions; null = the broker chooses.
        assignments: Option<Vec<CreatePartitionsAssignment>> [..] null [..] = None;
    }
}

message! {
    /// Replicas of one new partition.
    pub struct CreatePartitionsAssignment {
        /// Brokers, preferred leader first.
        broker_ids: Vec<i32> [..] = Vec::new();
    }
}

message! {
    /// How it went.
    pub struct CreatePartitionsResponse {
        /// How long the client is throttled, milliseconds.
        throttle_time_ms: i32 [..] = 0;
        /// One for every topic of the request.
        results: Vec<CreatePartitionsTopicResult> [..] = Vec::new();
    }
}

message! {
    /// One topic.
    pub struct CreatePartitionsTopicResult {
        /// Name.
        name: String [..] = String::new();
        /// `None` on success.
        error: ErrorCode [..] = ErrorCode::None;
        /// For people.
        error_message: Option<String> [..] null [..] = None;
    }
}

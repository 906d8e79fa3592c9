//! CreateTopics.

use crate::base::ids::TopicId;
use crate::wire::error::ErrorCode;
use crate::wire::message::{api, message};

api! {
    /// Key 19, v2 to v7.
    CreateTopics: CreateTopicsRequest => CreateTopicsResponse
}

message! {
    /// Topics to create.
    pub struct CreateTopicsRequest {
        /// What.
        topics: Vec<CreatableTopic> [..] = Vec::new();
        /// How long the client waits, milliseconds.
        timeout_ms: i32 [..] = 60_000;
        /// Only check.
        validate_only: bool [1..] = false;
    }
}

message! {
    /// One topic.
    pub struct CreatableTopic {
        /// Name, unchecked.
        name: String [..] = String::new();
        /// -1 = broker default, or given by `assignments`.
        num_partitions: i32 [..] = -1;
        /// -1 = broker default, or given by `assignments`.
        replication_factor: i16 [..] = -1;
        /// Manual assignment; empty = the broker chooses.
        assignments: Vec<CreatableReplicaAssignment> [..] = Vec::new();
        /// Overrides.
        configs: Vec<CreatableTopicConfig> [..] = Vec::new();
    }
}

message! {
    /// Replicas of one partition.
    pub struct CreatableReplicaAssignment {
        /// Partition index.
        index: i32 [..] = 0;
        /// Brokers, preferred leader first.
        broker_ids: Vec<i32> [..] = Vec::new();
    }
}

message! {
    /// One override.
    pub struct CreatableTopicConfig {
        /// Key.
        name: String [..] = String::new();
        /// Value.
        value: Option<String> [..] null [..] = None;
    }
}

message! {
    /// How it went.
    pub struct CreateTopicsResponse {
        /// How long the client is throttled, milliseconds.
        throttle_time_ms: i32 [2..] = 0;
        /// Per topic.
        topics: Vec<CreatableTopicResult> [..] = Vec::new();
    }
}

message! {
    /// One topic.
    pub struct CreatableTopicResult {
        /// Name.
        name: String [..] = String::new();
        /// Id, from v7.
        topic_id: TopicId [7..] = TopicId::ZERO;
        /// `None` on success.
        error: ErrorCode [..] = ErrorCode::None;
        /// For people.
        error_message: Option<String> [1..] null [..] = None;
        /// Actual count, -1 = not known; from v5.
        num_partitions: i32 [5..] = -1;
        /// Actual factor, -1 = not known; from v5.
        replication_factor: i16 [5..] = -1;
        /// All configurations with their sources; null = not allowed to see them or an error. From v5.
        configs: Option<Vec<CreatableTopicConfigs>> [5..] null [5..] = None;
    }
    tags {
        /// Why `configs` is null although the topic was created; from v5.
        0 => topic_config_error: ErrorCode [5..] = ErrorCode::None;
    }
}

message! {
    /// One configuration of the new topic.
    pub struct CreatableTopicConfigs {
        /// Key.
        name: String [5..] = String::new();
        /// Value, null when sensitive.
        value: Option<String> [5..] null [5..] = None;
        /// Cannot be changed.
        read_only: bool [5..] = false;
        /// See [`config_source`](super::config_source), -1 = unknown.
        config_source: i8 [5..] = -1;
        /// Secret.
        is_sensitive: bool [5..] = false;
    }
}

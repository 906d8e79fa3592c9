//! DescribeTopicPartitions: topics page by page (KIP-966).

use super::OPERATIONS_NOT_REQUESTED;
use crate::base::ids::TopicId;
use crate::wire::error::ErrorCode;
use crate::wire::message::{api, message, nullable_struct};

api! {
    /// Key 75, v0.
    DescribeTopicPartitions: DescribeTopicPartitionsRequest => DescribeTopicPartitionsResponse
}

message! {
    /// Which topics.
    pub struct DescribeTopicPartitionsRequest {
        /// Topics; none = all.
        topics: Vec<TopicRequest> [..] = Vec::new();
        /// Partitions wanted in one answer.
        response_partition_limit: i32 [..] = 2000;
        /// Where the last answer stopped, null = from the start.
        cursor: Option<Cursor> [..] null [..] = None;
    }
}

message! {
    /// One topic.
    pub struct TopicRequest {
        /// Name.
        name: String [..] = String::new();
    }
}

message! {
    /// The first partition not yet described.
    pub struct Cursor {
        /// Topic.
        topic_name: String [..] = String::new();
        /// Partition index.
        partition_index: i32 [..] = 0;
    }
}
nullable_struct!(Cursor);

message! {
    /// A page of topics.
    pub struct DescribeTopicPartitionsResponse {
        /// How long the client is throttled, milliseconds.
        throttle_time_ms: i32 [..] = 0;
        /// Topics in the order of their names.
        topics: Vec<DescribedTopic> [..] = Vec::new();
        /// Where the next page starts, null = this was the last.
        next_cursor: Option<Cursor> [..] null [..] = None;
    }
}

message! {
    /// One topic.
    pub struct DescribedTopic {
        /// `None` when fine.
        error: ErrorCode [..] = ErrorCode::None;
        /// Name.
        name: Option<String> [..] null [..] = None;
        /// Id.
        topic_id: TopicId [..] = TopicId::ZERO;
        /// Used by the broker itself.
        is_internal: bool [..] = false;
        /// Partitions.
        partitions: Vec<DescribedPartition> [..] = Vec::new();
        /// Bit field.
        authorized_operations: i32 [..] = OPERATIONS_NOT_REQUESTED;
    }
}

message! {
    /// One partition.
    pub struct DescribedPartition {
        /// `None`, or e.g. LEADER_NOT_AVAILABLE.
        error: ErrorCode [..] = ErrorCode::None;
        /// Partition index.
        index: i32 [..] = 0;
        /// Leader, -1 = none.
        leader_id: i32 [..] = -1;
        /// Leader epoch.
        leader_epoch: i32 [..] = -1;
        /// All replicas.
        replicas: Vec<i32> [..] = Vec::new();
        /// In-sync replicas.
        in_sync: Vec<i32> [..] = Vec::new();
        /// Replicas out of sync that may still be elected.
        eligible_leaders: Option<Vec<i32>> [..] null [..] = None;
        /// Last such replicas known.
        last_known_eligible: Option<Vec<i32>> [..] null [..] = None;
        /// Replicas on dead brokers.
        offline: Vec<i32> [..] = Vec::new();
    }
}

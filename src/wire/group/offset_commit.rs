//! OffsetCommit: how far a group has got in its partitions.

use crate::base::ids::TopicId;
use crate::wire::error::ErrorCode;
use crate::wire::message::{api, message};

api! {
    /// Key 8, v2 to v10.
    OffsetCommit: OffsetCommitRequest => OffsetCommitResponse
}

message! {
    /// What a member, or a consumer without group, commits.
    pub struct OffsetCommitRequest {
        /// Group.
        group_id: String [..] = String::new();
        /// Generation of a classic group, epoch of a consumer group's member (v9), -1 = not a member.
        generation_or_member_epoch: i32 [..] = -1;
        /// Empty = not a member.
        member_id: String [..] = String::new();
        /// Static members, from v7.
        group_instance_id: Option<String> [7..] null [7..] = None;
        /// How long to keep the offsets, milliseconds, -1 = as the broker does; v2 to v4.
        retention_time_ms: i64 [..=4] = -1;
        /// Topics.
        topics: Vec<OffsetCommitTopic> [..] = Vec::new();
    }
}

message! {
    /// Offsets of one topic.
    pub struct OffsetCommitTopic {
        /// Name, to v9.
        name: String [..=9] = String::new();
        /// Id, from v10.
        topic_id: TopicId [10..] = TopicId::ZERO;
        /// Partitions.
        partitions: Vec<OffsetCommitPartition> [..] = Vec::new();
    }
}

message! {
    /// Offset of one partition.
    pub struct OffsetCommitPartition {
        /// Partition index.
        index: i32 [..] = 0;
        /// The next offset to read.
        offset: i64 [..] = 0;
        /// Leader epoch of the last record read, -1 = not known; from v6.
        leader_epoch: i32 [6..] = -1;
        /// Anything the client wants to keep.
        metadata: Option<String> [..] null [..] = None;
    }
}

message! {
    /// How it went.
    pub struct OffsetCommitResponse {
        /// How long the client is throttled, milliseconds; from v3.
        throttle_time_ms: i32 [3..] = 0;
        /// Topics as in the request.
        topics: Vec<OffsetCommitTopicResult> [..] = Vec::new();
    }
}

message! {
    /// One topic.
    pub struct OffsetCommitTopicResult {
        /// Name, to v9.
        name: String [..=9] = String::new();
        /// Id, from v10.
        topic_id: TopicId [10..] = TopicId::ZERO;
        /// Partitions.
        partitions: Vec<OffsetCommitPartitionResult> [..] = Vec::new();
    }
}

message! {
    /// One partition.
    pub struct OffsetCommitPartitionResult {
        /// Partition index.
        index: i32 [..] = 0;
        /// `None` when committed.
        error: ErrorCode [..] = ErrorCode::None;
    }
}

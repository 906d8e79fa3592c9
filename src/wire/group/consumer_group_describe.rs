//! ConsumerGroupDescribe: state and members of consumer groups (KIP-848).

use crate::base::ids::TopicId;
use crate::wire::control::OPERATIONS_NOT_REQUESTED;
use crate::wire::error::ErrorCode;
use crate::wire::message::{api, message};

api! {
    /// Key 69, v0 to v1.
    ConsumerGroupDescribe: ConsumerGroupDescribeRequest => ConsumerGroupDescribeResponse
}

/// By which protocol a member takes part (KIP-1099).
pub mod member_type {
    /// Not known.
    pub const UNKNOWN: i8 = -1;
    /// JoinGroup and SyncGroup.
    pub const CLASSIC: i8 = 0;
    /// ConsumerGroupHeartbeat.
    pub const CONSUMER: i8 = 1;
}

message! {
    /// Which groups.
    pub struct ConsumerGroupDescribeRequest {
        /// Group ids.
        group_ids: Vec<String> [..] = Vec::new();
        /// Whether the bit fields are wanted.
        include_authorized_operations: bool [..] = false;
    }
}

message! {
    /// The groups.
    pub struct ConsumerGroupDescribeResponse {
        /// How long the client is throttled, milliseconds.
        throttle_time_ms: i32 [..] = 0;
        /// Per group asked for.
        groups: Vec<DescribedConsumerGroup> [..] = Vec::new();
    }
}

message! {
    /// One group.
    pub struct DescribedConsumerGroup {
        /// `None` when fine; GROUP_ID_NOT_FOUND also for classic groups.
        error: ErrorCode [..] = ErrorCode::None;
        /// For people.
        error_message: Option<String> [..] null [..] = None;
        /// Group.
        group_id: String [..] = String::new();
        /// Kafka's name of the state, empty on errors.
        state: String [..] = String::new();
        /// Grows when the target assignment has to be computed anew.
        epoch: i32 [..] = 0;
        /// Epoch of the target assignment.
        assignment_epoch: i32 [..] = 0;
        /// How the broker assigns.
        assignor_name: String [..] = String::new();
        /// Members.
        members: Vec<DescribedConsumerGroupMember> [..] = Vec::new();
        /// Bit field.
        authorized_operations: i32 [..] = OPERATIONS_NOT_REQUESTED;
    }
}

message! {
    /// One member.
    pub struct DescribedConsumerGroupMember {
        /// Member.
        member_id: String [..] = String::new();
        /// Static members.
        instance_id: Option<String> [..] null [..] = None;
        /// Rack.
        rack_id: Option<String> [..] null [..] = None;
        /// Epoch.
        epoch: i32 [..] = 0;
        /// As in the header of its heartbeats.
        client_id: String [..] = String::new();
        /// Where it is connected from.
        client_host: String [..] = String::new();
        /// Topics subscribed.
        subscribed_topic_names: Vec<String> [..] = Vec::new();
        /// Topics subscribed by a regular expression.
        subscribed_topic_regex: Option<String> [..] null [..] = None;
        /// What it has.
        assignment: DescribedAssignment [..] = DescribedAssignment::default();
        /// What it will have.
        target_assignment: DescribedAssignment [..] = DescribedAssignment::default();
        /// See [`member_type`]; from v1.
        member_type: i8 [1..] = member_type::UNKNOWN;
    }
}

message! {
    /// Partitions of a member.
    pub struct DescribedAssignment {
        /// Partitions.
        topic_partitions: Vec<DescribedTopicPartitions> [..] = Vec::new();
    }
}

message! {
    /// Partitions of one topic.
    pub struct DescribedTopicPartitions {
        /// Topic.
        topic_id: TopicId [..] = TopicId::ZERO;
        /// Its name.
        topic_name: String [..] = String::new();
        /// Partition indexes.
        partitions: Vec<i32> [..] = Vec::new();
    }
}

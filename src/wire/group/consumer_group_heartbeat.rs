//! ConsumerGroupHeartbeat: joining, staying in and leaving a consumer group (KIP-848).

use crate::base::ids::TopicId;
use crate::wire::error::ErrorCode;
use crate::wire::message::{api, message, nullable_struct};

api! {
    /// Key 68, v0 to v1.
    ConsumerGroupHeartbeat: ConsumerGroupHeartbeatRequest => ConsumerGroupHeartbeatResponse
}

/// Values of `member_epoch` that are no epochs.
pub mod member_epoch {
    /// Joins.
    pub const JOIN: i32 = 0;
    /// Leaves.
    pub const LEAVE: i32 = -1;
    /// A static member leaves and will be back.
    pub const LEAVE_STATIC: i32 = -2;
}

message! {
    /// A member's state; what is null or -1 has not changed since the last heartbeat.
    pub struct ConsumerGroupHeartbeatRequest {
        /// Group.
        group_id: String [..] = String::new();
        /// Made by the client from v1 (KIP-1082); in v0 empty in the first heartbeat.
        member_id: String [..] = String::new();
        /// Epoch, or one of [`member_epoch`].
        member_epoch: i32 [..] = 0;
        /// Static members.
        instance_id: Option<String> [..] null [..] = None;
        /// Rack.
        rack_id: Option<String> [..] null [..] = None;
        /// How long the group waits for this member to give partitions up, milliseconds.
        rebalance_timeout_ms: i32 [..] = -1;
        /// Topics subscribed.
        subscribed_topic_names: Option<Vec<String>> [..] null [..] = None;
        /// Topics subscribed by a regular expression of RE2; from v1.
        subscribed_topic_regex: Option<String> [1..] null [1..] = None;
        /// How the broker assigns.
        server_assignor: Option<String> [..] null [..] = None;
        /// Partitions the member owns.
        topic_partitions: Option<Vec<TopicPartitions>> [..] null [..] = None;
    }
}

message! {
    /// Partitions of one topic.
    #[derive(Eq)]
    pub struct TopicPartitions {
        /// Topic.
        topic_id: TopicId [..] = TopicId::ZERO;
        /// Partition indexes.
        partitions: Vec<i32> [..] = Vec::new();
    }
}

message! {
    /// What the member is to do.
    pub struct ConsumerGroupHeartbeatResponse {
        /// How long the client is throttled, milliseconds.
        throttle_time_ms: i32 [..] = 0;
        /// `None` when fine.
        error: ErrorCode [..] = ErrorCode::None;
        /// For people.
        error_message: Option<String> [..] null [..] = None;
        /// Null on errors.
        member_id: Option<String> [..] null [..] = None;
        /// Epoch.
        member_epoch: i32 [..] = 0;
        /// When the next heartbeat is due, milliseconds.
        heartbeat_interval_ms: i32 [..] = 0;
        /// Null = unchanged.
        assignment: Option<HeartbeatAssignment> [..] null [..] = None;
    }
}

message! {
    /// Partitions the member may use now.
    pub struct HeartbeatAssignment {
        /// Partitions.
        topic_partitions: Vec<TopicPartitions> [..] = Vec::new();
    }
}
nullable_struct!(HeartbeatAssignment);

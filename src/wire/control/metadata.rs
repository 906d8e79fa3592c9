//! Metadata: brokers, topics, partitions and their leaders.

use super::OPERATIONS_NOT_REQUESTED;
use crate::base::ids::TopicId;
use crate::wire::error::ErrorCode;
use crate::wire::message::{api, message};

api! {
    /// Key 3, v0 to v13.
    Metadata: MetadataRequest => MetadataResponse
}

/// Which topics a request asks for; the meaning of an empty list depends on the version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wanted<'a> {
    /// All topics: null, or an empty list in v0.
    All,
    /// These, possibly none.
    Listed(&'a [MetadataRequestTopic]),
}

message! {
    /// What a client wants to know.
    pub struct MetadataRequest {
        /// Topics as sent; see [`MetadataRequest::wanted`].
        topics: Option<Vec<MetadataRequestTopic>> [..] null [1..] = None;
        /// Whether unknown topics may be created; always true before v4.
        allow_auto_topic_creation: bool [4..] = true;
        /// v8 to v10.
        include_cluster_authorized_operations: bool [8..=10] = false;
        /// From v8.
        include_topic_authorized_operations: bool [8..] = false;
    }
}

message! {
    /// One topic asked for, by name or (from v12) by id.
    #[derive(Eq)]
    pub struct MetadataRequestTopic {
        /// Zero = by name; from v10, though only v12 and above may ask by id.
        topic_id: TopicId [10..] = TopicId::ZERO;
        /// `None` = by id.
        name: Option<String> [..] null [10..] = None;
    }
}

impl MetadataRequest {
    /// Which topics are asked for.
    pub fn wanted(&self, version: i16) -> Wanted<'_> {
        match self.topics.as_deref() {
            None => Wanted::All,
            Some([]) if version == 0 => Wanted::All,
            Some(topics) => Wanted::Listed(topics),
        }
    }
}

message! {
    /// The cluster as clients see it.
    pub struct MetadataResponse {
        /// How long the client is throttled, milliseconds; from v3.
        throttle_time_ms: i32 [3..] = 0;
        /// Live brokers.
        brokers: Vec<MetadataBroker> [..] = Vec::new();
        /// From v2.
        cluster_id: Option<String> [2..] null [2..] = None;
        /// A broker that takes admin requests, -1 = unknown; from v1.
        controller_id: i32 [1..] = -1;
        /// Topics.
        topics: Vec<MetadataTopic> [..] = Vec::new();
        /// Bit field, v8 to v10.
        cluster_authorized_operations: i32 [8..=10] = OPERATIONS_NOT_REQUESTED;
        /// About the whole request, from v13.
        error: ErrorCode [13..] = ErrorCode::None;
    }
}

message! {
    /// A live broker.
    pub struct MetadataBroker {
        /// Broker id.
        node_id: i32 [..] = 0;
        /// Host that clients can reach.
        host: String [..] = String::new();
        /// Port.
        port: i32 [..] = 0;
        /// Rack, from v1.
        rack: Option<String> [1..] null [1..] = None;
    }
}

message! {
    /// A topic, or why it cannot be shown.
    pub struct MetadataTopic {
        /// `None` when fine.
        error: ErrorCode [..] = ErrorCode::None;
        /// Name; null only when an unknown id was asked for.
        name: Option<String> [..] null [12..] = None;
        /// Id, from v10.
        topic_id: TopicId [10..] = TopicId::ZERO;
        /// Used by the broker itself; from v1.
        is_internal: bool [1..] = false;
        /// Partitions.
        partitions: Vec<MetadataPartition> [..] = Vec::new();
        /// Bit field, from v8.
        authorized_operations: i32 [8..] = OPERATIONS_NOT_REQUESTED;
    }
}

message! {
    /// A partition and its replicas.
    pub struct MetadataPartition {
        /// `None`, or e.g. LEADER_NOT_AVAILABLE.
        error: ErrorCode [..] = ErrorCode::None;
        /// Partition index.
        index: i32 [..] = 0;
        /// Leader, -1 = none.
        leader_id: i32 [..] = -1;
        /// From v7.
        leader_epoch: i32 [7..] = -1;
        /// All replicas.
        replicas: Vec<i32> [..] = Vec::new();
        /// In-sync replicas.
        in_sync: Vec<i32> [..] = Vec::new();
        /// Replicas on dead brokers, from v5.
        offline: Vec<i32> [5..] = Vec::new();
    }
}

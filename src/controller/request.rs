//! What can be asked of the controller. Answers leave when the change is durable and prepared on all shards.

use crate::wire::error::ErrorCode;
use std::collections::BTreeMap;

/// A change of metadata, already decoded and authorised.
#[derive(Debug)]
pub enum ControllerRequest {
    /// Create topics.
    CreateTopics {
        /// What.
        topics: Vec<NewTopic>,
        /// Only check.
        validate_only: bool,
    },
    /// Reserve a block of producer ids for the asking shard.
    ProducerIds {
        /// How many.
        count: u32,
    },
}

/// A topic to create.
#[derive(Clone, Debug)]
pub struct NewTopic {
    /// Name, unchecked.
    pub name: String,
    /// -1 = broker default.
    pub partitions: i32,
    /// -1 = broker default.
    pub replication_factor: i16,
    /// Manual assignment (partition, brokers); empty = the broker chooses.
    pub assignments: Vec<(i32, Vec<i32>)>,
    /// Overrides.
    pub configs: BTreeMap<String, Option<String>>,
}

/// How it ended.
#[derive(Debug)]
pub enum ControllerReply {
    /// Per topic of the request, in order: error and message.
    Topics(Vec<(ErrorCode, Option<String>)>),
    /// First id of the block.
    ProducerIds {
        /// First id.
        first: i64,
        /// How many.
        count: u32,
    },
}

//! What can be asked of the controller. Answers leave when the change is durable and prepared on all shards.

use crate::base::ids::TopicId;
use crate::controller::image::Topic;
use crate::controller::quotas::QuotaChange;
use crate::controller::scram::ScramChange;
use crate::wire::error::ErrorCode;
use std::collections::BTreeMap;
use std::sync::Arc;

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
    /// Delete topics.
    DeleteTopics {
        /// Which.
        topics: Vec<TopicRef>,
    },
    /// Grow topics.
    CreatePartitions {
        /// What.
        topics: Vec<NewPartitions>,
        /// Only check.
        validate_only: bool,
    },
    /// Change topic or broker configs.
    AlterConfigs {
        /// What.
        resources: Vec<ConfigChange>,
        /// Only check.
        validate_only: bool,
    },
    /// Change quotas of clients.
    AlterQuotas {
        /// What.
        changes: Vec<QuotaChange>,
        /// Only check.
        validate_only: bool,
    },
    /// Change credentials of users.
    AlterScram {
        /// What.
        changes: Vec<ScramChange>,
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

/// A topic named by a client: by name or by id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TopicRef {
    /// Name, when given.
    pub name: Option<String>,
    /// Id; zero = not given.
    pub id: TopicId,
}

/// A topic to grow.
#[derive(Clone, Debug)]
pub struct NewPartitions {
    /// Name, unchecked.
    pub name: String,
    /// Partitions wanted in all.
    pub count: i32,
    /// Brokers of each new partition; `None` = the broker chooses.
    pub assignments: Option<Vec<Vec<i32>>>,
}

/// A change of one resource's configs.
#[derive(Clone, Debug)]
pub struct ConfigChange {
    /// Kafka's resource type: 2 topic, 4 broker.
    pub resource_type: i8,
    /// Topic name or broker id ("" = all brokers).
    pub name: String,
    /// True: keys not named go back to default (AlterConfigs). False: only the named change (KIP-339).
    pub replace: bool,
    /// The changes.
    pub ops: Vec<ConfigOp>,
}

/// One change of a key.
#[derive(Clone, Debug)]
pub struct ConfigOp {
    /// The key, unchecked.
    pub key: String,
    /// The value, if any.
    pub value: Option<String>,
    /// 0 set, 1 delete, 2 append, 3 subtract; others are refused.
    pub op: i8,
}

/// How one part of a request ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// `None` when fine.
    pub error: ErrorCode,
    /// For humans.
    pub message: Option<String>,
}

impl Outcome {
    /// Success.
    pub fn fine() -> Self {
        Outcome {
            error: ErrorCode::None,
            message: None,
        }
    }
    /// A refusal.
    pub fn refused(error: ErrorCode, message: impl Into<String>) -> Self {
        Outcome {
            error,
            message: Some(message.into()),
        }
    }
}

/// How the request ended; one entry per part, in the order asked.
#[derive(Debug)]
pub enum ControllerReply {
    /// To `CreateTopics`: with the topic as it is now, or would be with `validate_only`.
    Created(Vec<(Outcome, Option<Arc<Topic>>)>),
    /// To `DeleteTopics`: with the name and id of the deleted topic as far as known.
    Deleted(Vec<(Outcome, TopicRef)>),
    /// To `CreatePartitions`.
    Grown(Vec<Outcome>),
    /// To `AlterConfigs`.
    Altered(Vec<Outcome>),
    /// To `AlterQuotas`.
    QuotasAltered(Vec<Outcome>),
    /// To `AlterScram`: one per user, in the order they were first named.
    ScramAltered(Vec<(String, Outcome)>),
    /// To `ProducerIds`.
    ProducerIds {
        /// First id.
        first: i64,
        /// How many.
        count: u32,
    },
}

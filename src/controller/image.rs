//! The cluster's metadata as one immutable value; a new version replaces the old at a definite point.

use crate::base::ids::{PartitionId, ShardId, TopicId};
use crate::controller::quotas::Quotas;
use crate::controller::scram::Scram;
use std::collections::BTreeMap;
use std::sync::Arc;

/// All metadata at one version.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// Grows by one with each change.
    pub version: u64,
    /// Stable over restarts.
    pub cluster_id: String,
    /// This broker's id.
    pub node_id: i32,
    /// What clients connect to.
    pub advertised_host: String,
    /// What clients connect to.
    pub advertised_port: u16,
    /// `broker.rack`, if set.
    pub rack: Option<String>,
    /// Number of shards that partitions are placed on.
    pub shard_count: u16,
    /// Topics by id.
    pub topics: BTreeMap<TopicId, Arc<Topic>>,
    /// Topic ids by name.
    pub names: BTreeMap<String, TopicId>,
    /// Dynamic broker configs (AlterConfigs on BROKER), by resource name ("" = cluster default).
    pub broker_configs: BTreeMap<String, BTreeMap<String, String>>,
    /// Broker configs from file, environment and command line, by Kafka's names. Given at each start, not stored.
    pub static_configs: Arc<BTreeMap<String, String>>,
    /// Where partitions lie, absolute path. Given at each start, not stored.
    pub data_dir: String,
    /// Quotas of clients.
    pub quotas: Arc<Quotas>,
    /// Credentials of users.
    pub scram: Arc<Scram>,
    /// First producer id not yet reserved.
    pub next_producer_id: i64,
    /// Partitions placed so far; the next one goes to shard `next_placement % shard_count`.
    pub next_placement: u64,
}

/// A broker as clients see it. One per node today; one per shard in lane mode.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broker {
    /// Broker id.
    pub id: i32,
    /// What clients connect to.
    pub host: String,
    /// What clients connect to.
    pub port: u16,
    /// `broker.rack`, if set.
    pub rack: Option<String>,
}

impl Image {
    /// A topic by name.
    pub fn topic(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topics.get(self.names.get(name)?)
    }
    /// The shard that owns a partition.
    pub fn owner(&self, partition: PartitionId) -> Option<ShardId> {
        let topic = self.topics.get(&partition.topic)?;
        topic.partitions.get(partition.partition as usize).map(|p| p.shard)
    }
    /// All brokers that clients may connect to.
    pub fn brokers(&self) -> Vec<Broker> {
        vec![Broker {
            id: self.node_id,
            host: self.advertised_host.clone(),
            port: self.advertised_port,
            rack: self.rack.clone(),
        }]
    }
    /// Broker id of a partition's leader.
    pub fn leader(&self, _partition: &PartitionMeta) -> i32 {
        self.node_id
    }
    /// A broker that serves changes of metadata.
    pub fn controller(&self) -> i32 {
        self.node_id
    }
}

/// One topic.
#[derive(Clone, Debug)]
pub struct Topic {
    /// Identity.
    pub id: TopicId,
    /// Name, legal by Kafka's rules.
    pub name: String,
    /// By index.
    pub partitions: Vec<PartitionMeta>,
    /// Overrides as given, by key (`retention.ms` ...).
    pub overrides: BTreeMap<String, String>,
    /// Effective values that partitions need.
    pub config: TopicConfig,
}

impl Topic {
    /// True for the broker's own topics (`Topic.isInternal` of Kafka).
    pub fn is_internal(&self) -> bool {
        is_internal_name(&self.name)
    }
}

/// Name of the internal topic that holds committed offsets and groups.
pub const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// True for names of the broker's own topics.
pub fn is_internal_name(name: &str) -> bool {
    matches!(name, OFFSETS_TOPIC | "__transaction_state")
}

/// One partition's place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PartitionMeta {
    /// Owner on this node.
    pub shard: ShardId,
    /// Never goes down.
    pub leader_epoch: i32,
}

/// Which timestamp a batch carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimestampType {
    /// The client's.
    CreateTime,
    /// The broker's at append.
    LogAppendTime,
}

/// Effective topic configuration (topic override, else dynamic or static broker default, else Kafka's default).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TopicConfig {
    /// `retention.ms`; -1 = for ever.
    pub retention_ms: i64,
    /// `retention.bytes` per partition; -1 = unlimited.
    pub retention_bytes: i64,
    /// `segment.bytes`.
    pub segment_bytes: u64,
    /// `segment.ms`.
    pub segment_ms: i64,
    /// `max.message.bytes`: largest stored batch.
    pub max_message_bytes: u32,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`.
    pub timestamp_after_max_ms: i64,
    /// `compression.type`: `None` = producer's; else the wire codec id 0-4 to store with.
    pub compression: Option<u8>,
    /// `cleanup.policy` contains `delete`.
    pub cleanup_delete: bool,
    /// `cleanup.policy` contains `compact`: records need keys.
    pub cleanup_compact: bool,
    /// `delete.retention.ms`.
    pub delete_retention_ms: i64,
    /// `min.compaction.lag.ms`.
    pub min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`.
    pub max_compaction_lag_ms: i64,
    /// `min.cleanable.dirty.ratio` in millionths.
    pub min_cleanable_ppm: u32,
    /// `file.delete.delay.ms`.
    pub file_delete_delay_ms: i64,
}

impl Default for TopicConfig {
    fn default() -> Self {
        TopicConfig {
            retention_ms: 604_800_000,
            retention_bytes: -1,
            segment_bytes: 1 << 30,
            segment_ms: 604_800_000,
            max_message_bytes: 1_048_588,
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 3_600_000,
            compression: None,
            cleanup_delete: true,
            cleanup_compact: false,
            delete_retention_ms: 86_400_000,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
            min_cleanable_ppm: 500_000,
            file_delete_delay_ms: 60_000,
        }
    }
}

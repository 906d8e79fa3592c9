//! The controller: plans changes of metadata as records and applies records.
//!
//! Two images: `planned` has all records that were ever planned, `applied` those that were replayed (durable). Every request
//! is planned against `planned`, so requests need no queue: the shard appends the records of each plan in order, replays
//! them in that order when durable, and lets the reply leave once an image of at least [`Planned::version`] is published on
//! all shards. A failed journal write stops the node, so a plan is never taken back. Must not know: the wire, the journal.

use crate::base::ids::{ShardId, TopicId};
use crate::controller::configs::resolve;
use crate::controller::image::{Image, PartitionMeta, Topic};
use crate::controller::names::collision_key;
use crate::controller::quotas;
use crate::controller::record::{MetaRecord, Pairs};
use crate::controller::request::{ControllerReply, ControllerRequest};
use crate::controller::scram::{self, ScramCredential};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most partitions one request may create, as in Kafka.
pub const REQUEST_PARTITIONS_MAX: usize = 10_000;

/// What is given to the controller at each start.
#[derive(Clone, Debug)]
pub struct ControllerConfig {
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
    /// Where partitions lie, absolute path.
    pub data_dir: String,
    /// Number of shards to place partitions on, at least 1.
    pub shard_count: u16,
    /// Broker configs from file, environment and command line, by Kafka's names (`num.partitions`, `log.retention.ms` ...).
    pub static_configs: BTreeMap<String, String>,
    /// Seed of topic ids; different at each start.
    pub seed: u64,
    /// Most partitions on this node; more are refused with POLICY_VIOLATION.
    pub partitions_max: usize,
    /// Largest batch that a journal file of any shard can hold, bytes; `max.message.bytes` above it is refused.
    pub batch_bytes_max: u64,
}

impl Default for ControllerConfig {
    fn default() -> Self {
        ControllerConfig {
            cluster_id: "ringlog".into(),
            node_id: 1,
            advertised_host: "127.0.0.1".into(),
            advertised_port: 9092,
            rack: None,
            data_dir: "/ringlog-data".into(),
            shard_count: 1,
            static_configs: BTreeMap::new(),
            seed: 0,
            partitions_max: 200_000,
            batch_bytes_max: u64::MAX,
        }
    }
}

/// What a request amounts to.
#[derive(Debug)]
pub struct Planned {
    /// To append in this order, before the records of any later plan; may be empty.
    pub records: Vec<MetaRecord>,
    /// The answer; leaves once an image of at least `version` is published.
    pub reply: ControllerReply,
    /// Version of the image that shows everything the answer speaks of.
    pub version: u64,
}

/// The metadata machine of the node. Lives on shard 0.
pub struct Controller {
    pub(super) planned: State,
    applied: State,
    pub(super) config: ControllerConfig,
    seed: u64,
}

/// An image with what is derived from it.
pub(super) struct State {
    pub image: Arc<Image>,
    /// Topic names by their form with `.` as `_`.
    pub collisions: BTreeMap<String, String>,
    pub partition_count: usize,
}

impl Controller {
    /// Takes over the stored `image` (or a default one) and what is given at this start. Partitions are placed anew when the
    /// number of shards has changed.
    pub fn new(mut image: Image, config: ControllerConfig) -> Controller {
        image.cluster_id = config.cluster_id.clone();
        image.node_id = config.node_id;
        image.advertised_host = config.advertised_host.clone();
        image.advertised_port = config.advertised_port;
        image.rack = config.rack.clone();
        image.data_dir = config.data_dir.clone();
        image.static_configs = Arc::new(config.static_configs.clone());
        if image.shard_count != config.shard_count {
            image.shard_count = config.shard_count.max(1);
            place_all(&mut image);
        }
        derive_configs(&mut image);
        let seed = config.seed ^ mix(image.version) ^ mix(image.next_producer_id as u64);
        let image = Arc::new(image);
        Controller {
            planned: State::new(image.clone()),
            applied: State::new(image),
            config,
            seed,
        }
    }

    /// Decides a request against all earlier plans. The records are part of every later plan at once; they become visible in
    /// [`image`](Self::image) only through [`replay`](Self::replay).
    pub fn plan(&mut self, request: ControllerRequest) -> Planned {
        let mut records = Vec::new();
        let reply = match request {
            ControllerRequest::CreateTopics { topics, validate_only } => {
                self.plan_create(topics, validate_only, &mut records)
            }
            ControllerRequest::DeleteTopics { topics } => self.plan_delete(topics, &mut records),
            ControllerRequest::CreatePartitions { topics, validate_only } => {
                self.plan_grow(topics, validate_only, &mut records)
            }
            ControllerRequest::AlterConfigs {
                resources,
                validate_only,
            } => self.plan_alter(resources, validate_only, &mut records),
            ControllerRequest::AlterQuotas { changes, validate_only } => {
                self.plan_quotas(changes, validate_only, &mut records)
            }
            ControllerRequest::AlterScram { changes } => self.plan_scram(changes, &mut records),
            ControllerRequest::ProducerIds { count } => self.plan_producer_ids(count, &mut records),
        };
        Planned {
            records,
            reply,
            version: self.planned.image.version,
        }
    }

    /// Applies a durable record. At recovery: every record after the checkpoint, in order; later: every planned record, in order.
    pub fn replay(&mut self, record: &MetaRecord) {
        self.applied.replay(record);
        if self.planned.image.version < self.applied.image.version {
            self.planned.replay(record);
        }
    }

    /// The metadata made of all replayed records.
    pub fn image(&self) -> Arc<Image> {
        self.applied.image.clone()
    }

    /// Adds a record to the plan.
    pub(super) fn propose(&mut self, record: MetaRecord, records: &mut Vec<MetaRecord>) {
        self.planned.replay(&record);
        records.push(record);
    }

    /// A new topic id: random, not zero, not in use, and not beginning with `-` in its text form (KIP-516).
    pub(super) fn new_topic_id(&mut self) -> TopicId {
        loop {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&self.random().to_be_bytes());
            id[8..].copy_from_slice(&self.random().to_be_bytes());
            id[6] = (id[6] & 0x0f) | 0x40;
            id[8] = (id[8] & 0x3f) | 0x80;
            let first_is_dash = id[0] >> 2 == 62;
            if !first_is_dash && !self.planned.image.topics.contains_key(&TopicId(id)) {
                return TopicId(id);
            }
        }
    }

    /// Owners for `count` new partitions: round robin over all that were ever placed, so topics of one partition spread too.
    pub(super) fn place(&self, count: usize) -> Vec<u16> {
        let image = &self.planned.image;
        let shards = u64::from(image.shard_count.max(1));
        (0..count as u64)
            .map(|n| ((image.next_placement + n) % shards) as u16)
            .collect()
    }

    fn plan_producer_ids(&mut self, count: u32, records: &mut Vec<MetaRecord>) -> ControllerReply {
        let first = self.planned.image.next_producer_id;
        self.propose(
            MetaRecord::ProducerIdsReserved {
                next: first + i64::from(count),
            },
            records,
        );
        ControllerReply::ProducerIds { first, count }
    }

    fn random(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.seed)
    }
}

/// SplitMix64's output function.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl State {
    fn new(image: Arc<Image>) -> State {
        let collisions = image
            .names
            .keys()
            .map(|name| (collision_key(name), name.clone()))
            .collect();
        let partition_count = image.topics.values().map(|topic| topic.partitions.len()).sum();
        State {
            image,
            collisions,
            partition_count,
        }
    }

    fn replay(&mut self, record: &MetaRecord) {
        let image = Arc::make_mut(&mut self.image);
        image.version += 1;
        match record {
            MetaRecord::TopicCreated {
                id,
                name,
                shards,
                overrides,
            } => {
                let overrides: BTreeMap<_, _> = overrides.iter().cloned().collect();
                let config = resolve::topic_config(image, &overrides);
                let id = TopicId(*id);
                let partitions = placed(image, shards);
                self.partition_count += partitions.len();
                self.collisions.insert(collision_key(name), name.clone());
                image.names.insert(name.clone(), id);
                image.topics.insert(
                    id,
                    Arc::new(Topic {
                        id,
                        name: name.clone(),
                        partitions,
                        overrides,
                        config,
                    }),
                );
            }
            MetaRecord::TopicDeleted { id } => {
                if let Some(topic) = image.topics.remove(&TopicId(*id)) {
                    self.partition_count -= topic.partitions.len();
                    self.collisions.remove(&collision_key(&topic.name));
                    image.names.remove(&topic.name);
                }
            }
            MetaRecord::PartitionsAdded { id, shards } => {
                let mut added = placed(image, shards);
                self.partition_count += added.len();
                change_topic(image, *id, |topic| topic.partitions.append(&mut added));
            }
            MetaRecord::TopicConfigs { id, overrides } => {
                let overrides: BTreeMap<_, _> = overrides.iter().cloned().collect();
                let config = resolve::topic_config(image, &overrides);
                change_topic(image, *id, |topic| {
                    topic.overrides = overrides;
                    topic.config = config;
                });
            }
            MetaRecord::BrokerConfigs { name, values } => replay_broker_configs(image, name, values),
            MetaRecord::ClientQuota { entity, values } => {
                quotas::replay(Arc::make_mut(&mut image.quotas), entity, values);
            }
            MetaRecord::ScramSet { .. } | MetaRecord::ScramDeleted { .. } => replay_scram(image, record),
            MetaRecord::ProducerIdsReserved { next } => image.next_producer_id = image.next_producer_id.max(*next),
        }
    }
}

fn replay_scram(image: &mut Image, record: &MetaRecord) {
    let all = Arc::make_mut(&mut image.scram);
    match record {
        MetaRecord::ScramSet {
            user,
            mechanism,
            iterations,
            salt,
            stored_key,
            server_key,
        } => {
            let credential = ScramCredential {
                iterations: *iterations,
                salt: salt.clone(),
                stored_key: stored_key.clone(),
                server_key: server_key.clone(),
            };
            scram::set(all, user, *mechanism, credential);
        }
        MetaRecord::ScramDeleted { user, mechanism } => scram::delete(all, user, *mechanism),
        _ => {}
    }
}

fn replay_broker_configs(image: &mut Image, name: &str, values: &Pairs) {
    if values.is_empty() {
        image.broker_configs.remove(name);
    } else {
        image
            .broker_configs
            .insert(name.to_string(), values.iter().cloned().collect());
    }
    derive_configs(image);
}

fn change_topic(image: &mut Image, id: [u8; 16], change: impl FnOnce(&mut Topic)) {
    if let Some(topic) = image.topics.get_mut(&TopicId(id)) {
        change(Arc::make_mut(topic));
    }
}

/// Places for new partitions; a shard that is no more (records of an earlier start) wraps around.
fn placed(image: &mut Image, shards: &[u16]) -> Vec<PartitionMeta> {
    let count = image.shard_count.max(1);
    image.next_placement += shards.len() as u64;
    shards
        .iter()
        .map(|shard| PartitionMeta {
            shard: ShardId(shard % count),
            leader_epoch: 0,
        })
        .collect()
}

/// Spreads all partitions over the shards anew.
fn place_all(image: &mut Image) {
    let count = u64::from(image.shard_count.max(1));
    let mut next = 0;
    for topic in image.topics.values_mut() {
        for partition in &mut Arc::make_mut(topic).partitions {
            partition.shard = ShardId((next % count) as u16);
            next += 1;
        }
    }
    image.next_placement = next;
}

/// Brings every topic's effective config up to date with the broker's defaults.
fn derive_configs(image: &mut Image) {
    let changed: Vec<_> = image
        .topics
        .values()
        .map(|topic| (topic.id, resolve::topic_config(image, &topic.overrides)))
        .filter(|(id, config)| image.topics.get(id).is_some_and(|topic| topic.config != *config))
        .collect();
    for (id, config) in changed {
        change_topic(image, id.0, |topic| topic.config = config);
    }
}

//! Metadata records: the journal's account of every change, and the image's form in the checkpoint.
//!
//! Bytes are one version byte and an rkyv archive that is checked before use; a damaged or newer one is an error, never a
//! guess. The caller adds the checksum. Must not know: files, the journal's framing.

// rkyv's derive makes public items without documentation; what is written here by hand has it.
#![allow(missing_docs)]

use crate::base::ids::ShardId;
use crate::base::ids::TopicId;
use crate::controller::image::{Image, PartitionMeta, Topic, TopicConfig};
use rkyv::rancor;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Version of the encoding of records and snapshots.
const VERSION: u8 = 1;
/// No counter of the metadata gets this far.
const COUNT_MAX: u64 = 1 << 62;

/// Key and value pairs in key order.
pub type Pairs = Vec<(String, String)>;

/// One change of metadata. Replaying the same records in the same order gives the same image.
#[derive(Clone, PartialEq, Eq, Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]

pub enum MetaRecord {
    /// A topic came into being.
    TopicCreated {
        /// Identity.
        id: [u8; 16],
        /// Name, checked.
        name: String,
        /// Owner of each partition.
        shards: Vec<u16>,
        /// Overrides, checked.
        overrides: Pairs,
    },
    /// A topic is gone with all its partitions.
    TopicDeleted {
        /// Identity.
        id: [u8; 16],
    },
    /// A topic grew.
    PartitionsAdded {
        /// Identity.
        id: [u8; 16],
        /// Owner of each new partition.
        shards: Vec<u16>,
    },
    /// A topic's overrides are now these.
    TopicConfigs {
        /// Identity.
        id: [u8; 16],
        /// All overrides.
        overrides: Pairs,
    },
    /// A broker resource's dynamic configs are now these.
    BrokerConfigs {
        /// Broker id as text, "" = all brokers.
        name: String,
        /// All values.
        values: Pairs,
    },
    /// Producer ids below `next` are reserved.
    ProducerIdsReserved {
        /// First free id.
        next: i64,
    },
}

/// Why stored metadata cannot be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MetaError {
    /// Written by a newer ringlog.
    Version(u8),
    /// Not what was written.
    Damaged(String),
}

impl fmt::Display for MetaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MetaError::Version(version) => {
                write!(
                    f,
                    "metadata format {version} is newer than {VERSION}: start the ringlog version that wrote it, or a newer one"
                )
            }
            MetaError::Damaged(what) => write!(f, "metadata is damaged: {what}"),
        }
    }
}

impl std::error::Error for MetaError {}

impl MetaRecord {
    /// Bytes for the journal.
    pub fn encode(&self) -> Vec<u8> {
        with_version(rkyv::to_bytes::<rancor::Error>(self).as_deref())
    }
    /// Reads what [`encode`](Self::encode) wrote; checked, any input is safe.
    ///
    /// # Errors
    /// [`MetaError`] when the bytes are damaged or of a newer format.
    pub fn decode(bytes: &[u8]) -> Result<Self, MetaError> {
        rkyv::from_bytes::<MetaRecord, rancor::Error>(body(bytes)?).map_err(|e| MetaError::Damaged(e.to_string()))
    }
}

#[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
struct Snapshot {
    version: u64,
    shard_count: u16,
    next_producer_id: i64,
    next_placement: u64,
    topics: Vec<TopicSnapshot>,
    broker_configs: Vec<(String, Pairs)>,
}

#[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
struct TopicSnapshot {
    id: [u8; 16],
    name: String,
    /// Shard and leader epoch.
    partitions: Vec<(u16, i32)>,
    overrides: Pairs,
}

/// The image's lasting part (not what is given at each start: identity, addresses, static configs), for the checkpoint.
pub fn encode_snapshot(image: &Image) -> Vec<u8> {
    let topics = image.topics.values().map(|topic| TopicSnapshot {
        id: topic.id.0,
        name: topic.name.clone(),
        partitions: topic.partitions.iter().map(|p| (p.shard.0, p.leader_epoch)).collect(),
        overrides: pairs(&topic.overrides),
    });
    let snapshot = Snapshot {
        version: image.version,
        shard_count: image.shard_count,
        next_producer_id: image.next_producer_id,
        next_placement: image.next_placement,
        topics: topics.collect(),
        broker_configs: image
            .broker_configs
            .iter()
            .map(|(name, values)| (name.clone(), pairs(values)))
            .collect(),
    };
    with_version(rkyv::to_bytes::<rancor::Error>(&snapshot).as_deref())
}

/// Reads what [`encode_snapshot`] wrote. Effective topic configs are not set yet: `Controller::new` derives them.
///
/// # Errors
/// [`MetaError`] when the bytes are damaged or of a newer format.
pub fn decode_snapshot(bytes: &[u8]) -> Result<Image, MetaError> {
    let snapshot =
        rkyv::from_bytes::<Snapshot, rancor::Error>(body(bytes)?).map_err(|e| MetaError::Damaged(e.to_string()))?;
    let largest = [
        snapshot.version,
        snapshot.next_placement,
        snapshot.next_producer_id as u64,
    ];
    if largest.into_iter().any(|count| count >= COUNT_MAX) {
        return Err(MetaError::Damaged("it counts beyond what can be".into()));
    }
    let mut image = Image {
        version: snapshot.version,
        shard_count: snapshot.shard_count,
        next_producer_id: snapshot.next_producer_id,
        next_placement: snapshot.next_placement,
        ..Image::default()
    };
    for topic in snapshot.topics {
        let id = TopicId(topic.id);
        if id.is_zero() || image.names.insert(topic.name.clone(), id).is_some() {
            return Err(MetaError::Damaged(format!(
                "topic {} is there twice or has no id",
                topic.name
            )));
        }
        let place = |(shard, leader_epoch)| PartitionMeta {
            shard: ShardId(shard),
            leader_epoch,
        };
        image.topics.insert(
            id,
            Arc::new(Topic {
                id,
                name: topic.name,
                partitions: topic.partitions.into_iter().map(place).collect(),
                overrides: topic.overrides.into_iter().collect(),
                config: TopicConfig::default(),
            }),
        );
    }
    image.broker_configs = snapshot
        .broker_configs
        .into_iter()
        .map(|(name, values)| (name, values.into_iter().collect()))
        .collect();
    Ok(image)
}

/// A map as pairs.
pub(crate) fn pairs(map: &BTreeMap<String, String>) -> Pairs {
    map.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn with_version(archive: Result<&[u8], &rancor::Error>) -> Vec<u8> {
    let archive = match archive {
        Ok(archive) => archive,
        Err(error) => panic!("metadata exceeds the format's 4 GiB: {error}"),
    };
    let mut bytes = Vec::with_capacity(1 + archive.len());
    bytes.push(VERSION);
    bytes.extend_from_slice(archive);
    bytes
}

fn body(bytes: &[u8]) -> Result<&[u8], MetaError> {
    match bytes.split_first() {
        None => Err(MetaError::Damaged("it is empty".into())),
        Some((&VERSION, body)) => Ok(body),
        Some((&version, _)) if version > VERSION => Err(MetaError::Version(version)),
        Some((&version, _)) => Err(MetaError::Damaged(format!("format {version} never existed"))),
    }
}

//! Metadata records: the journal's account of every change, and the image's form in the checkpoint.
//!
//! Bytes are one version byte and an rkyv archive that is checked before use; a damaged or newer one is an error, never a
//! guess. The caller adds the checksum. Must not know: files, the journal's framing.

// rkyv's derive makes public items without documentation; what is written here by hand has it.
#![allow(missing_docs)]

use crate::base::ids::ShardId;
use crate::base::ids::TopicId;
use crate::controller::image::{Image, PartitionMeta, Topic, TopicConfig};
use crate::controller::quotas::{self, EntityParts};
use crate::controller::scram::{self, ScramCredential};
use rkyv::rancor;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Version of the encoding of records and snapshots: 2 came with quotas and credentials, 1 is still read.
const VERSION: u8 = 2;
/// The first one. Records of kinds that it has are still written in it.
const VERSION_1: u8 = 1;
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
    /// An entity's quotas are now these; from version 2.
    ClientQuota {
        /// Types and names; no name = the default.
        entity: EntityParts,
        /// All values, as the bits of doubles.
        values: Vec<(String, u64)>,
    },
    /// A user's credential is now this; from version 2.
    ScramSet {
        /// User.
        user: String,
        /// Number of the mechanism.
        mechanism: i8,
        /// Rounds of hashing.
        iterations: i32,
        /// Salt.
        salt: Vec<u8>,
        /// Hash of the client's key.
        stored_key: Vec<u8>,
        /// The server's key.
        server_key: Vec<u8>,
    },
    /// A user's credential is gone; from version 2.
    ScramDeleted {
        /// User.
        user: String,
        /// Number of the mechanism.
        mechanism: i8,
    },
}

// Archives are read from their end: a larger kind would move all others.
const _: () = assert!(std::mem::size_of::<ArchivedMetaRecord>() == 41);

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
        let version = match self {
            MetaRecord::ClientQuota { .. } | MetaRecord::ScramSet { .. } | MetaRecord::ScramDeleted { .. } => VERSION,
            _ => VERSION_1,
        };
        with_version(version, rkyv::to_bytes::<rancor::Error>(self).as_deref())
    }
    /// Reads what [`encode`](Self::encode) wrote; checked, any input is safe.
    ///
    /// # Errors
    /// [`MetaError`] when the bytes are damaged or of a newer format.
    pub fn decode(bytes: &[u8]) -> Result<Self, MetaError> {
        rkyv::from_bytes::<MetaRecord, rancor::Error>(body(bytes)?.1).map_err(|e| MetaError::Damaged(e.to_string()))
    }
}

#[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
struct Snapshot2 {
    base: Snapshot,
    quotas: Vec<(EntityParts, Vec<(String, u64)>)>,
    scram: Vec<ScramSnapshot>,
}

#[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
struct ScramSnapshot {
    user: String,
    mechanism: i8,
    iterations: i32,
    salt: Vec<u8>,
    stored_key: Vec<u8>,
    server_key: Vec<u8>,
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
    let snapshot = Snapshot2 {
        base: snapshot,
        quotas: image.quotas.iter().map(quota_snapshot).collect(),
        scram: scram_snapshot(&image.scram),
    };
    with_version(VERSION, rkyv::to_bytes::<rancor::Error>(&snapshot).as_deref())
}

fn quota_snapshot((entity, values): (&quotas::QuotaEntity, &quotas::QuotaValues)) -> (EntityParts, Vec<(String, u64)>) {
    let values = values
        .iter()
        .map(|(key, value)| (key.name().to_string(), value.to_bits()));
    (entity.parts(), values.collect())
}

fn scram_snapshot(all: &scram::Scram) -> Vec<ScramSnapshot> {
    let of_user = |(user, credentials): (&String, &BTreeMap<scram::Mechanism, ScramCredential>)| {
        let one = |(mechanism, credential): (&scram::Mechanism, &ScramCredential)| ScramSnapshot {
            user: user.clone(),
            mechanism: *mechanism as i8,
            iterations: credential.iterations,
            salt: credential.salt.clone(),
            stored_key: credential.stored_key.clone(),
            server_key: credential.server_key.clone(),
        };
        credentials.iter().map(one).collect::<Vec<_>>()
    };
    all.iter().flat_map(of_user).collect()
}

/// Reads what [`encode_snapshot`] wrote. Effective topic configs are not set yet: `Controller::new` derives them.
///
/// # Errors
/// [`MetaError`] when the bytes are damaged or of a newer format.
pub fn decode_snapshot(bytes: &[u8]) -> Result<Image, MetaError> {
    let damaged = |error: rancor::Error| MetaError::Damaged(error.to_string());
    let whole = match body(bytes)? {
        (VERSION_1, body) => Snapshot2 {
            base: rkyv::from_bytes::<Snapshot, rancor::Error>(body).map_err(damaged)?,
            quotas: Vec::new(),
            scram: Vec::new(),
        },
        (_, body) => rkyv::from_bytes::<Snapshot2, rancor::Error>(body).map_err(damaged)?,
    };
    let (quotas, scram) = clients_of(&whole);
    let snapshot = whole.base;
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
        quotas: Arc::new(quotas),
        scram: Arc::new(scram),
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

/// Quotas and credentials.
fn clients_of(snapshot: &Snapshot2) -> (quotas::Quotas, scram::Scram) {
    let mut quotas = quotas::Quotas::new();
    for (entity, values) in &snapshot.quotas {
        quotas::replay(&mut quotas, entity, values);
    }
    let mut scram = scram::Scram::new();
    for one in &snapshot.scram {
        let credential = ScramCredential {
            iterations: one.iterations,
            salt: one.salt.clone(),
            stored_key: one.stored_key.clone(),
            server_key: one.server_key.clone(),
        };
        scram::set(&mut scram, &one.user, one.mechanism, credential);
    }
    (quotas, scram)
}

/// A map as pairs.
pub(crate) fn pairs(map: &BTreeMap<String, String>) -> Pairs {
    map.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn with_version(version: u8, archive: Result<&[u8], &rancor::Error>) -> Vec<u8> {
    let archive = match archive {
        Ok(archive) => archive,
        Err(error) => panic!("metadata exceeds the format's 4 GiB: {error}"),
    };
    let mut bytes = Vec::with_capacity(1 + archive.len());
    bytes.push(version);
    bytes.extend_from_slice(archive);
    bytes
}

/// The version and what follows it.
fn body(bytes: &[u8]) -> Result<(u8, &[u8]), MetaError> {
    match bytes.split_first() {
        None => Err(MetaError::Damaged("it is empty".into())),
        Some((version @ &(VERSION_1 | VERSION), body)) => Ok((*version, body)),
        Some((&version, _)) if version > VERSION => Err(MetaError::Version(version)),
        Some((&version, _)) => Err(MetaError::Damaged(format!("format {version} never existed"))),
    }
}

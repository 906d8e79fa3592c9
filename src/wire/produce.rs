//! Produce: a request decoder that copies nothing, and the response.
//!
//! A request is checked from its first byte to its last when it is decoded; walking it afterwards cannot fail and takes no
//! memory per topic or partition. Record sets are slices of the input. Must not know what is in a record set.

use crate::base::ids::TopicId;
use crate::wire::api::ApiKey;
use crate::wire::error::{ErrorCode, Fault};
use crate::wire::header;
use crate::wire::message::{Version, Wire, message};
use crate::wire::read::{Read, Reader};
use crate::wire::write;
use bytes::{BufMut, Bytes, BytesMut};

/// First version that names topics by id (KIP-516).
pub const TOPIC_IDS_FROM: i16 = 13;

/// How a request names a topic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TopicRef<'a> {
    /// By name.
    Name(&'a str),
    /// By id.
    Id(TopicId),
}

/// A Produce request, v3 to v13, borrowed.
#[derive(Clone, Debug)]
pub struct ProduceRequest<'a> {
    /// Request version.
    pub version: i16,
    /// Set by a transactional producer.
    pub transactional_id: Option<&'a str>,
    /// 0 = no answer, 1 = the leader's write, -1 = the in-sync replicas'; unchecked.
    pub acks: i16,
    /// How long the producer waits for the replicas, milliseconds.
    pub timeout_ms: i32,
    topics: &'a [u8],
    topic_count: usize,
    partition_count: usize,
    /// Bytes behind the request, which nobody reads.
    pub trailing_bytes: usize,
}

/// One topic of a Produce request.
#[derive(Clone, Debug)]
pub struct ProduceTopic<'a> {
    /// Which topic.
    pub topic: TopicRef<'a>,
    partitions: Reader<'a>,
    partition_count: usize,
    flexible: bool,
}

/// One partition of a Produce request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProducePartition<'a> {
    /// Partition index, unchecked.
    pub index: i32,
    /// The record set, unverified: a slice of the input. `None` = null.
    pub records: Option<&'a [u8]>,
}

impl<'a> ProduceRequest<'a> {
    /// Decodes and checks a whole body.
    ///
    /// # Errors
    /// When the version is not served, or the body does not begin with a request.
    pub fn decode(version: i16, body: &'a [u8]) -> Read<ProduceRequest<'a>> {
        let mut reader = Reader::new(body);
        if !ApiKey::Produce.serves(version) {
            let key = ApiKey::Produce.code();
            return reader.fail(Fault::Unsupported { key, version });
        }
        let flexible = ApiKey::Produce.is_flexible(version);
        let transactional_id = reader.nullable_str(flexible)?;
        let acks = reader.i16()?;
        let timeout_ms = reader.i32()?;
        let topic_count = reader.count(flexible, 1, 0)?;
        let start = reader.position();
        let mut partition_count = 0;
        for _ in 0..topic_count {
            partition_count += read_topic(&mut reader, version)?.partition_count;
        }
        let topics = reader.since(start);
        if flexible {
            reader.skip_tags()?;
        }
        Ok(ProduceRequest {
            version,
            transactional_id,
            acks,
            timeout_ms,
            topics,
            topic_count,
            partition_count,
            trailing_bytes: reader.left(),
        })
    }

    /// Topics in the request.
    pub fn topic_count(&self) -> usize {
        self.topic_count
    }

    /// Partitions in all topics together.
    pub fn partition_count(&self) -> usize {
        self.partition_count
    }

    /// The topics in the order of the request.
    pub fn topics(&self) -> impl Iterator<Item = ProduceTopic<'a>> + use<'a> {
        let (version, mut reader) = (self.version, Reader::new(self.topics));
        // Decoding walked the same bytes, so this ends by the count, never by an error.
        (0..self.topic_count).map_while(move |_| read_topic(&mut reader, version).ok())
    }
}

impl<'a> ProduceTopic<'a> {
    /// Partitions of this topic in the request.
    pub fn partition_count(&self) -> usize {
        self.partition_count
    }

    /// The partitions in the order of the request.
    pub fn partitions(&self) -> impl Iterator<Item = ProducePartition<'a>> + use<'a> {
        let (flexible, mut reader) = (self.flexible, self.partitions.clone());
        (0..self.partition_count).map_while(move |_| read_partition(&mut reader, flexible).ok())
    }
}

/// Reads a topic and steps over its partitions.
fn read_topic<'a>(reader: &mut Reader<'a>, version: i16) -> Read<ProduceTopic<'a>> {
    let flexible = ApiKey::Produce.is_flexible(version);
    let topic = match version {
        TOPIC_IDS_FROM.. => TopicRef::Id(reader.topic_id()?),
        _ => TopicRef::Name(reader.str(flexible)?),
    };
    let partition_count = reader.count(flexible, if flexible { 6 } else { 8 }, 0)?;
    let partitions = reader.clone();
    for _ in 0..partition_count {
        read_partition(reader, flexible)?;
    }
    if flexible {
        reader.skip_tags()?;
    }
    Ok(ProduceTopic {
        topic,
        partitions,
        partition_count,
        flexible,
    })
}

#[inline]
fn read_partition<'a>(reader: &mut Reader<'a>, flexible: bool) -> Read<ProducePartition<'a>> {
    let index = reader.i32()?;
    let records = reader.nullable_bytes(flexible)?;
    if flexible {
        reader.skip_tags()?;
    }
    Ok(ProducePartition { index, records })
}

/// What a client puts into one topic of a Produce request.
pub type ProduceTopicData<'a> = (TopicRef<'a>, &'a [ProducePartition<'a>]);

/// Writes a request body as a client does. A topic is written by name below v13 and by id from v13; the other kind becomes
/// an empty name or the zero id.
pub fn encode_request(
    version: i16,
    (transactional_id, acks, timeout_ms): (Option<&str>, i16, i32),
    topics: &[ProduceTopicData<'_>],
    out: &mut BytesMut,
) {
    let flexible = ApiKey::Produce.is_flexible(version);
    let put_tags = |out: &mut BytesMut| {
        if flexible {
            out.put_u8(0);
        }
    };
    write::put_nullable_str(out, transactional_id, flexible);
    out.put_i16(acks);
    out.put_i32(timeout_ms);
    write::put_count(out, Some(topics.len()), flexible);
    for (topic, partitions) in topics {
        match (*topic, version >= TOPIC_IDS_FROM) {
            (TopicRef::Id(id), true) => write::put_topic_id(out, id),
            (TopicRef::Name(_), true) => write::put_topic_id(out, TopicId::ZERO),
            (TopicRef::Name(name), false) => write::put_str(out, name, flexible),
            (TopicRef::Id(_), false) => write::put_str(out, "", flexible),
        }
        write::put_count(out, Some(partitions.len()), flexible);
        for partition in *partitions {
            out.put_i32(partition.index);
            write::put_count(out, partition.records.map(<[u8]>::len), flexible);
            out.put_slice(partition.records.unwrap_or_default());
            put_tags(out);
        }
        put_tags(out);
    }
    put_tags(out);
}

message! {
    /// Answer to Produce, v3 to v13.
    pub struct ProduceResponse {
        /// Per topic, in the order of the request.
        topics: Vec<ProduceTopicResponse> [0..] = Vec::new();
        /// How long the client is throttled, milliseconds.
        throttle_time_ms: i32 [1..] = 0;
    }
    tags {
        /// Where the leaders named in the partitions are (KIP-951).
        0 => node_endpoints: Vec<NodeEndpoint> [10..] = Vec::<NodeEndpoint>::new();
    }
}

message! {
    /// One topic of the answer.
    pub struct ProduceTopicResponse {
        /// Name, to v12.
        name: String [..=12] = String::new();
        /// Id, from v13.
        topic_id: TopicId [13..] = TopicId::ZERO;
        /// Per partition, in the order of the request.
        partitions: Vec<ProducePartitionResponse> [0..] = Vec::new();
    }
}

message! {
    /// One partition of the answer.
    pub struct ProducePartitionResponse {
        /// Partition index.
        index: i32 [0..] = 0;
        /// `None` on success.
        error: ErrorCode [0..] = ErrorCode::None;
        /// First offset given, -1 on errors.
        base_offset: i64 [0..] = -1;
        /// The broker's time with LogAppendTime, else -1.
        log_append_time_ms: i64 [2..] = -1;
        /// First offset of the log, -1 on errors.
        log_start_offset: i64 [5..] = -1;
        /// Records at fault (KIP-467), from v8.
        record_errors: Vec<RecordError> [8..] = Vec::new();
        /// For people, from v8.
        error_message: Option<String> [8..] null [8..] = None;
    }
    tags {
        /// Who leads the partition when this broker does not (KIP-951), from v10.
        0 => current_leader: LeaderIdAndEpoch [10..] = LeaderIdAndEpoch::default();
    }
}

message! {
    /// A record at fault.
    pub struct RecordError {
        /// Its index in the batch.
        batch_index: i32 [8..] = 0;
        /// What is wrong with it.
        message: Option<String> [8..] null [8..] = None;
    }
}

message! {
    /// The leader of a partition (KIP-951).
    pub struct LeaderIdAndEpoch {
        /// Broker, -1 = unknown.
        leader_id: i32 [..] = -1;
        /// Leader epoch, -1 = unknown.
        leader_epoch: i32 [..] = -1;
    }
}

message! {
    /// Where a broker is (KIP-951).
    pub struct NodeEndpoint {
        /// Broker id.
        node_id: i32 [..] = 0;
        /// Host as in Metadata.
        host: String [..] = String::new();
        /// Port.
        port: i32 [..] = 0;
        /// Rack.
        rack: Option<String> [..] null [..] = None;
    }
}

impl ProduceResponse {
    /// Writes the response body.
    pub fn encode(&self, version: i16, out: &mut BytesMut) {
        self.write(out, Version::of(ApiKey::Produce, version));
    }

    /// Reads a response body, as a client does.
    ///
    /// # Errors
    /// When the body is not exactly one response of this version.
    pub fn decode(version: i16, body: &[u8]) -> Read<ProduceResponse> {
        let mut reader = Reader::new(body);
        let response = ProduceResponse::read(&mut reader, Version::of(ApiKey::Produce, version))?;
        reader.finish()?;
        Ok(response)
    }

    /// A whole response: length, header, body.
    pub fn frame(&self, version: i16, correlation_id: i32) -> Bytes {
        let mut out = BytesMut::with_capacity(128);
        write::framed(&mut out, |out| {
            header::put_response_header(out, ApiKey::Produce, version, correlation_id);
            self.encode(version, out);
        });
        out.freeze()
    }
}

//! The Fetch response, v4 to v18, as a list of chunks for a vectored send.
//!
//! Small chunks carry headers; record bytes are sent from where they are. The tagged fields of a partition come behind its
//! record bytes, so every long record set ends one chunk and starts the next. Sizes come first: the frame's length stands
//! at its start.

use super::TOPIC_IDS_FROM;
use crate::base::ids::TopicId;
use crate::wire::api::ApiKey;
use crate::wire::error::{ErrorCode, Fault};
use crate::wire::header;
use crate::wire::message::{Version, Wire, put_tag};
use crate::wire::produce::{LeaderIdAndEpoch, NodeEndpoint};
use crate::wire::read::{Read, Reader};
use crate::wire::write;
use bytes::{BufMut, Bytes, BytesMut};

/// Record slices shorter than this many bytes are copied into the chunk around them: a send costs more per chunk than a
/// short copy does.
pub const COALESCE_BELOW: usize = 4096;

/// Answer to Fetch.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct FetchResponse {
    /// How long the client is throttled, milliseconds.
    pub throttle_time_ms: i32,
    /// About the session or the whole request, from v7.
    pub error: ErrorCode,
    /// Fetch session, 0 = none; from v7.
    pub session_id: i32,
    /// Per topic.
    pub topics: Vec<FetchTopic>,
    /// Where the leaders named in the partitions are (KIP-951), from v16.
    pub node_endpoints: Vec<NodeEndpoint>,
}

/// One topic of the answer.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct FetchTopic {
    /// Name, to v12.
    pub name: String,
    /// Id, from v13.
    pub id: TopicId,
    /// Per partition.
    pub partitions: Vec<FetchPartition>,
}

/// One partition of the answer.
#[derive(Clone, PartialEq, Debug)]
pub struct FetchPartition {
    /// Partition index.
    pub index: i32,
    /// `None` on success.
    pub error: ErrorCode,
    /// Exclusive end of what is committed, -1 with errors that leave it unknown.
    pub high_watermark: i64,
    /// Exclusive end for read_committed, -1 when unknown.
    pub last_stable_offset: i64,
    /// First offset of the log, -1 when unknown; from v5.
    pub log_start_offset: i64,
    /// Aborted transactions (producer id, first offset) in the range read; `None` (null) for read_uncommitted.
    pub aborted: Option<Vec<(i64, i64)>>,
    /// Replica the consumer should rather read from, -1 = stay (KIP-392); from v11.
    pub preferred_read_replica: i32,
    /// Whole batches, one after the other. Nothing to give is an empty record set, never null.
    pub records: Vec<Bytes>,
    /// (epoch, end offset) where the client's log diverges; from v12.
    pub diverging_epoch: Option<(i32, i64)>,
    /// Who leads the partition when this broker does not (KIP-951); from v12.
    pub current_leader: Option<LeaderIdAndEpoch>,
}

impl Default for FetchPartition {
    fn default() -> Self {
        FetchPartition {
            index: 0,
            error: ErrorCode::None,
            high_watermark: -1,
            last_stable_offset: -1,
            log_start_offset: -1,
            aborted: None,
            preferred_read_replica: -1,
            records: Vec::new(),
            diverging_epoch: None,
            current_leader: None,
        }
    }
}

impl FetchPartition {
    /// The answer for a partition that cannot be read: all offsets -1, as Kafka fills them.
    pub fn failed(index: i32, error: ErrorCode) -> Self {
        FetchPartition {
            index,
            error,
            ..FetchPartition::default()
        }
    }

    /// Bytes in the record set.
    pub fn records_len(&self) -> usize {
        self.records.iter().map(Bytes::len).sum()
    }
}

impl FetchResponse {
    /// The whole frame, four-byte length included, as chunks in order. Record slices of at least [`COALESCE_BELOW`] bytes
    /// appear among them as they are; their bytes are not copied.
    pub fn frame(&self, version: i16, correlation_id: i32) -> Vec<Bytes> {
        let partitions = || self.topics.iter().flat_map(|topic| &topic.partitions);
        let small = partitions().flat_map(|partition| &partition.records).map(Bytes::len);
        let copied: usize = small.filter(|len| *len < COALESCE_BELOW).sum();
        // In one piece: a buffer that grows is copied again and again.
        let mut writer = ChunkList::new(64 + 64 * partitions().count() + copied);
        let key = ApiKey::Fetch;
        header::put_response_header(&mut writer.small, key, version, correlation_id);
        self.write(&mut writer, Version::of(key, version));
        writer.finish()
    }

    fn write(&self, writer: &mut ChunkList, version: Version) {
        let flexible = version.flexible;
        writer.small.put_i32(self.throttle_time_ms);
        if version.number >= 7 {
            writer.small.put_i16(self.error.code());
            writer.small.put_i32(self.session_id);
        }
        write::put_count(&mut writer.small, Some(self.topics.len()), flexible);
        for topic in &self.topics {
            match version.number {
                TOPIC_IDS_FROM.. => write::put_topic_id(&mut writer.small, topic.id),
                _ => write::put_str(&mut writer.small, &topic.name, flexible),
            }
            write::put_count(&mut writer.small, Some(topic.partitions.len()), flexible);
            for partition in &topic.partitions {
                partition.write(writer, version);
            }
            if flexible {
                writer.small.put_u8(0);
            }
        }
        if flexible {
            let endpoints = version.number >= 16 && !self.node_endpoints.is_empty();
            writer.small.put_u8(endpoints.into());
            if endpoints {
                put_tag(&mut writer.small, 0, &self.node_endpoints, version);
            }
        }
    }

    /// Reads a response body as a client does; record sets are slices of `body`.
    ///
    /// # Errors
    /// When the body is not exactly one response of this version.
    pub fn decode(version: i16, body: &Bytes) -> Read<FetchResponse> {
        let mut reader = Reader::new(body);
        if !ApiKey::Fetch.serves(version) {
            let key = ApiKey::Fetch.code();
            return reader.fail(Fault::Unsupported { key, version });
        }
        let version = Version::of(ApiKey::Fetch, version);
        let mut response = FetchResponse {
            throttle_time_ms: reader.i32()?,
            ..FetchResponse::default()
        };
        if version.number >= 7 {
            response.error = ErrorCode::read(&mut reader, version)?;
            response.session_id = reader.i32()?;
        }
        let count = reader.count(version.flexible, 2, size_of::<FetchTopic>())?;
        for _ in 0..count {
            response.topics.push(FetchTopic::read(&mut reader, body, version)?);
        }
        if version.flexible {
            reader.tags(|tag, field| {
                let known = tag == 0 && version.number >= 16;
                if known {
                    response.node_endpoints = Wire::read(field, version)?;
                }
                Ok(known)
            })?;
        }
        reader.finish()?;
        Ok(response)
    }
}

impl FetchTopic {
    fn read(reader: &mut Reader<'_>, body: &Bytes, version: Version) -> Read<FetchTopic> {
        let mut topic = FetchTopic::default();
        match version.number {
            TOPIC_IDS_FROM.. => topic.id = reader.topic_id()?,
            _ => topic.name = reader.str(version.flexible)?.to_owned(),
        }
        let count = reader.count(version.flexible, 20, size_of::<FetchPartition>())?;
        for _ in 0..count {
            topic.partitions.push(FetchPartition::read(reader, body, version)?);
        }
        if version.flexible {
            reader.skip_tags()?;
        }
        Ok(topic)
    }
}

impl FetchPartition {
    fn write(&self, writer: &mut ChunkList, version: Version) {
        let out = &mut writer.small;
        out.put_i32(self.index);
        out.put_i16(self.error.code());
        out.put_i64(self.high_watermark);
        out.put_i64(self.last_stable_offset);
        if version.number >= 5 {
            out.put_i64(self.log_start_offset);
        }
        self.write_aborted(out, version.flexible);
        if version.number >= 11 {
            out.put_i32(self.preferred_read_replica);
        }
        write::put_count(out, Some(self.records_len()), version.flexible);
        for slice in &self.records {
            writer.records(slice);
        }
        if version.flexible {
            self.write_tags(&mut writer.small, version);
        }
    }

    fn write_aborted(&self, out: &mut BytesMut, flexible: bool) {
        write::put_count(out, self.aborted.as_ref().map(Vec::len), flexible);
        for (producer_id, first_offset) in self.aborted.iter().flatten() {
            out.put_i64(*producer_id);
            out.put_i64(*first_offset);
            if flexible {
                out.put_u8(0);
            }
        }
    }

    /// Both structs are of fixed size: their fields and an empty section of tagged fields.
    fn write_tags(&self, out: &mut BytesMut, version: Version) {
        out.put_u8(u8::from(self.diverging_epoch.is_some()) + u8::from(self.current_leader.is_some()));
        if let Some((epoch, end_offset)) = self.diverging_epoch {
            out.put_slice(&[0, 13]);
            out.put_i32(epoch);
            out.put_i64(end_offset);
            out.put_u8(0);
        }
        if let Some(leader) = &self.current_leader {
            out.put_slice(&[1, 9]);
            leader.write(out, version);
        }
    }

    fn read(reader: &mut Reader<'_>, body: &Bytes, version: Version) -> Read<FetchPartition> {
        let mut this = FetchPartition {
            index: reader.i32()?,
            error: ErrorCode::read(reader, version)?,
            high_watermark: reader.i64()?,
            last_stable_offset: reader.i64()?,
            ..FetchPartition::default()
        };
        if version.number >= 5 {
            this.log_start_offset = reader.i64()?;
        }
        this.read_aborted(reader, version.flexible)?;
        if version.number >= 11 {
            this.preferred_read_replica = reader.i32()?;
        }
        if let Some(records) = reader
            .nullable_bytes(version.flexible)?
            .filter(|bytes| !bytes.is_empty())
        {
            this.records.push(body.slice_ref(records));
        }
        if version.flexible {
            reader.tags(|tag, field| this.read_tag(tag, field, version))?;
        }
        Ok(this)
    }

    fn read_aborted(&mut self, reader: &mut Reader<'_>, flexible: bool) -> Read<()> {
        let wire_size = 16 + usize::from(flexible);
        let Some(count) = reader.nullable_count(flexible, wire_size, 16)? else {
            return Ok(());
        };
        let mut aborted = Vec::with_capacity(count);
        for _ in 0..count {
            aborted.push((reader.i64()?, reader.i64()?));
            if flexible {
                reader.skip_tags()?;
            }
        }
        self.aborted = Some(aborted);
        Ok(())
    }

    fn read_tag(&mut self, tag: u32, field: &mut Reader<'_>, version: Version) -> Read<bool> {
        match tag {
            0 => {
                self.diverging_epoch = Some((field.i32()?, field.i64()?));
                field.skip_tags()?;
            }
            1 => self.current_leader = Some(Wire::read(field, version)?),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Chunks under construction: the first, which starts with the frame's length, further finished ones, and the small one being
/// filled.
#[derive(Default)]
struct ChunkList {
    first: Option<BytesMut>,
    done: Vec<Bytes>,
    small: BytesMut,
}

impl ChunkList {
    fn new(expected: usize) -> Self {
        let mut list = ChunkList {
            small: BytesMut::with_capacity(expected),
            ..ChunkList::default()
        };
        list.small.put_i32(0);
        list
    }

    fn records(&mut self, slice: &Bytes) {
        if slice.len() < COALESCE_BELOW {
            self.small.put_slice(slice);
            return;
        }
        self.cut();
        self.done.push(slice.clone());
    }

    fn cut(&mut self) {
        if self.small.is_empty() {
            return;
        }
        let chunk = self.small.split();
        match self.first {
            None => self.first = Some(chunk),
            Some(_) => self.done.push(chunk.freeze()),
        }
    }

    fn finish(mut self) -> Vec<Bytes> {
        self.cut();
        let mut first = self.first.unwrap_or_default();
        let length = first.len() - 4 + self.done.iter().map(Bytes::len).sum::<usize>();
        first[..4].copy_from_slice(&(length as i32).to_be_bytes());
        let mut frame = Vec::with_capacity(self.done.len() + 1);
        frame.push(first.freeze());
        frame.append(&mut self.done);
        frame
    }
}

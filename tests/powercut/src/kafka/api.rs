//! The handful of requests the rigs need.

use super::batch::Producer;
use super::conn::Conn;
use super::wire::{Decoder, Encoder};
use crate::error::{Error, Result};

/// Key of Produce, for pipelined use.
pub const PRODUCE: i16 = 0;
/// Version of Produce the rigs speak.
pub const PRODUCE_VERSION: i16 = 7;
/// Error code of a topic that is there already.
pub const TOPIC_ALREADY_EXISTS: i16 = 36;
/// Error codes after which a client tries again: not yet known, no leader, timeouts, storage, busy.
const RETRIABLE: [i16; 12] = [2, 3, 5, 6, 7, 8, 9, 13, 14, 15, 56, 89];

/// True for error codes after which the same request may succeed later.
pub fn retriable(code: i16) -> bool {
    RETRIABLE.contains(&code)
}

/// A topic the rigs write to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: &'static str,
    /// Its number of partitions.
    pub partitions: i32,
}

/// Creates `topics` with `configs`; existing ones are fine.
///
/// # Errors
/// When the broker refuses one, with its error code.
pub fn create_topics(conn: &mut Conn, topics: &[Topic], configs: &[(&str, &str)]) -> Result<()> {
    let mut body = Encoder::default();
    body.i32(topics.len() as i32);
    for topic in topics {
        body.string(topic.name)
            .i32(topic.partitions)
            .i16(1)
            .i32(0)
            .i32(configs.len() as i32);
        for (key, value) in configs {
            body.string(key).string(value);
        }
    }
    body.i32(10_000).i8(0);
    let answer = conn.call(19, 4, &body.0)?;
    let mut fields = Decoder(&answer);
    fields.i32()?;
    let results = fields.list(|item| Ok((item.string()?, item.i16()?, item.string()?)))?;
    match results
        .iter()
        .find(|(_, code, _)| *code != 0 && *code != TOPIC_ALREADY_EXISTS)
    {
        Some((name, code, text)) => Err(Error::new(format!("creating topic {name}: error {code} {text}"))),
        None => Ok(()),
    }
}

/// Deletes a topic.
///
/// # Errors
/// When the connection fails or the broker refuses, with its error code.
pub fn delete_topic(conn: &mut Conn, name: &str) -> Result<()> {
    let mut body = Encoder::default();
    body.i32(1).string(name).i32(10_000);
    let answer = conn.call(20, 1, &body.0)?;
    let mut fields = Decoder(&answer);
    fields.i32()?;
    let results = fields.list(|item| Ok((item.string()?, item.i16()?)))?;
    match results.first() {
        Some((_, 0)) => Ok(()),
        Some((_, code)) => Err(Error::answer(*code, &format!("deleting topic {name}"))),
        None => Err(Error::new("DeleteTopics answered without the topic")),
    }
}

/// Names and partition counts of all topics.
///
/// # Errors
/// When the connection fails.
pub fn metadata(conn: &mut Conn) -> Result<Vec<(String, i32)>> {
    let mut body = Encoder::default();
    body.i32(-1).i8(0);
    let answer = conn.call(3, 5, &body.0)?;
    let mut fields = Decoder(&answer);
    fields.i32()?;
    fields.list(|broker| {
        broker.i32()?;
        broker.string()?;
        broker.i32()?;
        broker.string()
    })?;
    fields.string()?;
    fields.i32()?;
    fields.list(|topic| {
        topic.i16()?;
        let name = topic.string()?;
        topic.i8()?;
        let partitions = topic.list(|partition| {
            partition.take(2 + 4 + 4)?;
            for _ in 0..3 {
                partition.list(Decoder::i32)?;
            }
            Ok(())
        })?;
        Ok((name, partitions.len() as i32))
    })
}

/// A fresh producer id.
///
/// # Errors
/// When the connection fails or the broker refuses.
pub fn init_producer(conn: &mut Conn) -> Result<Producer> {
    let mut body = Encoder::default();
    body.null_string().i32(60_000);
    let answer = conn.call(22, 1, &body.0)?;
    let mut fields = Decoder(&answer);
    fields.i32()?;
    match fields.i16()? {
        0 => Ok(Producer {
            id: fields.i64()?,
            epoch: fields.i16()?,
        }),
        code => Err(Error::answer(code, "InitProducerId")),
    }
}

/// The body of a Produce request with acks=all: (topic, partition, batch) for each part, grouped by topic.
pub fn produce_body(parts: &[(&str, i32, &[u8])]) -> Vec<u8> {
    let groups: Vec<_> = parts.chunk_by(|a, b| a.0 == b.0).collect();
    let mut body = Encoder::default();
    body.null_string().i16(-1).i32(10_000).i32(groups.len() as i32);
    for group in groups {
        body.string(group[0].0).i32(group.len() as i32);
        for (_, partition, batch) in group {
            body.i32(*partition).bytes(batch);
        }
    }
    body.0
}

/// What became of one batch.
#[derive(Clone, Debug)]
pub struct Produced {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Kafka error code, 0 = acknowledged.
    pub code: i16,
    /// Offset of the first record of the batch.
    pub base_offset: i64,
}

/// Reads a Produce response.
///
/// # Errors
/// When it is malformed.
pub fn produced(answer: &[u8]) -> Result<Vec<Produced>> {
    let nested = Decoder(answer).list(|topic| {
        let name = topic.string()?;
        topic.list(|p| {
            let (partition, code, base_offset) = (p.i32()?, p.i16()?, p.i64()?);
            p.take(8 + 8)?;
            Ok(Produced {
                topic: name.clone(),
                partition,
                code,
                base_offset,
            })
        })
    })?;
    Ok(nested.into_iter().flatten().collect())
}

/// First and next offset of a partition.
///
/// # Errors
/// When the connection fails or the broker answers with an error.
pub fn offsets(conn: &mut Conn, topic: &str, partition: i32) -> Result<(i64, i64)> {
    let mut ends = [0; 2];
    for (end, timestamp) in ends.iter_mut().zip([-2, -1]) {
        let mut body = Encoder::default();
        body.i32(-1)
            .i8(0)
            .i32(1)
            .string(topic)
            .i32(1)
            .i32(partition)
            .i64(timestamp);
        let answer = conn.call(2, 2, &body.0)?;
        let mut fields = Decoder(&answer);
        fields.i32()?;
        let nested = fields.list(|t| {
            t.string()?;
            t.list(|p| Ok((p.i32()?, p.i16()?, p.i64()?, p.i64()?)))
        })?;
        match nested.into_iter().flatten().next() {
            Some((_, 0, _, offset)) => *end = offset,
            Some((_, code, _, _)) => return Err(Error::answer(code, "ListOffsets")),
            None => return Err(Error::new("ListOffsets answered without the partition")),
        }
    }
    Ok((ends[0], ends[1]))
}

/// Raw record batches of a partition from `offset` on; at most about `max` bytes.
///
/// # Errors
/// When the connection fails or the broker answers with an error.
pub fn fetch(conn: &mut Conn, topic: &str, partition: i32, offset: i64, max: i32) -> Result<Vec<u8>> {
    let mut body = Encoder::default();
    body.i32(-1)
        .i32(500)
        .i32(1)
        .i32(max)
        .i8(0)
        .i32(0)
        .i32(-1)
        .i32(1)
        .string(topic)
        .i32(1);
    body.i32(partition)
        .i32(-1)
        .i64(offset)
        .i64(-1)
        .i32(max)
        .i32(0)
        .string("");
    let answer = conn.call(1, 11, &body.0)?;
    let mut fields = Decoder(&answer);
    fields.i32()?;
    let code = fields.i16()?;
    fields.i32()?;
    if code != 0 {
        return Err(Error::answer(code, "Fetch"));
    }
    let nested = fields.list(|t| {
        t.string()?;
        t.list(|p| {
            let (_, code) = (p.i32()?, p.i16()?);
            p.take(8 + 8 + 8)?;
            p.list(|aborted| aborted.take(16).map(drop))?;
            p.i32()?;
            Ok((code, p.bytes()?.to_vec()))
        })
    })?;
    match nested.into_iter().flatten().next() {
        Some((0, records)) => Ok(records),
        Some((code, _)) => Err(Error::answer(code, &format!("Fetch at offset {offset}"))),
        None => Err(Error::new("Fetch answered without the partition")),
    }
}

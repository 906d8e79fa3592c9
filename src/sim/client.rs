//! Simulated clients: producers (idempotent or not) with several requests in flight, and readers. They speak bytes.

use crate::base::ids::{ConnId, TopicId};
use crate::sim::ledger::{Ledger, RecordName, Seen};
use crate::sim::net::SimNet;
use crate::sim::prng::Prng;
use crate::sim::table;
use crate::wire::api::ApiKey;
use crate::wire::batch::{BatchBuilder, BatchView, batches};
use crate::wire::compress::Compression;
use crate::wire::control::init_producer_id::{InitProducerId, InitProducerIdRequest};
use crate::wire::error::ErrorCode;
use crate::wire::fetch::{FetchRequest, FetchRequestPartition, FetchRequestTopic, FetchResponse};
use crate::wire::header;
use crate::wire::message::{Api, request_frame};
use crate::wire::produce::{ProducePartition, ProduceResponse, TopicRef, encode_request};
use crate::wire::read::Reader;
use crate::wire::record::Records;
use crate::wire::write;
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;

const PRODUCE_VERSION: i16 = 9;
const FETCH_VERSION: i16 = 12;
/// Partitions of [`TABLE`] have numbers from here on in the ledger.
const TABLES_FROM: u32 = 1_000;
/// The topic of every simulation.
pub const TOPIC: &str = "sim";
/// The compacted topic of some.
pub const TABLE: &str = "table";

/// A whole request of any API, by its body.
fn frame(key: ApiKey, version: i16, correlation: i32, body: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut out = BytesMut::new();
    write::framed(&mut out, |out| {
        header::put_request_header(out, key, version, correlation, Some("sim"));
        body(out);
    });
    out.freeze()
}

/// Splits a reply into correlation id and body.
fn open_reply(key: ApiKey, version: i16, reply: &Bytes) -> Result<(i32, Bytes), String> {
    let mut reader = Reader::new(reply);
    let correlation = header::read_response_header(&mut reader, key, version).map_err(|e| e.to_string())?;
    let head = header::response_header_len(key, version);
    Ok((correlation, reply.slice(head..)))
}

/// What every client has.
pub struct Wire {
    /// Its number.
    pub client: usize,
    /// Its topic: [`TOPIC`] or [`TABLE`].
    pub topic: &'static str,
    /// Its partition.
    pub partition: u32,
    /// Shard it connects to, and the connection.
    pub link: Option<(usize, ConnId)>,
    correlation: i32,
}

impl Wire {
    fn new(client: usize, (topic, partition): (&'static str, u32)) -> Wire {
        Wire {
            client,
            topic,
            partition,
            link: None,
            correlation: 0,
        }
    }
    /// True for a compacted topic.
    pub fn is_table(&self) -> bool {
        self.topic == TABLE
    }
    /// The number of its partition in the ledger.
    pub fn ledger_key(&self) -> u32 {
        if self.is_table() {
            TABLES_FROM + self.partition
        } else {
            self.partition
        }
    }
    /// For messages.
    pub fn place(&self) -> String {
        format!("{} partition {}", self.topic, self.partition)
    }
    fn next_correlation(&mut self) -> i32 {
        self.correlation = self.correlation.wrapping_add(1);
        self.correlation
    }
    fn send(&self, nets: &mut [SimNet], bytes: &[u8]) {
        if let Some((shard, conn)) = self.link {
            nets[shard].send(conn, bytes);
        }
    }
    /// Hangs up; what was in flight is unknown.
    pub fn disconnect(&mut self, nets: &mut [SimNet]) {
        if let Some((shard, conn)) = self.link.take() {
            nets[shard].hang_up(conn);
        }
    }
}

/// A batch that is not acknowledged yet.
struct Batch {
    first_number: u64,
    records: i32,
    bytes: Bytes,
    contents: Vec<u32>,
    timestamp: i64,
    /// Request that carries it, when one is on its way.
    correlation: Option<i32>,
}

/// A producer of one partition.
pub struct Producer {
    /// Connection.
    pub wire: Wire,
    idempotent: bool,
    identity: Option<(i64, i16)>,
    identity_asked: bool,
    next_number: u64,
    unacked: VecDeque<Batch>,
    in_flight_max: usize,
    chance: Prng,
    /// Stops making new batches.
    pub finishing: bool,
}

impl Producer {
    /// A producer with nothing sent.
    pub fn new(client: usize, place: (&'static str, u32), idempotent: bool, mut chance: Prng) -> Self {
        Producer {
            wire: Wire::new(client, place),
            idempotent,
            identity: None,
            identity_asked: false,
            next_number: 0,
            unacked: VecDeque::new(),
            in_flight_max: chance.between(1, 5) as usize,
            chance,
            finishing: false,
        }
    }
    /// True when a retry must not make a copy.
    pub fn is_idempotent(&self) -> bool {
        self.idempotent
    }
    /// True when every batch is acknowledged.
    pub fn is_done(&self) -> bool {
        self.unacked.is_empty()
    }

    /// A new connection: everything unacknowledged goes again, in order; without idempotence it is given up.
    pub fn connected(&mut self, link: (usize, ConnId)) {
        self.wire.link = Some(link);
        self.identity_asked = false;
        if !self.idempotent {
            self.unacked.clear();
        }
        self.unacked.iter_mut().for_each(|b| b.correlation = None);
    }

    /// Sends what may be sent.
    pub fn act(&mut self, nets: &mut [SimNet], wall_ms: i64) {
        if self.idempotent && self.identity.is_none() {
            return self.ask_identity(nets);
        }
        if !self.finishing && self.unacked.len() < self.in_flight_max {
            let batch = self.make_batch(wall_ms);
            self.unacked.push_back(batch);
        }
        for index in 0..self.unacked.len() {
            if self.unacked[index].correlation.is_some() {
                continue;
            }
            let (correlation, topic) = (self.wire.next_correlation(), self.wire.topic);
            let batch = &mut self.unacked[index];
            batch.correlation = Some(correlation);
            let part = [ProducePartition {
                index: self.wire.partition as i32,
                records: Some(&batch.bytes),
            }];
            let bytes = frame(ApiKey::Produce, PRODUCE_VERSION, correlation, |out| {
                encode_request(
                    PRODUCE_VERSION,
                    (None, -1, 30_000),
                    &[(TopicRef::Name(topic), &part[..])],
                    out,
                );
            });
            self.wire.send(nets, &bytes);
        }
    }

    fn ask_identity(&mut self, nets: &mut [SimNet]) {
        if self.identity_asked {
            return;
        }
        self.identity_asked = true;
        let correlation = self.wire.next_correlation();
        let request = InitProducerIdRequest {
            transaction_timeout_ms: 1000,
            ..Default::default()
        };
        let bytes = request_frame::<InitProducerId>(&request, 4, correlation, Some("sim"));
        self.wire.send(nets, &bytes);
    }

    fn make_batch(&mut self, wall_ms: i64) -> Batch {
        let records = self.chance.between(1, 4) as i32;
        let first_number = self.next_number;
        let mut builder = BatchBuilder::new();
        if let Some((id, epoch)) = self.identity {
            builder = builder.producer(id, epoch, first_number as i32);
        }
        if self.wire.is_table() {
            builder = builder.codec(Compression::ALL[first_number as usize % Compression::ALL.len()]);
        }
        let mut contents = Vec::new();
        for i in 0..records {
            let number = first_number + i as u64;
            if self.wire.is_table() {
                contents.push(table::append(&mut builder, wall_ms, self.name(number)));
                continue;
            }
            let key = format!("{}:{number}", self.wire.client);
            let len = if self.chance.chance(5) {
                self.chance.between(1000, 9000)
            } else {
                self.chance.below(300)
            };
            let mut filler = Prng::new(number ^ (self.wire.client as u64) << 40);
            let value: Vec<u8> = (0..len).map(|_| filler.next() as u8).collect();
            contents.push(content_of(key.as_bytes(), &value));
            builder.append(wall_ms, Some(key.as_bytes()), Some(&value), &[]);
        }
        self.next_number += records as u64;
        let bytes = Bytes::from(builder.build().unwrap_or_default());
        Batch {
            first_number,
            records,
            bytes,
            contents,
            timestamp: wall_ms,
            correlation: None,
        }
    }

    fn name(&self, number: u64) -> RecordName {
        RecordName {
            client: self.wire.client as u32,
            number,
        }
    }

    /// Takes a reply. `Err` = a broken rule.
    pub fn on_reply(&mut self, reply: &Bytes, ledger: &mut Ledger, nets: &mut [SimNet]) -> Result<(), String> {
        if self.idempotent && self.identity.is_none() {
            return self.on_identity(reply);
        }
        let (correlation, body) = open_reply(ApiKey::Produce, PRODUCE_VERSION, reply)?;
        let response = ProduceResponse::decode(PRODUCE_VERSION, &body).map_err(|e| e.to_string())?;
        let part = response
            .topics
            .first()
            .and_then(|t| t.partitions.first())
            .ok_or("a produce answer without partition")?;
        let oldest = self.unacked.front().and_then(|b| b.correlation);
        if oldest != Some(correlation) {
            return Err(format!(
                "client {}: answer {correlation} while {oldest:?} is the oldest",
                self.wire.client
            ));
        }
        if part.error != ErrorCode::None {
            return self.on_refused(part.error, part.error_message.as_deref(), nets);
        }
        let Some(batch) = self.unacked.pop_front() else {
            return Ok(());
        };
        let partition = ledger.partition(self.wire.ledger_key());
        for i in 0..batch.records {
            let seen = Seen {
                name: self.name(batch.first_number + i as u64),
                content: batch.contents[i as usize],
                timestamp: batch.timestamp,
            };
            partition
                .acknowledged(part.base_offset + i64::from(i), seen)
                .map_err(|why| format!("{}: {why}", self.wire.place()))?;
        }
        Ok(())
    }

    fn on_refused(&mut self, error: ErrorCode, message: Option<&str>, nets: &mut [SimNet]) -> Result<(), String> {
        if !error.is_retriable() {
            return Err(format!(
                "client {}: batch refused with {} ({})",
                self.wire.client,
                error.name(),
                message.unwrap_or("")
            ));
        }
        // As clients do: everything behind it goes again as well, over a new connection.
        self.wire.disconnect(nets);
        Ok(())
    }

    fn on_identity(&mut self, reply: &Bytes) -> Result<(), String> {
        let (_, body) = open_reply(ApiKey::InitProducerId, 4, reply)?;
        let answer = InitProducerId::decode_response(4, &body).map_err(|e| e.to_string())?;
        self.identity_asked = false;
        if answer.error == ErrorCode::None {
            self.identity = Some((answer.producer_id, answer.producer_epoch));
        }
        Ok(())
    }
}

/// A record's key and value in one number.
pub(super) fn content_of(key: &[u8], value: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(key), value)
}

/// A reader of one partition.
pub struct LogReader {
    /// Connection.
    pub wire: Wire,
    /// Next offset to ask for.
    pub next_offset: i64,
    waiting: bool,
    chance: Prng,
    /// Everything read in this pass, from `start` on.
    pub log: Vec<(i64, Seen)>,
    /// First offset of this pass.
    pub start: i64,
    /// Exclusive end as the last answer said.
    pub high_watermark: i64,
    /// Answers in a row that were an error, and the last one's.
    pub refused: (u32, ErrorCode),
}

impl LogReader {
    /// A reader at offset 0.
    pub fn new(client: usize, place: (&'static str, u32), chance: Prng) -> Self {
        LogReader {
            wire: Wire::new(client, place),
            next_offset: 0,
            waiting: false,
            chance,
            log: Vec::new(),
            start: 0,
            high_watermark: -1,
            refused: (0, ErrorCode::None),
        }
    }
    /// A new connection.
    pub fn connected(&mut self, link: (usize, ConnId)) {
        self.wire.link = Some(link);
        self.waiting = false;
    }
    /// Starts over at `offset`.
    pub fn restart(&mut self, offset: i64) {
        self.log.clear();
        self.start = offset;
        self.next_offset = offset;
        self.high_watermark = -1;
        self.refused = (0, ErrorCode::None);
    }
    /// Asks for more.
    pub fn act(&mut self, nets: &mut [SimNet]) {
        if self.waiting {
            return;
        }
        self.waiting = true;
        let part = FetchRequestPartition {
            index: self.wire.partition as i32,
            fetch_offset: self.next_offset,
            max_bytes: self.chance.between(1, 40_000) as i32,
            ..Default::default()
        };
        let request = FetchRequest {
            max_wait_ms: self.chance.below(20) as i32,
            min_bytes: self.chance.below(5_000) as i32,
            max_bytes: self.chance.between(1, 60_000) as i32,
            topics: vec![FetchRequestTopic {
                topic: self.wire.topic.into(),
                topic_id: TopicId::ZERO,
                partitions: vec![part],
            }],
            ..Default::default()
        };
        let correlation = self.wire.next_correlation();
        let bytes = frame(ApiKey::Fetch, FETCH_VERSION, correlation, |out| {
            request.encode(FETCH_VERSION, out)
        });
        self.wire.send(nets, &bytes);
    }

    /// Takes a reply. `Err` = a broken rule.
    pub fn on_reply(&mut self, reply: &Bytes, ledger: &mut Ledger) -> Result<(), String> {
        self.waiting = false;
        let (_, body) = open_reply(ApiKey::Fetch, FETCH_VERSION, reply)?;
        let response = FetchResponse::decode(FETCH_VERSION, &body).map_err(|e| e.to_string())?;
        let Some(part) = response.topics.first().and_then(|t| t.partitions.first()) else {
            return Ok(());
        };
        match part.error {
            ErrorCode::None => self.refused = (0, ErrorCode::None),
            ErrorCode::OffsetOutOfRange => {
                return Err(format!(
                    "{}: offset {} is out of range",
                    self.wire.place(),
                    self.next_offset
                ));
            }
            error => {
                self.refused = (self.refused.0 + 1, error); // e.g. a simulated read error: asked again
                return Ok(());
            }
        }
        self.high_watermark = part.high_watermark;
        let records: Vec<u8> = part.records.iter().flat_map(|b| b.to_vec()).collect();
        for batch in batches(&records) {
            let batch = batch.map_err(|(_, why)| format!("a batch read is damaged: {why}"))?;
            self.take_batch(&batch, ledger)?;
        }
        Ok(())
    }

    fn take_batch(&mut self, batch: &BatchView, ledger: &mut Ledger) -> Result<(), String> {
        if self.wire.is_table() {
            return self.take_table(batch, ledger);
        }
        let info = batch
            .verify()
            .map_err(|(_, why)| format!("a batch read does not verify: {why}"))?;
        for record in Records::new(batch.body(), info.record_count) {
            let record = record.map_err(|e| e.to_string())?;
            let offset = info.base_offset + i64::from(record.offset_delta);
            if offset < self.next_offset {
                continue;
            }
            if offset != self.next_offset {
                return Err(format!(
                    "{}: read offset {offset}, wanted {}",
                    self.wire.place(),
                    self.next_offset
                ));
            }
            let key = record.key.unwrap_or_default();
            let name = name_of(key).ok_or("a record read has a strange key")?;
            let seen = Seen {
                name,
                content: content_of(key, record.value.unwrap_or_default()),
                timestamp: info.record_timestamp(record.timestamp_delta),
            };
            self.take_record(offset, seen, ledger)?;
        }
        Ok(())
    }

    fn take_record(&mut self, offset: i64, seen: Seen, ledger: &mut Ledger) -> Result<(), String> {
        ledger
            .partition(self.wire.ledger_key())
            .was_read(offset, seen.clone())
            .map_err(|why| format!("{}: {why}", self.wire.place()))?;
        self.log.push((offset, seen));
        self.next_offset = offset + 1;
        Ok(())
    }

    /// A batch of a compacted topic: records may be missing, all of them too.
    fn take_table(&mut self, batch: &BatchView, ledger: &mut Ledger) -> Result<(), String> {
        let info = batch.info();
        if !batch.crc_matches() || info.last_offset() < self.next_offset {
            return Err(format!(
                "{}: asked for offset {}, got a batch {info:?} that is damaged or before it",
                self.wire.place(),
                self.next_offset
            ));
        }
        for (offset, seen) in table::open(batch)? {
            if offset >= self.next_offset {
                self.take_record(offset, seen, ledger)?;
            }
        }
        self.next_offset = info.last_offset() + 1;
        Ok(())
    }
}

fn name_of(key: &[u8]) -> Option<RecordName> {
    let text = std::str::from_utf8(key).ok()?;
    let (client, number) = text.split_once(':')?;
    Some(RecordName {
        client: client.parse().ok()?,
        number: number.parse().ok()?,
    })
}

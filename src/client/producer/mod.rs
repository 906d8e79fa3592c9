//! Sends records: batches per partition, one request per leader at a time, retries until delivered or the limit passes.
//!
//! With acks=all it is idempotent where the broker can (KIP-98), so a retry never duplicates. One batch per partition is in
//! flight, so order is kept. Buffers hold at most [`ProducerOptions::buffer_bytes`] plus one record.

mod outgoing;

use self::outgoing::{Outgoing, Stamp, TopicState, batch_sequence, choose, encode, refused};
use crate::client::Result;
use crate::client::cluster::{Cluster, Scope};
use crate::client::error::{ClientError, Refusal};
use crate::client::record::Record;
use crate::wire::compress::Compression;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{InitProducerIdRequest, ProduceRequest, ProduceResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Pause before a retry.
const RETRY_PAUSE: Duration = Duration::from_millis(50);
/// Produce versions up to this name topics, later ones use ids (KIP-516).
const LAST_VERSION_WITH_NAMES: i16 = 12;

/// When a record counts as delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// When it is sent; losses go unnoticed.
    None,
    /// When the leader has it.
    Leader,
    /// When all in-sync replicas have it.
    All,
}

impl Acks {
    /// The number in the request.
    fn code(self) -> i16 {
        match self {
            Acks::None => 0,
            Acks::Leader => 1,
            Acks::All => -1,
        }
    }
}

/// How to send.
#[derive(Clone, Debug)]
pub struct ProducerOptions {
    /// When a record counts as delivered.
    pub acks: Acks,
    /// Compression of batches.
    pub codec: Compression,
    /// Use an idempotent producer; only with [`Acks::All`], and only if the broker grants an id.
    pub idempotent: bool,
    /// Let the broker create topics that do not exist, if it is configured to.
    pub create_topics: bool,
    /// Uncompressed bytes that fill a batch; a larger record travels alone.
    pub batch_bytes: usize,
    /// Uncompressed bytes over all partitions that make [`Producer::send`] flush.
    pub buffer_bytes: usize,
    /// How long one flush may go on retrying.
    pub delivery_timeout: Duration,
}

impl Default for ProducerOptions {
    fn default() -> ProducerOptions {
        ProducerOptions {
            acks: Acks::All,
            codec: Compression::None,
            idempotent: true,
            create_topics: true,
            // Kafka's max.message.bytes is 1048588 by default; uncompressible records must still fit.
            batch_bytes: 1_000_000,
            buffer_bytes: 8_000_000,
            delivery_timeout: Duration::from_secs(30),
        }
    }
}

/// A delivered run of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Offset of the first record, -1 with [`Acks::None`].
    pub base_offset: i64,
    /// Number of records, in the order they were given.
    pub count: usize,
}

/// Sends records to a cluster.
#[derive(Debug)]
pub struct Producer {
    cluster: Cluster,
    options: ProducerOptions,
    topics: BTreeMap<String, TopicState>,
    buffered_bytes: usize,
    /// `None` = not asked for yet; `Some(None)` = not idempotent.
    identity: Option<Option<(i64, i16)>>,
    deliveries: Vec<Delivery>,
    created: Vec<String>,
}

impl Producer {
    /// A producer over a connected cluster.
    pub fn new(cluster: Cluster, options: ProducerOptions) -> Producer {
        Producer {
            cluster,
            options,
            topics: BTreeMap::new(),
            buffered_bytes: 0,
            identity: None,
            deliveries: Vec::new(),
            created: Vec::new(),
        }
    }

    /// Buffers a record; sends when enough is buffered. Without a partition the key decides as in Java's default
    /// partitioner; without a key, records go to one partition until the next flush.
    ///
    /// # Errors
    /// Unknown topic or partition; with a full buffer all that [`Producer::flush`] can return.
    pub fn send(&mut self, topic: &str, partition: Option<i32>, record: Record) -> Result<()> {
        if !self.topics.contains_key(topic) {
            let state = self.open_topic(topic)?;
            self.topics.insert(topic.to_string(), state);
        }
        let size = record.size();
        let batch_bytes = self.options.batch_bytes;
        let Some(state) = self.topics.get_mut(topic) else {
            return Ok(());
        };
        let partition = choose(state, partition, record.key.as_deref())?;
        let is_full = state
            .buffers
            .get(&partition)
            .is_some_and(|buffer| buffer.bytes + size > batch_bytes);
        if is_full {
            self.flush()?;
        }
        if let Some(state) = self.topics.get_mut(topic) {
            let buffer = state.buffers.entry(partition).or_default();
            buffer.records.push(record);
            buffer.bytes += size;
            self.buffered_bytes += size;
        }
        if self.buffered_bytes >= self.options.buffer_bytes {
            self.flush()
        } else {
            Ok(())
        }
    }

    /// True if nothing waits to be sent.
    pub fn is_empty(&self) -> bool {
        self.buffered_bytes == 0
    }

    /// Sends everything buffered and waits for the acknowledgements.
    ///
    /// # Errors
    /// The first refusal that a retry cannot mend, or the last one when the time is up. What was delivered before is in
    /// [`Producer::take_deliveries`]; the rest is dropped, and the next flush begins with a new producer id.
    pub fn flush(&mut self) -> Result<()> {
        let result = self.deliver_buffers();
        if result.is_err() {
            self.identity = None;
            self.topics.values_mut().for_each(|state| state.sequences.clear());
        }
        result
    }

    fn deliver_buffers(&mut self) -> Result<()> {
        let mut outgoing = self.encode_buffers()?;
        let limit = self.options.delivery_timeout;
        let deadline = Instant::now() + limit;
        while !outgoing.is_empty() {
            let (unsent, trouble) = self.attempt(outgoing)?;
            outgoing = unsent;
            if let Some(error) = trouble {
                if Instant::now() >= deadline {
                    return Err(error);
                }
                std::thread::sleep(RETRY_PAUSE);
                self.refresh(&outgoing, deadline)?;
            }
        }
        Ok(())
    }

    /// What was delivered since the last call, in order of delivery.
    pub fn take_deliveries(&mut self) -> Vec<Delivery> {
        std::mem::take(&mut self.deliveries)
    }

    /// Topics that did not exist and were created by the broker on the way, since the last call.
    pub fn take_created(&mut self) -> Vec<String> {
        std::mem::take(&mut self.created)
    }

    /// The cluster underneath.
    pub fn cluster(&mut self) -> &mut Cluster {
        &mut self.cluster
    }

    /// Looks a topic up, waiting for creation and leaders up to the delivery limit.
    fn open_topic(&mut self, name: &str) -> Result<TopicState> {
        let deadline = Instant::now() + self.options.delivery_timeout.min(self.cluster.options().timeout);
        let names = [name.to_string()];
        let mut create = false;
        loop {
            let scope = if create {
                Scope::CreateTopics(&names)
            } else {
                Scope::Topics(&names)
            };
            let found = self
                .cluster
                .metadata(scope)?
                .topics
                .into_iter()
                .next()
                .map(|(_, topic)| topic);
            let refusal = match found {
                Some(Ok(topic)) if !topic.partitions.is_empty() => {
                    if create {
                        self.created.push(name.to_string());
                    }
                    return Ok(TopicState {
                        topic,
                        turn: 0,
                        buffers: BTreeMap::new(),
                        sequences: BTreeMap::new(),
                    });
                }
                Some(Err(refusal)) => refusal,
                _ => Refusal {
                    code: ResponseError::UnknownTopicOrPartition.code(),
                    message: None,
                },
            };
            if !refusal.is_retriable() || !self.options.create_topics {
                return Err(ClientError::refused(format!("topic {name}"), refusal));
            }
            // Once asked to create it, a broker that still does not know it after a moment will not create it.
            let patience = if create && refusal.is_not_found() {
                Duration::from_secs(2)
            } else {
                Duration::ZERO
            };
            if Instant::now() + patience >= deadline {
                return Err(ClientError::refused(format!("topic {name}"), refusal));
            }
            if create {
                std::thread::sleep(RETRY_PAUSE);
            }
            create = true;
        }
    }

    /// Turns the buffers into batches; sequence numbers are taken here, once.
    fn encode_buffers(&mut self) -> Result<Vec<Outgoing>> {
        if self.is_empty() {
            return Ok(Vec::new());
        }
        let stamp = self.stamp()?;
        self.buffered_bytes = 0;
        let mut outgoing = Vec::new();
        for (name, state) in &mut self.topics {
            state.turn = state.turn.wrapping_add(1);
            for (partition, buffer) in std::mem::take(&mut state.buffers) {
                let next = state.sequences.entry(partition).or_insert(0);
                outgoing.push(encode(name, partition, buffer.records, stamp, next)?);
            }
        }
        Ok(outgoing)
    }

    fn stamp(&mut self) -> Result<Stamp> {
        let now_ms = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |age| age.as_millis() as i64);
        Ok(Stamp {
            codec: self.options.codec,
            identity: self.identity()?,
            now_ms,
        })
    }

    /// Producer id and epoch, asked for once. A broker that does not grant one gets plain batches.
    fn identity(&mut self) -> Result<Option<(i64, i16)>> {
        if let Some(identity) = self.identity {
            return Ok(identity);
        }
        let wanted = self.options.idempotent && self.options.acks == Acks::All;
        let identity = if wanted { self.ask_identity()? } else { None };
        self.identity = Some(identity);
        Ok(identity)
    }

    fn ask_identity(&mut self) -> Result<Option<(i64, i16)>> {
        if !self.cluster.any()?.offers::<InitProducerIdRequest>() {
            return Ok(None);
        }
        let deadline = Instant::now() + self.options.delivery_timeout;
        let request = InitProducerIdRequest::default()
            .with_transactional_id(None)
            .with_transaction_timeout_ms(60_000);
        loop {
            let response = self.cluster.call_any(&request)?;
            match Refusal::from_code(response.error_code, None) {
                None => return Ok(Some((response.producer_id.0, response.producer_epoch))),
                // Allowed to write but not to be idempotent: write plainly.
                Some(refusal) if refusal.code == ResponseError::ClusterAuthorizationFailed.code() => return Ok(None),
                Some(refusal) if !refusal.is_retriable() || Instant::now() >= deadline => {
                    return Err(ClientError::refused("get a producer id", refusal));
                }
                Some(_) => std::thread::sleep(RETRY_PAUSE),
            }
        }
    }

    /// One request to each leader. Returns what has to be sent again, and why.
    fn attempt(&mut self, outgoing: Vec<Outgoing>) -> Result<(Vec<Outgoing>, Option<ClientError>)> {
        let mut by_leader: BTreeMap<i32, Vec<Outgoing>> = BTreeMap::new();
        let mut unsent = Vec::new();
        let mut trouble = None;
        let mut waiting = Vec::new();
        let mut seen = BTreeSet::new();
        for one in outgoing {
            // A request takes one batch per partition; the halves of a split one go one after the other.
            if !seen.insert((one.topic.clone(), one.partition)) {
                waiting.push(one);
                continue;
            }
            match self.leader_of(&one.topic, one.partition) {
                Some(leader) => by_leader.entry(leader).or_default().push(one),
                None => {
                    let refusal = Refusal {
                        code: ResponseError::LeaderNotAvailable.code(),
                        message: None,
                    };
                    trouble = Some(refused(&one, refusal));
                    unsent.push(one);
                }
            }
        }
        for (leader, batches) in by_leader {
            match self.call(leader, &batches) {
                Ok(response) => {
                    let left = self.settle(batches, response)?;
                    for (one, error) in left {
                        trouble = error.or(trouble);
                        unsent.push(one);
                    }
                }
                Err(error) if error.may_pass() => {
                    self.cluster.drop_node(leader);
                    trouble = Some(error);
                    unsent.extend(batches);
                }
                Err(error) => return Err(error),
            }
        }
        unsent.append(&mut waiting);
        Ok((unsent, trouble))
    }

    fn leader_of(&self, topic: &str, partition: i32) -> Option<i32> {
        let topic = &self.topics.get(topic)?.topic;
        topic
            .partitions
            .iter()
            .find(|candidate| candidate.index == partition)?
            .leader
    }

    /// Sends one request and reads its reply; without acks there is none.
    fn call(&mut self, leader: i32, batches: &[Outgoing]) -> Result<Option<ProduceResponse>> {
        let timeout = self.cluster.options().timeout;
        let has_ids = batches.iter().all(|one| {
            self.topics
                .get(&one.topic)
                .is_some_and(|state| !state.topic.id.is_nil())
        });
        let mut topics: BTreeMap<&str, Vec<PartitionProduceData>> = BTreeMap::new();
        for one in batches {
            let data = PartitionProduceData::default()
                .with_index(one.partition)
                .with_records(Some(one.encoded.clone()));
            topics.entry(&one.topic).or_default().push(data);
        }
        let cap = if has_ids { i16::MAX } else { LAST_VERSION_WITH_NAMES };
        let version = self.cluster.node(leader)?.version::<ProduceRequest>(cap)?;
        let topic_data = topics.into_iter().map(|(name, partitions)| {
            let topic = TopicProduceData::default().with_partition_data(partitions);
            if version > LAST_VERSION_WITH_NAMES {
                topic.with_topic_id(self.topics.get(name).map(|state| state.topic.id).unwrap_or_default())
            } else {
                topic.with_name(TopicName(StrBytes::from_string(name.to_string())))
            }
        });
        let request = ProduceRequest::default()
            .with_transactional_id(None)
            .with_acks(self.options.acks.code())
            .with_timeout_ms(i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX))
            .with_topic_data(topic_data.collect());
        let connection = self.cluster.node(leader)?;
        let pending = connection.send(version, &request)?;
        if self.options.acks == Acks::None {
            return Ok(None);
        }
        // The broker may use its whole timeout before it answers.
        connection.receive(pending, timeout).map(Some)
    }

    /// Notes what was delivered; returns batches to send again with the reason.
    fn settle(
        &mut self,
        batches: Vec<Outgoing>,
        response: Option<ProduceResponse>,
    ) -> Result<Vec<(Outgoing, Option<ClientError>)>> {
        let Some(response) = response else {
            for one in batches {
                self.delivered(&one, -1);
            }
            return Ok(Vec::new());
        };
        let mut left = Vec::new();
        for one in batches {
            let Some(answer) = self.answer_for(&one, &response) else {
                let refusal = Refusal {
                    code: ResponseError::UnknownServerError.code(),
                    message: Some("no answer for this partition".to_string()),
                };
                return Err(refused(&one, refusal));
            };
            let message = answer.error_message.as_deref().or_else(|| {
                answer
                    .record_errors
                    .first()
                    .and_then(|error| error.batch_index_error_message.as_deref())
            });
            match Refusal::from_code(answer.error_code, message) {
                None => self.delivered(&one, answer.base_offset),
                Some(refusal) if refusal.code == ResponseError::DuplicateSequenceNumber.code() => {
                    self.delivered(&one, answer.base_offset)
                }
                Some(refusal) if refusal.code == ResponseError::MessageTooLarge.code() && one.records.len() > 1 => {
                    left.extend(self.split(one)?.into_iter().map(|half| (half, None)));
                }
                Some(refusal) if refusal.is_retriable() => {
                    let error = refused(&one, refusal);
                    left.push((one, Some(error)));
                }
                Some(refusal) => return Err(refused(&one, refusal)),
            }
        }
        Ok(left)
    }

    fn answer_for<'a>(&self, one: &Outgoing, response: &'a ProduceResponse) -> Option<&'a PartitionProduceResponse> {
        let id = self.topics.get(&one.topic)?.topic.id;
        let is_ours = |name: &str, other: &uuid::Uuid| name == one.topic || (name.is_empty() && *other == id);
        let topic = response
            .responses
            .iter()
            .find(|topic| is_ours(topic.name.as_str(), &topic.topic_id))?;
        topic
            .partition_responses
            .iter()
            .find(|answer| answer.index == one.partition)
    }

    fn delivered(&mut self, one: &Outgoing, base_offset: i64) {
        let count = one.records.len();
        self.deliveries.push(Delivery {
            topic: one.topic.clone(),
            partition: one.partition,
            base_offset,
            count,
        });
    }

    /// Cuts a refused batch in two, with the sequence numbers it had.
    fn split(&mut self, mut one: Outgoing) -> Result<[Outgoing; 2]> {
        let stamp = self.stamp()?;
        let mut sequence = batch_sequence(&one.encoded);
        let second = one.records.split_off(one.records.len() / 2);
        let first = encode(&one.topic, one.partition, one.records, stamp, &mut sequence)?;
        let second = encode(&one.topic, one.partition, second, stamp, &mut sequence)?;
        Ok([first, second])
    }

    /// Reads leaders again before a retry.
    fn refresh(&mut self, outgoing: &[Outgoing], deadline: Instant) -> Result<()> {
        let mut names: Vec<String> = outgoing.iter().map(|one| one.topic.clone()).collect();
        names.dedup();
        match self.cluster.metadata(Scope::Topics(&names)) {
            Ok(metadata) => {
                for topic in metadata.topics.into_iter().filter_map(|(_, topic)| topic.ok()) {
                    if let Some(state) = self.topics.get_mut(&topic.name) {
                        state.topic = topic;
                    }
                }
                Ok(())
            }
            Err(error) if error.may_pass() && Instant::now() < deadline => Ok(()),
            Err(error) => Err(error),
        }
    }
}

//! Reads assigned partitions: long polls at the leaders, whole batches, leaders looked up again when they move.
//!
//! No groups and no fetch sessions: each request is complete in itself (KIP-227, epoch -1). Memory holds one fetch per
//! leader, compressed, and one decompressed batch.

mod slot;
mod start;

pub use self::start::Start;

use self::slot::{Chunk, Slot};
use crate::client::Result;
use crate::client::admin::{self, EARLIEST, LATEST};
use crate::client::cluster::{Cluster, Scope, Topic};
use crate::client::conn::Pending;
use crate::client::error::{ClientError, Refusal};
use crate::client::record::Consumed;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::{BrokerId, FetchRequest, FetchResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Fetch versions up to this name topics, later ones use ids (KIP-516).
const LAST_VERSION_WITH_NAMES: i16 = 12;
/// Pause before looking up leaders again.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// Longest poll when several leaders are asked one after the other.
const SHARED_WAIT: Duration = Duration::from_millis(100);

/// How to read.
#[derive(Clone, Debug)]
pub struct ConsumerOptions {
    /// Leave out records of open and aborted transactions.
    pub read_committed: bool,
    /// Most bytes of one fetch over all partitions (a larger single batch still comes).
    pub fetch_bytes: usize,
    /// Most bytes of one fetch from one partition (a larger single batch still comes).
    pub partition_bytes: usize,
}

impl Default for ConsumerOptions {
    fn default() -> ConsumerOptions {
        ConsumerOptions {
            read_committed: false,
            fetch_bytes: 32 << 20,
            partition_bytes: 4 << 20,
        }
    }
}

/// Reads partitions of a cluster.
#[derive(Debug)]
pub struct Consumer {
    cluster: Cluster,
    options: ConsumerOptions,
    slots: Vec<Slot>,
    chunks: VecDeque<Chunk>,
    /// Since when nothing works, and why.
    trouble: Option<(Instant, ClientError)>,
    notes: Vec<String>,
}

impl Consumer {
    /// A consumer over a connected cluster, with nothing assigned.
    pub fn new(cluster: Cluster, options: ConsumerOptions) -> Consumer {
        Consumer {
            cluster,
            options,
            slots: Vec::new(),
            chunks: VecDeque::new(),
            trouble: None,
            notes: Vec::new(),
        }
    }

    /// Assigns partitions of a topic (all if `None`), beginning at `start`. Each only once.
    ///
    /// # Errors
    /// The topic, a partition or the offset does not exist; connection errors.
    pub fn assign(&mut self, topic: &str, partitions: Option<&[i32]>, start: Start) -> Result<()> {
        let topic = self.cluster.topic(topic)?;
        let all: Vec<i32> = topic.partitions.iter().map(|partition| partition.index).collect();
        let wanted = partitions.unwrap_or(&all);
        if let Some(missing) = wanted.iter().find(|index| !all.contains(index)) {
            let message = format!("{} has {} partitions, numbered from 0", topic.name, all.len());
            let refusal = Refusal {
                code: ResponseError::UnknownTopicOrPartition.code(),
                message: Some(message),
            };
            return Err(ClientError::refused(
                format!("read {} partition {missing}", topic.name),
                refusal,
            ));
        }
        let positions = self.positions(&topic, wanted, start)?;
        let name: Arc<str> = topic.name.as_str().into();
        for partition in topic.partitions.iter() {
            let Some(&position) = positions.get(&partition.index) else {
                continue;
            };
            self.slots.push(Slot {
                topic: Arc::clone(&name),
                topic_id: topic.id,
                partition: partition.index,
                leader: partition.leader,
                position,
                stop: None,
                is_queued: false,
            });
        }
        Ok(())
    }

    /// Makes the present end of each assigned partition the place to stop.
    ///
    /// # Errors
    /// Connection errors, partitions without a leader.
    pub fn stop_at_end(&mut self) -> Result<()> {
        let mut names: Vec<Arc<str>> = self.slots.iter().map(|slot| Arc::clone(&slot.topic)).collect();
        names.dedup();
        for name in names {
            let topic = self.cluster.topic(&name)?;
            let ours = |slot: &&mut Slot| slot.topic == name;
            let wanted: Vec<i32> = self
                .slots
                .iter()
                .filter(|slot| slot.topic == name)
                .map(|slot| slot.partition)
                .collect();
            let ends = self.offsets(&topic, &wanted, LATEST)?;
            for slot in self.slots.iter_mut().filter(ours) {
                slot.stop = ends.get(&slot.partition).copied();
            }
        }
        Ok(())
    }

    /// True once every partition was read to its stop.
    pub fn is_finished(&self) -> bool {
        self.chunks.is_empty() && self.slots.iter().all(Slot::is_done)
    }

    /// What the user should know and no error: gaps, re-created topics. Since the last call.
    pub fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// The records of the next batch, or none if nothing came within `max_wait`. Offsets of a partition ascend.
    ///
    /// # Errors
    /// What has stopped every attempt for the connection's time limit, unreadable records, [`ClientError::Interrupted`].
    pub fn poll(&mut self, max_wait: Duration) -> Result<Vec<Consumed>> {
        if self.chunks.is_empty() {
            self.fetch(max_wait)?;
        }
        while let Some(mut chunk) = self.chunks.pop_front() {
            let Some(slot) = self.slots.get_mut(chunk.slot) else {
                continue;
            };
            let records = chunk.next_batch(slot, self.options.read_committed);
            match (records, chunk.records.is_empty()) {
                (Ok(records), false) if records.is_empty() => self.chunks.push_front(chunk),
                (Ok(records), is_over) => {
                    if is_over {
                        self.release(chunk.slot);
                    } else {
                        self.chunks.push_front(chunk);
                    }
                    if !records.is_empty() {
                        return Ok(records);
                    }
                }
                (Err(error), _) => return Err(error),
            }
        }
        Ok(Vec::new())
    }

    fn release(&mut self, slot: usize) {
        if let Some(slot) = self.slots.get_mut(slot) {
            slot.is_queued = false;
        }
    }

    fn offsets(&mut self, topic: &Topic, wanted: &[i32], timestamp: i64) -> Result<BTreeMap<i32, i64>> {
        let found = admin::list_offsets(&mut self.cluster, topic, wanted, timestamp, self.options.read_committed)?;
        let offset = |(partition, found): (i32, admin::OffsetAnswer)| match found {
            Ok(found) => Ok((partition, found.offset)),
            Err(refusal) => Err(ClientError::refused(
                format!("find the offsets of {} partition {partition}", topic.name),
                refusal,
            )),
        };
        found.into_iter().map(offset).collect()
    }

    /// One request to each leader with partitions to read.
    fn fetch(&mut self, max_wait: Duration) -> Result<()> {
        if self.slots.iter().any(|slot| slot.leader.is_none() && !slot.is_done()) {
            self.find_leaders()?;
        }
        let mut by_leader: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
        for (index, slot) in self.slots.iter().enumerate() {
            if let Some(leader) = slot.leader.filter(|_| !slot.is_done() && !slot.is_queued) {
                by_leader.entry(leader).or_default().push(index);
            }
        }
        if by_leader.is_empty() {
            std::thread::sleep(max_wait.min(RETRY_PAUSE));
            return if self.cluster.options().is_interrupted() {
                Err(ClientError::Interrupted)
            } else {
                Ok(())
            };
        }
        let wait = if by_leader.len() > 1 {
            max_wait.min(SHARED_WAIT)
        } else {
            max_wait
        };
        let mut pending = Vec::new();
        for (leader, slots) in by_leader {
            match self.send(leader, &slots, wait) {
                Ok(sent) => pending.push((leader, slots, sent)),
                Err(error) => self.note_trouble(leader, error)?,
            }
        }
        for (leader, slots, sent) in pending {
            let response = self
                .cluster
                .node(leader)
                .and_then(|connection| connection.receive(sent, wait));
            match response {
                Ok(response) => self.take(&slots, response)?,
                Err(error) => self.note_trouble(leader, error)?,
            }
        }
        Ok(())
    }

    fn send(&mut self, leader: i32, slots: &[usize], wait: Duration) -> Result<Pending<FetchRequest>> {
        let slots: Vec<&Slot> = slots.iter().filter_map(|&index| self.slots.get(index)).collect();
        let has_ids = slots.iter().all(|slot| !slot.topic_id.is_nil());
        let connection = self.cluster.node(leader)?;
        let version = connection.version::<FetchRequest>(if has_ids { i16::MAX } else { LAST_VERSION_WITH_NAMES })?;
        let size = |bytes: usize| i32::try_from(bytes).unwrap_or(i32::MAX);
        let mut topics: BTreeMap<&str, FetchTopic> = BTreeMap::new();
        for slot in slots {
            let topic = topics
                .entry(&slot.topic)
                .or_insert_with(|| match version > LAST_VERSION_WITH_NAMES {
                    true => FetchTopic::default().with_topic_id(slot.topic_id),
                    false => FetchTopic::default().with_topic(TopicName(StrBytes::from_string(slot.topic.to_string()))),
                });
            topic.partitions.push(
                FetchPartition::default()
                    .with_partition(slot.partition)
                    .with_fetch_offset(slot.position)
                    .with_current_leader_epoch(-1)
                    .with_last_fetched_epoch(-1)
                    .with_log_start_offset(-1)
                    .with_partition_max_bytes(size(self.options.partition_bytes)),
            );
        }
        let request = FetchRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_max_wait_ms(i32::try_from(wait.as_millis()).unwrap_or(i32::MAX))
            .with_min_bytes(1)
            .with_max_bytes(size(self.options.fetch_bytes))
            .with_isolation_level(i8::from(self.options.read_committed))
            .with_session_id(0)
            .with_session_epoch(-1)
            .with_topics(topics.into_values().collect());
        connection.send(version, &request)
    }

    /// Queues what came and notes which leaders moved.
    fn take(&mut self, asked: &[usize], response: FetchResponse) -> Result<()> {
        if let Some(refusal) = Refusal::from_code(response.error_code, None) {
            return Err(ClientError::refused("fetch", refusal));
        }
        let mut is_well = true;
        for topic in response.responses {
            for data in topic.partitions {
                let ours = |index: &&usize| {
                    self.slots.get(**index).is_some_and(|slot| {
                        let same =
                            *slot.topic == **topic.topic || (topic.topic.is_empty() && slot.topic_id == topic.topic_id);
                        same && slot.partition == data.partition_index
                    })
                };
                if let Some(&index) = asked.iter().find(ours) {
                    is_well &= self.take_partition(index, data)?;
                }
            }
        }
        if is_well {
            self.trouble = None;
        }
        Ok(())
    }

    /// False if the partition could not be read for now.
    fn take_partition(&mut self, index: usize, data: PartitionData) -> Result<bool> {
        let Some(slot) = self.slots.get_mut(index) else {
            return Ok(true);
        };
        let Some(refusal) = Refusal::from_code(data.error_code, None) else {
            let records = data.records.unwrap_or_default();
            if !records.is_empty() {
                slot.is_queued = true;
                let aborted = data.aborted_transactions.unwrap_or_default();
                let mut aborted: Vec<(i64, i64)> = aborted
                    .iter()
                    .map(|one| (one.producer_id.0, one.first_offset))
                    .collect();
                aborted.sort_by_key(|&(_, first_offset)| first_offset);
                self.chunks.push_back(Chunk {
                    slot: index,
                    records,
                    aborted: aborted.into(),
                    skipping: Vec::new(),
                });
            }
            return Ok(true);
        };
        let error = ClientError::refused(format!("read {}", slot.place()), refusal.clone());
        if refusal.code == ResponseError::OffsetOutOfRange.code() {
            self.skip_gap(index)?;
            return Ok(true);
        }
        if !refusal.is_retriable() {
            return Err(error);
        }
        slot.leader = None;
        self.remember(error)?;
        Ok(false)
    }

    /// The position fell out of the log (retention, re-creation): goes on at its start and says so.
    fn skip_gap(&mut self, index: usize) -> Result<()> {
        let Some((name, partition)) = self
            .slots
            .get(index)
            .map(|slot| (Arc::clone(&slot.topic), slot.partition))
        else {
            return Ok(());
        };
        let topic = self.cluster.topic(&name)?;
        let starts = self.offsets(&topic, &[partition], EARLIEST)?;
        if let (Some(slot), Some(&start)) = (self.slots.get_mut(index), starts.get(&partition)) {
            let text = format!(
                "{} is gone (deleted by retention or with the topic); going on at offset {start}",
                slot.place()
            );
            self.notes.push(text);
            slot.position = start;
            // A log that shrank below the stop has nothing more to wait for.
            slot.stop = slot.stop.map(|stop| if stop < start { start } else { stop });
        }
        Ok(())
    }

    /// Looks up leaders, topic ids and brokers again.
    fn find_leaders(&mut self) -> Result<()> {
        std::thread::sleep(RETRY_PAUSE);
        let mut names: Vec<String> = self.slots.iter().map(|slot| slot.topic.to_string()).collect();
        names.sort();
        names.dedup();
        let metadata = match self.cluster.metadata(Scope::Topics(&names)) {
            Ok(metadata) => metadata,
            Err(error) => return self.remember(error),
        };
        for (name, topic) in metadata.topics {
            match topic {
                Ok(topic) => self.adopt(&topic),
                Err(refusal) => self.remember(ClientError::refused(format!("topic {name}"), refusal))?,
            }
        }
        Ok(())
    }

    fn adopt(&mut self, topic: &Topic) {
        for slot in self.slots.iter_mut().filter(|slot| *slot.topic == *topic.name) {
            let partition = topic
                .partitions
                .iter()
                .find(|candidate| candidate.index == slot.partition);
            slot.leader = partition.and_then(|partition| partition.leader);
            slot.topic_id = topic.id;
        }
    }

    /// A broker failed: its partitions need a leader again.
    fn note_trouble(&mut self, leader: i32, error: ClientError) -> Result<()> {
        self.cluster.drop_node(leader);
        for slot in self.slots.iter_mut().filter(|slot| slot.leader == Some(leader)) {
            slot.leader = None;
        }
        self.remember(error)
    }

    /// Errors that may pass are kept until they lasted for the connection's time limit.
    fn remember(&mut self, error: ClientError) -> Result<()> {
        let since = self.trouble.as_ref().map_or_else(Instant::now, |(since, _)| *since);
        if !error.may_pass() || since.elapsed() > self.cluster.options().timeout {
            return Err(error);
        }
        self.trouble = Some((since, error));
        Ok(())
    }
}

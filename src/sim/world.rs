//! One simulation: a seed decides sizes, clients, faults, crashes; the checkers judge; the digest says which run it was.
//!
//! Two phases: *safety* with faults and crashes, then *liveness*: faults end, every batch must be acknowledged in bounded time
//! (a system that stops for ever would pass otherwise), and the whole log is read and compared with the ledger, twice, with a
//! restart between.

use crate::base::ids::Now;
use crate::shard::shard::Shard;
use crate::sim::client::{LogReader, Producer, TABLE, TOPIC};
use crate::sim::committer::Committer;
use crate::sim::disk::SimDisk;
use crate::sim::io::IoFaults;
use crate::sim::ledger::Ledger;
use crate::sim::node::{Node, NodeConfig};
use crate::sim::prng::Prng;
use crate::sim::table::{self, Promise};
use crate::wire::control::create_topics::{CreatableTopic, CreatableTopicConfig, CreateTopics, CreateTopicsRequest};
use crate::wire::error::ErrorCode;
use crate::wire::message::{Api, request_frame};
use bytes::Bytes;
use std::collections::BTreeSet;

const WALL_START_MS: i64 = 1_800_000_000_000;
/// Virtual time within which a healed node has to finish everything.
const LIVENESS_NS: u64 = 20_000_000_000;

/// Answers in a row by which a reader may be refused once all faults ended: what is still on its way passes by then.
const REFUSED_MAX: u32 = 1_000;

/// Times that a compacted topic is read before a verdict counts, and the virtual time between.
const TABLE_READS: u32 = 4;
const TABLE_REST_NS: u64 = 300_000_000;

/// Virtual time in which a broker forgets that a read once gave damaged bytes.
const FORGIVEN_NS: u64 = 11_000_000_000;

/// What a run may contain.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Virtual milliseconds of the phase with faults.
    pub busy_ms: u64,
    /// Crashes at most.
    pub crashes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            busy_ms: 150,
            crashes: 5,
        }
    }
}

/// What a run was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Same seed, same digest.
    pub digest: u64,
    /// Records acknowledged and read.
    pub acked: u64,
    /// Records read.
    pub read: u64,
    /// Offsets committed and acknowledged.
    pub commits: u64,
    /// Crashes of the node.
    pub crashes: u64,
    /// Events stepped.
    pub events: u64,
    /// Compactions that took effect since the last start.
    pub compactions: u64,
    /// Virtual milliseconds.
    pub virtual_ms: u64,
}

pub(super) struct World {
    pub(super) chance: Prng,
    groups_chance: Prng,
    pub(super) config: NodeConfig,
    pub(super) faults: IoFaults,
    pub(super) disk: SimDisk,
    pub(super) node: Option<Node>,
    pub(super) now: Now,
    pub(super) producers: Vec<Producer>,
    pub(super) readers: Vec<LogReader>,
    pub(super) committers: Vec<Committer>,
    pub(super) ledger: Ledger,
    partitions: u32,
    tables: Option<Tables>,
    /// CreateTopics was answered with success.
    topic_made: bool,
    digest: u64,
    crashes: u64,
    events: u64,
}

/// The compacted topic of a run.
#[derive(Clone, Debug)]
struct Tables {
    partitions: u32,
    retention_ms: i64,
    configs: Vec<(&'static str, String)>,
}

impl Tables {
    fn draw(chance: &mut Prng) -> Tables {
        let retention_ms = [0, 20, 86_400_000][chance.below(3) as usize];
        let pick = |chance: &mut Prng, from: &[&str]| from[chance.below(from.len() as u64) as usize].to_string();
        let configs = vec![
            ("cleanup.policy", "compact".to_string()),
            ("delete.retention.ms", retention_ms.to_string()),
            ("min.cleanable.dirty.ratio", pick(chance, &["0", "0.01", "0.5"])),
            ("min.compaction.lag.ms", pick(chance, &["0", "0", "15"])),
            ("max.compaction.lag.ms", pick(chance, &["10", "40", "86400000"])),
            ("segment.ms", pick(chance, &["5", "30", "86400000"])),
        ];
        Tables {
            partitions: chance.between(1, 2) as u32,
            retention_ms,
            configs,
        }
    }

    /// Its clients, numbered from `first` on.
    fn clients(&self, first: usize, chance: &mut Prng) -> (Vec<Producer>, Vec<LogReader>) {
        let writers = chance.between(1, 3) as usize;
        let producers = (first..first + writers).map(|client| {
            let partition = chance.below(u64::from(self.partitions)) as u32;
            // Where tombstones go soon, each has to be known: one that was given up may have been there and be gone.
            let idempotent = self.retention_ms < 1_000 || chance.chance(50);
            Producer::new(client, (TABLE, partition), idempotent, chance.fork())
        });
        let producers: Vec<_> = producers.collect();
        let readers = (0..self.partitions)
            .map(|p| LogReader::new(first + writers + p as usize, (TABLE, p), chance.fork()))
            .collect();
        (producers, readers)
    }
}

/// Runs one seed.
///
/// # Errors
/// The broken rule. Run the same seed again to see it again.
pub fn run(seed: u64, limits: Limits) -> Result<Report, String> {
    let mut world = World::draw(seed);
    world.start_node()?;
    world.create_topic()?;
    world.busy(limits)?;
    world.heal()?;
    world.check_log()?;
    world.restart(false)?;
    world.check_log()?;
    world.check_offsets()?;
    world.fold_node();
    Ok(Report {
        digest: world.digest,
        acked: world.ledger.acked(),
        read: world.ledger.read(),
        commits: world.committers.iter().map(|c| c.commits).sum(),
        crashes: world.crashes,
        compactions: world.compactions(),
        events: world.events,
        virtual_ms: world.now.mono_ns / 1_000_000,
    })
}

impl World {
    pub(super) fn draw(seed: u64) -> World {
        let mut chance = Prng::new(seed);
        // Apart, so that a seed without groups is the run it was before there were any.
        let mut groups_chance = Prng::new(seed ^ 0x6772_6f75_7073);
        let mut config = NodeConfig::draw(&mut chance);
        config.coordinators = groups_chance.between(1, 4);
        let faults = draw_faults(&mut chance);
        let journals = u64::from(config.shards) * config.journal_files as u64 * config.journal_file;
        let tight = chance.chance(15);
        let capacity = if tight {
            journals + chance.between(300 << 10, 1 << 20)
        } else {
            1 << 30
        };
        let partitions = chance.between(1, 4) as u32;
        let writers = chance.between(1, 4) as usize;
        let mut producers: Vec<Producer> = (0..writers)
            .map(|client| {
                let partition = chance.below(u64::from(partitions)) as u32;
                Producer::new(client, (TOPIC, partition), chance.chance(75), chance.fork())
            })
            .collect();
        let groups = groups_chance.below(3) as usize;
        let committers = (0..groups)
            .map(|i| {
                Committer::new(
                    writers + partitions as usize + i,
                    groups_chance.chance(60),
                    groups_chance.fork(),
                )
            })
            .collect();
        let mut readers: Vec<LogReader> = (0..partitions)
            .map(|p| LogReader::new(writers + p as usize, (TOPIC, p), chance.fork()))
            .collect();
        let mut table_chance = Prng::new(seed ^ 0x7461_626c_6573);
        let tables = table_chance.chance(40).then(|| Tables::draw(&mut table_chance));
        if let Some(tables) = &tables {
            config.draw_cleaner(&mut table_chance);
            let clients = tables.clients(writers + partitions as usize + groups, &mut table_chance);
            producers.extend(clients.0);
            readers.extend(clients.1);
        }
        World {
            disk: SimDisk::new(capacity),
            node: None,
            now: Now {
                mono_ns: 1_000_000,
                wall_ms: WALL_START_MS,
            },
            producers,
            readers,
            committers,
            groups_chance,
            ledger: Ledger::default(),
            partitions,
            tables,
            topic_made: false,
            digest: seed,
            crashes: 0,
            events: 0,
            chance,
            config,
            faults,
        }
    }

    pub(super) fn start_node(&mut self) -> Result<(), String> {
        let mut chance = self.chance.fork();
        self.node = Some(Node::start(
            &self.config,
            &mut self.disk,
            &self.faults,
            self.now,
            &mut chance,
        )?);
        let stores = self.node.iter().flat_map(|n| n.shards.iter()).map(Shard::store);
        let ours = stores.flat_map(|s| s.partitions()).filter(|p| p.topic.name == TOPIC);
        let found = ours.count();
        if self.topic_made && found != self.partitions as usize {
            return Err(format!(
                "the topic was made with {} partitions; after a start there are {found}",
                self.partitions
            ));
        }
        Ok(())
    }

    /// The same world on a disk that does what it is told.
    pub(super) fn without_faults(mut self) -> World {
        self.faults = IoFaults::default();
        self.disk = SimDisk::new(1 << 40);
        self
    }

    /// Lets time pass without clients.
    pub(super) fn rest(&mut self, length_ns: u64) {
        let end = self.now.mono_ns + length_ns;
        while self.now.mono_ns < end {
            self.advance(1_000_000);
        }
    }

    /// Kills the node, and every connection with it.
    pub(super) fn stop_node(&mut self) {
        let mut chance = self.chance.fork();
        if let Some(node) = self.node.take() {
            node.crash(&mut self.disk, false, &mut chance);
        }
    }

    fn fold_node(&mut self) {
        if let Some(node) = &self.node {
            self.digest = self.digest.rotate_left(7) ^ node.trace;
            self.events += node.events;
        }
    }

    /// Kills the node and starts it again.
    fn restart(&mut self, power: bool) -> Result<(), String> {
        self.fold_node();
        let mut chance = self.chance.fork();
        if let Some(node) = self.node.take() {
            node.crash(&mut self.disk, power, &mut chance);
        }
        self.crashes += 1;
        self.producers.iter_mut().for_each(|p| p.wire.link = None);
        self.readers.iter_mut().for_each(|r| r.wire.link = None);
        self.committers.iter_mut().for_each(|c| c.link = None);
        self.start_node()
    }

    /// Moves time to what happens next, at most `limit_ns` ahead.
    fn advance(&mut self, limit_ns: u64) {
        let Some(node) = &mut self.node else { return };
        let next = node.next_time(self.now.mono_ns).min(self.now.mono_ns + limit_ns);
        self.now.mono_ns = next + 1_000;
        self.now.wall_ms = WALL_START_MS + (self.now.mono_ns / 1_000_000) as i64;
        node.run(self.now, &mut self.disk);
    }

    /// The topics of the run, in one request.
    fn topics(&self) -> CreateTopicsRequest {
        let topic = |name: &str, partitions: u32| CreatableTopic {
            name: name.into(),
            num_partitions: partitions as i32,
            replication_factor: 1,
            ..Default::default()
        };
        let mut topics = vec![topic(TOPIC, self.partitions)];
        if let Some(tables) = &self.tables {
            let configs = tables.configs.iter().map(|(name, value)| CreatableTopicConfig {
                name: (*name).into(),
                value: Some(value.clone()),
            });
            topics.push(CreatableTopic {
                configs: configs.collect(),
                ..topic(TABLE, tables.partitions)
            });
        }
        CreateTopicsRequest {
            topics,
            ..Default::default()
        }
    }

    pub(super) fn create_topic(&mut self) -> Result<(), String> {
        let request = self.topics();
        let bytes = request_frame::<CreateTopics>(&request, 5, 1, Some("admin"));
        for _ in 0..20 {
            let Some(node) = &mut self.node else { break };
            let conn = node.connect(0, usize::MAX, self.now, &mut self.disk);
            node.nets[0].send(conn, &bytes);
            for _ in 0..20_000 {
                self.advance(1_000_000);
                let Some(node) = &mut self.node else { break };
                if let Some(why) = node.fatal() {
                    tracing::debug!("restart during setup: {why}");
                    self.restart(false)?;
                    break;
                }
                if let Some(reply) = node.nets[0].take_reply(conn) {
                    let answer = CreateTopics::decode_response(5, &reply.slice(5..)).map_err(|e| e.to_string())?;
                    let is_made = |error| matches!(error, ErrorCode::None | ErrorCode::TopicAlreadyExists);
                    self.topic_made = answer.topics.iter().all(|topic| is_made(topic.error));
                    return match self.topic_made {
                        true => Ok(()),
                        false => Err(format!("CreateTopics answered {:?}", answer.topics)),
                    };
                }
            }
        }
        Err("CreateTopics was never answered".into())
    }

    /// The phase with faults.
    pub(super) fn busy(&mut self, limits: Limits) -> Result<(), String> {
        let end = self.now.mono_ns + limits.busy_ms * 1_000_000;
        let crashes = self.chance.below(limits.crashes + 1);
        let mut crash_at: Vec<u64> = (0..crashes)
            .map(|_| self.now.mono_ns + self.chance.below(limits.busy_ms * 1_000_000))
            .collect();
        crash_at.sort_unstable();
        while self.now.mono_ns < end {
            self.round()?;
            let crash = crash_at.first().is_some_and(|at| *at <= self.now.mono_ns);
            if crash {
                crash_at.remove(0);
            }
            let stopped = self.node.as_ref().and_then(Node::fatal).is_some();
            if crash || stopped {
                let power = self.chance.chance(60);
                self.restart(power)?;
            }
        }
        Ok(())
    }

    /// One step of time, and what clients do about it.
    pub(super) fn round(&mut self) -> Result<(), String> {
        self.advance(100_000);
        self.connect_clients();
        self.take_replies()?;
        let Some(node) = &mut self.node else { return Ok(()) };
        for producer in &mut self.producers {
            if producer.wire.link.is_some() && self.chance.chance(40) {
                producer.act(&mut node.nets, self.now.wall_ms);
            }
            if self.chance.below(3000) == 0 {
                producer.wire.disconnect(&mut node.nets);
            }
        }
        for reader in &mut self.readers {
            if reader.wire.link.is_some() {
                reader.act(&mut node.nets);
            }
            if self.chance.below(3000) == 0 {
                reader.wire.disconnect(&mut node.nets);
            }
        }
        for committer in &mut self.committers {
            if committer.link.is_some() && self.groups_chance.chance(20) {
                committer.act(&mut node.nets);
            }
            if self.groups_chance.below(3000) == 0 {
                committer.disconnect(&mut node.nets);
            }
        }
        Ok(())
    }

    fn connect_clients(&mut self) {
        let Some(node) = &mut self.node else { return };
        let wires = self
            .producers
            .iter_mut()
            .map(|p| &mut p.wire)
            .chain(self.readers.iter_mut().map(|r| &mut r.wire));
        for wire in wires {
            if wire.link.is_some_and(|(shard, conn)| !node.nets[shard].is_open(conn)) {
                wire.link = None;
            }
        }
        for committer in &mut self.committers {
            let broken = |(shard, conn): (usize, _)| !node.nets[shard].is_open(conn);
            if committer.link.is_some_and(broken) {
                committer.link = None;
            }
            if committer.link.is_none() {
                let shard = self.groups_chance.below(u64::from(self.config.shards)) as usize;
                let conn = node.connect(shard, committer.client, self.now, &mut self.disk);
                committer.connected((shard, conn));
            }
        }
        for producer in self.producers.iter_mut().filter(|p| p.wire.link.is_none()) {
            let shard = self.chance.below(u64::from(self.config.shards)) as usize;
            let conn = node.connect(shard, producer.wire.client, self.now, &mut self.disk);
            producer.connected((shard, conn));
        }
        for reader in self.readers.iter_mut().filter(|r| r.wire.link.is_none()) {
            let shard = self.chance.below(u64::from(self.config.shards)) as usize;
            let conn = node.connect(shard, reader.wire.client, self.now, &mut self.disk);
            reader.connected((shard, conn));
        }
    }

    fn take_replies(&mut self) -> Result<(), String> {
        let Some(node) = &mut self.node else { return Ok(()) };
        for producer in &mut self.producers {
            while let Some(reply) = next_reply(node, producer.wire.link) {
                producer.on_reply(&reply, &mut self.ledger, &mut node.nets)?;
            }
        }
        for reader in &mut self.readers {
            while let Some(reply) = next_reply(node, reader.wire.link) {
                reader.on_reply(&reply, &mut self.ledger)?;
            }
        }
        for committer in &mut self.committers {
            while let Some(reply) = next_reply(node, committer.link) {
                committer.on_reply(&reply)?;
            }
        }
        Ok(())
    }

    /// Faults end; everything has to come to rest.
    pub(super) fn heal(&mut self) -> Result<(), String> {
        let bad_reads = self.faults.read_flip > 0;
        self.faults = IoFaults::default();
        self.disk.capacity = 1 << 40;
        if let Some(node) = &mut self.node {
            node.set_faults(&self.faults);
        }
        self.producers.iter_mut().for_each(|p| p.finishing = true);
        self.committers.iter_mut().for_each(|c| c.finishing = true);
        let deadline = self.now.mono_ns + LIVENESS_NS;
        while self.producers.iter().any(|p| !p.is_done()) || self.committers.iter().any(|c| !c.is_done()) {
            self.round()?;
            if let Some(why) = self.node.as_ref().and_then(Node::fatal) {
                tracing::debug!("restart while healing: {why}");
                self.restart(false)?;
            }
            if self.now.mono_ns > deadline {
                return Err(format!(
                    "batches or commits are still not acknowledged long after all faults ended: {}",
                    self.describe()
                ));
            }
        }
        if bad_reads {
            self.rest(FORGIVEN_NS);
        }
        Ok(())
    }

    pub(super) fn describe(&self) -> String {
        let mut text: String = self.committers.iter().map(|c| c.describe() + "; ").collect();
        for store in self.node.iter().flat_map(|n| n.shards.iter()).map(Shard::store) {
            text += &format!("{}; ", store.describe());
            for p in store.partitions() {
                text += &format!("partition {}: {}; ", p.id.partition, p.describe());
            }
        }
        text
    }

    /// Every group has the offset that was acknowledged last.
    fn check_offsets(&mut self) -> Result<(), String> {
        self.committers.iter_mut().for_each(Committer::check_again);
        let deadline = self.now.mono_ns + LIVENESS_NS;
        while self.committers.iter().any(|c| !c.is_done()) {
            self.round()?;
            if self.now.mono_ns > deadline {
                return Err(format!("offsets cannot be fetched: {}", self.describe()));
            }
        }
        Ok(())
    }

    /// Reads every partition from its start and compares. A compaction in the midst of it may show a reader a record and then no
    /// longer the tombstone behind it, if that may go so soon: what is wrong stays wrong, so such a table is read again.
    pub(super) fn check_log(&mut self) -> Result<(), String> {
        for _ in 0..TABLE_READS {
            self.read_log()?;
            let (tables, logs): (Vec<_>, Vec<_>) =
                (0..self.readers.len()).partition(|r| self.readers[*r].wire.is_table());
            logs.into_iter().try_for_each(|reader| self.judge(reader))?;
            if tables.into_iter().all(|reader| self.judge(reader).is_ok()) {
                return Ok(());
            }
            self.rest(TABLE_REST_NS);
        }
        (0..self.readers.len()).try_for_each(|reader| self.judge(reader))
    }

    fn read_log(&mut self) -> Result<(), String> {
        if let Some(node) = &mut self.node {
            for reader in &mut self.readers {
                reader.wire.disconnect(&mut node.nets); // an answer to an older question may be on its way
                reader.restart(0);
            }
        }
        let deadline = self.now.mono_ns + LIVENESS_NS;
        while self
            .readers
            .iter()
            .any(|r| r.high_watermark < 0 || r.next_offset < r.high_watermark)
        {
            self.round()?;
            if let Some(r) = self.readers.iter().find(|r| r.refused.0 > REFUSED_MAX) {
                return Err(format!(
                    "{}: offset {} can no longer be read: {}",
                    r.wire.place(),
                    r.next_offset,
                    r.refused.1.name()
                ));
            }
            if self.now.mono_ns > deadline {
                let stuck: Vec<_> = self
                    .readers
                    .iter()
                    .map(|r| (r.wire.place(), r.next_offset, r.high_watermark))
                    .collect();
                return Err(format!(
                    "the log cannot be read to its end: (partition, next offset, high watermark) {stuck:?}; {}",
                    self.describe()
                ));
            }
        }
        Ok(())
    }

    /// Compares what a reader has read from the start on with what is known.
    pub(super) fn judge(&mut self, reader: usize) -> Result<(), String> {
        let idempotent: BTreeSet<usize> = self
            .producers
            .iter()
            .filter(|p| p.is_idempotent())
            .map(|p| p.wire.client)
            .collect();
        let once = |client: u32| idempotent.contains(&(client as usize));
        let promise = Promise {
            retention_ms: self.tables.as_ref().map_or(0, |tables| tables.retention_ms),
            now_ms: self.now.wall_ms,
        };
        let reader = &self.readers[reader];
        let partition = self.ledger.partition(reader.wire.ledger_key());
        let verdict = match reader.wire.is_table() {
            true => table::check(partition, &reader.log, promise, once),
            false => partition.check(reader.start, &reader.log, once),
        };
        verdict.map_err(|why| format!("{}: {why}", reader.wire.place()))
    }

    /// Compactions since the last start.
    fn compactions(&mut self) -> u64 {
        let shards = self.node.iter_mut().flat_map(|node| node.shards.iter_mut());
        shards.map(|shard| shard.metrics().cleaner_runs).sum()
    }
}

/// What may go wrong in a run.
fn draw_faults(chance: &mut Prng) -> IoFaults {
    IoFaults {
        segment_error: if chance.chance(25) { chance.between(1, 10) } else { 0 },
        journal_error: if chance.chance(10) { 1 } else { 0 },
        read_error: if chance.chance(20) { chance.between(1, 10) } else { 0 },
        read_flip: if chance.chance(15) { chance.between(1, 10) } else { 0 },
        slow: if chance.chance(30) { chance.between(1, 5) } else { 0 },
        job_error: if chance.chance(20) { chance.between(1, 10) } else { 0 },
        stalled_until_ns: 0,
    }
}

fn next_reply(node: &mut Node, link: Option<(usize, crate::base::ids::ConnId)>) -> Option<Bytes> {
    let (shard, conn) = link?;
    node.nets[shard].take_reply(conn)
}

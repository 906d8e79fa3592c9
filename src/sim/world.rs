//! One simulation: a seed decides sizes, clients, faults, crashes; the checkers judge; the digest says which run it was.
//!
//! Two phases: *safety* with faults and crashes, then *liveness*: faults end, every batch must be acknowledged in bounded time
//! (a system that stops for ever would pass otherwise), and the whole log is read and compared with the ledger, twice, with a
//! restart between.

use crate::base::ids::Now;
use crate::shard::shard::Shard;
use crate::sim::client::{LogReader, Producer, TOPIC};
use crate::sim::committer::Committer;
use crate::sim::disk::SimDisk;
use crate::sim::io::IoFaults;
use crate::sim::ledger::Ledger;
use crate::sim::node::{Node, NodeConfig};
use crate::sim::prng::Prng;
use crate::wire::control::create_topics::{CreatableTopic, CreateTopics, CreateTopicsRequest};
use crate::wire::error::ErrorCode;
use crate::wire::message::{Api, request_frame};
use bytes::Bytes;

const WALL_START_MS: i64 = 1_800_000_000_000;
/// Virtual time within which a healed node has to finish everything.
const LIVENESS_NS: u64 = 20_000_000_000;

/// Answers in a row by which a reader may be refused once all faults ended: what is still on its way passes by then.
const REFUSED_MAX: u32 = 1_000;

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
    /// CreateTopics was answered with success.
    topic_made: bool,
    digest: u64,
    crashes: u64,
    events: u64,
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
        let faults = IoFaults {
            segment_error: if chance.chance(25) { chance.between(1, 10) } else { 0 },
            journal_error: if chance.chance(10) { 1 } else { 0 },
            read_error: if chance.chance(20) { chance.between(1, 10) } else { 0 },
            read_flip: if chance.chance(15) { chance.between(1, 10) } else { 0 },
            slow: if chance.chance(30) { chance.between(1, 5) } else { 0 },
            job_error: if chance.chance(20) { chance.between(1, 10) } else { 0 },
            stalled_until_ns: 0,
        };
        let journals = u64::from(config.shards) * config.journal_files as u64 * config.journal_file;
        let tight = chance.chance(15);
        let capacity = if tight {
            journals + chance.between(300 << 10, 1 << 20)
        } else {
            1 << 30
        };
        let partitions = chance.between(1, 4) as u32;
        let writers = chance.between(1, 4) as usize;
        let producers = (0..writers)
            .map(|client| {
                let partition = chance.below(u64::from(partitions)) as u32;
                Producer::new(client, partition, chance.chance(75), chance.fork())
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
        let readers = (0..partitions)
            .map(|p| LogReader::new(writers + p as usize, p, chance.fork()))
            .collect();
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

    pub(super) fn create_topic(&mut self) -> Result<(), String> {
        let topic = CreatableTopic {
            name: TOPIC.into(),
            num_partitions: self.partitions as i32,
            replication_factor: 1,
            ..Default::default()
        };
        let request = CreateTopicsRequest {
            topics: vec![topic],
            ..Default::default()
        };
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
                    return match answer.topics.first().map(|t| t.error) {
                        Some(ErrorCode::None | ErrorCode::TopicAlreadyExists) => {
                            self.topic_made = true;
                            Ok(())
                        }
                        other => Err(format!("CreateTopics answered {other:?}")),
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

    /// Reads every partition from its start and compares.
    pub(super) fn check_log(&mut self) -> Result<(), String> {
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
                    "partition {}: offset {} can no longer be read: {}",
                    r.wire.partition,
                    r.next_offset,
                    r.refused.1.name()
                ));
            }
            if self.now.mono_ns > deadline {
                let stuck: Vec<_> = self
                    .readers
                    .iter()
                    .map(|r| (r.wire.partition, r.next_offset, r.high_watermark))
                    .collect();
                return Err(format!(
                    "the log cannot be read to its end: (partition, next offset, high watermark) {stuck:?}; {}",
                    self.describe()
                ));
            }
        }
        let idempotent: Vec<bool> = self.producers.iter().map(Producer::is_idempotent).collect();
        for reader in &self.readers {
            let partition = self.ledger.partition(reader.wire.partition);
            let once = |client: u32| idempotent.get(client as usize).copied().unwrap_or(false);
            partition
                .check(reader.start, &reader.log, once)
                .map_err(|why| format!("partition {}: {why}", reader.wire.partition))?;
        }
        Ok(())
    }
}

fn next_reply(node: &mut Node, link: Option<(usize, crate::base::ids::ConnId)>) -> Option<Bytes> {
    let (shard, conn) = link?;
    node.nets[shard].take_reply(conn)
}

//! One simulated node: production shards with their disk operations, connections and messages in flight.

use crate::api::edge::EdgeConfig;
use crate::base::ids::{ConnId, FileId, Now, ShardId};
use crate::controller::image::Image;
use crate::controller::machine::{Controller, ControllerConfig};
use crate::controller::record::{MetaRecord, decode_snapshot};
use crate::log::journal::JournalConfig;
use crate::log::recovery::{JournalFile, Recovered, recover};
use crate::partition::clean::CleanerConfig;
use crate::partition::store::StoreConfig;
use crate::shard::event::{Event, ShardMessage};
use crate::shard::out::Out;
use crate::shard::shard::{Shard, ShardConfig};
use crate::sim::disk::SimDisk;
use crate::sim::io::{IoFaults, SimIo};
use crate::sim::net::SimNet;
use crate::sim::prng::Prng;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};

/// Sizes drawn per seed.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Shards.
    pub shards: u16,
    /// Bytes per journal file.
    pub journal_file: u64,
    /// Journal files per shard.
    pub journal_files: usize,
    /// Block writes in flight.
    pub inflight: usize,
    /// Bytes per chunk.
    pub chunk: usize,
    /// Tail cache.
    pub cache: usize,
    /// Destage threshold.
    pub destage: usize,
    /// Cold window.
    pub window: usize,
    /// Default segment size.
    pub segment: u64,
    /// Retention check period, milliseconds.
    pub retention_check_ms: u64,
    /// Partitions of `__consumer_offsets`.
    pub coordinators: u64,
    /// Segments open for readers.
    pub open_segments: usize,
    /// Milliseconds until an idle journal is marked.
    pub mark_after_ms: u64,
    /// Compaction.
    pub cleaner: CleanerConfig,
}

impl NodeConfig {
    /// Small and odd, so that rolls, reclaims and recycling happen all the time.
    pub fn draw(chance: &mut Prng) -> Self {
        NodeConfig {
            shards: [1, 1, 2, 4][chance.below(4) as usize],
            journal_file: 4096 * chance.between(8, 40),
            journal_files: chance.between(2, 5) as usize,
            inflight: chance.between(1, 4) as usize,
            chunk: 4096 * chance.between(4, 32) as usize,
            cache: 4096 * chance.between(4, 64) as usize,
            destage: chance.between(1, 30_000) as usize,
            window: 4096 * chance.between(1, 16) as usize,
            segment: 4096 * chance.between(4, 64),
            retention_check_ms: chance.between(20, 500),
            coordinators: 1,
            open_segments: chance.between(1, 8) as usize,
            mark_after_ms: chance.between(1, 30),
            cleaner: CleanerConfig::default(),
        }
    }

    /// Compaction in small steps, all the time.
    pub fn draw_cleaner(&mut self, chance: &mut Prng) {
        self.cleaner = CleanerConfig {
            backoff_ms: Some(chance.between(2, 20)),
            map_bytes: [100, 9_000, 12_000, 1 << 20][chance.below(4) as usize],
            chunk_bytes: 4096 * chance.between(1, 8) as usize,
            window_bytes: self.segment * chance.between(1, 6),
            bytes_per_second: 0,
        };
    }

    fn store(&self, shard: u16) -> StoreConfig {
        StoreConfig {
            journal: JournalConfig {
                shard,
                directory: format!("shards/{shard}"),
                file_bytes: self.journal_file,
                file_count: self.journal_files,
                inflight_max: self.inflight,
                chunk_bytes: self.chunk,
            },
            cache_bytes: self.cache,
            cold_bytes: 8 * self.window,
            cold_window_bytes: self.window,
            destage_bytes: self.destage,
            destage_inflight_max: 3,
            backlog_bytes_max: 256 << 10,
            retention_check_ms: self.retention_check_ms,
            producer_expiration_ms: 86_400_000,
            open_segments_max: self.open_segments,
            mark_after_ms: self.mark_after_ms,
            disk_reserve_bytes: 64 << 10,
            segment_bytes_max: self.segment,
            cleaner: self.cleaner.clone(),
        }
    }
}

/// A running node.
pub struct Node {
    /// Production state machines.
    pub shards: Vec<Shard>,
    /// Their connections.
    pub nets: Vec<SimNet>,
    ios: Vec<SimIo>,
    /// Messages per ordered pair, with arrival times.
    mail: BTreeMap<(u16, u16), VecDeque<(u64, ShardMessage)>>,
    /// When each shard's round ends.
    settle_at: Vec<Option<u64>>,
    chance: Prng,
    /// Digest of all that happened.
    pub trace: u64,
    /// Events stepped.
    pub events: u64,
}

/// Recovers all shards of a disk. The same disk gives the same state, however often.
fn recover_disk(disk: &SimDisk, shards: u16, ios: &mut [SimIo]) -> Result<Vec<Recovered>, String> {
    let mut found = Vec::new();
    for shard in 0..shards {
        let mut files = Vec::new();
        let prefix = format!("shards/{shard}/journal-");
        for name in disk.names().iter().filter(|n| n.starts_with(&prefix)) {
            let seq: u64 = name[prefix.len()..name.len() - 4]
                .parse()
                .map_err(|_| format!("odd file {name}"))?;
            let file = FileId(seq);
            ios[shard as usize].bind(file, name);
            let content = disk
                .file(name)
                .map(|f| Bytes::copy_from_slice(f.current()))
                .unwrap_or_default();
            files.push(JournalFile { file, seq, content });
        }
        let copy = |slot: &str| {
            disk.file(&format!("shards/{shard}/checkpoint.{slot}"))
                .map(|f| f.current())
        };
        found.push(recover(shard, [copy("a"), copy("b")], files).map_err(|d| format!("shard {shard}: {d}"))?);
    }
    Ok(found)
}

impl Node {
    /// Starts on what the disk holds.
    ///
    /// # Errors
    /// When recovery refuses: a violation, since the disk never damages what was durable.
    pub fn start(
        config: &NodeConfig,
        disk: &mut SimDisk,
        faults: &IoFaults,
        now: Now,
        chance: &mut Prng,
    ) -> Result<Node, String> {
        let mut ios: Vec<SimIo> = (0..config.shards)
            .map(|_| SimIo::new(chance.fork(), faults.clone()))
            .collect();
        // As boot does: a write that the killed predecessor had in flight may be readable and not yet durable.
        for name in disk.names().iter().filter(|n| n.ends_with(".jnl")) {
            let _ = disk.sync(name, usize::MAX);
        }
        let recovered = recover_disk(disk, config.shards, &mut ios)?;
        let again = recover_disk(disk, config.shards, &mut ios)?;
        if format!("{recovered:?}") != format!("{again:?}") {
            return Err("recovering twice gives two states".into());
        }
        let mut machine = controller(config, &recovered[0], chance.next())?;
        for record in &recovered[0].meta_records {
            machine.replay(&MetaRecord::decode(record).map_err(|e| e.to_string())?);
        }
        let image = machine.image();
        let mut host = Some(machine);
        let mut shards = Vec::new();
        for (id, found) in recovered.into_iter().enumerate() {
            let edge = EdgeConfig {
                seed: chance.next(),
                producer_id_block: 3,
                ..EdgeConfig::default()
            };
            let id = ShardId(id as u16);
            let shard_config = ShardConfig {
                id,
                shard_count: config.shards,
                store: config.store(id.0),
                edge,
            };
            shards.push(Shard::new(shard_config, found, image.clone(), host.take(), now).map_err(|d| d.0)?);
        }
        Ok(Node {
            nets: shards.iter().map(|_| SimNet::new(chance.fork())).collect(),
            settle_at: vec![Some(now.mono_ns); shards.len()],
            shards,
            ios,
            mail: BTreeMap::new(),
            chance: chance.fork(),
            trace: 0,
            events: 0,
        })
    }

    /// Connects a client to a shard.
    pub fn connect(&mut self, shard: usize, client: usize, now: Now, disk: &mut SimDisk) -> ConnId {
        let conn = self.nets[shard].connect(client);
        self.step(
            shard,
            now,
            Event::Accepted {
                conn,
                peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
            },
            disk,
        );
        conn
    }

    /// Something happens to a shard.
    pub fn signal(&mut self, shard: usize, now: Now, event: Event, disk: &mut SimDisk) {
        self.step(shard, now, event, disk);
    }

    /// When something happens next.
    pub fn next_time(&self, now_ns: u64) -> u64 {
        let ios = self.ios.iter().filter_map(SimIo::next_time);
        let mail = self.mail.values().filter_map(|q| q.front().map(|(at, _)| *at));
        let timers = self.shards.iter().filter_map(Shard::next_deadline);
        let settles = self.settle_at.iter().flatten().copied();
        ios.chain(mail)
            .chain(timers)
            .chain(settles)
            .min()
            .unwrap_or(u64::MAX)
            .max(now_ns)
    }

    /// Lets everything happen that is due.
    pub fn run(&mut self, now: Now, disk: &mut SimDisk) {
        for index in 0..self.shards.len() {
            let mut events = Vec::new();
            while let Some(event) = self.ios[index].complete(now.mono_ns, disk) {
                events.push(event);
            }
            self.take_mail(index as u16, now.mono_ns, &mut events);
            self.nets[index].deliver(&mut events);
            if self.shards[index].next_deadline().is_some_and(|at| at <= now.mono_ns) {
                events.push(Event::Tick);
            }
            for event in events {
                self.step(index, now, event, disk);
            }
            if self.settle_at[index].is_some_and(|at| at <= now.mono_ns) {
                self.settle_at[index] = None;
                let mut out = Out::default();
                self.shards[index].settle(now, &mut out);
                self.perform(index, now, out, disk);
            }
        }
    }

    fn take_mail(&mut self, to: u16, now_ns: u64, events: &mut Vec<Event>) {
        for ((_, _), queue) in self.mail.iter_mut().filter(|((_, t), _)| *t == to) {
            while queue.front().is_some_and(|(at, _)| *at <= now_ns) {
                events.extend(queue.pop_front().map(|(_, message)| Event::Message(message)));
            }
        }
    }

    fn step(&mut self, index: usize, now: Now, event: Event, disk: &mut SimDisk) {
        self.events += 1;
        self.note(now.mono_ns ^ (index as u64) << 56 ^ event_digest(&event));
        let mut out = Out::default();
        self.shards[index].step(now, event, &mut out);
        self.shards[index].store().partitions().for_each(|p| p.check());
        self.perform(index, now, out, disk);
        let end = now.mono_ns + self.chance.below(60_000);
        self.settle_at[index].get_or_insert(end);
    }

    fn perform(&mut self, index: usize, now: Now, out: Out, disk: &mut SimDisk) {
        let mut events = Vec::new();
        for effect in out.effects.list {
            let rest = self.ios[index].submit(now.mono_ns, effect, disk);
            if let Some(rest) = rest.and_then(|effect| self.nets[index].submit(effect, &mut events)) {
                unreachable!("nobody performs {rest:?}");
            }
        }
        for (to, message) in out.messages {
            let queue = self.mail.entry((index as u16, to.0)).or_default();
            let earliest = queue.back().map_or(0, |(at, _)| *at);
            let at = (now.mono_ns + self.chance.below(40_000)).max(earliest);
            queue.push_back((at, message));
        }
        for event in events {
            self.step(index, now, event, disk);
        }
    }

    fn note(&mut self, value: u64) {
        self.trace = (self.trace.rotate_left(5) ^ value).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    /// Why a shard stopped, if one did.
    pub fn fatal(&self) -> Option<String> {
        self.shards.iter().find_map(|s| s.fatal().map(String::from))
    }

    /// Changes what goes wrong.
    pub fn set_faults(&mut self, faults: &IoFaults) {
        self.ios.iter_mut().for_each(|io| io.faults = faults.clone());
    }

    /// The node dies: with `power` everything without flush is at chance's mercy, else completed writes survive.
    pub fn crash(self, disk: &mut SimDisk, power: bool, chance: &mut Prng) {
        let mut in_flight = Vec::new();
        for io in self.ios {
            in_flight.extend(io.crash(disk));
        }
        if power {
            disk.crash(&in_flight, chance);
        } else {
            disk.kill(&in_flight, chance);
        }
    }
}

fn controller(config: &NodeConfig, recovered: &Recovered, seed: u64) -> Result<Controller, String> {
    let image = match recovered.image.is_empty() {
        true => Image::default(),
        false => decode_snapshot(&recovered.image).map_err(|e| e.to_string())?,
    };
    let controller_config = ControllerConfig {
        shard_count: config.shards,
        static_configs: settings(config),
        batch_bytes_max: config.store(0).journal.payload_max(),
        seed,
        ..ControllerConfig::default()
    };
    Ok(Controller::new(image, controller_config))
}

/// Broker settings of a simulated node.
fn settings(config: &NodeConfig) -> BTreeMap<String, String> {
    let pairs = [
        ("group.initial.rebalance.delay.ms", "0".to_string()),
        ("offsets.topic.num.partitions", config.coordinators.to_string()),
    ];
    pairs.into_iter().map(|(key, value)| (key.to_string(), value)).collect()
}

/// A number that tells events apart, for the trace.
fn event_digest(event: &Event) -> u64 {
    match event {
        Event::Accepted { conn, .. } => 1 << 32 | u64::from(conn.generation),
        Event::Received { conn, data } => {
            (2 << 32 | u64::from(conn.generation)) ^ u64::from(crc32c::crc32c(data)) << 16
        }
        Event::ReceivedInto { conn, buf } => {
            (3 << 32 | u64::from(conn.generation)) ^ u64::from(crc32c::crc32c(buf)) << 16
        }
        Event::Closed { conn, .. } => 4 << 32 | u64::from(conn.generation),
        Event::Sent { conn, .. } => 5 << 32 | u64::from(conn.generation),
        Event::Written { key, result } => 6 << 32 | key.0 << 1 | u64::from(result.is_ok()),
        Event::Read { key, result } => 7 << 32 | key.0 << 1 | u64::from(result.is_ok()),
        Event::Synced { key, result } => 8 << 32 | key.0 << 1 | u64::from(result.is_ok()),
        Event::JobDone { key, .. } => 9 << 32 | key.0,
        Event::Message(_) => 10 << 32,
        Event::Tick => 11 << 32,
        Event::Drain => 12 << 32,
    }
}

//! The owner's side of a shard: its partitions, journal, caches and the background work on them.
//!
//! Walk stops served here: *owner checks, stamps, stages* (`append`), *one journal write* (`durable`), *release*; *plan the read*
//! (`fetch`, `cold`). Destaging and journal reclaim run behind (`destage`, `reclaim`), retention in `retention`.
//! Must not know connections, request encodings or other shards.

use crate::base::effect::{Effect, Effects, FilePath, Job, JobResult};
use crate::base::ids::{FileId, IoKey, JobKey, Now, PartitionId};
use crate::base::planted::{self, Planted};
use crate::base::pool::BufPool;
use crate::base::slab::{Slab, SlabKey};
use crate::base::timers::Timers;
use crate::controller::configs::resolve;
use crate::controller::image::Image;
use crate::log::block::Lsn;
use crate::log::checkpoint::PartitionCheckpoint;
use crate::log::frame::{Frame, FrameKind};
use crate::log::journal::{Journal, JournalConfig, NewFrame};
use crate::log::recovery::{Damage, Recovered, RecoveredPartition};
use crate::log::segment::partition_directory;
use crate::metrics::{MemoryKind, ShardMetrics};
use crate::partition::clean::{CleanerConfig, Cleaning, Retired};
use crate::partition::cold::ColdReads;
use crate::partition::destage::{DestageWrite, SpaceJob};
use crate::partition::durable::{BlockInfo, PendingAck};
use crate::partition::fetch::{FetchOp, Watch};
use crate::partition::lookup::LookupOp;
use crate::partition::producers::BatchId;
use crate::partition::reclaim::{Reclaim, Stage, UnnamedSegment};
use crate::partition::request::{OwnerReply, OwnerRequest, ReplyTo};
use crate::partition::save::Saved;
use crate::partition::space::{Blocked, Stuck};
use crate::partition::state::Partition;
use crate::partition::tail::{ChunkCache, TailFrame};
use crate::wire::batch::{BatchInfo, TimestampType};
use std::collections::{BTreeMap, HashMap, VecDeque};

/// Sizes and periods of a shard's store. All bytes, all bounded.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// The journal.
    pub journal: JournalConfig,
    /// Bytes of recent log in memory (what the journal alone holds may exceed it, bounded by the journal's size).
    pub cache_bytes: usize,
    /// Bytes of cold reads in memory.
    pub cold_bytes: usize,
    /// Bytes of one cold read.
    pub cold_window_bytes: usize,
    /// A partition is destaged when it has this much durable data in memory only.
    pub destage_bytes: usize,
    /// Destage writes in flight.
    pub destage_inflight_max: usize,
    /// Staged bytes waiting for the journal beyond which sessions stop reading.
    pub backlog_bytes_max: usize,
    /// `log.retention.check.interval.ms`.
    pub retention_check_ms: u64,
    /// `producer.id.expiration.ms`.
    pub producer_expiration_ms: i64,
    /// Segment files kept open beside those that are written; the least recently used are closed.
    pub open_segments_max: usize,
    /// Milliseconds without a write after which the journal marks its end (see `Journal::mark`).
    pub mark_after_ms: u64,
    /// Free bytes below which produce is refused (2 % of the disk is a good choice).
    pub disk_reserve_bytes: u64,
    /// Segments are rolled at this size even when `segment.bytes` is larger.
    pub segment_bytes_max: u64,
    /// Compaction.
    pub cleaner: CleanerConfig,
}

/// What a store call may use and produce.
pub struct StoreCx<'a> {
    /// Time of the event.
    pub now: Now,
    /// Orders to the runtime.
    pub effects: &'a mut Effects,
    /// Answers to origins.
    pub replies: &'a mut VecDeque<(ReplyTo, OwnerReply)>,
    /// The shard's counters.
    pub metrics: &'a mut ShardMetrics,
}

/// What a finished disk operation was for.
pub(crate) enum IoFor {
    Journal,
    Destage(DestageWrite),
    Sync(crate::partition::reclaim::SegmentSync),
    Cold(crate::partition::cold::ColdRead),
}

/// What a finished job was for.
pub(crate) enum JobFor {
    Journal,
    SegmentSpace(SpaceJob),
    SegmentOpen {
        partition: SlabKey,
        segment: i64,
        file: FileId,
    },
    IndexLoad {
        partition: SlabKey,
        segment: i64,
        life: u64,
    },
    Names(Vec<UnnamedSegment>),
    Checkpoint(Saved),
    Clean,
    DiskSpace,
    /// Its outcome only matters to the operator.
    Housekeeping(&'static str),
}

/// Timers of a store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum StoreTimer {
    Retention,
    DiskSpace,
    Retry,
    Mark,
    Watch,
    Clean,
}

/// See the module.
pub struct Store {
    pub(crate) config: StoreConfig,
    pub(crate) parts: Slab<Partition>,
    pub(crate) by_id: HashMap<PartitionId, SlabKey, foldhash::fast::FixedState>,
    pub(crate) journal: Journal,
    /// Memory of staging chunks and destage writes.
    pub(crate) pool: BufPool,
    pub(crate) chunks: ChunkCache,
    pub(crate) blocks: VecDeque<BlockInfo>,
    pub(crate) acks: VecDeque<PendingAck>,
    pub(crate) destage_queue: VecDeque<SlabKey>,
    pub(crate) destage_inflight: usize,
    pub(crate) reclaim: Reclaim,
    /// Blocks up to here are flushed in segments.
    pub(crate) flushed_lsn: Lsn,
    pub(crate) generation: u64,
    pub(crate) cold: ColdReads,
    /// The compaction under way.
    pub(crate) cleaning: Option<Cleaning>,
    /// Files that wait for a checkpoint that does not name them.
    pub(crate) retired: Vec<Retired>,
    pub(crate) fetches: Slab<FetchOp>,
    pub(crate) lookups: Slab<LookupOp>,
    pub(crate) watches: Slab<Watch>,
    pub(crate) watch_keys: BTreeMap<(u16, SlabKey, u32), SlabKey>,
    pub(crate) ios: BTreeMap<IoKey, IoFor>,
    pub(crate) jobs: BTreeMap<JobKey, JobFor>,
    pub(crate) timers: Timers<StoreTimer>,
    pub(crate) next_key: u64,
    /// A pause after a failed allocation or segment write is running.
    pub(crate) retry_armed: bool,
    /// Why segments or checkpoints cannot be written.
    pub(crate) blocked: Option<Blocked>,
    /// Free space is below the reserve.
    pub(crate) disk_low: Option<String>,
    /// Free bytes and size of the file system, when last asked.
    pub(crate) disk_space: Option<(u64, u64)>,
    pub(crate) asked_at_bytes: u64,
    /// A further journal file could not be made.
    pub(crate) is_journal_short: bool,
    /// A timer runs for the journal's mark.
    pub(crate) is_mark_due: bool,
    /// When the last journal write ended.
    pub(crate) last_written_ns: u64,
    /// A timer runs that looks at the journal's writes.
    pub(crate) is_watching: bool,
    /// When the journal write was issued that the operator was told about.
    pub(crate) silent_since: Option<u64>,
    /// The operator was told that the journal is full.
    pub(crate) is_journal_full: bool,
    /// The end was asked for.
    pub(crate) leaving: bool,
    /// Journal files that the last checkpoint names, and the last block that it knows durable.
    pub(crate) saved_files: usize,
    pub(crate) saved_lsn: Lsn,
    pub(crate) fatal: Option<String>,
    pub(crate) meta_end: i64,
    pub(crate) meta_durable: i64,
    /// The next checkpoint waits for a fresh image.
    pub(crate) snapshot_wanted: bool,
    pub(crate) meta_snapshot: Vec<u8>,
    pub(crate) meta_snapshot_end: i64,
    /// Batch bytes accepted in this run.
    pub(crate) accepted_bytes: u64,
    /// State of partitions that the metadata no longer names; their files go at start.
    orphans: BTreeMap<PartitionId, RecoveredPartition>,
    /// Each partition's last segment block with its file and end, for [`Planted::TailRewrite`].
    #[cfg(debug_assertions)]
    pub(crate) last_blocks: BTreeMap<SlabKey, (FileId, u64, bytes::Bytes)>,
}

impl Store {
    /// Builds the store from what recovery found; `image` decides which partitions are this shard's. Damage is an error.
    pub fn new(
        config: StoreConfig,
        mut recovered: Recovered,
        image: &Image,
        shard: crate::base::ids::ShardId,
        now: Now,
    ) -> Result<Store, Damage> {
        let mut store = Store::empty(config, &recovered);
        for (id, meta, topic) in owned_partitions(image, shard) {
            let found = recovered.partitions.remove(&id).unwrap_or_default();
            if let Some(why) = &found.broken {
                return Err(Damage(format!(
                    "topic {} partition {}: {why}",
                    topic.name, id.partition
                )));
            }
            let mut partition = Partition::new(id, topic, meta.leader_epoch, &found.base);
            partition.log_start = found.log_start;
            let key = store.parts.insert(partition);
            store.by_id.insert(id, key);
            store.replay(key, found, now);
        }
        store.timers.arm(
            now.mono_ns + store.config.retention_check_ms * 1_000_000,
            StoreTimer::Retention,
        );
        store.timers.arm(now.mono_ns, StoreTimer::DiskSpace);
        if let Some(backoff_ms) = store.config.cleaner.backoff_ms {
            store
                .timers
                .arm(now.mono_ns + backoff_ms * 1_000_000, StoreTimer::Clean);
        }
        store.orphans = recovered.partitions;
        store.take_settings(image);
        Ok(store)
    }

    fn empty(config: StoreConfig, recovered: &Recovered) -> Store {
        // In a steady state one chunk leaves the cache as the next one is needed, so few are ever unused.
        let pool = BufPool::new((config.cache_bytes / 16).clamp(1 << 20, 16 << 20));
        Store {
            journal: Journal::new(config.journal.clone(), recovered.journal.clone(), pool.clone()),
            pool,
            chunks: ChunkCache::new(config.cache_bytes),
            cold: ColdReads::new(config.cold_bytes, config.cold_window_bytes),
            flushed_lsn: recovered.start_lsn.saturating_sub(1),
            generation: recovered.generation,
            reclaim: Reclaim::new(recovered.start_lsn.max(1), recovered.start_prev_crc),
            meta_end: recovered.meta_end,
            meta_durable: recovered.meta_end,
            config,
            parts: Slab::default(),
            by_id: HashMap::with_hasher(foldhash::fast::FixedState::with_seed(0x7269_6e67)),
            blocks: VecDeque::new(),
            acks: VecDeque::new(),
            destage_queue: VecDeque::new(),
            destage_inflight: 0,
            cleaning: None,
            retired: Vec::new(),
            fetches: Slab::default(),
            lookups: Slab::default(),
            watches: Slab::default(),
            watch_keys: BTreeMap::new(),
            ios: BTreeMap::new(),
            jobs: BTreeMap::new(),
            timers: Timers::default(),
            next_key: 1_000_000,
            retry_armed: false,
            blocked: None,
            is_journal_short: false,
            is_mark_due: false,
            last_written_ns: 0,
            is_watching: false,
            silent_since: None,
            is_journal_full: false,
            leaving: false,
            saved_files: recovered.noted_files,
            saved_lsn: recovered.noted_lsn,
            disk_low: None,
            disk_space: None,
            asked_at_bytes: u64::MAX,
            fatal: None,
            snapshot_wanted: false,
            meta_snapshot: recovered.image.clone(),
            meta_snapshot_end: recovered.meta_end - recovered.meta_records.len() as i64,
            accepted_bytes: 0,
            orphans: BTreeMap::new(),
            #[cfg(debug_assertions)]
            last_blocks: BTreeMap::new(),
        }
    }

    /// Puts a recovered partition's frames back into memory.
    fn replay(&mut self, key: SlabKey, found: RecoveredPartition, now: Now) {
        let Some(part) = self.parts.get_mut(key) else { return };
        for recovered in found.frames {
            let frame = recovered.frame;
            part.note_epoch(frame.leader_epoch, frame.base_offset);
            let stored = BatchInfo::peek(&recovered.bytes[crate::log::frame::FRAME_HEADER..]);
            if let Some((stored, id)) = stored.and_then(|stored| Some((stored, BatchId::of(&stored)?)))
                && !planted::is(Planted::ProducersNotReplayed)
            {
                let append_time = append_time_of(&stored);
                part.producers.append(&id, frame.base_offset, append_time, now.wall_ms);
                part.producers.trim(id.producer_id, frame.last_offset + 1);
            }
            part.log_end = frame.last_offset + 1;
            part.high_watermark = part.log_end;
            part.last_crc = frame.header_crc;
            part.undestaged_bytes += frame.len();
            self.chunks.note(0, recovered.lsn, key, frame.len());
            part.tail.push(TailFrame {
                frame,
                bytes: recovered.bytes,
                lsn: recovered.lsn,
                chunk_seq: 0,
            });
        }
        part.log_start = part.log_start.min(part.high_watermark);
        part.check();
    }

    /// First orders of a new store: journal files, removal of what deleted partitions left.
    pub fn start(&mut self, cx: &mut StoreCx) {
        for (id, found) in std::mem::take(&mut self.orphans) {
            let segments = found.base.segments.iter();
            let files = segments.flat_map(|s| [s.path(id), s.index_path(id)]).collect();
            self.delete_partition_files(cx, id, files);
        }
        self.prepare_journal(cx);
    }

    /// Creates and drops partitions so that they match the image, and takes over configurations.
    pub fn apply_image(&mut self, cx: &mut StoreCx, image: &Image, shard: crate::base::ids::ShardId) {
        let gone: Vec<PartitionId> = self
            .by_id
            .keys()
            .copied()
            .filter(|id| image.owner(*id) != Some(shard))
            .collect();
        let mut gone = gone;
        gone.sort_unstable();
        for id in gone {
            self.drop_partition(cx, id);
        }
        self.take_settings(image);
        for (id, meta, topic) in owned_partitions(image, shard) {
            if let Some(part) = self.by_id.get(&id).and_then(|key| self.parts.get_mut(*key)) {
                part.topic = topic;
                part.leader_epoch = meta.leader_epoch;
                continue;
            }
            let key = self.parts.insert(Partition::new(
                id,
                topic,
                meta.leader_epoch,
                &PartitionCheckpoint::default(),
            ));
            self.by_id.insert(id, key);
        }
    }

    /// Settings that may change while running.
    fn take_settings(&mut self, image: &Image) {
        self.config.producer_expiration_ms = resolve::broker_int(image, "producer.id.expiration.ms");
    }

    /// A request for partitions of this shard.
    pub fn on_request(&mut self, cx: &mut StoreCx, reply: ReplyTo, request: OwnerRequest) {
        match request {
            OwnerRequest::Produce(part) => self.produce(cx, reply, part),
            OwnerRequest::Fetch(parts) => self.fetch(cx, reply, parts),
            OwnerRequest::FetchForget => self.forget_watch(reply),
            OwnerRequest::ListOffset(part) => self.list_offset(cx, reply, part),
            OwnerRequest::EpochEnd(part) => self.epoch_end(cx, reply, part),
            OwnerRequest::DeleteRecords(part) => self.delete_records(cx, reply, part),
            OwnerRequest::LogSizes(partitions) => self.log_sizes(cx, reply, &partitions),
            OwnerRequest::Producers(id) => self.producers_of(cx, reply, id),
        }
    }

    /// A write ended.
    pub fn on_written(&mut self, cx: &mut StoreCx, key: IoKey, result: Result<(), i32>) {
        match self.ios.remove(&key) {
            Some(IoFor::Journal) => self.on_journal_written(cx, key, result),
            Some(IoFor::Destage(write)) => self.on_destaged(cx, write, result),
            _ => {}
        }
    }

    /// A read ended.
    pub fn on_read(&mut self, cx: &mut StoreCx, key: IoKey, result: Result<bytes::Bytes, i32>) {
        if let Some(IoFor::Cold(read)) = self.ios.remove(&key) {
            self.on_cold_read(cx, read, result);
        }
    }

    /// A flush ended.
    pub fn on_synced(&mut self, cx: &mut StoreCx, key: IoKey, result: Result<(), i32>) {
        if let Some(IoFor::Sync(sync)) = self.ios.remove(&key) {
            self.on_segment_synced(cx, sync, result);
        }
    }

    /// A job ended.
    pub fn on_job(&mut self, cx: &mut StoreCx, key: JobKey, result: JobResult) {
        match self.jobs.remove(&key) {
            Some(JobFor::Journal) => self.on_journal_prepared(cx, key, result),
            Some(JobFor::SegmentSpace(space)) => self.on_segment_space(cx, space, result),
            Some(JobFor::SegmentOpen {
                partition,
                segment,
                file,
            }) => self.on_segment_open(cx, partition, segment, file, result),
            Some(JobFor::IndexLoad {
                partition,
                segment,
                life,
            }) => self.on_index_loaded(cx, partition, (segment, life), result),
            Some(JobFor::Clean) => self.on_compacted(cx, result),
            Some(JobFor::Names(segments)) => self.on_names_flushed(cx, segments, result),
            Some(JobFor::Checkpoint(saved)) => self.on_checkpoint(cx, saved, result),
            Some(JobFor::DiskSpace) => self.on_disk_space(cx, result),
            Some(JobFor::Housekeeping(what)) => {
                if let JobResult::Failed { errno, what: detail } = result {
                    tracing::warn!("{what} failed: {detail} (errno {errno})");
                }
            }
            None => {}
        }
    }

    /// Time has passed.
    pub fn on_tick(&mut self, cx: &mut StoreCx) {
        while let Some(timer) = self.timers.pop_due(cx.now.mono_ns) {
            match timer {
                StoreTimer::Retention => self.run_retention(cx),
                StoreTimer::DiskSpace => self.ask_disk_space(cx),
                StoreTimer::Retry => self.retry(cx),
                StoreTimer::Mark => self.mark_if_idle(cx),
                StoreTimer::Watch => self.look_at_disk(cx),
                StoreTimer::Clean => self.run_cleaner(cx),
            }
        }
    }

    /// Monotonic time at which [`on_tick`](Self::on_tick) has work.
    pub fn next_deadline(&self) -> Option<u64> {
        self.timers.next_deadline()
    }

    /// End of a round: one journal block for all that was staged, then background work.
    pub fn settle(&mut self, cx: &mut StoreCx) {
        if self.fatal.is_some() {
            return;
        }
        self.settle_journal(cx);
        self.pump_reclaim(cx);
        self.pump_destage(cx);
    }

    /// Why the shard no longer acknowledges, if so.
    pub fn fatal(&self) -> Option<&str> {
        self.fatal.as_deref()
    }
    /// True when sessions should stop reading: the journal does not keep up.
    pub fn congested(&self) -> bool {
        self.journal.backlog_bytes() > self.config.backlog_bytes_max
    }
    /// True when everything accepted is durable and answered.
    pub fn is_quiet(&self) -> bool {
        self.fatal.is_some() || (self.journal.is_quiet() && self.acks.is_empty())
    }
    /// The end was asked for: what is durable is written down where a start will look for it.
    pub fn leave(&mut self) {
        self.leaving = true;
    }
    /// True when there is nothing left to write down before the end, or no way to.
    pub fn may_leave(&self) -> bool {
        let written_down = match self.reclaim.stage {
            Stage::Idle => self.reclaim.is_paused || !self.wants_checkpoint(),
            Stage::Naming(_) | Stage::Checkpointing => false,
            Stage::Destaging(_) | Stage::Syncing { .. } => true,
        };
        self.fatal.is_some() || (self.is_quiet() && self.journal.is_marked() && written_down)
    }
    /// Brings the gauges of a shard's metrics up to date.
    pub fn report(&self, metrics: &mut ShardMetrics) {
        metrics.partitions = self.parts.len() as u64;
        metrics.journal_used_bytes = self.journal.used_bytes();
        metrics.journal_size_bytes = self.journal.file_total() as u64 * self.config.journal.file_bytes;
        metrics.set_memory(
            MemoryKind::Chunks,
            (self.chunks.bytes() + self.journal.backlog_bytes()) as u64,
        );
        metrics.set_memory(MemoryKind::ReadCache, self.cold.bytes() as u64);
        metrics.set_memory(
            MemoryKind::Partitions,
            (self.parts.len() * std::mem::size_of::<Partition>()) as u64,
        );
    }
    /// Partitions, for metrics and checkers.
    pub fn partitions(&self) -> impl Iterator<Item = &Partition> {
        self.parts.iter().map(|(_, p)| p)
    }

    /// Stages one metadata record (shard 0). It is durable once [`meta_durable`](Self::meta_durable) exceeds the number returned.
    pub fn stage_meta(&mut self, record: &[u8]) -> i64 {
        let number = self.meta_end;
        self.meta_end += 1;
        let nobody = PartitionId {
            topic: crate::base::ids::TopicId::ZERO,
            partition: 0,
        };
        let new = NewFrame {
            kind: FrameKind::Meta,
            owner: None,
            partition: nobody,
            leader_epoch: 0,
            base_offset: number,
            last_offset: number,
            max_timestamp: -1,
            prev_crc: 0,
        };
        self.journal.stage(new, record, |copy| crc32c::crc32c(copy));
        number
    }
    /// Number of durable metadata records.
    pub fn meta_durable(&self) -> i64 {
        self.meta_durable
    }
    /// A checkpoint waits for [`set_meta_snapshot`](Self::set_meta_snapshot) (shard 0, when metadata changed since the last).
    pub fn wants_meta_snapshot(&self) -> bool {
        self.snapshot_wanted
    }
    /// The encoded image that contains all durable metadata records.
    pub fn set_meta_snapshot(&mut self, image: Vec<u8>) {
        self.meta_snapshot = image;
        self.meta_snapshot_end = self.meta_durable;
        self.snapshot_wanted = false;
    }

    pub(crate) fn io_key(&mut self) -> IoKey {
        self.next_key += 1;
        IoKey(self.next_key)
    }
    pub(crate) fn job(&mut self, cx: &mut StoreCx, purpose: JobFor, job: Job) {
        self.next_key += 1;
        let key = JobKey(self.next_key);
        self.jobs.insert(key, purpose);
        cx.effects.push(Effect::Job { key, job });
    }
    pub(crate) fn file_id(&mut self) -> FileId {
        self.next_key += 1;
        FileId(self.next_key)
    }

    fn drop_partition(&mut self, cx: &mut StoreCx, id: PartitionId) {
        let Some(key) = self.by_id.remove(&id) else { return };
        let Some(part) = self.parts.remove(key) else { return };
        self.unblock(Stuck::Segment(key));
        self.fail_watches(cx, &part.watches);
        self.cold.forget(key);
        self.rerun_waiting(cx, key);
        for segment in &part.segments {
            self.close_segment(cx, segment);
        }
        let segments = part.segments.iter();
        let mut files: Vec<FilePath> = segments.flat_map(|s| [s.path(id), s.index_path(id)]).collect();
        files.extend(self.take_retired(id));
        self.delete_partition_files(cx, id, files);
    }

    fn delete_partition_files(&mut self, cx: &mut StoreCx, id: PartitionId, files: Vec<FilePath>) {
        let directory = partition_directory(id);
        let topic = FilePath(format!("topics/{}", id.topic));
        let job = Job::DeleteFiles {
            files,
            directories: vec![directory, topic],
        };
        self.job(cx, JobFor::Housekeeping("deleting a partition's files"), job);
    }
}

/// Partitions of the image that a shard owns.
fn owned_partitions(
    image: &Image,
    shard: crate::base::ids::ShardId,
) -> impl Iterator<
    Item = (
        PartitionId,
        crate::controller::image::PartitionMeta,
        std::sync::Arc<crate::controller::image::Topic>,
    ),
> + '_ {
    image.topics.values().flat_map(move |topic| {
        let owned = topic
            .partitions
            .iter()
            .enumerate()
            .filter(move |(_, meta)| meta.shard == shard);
        owned.map(move |(index, meta)| {
            (
                PartitionId {
                    topic: topic.id,
                    partition: index as u32,
                },
                *meta,
                topic.clone(),
            )
        })
    })
}

/// The producer's claim of a stored batch, `None` without idempotence.
pub(crate) fn batch_id(batch: &[u8]) -> Option<BatchId> {
    BatchId::of(&BatchInfo::peek(batch)?)
}

/// The broker's time in a stored batch, -1 with CreateTime.
fn append_time_of(stored: &BatchInfo) -> i64 {
    match stored.timestamp_type() {
        TimestampType::LogAppendTime => stored.max_timestamp,
        TimestampType::CreateTime => -1,
    }
}

/// True for a frame whose offsets are all below `end`.
pub(crate) fn is_below(frame: &Frame, end: i64) -> bool {
    frame.last_offset < end
}

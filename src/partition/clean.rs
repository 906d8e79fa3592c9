//! Compaction as the owner sees it: which partition is worth it, one job at a time, and the switch to what the job has made.
//!
//! Order (crash rule): the job's files are complete, flushed and named -> the segments change in memory -> a checkpoint names the new
//! ones and [`CleanState::cleaned_end`], then its other copy does -> the old files go. The first checkpoint is the one step that decides: before it a start finds the old
//! set, after it the new one. Readers may see the new set before: it holds the last record of each key as the old one does.
//!
//! A partition larger than a window is cleaned in passes of several jobs, from its start on, always with the same range of keys;
//! [`CleanState::cleaned_end`] moves when the pass is through. Must not know how batches are rewritten.

use crate::base::compaction::{Compacted, Compaction, SourceSegment};
use crate::base::effect::{FilePath, Job, JobResult};
use crate::base::ids::{Now, PartitionId};
use crate::base::planted::{self, Planted};
use crate::base::slab::SlabKey;
use crate::controller::image::TopicConfig;
use crate::log::segment::{Segment, compacted_paths, life_at, partition_directory};
use crate::partition::cold::DAMAGE_REMEDY;
use crate::partition::space::explain;
use crate::partition::state::{DestageStep, Partition};
use crate::partition::store::{JobFor, Store, StoreCx, StoreTimer};

/// Segments of one job at most: each is a file that the job opens.
const SEGMENTS_MAX: usize = 256;
/// Longest pause after failures, milliseconds.
const PAUSE_MAX_MS: u64 = 3_600_000;
const ECANCELED: i32 = 125;
const EUCLEAN: i32 = 117;
const ENOENT: i32 = 2;

/// Sizes and periods of compaction.
#[derive(Clone, Debug)]
pub struct CleanerConfig {
    /// Time between two looks for something to clean, milliseconds (`log.cleaner.backoff.ms`); `None` = never
    /// (`log.cleaner.enable=false`).
    pub backoff_ms: Option<u64>,
    /// Memory for the keys of one job, bytes (`log.cleaner.dedupe.buffer.size`).
    pub map_bytes: usize,
    /// Bytes of one read (`log.cleaner.io.buffer.size`).
    pub chunk_bytes: usize,
    /// Bytes of segments that one job writes anew, and looks for keys in, unless one segment is larger.
    pub window_bytes: u64,
    /// Bytes read and written per second (`log.cleaner.io.max.bytes.per.second`); 0 = unlimited.
    pub bytes_per_second: u64,
}

impl Default for CleanerConfig {
    fn default() -> Self {
        CleanerConfig {
            backoff_ms: None,
            map_bytes: 128 << 20,
            chunk_bytes: 512 << 10,
            window_bytes: 4 << 30,
            bytes_per_second: 0,
        }
    }
}

/// How far a partition is compacted.
#[derive(Clone, Default, Debug)]
pub struct CleanState {
    /// Everything below was compacted together.
    pub cleaned_end: i64,
    pass: Option<Pass>,
    /// Monotonic nanoseconds before which it is left alone.
    not_before_ns: u64,
    failures: u32,
}

impl CleanState {
    /// From a checkpoint.
    pub fn recovered(cleaned_end: i64) -> CleanState {
        CleanState {
            cleaned_end,
            ..CleanState::default()
        }
    }
}

/// One way from the start of the log to the end of the keys looked at.
#[derive(Clone, Copy, Debug)]
struct Pass {
    /// Keys from here on count.
    from: i64,
    /// Keys below this count.
    map_to: i64,
    /// Segments below this are done.
    next: i64,
}

/// The job under way.
pub(crate) struct Cleaning {
    key: SlabKey,
    id: PartitionId,
    life: u64,
    /// Base offset and life of each segment that it reads.
    sources: Vec<(i64, u64)>,
}

/// Files that go once neither copy of the checkpoint names them.
pub(crate) struct Retired {
    /// The second checkpoint without them.
    generation: u64,
    partition: PartitionId,
    files: Vec<FilePath>,
}

/// What there is to clean in a partition.
struct Dirt {
    ratio: f64,
    is_overdue: bool,
    from: i64,
    end: i64,
}

impl Store {
    /// One look at all compacted partitions.
    pub(crate) fn run_cleaner(&mut self, cx: &mut StoreCx) {
        let Some(backoff_ms) = self.config.cleaner.backoff_ms else {
            return;
        };
        self.timers
            .arm(cx.now.mono_ns + backoff_ms.max(1) * 1_000_000, StoreTimer::Clean);
        let compacted = self.parts.iter().filter(|(_, p)| p.topic.config.cleanup_compact);
        let keys: Vec<SlabKey> = compacted.map(|(key, _)| key).collect();
        for key in keys {
            self.roll_if_old(cx, key);
            self.flush_sealed(cx, key);
        }
        self.clean_next(cx);
    }

    /// Closes a segment that is old enough, though nobody writes to it any more: only closed ones are compacted.
    fn roll_if_old(&mut self, cx: &mut StoreCx, key: SlabKey) {
        let Some(part) = self.parts.get_mut(key) else { return };
        if !is_due_to_roll(part, cx.now.wall_ms) {
            return;
        }
        part.roll_requested = true;
        if part.destaged_end < part.high_watermark {
            self.queue_destage(key);
        } else if part.destage == DestageStep::Idle {
            let next = part.high_watermark;
            self.roll(cx, key, next);
        }
    }

    fn flush_sealed(&mut self, cx: &mut StoreCx, key: SlabKey) {
        let Some(part) = self.parts.get(key) else { return };
        let waiting = part.segments.iter().filter(|s| s.sealed && s.flushed < s.written);
        let bases: Vec<i64> = waiting.map(|s| s.base_offset).collect();
        for base in bases {
            self.flush_soon(cx, key, base);
        }
    }

    /// Starts a job for the partition that needs it most, unless one is under way.
    pub(crate) fn clean_next(&mut self, cx: &mut StoreCx) {
        let mut best: Option<(f64, SlabKey)> = None;
        let mut dirtiest = 0.0_f64;
        for (key, part) in self.parts.iter().filter(|(_, p)| p.topic.config.cleanup_compact) {
            let dirt = measure(part, cx.now.wall_ms, self.config.cleaner.window_bytes);
            dirtiest = dirtiest.max(dirt.as_ref().map_or(0.0, |dirt| dirt.ratio));
            if part.clean.not_before_ns > cx.now.mono_ns {
                continue;
            }
            let rank = rank(part, dirt.as_ref());
            if rank > best.map_or(0.0, |(rank, _)| rank) {
                best = Some((rank, key));
            }
        }
        cx.metrics.cleaner_dirty_percent = (dirtiest * 100.0) as u64;
        if let Some((_, key)) = best
            && self.cleaning.is_none()
            && !self.leaving
            && self.fatal.is_none()
        {
            self.start_cleaning(cx, key);
        }
    }

    fn start_cleaning(&mut self, cx: &mut StoreCx, key: SlabKey) {
        let (config, segment_bytes_max) = (self.config.cleaner.clone(), self.config.segment_bytes_max);
        let keep_free = self.config.disk_reserve_bytes;
        let Some(part) = self.parts.get_mut(key) else { return };
        let fresh = measure(part, cx.now.wall_ms, config.window_bytes).map(|dirt| Pass {
            from: dirt.from,
            map_to: dirt.end,
            next: 0,
        });
        let Some(pass) = part.clean.pass.or(fresh) else { return };
        part.clean.pass = Some(pass);
        let (dirty, sources) = inputs(part, &pass, config.window_bytes);
        if sources.is_empty() {
            part.clean.pass = None; // the log start has overtaken it
            return;
        }
        let life = life_at(cx.now);
        let producers = part.producers.checkpoint(part.high_watermark);
        let last_of = |p: &crate::log::checkpoint::ProducerCheckpoint| Some((p.producer_id, p.batches.last()?.3));
        let job = Compaction {
            partition: part.id,
            dirty: dirty.iter().map(|s| source(part.id, s)).collect(),
            map_from: pass.from,
            map_to: pass.map_to,
            sources: sources.iter().map(|s| source(part.id, s)).collect(),
            life,
            map_bytes: config.map_bytes,
            chunk_bytes: config.chunk_bytes,
            segment_bytes: part.topic.config.segment_bytes.min(segment_bytes_max),
            now_ms: cx.now.wall_ms,
            delete_retention_ms: part.topic.config.delete_retention_ms,
            producers: producers.iter().filter_map(last_of).collect(),
            keep_free,
            bytes_per_second: config.bytes_per_second,
        };
        self.cleaning = Some(Cleaning {
            key,
            id: part.id,
            life,
            sources: sources.iter().map(|s| (s.base_offset, s.life)).collect(),
        });
        self.job(cx, JobFor::Clean, Job::Compact(Box::new(job)));
    }

    /// A job ended: its segments take the place of those that it read.
    pub(crate) fn on_compacted(&mut self, cx: &mut StoreCx, result: JobResult) {
        let Some(cleaning) = self.cleaning.take() else { return };
        match result {
            JobResult::Compacted(made) => self.switch(cx, &cleaning, &made),
            JobResult::Failed { errno, what } => self.cleaning_failed(cx, &cleaning, errno, &what),
            _ => {}
        }
        self.clean_next(cx);
    }

    fn switch(&mut self, cx: &mut StoreCx, cleaning: &Cleaning, made: &Compacted) {
        let wanted = |p: &&mut Partition| p.topic.config.cleanup_compact;
        let Some(part) = self.parts.get_mut(cleaning.key).filter(wanted) else {
            // Deleted, or no longer to be compacted.
            if let Some(part) = self.parts.get_mut(cleaning.key) {
                part.clean.pass = None;
            }
            return self.discard(cx, cleaning, made);
        };
        let is_source =
            |s: &Segment| s.base_offset < made.sources_end && cleaning.sources.contains(&(s.base_offset, s.life));
        // Those below the log start may have gone meanwhile; what is left is a contiguous rest of the sources.
        let count = part.segments.iter().filter(|s| is_source(s)).count();
        let first = part.segments.iter().position(is_source);
        let created_ms = part
            .segments
            .iter()
            .filter(|s| is_source(s))
            .map(|s| s.created_ms)
            .min();
        part.clean.advance(made, cx.now, self.config.cleaner.backoff_ms);
        let (Some(first), Some(created_ms)) = (first, created_ms) else {
            return self.discard(cx, cleaning, made);
        };
        let new = made.segments.iter();
        let new = new.map(|made| Segment::compacted(made, cleaning.life, created_ms));
        let old: Vec<Segment> = part.segments.splice(first..first + count, new).collect();
        tell(part, &old, made);
        cx.metrics.cleaner_runs += 1;
        cx.metrics.cleaner_read_bytes += made.bytes_in;
        cx.metrics.cleaner_written_bytes += made.bytes_out;
        self.retire(cx, cleaning.id, &old);
        self.cold.forget(cleaning.key);
        self.drop_segments(cx, cleaning.key);
        self.rerun_waiting(cx, cleaning.key);
    }

    /// Old files stay until neither copy of the checkpoint names them.
    fn retire(&mut self, cx: &mut StoreCx, partition: PartitionId, old: &[Segment]) {
        let mut files = Vec::new();
        for segment in old {
            self.close_segment(cx, segment);
            files.extend([segment.path(partition), segment.index_path(partition)]);
        }
        // Both copies of the checkpoint: should the newest be damaged, the one before does without the old files as well.
        let generation = self.generation + 2;
        self.retired.push(Retired {
            generation,
            partition,
            files,
        });
        if planted::is(Planted::OldSegmentsEarly) {
            self.delete_retired(cx, generation);
        }
    }

    /// The checkpoint of that generation is durable.
    pub(crate) fn delete_retired(&mut self, cx: &mut StoreCx, generation: u64) {
        let gone = self.retired.extract_if(.., |retired| retired.generation <= generation);
        let files: Vec<FilePath> = gone.flat_map(|retired| retired.files).collect();
        if !files.is_empty() {
            let directories = Vec::new();
            let what = JobFor::Housekeeping("deleting compacted segments");
            self.job(cx, what, Job::DeleteFiles { files, directories });
        }
    }

    /// The old files of a partition that goes itself.
    pub(crate) fn take_retired(&mut self, partition: PartitionId) -> Vec<FilePath> {
        let gone = self.retired.extract_if(.., |retired| retired.partition == partition);
        gone.flat_map(|retired| retired.files).collect()
    }

    /// Removes what a job has made in vain.
    fn discard(&mut self, cx: &mut StoreCx, cleaning: &Cleaning, made: &Compacted) {
        let files = made.segments.iter();
        let files: Vec<FilePath> = files
            .flat_map(|made| compacted_paths(cleaning.id, made.base_offset, cleaning.life))
            .collect();
        if files.is_empty() {
            return;
        }
        let directories = match self.parts.get(cleaning.key) {
            Some(_) => Vec::new(),
            None => vec![
                partition_directory(cleaning.id),
                FilePath(format!("topics/{}", cleaning.id.topic)),
            ],
        };
        let what = JobFor::Housekeeping("deleting what a compaction made in vain");
        self.job(cx, what, Job::DeleteFiles { files, directories });
    }

    fn cleaning_failed(&mut self, cx: &mut StoreCx, cleaning: &Cleaning, errno: i32, what: &str) {
        let backoff_ms = self.config.cleaner.backoff_ms;
        let Some(part) = self.parts.get_mut(cleaning.key) else {
            return; // deleted under its hands
        };
        let named = format!("topic {} partition {}", part.topic.name, part.id.partition);
        let has = |(base, life): &(i64, u64)| part.segments.iter().any(|s| (s.base_offset, s.life) == (*base, *life));
        let is_overtaken = errno == ENOENT && !cleaning.sources.iter().all(has);
        part.clean.fail(cx.now, backoff_ms);
        match errno {
            ECANCELED => tracing::debug!("compaction of {named} is left to the next start"),
            _ if is_overtaken => tracing::debug!("compaction of {named} was overtaken by its retention"),
            EUCLEAN => tracing::error!("{named} cannot be compacted: {what}; {DAMAGE_REMEDY}"),
            _ => tracing::warn!(
                "compaction of {named} failed and is tried again: {}",
                explain(errno, what)
            ),
        }
    }
}

impl CleanState {
    /// A job of the pass is through.
    fn advance(&mut self, made: &Compacted, now: Now, backoff_ms: Option<u64>) {
        let Some(pass) = self.pass.take() else { return };
        if made.sources_end < made.map_end {
            self.pass = Some(Pass {
                map_to: made.map_end,
                next: made.sources_end,
                ..pass
            });
            return;
        }
        let before = self.cleaned_end.max(pass.from);
        self.cleaned_end = self.cleaned_end.max(made.map_end);
        match made.map_end > before {
            true => self.failures = 0,
            false => self.fail(now, backoff_ms),
        }
    }

    /// Leaves the partition alone for a while, longer each time; then the pass begins anew.
    fn fail(&mut self, now: Now, backoff_ms: Option<u64>) {
        self.pass = None;
        let pause_ms = backoff_ms.unwrap_or(1).max(1) << self.failures.min(20);
        self.failures += 1;
        self.not_before_ns = now.mono_ns + pause_ms.min(PAUSE_MAX_MS) * 1_000_000;
    }
}

/// One line per job that took effect.
fn tell(part: &Partition, old: &[Segment], made: &Compacted) {
    tracing::info!(
        "compacted topic {} partition {} below offset {}, keys of offsets below {}: {} keys, {} records became {}, {} bytes became {}{}",
        part.topic.name,
        part.id.partition,
        made.sources_end,
        made.map_end,
        made.keys,
        made.records_in,
        made.records_out,
        old.iter().map(|s| s.written).sum::<u64>(),
        made.bytes_out,
        match made.keyless {
            0 => String::new(),
            count => format!("; {count} records without key, from before the topic was compacted, are gone"),
        }
    );
}

/// 0 = not worth it; above that the larger the sooner: a pass that has begun, records that may not wait longer, then the ratio.
fn rank(part: &Partition, dirt: Option<&Dirt>) -> f64 {
    let least = f64::from(part.topic.config.min_cleanable_ppm) / 1e6;
    match dirt {
        _ if part.clean.pass.is_some() => 3.0,
        None => 0.0,
        Some(dirt) if dirt.is_overdue => 1.0 + dirt.ratio,
        Some(dirt) if dirt.ratio > least => dirt.ratio,
        Some(_) => 0.0,
    }
}

/// What of a partition can be cleaned: closed and flushed segments behind what is clean, old enough, as many as one job looks at.
fn measure(part: &Partition, now_ms: i64, window_bytes: u64) -> Option<Dirt> {
    let config = &part.topic.config;
    let from = part.clean.cleaned_end.max(part.log_start);
    let young = now_ms.saturating_sub(config.min_compaction_lag_ms);
    let is_clean = |s: &Segment| s.end_offset <= from;
    let may =
        |s: &&Segment| is_closed(s) && (is_clean(s) || config.min_compaction_lag_ms == 0 || s.max_timestamp <= young);
    let (mut clean, mut dirty, mut end, mut oldest) = (0, 0, from, i64::MAX);
    let (mut looked_at, mut count) = (0, 0);
    for segment in part.segments.iter().take_while(may) {
        if is_clean(segment) {
            clean += segment.written;
            continue;
        }
        dirty += segment.written;
        oldest = oldest.min(since(segment, config));
        let fits = looked_at + segment.written <= window_bytes && count < SEGMENTS_MAX;
        if end == from || (fits && segment.base_offset == end) {
            (end, looked_at, count) = (segment.end_offset, looked_at + segment.written, count + 1);
        }
    }
    (dirty > 0).then(|| Dirt {
        ratio: dirty as f64 / (clean + dirty) as f64,
        is_overdue: now_ms.saturating_sub(oldest) > config.max_compaction_lag_ms,
        from,
        end,
    })
}

/// No more writes, and all of them flushed.
fn is_closed(segment: &Segment) -> bool {
    segment.sealed && segment.flushed == segment.written
}

/// Since when, on the wall clock, a segment may hold records. Their own times count only where a longest lag is asked for.
fn since(segment: &Segment, config: &TopicConfig) -> i64 {
    match config.max_compaction_lag_ms {
        i64::MAX => segment.created_ms,
        _ if segment.max_timestamp < 0 => segment.created_ms,
        _ => segment.created_ms.min(segment.max_timestamp),
    }
}

/// The active segment, or what is not in a segment yet, is older than `segment.ms` or `max.compaction.lag.ms` allow.
fn is_due_to_roll(part: &Partition, now_ms: i64) -> bool {
    let config = &part.topic.config;
    if let Some(active) = part.segments.last().filter(|s| !s.sealed && s.written > 0) {
        let age = now_ms.saturating_sub(active.created_ms);
        let lag = now_ms.saturating_sub(since(active, config));
        return age > config.segment_ms || lag > config.max_compaction_lag_ms;
    }
    let next = part.tail.from(part.destaged_end).next();
    next.is_some_and(|f| {
        let is_old = now_ms.saturating_sub(f.frame.max_timestamp) > config.max_compaction_lag_ms;
        f.frame.last_offset < part.high_watermark && f.frame.max_timestamp >= 0 && is_old
    })
}

/// Segments with the keys of a pass, and those that the next job writes anew.
fn inputs(part: &Partition, pass: &Pass, window_bytes: u64) -> (Vec<Segment>, Vec<Segment>) {
    let closed = part.segments.iter().take_while(|s| is_closed(s));
    let of_keys = |s: &&Segment| s.end_offset > pass.from && s.base_offset < pass.map_to;
    let dirty = closed.clone().filter(of_keys).cloned().collect();
    let mut sources = Vec::new();
    let mut bytes = 0;
    for segment in closed.filter(|s| s.base_offset >= pass.next && s.base_offset < pass.map_to) {
        bytes += segment.written;
        if !sources.is_empty() && (bytes > window_bytes || sources.len() >= SEGMENTS_MAX) {
            break;
        }
        sources.push(segment.clone());
    }
    (dirty, sources)
}

fn source(partition: PartitionId, segment: &Segment) -> SourceSegment {
    SourceSegment {
        path: segment.path(partition),
        base_offset: segment.base_offset,
        end_offset: segment.end_offset,
        size: segment.written,
    }
}

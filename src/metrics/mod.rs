//! Per-shard counters and histograms: plain cells that only their shard touches.
//!
//! Invariants: recording takes nanoseconds and never allocates, except once when an API is used for the first time; nothing
//! is shared between threads. A reader gets a [`ShardMetrics::snapshot`], a copy, and merges copies of several shards.
//! Must not know: the exposition format, HTTP, clocks (durations come in as nanoseconds).

mod histogram;

pub use histogram::{Latency, Sizes};

/// Highest API key with counters of its own; higher or negative keys are counted under [`OTHER_API`].
pub const MAX_API: i16 = 95;
/// Index that stands for "any other API".
pub const OTHER_API: i16 = MAX_API + 1;

/// A step of a request's life inside the broker that takes time: what a shard does within one step has none, it has no clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Stage {
    /// Produce: from staged in memory until durable in the journal.
    ProduceFlush,
    /// Fetch: one read of a segment, from the order until the bytes are here.
    FetchRead,
    /// Fetch: long poll, from an answer that was too little until there is more or the time is over.
    FetchWait,
}

impl Stage {
    /// All, in the order of the array that holds them.
    pub const ALL: [Stage; 3] = [Stage::ProduceFlush, Stage::FetchRead, Stage::FetchWait];
    /// Kafka API key it belongs to.
    pub fn api(self) -> i16 {
        match self {
            Stage::ProduceFlush => 0,
            Stage::FetchRead | Stage::FetchWait => 1,
        }
    }
    /// Label value.
    pub fn name(self) -> &'static str {
        match self {
            Stage::ProduceFlush => "flush",
            Stage::FetchRead => "read",
            Stage::FetchWait => "wait",
        }
    }
}

/// What memory of a shard is used for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum MemoryKind {
    /// Journal chunks, which are also the tail cache.
    Chunks,
    /// Blocks read from segments (cold reads and read-ahead).
    ReadCache,
    /// Requests being received and replies being sent.
    Sessions,
    /// Receive buffers of the reactor.
    Receive,
    /// Indexes, producer tables and the rest of the partitions' state.
    Partitions,
    /// Consumer groups and their offsets.
    Groups,
}

impl MemoryKind {
    /// All, in the order of the array that holds them.
    pub const ALL: [MemoryKind; 6] = [
        MemoryKind::Chunks,
        MemoryKind::ReadCache,
        MemoryKind::Sessions,
        MemoryKind::Receive,
        MemoryKind::Partitions,
        MemoryKind::Groups,
    ];
    /// Label value.
    pub fn name(self) -> &'static str {
        match self {
            MemoryKind::Chunks => "chunks",
            MemoryKind::ReadCache => "read_cache",
            MemoryKind::Sessions => "sessions",
            MemoryKind::Receive => "receive",
            MemoryKind::Partitions => "partitions",
            MemoryKind::Groups => "groups",
        }
    }
}

/// Which quota a client was above.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Throttled {
    /// Bytes produced.
    Produce,
    /// Bytes fetched.
    Fetch,
    /// Time of the shard, or changes of metadata.
    Request,
    /// New connections.
    Connection,
}

/// Counters of one Kafka API.
#[derive(Clone, Debug, Default)]
pub struct ApiMetrics {
    /// Replies sent (or, with acks=0, requests finished).
    pub requests: u64,
    /// Of these, replies that carry at least one error code.
    pub errors: u64,
    /// Bytes of requests, length prefix included.
    pub request_bytes: u64,
    /// Bytes of replies, length prefix included.
    pub response_bytes: u64,
    /// From the last byte of the request until the reply is handed to the socket.
    pub duration: Latency,
}

/// All counters of one shard. Counters only grow; gauges (`connections`, `memory`, `partitions`, `journal_*`) are set.
#[derive(Clone, Debug)]
pub struct ShardMetrics {
    /// Nanoseconds the thread was not parked and not spinning.
    pub busy_ns: u64,
    /// Rounds of the loop that handled at least one event.
    pub rounds: u64,
    /// Events stepped.
    pub events: u64,
    /// Events of one such round: how well the loop batches.
    pub round_events: Sizes,
    /// Requests sent to another shard.
    pub hops: u64,
    /// Rounds that took longer than the runtime's stall limit: how long they took.
    pub stalls: Latency,
    /// Journal block writes, from submission until durable.
    pub flush: Latency,
    /// Batches per journal block.
    pub group_batches: Sizes,
    /// Bytes per journal block.
    pub group_bytes: Sizes,
    /// Bytes written to disk, journal and segments.
    pub disk_written_bytes: u64,
    /// Of these, bytes of journal blocks.
    pub journal_written_bytes: u64,
    /// Bytes read from disk.
    pub disk_read_bytes: u64,
    /// Bytes of record batches acknowledged as durable.
    pub acked_bytes: u64,
    /// Records acknowledged as durable.
    pub acked_records: u64,
    /// Bytes of record batches given to fetches.
    pub fetched_bytes: u64,
    /// Reads answered from memory.
    pub cache_hits: u64,
    /// Reads that went to disk.
    pub cache_misses: u64,
    /// Connections accepted since start.
    pub accepted: u64,
    /// Connections refused or closed for breaking a limit or the protocol.
    pub refused: u64,
    /// Gauge: open connections.
    pub connections: u64,
    /// Gauge: consumer groups coordinated here.
    pub groups: u64,
    /// Gauge: their committed offsets.
    pub group_offsets: u64,
    /// Gauge: partitions owned.
    pub partitions: u64,
    /// Compaction jobs that took effect.
    pub cleaner_runs: u64,
    /// Bytes that they read.
    pub cleaner_read_bytes: u64,
    /// Bytes that they wrote.
    pub cleaner_written_bytes: u64,
    /// Gauge: the largest share of uncompacted bytes of any compacted partition, percent.
    pub cleaner_dirty_percent: u64,
    /// Gauge: journal bytes not yet reclaimable.
    pub journal_used_bytes: u64,
    /// Gauge: journal bytes in all files.
    pub journal_size_bytes: u64,
    /// Bytes behind the end of requests, which nobody reads.
    pub request_trailing_bytes: u64,
    /// Times that a produce had to wait or was refused because the journal or memory was full.
    pub backpressure: u64,
    /// Requests and connections that had to wait for a quota, by [`Throttled`].
    pub throttled: [u64; 4],
    /// How long they had to, nanoseconds.
    pub throttled_ns: u64,
    memory: [u64; MemoryKind::ALL.len()],
    stages: [Latency; Stage::ALL.len()],
    apis: Vec<Option<Box<ApiMetrics>>>,
}

/// A copy of a shard's counters, to be sent to another thread.
pub type Snapshot = ShardMetrics;

impl Default for ShardMetrics {
    fn default() -> Self {
        let mut apis: Vec<Option<Box<ApiMetrics>>> = (0..=OTHER_API).map(|_| None).collect();
        // The two hot ones never pay for a first use.
        for hot in apis.iter_mut().take(2) {
            *hot = Some(Box::default());
        }
        ShardMetrics {
            busy_ns: 0,
            rounds: 0,
            events: 0,
            round_events: Sizes::default(),
            hops: 0,
            stalls: Latency::default(),
            flush: Latency::default(),
            group_batches: Sizes::default(),
            group_bytes: Sizes::default(),
            disk_written_bytes: 0,
            journal_written_bytes: 0,
            disk_read_bytes: 0,
            acked_bytes: 0,
            acked_records: 0,
            fetched_bytes: 0,
            cache_hits: 0,
            cache_misses: 0,
            accepted: 0,
            refused: 0,
            connections: 0,
            groups: 0,
            group_offsets: 0,
            partitions: 0,
            cleaner_runs: 0,
            cleaner_read_bytes: 0,
            cleaner_written_bytes: 0,
            cleaner_dirty_percent: 0,
            journal_used_bytes: 0,
            journal_size_bytes: 0,
            backpressure: 0,
            request_trailing_bytes: 0,
            throttled: [0; 4],
            throttled_ns: 0,
            memory: [0; MemoryKind::ALL.len()],
            stages: Default::default(),
            apis,
        }
    }
}

impl ShardMetrics {
    /// Counters of one API, by Kafka key; keys outside 0..=[`MAX_API`] share one entry.
    pub fn api_mut(&mut self, key: i16) -> &mut ApiMetrics {
        let slot = &mut self.apis[api_index(key)];
        slot.get_or_insert_with(Box::default)
    }
    /// Counts one finished request.
    pub fn request(&mut self, api: i16, duration_ns: u64, request_bytes: u64, response_bytes: u64, failed: bool) {
        let entry = self.api_mut(api);
        entry.requests += 1;
        entry.errors += u64::from(failed);
        entry.request_bytes += request_bytes;
        entry.response_bytes += response_bytes;
        entry.duration.record(duration_ns);
    }
    /// Counts one pass through a stage.
    pub fn stage(&mut self, stage: Stage, ns: u64) {
        self.stages[stage as usize].record(ns);
    }
    /// Counts one durable journal block.
    pub fn journal_block(&mut self, batches: u64, bytes: u64, flush_ns: u64) {
        self.group_batches.record(batches);
        self.group_bytes.record(bytes);
        self.flush.record(flush_ns);
        self.journal_written_bytes += bytes;
        self.disk_written_bytes += bytes;
    }
    /// Counts a client that has to wait, unless it has not.
    pub fn throttled(&mut self, kind: Throttled, wait_ns: u64) {
        if wait_ns > 0 {
            self.throttled[kind as usize] += 1;
            self.throttled_ns = self.throttled_ns.saturating_add(wait_ns);
        }
    }
    /// Sets the bytes in use of one kind.
    pub fn set_memory(&mut self, kind: MemoryKind, bytes: u64) {
        self.memory[kind as usize] = bytes;
    }
    /// Bytes in use of one kind.
    pub fn memory(&self, kind: MemoryKind) -> u64 {
        self.memory[kind as usize]
    }
    /// Durations of one stage.
    pub fn stage_latency(&self, stage: Stage) -> &Latency {
        &self.stages[stage as usize]
    }
    /// The APIs used so far: key ([`OTHER_API`] for the shared entry) and counters, by key.
    pub fn apis(&self) -> impl Iterator<Item = (i16, &ApiMetrics)> {
        (0i16..)
            .zip(&self.apis)
            .filter_map(|(key, entry)| Some((key, entry.as_deref()?)))
    }
    /// A copy for another thread.
    pub fn snapshot(&self) -> Snapshot {
        self.clone()
    }
    /// Adds another shard's counters and gauges, for node-wide totals.
    pub fn merge(&mut self, other: &ShardMetrics) {
        self.merge_counters(other);
        self.stalls.merge(&other.stalls);
        self.round_events.merge(&other.round_events);
        self.flush.merge(&other.flush);
        self.group_batches.merge(&other.group_batches);
        self.group_bytes.merge(&other.group_bytes);
        for (mine, theirs) in self.memory.iter_mut().zip(other.memory) {
            *mine += theirs;
        }
        for (mine, theirs) in self.stages.iter_mut().zip(&other.stages) {
            mine.merge(theirs);
        }
        for (key, theirs) in other.apis() {
            let mine = self.api_mut(key);
            mine.requests += theirs.requests;
            mine.errors += theirs.errors;
            mine.request_bytes += theirs.request_bytes;
            mine.response_bytes += theirs.response_bytes;
            mine.duration.merge(&theirs.duration);
        }
    }

    fn merge_counters(&mut self, other: &ShardMetrics) {
        self.busy_ns += other.busy_ns;
        self.rounds += other.rounds;
        self.events += other.events;
        self.hops += other.hops;
        self.disk_written_bytes += other.disk_written_bytes;
        self.journal_written_bytes += other.journal_written_bytes;
        self.disk_read_bytes += other.disk_read_bytes;
        self.acked_bytes += other.acked_bytes;
        self.acked_records += other.acked_records;
        self.fetched_bytes += other.fetched_bytes;
        self.cache_hits += other.cache_hits;
        self.cache_misses += other.cache_misses;
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.connections += other.connections;
        self.groups += other.groups;
        self.group_offsets += other.group_offsets;
        self.partitions += other.partitions;
        self.cleaner_runs += other.cleaner_runs;
        self.cleaner_read_bytes += other.cleaner_read_bytes;
        self.cleaner_written_bytes += other.cleaner_written_bytes;
        self.cleaner_dirty_percent = self.cleaner_dirty_percent.max(other.cleaner_dirty_percent);
        self.journal_used_bytes += other.journal_used_bytes;
        self.journal_size_bytes += other.journal_size_bytes;
        self.backpressure += other.backpressure;
        self.request_trailing_bytes += other.request_trailing_bytes;
        for (mine, theirs) in self.throttled.iter_mut().zip(other.throttled) {
            *mine += theirs;
        }
        self.throttled_ns = self.throttled_ns.saturating_add(other.throttled_ns);
    }
}

fn api_index(key: i16) -> usize {
    match usize::try_from(key) {
        Ok(index) if key <= MAX_API => index,
        _ => OTHER_API as usize,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_api_key_is_counted_somewhere() {
        let mut metrics = ShardMetrics::default();
        for key in [0, 1, 18, 75, 95, 96, i16::MAX, -1, i16::MIN] {
            metrics.request(key, 10_000, 100, 50, key < 0);
        }
        let counted: Vec<(i16, u64)> = metrics.apis().map(|(key, api)| (key, api.requests)).collect();
        assert_eq!(counted, [(0, 1), (1, 1), (18, 1), (75, 1), (95, 1), (OTHER_API, 4)]);
        assert_eq!(metrics.apis().map(|(_, api)| api.errors).sum::<u64>(), 2);
    }

    #[test]
    fn totals_of_two_shards_are_their_sums() {
        let mut one = ShardMetrics::default();
        let mut two = ShardMetrics::default();
        one.journal_block(3, 8192, 90_000);
        two.journal_block(1, 4096, 2_000_000);
        one.stage(Stage::ProduceFlush, 100_000);
        two.stage(Stage::ProduceFlush, 300_000);
        two.request(3, 50_000, 40, 200, false);
        one.set_memory(MemoryKind::Chunks, 10);
        two.set_memory(MemoryKind::Chunks, 32);
        two.connections = 5;
        (two.groups, two.group_offsets) = (2, 3);
        one.merge(&two.snapshot());
        assert_eq!(one.journal_written_bytes, 12288);
        assert_eq!((one.flush.count(), one.flush.sum_ns()), (2, 2_090_000));
        assert_eq!(one.stage_latency(Stage::ProduceFlush).sum_ns(), 400_000);
        assert_eq!(one.memory(MemoryKind::Chunks), 42);
        assert_eq!(one.connections, 5);
        assert_eq!((one.groups, one.group_offsets), (2, 3));
        assert_eq!(
            one.apis().find(|(key, _)| *key == 3).map(|(_, api)| api.response_bytes),
            Some(200)
        );
    }
}

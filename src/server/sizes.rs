//! How a shard's memory is divided, and which configuration keys become which limits.
//!
//! Of a shard's share: a quarter is the bound of the journal (what it alone holds stays in memory until it is destaged), a
//! quarter the tail cache, a quarter sessions, an eighth cold reads; the rest is for indexes, tables and buffers.

use super::config::Config;
use crate::api::edge::EdgeConfig;
use crate::base::ids::ShardId;
use crate::log::journal::JournalConfig;
use crate::partition::clean::CleanerConfig;
use crate::partition::store::StoreConfig;
use crate::reactor::{Gate, Tuning};
use crate::session::limits::SessionLimits;
use crate::shard::shard::ShardConfig;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const MIB: u64 = 1 << 20;
/// Fewest journal files of a shard.
const JOURNAL_FILES_MIN: usize = 4;
/// Largest journal of a shard, bytes: a start reads all of it.
const JOURNAL_MAX: u64 = 512 * MIB;
/// Block writes of a shard under way at a time.
const JOURNAL_INFLIGHT: usize = 4;
/// Largest part of the disk kept free: for checkpoints, and so that deletion can go on.
const RESERVE_MAX: u64 = 8 << 30;

/// A journal without a write for so long marks its end.
const MARK_AFTER_MS: u64 = 1_000;
/// Descriptors kept for files at least.
const DESCRIPTORS_FOR_FILES_MIN: u64 = 128;

/// Directory of a shard's journal and checkpoints, below the data directory.
pub fn shard_directory(shard: u16) -> String {
    format!("shards/{shard}")
}

/// Sizes that do not depend on the shard.
pub struct Sizes<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// Size of the file system, bytes.
    pub disk_bytes: u64,
    /// File descriptors that the process may have.
    pub descriptors: u64,
    /// Random, different at each start.
    pub seed: u64,
}

impl Sizes<'_> {
    fn share(&self) -> u64 {
        self.config.memory / u64::from(self.config.shards.max(1))
    }

    /// Everything a shard's state machine is given. `journal_file` is the size of its existing journal files, if there are any.
    pub fn shard(&self, id: ShardId, journal_file: Option<u64>) -> ShardConfig {
        ShardConfig {
            id,
            shard_count: self.config.shards,
            store: self.store(id, journal_file),
            edge: self.edge(id),
        }
    }

    fn store(&self, id: ShardId, journal_file: Option<u64>) -> StoreConfig {
        let share = self.share();
        // Small files: the first ack of a new directory waits until one has been pre-written. They keep their size for life,
        // since a longer one would be appended to beyond what was pre-written.
        let file_bytes = journal_file
            .unwrap_or((share / 64 / MIB * MIB).clamp(8 * MIB, 64 * MIB))
            .max(1);
        let journal_bytes = (share / 4).min(JOURNAL_MAX);
        StoreConfig {
            journal: JournalConfig {
                shard: id.0,
                directory: shard_directory(id.0),
                file_bytes,
                file_count: ((journal_bytes / file_bytes) as usize).max(JOURNAL_FILES_MIN),
                inflight_max: JOURNAL_INFLIGHT,
                chunk_bytes: (share / 256).next_multiple_of(4096).clamp(256 << 10, 4 * MIB) as usize,
            },
            cache_bytes: (share / 4) as usize,
            cold_bytes: (share / 8) as usize,
            cold_window_bytes: (share / 1024).next_multiple_of(4096).clamp(64 << 10, MIB) as usize,
            destage_bytes: 256 << 10,
            destage_inflight_max: 16,
            backlog_bytes_max: (share / 16).clamp(4 * MIB, 64 * MIB) as usize,
            retention_check_ms: self.number("log.retention.check.interval.ms", 300_000).max(1),
            producer_expiration_ms: self.number("producer.id.expiration.ms", 86_400_000) as i64,
            disk_reserve_bytes: (self.disk_bytes / 50).min(RESERVE_MAX),
            segment_bytes_max: u64::MAX,
            cleaner: self.cleaner(),
            open_segments_max: (self.file_descriptors() / 2 / u64::from(self.config.shards.max(1))).clamp(4, 1000)
                as usize,
            mark_after_ms: MARK_AFTER_MS,
        }
    }

    fn cleaner(&self) -> CleanerConfig {
        let is_on = self
            .text("log.cleaner.enable")
            .is_none_or(|text| !text.trim().eq_ignore_ascii_case("false"));
        let most = (self.config.memory / 8).max(MIB);
        let per_second = self.text("log.cleaner.io.max.bytes.per.second");
        let per_second = per_second.and_then(|text| text.trim().parse().ok()).unwrap_or(f64::MAX);
        CleanerConfig {
            backoff_ms: is_on.then(|| self.number("log.cleaner.backoff.ms", 15_000).max(1)),
            map_bytes: self.number("log.cleaner.dedupe.buffer.size", 128 * MIB).min(most) as usize,
            chunk_bytes: (self.number("log.cleaner.io.buffer.size", 512 << 10) as usize).clamp(64 << 10, 8 << 20),
            // Beyond what any disk moves there is no limit.
            bytes_per_second: if per_second < 1e12 {
                (per_second as u64).max(1)
            } else {
                0
            },
            ..CleanerConfig::default()
        }
    }

    fn edge(&self, id: ShardId) -> EdgeConfig {
        let share = self.share();
        let idle = self
            .text("connections.max.idle.ms")
            .and_then(|text| text.parse::<i64>().ok())
            .unwrap_or(600_000);
        let limits = SessionLimits {
            frame_bytes_max: self.number("socket.request.max.bytes", 100 << 20) as usize,
            memory_bytes_max: (share / 4) as usize,
            idle_ms_max: u64::try_from(idle).ok(),
            ..SessionLimits::default()
        };
        EdgeConfig {
            limits,
            fetch_bytes_max: self.number("fetch.max.bytes", 57_671_680) as u32,
            fetch_sessions_max: self.number("max.incremental.fetch.session.cache.slots", 1000) as usize,
            seed: self.seed ^ (u64::from(id.0) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15),
            ..EdgeConfig::default()
        }
    }

    /// Descriptors that connections leave for files: however many clients come, the log can be written.
    fn file_descriptors(&self) -> u64 {
        (self.descriptors / 4)
            .max(DESCRIPTORS_FOR_FILES_MIN)
            .min(self.descriptors)
    }

    /// The node's limits of connections.
    pub fn gate(&self) -> Arc<Gate> {
        let limit = |key: &str| self.number(key, i32::MAX as u64) as usize;
        let affordable = (self.descriptors - self.file_descriptors()) as usize;
        Gate::new(limit("max.connections"), limit("max.connections.per.ip"), affordable)
    }

    /// Sizes of the loops.
    pub fn tuning(&self) -> Tuning {
        let share = self.share();
        Tuning {
            recv_buffers: if share >= 256 * MIB { 512 } else { 128 },
            read_pool_bytes: (share / 64).clamp(MIB, 16 * MIB) as usize,
            spin_max: Duration::ZERO,
            ..Tuning::default()
        }
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.config.broker.get(key).map(String::as_str)
    }

    fn number(&self, key: &str, default: u64) -> u64 {
        self.text(key)
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(default)
    }
}

/// Size of the existing journal files of a shard, the smallest if they differ.
pub fn journal_file_size(directory: &Path) -> Option<u64> {
    let entries = std::fs::read_dir(directory).ok()?;
    let sizes = entries
        .flatten()
        .filter(|entry| super::recovery::journal_seq(&entry.file_name().to_string_lossy()).is_some());
    sizes
        .filter_map(|entry| Some(entry.metadata().ok()?.len()))
        .filter(|size| *size > 0)
        .min()
}

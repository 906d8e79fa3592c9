//! Retention by time and size, and the log start.
//!
//! Order: a journal frame with the new log start becomes durable, then segments below it are deleted, each when it is flushed.
//! Retention follows record timestamps, in the active segment and in memory too, and drops whole segments only: whatever is in
//! none yet counts as one.

use crate::base::effect::{FilePath, Job};
use crate::base::slab::SlabKey;
use crate::partition::state::{DestageStep, Partition};
use crate::partition::store::{JobFor, Store, StoreCx, StoreTimer};

impl Store {
    /// One retention pass over all partitions, and expiry of producers.
    pub(crate) fn run_retention(&mut self, cx: &mut StoreCx) {
        self.timers.arm(
            cx.now.mono_ns + self.config.retention_check_ms * 1_000_000,
            StoreTimer::Retention,
        );
        let keys: Vec<SlabKey> = self.parts.iter().map(|(key, _)| key).collect();
        for part in keys {
            let Some(part) = self.parts.get_mut(part) else { continue };
            part.producers
                .expire(cx.now.wall_ms, self.config.producer_expiration_ms, part.high_watermark);
        }
        self.retain_all(cx);
    }

    /// Retention of all partitions.
    pub(crate) fn retain_all(&mut self, cx: &mut StoreCx) {
        let keys: Vec<SlabKey> = self.parts.iter().map(|(key, _)| key).collect();
        for key in keys {
            let Some(part) = self.parts.get(key) else { continue };
            if part.topic.config.cleanup_delete {
                self.retain(cx, key);
            }
        }
    }

    fn retain(&mut self, cx: &mut StoreCx, key: SlabKey) {
        let Some(part) = self.parts.get_mut(key) else { return };
        let config = part.topic.config.clone();
        let cutoff = if config.retention_ms >= 0 {
            cx.now.wall_ms.saturating_sub(config.retention_ms)
        } else {
            i64::MIN
        };
        let expired = wholly_expired(part, cutoff);
        if expired {
            // Everything is too old and goes now, wherever it lies; the segment that holds it is closed, so that its file can go.
            part.roll_requested = true;
            if part.destaged_end < part.high_watermark {
                self.queue_destage(key);
            } else if part.segments.last().is_some_and(|s| !s.sealed && s.written > 0)
                && part.destage == DestageStep::Idle
            {
                let next = part.high_watermark;
                self.roll(cx, key, next);
            }
        }
        let Some(part) = self.parts.get(key) else { return };
        let log_start = match expired {
            true => part.high_watermark,
            false => retained_start(part, cutoff, config.retention_bytes),
        };
        if log_start > part.log_start {
            tracing::info!(
                "retention of topic {} partition {}: log starts at {log_start} now",
                part.topic.name,
                part.id.partition
            );
            self.stage_log_start(key, log_start);
        }
        self.drop_segments(cx, key);
    }

    /// The log start is durable: it is visible, and segments below it go.
    pub(crate) fn apply_log_start(&mut self, cx: &mut StoreCx, key: SlabKey, log_start: i64) {
        let Some(part) = self.parts.get_mut(key) else { return };
        part.log_start = part.log_start.max(log_start.min(part.high_watermark));
        self.drop_segments(cx, key);
        let watches = self.parts.get(key).map(|p| p.watches.clone()).unwrap_or_default();
        self.fail_watches(cx, &watches);
    }

    /// Deletes segments below the log start. One that is not flushed yet is flushed first, so that its space does not wait for the
    /// journal.
    pub(crate) fn drop_segments(&mut self, cx: &mut StoreCx, key: SlabKey) {
        let Some(part) = self.parts.get_mut(key) else { return };
        let (id, log_start) = (part.id, part.log_start);
        let droppable =
            |s: &crate::log::segment::Segment| s.sealed && s.end_offset <= log_start && s.flushed == s.written;
        let count = part.segments.iter().take_while(|s| droppable(s)).count();
        let dropped: Vec<_> = part.segments.drain(..count).collect();
        let unflushed = part.segments.first().filter(|s| s.sealed && s.end_offset <= log_start);
        if let Some(base) = unflushed.map(|s| s.base_offset) {
            self.flush_soon(cx, key, base);
        }
        if dropped.is_empty() {
            return;
        }
        let mut files: Vec<FilePath> = Vec::new();
        for segment in &dropped {
            self.close_segment(cx, segment);
            files.extend([segment.path(id), segment.index_path(id)]);
        }
        self.job(
            cx,
            JobFor::Housekeeping("deleting old segments"),
            Job::DeleteFiles {
                files,
                directories: Vec::new(),
            },
        );
    }
}

/// Every record of the partition is older than the cutoff, and there is one.
fn wholly_expired(part: &Partition, cutoff: i64) -> bool {
    part.high_watermark > part.log_start && part.max_timestamp().is_some_and(|newest| newest < cutoff)
}

/// Where the log may start: behind sealed segments that are too old, and those that exceed the size.
fn retained_start(part: &Partition, cutoff: i64, retention_bytes: i64) -> i64 {
    let mut log_start = part.log_start;
    let mut total: u64 = part.segments.iter().map(|s| s.written).sum::<u64>() + part.undestaged_bytes as u64;
    for segment in part.segments.iter().take_while(|s| s.sealed) {
        let too_old = segment.max_timestamp < cutoff;
        let too_much = retention_bytes >= 0 && total.saturating_sub(segment.written) >= retention_bytes as u64;
        if !too_old && !too_much {
            break;
        }
        total = total.saturating_sub(segment.written);
        log_start = log_start.max(segment.end_offset);
    }
    log_start
}

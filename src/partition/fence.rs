//! Fencing: a segment write or flush failed, or the segment is gone. Nothing behind its last flush is trusted; what it held is still
//! in memory and in the journal and goes into a new segment, and until that is flushed the partition takes no writes.
//!
//! Never retried in place: a failed flush may have dropped the data while a second one reports success.

use crate::base::slab::SlabKey;
use crate::log::index::Index;
use crate::log::segment::{IndexState, Segment};
use crate::partition::space::{Stuck, is_out_of_files};
use crate::partition::state::{DestageStep, Partition};
use crate::partition::store::{Store, StoreCx};

impl Store {
    /// The segment that is written to cannot be opened: what comes goes into a new one, so that one lost file does not stop the
    /// shard's journal. When only descriptors are short, it is tried again.
    pub(crate) fn give_up_segment(&mut self, cx: &mut StoreCx, key: SlabKey, (base, errno): (i64, i32), what: &str) {
        let is_empty_handed = |p: &Partition| p.segments.last().is_some_and(|s| s.base_offset == base && !s.sealed);
        let is_active = self.parts.get(key).is_some_and(is_empty_handed);
        if is_out_of_files(errno) {
            self.block(cx, Stuck::Segment(key), errno, what);
        } else if is_active {
            self.fence(cx, key, base, errno);
        } else {
            self.arm_retry(cx);
        }
    }

    /// A segment write or flush failed: nothing behind its last flush is trusted. What it held is still in memory and in the
    /// journal; it goes into a new segment, and until that is flushed the partition takes no writes.
    pub(crate) fn fence(&mut self, cx: &mut StoreCx, key: SlabKey, base: i64, errno: i32) {
        let Some(part) = self.parts.get_mut(key) else { return };
        let why = format!(
            "segment {base:020} of topic {} partition {} failed (errno {errno}): what it held goes into a new one, out of the journal, \
             and writes are refused until that is flushed. Check the disk (dmesg)",
            part.topic.name, part.id.partition
        );
        tracing::error!("{why}");
        part.fenced = Some(why);
        let flushed_end = part.flushed_end;
        part.destaged_end = flushed_end;
        if part.destage == DestageStep::Opening {
            part.destage = DestageStep::Idle; // the segment is sealed or dropped below
        }
        let keep = part.segments.partition_point(|s| s.base_offset < flushed_end);
        let dropped = part.segments.split_off(keep);
        if let Some(last) = part.segments.last_mut() {
            cut_to_flushed(last);
        }
        part.undestaged_bytes = part
            .tail
            .from(flushed_end)
            .take_while(|f| f.frame.last_offset < part.high_watermark)
            .map(|f| f.bytes.len())
            .sum();
        for segment in dropped {
            self.close_segment(cx, &segment);
        }
        self.reclaim_again();
        self.arm_retry(cx);
    }
}

/// Forgets what a segment holds behind its last flush, and closes it for appends.
fn cut_to_flushed(segment: &mut Segment) {
    segment.sealed = true;
    segment.end_offset = segment.flushed_end;
    segment.written = segment.flushed;
    segment.index = match std::mem::replace(&mut segment.index, IndexState::Absent) {
        IndexState::Loaded(index) => IndexState::Loaded(cut_index(index, segment)),
        other => other,
    };
}

fn cut_index(mut index: Index, segment: &Segment) -> Index {
    index.entries.retain(|e| e.position < segment.flushed);
    index.covered_position = index.covered_position.min(segment.flushed);
    index.covered_end = index.covered_end.min(segment.flushed_end);
    index
}

//! Opening and closing of segment files. The number of open ones that nobody writes to is bounded.

use crate::base::effect::{Effect, Job, JobResult};
use crate::base::ids::FileId;
use crate::base::slab::SlabKey;
use crate::log::segment::{FileState, Segment};
use crate::partition::cold::DAMAGE_REMEDY;
use crate::partition::space::{Stuck, explain};
use crate::partition::state::{DestageStep, Partition};
use crate::partition::store::{JobFor, Store, StoreCx};

const ENOENT: i32 = 2;

impl Store {
    /// Opens a segment's file.
    pub(crate) fn open_segment(&mut self, cx: &mut StoreCx, key: SlabKey, base: i64) {
        let file = self.file_id();
        let Some(part) = self.parts.get_mut(key) else { return };
        let id = part.id;
        let Some(segment) = part.segment_mut(base) else { return };
        let path = segment.path(id);
        segment.file = FileState::Opening(file);
        self.job(
            cx,
            JobFor::SegmentOpen {
                partition: key,
                segment: base,
                file,
            },
            Job::Open { file, path },
        );
    }

    /// A segment was opened, or could not be.
    pub(crate) fn on_segment_open(
        &mut self,
        cx: &mut StoreCx,
        key: SlabKey,
        base: i64,
        file: FileId,
        result: JobResult,
    ) {
        let failed = match result {
            JobResult::Failed { errno, what } => Some((errno, what)),
            _ => None,
        };
        let Some(segment) = self
            .parts
            .get_mut(key)
            .and_then(|p| p.segment_mut(base))
            .filter(|s| s.file == FileState::Opening(file))
        else {
            if failed.is_none() {
                cx.effects.push(Effect::CloseFile { file });
            }
            return;
        };
        let wants_destage = !segment.sealed;
        segment.file = if failed.is_none() {
            FileState::Open(file)
        } else {
            FileState::Closed
        };
        let waits = |p: &&mut Partition| wants_destage && p.destage == DestageStep::Opening;
        let mut is_needed = false;
        if let Some(part) = self.parts.get_mut(key).filter(waits) {
            part.destage = DestageStep::Idle;
            is_needed = true;
        }
        if let Some((errno, what)) = failed {
            let why = match errno {
                ENOENT => format!("{what}: the file is missing; {DAMAGE_REMEDY}"),
                _ => explain(errno, &what),
            };
            tracing::error!("a segment cannot be opened: {why}");
            self.fail_waiting(cx, key, &why);
            if is_needed {
                self.give_up_segment(cx, key, (base, errno), &what);
            }
        } else {
            if is_needed {
                self.unblock(Stuck::Segment(key));
            }
            self.cold.opened.push((key, base));
            self.close_least_recent(cx);
            self.queue_destage_if_due(key);
        }
        self.rerun_waiting(cx, key);
    }

    /// Keeps the number of open sealed segments bounded.
    fn close_least_recent(&mut self, cx: &mut StoreCx) {
        if self.cold.opened.len() <= self.config.open_segments_max {
            return;
        }
        let (key, base) = self.cold.opened.remove(0);
        let reading = self.cold.reading.iter().any(|(k, b, _)| *k == key && *b == base);
        let Some(segment) = self.parts.get_mut(key).and_then(|p| p.segment_mut(base)) else {
            return;
        };
        if segment.sealed && !reading && segment.flushed == segment.written {
            let closed = segment.clone();
            segment.file = FileState::Closed;
            self.close_segment(cx, &closed);
        } else {
            self.cold.opened.push((key, base));
        }
    }

    /// Closes a segment's file, if open.
    pub(crate) fn close_segment(&mut self, cx: &mut StoreCx, segment: &Segment) {
        if let FileState::Open(file) = segment.file {
            cx.effects.push(Effect::CloseFile { file });
        }
    }
}

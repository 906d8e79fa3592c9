//! ListOffsets on the owner: special values at once, timestamps to the exact record (KIP-79, KIP-734).
//!
//! By time: segments whose largest timestamp is too small are skipped, the sparse index narrows the rest, then the first frame
//! whose largest timestamp suffices is walked record by record, compressed or not.

use crate::base::slab::SlabKey;
use crate::log::segment::IndexState;
use crate::partition::cold::Cold;
use crate::partition::fetch::check_epoch;
use crate::partition::records;
use crate::partition::request::{ListOffsetPart, ListOffsetResult, OwnerReply, ReplyTo};
use crate::partition::state::Partition;
use crate::partition::store::{Store, StoreCx};
use crate::wire::error::ErrorCode;
use bytes::Bytes;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;

/// A lookup that waits for cold windows.
pub(crate) struct LookupOp {
    reply: ReplyTo,
    partition: SlabKey,
    timestamp: i64,
    /// Everything below was looked at.
    cursor: i64,
    goal: Goal,
}

/// Which record a lookup is for.
#[derive(Clone, Copy)]
enum Goal {
    /// The first at or after the timestamp.
    First,
    /// The first with the largest timestamp of all segments and frames.
    Largest,
    /// As `Largest`, when the record that gave it is deleted: the timestamp rises with each (timestamp, offset) found.
    Climb(Option<(i64, i64)>),
}

/// One step of the search.
enum Step {
    Found(ListOffsetResult),
    Wait,
}

impl Store {
    /// Answers, or waits for cold windows first.
    pub(crate) fn list_offset(&mut self, cx: &mut StoreCx, reply: ReplyTo, want: ListOffsetPart) {
        let Some((key, part)) = self
            .by_id
            .get(&want.partition)
            .and_then(|k| Some((*k, self.parts.get(*k)?)))
        else {
            return cx
                .replies
                .push_back((reply, failed(ErrorCode::UnknownTopicOrPartition)));
        };
        if let Err(error) = check_epoch(part, want.current_leader_epoch) {
            return cx.replies.push_back((reply, failed(error)));
        }
        let special = match want.timestamp {
            LATEST => Some((part.high_watermark, part.leader_epoch)),
            EARLIEST | EARLIEST_LOCAL => Some((part.log_start, part.epoch_of_start())),
            LATEST_TIERED | EARLIEST_PENDING_UPLOAD => Some((-1, -1)),
            _ => None,
        };
        if let Some((offset, leader_epoch)) = special {
            return cx.replies.push_back((reply, found(-1, offset, leader_epoch)));
        }
        let (timestamp, goal) = match want.timestamp {
            MAX_TIMESTAMP => (part.max_timestamp(), Goal::Largest),
            timestamp => (Some(timestamp), Goal::First),
        };
        match timestamp {
            Some(timestamp) if timestamp >= 0 => {
                let cursor = part.log_start;
                self.lookup(
                    cx,
                    LookupOp {
                        reply,
                        partition: key,
                        timestamp,
                        cursor,
                        goal,
                    },
                );
            }
            _ => cx.replies.push_back((reply, found(-1, -1, -1))),
        }
    }

    fn lookup(&mut self, cx: &mut StoreCx, mut op: LookupOp) {
        match self.search(cx, &mut op) {
            Step::Found(result) => cx.replies.push_back((op.reply, OwnerReply::ListOffset(result))),
            Step::Wait => {
                self.lookups.insert(op);
            }
        }
    }

    pub(crate) fn rerun_lookups(&mut self, cx: &mut StoreCx, key: SlabKey) {
        let due: Vec<SlabKey> = self
            .lookups
            .iter()
            .filter(|(_, op)| op.partition == key)
            .map(|(k, _)| k)
            .collect();
        for op in due {
            if let Some(op) = self.lookups.remove(op) {
                self.lookup(cx, op);
            }
        }
    }

    pub(crate) fn fail_lookups(&mut self, cx: &mut StoreCx, key: SlabKey) {
        let due: Vec<SlabKey> = self
            .lookups
            .iter()
            .filter(|(_, op)| op.partition == key)
            .map(|(k, _)| k)
            .collect();
        for op in due {
            if let Some(op) = self.lookups.remove(op) {
                cx.replies.push_back((op.reply, failed(ErrorCode::KafkaStorageError)));
            }
        }
    }

    /// Goes on from the cursor until the record, the end, or a window that is not there yet.
    fn search(&mut self, cx: &mut StoreCx, op: &mut LookupOp) -> Step {
        loop {
            let Some(part) = self.parts.get(op.partition) else {
                return Step::Found(result_of(ErrorCode::UnknownTopicOrPartition, -1, -1, -1));
            };
            op.cursor = op.cursor.max(part.log_start);
            op.cursor = skip_segments(part, op.cursor, op.timestamp);
            let (end, log_start) = (part.high_watermark, part.log_start);
            if op.cursor >= end {
                match op.goal {
                    Goal::First => return Step::Found(NOTHING),
                    Goal::Largest => (op.goal, op.timestamp, op.cursor) = (Goal::Climb(None), 0, log_start),
                    Goal::Climb(best) => return Step::Found(best.map_or(NOTHING, |best| found_record(part, best))),
                }
                continue;
            }
            let frames: Vec<(i64, i64, Bytes)> = if part.tail.base_offset().is_some_and(|base| base <= op.cursor) {
                let visible = part.tail.from(op.cursor).take_while(|f| f.frame.last_offset < end);
                visible
                    .map(|f| (f.frame.last_offset, f.frame.max_timestamp, f.batch()))
                    .collect()
            } else if let Some(window) = self.cold.window(op.partition, op.cursor) {
                let from = window.frames.iter().filter(|f| f.frame.last_offset >= op.cursor);
                from.map(|f| (f.frame.last_offset, f.frame.max_timestamp, f.batch.clone()))
                    .collect()
            } else {
                match self.want_cold(cx, op.partition, op.cursor) {
                    Cold::Wait => return Step::Wait,
                    Cold::Nothing | Cold::Damaged => {
                        return Step::Found(result_of(ErrorCode::KafkaStorageError, -1, -1, -1));
                    }
                }
            };
            for (last_offset, max_timestamp, batch) in frames {
                op.cursor = last_offset + 1;
                if max_timestamp < op.timestamp {
                    continue;
                }
                let climbs = matches!(op.goal, Goal::Climb(_));
                let Some(hit) = record_at(&batch, op.timestamp, log_start, climbs) else {
                    continue;
                };
                if !climbs {
                    let part = self.parts.get(op.partition);
                    return Step::Found(part.map_or(NOTHING, |part| found_record(part, hit)));
                }
                op.goal = Goal::Climb(Some(hit));
                op.timestamp = hit.0.saturating_add(1);
            }
        }
    }
}

/// Skips segments, and stretches of a segment whose index is in memory, that hold only older records.
fn skip_segments(part: &Partition, cursor: i64, timestamp: i64) -> i64 {
    let mut cursor = cursor;
    for segment in &part.segments {
        if segment.end_offset <= cursor {
            continue;
        }
        if segment.max_timestamp < timestamp {
            cursor = segment.end_offset;
            continue;
        }
        if let IndexState::Loaded(index) = &segment.index {
            let position = index.position_for_timestamp(timestamp);
            let entry = index.entries.iter().rev().find(|e| e.position <= position);
            cursor = cursor.max(entry.map_or(segment.base_offset, |e| e.base_offset));
        }
        break;
    }
    cursor
}

/// The first record of a batch at or after `timestamp` and not below `log_start`, or of all such the first with the largest
/// timestamp: (its timestamp, its offset).
fn record_at(batch: &Bytes, timestamp: i64, log_start: i64, largest: bool) -> Option<(i64, i64)> {
    let mut found: Option<(i64, i64)> = None;
    let walked = records::walk(batch, |record| {
        let wanted = found.map_or(timestamp, |(best, _)| best.saturating_add(1));
        let hit = record.timestamp >= wanted && record.offset >= log_start;
        if hit {
            found = Some((record.timestamp, record.offset));
        }
        largest || !hit
    });
    if let Err(why) = walked {
        tracing::error!("a stored batch cannot be walked: {why}");
    }
    found
}

/// No error, and no record.
const NOTHING: ListOffsetResult = result_of(ErrorCode::None, -1, -1, -1);

fn found_record(part: &Partition, (timestamp, offset): (i64, i64)) -> ListOffsetResult {
    result_of(ErrorCode::None, timestamp, offset, part.epoch_at(offset))
}

const fn result_of(error: ErrorCode, timestamp: i64, offset: i64, leader_epoch: i32) -> ListOffsetResult {
    ListOffsetResult {
        error,
        timestamp,
        offset,
        leader_epoch,
    }
}

fn found(timestamp: i64, offset: i64, leader_epoch: i32) -> OwnerReply {
    OwnerReply::ListOffset(result_of(ErrorCode::None, timestamp, offset, leader_epoch))
}

fn failed(error: ErrorCode) -> OwnerReply {
    OwnerReply::ListOffset(result_of(error, -1, -1, -1))
}

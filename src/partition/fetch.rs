//! Fetch on the owner: memory first, segments behind, whole batches within the budgets, waiting by watches.
//!
//! A fetch that needs cold windows waits for them and is then planned anew: planning changes nothing, so it may run any
//! number of times. A watch fires once, when about as many bytes as wanted have become visible, or a partition goes away.

use crate::base::planted::{self, Planted};
use crate::base::slab::SlabKey;
use crate::partition::cold::Cold;
use crate::partition::request::{
    EpochEndPart, EpochEndResult, FetchPart, FetchParts, FetchResult, OwnerReply, ReplyTo,
};
use crate::partition::state::Partition;
use crate::partition::store::{Store, StoreCx, is_below};
use crate::wire::error::ErrorCode;
use bytes::Bytes;

/// A fetch that waits for cold windows.
pub(crate) struct FetchOp {
    reply: ReplyTo,
    request: FetchParts,
    waits_for: Vec<SlabKey>,
}

/// A fetch answered with too little: its origin wants to know when there is more.
pub(crate) struct Watch {
    reply: ReplyTo,
    missing: usize,
    partitions: Vec<SlabKey>,
}

/// Budget of a fetch while it is planned.
struct Budget {
    left: usize,
    may_exceed: bool,
}

/// What one partition gave so far.
struct Gathered {
    batches: Vec<Bytes>,
    bytes: usize,
    cold: Option<Cold>,
}

impl Store {
    /// Answers, or waits for cold windows first.
    pub(crate) fn fetch(&mut self, cx: &mut StoreCx, reply: ReplyTo, request: FetchParts) {
        let mut budget = Budget {
            left: request.max_bytes as usize,
            may_exceed: request.allow_first_over,
        };
        let mut results = Vec::with_capacity(request.parts.len());
        let mut waits_for = Vec::new();
        for part in &request.parts {
            match self.fetch_part(cx, part, &request, &mut budget) {
                Ok(result) => results.push(result),
                Err(key) => waits_for.push(key),
            }
        }
        if !waits_for.is_empty() {
            self.fetches.insert(FetchOp {
                reply,
                request,
                waits_for,
            });
            return;
        }
        cx.metrics.fetched_bytes += results
            .iter()
            .flat_map(|r| &r.batches)
            .map(|b| b.len() as u64)
            .sum::<u64>();
        self.watch_if_short(reply, &request, &results);
        cx.replies.push_back((reply, OwnerReply::Fetch(results)));
    }

    /// Something of the partition arrived: plans anew what waited for it.
    pub(crate) fn rerun_waiting(&mut self, cx: &mut StoreCx, key: SlabKey) {
        let due: Vec<SlabKey> = self
            .fetches
            .iter()
            .filter(|(_, op)| op.waits_for.contains(&key))
            .map(|(k, _)| k)
            .collect();
        for op in due {
            if let Some(op) = self.fetches.remove(op) {
                self.fetch(cx, op.reply, op.request);
            }
        }
        self.rerun_lookups(cx, key);
    }

    /// A segment of the partition cannot be opened: what waits for it fails now.
    pub(crate) fn fail_waiting(&mut self, cx: &mut StoreCx, key: SlabKey, why: &str) {
        let due: Vec<SlabKey> = self
            .fetches
            .iter()
            .filter(|(_, op)| op.waits_for.contains(&key))
            .map(|(k, _)| k)
            .collect();
        for op in due {
            let Some(op) = self.fetches.remove(op) else { continue };
            tracing::warn!("a fetch fails: {why}");
            let results = op
                .request
                .parts
                .iter()
                .map(|_| refused(ErrorCode::KafkaStorageError))
                .collect();
            cx.replies.push_back((op.reply, OwnerReply::Fetch(results)));
        }
        self.fail_lookups(cx, key);
    }

    /// One partition's answer; `Err` = it waits for a window of that partition.
    fn fetch_part(
        &mut self,
        cx: &mut StoreCx,
        want: &FetchPart,
        request: &FetchParts,
        budget: &mut Budget,
    ) -> Result<FetchResult, SlabKey> {
        let key = self.by_id.get(&want.partition).copied();
        let Some((key, part)) = key.and_then(|k| Some((k, self.parts.get(k)?))) else {
            return Ok(refused(ErrorCode::UnknownTopicOrPartition));
        };
        if let Err(error) = check_epoch(part, want.current_leader_epoch) {
            return Ok(refused(error));
        }
        match diverging(part, want) {
            // No epoch to go back to: the client has to start anew.
            Some((-1, _)) => return Ok(refused(ErrorCode::OffsetOutOfRange)),
            Some(diverging) => {
                return Ok(FetchResult {
                    diverging_epoch: Some(diverging),
                    ..answer(part, request, Vec::new())
                });
            }
            None => {}
        }
        let offset = want.fetch_offset;
        if offset < part.log_start || offset > part.high_watermark {
            return Ok(refused(ErrorCode::OffsetOutOfRange));
        }
        let limit = budget.left.min(want.max_bytes as usize);
        let gathered = self.gather(cx, key, offset, limit, budget.may_exceed);
        match gathered.cold {
            Some(Cold::Wait) if gathered.batches.is_empty() => return Err(key),
            Some(Cold::Damaged | Cold::Nothing) if gathered.batches.is_empty() => {
                return Ok(refused(ErrorCode::KafkaStorageError));
            }
            _ => {}
        }
        budget.left = budget.left.saturating_sub(gathered.bytes);
        budget.may_exceed &= gathered.batches.is_empty();
        Ok(self.parts.get(key).map_or_else(
            || refused(ErrorCode::UnknownTopicOrPartition),
            |p| answer(p, request, gathered.batches),
        ))
    }

    /// Whole batches from the one that holds `offset` on, as many as fit `limit` (one more when `may_exceed`).
    fn gather(&mut self, cx: &mut StoreCx, key: SlabKey, offset: i64, limit: usize, may_exceed: bool) -> Gathered {
        let mut out = Gathered {
            batches: Vec::new(),
            bytes: 0,
            cold: None,
        };
        let mut next = offset;
        while let Some(part) = self.parts.get(key) {
            let early = planted::is(Planted::ReadBeforeFlush);
            let end = if early { part.log_end } else { part.high_watermark };
            if next >= end || (limit == 0 && !may_exceed) {
                break;
            }
            if part.tail.base_offset().is_some_and(|base| base <= next) {
                cx.metrics.cache_hits += 1;
                for tail in part.tail.from(next).take_while(|f| is_below(&f.frame, end)) {
                    if !out.take(tail.batch(), limit, may_exceed) {
                        break;
                    }
                }
                break;
            }
            match self.cold.window(key, next) {
                Some(window) => {
                    let from = window.frames.partition_point(|f| f.frame.last_offset < next);
                    let full = window.frames[from..]
                        .iter()
                        .any(|f| !out.take(f.batch.clone(), limit, may_exceed));
                    next = window.end_offset;
                    self.read_ahead(cx, key, next);
                    if full {
                        break;
                    }
                }
                None => {
                    out.cold = Some(self.want_cold(cx, key, next));
                    break;
                }
            }
        }
        out
    }

    /// Reads the next window before it is asked for.
    fn read_ahead(&mut self, cx: &mut StoreCx, key: SlabKey, offset: i64) {
        let cold = self
            .parts
            .get(key)
            .is_some_and(|p| offset < p.flushed_end && p.tail.base_offset().is_none_or(|base| offset < base));
        if cold && self.cold.window(key, offset).is_none() {
            self.want_cold(cx, key, offset);
        }
    }

    fn watch_if_short(&mut self, reply: ReplyTo, request: &FetchParts, results: &[FetchResult]) {
        let have: usize = results.iter().flat_map(|r| &r.batches).map(Bytes::len).sum();
        let wanted = request.watch_min_bytes as usize;
        let complete = results
            .iter()
            .any(|r| r.error != ErrorCode::None || r.diverging_epoch.is_some());
        if wanted == 0 || have >= wanted || complete {
            return;
        }
        let partitions: Vec<SlabKey> = request
            .parts
            .iter()
            .filter_map(|p| self.by_id.get(&p.partition).copied())
            .collect();
        let watch = self.watches.insert(Watch {
            reply,
            missing: wanted - have,
            partitions: partitions.clone(),
        });
        self.watch_keys.insert(reply_key(reply), watch);
        for key in partitions {
            if let Some(part) = self.parts.get_mut(key) {
                part.watches.push(watch);
            }
        }
    }

    /// `bytes` more became visible in a partition.
    pub(crate) fn wake_watches(&mut self, cx: &mut StoreCx, key: SlabKey, bytes: usize) {
        let Some(part) = self.parts.get(key) else { return };
        let mut fired = Vec::new();
        for watch_key in part.watches.clone() {
            if let Some(watch) = self.watches.get_mut(watch_key) {
                watch.missing = watch.missing.saturating_sub(bytes);
                if watch.missing == 0 {
                    fired.push(watch_key);
                }
            }
        }
        self.fail_watches(cx, &fired);
    }

    /// Fires watches.
    pub(crate) fn fail_watches(&mut self, cx: &mut StoreCx, watches: &[SlabKey]) {
        for watch in watches {
            if let Some(watch) = self.remove_watch(*watch) {
                cx.replies.push_back((watch.reply, OwnerReply::FetchWake));
            }
        }
    }

    /// The origin no longer waits.
    pub(crate) fn forget_watch(&mut self, reply: ReplyTo) {
        if let Some(watch) = self.watch_keys.get(&reply_key(reply)).copied() {
            self.remove_watch(watch);
        }
    }

    fn remove_watch(&mut self, key: SlabKey) -> Option<Watch> {
        let watch = self.watches.remove(key)?;
        self.watch_keys.remove(&reply_key(watch.reply));
        for partition in &watch.partitions {
            if let Some(part) = self.parts.get_mut(*partition) {
                part.watches.retain(|w| *w != key);
            }
        }
        Some(watch)
    }

    /// OffsetForLeaderEpoch: where the largest epoch at or below the one asked about ends.
    pub(crate) fn epoch_end(&mut self, cx: &mut StoreCx, reply: ReplyTo, want: EpochEndPart) {
        let part = self.by_id.get(&want.partition).and_then(|k| self.parts.get(*k));
        let result = match part {
            None => EpochEndResult {
                error: ErrorCode::UnknownTopicOrPartition,
                leader_epoch: -1,
                end_offset: -1,
            },
            Some(part) => match check_epoch(part, want.current_leader_epoch) {
                Err(error) => EpochEndResult {
                    error,
                    leader_epoch: -1,
                    end_offset: -1,
                },
                Ok(()) => {
                    let (leader_epoch, end_offset) = end_of_epoch(part, want.leader_epoch);
                    EpochEndResult {
                        error: ErrorCode::None,
                        leader_epoch,
                        end_offset,
                    }
                }
            },
        };
        cx.replies.push_back((reply, OwnerReply::EpochEnd(result)));
    }
}

impl Gathered {
    /// Adds a batch; false when the budget is used up.
    fn take(&mut self, batch: Bytes, limit: usize, may_exceed: bool) -> bool {
        let first = self.batches.is_empty() && may_exceed;
        if !first && self.bytes + batch.len() > limit {
            return false;
        }
        self.bytes += batch.len();
        self.batches.push(batch);
        true
    }
}

fn reply_key(reply: ReplyTo) -> (u16, SlabKey, u32) {
    (reply.shard.0, reply.op, reply.part)
}

/// KIP-320: the client's idea of the leader epoch against ours; -1 = no check.
pub(crate) fn check_epoch(part: &Partition, claimed: i32) -> Result<(), ErrorCode> {
    match claimed {
        -1 => Ok(()),
        epoch if epoch < part.leader_epoch => Err(ErrorCode::FencedLeaderEpoch),
        epoch if epoch > part.leader_epoch => Err(ErrorCode::UnknownLeaderEpoch),
        _ => Ok(()),
    }
}

/// (epoch, exclusive end) of the largest epoch at or below `epoch`; (-1, -1) when there is none or it is beyond ours.
fn end_of_epoch(part: &Partition, epoch: i32) -> (i32, i64) {
    if epoch == part.leader_epoch {
        return (epoch, part.high_watermark);
    }
    let behind = part.epochs.partition_point(|(e, _)| *e <= epoch);
    if epoch > part.leader_epoch || behind == 0 {
        return (-1, -1);
    }
    let end = part.epochs.get(behind).map_or(part.high_watermark, |(_, start)| *start);
    (part.epochs[behind - 1].0, end)
}

/// The client's last epoch ends before its fetch offset here: it has records that this log never had (KIP-595).
fn diverging(part: &Partition, want: &FetchPart) -> Option<(i32, i64)> {
    if want.last_fetched_epoch < 0 {
        return None;
    }
    let (epoch, end) = end_of_epoch(part, want.last_fetched_epoch);
    (epoch < want.last_fetched_epoch || end < want.fetch_offset).then_some((epoch, end))
}

fn answer(part: &Partition, request: &FetchParts, batches: Vec<Bytes>) -> FetchResult {
    FetchResult {
        error: ErrorCode::None,
        high_watermark: part.high_watermark,
        last_stable_offset: part.high_watermark,
        log_start_offset: part.log_start,
        batches,
        aborted: request.read_committed.then(Vec::new),
        diverging_epoch: None,
    }
}

fn refused(error: ErrorCode) -> FetchResult {
    FetchResult {
        error,
        high_watermark: -1,
        last_stable_offset: -1,
        log_start_offset: -1,
        batches: Vec::new(),
        aborted: None,
        diverging_epoch: None,
    }
}

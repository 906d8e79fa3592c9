//! The rounds of a fetch: ask all owners, judge what came, wait or answer.

use super::sessions::Context;
use super::{Part, answer};
use crate::api::call::{Call, Step};
use crate::api::state::Shared;
use crate::base::ids::ShardId;
use crate::base::timers::TimerKey;
use crate::metrics::Stage;
use crate::partition::request::{FetchParts, FetchResult, OwnerRequest};
use crate::wire::error::ErrorCode;
use crate::wire::fetch::FetchRequest;

/// Bits of a part number that name the owner within a round.
const OWNER_BITS: u32 = 12;

/// A fetch in flight.
pub(crate) struct FetchOp {
    pub context: Context,
    pub parts: Vec<Part>,
    /// Per part, of the last round.
    pub results: Vec<Option<FetchResult>>,
    /// Bytes that the answer should not exceed.
    pub max_bytes: u32,
    min_bytes: u64,
    read_committed: bool,
    /// When to answer whatever there is, monotonic nanoseconds; `None` = at once.
    deadline_ns: Option<u64>,
    timer: Option<TimerKey>,
    owners: Vec<Owner>,
    round: u32,
    outstanding: usize,
    /// A wake-up came while answers were outstanding.
    woken: bool,
    /// Since when nothing is asked and more is waited for, monotonic nanoseconds.
    idle_since_ns: Option<u64>,
}

/// One owner's share.
struct Owner {
    shard: ShardId,
    /// Indexes into `parts`.
    parts: Vec<u32>,
    /// Bytes in its last answer.
    bytes: u64,
    /// It watches for this many bytes; 0 = it does not.
    watch: u64,
    failed: bool,
}

impl Owner {
    fn is_watching(&self) -> bool {
        self.watch > 0 && self.bytes < self.watch && !self.failed
    }
}

impl FetchOp {
    pub fn new(request: &FetchRequest, context: Context, parts: Vec<Part>, bytes_max: u32, now_ns: u64) -> FetchOp {
        let max_bytes = u32::try_from(request.max_bytes).unwrap_or(0).min(bytes_max);
        let wait_ns = u64::try_from(request.max_wait_ms).unwrap_or(0) * 1_000_000;
        let mut owners: Vec<Owner> = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            let Ok((_, shard)) = part.place else { continue };
            match owners.iter_mut().find(|owner| owner.shard == shard) {
                Some(owner) => owner.parts.push(at as u32),
                None => owners.push(Owner {
                    shard,
                    parts: vec![at as u32],
                    bytes: 0,
                    watch: 0,
                    failed: false,
                }),
            }
        }
        FetchOp {
            context,
            results: parts.iter().map(|_| None).collect(),
            parts,
            max_bytes,
            min_bytes: u64::try_from(request.min_bytes).unwrap_or(0).min(u64::from(max_bytes)),
            read_committed: request.isolation_level == 1,
            deadline_ns: (wait_ns > 0).then_some(now_ns + wait_ns),
            timer: None,
            owners,
            round: 0,
            outstanding: 0,
            woken: false,
            idle_since_ns: None,
        }
    }

    fn part_number(&self, owner: usize) -> u32 {
        (self.round << OWNER_BITS) | owner as u32
    }

    fn total(&self) -> u64 {
        self.owners.iter().map(|owner| owner.bytes).sum()
    }

    /// Bytes at which an owner shall wake us, so that at least one does when `min_bytes` are reached in all.
    fn watch_for(&self, owner: &Owner) -> u64 {
        if self.deadline_ns.is_none() {
            return 0;
        }
        let missing = self.min_bytes.saturating_sub(self.total());
        owner.bytes + missing.div_ceil(self.owners.len() as u64)
    }

    /// The owner of a part number, if it is of this round.
    fn owner_of(&self, part: u32) -> Option<usize> {
        let owner = (part & ((1 << OWNER_BITS) - 1)) as usize;
        (part >> OWNER_BITS == self.round & (u32::MAX >> OWNER_BITS) && owner < self.owners.len()).then_some(owner)
    }
}

/// Starts the first round; without owners the answer is there already.
pub(in crate::api) fn begin(call: &mut Call, shared: &mut Shared, op: Box<FetchOp>) -> Step<Box<FetchOp>> {
    if op.owners.is_empty() {
        return answer::finish(call, shared, *op);
    }
    Step::Wait(ask(call, op))
}

/// An owner answered.
pub(in crate::api) fn on_results(
    call: &mut Call,
    shared: &mut Shared,
    mut op: Box<FetchOp>,
    part: u32,
    results: Vec<FetchResult>,
) -> Step<Box<FetchOp>> {
    let Some(at) = op.owner_of(part) else {
        return Step::Wait(op);
    };
    let FetchOp {
        owners, results: slots, ..
    } = &mut *op;
    let owner = &mut owners[at];
    owner.bytes = results
        .iter()
        .flat_map(|result| &result.batches)
        .map(|batch| batch.len() as u64)
        .sum();
    owner.failed = results
        .iter()
        .any(|result| result.error != ErrorCode::None || result.diverging_epoch.is_some());
    for (index, result) in owner.parts.iter().zip(results) {
        slots[*index as usize] = Some(result);
    }
    op.outstanding = op.outstanding.saturating_sub(1);
    if op.outstanding > 0 {
        Step::Wait(op)
    } else {
        judge(call, shared, op)
    }
}

/// A watched partition can give more.
pub(in crate::api) fn on_wake(
    call: &mut Call,
    _shared: &mut Shared,
    mut op: Box<FetchOp>,
    part: u32,
) -> Step<Box<FetchOp>> {
    let Some(waker) = op.owner_of(part) else {
        return Step::Wait(op);
    };
    op.owners[waker].watch = 0;
    if op.outstanding > 0 {
        op.woken = true;
        return Step::Wait(op);
    }
    Step::Wait(ask(call, op))
}

/// The time is over: answer what there is.
pub(in crate::api) fn on_deadline(call: &mut Call, shared: &mut Shared, mut op: Box<FetchOp>) -> Step<Box<FetchOp>> {
    op.deadline_ns = None;
    if let Some(timer) = op.timer.take() {
        shared.timers.cancel(timer);
    }
    if op.outstanding > 0 {
        return Step::Wait(op);
    }
    if op.total() > 0 {
        // Its batches were not kept while waiting.
        return Step::Wait(ask(call, op));
    }
    end(call, shared, op)
}

/// The client is gone.
pub(in crate::api) fn cancel(call: &mut Call, shared: &mut Shared, mut op: FetchOp) {
    forget(call, &mut op);
    if let Some(timer) = op.timer {
        shared.timers.cancel(timer);
    }
}

/// All owners of a round have answered.
fn judge(call: &mut Call, shared: &mut Shared, mut op: Box<FetchOp>) -> Step<Box<FetchOp>> {
    let enough = op.total() >= op.min_bytes || op.owners.iter().any(|owner| owner.failed);
    let over = op.deadline_ns.is_none_or(|at| at <= call.cx.now.mono_ns);
    if enough || over {
        return end(call, shared, op);
    }
    if op.woken || !op.owners.iter().all(Owner::is_watching) {
        return Step::Wait(ask(call, op));
    }
    if op.total() > 0 {
        op.results.iter_mut().for_each(|slot| *slot = None);
    }
    if let (None, Some(at)) = (op.timer, op.deadline_ns) {
        op.timer = Some(shared.timers.arm(at, call.op));
    }
    op.idle_since_ns = Some(call.cx.now.mono_ns);
    Step::Wait(op)
}

/// Asks all owners anew.
fn ask(call: &mut Call, mut op: Box<FetchOp>) -> Box<FetchOp> {
    note_wait(call, &mut op);
    forget(call, &mut op);
    let watches: Vec<u64> = op.owners.iter().map(|owner| op.watch_for(owner)).collect();
    op.round = op.round.wrapping_add(1);
    op.outstanding = op.owners.len();
    op.woken = false;
    let share = op.max_bytes.div_ceil(op.owners.len().max(1) as u32);
    for (at, watch) in watches.into_iter().enumerate() {
        let question = |index: &u32| {
            let part = &op.parts[*index as usize];
            part.place.ok().map(|(partition, _)| part.question(partition))
        };
        let parts = FetchParts {
            parts: op.owners[at].parts.iter().filter_map(question).collect(),
            max_bytes: share,
            allow_first_over: true,
            watch_min_bytes: u32::try_from(watch).unwrap_or(u32::MAX),
            read_committed: op.read_committed,
        };
        call.ask(op.owners[at].shard, op.part_number(at), OwnerRequest::Fetch(parts));
        op.owners[at].watch = watch;
    }
    op
}

/// Waiting for more is over, if it was waited.
fn note_wait(call: &mut Call, op: &mut FetchOp) {
    if let Some(since_ns) = op.idle_since_ns.take() {
        let waited_ns = call.cx.now.mono_ns.saturating_sub(since_ns);
        call.cx.metrics.stage(Stage::FetchWait, waited_ns);
    }
}

/// Tells owners that watch, or will once they have answered, to stop.
fn forget(call: &mut Call, op: &mut FetchOp) {
    for at in 0..op.owners.len() {
        let owner = &op.owners[at];
        if owner.is_watching() || (op.outstanding > 0 && owner.watch > 0) {
            call.ask(owner.shard, op.part_number(at), OwnerRequest::FetchForget);
        }
    }
}

fn end(call: &mut Call, shared: &mut Shared, mut op: Box<FetchOp>) -> Step<Box<FetchOp>> {
    note_wait(call, &mut op);
    cancel_watch(call, shared, &mut op);
    answer::finish(call, shared, *op)
}

fn cancel_watch(call: &mut Call, shared: &mut Shared, op: &mut FetchOp) {
    forget(call, op);
    if let Some(timer) = op.timer.take() {
        shared.timers.cancel(timer);
    }
}

//! Replays a coordinator partition's log, a stretch per step, through the owner's own read path.

use super::log;
use crate::base::ids::{Now, PartitionId};
use crate::base::planted::{self, Planted};
use crate::group::machine::Groups;
use crate::partition::request::{
    FetchPart, FetchParts, FetchResult, ListOffsetPart, ListOffsetResult, OwnerReply, OwnerRequest,
};
use crate::wire::error::ErrorCode;

/// Bytes asked for per step.
const STEP_BYTES: u32 = 256 << 10;
/// ListOffsets' name for the start of the log.
const EARLIEST: i64 = -2;

/// A coordinator that does not serve yet.
pub(super) struct Load {
    partition: PartitionId,
    machine: Box<Groups>,
    /// Next offset to read; `None` = the start of the log is not known yet.
    next: Option<i64>,
}

/// What a step came to.
pub(super) enum Step {
    /// There is more.
    Continue(Load),
    /// The machine knows all that is durable.
    Loaded(Box<Groups>),
    /// The log could not be read just now; the next step tries again.
    Failed(Load, String),
}

impl Load {
    pub fn new(partition: PartitionId, machine: Groups) -> Load {
        Load {
            partition,
            machine: Box::new(machine),
            next: None,
        }
    }

    /// What to ask the owner next.
    pub fn question(&self) -> OwnerRequest {
        let Some(fetch_offset) = self.next else {
            return OwnerRequest::ListOffset(ListOffsetPart {
                partition: self.partition,
                timestamp: EARLIEST,
                current_leader_epoch: -1,
                read_committed: false,
            });
        };
        OwnerRequest::Fetch(FetchParts {
            parts: vec![FetchPart {
                partition: self.partition,
                fetch_offset,
                max_bytes: STEP_BYTES,
                current_leader_epoch: -1,
                last_fetched_epoch: -1,
            }],
            max_bytes: STEP_BYTES,
            allow_first_over: true,
            watch_min_bytes: 0,
            read_committed: false,
        })
    }

    /// The owner answered.
    pub fn answered(self, now: Now, answer: OwnerReply) -> Step {
        match answer {
            OwnerReply::ListOffset(result) => self.started(&result),
            OwnerReply::Fetch(results) => match results.into_iter().next() {
                Some(result) => self.read(now, &result),
                None => Step::Failed(self, "the owner gave nothing".into()),
            },
            _ => Step::Failed(self, "the owner gave an answer of another kind".into()),
        }
    }

    fn started(mut self, result: &ListOffsetResult) -> Step {
        if result.error != ErrorCode::None {
            return Step::Failed(self, result.error.name().into());
        }
        self.next = Some(result.offset);
        Step::Continue(self)
    }

    fn read(mut self, now: Now, result: &FetchResult) -> Step {
        if result.error == ErrorCode::OffsetOutOfRange {
            self.next = None; // the log start has moved
        }
        if result.error != ErrorCode::None {
            return Step::Failed(self, result.error.name().into());
        }
        let mut next = self.next.unwrap_or(0);
        for batch in &result.batches {
            match log::decode(batch, |record| self.machine.replay(&record, now)) {
                Ok(end) => next = next.max(end),
                Err(why) => return Step::Failed(self, why),
            }
        }
        self.next = Some(next);
        match next >= result.high_watermark {
            true => Step::Loaded(self.machine),
            false if result.batches.is_empty() => Step::Failed(self, format!("nothing at offset {next}")),
            false if planted::is(Planted::ServesWhileLoading) => Step::Loaded(self.machine),
            false => Step::Continue(self),
        }
    }
}

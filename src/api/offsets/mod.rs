//! ListOffsets, OffsetForLeaderEpoch, DeleteRecords: one small question per partition to its owner, answers merged in the
//! order of the request.

pub(super) mod delete;
pub(super) mod epoch;
pub(super) mod list;

pub(crate) use delete::DeleteRecordsOp;
pub(crate) use epoch::EpochEndOp;
pub(crate) use list::ListOffsetsOp;

use super::call::{Call, Numbering, Step, place};
use crate::base::ids::{PartitionId, ShardId};
use crate::controller::image::Topic;
use crate::wire::error::ErrorCode;
use std::collections::BTreeSet;
use std::sync::Arc;

/// An answer that is filled in part by part. Parts are numbered through all topics of the request.
pub(crate) struct Scatter<R> {
    response: R,
    numbering: Numbering,
    remaining: usize,
}

impl<R: Default> Scatter<R> {
    fn new() -> Self {
        Scatter {
            response: R::default(),
            numbering: Numbering::default(),
            remaining: 0,
        }
    }
}

impl<R> Scatter<R> {
    /// One part less to wait for; the response when it was the last.
    fn one_less(mut self) -> Result<R, Self> {
        self.remaining = self.remaining.saturating_sub(1);
        self.done()
    }

    fn done(self) -> Result<R, Self> {
        if self.remaining == 0 {
            Ok(self.response)
        } else {
            Err(self)
        }
    }
}

/// Finds partitions by topic name; refuses one that is named twice in a request.
struct Finder<'a> {
    name: &'a str,
    topic: Option<Arc<Topic>>,
    seen: BTreeSet<i32>,
}

impl<'a> Finder<'a> {
    fn new(call: &Call, name: &'a str) -> Finder<'a> {
        Finder {
            name,
            topic: call.cx.newest.topic(name).cloned(),
            seen: BTreeSet::new(),
        }
    }

    fn find(&mut self, index: i32) -> Result<(PartitionId, ShardId), ErrorCode> {
        if !self.seen.insert(index) {
            return Err(ErrorCode::InvalidRequest);
        }
        let topic = self
            .topic
            .as_ref()
            .ok_or_else(|| super::metadata::unknown_name(self.name))?;
        place(topic, index)
    }
}

/// Answers when nothing is left to wait for.
fn settle<R>(
    call: &mut Call,
    scatter: Result<R, Scatter<R>>,
    answer: fn(&mut Call, &R) -> Step<Scatter<R>>,
) -> Step<Scatter<R>> {
    match scatter {
        Ok(response) => answer(call, &response),
        Err(scatter) => Step::Wait(scatter),
    }
}

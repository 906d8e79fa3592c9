//! ListOffsets, OffsetForLeaderEpoch, DeleteRecords, DescribeProducers: one small question per partition to its owner, answers merged in the
//! order of the request.

pub(super) mod delete;
pub(super) mod epoch;
pub(super) mod list;
pub(super) mod producers;

pub(crate) use delete::DeleteRecordsOp;
pub(crate) use epoch::EpochEndOp;
pub(crate) use list::ListOffsetsOp;
pub(crate) use producers::ProducersOp;

use super::call::{Call, Numbering, Step, place};
use crate::base::ids::{PartitionId, ShardId};
use crate::controller::image::Topic;
use crate::wire::error::ErrorCode;
use crate::wire::message::Api;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A response of topics, each a list of partitions.
pub(crate) trait Merged: Default {
    /// Whose response it is.
    type Api: Api<Response = Self>;
    /// What it says of one partition.
    type Part;
    /// The partitions of a topic.
    fn topic(&mut self, at: usize) -> Option<&mut Vec<Self::Part>>;
    /// Errors of all partitions.
    fn errors(&self) -> impl Iterator<Item = ErrorCode>;
}

/// An answer that is filled in part by part. Parts are numbered through all topics of the request.
#[derive(Default)]
pub(crate) struct Scatter<R> {
    response: R,
    numbering: Numbering,
    remaining: usize,
}

impl<R: Merged> Scatter<R> {
    /// Asks the owner of each partition of a topic with `ask`. Returns what `blank` makes of each: its answer so far.
    fn ask_topic<P>(
        &mut self,
        call: &mut Call,
        (name, partitions): (&str, &[P]),
        ask: impl Fn(&mut Call, &mut Finder, &P, u32) -> Result<(), ErrorCode>,
        blank: fn(&P, ErrorCode) -> R::Part,
    ) -> Vec<R::Part> {
        let mut finder = Finder::new(call, name);
        let mut answers = Vec::with_capacity(partitions.len());
        let first = self.numbering.add_topic(partitions.len());
        for (part, partition) in (first..).zip(partitions) {
            let asked = ask(call, &mut finder, partition, part);
            self.remaining += usize::from(asked.is_ok());
            answers.push(blank(partition, asked.err().unwrap_or(ErrorCode::None)));
        }
        answers
    }

    /// An owner answered for one partition.
    fn finish(mut self, call: &mut Call, part: u32, fill: impl FnOnce(&mut R::Part)) -> Step<Self> {
        let (topic, index) = self.numbering.find(part);
        if let Some(slot) = self.response.topic(topic).and_then(|parts| parts.get_mut(index)) {
            fill(slot);
        }
        self.remaining = self.remaining.saturating_sub(1);
        self.settle(call)
    }

    /// Answers when nothing is left to wait for.
    fn settle(self, call: &mut Call) -> Step<Self> {
        if self.remaining > 0 {
            return Step::Wait(self);
        }
        call.note(self.response.errors());
        call.answer::<R::Api, Self>(&self.response)
    }
}

/// Finds partitions by topic name; refuses one that is named twice in a request.
struct Finder {
    topic: Option<Arc<Topic>>,
    seen: BTreeSet<i32>,
}

impl Finder {
    fn new(call: &Call, name: &str) -> Finder {
        Finder {
            topic: call.cx.newest.topic(name).cloned(),
            seen: BTreeSet::new(),
        }
    }

    fn find(&mut self, index: i32) -> Result<(PartitionId, ShardId), ErrorCode> {
        if !self.seen.insert(index) {
            return Err(ErrorCode::InvalidRequest);
        }
        let topic = self.topic.as_ref().ok_or(ErrorCode::UnknownTopicOrPartition)?;
        place(topic, index)
    }
}

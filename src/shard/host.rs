//! Hosts the controller on shard 0: plan -> journal -> replay -> prepare on all shards -> publish -> answer.
//!
//! Invariants: records are replayed in the order they were staged and only when durable; an image is published only when every
//! shard has prepared it, so a partition takes writes before Metadata shows it; an answer leaves after its image is published.

use crate::base::ids::ShardId;
use crate::controller::image::Image;
use crate::controller::machine::{Controller, Planned};
use crate::controller::record::{MetaRecord, encode_snapshot};
use crate::controller::request::{ControllerReply, ControllerRequest, Outcome};
use crate::partition::request::ReplyTo;
use crate::partition::store::Store;
use crate::wire::error::ErrorCode;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// An image on its way to all shards.
struct Preparing {
    image: Arc<Image>,
    missing: BTreeSet<ShardId>,
}

/// An answer that waits for the publication of an image.
struct Waiting {
    version: u64,
    reply: ReplyTo,
    answer: ControllerReply,
}

/// See the module.
pub(crate) struct ControllerHost {
    machine: Controller,
    shard_count: u16,
    /// Staged records with their numbers, oldest first.
    staged: VecDeque<(i64, MetaRecord)>,
    preparing: Option<Preparing>,
    published: u64,
    answers: VecDeque<Waiting>,
}

impl ControllerHost {
    pub(crate) fn new(machine: Controller, shard_count: u16) -> Self {
        let published = machine.image().version;
        ControllerHost {
            machine,
            shard_count,
            staged: VecDeque::new(),
            preparing: None,
            published,
            answers: VecDeque::new(),
        }
    }

    /// Plans a request and stages its records.
    pub(crate) fn plan(&mut self, reply: ReplyTo, request: ControllerRequest, store: &mut Store) {
        let no_room = store.no_room().map(|why| format!("no new partitions: {why}"));
        let planned = match no_room {
            Some(why) => self.plan_without_room(request, &why),
            None => self.machine.plan(request),
        };
        for record in planned.records {
            let number = store.stage_meta(&record.encode());
            self.staged.push_back((number, record));
        }
        self.answers.push_back(Waiting {
            version: planned.version,
            reply,
            answer: planned.reply,
        });
    }

    /// On a full disk what would need more of it is checked and refused; deletions and all else go on.
    fn plan_without_room(&mut self, mut request: ControllerRequest, why: &str) -> Planned {
        match &mut request {
            ControllerRequest::CreateTopics { validate_only, .. }
            | ControllerRequest::CreatePartitions { validate_only, .. }
                if !*validate_only =>
            {
                *validate_only = true;
            }
            _ => return self.machine.plan(request),
        }
        let refuse = |outcome: &mut Outcome| {
            if outcome.error == ErrorCode::None {
                *outcome = Outcome::refused(ErrorCode::KafkaStorageError, why);
            }
        };
        let mut planned = self.machine.plan(request);
        match &mut planned.reply {
            ControllerReply::Created(results) => results.iter_mut().for_each(|(outcome, topic)| {
                refuse(outcome);
                *topic = None;
            }),
            ControllerReply::Grown(results) => results.iter_mut().for_each(refuse),
            _ => {}
        }
        planned
    }

    /// Replays the records below `durable_end`.
    pub(crate) fn on_durable(&mut self, durable_end: i64) {
        while self.staged.front().is_some_and(|(number, _)| *number < durable_end) {
            if let Some((_, record)) = self.staged.pop_front() {
                self.machine.replay(&record);
            }
        }
    }

    /// The image to prepare now, if it is newer than the published one and none is under way.
    pub(crate) fn start_prepare(&mut self) -> Option<Arc<Image>> {
        let image = self.machine.image();
        if self.preparing.is_some() || image.version <= self.published {
            return None;
        }
        let missing = (0..self.shard_count).map(ShardId).collect();
        self.preparing = Some(Preparing {
            image: image.clone(),
            missing,
        });
        Some(image)
    }

    /// A shard has prepared.
    pub(crate) fn on_prepared(&mut self, shard: ShardId, version: u64) {
        if let Some(preparing) = self.preparing.as_mut().filter(|p| p.image.version == version) {
            preparing.missing.remove(&shard);
        }
    }

    /// The image that all shards have prepared: it is published now.
    pub(crate) fn take_prepared(&mut self) -> Option<Arc<Image>> {
        let done = self.preparing.take_if(|p| p.missing.is_empty())?;
        self.published = done.image.version;
        Some(done.image)
    }

    /// The next answer whose image is published.
    pub(crate) fn take_answer(&mut self) -> Option<(ReplyTo, ControllerReply)> {
        if self.answers.front()?.version > self.published {
            return None;
        }
        self.answers.pop_front().map(|w| (w.reply, w.answer))
    }

    /// The image of all durable records, encoded for the checkpoint.
    pub(crate) fn snapshot(&self) -> Vec<u8> {
        encode_snapshot(&self.machine.image())
    }
}

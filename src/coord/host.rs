//! One machine per own partition of `__consumer_offsets`: load, serve, commit-then-reply, unload.
//!
//! Invariants: a machine's writes are asked of the owner in the order it made them; a write counts as done when all of its
//! batches are durable; a partition that is still loading serves nobody. Deadlines are kept up to date when something
//! happened here, so that a round without group traffic costs nothing.

use super::load::{Load, Step};
use super::log;
use super::request::CoordRequest;
use crate::base::ids::{Now, PartitionId, ShardId, TopicId};
use crate::base::log_limit::LogLimit;
use crate::base::planted::{self, Planted};
use crate::base::slab::{Slab, SlabKey};
use crate::base::timers::Timers;
use crate::controller::configs::broker::broker_key;
use crate::controller::configs::resolve::{broker_int, resolve_broker};
use crate::controller::image::{Image, OFFSETS_TOPIC, Topic};
use crate::group::machine::{GroupConfig, Groups, Outbox, Write};
use crate::group::request::{GroupAnswer, GroupRequest};
use crate::group::topics::{TopicSize, Topics};
use crate::group::{Assignor, Migration};
use crate::partition::request::{Desk, OwnerReply, OwnerRequest, ProducePart, ReplyTo};
use crate::wire::error::ErrorCode;
use crate::wire::group::list_groups::ListGroupsRequest;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Pause before a log that could not be read is read again.
const RETRY_NS: u64 = 1_000_000_000;
/// Produce version of our own batches.
const PRODUCE_VERSION: i16 = 9;

/// What the host works with.
pub struct CoordCx<'a> {
    /// The time.
    pub now: Now,
    /// This shard.
    pub shard: ShardId,
    /// Questions to owners; the host asks only its own shard.
    pub requests: &'a mut VecDeque<(ShardId, ReplyTo, OwnerRequest)>,
    /// Answers to those who asked.
    pub answers: &'a mut VecDeque<(ReplyTo, GroupAnswer)>,
}

/// A coordinator.
enum Coordinator {
    /// Reads its log; `None` while a step is under way.
    Loading(Option<Load>),
    Active(Box<Groups>),
}

/// What the host waits for.
enum Op {
    Load(u32, Load),
    Write(Box<PendingWrite>),
}

struct PendingWrite {
    partition: PartitionId,
    write: Write,
    /// Batches not answered yet.
    left: usize,
    error: ErrorCode,
}

/// See the module.
pub struct CoordHost {
    seed: u64,
    memory_max: usize,
    log_limit: LogLimit,
    topic: Option<TopicId>,
    config: GroupConfig,
    parts: BTreeMap<u32, Coordinator>,
    ops: Slab<Op>,
    /// Next step of what loads.
    steps: Timers<u32>,
    deadline: Option<u64>,
    /// All topics as last seen, while there are coordinators: what disappears loses its offsets.
    topics: Arc<Topics>,
}

impl CoordHost {
    /// A host without coordinators; `seed` is different at each start. Beyond `memory_max` bytes of groups and offsets there
    /// are no new groups and members.
    pub fn new(seed: u64, memory_max: usize) -> CoordHost {
        CoordHost {
            seed,
            memory_max,
            log_limit: LogLimit::default(),
            topic: None,
            config: GroupConfig::default(),
            parts: BTreeMap::new(),
            ops: Slab::default(),
            steps: Timers::default(),
            deadline: None,
            topics: Arc::default(),
        }
    }

    /// Monotonic time, nanoseconds, at which [`on_tick`](Self::on_tick) has work.
    pub fn next_deadline(&self) -> Option<u64> {
        self.deadline
    }

    /// Memory that groups and offsets take, bytes.
    pub fn bytes(&self) -> usize {
        let active = self.parts.values().filter_map(|part| match part {
            Coordinator::Active(groups) => Some(groups.bytes()),
            Coordinator::Loading(_) => None,
        });
        active.sum()
    }

    /// Groups and committed offsets of this shard.
    pub fn sizes(&self) -> (usize, usize) {
        let active = self.parts.values().filter_map(|part| match part {
            Coordinator::Active(groups) => Some(groups.sizes()),
            Coordinator::Loading(_) => None,
        });
        active.fold((0, 0), |(groups, offsets), (g, o)| (groups + g, offsets + o))
    }

    /// Newest metadata: takes over coordinators that are new here, gives up those that are gone, forgets offsets of deleted
    /// topics. The owner has applied it already.
    pub fn apply_image(&mut self, cx: &mut CoordCx, image: &Arc<Image>) {
        let topic = image.topic(OFFSETS_TOPIC);
        if self.topic != topic.map(|topic| topic.id) {
            self.unload(cx);
            self.topic = topic.map(|topic| topic.id);
            self.config = config(image, self.seed);
        }
        let Some(topic) = topic else { return };
        self.learn_topics(cx, image);
        for (index, meta) in topic.partitions.iter().enumerate() {
            let index = index as u32;
            if meta.shard != cx.shard || self.parts.contains_key(&index) {
                continue;
            }
            let id = PartitionId {
                topic: topic.id,
                partition: index,
            };
            let mut config = self.config.clone();
            config.seed ^= u64::from(index).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mut groups = Groups::new(config);
            groups.set_topics(self.topics.clone());
            let load = Load::new(id, groups);
            self.parts.insert(index, Coordinator::Loading(Some(load)));
            self.steps.arm(cx.now.mono_ns, index);
        }
        self.refresh();
    }

    /// A question to this shard's coordinators.
    pub fn on_request(&mut self, cx: &mut CoordCx, to: ReplyTo, request: CoordRequest) {
        match request {
            CoordRequest::Group(id, request) => self.ask(cx, to, id, request),
            CoordRequest::List(request) => {
                let listed = self.list(&request);
                cx.answers.push_back((to, GroupAnswer::List(listed)));
            }
        }
        self.refresh();
    }

    /// The owner answered.
    pub fn on_owner_reply(&mut self, cx: &mut CoordCx, to: ReplyTo, answer: OwnerReply) {
        if let Some(Op::Write(pending)) = self.ops.get_mut(to.op) {
            let OwnerReply::Produce(result) = answer else { return };
            if pending.error == ErrorCode::None {
                pending.error = result.error;
            }
            pending.left -= 1;
            if pending.left == 0
                && let Some(Op::Write(pending)) = self.ops.remove(to.op)
            {
                self.written(cx, *pending);
            }
        } else if let Some(Op::Load(index, load)) = self.ops.remove(to.op) {
            self.loaded(cx, index, load, answer);
        }
        self.refresh();
    }

    /// Time has passed.
    pub fn on_tick(&mut self, cx: &mut CoordCx) {
        if self.deadline.is_none_or(|at| at > cx.now.mono_ns) {
            return;
        }
        while let Some(index) = self.steps.pop_due(cx.now.mono_ns) {
            self.step(cx, index);
        }
        let due: Vec<u32> = self.parts.keys().copied().collect();
        for index in due {
            self.with(cx, index, |groups, now, out| groups.on_time(now, out));
        }
        self.refresh();
    }

    fn ask(&mut self, cx: &mut CoordCx, to: ReplyTo, id: PartitionId, request: GroupRequest) {
        let known = self.parts.get(&id.partition).filter(|_| self.topic == Some(id.topic));
        let error = match known {
            Some(Coordinator::Active(groups)) if groups.would_grow(&request) && self.bytes() > self.memory_max => {
                self.refuse_growth(cx, id.partition)
            }
            Some(Coordinator::Active(_)) => {
                self.with(cx, id.partition, |groups, now, out| {
                    groups.request(now, to, request, out)
                });
                return;
            }
            Some(Coordinator::Loading(_)) => ErrorCode::CoordinatorLoadInProgress,
            None => ErrorCode::NotCoordinator,
        };
        cx.answers.push_back((to, request.refused(error)));
    }

    /// New groups and members find no room; those there are go on.
    fn refuse_growth(&mut self, cx: &CoordCx, partition: u32) -> ErrorCode {
        if let Some(suppressed) = self.log_limit.admit(cx.now.mono_ns) {
            let (bytes, max) = (self.bytes(), self.memory_max);
            tracing::error!(
                partition,
                bytes,
                max,
                suppressed,
                "no memory for more groups and members: raise `memory`"
            );
        }
        ErrorCode::GroupMaxSizeReached
    }

    fn list(
        &self,
        request: &ListGroupsRequest,
    ) -> Result<Vec<crate::wire::group::list_groups::ListedGroup>, ErrorCode> {
        let mut listed = Vec::new();
        for part in self.parts.values() {
            match part {
                Coordinator::Loading(_) => return Err(ErrorCode::CoordinatorLoadInProgress),
                Coordinator::Active(groups) => listed.extend(groups.list(request)),
            }
        }
        Ok(listed)
    }

    /// Calls an active machine, and sends what comes of it on its way.
    fn with(&mut self, cx: &mut CoordCx, index: u32, call: impl FnOnce(&mut Groups, Now, &mut Outbox)) {
        let Some(Coordinator::Active(groups)) = self.parts.get_mut(&index) else {
            return;
        };
        let mut out = Outbox::default();
        call(groups, cx.now, &mut out);
        cx.answers.extend(out.answers);
        for write in out.writes {
            self.append(cx, index, write);
        }
    }

    fn append(&mut self, cx: &mut CoordCx, index: u32, write: Write) {
        let Some(topic) = self.topic else { return };
        let partition = PartitionId {
            topic,
            partition: index,
        };
        let batches = log::encode(&write.records, cx.now.wall_ms);
        let op = self.ops.insert(Op::Write(Box::new(PendingWrite {
            partition,
            write,
            left: batches.len(),
            error: ErrorCode::None,
        })));
        for records in batches {
            let part = ProducePart {
                partition,
                records,
                version: PRODUCE_VERSION,
                wants_ack: !planted::is(Planted::CommitAckEarly),
            };
            cx.requests
                .push_back((cx.shard, reply_to(cx, op), OwnerRequest::Produce(part)));
        }
    }

    /// All batches of a write are durable, or one is refused.
    fn written(&mut self, cx: &mut CoordCx, pending: PendingWrite) {
        let PendingWrite {
            partition,
            write,
            error,
            ..
        } = pending;
        let active = matches!(self.parts.get(&partition.partition), Some(Coordinator::Active(_)));
        if !active || self.topic != Some(partition.topic) {
            // The coordinator has gone meanwhile; its groups' members were told.
            cx.answers.extend(write.orphaned(ErrorCode::NotCoordinator));
            return;
        }
        if error != ErrorCode::None {
            tracing::warn!(
                partition = partition.partition,
                error = error.name(),
                "a group's records were refused"
            );
        }
        self.with(cx, partition.partition, |groups, now, out| match error {
            ErrorCode::None => groups.done(now, write, out),
            error => groups.refused(now, write, error, out),
        });
    }

    /// Asks for the next stretch of a log.
    fn step(&mut self, cx: &mut CoordCx, index: u32) {
        let Some(Coordinator::Loading(slot)) = self.parts.get_mut(&index) else {
            return;
        };
        let Some(load) = slot.take() else { return };
        let question = load.question();
        let op = self.ops.insert(Op::Load(index, load));
        cx.requests.push_back((cx.shard, reply_to(cx, op), question));
    }

    fn loaded(&mut self, cx: &mut CoordCx, index: u32, load: Load, answer: OwnerReply) {
        if !matches!(self.parts.get(&index), Some(Coordinator::Loading(None))) {
            return;
        }
        let (coordinator, pause_ns) = match load.answered(cx.now, answer) {
            Step::Continue(load) => (Coordinator::Loading(Some(load)), 0),
            Step::Failed(load, why) => {
                tracing::error!(partition = index, why, "groups cannot be loaded; it is tried again");
                (Coordinator::Loading(Some(load)), RETRY_NS)
            }
            Step::Loaded(groups) => {
                self.parts.insert(index, Coordinator::Active(groups));
                let topics = self.topics.clone();
                self.with(cx, index, |groups, _, _| groups.set_topics(topics));
                return self.with(cx, index, |groups, now, out| groups.loaded(now, out));
            }
        };
        self.parts.insert(index, coordinator);
        self.steps.arm(cx.now.mono_ns + pause_ns, index);
    }

    /// All coordinators go: their topic is gone.
    fn unload(&mut self, cx: &mut CoordCx) {
        for (_, part) in std::mem::take(&mut self.parts) {
            if let Coordinator::Active(groups) = part {
                let mut out = Outbox::default();
                groups.unload(cx.now, ErrorCode::NotCoordinator, &mut out);
                cx.answers.extend(out.answers);
            }
        }
        self.steps = Timers::default();
        self.topics = Arc::default();
    }

    /// Tells the machines of topics that have changed; offsets of those that are gone go.
    fn learn_topics(&mut self, cx: &mut CoordCx, image: &Image) {
        let size = |topic: &Topic| TopicSize {
            id: topic.id,
            partitions: topic.partitions.len() as i32,
        };
        let now = image.topics.values().map(|topic| (topic.name.clone(), size(topic)));
        let Some(topics) = self.topics.next(now.collect()) else {
            return;
        };
        let before = std::mem::replace(&mut self.topics, Arc::new(topics));
        let gone = before.ids().filter(|(id, _)| !image.topics.contains_key(id));
        let gone: BTreeSet<String> = gone.map(|(_, name)| name.to_string()).collect();
        for index in self.parts.keys().copied().collect::<Vec<_>>() {
            let topics = self.topics.clone();
            self.with(cx, index, |groups, _, out| {
                groups.set_topics(topics);
                if !gone.is_empty() {
                    groups.forget_topics(&gone, out);
                }
            });
        }
    }

    fn refresh(&mut self) {
        let machines = self.parts.values().filter_map(|part| match part {
            Coordinator::Active(groups) => groups.next_deadline(),
            Coordinator::Loading(_) => None,
        });
        self.deadline = machines.chain(self.steps.next_deadline()).min();
    }
}

fn reply_to(cx: &CoordCx, op: SlabKey) -> ReplyTo {
    ReplyTo {
        shard: cx.shard,
        desk: Desk::Coordinator,
        op,
        part: 0,
    }
}

fn text(image: &Image, name: &str) -> String {
    let resolved = broker_key(name).map(|key| resolve_broker(image, key));
    resolved.map(|resolved| resolved.value).unwrap_or_default()
}

/// `group.consumer.assignors`, in order.
fn assignors(image: &Image) -> Vec<Assignor> {
    let names = text(image, "group.consumer.assignors");
    names
        .split(',')
        .filter_map(|name| Assignor::named(name.trim()))
        .collect()
}

/// The coordinator's settings: broker keys that are read at a start.
fn config(image: &Image, seed: u64) -> GroupConfig {
    let int = |name: &str| broker_int(image, name).clamp(0, i64::from(i32::MAX)) as i32;
    GroupConfig {
        initial_rebalance_delay_ms: int("group.initial.rebalance.delay.ms"),
        session_timeout_ms_min: int("group.min.session.timeout.ms"),
        session_timeout_ms_max: int("group.max.session.timeout.ms"),
        members_max: int("group.max.size").max(1) as usize,
        assignors: assignors(image),
        heartbeat_interval_ms: int("group.consumer.heartbeat.interval.ms").max(1),
        consumer_session_timeout_ms: int("group.consumer.session.timeout.ms").max(1),
        migration: Migration::named(&text(image, "group.consumer.migration.policy")),
        consumer_members_max: int("group.consumer.max.size").max(1) as usize,
        metadata_length_max: int("offset.metadata.max.bytes") as usize,
        retention_ms: i64::from(int("offsets.retention.minutes")) * 60_000,
        retention_check_ms: broker_int(image, "offsets.retention.check.interval.ms").max(1) as u64,
        seed,
    }
}

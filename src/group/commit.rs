//! OffsetCommit, OffsetFetch, OffsetDelete, and the expiry of offsets (`OffsetMetadataManager` of Kafka).

use super::classic::{Group, State};
use super::consumer::group::ConsumerGroup;
use super::machine::{Groups, Outbox, Then, Ticket, Write};
use super::offsets::Slot;
use super::request::{GroupAnswer, commit_refused};
use crate::base::ids::{Now, TopicId};
use crate::wire::error::ErrorCode;
use crate::wire::group::offset_commit::{
    OffsetCommitPartition, OffsetCommitPartitionResult, OffsetCommitRequest, OffsetCommitTopic, OffsetCommitTopicResult,
};
use crate::wire::group::offset_delete::{
    OffsetDeletePartitionResult, OffsetDeleteRequest, OffsetDeleteResponse, OffsetDeleteTopicResult,
};
use crate::wire::group::offset_fetch::{
    OffsetFetchGroup, OffsetFetchGroupResult, OffsetFetchPartitionResult, OffsetFetchTopicResult,
};
use crate::wire::group::records::{GroupRecord, OffsetCommitValue, OffsetKey};
use std::collections::BTreeSet;

/// Records after which the clean-up makes a write of them.
const CLEANUP_RECORDS_MAX: usize = 2_000;
/// First version of OffsetCommit whose clients know GROUP_ID_NOT_FOUND (KIP-848).
const NOT_FOUND_FROM: i16 = 9;

/// An OffsetCommit with its version.
pub(super) type Commit = (i16, OffsetCommitRequest);

impl Groups {
    pub(super) fn commit(&mut self, now: Now, ticket: Ticket, (version, request): Commit, out: &mut Outbox) {
        if let Err(error) = self.check_commit(now, version, &request, out) {
            let answer = GroupAnswer::Commit(commit_refused(&request, error));
            return out.answers.push((ticket, answer));
        }
        let expire_ms = match request.retention_time_ms {
            ..0 => -1,
            retention_ms => now.wall_ms.saturating_add(retention_ms),
        };
        let mut records = Vec::new();
        let results = request.topics.into_iter().map(|topic| {
            let group = &request.group_id;
            commit_topic(
                topic,
                group,
                (now.wall_ms, expire_ms),
                self.config.metadata_length_max,
                &mut records,
            )
        });
        let answer = GroupAnswer::Commit(results.collect());
        self.write_and_reply(ticket, records, answer, out);
    }

    /// The answer leaves with the records' durability, at once when there are none.
    fn write_and_reply(&mut self, ticket: Ticket, records: Vec<GroupRecord>, answer: GroupAnswer, out: &mut Outbox) {
        if records.is_empty() {
            return out.answers.push((ticket, answer));
        }
        self.offsets.planned(&records);
        out.writes.push(Write {
            records,
            then: Then::Reply(ticket, answer),
        });
    }

    /// Whether the commit comes from a member of the present generation, or from a client without a group for an empty group.
    /// The first commit makes the group. A member's commit counts as a heartbeat.
    fn check_commit(
        &mut self,
        now: Now,
        version: i16,
        request: &OffsetCommitRequest,
        out: &mut Outbox,
    ) -> Result<(), ErrorCode> {
        if let Some(group) = self.consumers.get(&request.group_id) {
            return group.check_commit(version, request, &self.topics);
        }
        if !self.groups.contains_key(&request.group_id) {
            if request.generation_or_member_epoch >= 0 {
                return Err(match version >= NOT_FOUND_FROM {
                    true => ErrorCode::GroupIdNotFound,
                    false => ErrorCode::IllegalGeneration,
                });
            }
            self.put(Group::new(&request.group_id, now.wall_ms));
        }
        let checked = self.with_group(&request.group_id, now, out, |group, cx| {
            group.check_commit(request)?;
            if matches!(group.state, State::Stable | State::Preparing) {
                group.arm_session(cx, &request.member_id, None);
            }
            Ok(())
        });
        checked.unwrap_or(Err(ErrorCode::CoordinatorNotAvailable))
    }

    /// Durable offsets; of a group that is not there as well as of partitions never committed, there are none and no error.
    pub(super) fn fetch(&self, request: OffsetFetchGroup) -> OffsetFetchGroupResult {
        let group = self.consumers.get(&request.group_id);
        if let Some(Err(error)) = group.map(|group| group.check_fetch(&request)) {
            return OffsetFetchGroupResult {
                group_id: request.group_id,
                error,
                ..OffsetFetchGroupResult::default()
            };
        }
        let known = self.offsets.of(&request.group_id);
        let topics = match request.topics {
            None => {
                let all = known.into_iter().flatten().map(|(topic, slots)| {
                    let durable = slots
                        .iter()
                        .filter_map(|(partition, slot)| Some((*partition, slot, slot.durable.as_ref()?)));
                    let ids = durable.clone().map(|(_, _, durable)| durable.topic_id);
                    OffsetFetchTopicResult {
                        name: topic.clone(),
                        topic_id: ids.max().unwrap_or(TopicId::ZERO),
                        partitions: durable
                            .map(|(partition, slot, _)| fetched(partition, Some(slot), TopicId::ZERO))
                            .collect(),
                    }
                });
                all.filter(|topic| !topic.partitions.is_empty()).collect()
            }
            Some(asked) => {
                let topics = asked.into_iter().map(|topic| {
                    let slots = known.and_then(|topics| topics.get(&topic.name));
                    let slot = |partition: &i32| slots.and_then(|slots| slots.get(partition));
                    OffsetFetchTopicResult {
                        partitions: topic
                            .partitions
                            .iter()
                            .map(|p| fetched(*p, slot(p), topic.topic_id))
                            .collect(),
                        name: topic.name,
                        topic_id: topic.topic_id,
                    }
                });
                topics.collect()
            }
        };
        OffsetFetchGroupResult {
            group_id: request.group_id,
            topics,
            error: ErrorCode::None,
        }
    }

    pub(super) fn delete_offsets(&mut self, ticket: Ticket, request: OffsetDeleteRequest, out: &mut Outbox) {
        let mut answer = OffsetDeleteResponse::default();
        if let Err(error) = self.check_delete_offsets(&request.group_id) {
            answer.error = error;
            return out.answers.push((ticket, GroupAnswer::DeleteOffsets(answer)));
        }
        let mut records: Vec<GroupRecord> = Vec::new();
        for topic in request.topics {
            let subscribed = self.reads(&request.group_id, &topic.name);
            let asked: BTreeSet<i32> = topic.partitions.iter().copied().collect();
            let chosen = |name: &str, partition, _: &_| !subscribed && name == topic.name && asked.contains(&partition);
            records.extend(self.offsets.tombstones(&request.group_id, chosen));
            let error = if subscribed {
                ErrorCode::GroupSubscribedToTopic
            } else {
                ErrorCode::None
            };
            let result = |index| OffsetDeletePartitionResult { index, error };
            answer.topics.push(OffsetDeleteTopicResult {
                partitions: topic.partitions.into_iter().map(result).collect(),
                name: topic.name,
            });
        }
        self.write_and_reply(ticket, records, GroupAnswer::DeleteOffsets(answer), out);
    }

    /// Whether members of the group may read the topic.
    fn reads(&self, id: &str, topic: &str) -> bool {
        match self.consumers.get(id) {
            Some(group) => group.is_subscribed(topic),
            None => self.groups.get(id).is_some_and(|group| group.is_subscribed(topic)),
        }
    }

    fn check_delete_offsets(&self, id: &str) -> Result<(), ErrorCode> {
        if id.is_empty() {
            return Err(ErrorCode::InvalidGroupId);
        }
        if self.consumers.get(id).is_some_and(|group| !group.dead) {
            return Ok(());
        }
        let group = self.groups.get(id).ok_or(ErrorCode::GroupIdNotFound)?;
        match group.state {
            State::Dead => Err(ErrorCode::GroupIdNotFound),
            State::Empty => Ok(()),
            _ if group.is_consumers() => Ok(()),
            _ => Err(ErrorCode::NonEmptyGroup),
        }
    }

    /// Removes offsets that have expired, and empty groups that have none left (KIP-211).
    pub(super) fn cleanup(&mut self, now: Now, out: &mut Outbox) {
        let ids: Vec<String> = self.groups.keys().chain(self.consumers.keys()).cloned().collect();
        let retention_ms = self.config.retention_ms;
        let mut records = Vec::new();
        let mut buried = Vec::new();
        for id in ids {
            let gone = self.expired(&id, now.wall_ms, retention_ms);
            let all_gone = gone.len() == self.offsets.planned_of(&id).count();
            let is_idle = |group: &Group| group.state == State::Empty && group.pending.is_empty();
            if all_gone && self.groups.get(&id).is_some_and(is_idle) {
                self.bury(&id, now, &mut records, out);
                buried.push(id);
            } else if all_gone && self.consumers.get(&id).is_some_and(ConsumerGroup::is_empty) {
                self.bury_consumer(&id, &mut records);
                buried.push(id);
            } else {
                records.extend(gone);
            }
            if records.len() >= CLEANUP_RECORDS_MAX {
                self.write_removals(&mut records, &mut buried, out);
            }
        }
        self.write_removals(&mut records, &mut buried, out);
    }

    /// Records that remove a group's expired offsets.
    fn expired(&self, id: &str, now_ms: i64, retention_ms: i64) -> Vec<GroupRecord> {
        if let Some(group) = self.consumers.get(id) {
            let subscribed = group.subscribed();
            let forgets = |topic: &str, _, offset: &OffsetCommitValue| {
                ConsumerGroup::forgets(offset, topic, &subscribed, now_ms, retention_ms)
            };
            return self.offsets.tombstones(id, forgets).collect();
        }
        let Some(group) = self.groups.get(id) else {
            return Vec::new();
        };
        let forgets = |topic: &str, _, offset: &OffsetCommitValue| group.forgets(topic, offset, now_ms, retention_ms);
        self.offsets.tombstones(id, forgets).collect()
    }

    /// Topics are gone: nobody needs their offsets, and a new topic of the same name must not begin with them.
    pub fn forget_topics(&mut self, topics: &BTreeSet<String>, out: &mut Outbox) {
        let groups: Vec<String> = self.offsets.groups().cloned().collect();
        let mut records = Vec::new();
        for group in groups {
            records.extend(self.offsets.tombstones(&group, |topic, _, _| topics.contains(topic)));
            if records.len() >= CLEANUP_RECORDS_MAX {
                self.write_removals(&mut records, &mut Vec::new(), out);
            }
        }
        self.write_removals(&mut records, &mut Vec::new(), out);
    }

    fn write_removals(&mut self, records: &mut Vec<GroupRecord>, buried: &mut Vec<String>, out: &mut Outbox) {
        if records.is_empty() {
            return;
        }
        let (records, buried) = (std::mem::take(records), std::mem::take(buried));
        tracing::info!(
            records = records.len(),
            groups = buried.len(),
            "offsets and empty groups are removed"
        );
        self.offsets.planned(&records);
        out.writes.push(Write {
            records,
            then: Then::Deleted(buried, None),
        });
    }
}

/// Adds the records of one topic, and says how it goes for each partition.
fn commit_topic(
    topic: OffsetCommitTopic,
    group: &str,
    (commit_ms, expire_ms): (i64, i64),
    length_max: usize,
    records: &mut Vec<GroupRecord>,
) -> OffsetCommitTopicResult {
    let mut partitions = Vec::with_capacity(topic.partitions.len());
    for asked in topic.partitions {
        let index = asked.index;
        // Java counts UTF-16 units.
        let length = asked.metadata.as_ref().map_or(0, |text| text.encode_utf16().count());
        let error = if length > length_max {
            ErrorCode::OffsetMetadataTooLarge
        } else {
            ErrorCode::None
        };
        partitions.push(OffsetCommitPartitionResult { index, error });
        if error != ErrorCode::None {
            continue;
        }
        let key = OffsetKey {
            group_id: group.to_string(),
            topic: topic.name.clone(),
            partition: index,
        };
        let value = OffsetCommitValue {
            topic_id: topic.topic_id,
            ..stored(asked, commit_ms, expire_ms)
        };
        records.push(GroupRecord::OffsetCommit(key, Some(value)));
    }
    OffsetCommitTopicResult {
        name: topic.name,
        topic_id: topic.topic_id,
        partitions,
    }
}

fn stored(asked: OffsetCommitPartition, commit_timestamp: i64, expire_timestamp: i64) -> OffsetCommitValue {
    OffsetCommitValue {
        offset: asked.offset,
        leader_epoch: asked.leader_epoch.max(-1),
        metadata: asked.metadata.unwrap_or_default(),
        commit_timestamp,
        expire_timestamp,
        ..OffsetCommitValue::default()
    }
}

/// An offset of an earlier topic of the same name is none (KIP-848's topic ids in OffsetFetch).
fn fetched(index: i32, slot: Option<&Slot>, topic: TopicId) -> OffsetFetchPartitionResult {
    let none = OffsetFetchPartitionResult {
        index,
        ..OffsetFetchPartitionResult::default()
    };
    let of_another = |id: TopicId| !id.is_zero() && !topic.is_zero() && id != topic;
    match slot.and_then(|slot| slot.durable.as_ref()) {
        None => none,
        Some(durable) if of_another(durable.topic_id) => none,
        Some(durable) => OffsetFetchPartitionResult {
            offset: durable.offset,
            leader_epoch: durable.leader_epoch,
            metadata: Some(durable.metadata.clone()),
            ..none
        },
    }
}

impl Group {
    /// `ClassicGroup.validateOffsetCommit` of Kafka.
    fn check_commit(&self, request: &OffsetCommitRequest) -> Result<(), ErrorCode> {
        let generation = request.generation_or_member_epoch;
        if self.state == State::Dead {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        if generation < 0 && self.state == State::Empty {
            return Ok(());
        }
        let instance = request.group_instance_id.as_deref();
        if generation >= 0 || !request.member_id.is_empty() || instance.is_some() {
            self.check_member(&request.member_id, instance)?;
            if generation != self.generation {
                return Err(ErrorCode::IllegalGeneration);
            }
        } else if self.state != State::Empty {
            return Err(ErrorCode::UnknownMemberId);
        }
        match self.state {
            State::Completing => Err(ErrorCode::RebalanceInProgress),
            _ => Ok(()),
        }
    }

    /// Whether an offset may be forgotten. What counts is how long the group has been empty; while consumers are stable, how
    /// old the commit is, for topics that none of them is subscribed to; without a protocol always the age of the commit.
    fn forgets(&self, topic: &str, offset: &OffsetCommitValue, now_ms: i64, retention_ms: i64) -> bool {
        let since_ms = match (&self.protocol_type, self.state) {
            (None, _) => offset.commit_timestamp,
            (Some(_), State::Empty) => self.since_ms.unwrap_or(offset.commit_timestamp),
            (Some(_), State::Stable) if self.subscribed.is_some() => offset.commit_timestamp,
            _ => return false,
        };
        if self.is_subscribed(topic) {
            return false;
        }
        match offset.expire_timestamp {
            ..0 => now_ms.saturating_sub(since_ms) >= retention_ms,
            expire_ms => now_ms >= expire_ms,
        }
    }
}

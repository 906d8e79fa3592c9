//! What others ask about a group: description, list, whether a commit or a fetch of offsets is its member's.

use super::group::ConsumerGroup;
use super::member::described;
use crate::group::admin::CONSUMER;
use crate::group::machine::{GroupConfig, Groups};
use crate::group::topics::Topics;
use crate::wire::error::ErrorCode;
use crate::wire::group::consumer_group_describe::DescribedConsumerGroup;
use crate::wire::group::list_groups::ListedGroup;
use crate::wire::group::offset_commit::OffsetCommitRequest;
use crate::wire::group::offset_fetch::OffsetFetchGroup;
use crate::wire::group::records::{GroupRecord, OffsetCommitValue};
use std::collections::BTreeSet;

/// First version of OffsetCommit that these groups' members may use.
const COMMIT_FROM: i16 = 9;

impl Groups {
    pub(in crate::group) fn consumer_describe(&self, id: String) -> DescribedConsumerGroup {
        if let Some(group) = self.consumers.get(&id) {
            return group.describe(&self.config, &self.topics);
        }
        let (error, why) = match self.groups.contains_key(&id) {
            _ if id.is_empty() => (ErrorCode::InvalidGroupId, None),
            true => (
                ErrorCode::GroupIdNotFound,
                Some(format!("Group {id} is not a consumer group.")),
            ),
            false => (ErrorCode::GroupIdNotFound, Some(format!("Group {id} not found."))),
        };
        DescribedConsumerGroup {
            error,
            error_message: why,
            group_id: id,
            ..DescribedConsumerGroup::default()
        }
    }

    /// Prepares the deletion of a group without members: its records.
    pub(in crate::group) fn bury_consumer(&mut self, id: &str, records: &mut Vec<GroupRecord>) {
        records.extend(self.offsets.tombstones(id, |_, _, _| true));
        let Some(group) = self.consumers.get_mut(id) else {
            return;
        };
        group.dead = true;
        group.dirty.extend(group.all_keys());
        records.extend(group.take_records());
    }

    /// The deletion was refused: the group is what it was, and what the log has of it is written anew when need be.
    pub(in crate::group) fn revive_consumer(&mut self, id: &str) {
        if let Some(group) = self.consumers.get_mut(id).filter(|group| group.dead) {
            group.dead = false;
            group.dirty.extend(group.all_keys());
        }
    }

    /// A group without members becomes a classic one: what the log has of it goes.
    pub(in crate::group) fn retire_consumer(&mut self, id: &str) -> Vec<GroupRecord> {
        let Some(group) = self.consumers.get_mut(id) else {
            return Vec::new();
        };
        group.dead = true;
        group.dirty.extend(group.all_keys());
        let records = group.take_records();
        self.drop_consumer(id);
        records
    }
}

impl ConsumerGroup {
    fn describe(&self, config: &GroupConfig, topics: &Topics) -> DescribedConsumerGroup {
        let members = self.members.values().map(|member| {
            let target = self.target.get(&member.id).into_iter().flatten();
            let target = target.map(|(topic, partitions)| (*topic, partitions.iter().copied().collect()));
            member.describe(described(target, topics), topics)
        });
        DescribedConsumerGroup {
            group_id: self.id.clone(),
            state: self.state().to_string(),
            epoch: self.epoch,
            assignment_epoch: self.assignment_epoch,
            assignor_name: self.assignor(config.default_assignor()).name().to_string(),
            members: members.collect(),
            ..DescribedConsumerGroup::default()
        }
    }

    pub(in crate::group) fn listed(&self) -> ListedGroup {
        ListedGroup {
            group_id: self.id.clone(),
            protocol_type: CONSUMER.to_string(),
            state: self.state().to_string(),
            group_type: CONSUMER.to_string(),
        }
    }

    pub(in crate::group) fn is_empty(&self) -> bool {
        self.members.is_empty() && !self.dead
    }

    /// Whether a commit comes from a member, or from a client without group for a group without members. An older epoch than
    /// the member's will do if the member has had the partitions since then (KIP-1251).
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, UNSUPPORTED_VERSION, STALE_MEMBER_EPOCH (classic members: ILLEGAL_GENERATION).
    pub(in crate::group) fn check_commit(
        &self,
        version: i16,
        request: &OffsetCommitRequest,
        topics: &Topics,
    ) -> Result<(), ErrorCode> {
        let epoch = request.generation_or_member_epoch;
        if self.dead {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        if epoch < 0 && self.members.is_empty() {
            return Ok(());
        }
        let member = self.members.get(&request.member_id).ok_or(ErrorCode::UnknownMemberId)?;
        if version < COMMIT_FROM && member.classic.is_none() {
            return Err(ErrorCode::UnsupportedVersion);
        }
        if epoch == member.epoch {
            return Ok(());
        }
        let since = |name: &str, partition: i32| {
            let id = topics.get(name)?.id;
            let find = |held: &super::Held| held.get(&id)?.get(&partition).copied();
            find(&member.assigned).or_else(|| find(&member.revoking))
        };
        let mut asked = request
            .topics
            .iter()
            .flat_map(|topic| topic.partitions.iter().map(|p| (topic.name.as_str(), p.index)));
        let had = epoch < member.epoch && asked.all(|(name, p)| since(name, p).is_some_and(|since| epoch >= since));
        if had { Ok(()) } else { Err(member.stale()) }
    }

    /// Whether who asks for offsets is who it says it is; who says nothing may ask.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, STALE_MEMBER_EPOCH.
    pub(in crate::group) fn check_fetch(&self, request: &OffsetFetchGroup) -> Result<(), ErrorCode> {
        if request.member_id.is_none() && request.member_epoch < 0 {
            return Ok(());
        }
        let member = self.members.get(request.member_id.as_deref().unwrap_or_default());
        let member = member.ok_or(ErrorCode::UnknownMemberId)?;
        match member.epoch == request.member_epoch {
            true => Ok(()),
            false => Err(member.stale()),
        }
    }

    /// Whether an offset may be forgotten: by the age of the commit, where no member is subscribed to its topic.
    pub(in crate::group) fn forgets(
        offset: &OffsetCommitValue,
        topic: &str,
        subscribed: &BTreeSet<&str>,
        now_ms: i64,
        retention_ms: i64,
    ) -> bool {
        let expired = match offset.expire_timestamp {
            ..0 => now_ms.saturating_sub(offset.commit_timestamp) >= retention_ms,
            expire_ms => now_ms >= expire_ms,
        };
        expired && !subscribed.contains(topic)
    }
}

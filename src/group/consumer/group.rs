//! One group: epochs, members, target, who holds what; and the records of all that has changed.

use super::member::{ConsumerMember, MemberState};
use super::{Held, Partitions};
use crate::base::ids::TopicId;
use crate::wire::group::consumer_group_heartbeat::TopicPartitions;
use crate::wire::group::records::{
    ConsumerGroupMetadataValue, ConsumerGroupRegularExpressionValue, ConsumerGroupTargetAssignmentMemberValue,
    ConsumerGroupTargetAssignmentMetadataValue, GroupKey, GroupRecord, MemberKey, RegularExpressionKey,
};
use std::collections::{BTreeMap, BTreeSet};

/// What one record is about. Values are written in this order, and deletions before them, in reverse: so that whoever replays
/// them, Kafka too, finds what each refers to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in crate::group) enum Key {
    /// The classic group that this one was; only ever deleted.
    Classic,
    Group,
    Member(String),
    Regex(String),
    TargetEpoch,
    Target(String),
    Current(String),
}

/// Topics that a regular expression was found to match.
#[derive(Clone, Default, Debug)]
pub(in crate::group) struct Resolved {
    pub topics: BTreeSet<String>,
    /// Version of the topics it was looked for in; means nothing after a restart.
    pub version: i64,
    /// Wall clock, milliseconds.
    pub at_ms: i64,
}

/// See the module.
#[derive(Debug)]
pub(in crate::group) struct ConsumerGroup {
    pub id: String,
    /// Grows with each change that calls for a new target.
    pub epoch: i32,
    /// Of the topics subscribed, when the epoch was raised last.
    pub hash: i64,
    /// The epoch that the target was computed for.
    pub assignment_epoch: i32,
    /// When it was, wall clock, milliseconds.
    pub assigned_ms: i64,
    pub members: BTreeMap<String, ConsumerMember>,
    /// Member ids by instance id.
    pub statics: BTreeMap<String, String>,
    /// What each member is to have.
    pub target: BTreeMap<String, Partitions>,
    /// All that members hold.
    pub held: Partitions,
    pub regexes: BTreeMap<String, Resolved>,
    /// Version of the topics that the hash is of; `None` after a restart.
    pub seen: Option<u64>,
    /// Version of the names that the regular expressions were last matched with.
    pub names_seen: Option<u64>,
    /// Monotonic time before which they are not matched again with new names, nanoseconds.
    pub names_due_ns: u64,
    /// Changed since the last write, or in a write that was refused.
    pub dirty: BTreeSet<Key>,
    /// The last write; 0 = none yet.
    pub written: u64,
    /// The last write that has an outcome.
    pub landed: u64,
    /// It is being deleted.
    pub dead: bool,
    /// Memory that it takes, bytes.
    pub bytes: usize,
}

impl ConsumerGroup {
    pub fn new(id: &str) -> ConsumerGroup {
        ConsumerGroup {
            id: id.to_string(),
            epoch: 0,
            hash: 0,
            assignment_epoch: 0,
            assigned_ms: 0,
            members: BTreeMap::new(),
            statics: BTreeMap::new(),
            target: BTreeMap::new(),
            held: Partitions::new(),
            regexes: BTreeMap::new(),
            seen: None,
            names_seen: None,
            names_due_ns: 0,
            dirty: BTreeSet::new(),
            written: 0,
            landed: 0,
            dead: false,
            bytes: 0,
        }
    }

    /// Kafka's name of the state.
    pub fn state(&self) -> &'static str {
        let reconciled =
            |member: &ConsumerMember| member.state == MemberState::Stable && member.epoch == self.assignment_epoch;
        match () {
            () if self.dead => "Dead",
            () if self.members.is_empty() => "Empty",
            () if self.epoch > self.assignment_epoch => "Assigning",
            () if !self.members.values().all(reconciled) => "Reconciling",
            () => "Stable",
        }
    }

    /// Names of all topics that members are subscribed to, whether they exist or not.
    pub fn subscribed(&self) -> BTreeSet<&str> {
        let named = self.members.values().flat_map(|member| &member.topics);
        let matched = self.regexes.values().flat_map(|resolved| &resolved.topics);
        named.chain(matched).map(String::as_str).collect()
    }

    /// Whether any member may read the topic.
    pub fn is_subscribed(&self, topic: &str) -> bool {
        let named = self.members.values().any(|member| member.topics.contains(topic));
        named || self.regexes.values().any(|resolved| resolved.topics.contains(topic))
    }

    /// What of the member's `held` others must keep off is taken out, or put in again.
    pub fn release(&mut self, held: &Held) {
        for (topic, partitions) in held {
            if let Some(taken) = self.held.get_mut(topic) {
                taken.retain(|partition| !partitions.contains_key(partition));
                if taken.is_empty() {
                    self.held.remove(topic);
                }
            }
        }
    }

    /// See [`release`](Self::release).
    pub fn hold(&mut self, held: &Held) {
        for (topic, partitions) in held {
            self.held.entry(*topic).or_default().extend(partitions.keys());
        }
    }

    pub fn is_held(&self, topic: TopicId, partition: i32) -> bool {
        self.held.get(&topic).is_some_and(|taken| taken.contains(&partition))
    }

    pub fn count_bytes(&self) -> usize {
        let members: usize = self.members.values().map(ConsumerMember::bytes).sum();
        let regexes = self.regexes.iter().map(|(regex, resolved)| {
            regex.len()
                + resolved
                    .topics
                    .iter()
                    .map(|name| size_of::<String>() + name.len())
                    .sum::<usize>()
        });
        size_of::<ConsumerGroup>() + 2 * self.id.len() + members + regexes.sum::<usize>()
    }

    /// Everything that the log may know of the group: to be deleted with it.
    pub fn all_keys(&self) -> BTreeSet<Key> {
        let mut keys: BTreeSet<Key> = [Key::Group, Key::TargetEpoch].into_iter().collect();
        for id in self.members.keys() {
            keys.extend([
                Key::Member(id.clone()),
                Key::Current(id.clone()),
                Key::Target(id.clone()),
            ]);
        }
        keys.extend(self.regexes.keys().cloned().map(Key::Regex));
        keys
    }

    /// Marks all of a member's records.
    pub fn touch_member(&mut self, id: &str) {
        let id = || id.to_string();
        self.dirty
            .extend([Key::Member(id()), Key::Current(id()), Key::Target(id())]);
    }

    /// Records of all that has changed.
    pub fn take_records(&mut self) -> Vec<GroupRecord> {
        let dirty = std::mem::take(&mut self.dirty);
        let (deleted, mut records): (Vec<_>, Vec<_>) = dirty
            .iter()
            .map(|key| self.record(key))
            .partition(|record| record.value_version().is_none());
        records.splice(0..0, deleted.into_iter().rev());
        records
    }

    /// The record of what there is now; without a value if it is gone.
    fn record(&self, key: &Key) -> GroupRecord {
        let alive = !self.dead;
        let group = || GroupKey {
            group_id: self.id.clone(),
        };
        let member = |id: &String| MemberKey {
            group_id: self.id.clone(),
            member_id: id.clone(),
        };
        let found = |id: &String| self.members.get(id).filter(|_| alive);
        match key {
            Key::Classic => GroupRecord::GroupMetadata(group(), None),
            Key::Group => GroupRecord::ConsumerGroupMetadata(group(), alive.then(|| self.metadata())),
            Key::Member(id) => {
                GroupRecord::ConsumerGroupMemberMetadata(member(id), found(id).map(ConsumerMember::to_metadata))
            }
            Key::Current(id) => {
                GroupRecord::ConsumerGroupCurrentMemberAssignment(member(id), found(id).map(ConsumerMember::to_current))
            }
            Key::Target(id) => {
                let target = found(id).and_then(|_| self.target.get(id)).map(target_value);
                GroupRecord::ConsumerGroupTargetAssignmentMember(member(id), target)
            }
            Key::TargetEpoch => {
                let value = alive.then_some(ConsumerGroupTargetAssignmentMetadataValue {
                    assignment_epoch: self.assignment_epoch,
                    assignment_timestamp: self.assigned_ms,
                });
                GroupRecord::ConsumerGroupTargetAssignmentMetadata(group(), value)
            }
            Key::Regex(regex) => {
                let key = RegularExpressionKey {
                    group_id: self.id.clone(),
                    regular_expression: regex.clone(),
                };
                let value = self.regexes.get(regex).filter(|_| alive).map(regex_value);
                GroupRecord::ConsumerGroupRegularExpression(key, value)
            }
        }
    }

    fn metadata(&self) -> ConsumerGroupMetadataValue {
        ConsumerGroupMetadataValue {
            epoch: self.epoch,
            metadata_hash: self.hash,
        }
    }
}

fn target_value(target: &Partitions) -> ConsumerGroupTargetAssignmentMemberValue {
    let topics = target.iter().map(|(topic_id, partitions)| TopicPartitions {
        topic_id: *topic_id,
        partitions: partitions.iter().copied().collect(),
    });
    ConsumerGroupTargetAssignmentMemberValue {
        topic_partitions: topics.collect(),
    }
}

fn regex_value(resolved: &Resolved) -> ConsumerGroupRegularExpressionValue {
    ConsumerGroupRegularExpressionValue {
        topics: resolved.topics.iter().cloned().collect(),
        version: resolved.version,
        timestamp: resolved.at_ms,
    }
}

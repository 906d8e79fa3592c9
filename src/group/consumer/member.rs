//! A member: what it asks for, what it holds, and the records of both.

use super::{Held, listed};
use crate::base::ids::TopicId;
use crate::base::timers::TimerKey;
use crate::group::request::Caller;
use crate::group::topics::Topics;
use crate::wire::error::ErrorCode;
use crate::wire::group::consumer_group_describe::{
    DescribedAssignment, DescribedConsumerGroupMember, DescribedTopicPartitions, member_type,
};
use crate::wire::group::consumer_group_heartbeat::{ConsumerGroupHeartbeatRequest, HeartbeatAssignment};
use crate::wire::group::join_group::JoinGroupProtocol;
use crate::wire::group::records::{
    ClassicMemberMetadata, ConsumerGroupCurrentMemberAssignmentValue, ConsumerGroupMemberMetadataValue,
    StoredTopicPartitions, member_state,
};
use std::collections::BTreeSet;

/// Where a member stands between what it has and its target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::group) enum MemberState {
    /// It has what it had to get in its epoch.
    Stable,
    /// It has to give partitions up.
    Unrevoked,
    /// It waits for partitions that others hold.
    Unreleased,
}

impl MemberState {
    fn code(self) -> i8 {
        match self {
            MemberState::Stable => member_state::STABLE,
            MemberState::Unrevoked => member_state::UNREVOKED_PARTITIONS,
            MemberState::Unreleased => member_state::UNRELEASED_PARTITIONS,
        }
    }

    /// A state that is not known here makes the member look for partitions to take, which it does in any case.
    fn of(code: i8) -> Self {
        match code {
            member_state::STABLE => MemberState::Stable,
            member_state::UNREVOKED_PARTITIONS => MemberState::Unrevoked,
            _ => MemberState::Unreleased,
        }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub(in crate::group) struct ConsumerMember {
    pub id: String,
    pub instance_id: Option<String>,
    pub rack_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub topics: BTreeSet<String>,
    /// Empty = none.
    pub regex: String,
    pub rebalance_timeout_ms: i32,
    pub assignor: Option<String>,
    /// What it said in JoinGroup, if it takes part by the classic protocol.
    pub classic: Option<ClassicMemberMetadata>,
    /// What its heartbeats must carry; -2 = a static member that will be back.
    pub epoch: i32,
    /// The epoch before, accepted as well: the answer that told the new one may have been lost.
    pub previous_epoch: i32,
    pub state: MemberState,
    /// What it may use.
    pub assigned: Held,
    /// What it has to give up, and holds until it says that it has.
    pub revoking: Held,
    /// When it is given up.
    pub session: Option<TimerKey>,
    /// When it must have given up its partitions; of a classic member when it must have joined or synced.
    pub rebalance: Option<TimerKey>,
}

/// What a heartbeat changed.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Changed {
    pub anything: bool,
    pub subscription: bool,
}

impl ConsumerMember {
    pub fn new(id: &str) -> ConsumerMember {
        ConsumerMember {
            id: id.to_string(),
            instance_id: None,
            rack_id: None,
            client_id: String::new(),
            client_host: String::new(),
            topics: BTreeSet::new(),
            regex: String::new(),
            rebalance_timeout_ms: -1,
            assignor: None,
            classic: None,
            epoch: 0,
            previous_epoch: 0,
            state: MemberState::Stable,
            assigned: Held::new(),
            revoking: Held::new(),
            session: None,
            rebalance: None,
        }
    }

    /// Takes over what the heartbeat says; what it leaves out stays.
    pub(super) fn update(&mut self, caller: &Caller, request: &ConsumerGroupHeartbeatRequest) -> Changed {
        let some = |text: &Option<String>, old: &Option<String>| text.clone().or_else(|| old.clone());
        let mut anything = set(&mut self.client_id, caller.client_id.clone());
        anything |= set(&mut self.client_host, caller.client_host.clone());
        let (instance, rack) = (
            some(&request.instance_id, &self.instance_id),
            some(&request.rack_id, &self.rack_id),
        );
        anything |= set(&mut self.instance_id, instance);
        anything |= set(&mut self.rack_id, rack);
        let assignor = some(&request.server_assignor, &self.assignor);
        anything |= set(&mut self.assignor, assignor);
        if request.rebalance_timeout_ms != -1 {
            anything |= set(&mut self.rebalance_timeout_ms, request.rebalance_timeout_ms);
        }
        let mut subscription = false;
        if let Some(names) = &request.subscribed_topic_names {
            subscription |= set(&mut self.topics, names.iter().cloned().collect());
        }
        // From now on by the new protocol.
        anything |= self.classic.take().is_some();
        if let Some(regex) = &request.subscribed_topic_regex {
            subscription |= set(&mut self.regex, regex.clone());
        }
        Changed {
            anything: anything | subscription,
            subscription,
        }
    }

    /// The error for an epoch that is not the member's.
    pub fn stale(&self) -> ErrorCode {
        match self.classic {
            None => ErrorCode::StaleMemberEpoch,
            Some(_) => ErrorCode::IllegalGeneration,
        }
    }

    /// Memory it takes, bytes.
    pub fn bytes(&self) -> usize {
        let texts = [&self.id, &self.client_id, &self.client_host, &self.regex];
        let optional = [&self.instance_id, &self.rack_id, &self.assignor];
        let texts: usize = texts.iter().map(|text| text.len()).sum();
        let optional: usize = optional.iter().map(|text| text.as_ref().map_or(0, String::len)).sum();
        let topics: usize = self.topics.iter().map(|name| size_of::<String>() + name.len()).sum();
        let held = self.assigned.values().chain(self.revoking.values());
        let held: usize = held.map(|partitions| 32 + 8 * partitions.len()).sum();
        // Its id is a key of the group's maps, too; its target is about as large as what it holds.
        let protocols = self.classic.iter().flat_map(|classic| &classic.supported_protocols);
        let protocols: usize = protocols
            .map(|p| size_of::<JoinGroupProtocol>() + p.name.len() + p.metadata.len())
            .sum();
        size_of::<ConsumerMember>() + protocols + texts + 2 * self.id.len() + optional + topics + 2 * held
    }

    pub fn assignment(&self) -> HeartbeatAssignment {
        HeartbeatAssignment {
            topic_partitions: listed(&self.assigned),
        }
    }

    pub fn to_metadata(&self) -> ConsumerGroupMemberMetadataValue {
        ConsumerGroupMemberMetadataValue {
            instance_id: self.instance_id.clone(),
            rack_id: self.rack_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            subscribed_topic_names: self.topics.iter().cloned().collect(),
            subscribed_topic_regex: Some(self.regex.clone()),
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            server_assignor: self.assignor.clone(),
            classic: self.classic.clone(),
        }
    }

    pub fn set_metadata(&mut self, stored: ConsumerGroupMemberMetadataValue) {
        self.instance_id = stored.instance_id;
        self.rack_id = stored.rack_id;
        self.client_id = stored.client_id;
        self.client_host = stored.client_host;
        self.topics = stored.subscribed_topic_names.into_iter().collect();
        self.regex = stored.subscribed_topic_regex.unwrap_or_default();
        self.rebalance_timeout_ms = stored.rebalance_timeout_ms;
        self.assignor = stored.server_assignor;
        self.classic = stored.classic;
    }

    pub fn to_current(&self) -> ConsumerGroupCurrentMemberAssignmentValue {
        ConsumerGroupCurrentMemberAssignmentValue {
            member_epoch: self.epoch,
            previous_member_epoch: self.previous_epoch,
            state: self.state.code(),
            assigned_partitions: stored(&self.assigned),
            partitions_pending_revocation: stored(&self.revoking),
        }
    }

    pub fn set_current(&mut self, stored: ConsumerGroupCurrentMemberAssignmentValue) {
        self.epoch = stored.member_epoch;
        self.previous_epoch = stored.previous_member_epoch;
        self.state = MemberState::of(stored.state);
        self.assigned = held(stored.assigned_partitions, stored.member_epoch);
        self.revoking = held(stored.partitions_pending_revocation, stored.member_epoch);
    }

    pub fn describe(&self, target: DescribedAssignment, topics: &Topics) -> DescribedConsumerGroupMember {
        let assigned = self
            .assigned
            .iter()
            .map(|(id, held)| (*id, held.keys().copied().collect()));
        DescribedConsumerGroupMember {
            member_id: self.id.clone(),
            instance_id: self.instance_id.clone(),
            rack_id: self.rack_id.clone(),
            epoch: self.epoch,
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            subscribed_topic_names: self.topics.iter().cloned().collect(),
            subscribed_topic_regex: Some(self.regex.clone()),
            assignment: described(assigned, topics),
            target_assignment: target,
            member_type: match self.classic {
                None => member_type::CONSUMER,
                Some(_) => member_type::CLASSIC,
            },
        }
    }
}

/// With names; topics that are gone have none and are left out.
pub(super) fn described(partitions: impl Iterator<Item = (TopicId, Vec<i32>)>, topics: &Topics) -> DescribedAssignment {
    let named = partitions.filter_map(|(topic_id, partitions)| {
        Some(DescribedTopicPartitions {
            topic_id,
            topic_name: topics.name(topic_id)?.to_string(),
            partitions,
        })
    });
    DescribedAssignment {
        topic_partitions: named.collect(),
    }
}

fn set<T: PartialEq>(slot: &mut T, value: T) -> bool {
    let differs = *slot != value;
    *slot = value;
    differs
}

fn stored(held: &Held) -> Vec<StoredTopicPartitions> {
    let topics = held.iter().map(|(topic_id, partitions)| StoredTopicPartitions {
        topic_id: *topic_id,
        partitions: partitions.keys().copied().collect(),
        assignment_epochs: Some(partitions.values().copied().collect()),
    });
    topics.collect()
}

/// Where no epochs are stored, the member's own is the safest.
fn held(stored: Vec<StoredTopicPartitions>, epoch: i32) -> Held {
    let mut held = Held::new();
    for topic in stored {
        let epochs = topic.assignment_epochs.unwrap_or_default();
        let epochs = epochs.into_iter().chain(std::iter::repeat(epoch));
        let partitions = topic.partitions.into_iter().zip(epochs);
        held.entry(topic.topic_id).or_default().extend(partitions);
    }
    held.retain(|_, partitions| !partitions.is_empty());
    held
}

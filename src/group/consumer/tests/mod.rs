//! Groups of the new protocol driven by hand: heartbeats in, answers out, writes durable when the test says so.

mod assigning;
mod migration;
mod online;
mod random;
mod rules;
mod statics;
mod stored;

use crate::base::ids::TopicId;
use crate::group::machine::GroupConfig;
use crate::group::request::{Caller, GroupAnswer, GroupRequest};
use crate::group::tests::Rig;
use crate::group::topics::TopicSize;
use crate::wire::error::ErrorCode;
use crate::wire::group::consumer_group_describe::DescribedConsumerGroup;
use crate::wire::group::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, TopicPartitions,
};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) const SESSION_MS: u64 = 45_000;
pub(super) const REBALANCE_MS: i32 = 60_000;

/// A topic's id, by its number.
pub(super) fn id(number: u8) -> TopicId {
    TopicId([number; 16])
}

/// A machine that knows these topics: name, number of the id, partitions.
pub(super) fn rig(list: &[(&str, u8, i32)]) -> Rig {
    let mut rig = Rig::new();
    set_topics(&mut rig, list);
    rig
}

pub(super) fn set_topics(rig: &mut Rig, list: &[(&str, u8, i32)]) {
    let topic = |(name, number, partitions): &(&str, u8, i32)| {
        let size = TopicSize {
            id: id(*number),
            partitions: *partitions,
        };
        (name.to_string(), size)
    };
    let by_name: BTreeMap<String, TopicSize> = list.iter().map(topic).collect();
    if let Some(topics) = rig.topics.next(by_name) {
        rig.topics = Arc::new(topics);
        rig.groups.set_topics(rig.topics.clone());
    }
}

/// What a heartbeat of group `g` says.
#[derive(Clone, Default)]
pub(super) struct Beat(pub ConsumerGroupHeartbeatRequest);

impl Beat {
    pub fn join(member: &str, topics: &[&str]) -> Beat {
        Beat(ConsumerGroupHeartbeatRequest {
            group_id: "g".into(),
            member_id: member.into(),
            member_epoch: 0,
            rebalance_timeout_ms: REBALANCE_MS,
            subscribed_topic_names: Some(topics.iter().map(|name| name.to_string()).collect()),
            topic_partitions: Some(Vec::new()),
            ..ConsumerGroupHeartbeatRequest::default()
        })
    }

    pub fn join_regex(member: &str, regex: &str) -> Beat {
        let mut beat = Beat::join(member, &[]);
        beat.0.subscribed_topic_names = None;
        beat.0.subscribed_topic_regex = Some(regex.into());
        beat
    }

    /// All unchanged.
    pub fn at(member: &str, epoch: i32) -> Beat {
        Beat(ConsumerGroupHeartbeatRequest {
            group_id: "g".into(),
            member_id: member.into(),
            member_epoch: epoch,
            ..ConsumerGroupHeartbeatRequest::default()
        })
    }

    /// Owns these partitions: topic numbers with their partitions.
    pub fn owning(mut self, owned: &[(u8, &[i32])]) -> Beat {
        let owned = owned.iter().map(|(topic, partitions)| TopicPartitions {
            topic_id: id(*topic),
            partitions: partitions.to_vec(),
        });
        self.0.topic_partitions = Some(owned.collect());
        self
    }

    pub fn instance(mut self, instance: &str) -> Beat {
        self.0.instance_id = Some(instance.into());
        self
    }

    pub fn assignor(mut self, assignor: &str) -> Beat {
        self.0.server_assignor = Some(assignor.into());
        self
    }

    pub fn ask(self, rig: &mut Rig) -> u32 {
        let caller = Caller {
            client_id: "client".into(),
            client_host: "/127.0.0.1".into(),
            version: 1,
        };
        rig.ask(GroupRequest::ConsumerHeartbeat(caller, Box::new(self.0)))
    }

    pub fn answered(self, rig: &mut Rig) -> ConsumerGroupHeartbeatResponse {
        let ticket = self.ask(rig);
        answer(rig, ticket)
    }

    /// The new epoch, and what the member may use if it is told.
    pub fn ok(self, rig: &mut Rig) -> (i32, Option<Plain>) {
        let answer = self.answered(rig);
        assert_eq!(answer.error, ErrorCode::None, "{:?}", answer.error_message);
        assert_eq!(answer.heartbeat_interval_ms, 5_000);
        let assignment = answer.assignment.map(|assignment| plain(&assignment.topic_partitions));
        (answer.member_epoch, assignment)
    }

    pub fn error(self, rig: &mut Rig) -> ErrorCode {
        let answer = self.answered(rig);
        assert!(answer.error == ErrorCode::None || answer.error_message.is_some());
        answer.error
    }
}

pub(super) fn answer(rig: &mut Rig, ticket: u32) -> ConsumerGroupHeartbeatResponse {
    match rig.answer(ticket) {
        Some(GroupAnswer::ConsumerHeartbeat(answer)) => answer,
        other => panic!("no answer to a heartbeat but {other:?}"),
    }
}

/// Numbers of topics with partitions.
pub(super) type Plain = Vec<(u8, Vec<i32>)>;

pub(super) fn plain(topics: &[TopicPartitions]) -> Plain {
    let topics = topics
        .iter()
        .map(|topic| (topic.topic_id.0[0], topic.partitions.clone()));
    topics.collect()
}

pub(super) fn describe(rig: &mut Rig) -> DescribedConsumerGroup {
    let ticket = rig.ask(GroupRequest::ConsumerDescribe(vec!["g".into()]));
    match rig.answer(ticket) {
        Some(GroupAnswer::ConsumerDescribe(mut groups)) => groups.remove(0),
        other => panic!("no description but {other:?}"),
    }
}

pub(super) fn restart(rig: &mut Rig) {
    rig.restart(GroupConfig {
        initial_rebalance_delay_ms: 0,
        ..GroupConfig::default()
    });
}

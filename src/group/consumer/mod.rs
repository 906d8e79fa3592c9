//! Groups of the new protocol (KIP-848): the coordinator assigns, and each member moves towards its target on its own.
//!
//! A change of members, subscriptions or topics raises the group's epoch; a target assignment is computed for it at once; with its
//! heartbeats a member first gives up what it must, then takes over the epoch, then gets what others have released
//! (`GroupMetadataManager.consumerGroupHeartbeat`, `CurrentAssignmentBuilder` of Kafka).
//!
//! Invariants: a partition is held by at most one member, counting what it has not yet given up; state changes in memory first,
//! and what changed is written before any answer that speaks of it leaves ([`group::ConsumerGroup::take_records`] names each
//! change by its key, so that a write that was refused is made up for by the next). Must not know how answers travel.

mod admin;
mod assign;
mod classic;
mod convert;
pub(in crate::group) mod group;
mod heartbeat;
mod leave;
mod member;
mod pattern;
mod reconcile;
mod replay;
mod write;

#[cfg(test)]
mod tests;

pub use assign::Assignor;
pub use classic::Migration;

use crate::base::ids::TopicId;
use crate::wire::error::ErrorCode;
use crate::wire::group::consumer_group_heartbeat::TopicPartitions;
use std::collections::{BTreeMap, BTreeSet};

/// Partitions by topic; no topic without partitions.
pub(in crate::group) type Partitions = BTreeMap<TopicId, BTreeSet<i32>>;

/// Partitions that a member holds, each with the epoch in which it was assigned (KIP-1251).
pub(in crate::group) type Held = BTreeMap<TopicId, BTreeMap<i32, i32>>;

/// An error with its reason, for people.
pub(in crate::group) type Refusal = (ErrorCode, String);

fn refuse<T>(error: ErrorCode, why: impl Into<String>) -> Result<T, Refusal> {
    Err((error, why.into()))
}

/// As the protocol lists them.
fn listed(held: &Held) -> Vec<TopicPartitions> {
    let topics = held.iter().map(|(topic_id, partitions)| TopicPartitions {
        topic_id: *topic_id,
        partitions: partitions.keys().copied().collect(),
    });
    topics.collect()
}

fn holds(held: &Held, topic: TopicId, partition: i32) -> bool {
    held.get(&topic)
        .is_some_and(|partitions| partitions.contains_key(&partition))
}

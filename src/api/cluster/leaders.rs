//! ElectLeaders, AlterPartitionReassignments, ListPartitionReassignments (keys 43, 45, 46): with one node every partition has
//! its only possible leader and its only possible replica (`ReplicationControlManager`).

use crate::api::call::{Call, Step, decode};
use crate::controller::image::Image;
use crate::wire::control::elect_leaders::{
    ElectLeaders, ElectLeadersPartition, ElectLeadersResponse, ElectLeadersTopic,
};
use crate::wire::control::log_dirs::TopicPartitions;
use crate::wire::control::reassignments::{
    AlterPartitionReassignments, AlterPartitionReassignmentsResponse, ListPartitionReassignments,
    ListPartitionReassignmentsResponse, ReassignablePartition, ReassignableTopic, ReassignedPartition, ReassignedTopic,
};
use crate::wire::error::ErrorCode;
use std::collections::BTreeSet;

/// Election among preferred replicas and among all, by number.
const ELECTION_TYPES: std::ops::RangeInclusive<i8> = 0..=1;

type Refused = (ErrorCode, String);

pub(in crate::api) fn elect<S>(call: &mut Call, body: &[u8]) -> Step<S> {
    let request = decode!(ElectLeaders, call, body);
    let image = call.cx.image.clone();
    let known = ELECTION_TYPES.contains(&request.election_type);
    // Asked for all, only partitions that needed an election are named: none.
    let asked = request.topic_partitions.filter(|_| known).unwrap_or_default();
    let response = ElectLeadersResponse {
        error: if known {
            ErrorCode::None
        } else {
            ErrorCode::InvalidRequest
        },
        results: asked.into_iter().map(|topic| elected(&image, topic)).collect(),
        ..Default::default()
    };
    call.failed |= !known;
    call.answer::<ElectLeaders, S>(&response)
}

fn elected(image: &Image, asked: TopicPartitions) -> ElectLeadersTopic {
    let result = |index: &i32| {
        let (error, message) = match find(image, &asked.topic, *index) {
            Ok(()) => (
                ErrorCode::ElectionNotNeeded,
                ErrorCode::ElectionNotNeeded.meaning().into(),
            ),
            Err(refused) => refused,
        };
        ElectLeadersPartition {
            index: *index,
            error,
            error_message: Some(message),
        }
    };
    ElectLeadersTopic {
        partitions: asked.partitions.iter().map(result).collect(),
        topic: asked.topic,
    }
}

fn find(image: &Image, name: &str, index: i32) -> Result<(), Refused> {
    let unknown = |what: String| (ErrorCode::UnknownTopicOrPartition, what);
    let topic = image
        .topic(name)
        .ok_or_else(|| unknown(format!("No such topic as {}", name.escape_debug())))?;
    let there = usize::try_from(index).is_ok_and(|index| index < topic.partitions.len());
    there
        .then_some(())
        .ok_or_else(|| unknown(format!("No such partition as {}-{index}", name.escape_debug())))
}

pub(in crate::api) fn reassign<S>(call: &mut Call, body: &[u8]) -> Step<S> {
    let request = decode!(AlterPartitionReassignments, call, body);
    let image = call.cx.image.clone();
    let may_grow = request.allow_replication_factor_change;
    let topic = |asked: ReassignableTopic| ReassignedTopic {
        partitions: asked
            .partitions
            .iter()
            .map(|partition| reassigned(&image, &asked.name, partition, may_grow))
            .collect(),
        name: asked.name,
    };
    let response = AlterPartitionReassignmentsResponse {
        allow_replication_factor_change: may_grow,
        topics: request.topics.into_iter().map(topic).collect(),
        ..Default::default()
    };
    call.note(
        response
            .topics
            .iter()
            .flat_map(|topic| &topic.partitions)
            .map(|p| p.error),
    );
    call.answer::<AlterPartitionReassignments, S>(&response)
}

fn reassigned(image: &Image, topic: &str, asked: &ReassignablePartition, may_grow: bool) -> ReassignedPartition {
    let outcome = find(image, topic, asked.index).and_then(|()| match &asked.replicas {
        None => Err((
            ErrorCode::NoReassignmentInProgress,
            ErrorCode::NoReassignmentInProgress.meaning().to_string(),
        )),
        Some(replicas) => check_replicas(image, replicas, may_grow),
    });
    let (error, error_message) = match outcome {
        // They are where they are to be.
        Ok(()) => (ErrorCode::None, None),
        Err((error, message)) => (error, Some(message)),
    };
    ReassignedPartition {
        index: asked.index,
        error,
        error_message,
    }
}

/// What passes is the assignment that every partition has: the one broker.
fn check_replicas(image: &Image, replicas: &[i32], may_grow: bool) -> Result<(), Refused> {
    let invalid = |why: String| Err((ErrorCode::InvalidReplicaAssignment, why));
    if replicas.is_empty() {
        return invalid("The manual partition assignment includes an empty replica list.".into());
    }
    let mut seen = BTreeSet::new();
    let brokers = image.brokers();
    for id in replicas {
        if !seen.insert(*id) {
            return invalid(format!(
                "The manual partition assignment includes the broker {id} more than once."
            ));
        }
        if brokers.iter().all(|broker| broker.id != *id) {
            return invalid(format!(
                "The manual partition assignment includes broker {id}, but no such broker is registered."
            ));
        }
    }
    if !may_grow && replicas.len() != 1 {
        let why = "The replication factor is changed but the change is not allowed.".to_string();
        return Err((ErrorCode::InvalidReplicationFactor, why));
    }
    Ok(())
}

pub(in crate::api) fn list_reassignments<S>(call: &mut Call, body: &[u8]) -> Step<S> {
    decode!(ListPartitionReassignments, call, body);
    call.answer::<ListPartitionReassignments, S>(&ListPartitionReassignmentsResponse::default())
}

//! CreatePartitions (key 37): one result for every topic, always.

use super::call::{Call, Step, decode};
use super::control::ControlOp;
use super::mutations;
use super::state::Shared;
use crate::controller::image::Image;
use crate::controller::request::{ControllerRequest, NewPartitions, Outcome};
use crate::wire::control::create_partitions::{
    CreatePartitions, CreatePartitionsResponse, CreatePartitionsTopic, CreatePartitionsTopicResult,
};
use std::collections::BTreeSet;

/// First version whose clients know THROTTLING_QUOTA_EXCEEDED.
const STRICT_FROM: i16 = 3;

pub(super) fn start(call: &mut Call, shared: &mut Shared, body: &[u8]) -> Step<ControlOp> {
    let request = decode!(CreatePartitions, call, body);
    let names: Vec<String> = request.topics.iter().map(|topic| topic.name.clone()).collect();
    if !request.validate_only {
        let image = call.cx.newest;
        let partitions = request.topics.iter().map(|topic| added(image, topic)).sum();
        if let Some(refusal) = mutations::admit(call, shared, STRICT_FROM, partitions) {
            let results = names.iter().map(|_| refusal.clone()).collect();
            return finish(call, names, results);
        }
    }
    let topics = request.topics.into_iter().map(new_partitions).collect();
    call.control(ControllerRequest::CreatePartitions {
        topics,
        validate_only: request.validate_only,
    });
    Step::Wait(ControlOp::Grow(names))
}

pub(super) fn finish<S>(call: &mut Call, names: Vec<String>, results: Vec<Outcome>) -> Step<S> {
    let result = |(name, outcome): (String, Outcome)| CreatePartitionsTopicResult {
        name,
        error: outcome.error,
        error_message: outcome.message,
    };
    let mut seen = BTreeSet::new();
    // A name that was given twice is answered once, as Kafka does.
    let first = |(name, _): &(String, _)| seen.insert(name.clone());
    let results: Vec<_> = names.into_iter().zip(results).filter(first).map(result).collect();
    call.note(results.iter().map(|result| result.error));
    call.answer::<CreatePartitions, S>(&CreatePartitionsResponse {
        results,
        ..Default::default()
    })
}

/// Partitions that the topic would gain.
fn added(image: &Image, asked: &CreatePartitionsTopic) -> u64 {
    let wanted = u64::try_from(asked.count).unwrap_or(0);
    let has = image
        .topic(&asked.name)
        .map_or(wanted, |topic| topic.partitions.len() as u64);
    wanted.saturating_sub(has)
}

fn new_partitions(asked: CreatePartitionsTopic) -> NewPartitions {
    let assignments = asked
        .assignments
        .map(|list| list.into_iter().map(|one| one.broker_ids).collect());
    NewPartitions {
        name: asked.name,
        count: asked.count,
        assignments,
    }
}

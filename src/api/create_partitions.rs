//! CreatePartitions (key 37): one result for every topic, always.

use super::call::{Call, Step, decode};
use super::control::ControlOp;
use crate::controller::request::{ControllerRequest, NewPartitions, Outcome};
use crate::wire::control::create_partitions::{
    CreatePartitions, CreatePartitionsResponse, CreatePartitionsTopic, CreatePartitionsTopicResult,
};
use std::collections::BTreeSet;

pub(super) fn start(call: &mut Call, body: &[u8]) -> Step<ControlOp> {
    let request = decode!(CreatePartitions, call, body);
    let names = request.topics.iter().map(|topic| topic.name.clone()).collect();
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

//! Operations that wait for the controller.

use super::call::{Call, Step};
use super::cluster;
use super::groups::find_coordinator;
use super::state::State;
use super::{alter_configs, create_partitions, create_topics, delete_topics, metadata};
use crate::controller::quotas::EntityParts;
use crate::controller::request::ControllerReply;
use crate::wire::control::metadata::MetadataRequest;
use crate::wire::group::find_coordinator::FindCoordinatorRequest;

/// What the answer will need.
pub(crate) enum ControlOp {
    /// CreateTopics: names in the order of the request.
    Create(Vec<String>),
    /// DeleteTopics.
    Delete,
    /// CreatePartitions: names in the order of the request.
    Grow(Vec<String>),
    /// AlterConfigs, IncrementalAlterConfigs: type and name of each resource.
    Alter(Vec<(i8, String)>),
    /// AlterClientQuotas: entities in the order of the request.
    Quotas(Vec<EntityParts>),
    /// AlterUserScramCredentials.
    Scram,
    /// FindCoordinator that needs the internal topic to be created.
    FindCoordinator(FindCoordinatorRequest),
    /// Metadata that asked for topics to be created: the request, and the names that were to be created.
    Metadata(MetadataRequest, Vec<String>),
}

/// The controller answered.
pub(super) fn finish(call: &mut Call, op: ControlOp, answer: ControllerReply) -> Step<State> {
    match (op, answer) {
        (ControlOp::Create(names), ControllerReply::Created(results)) => create_topics::finish(call, names, results),
        (ControlOp::Delete, ControllerReply::Deleted(results)) => delete_topics::finish(call, results),
        (ControlOp::Grow(names), ControllerReply::Grown(results)) => create_partitions::finish(call, names, results),
        (ControlOp::Alter(resources), ControllerReply::Altered(results)) => {
            alter_configs::finish(call, resources, results)
        }
        (ControlOp::Quotas(entities), ControllerReply::QuotasAltered(outcomes)) => {
            cluster::quotas::finish(call, entities, outcomes)
        }
        (ControlOp::Scram, ControllerReply::ScramAltered(outcomes)) => cluster::scram::finish(call, outcomes),
        (ControlOp::Metadata(request, names), ControllerReply::Created(results)) => {
            metadata::finish(call, &request, &names, &results)
        }
        (ControlOp::FindCoordinator(request), ControllerReply::Created(results)) => {
            let outcome = results.first().map(|(outcome, _)| outcome);
            find_coordinator::finish(call, &request, outcome)
        }
        (op, _) => Step::Wait(State::Control(op)),
    }
}

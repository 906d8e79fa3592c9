//! AlterConfigs (key 33, replaces everything) and IncrementalAlterConfigs (key 44, KIP-339).

use super::call::{Call, Step, decode};
use super::control::ControlOp;
use crate::controller::request::{ConfigChange, ConfigOp, ControllerRequest, Outcome};
use crate::wire::api::ApiKey;
use crate::wire::control::alter_configs::{
    AlterConfigs, AlterConfigsResourceResponse, AlterConfigsResponse, IncrementalAlterConfigs, operation,
};

pub(super) fn start(call: &mut Call, body: &[u8]) -> Step<ControlOp> {
    let request = decode!(AlterConfigs, call, body);
    let changes = request.resources.into_iter().map(|resource| ConfigChange {
        resource_type: resource.resource_type,
        name: resource.resource_name,
        replace: true,
        ops: resource
            .configs
            .into_iter()
            .map(|c| ConfigOp {
                key: c.name,
                value: c.value,
                op: operation::SET,
            })
            .collect(),
    });
    ask(call, changes.collect(), request.validate_only)
}

pub(super) fn start_incremental(call: &mut Call, body: &[u8]) -> Step<ControlOp> {
    let request = decode!(IncrementalAlterConfigs, call, body);
    let changes = request.resources.into_iter().map(|resource| ConfigChange {
        resource_type: resource.resource_type,
        name: resource.resource_name,
        replace: false,
        ops: resource
            .configs
            .into_iter()
            .map(|c| ConfigOp {
                key: c.name,
                value: c.value,
                op: c.config_operation,
            })
            .collect(),
    });
    ask(call, changes.collect(), request.validate_only)
}

fn ask(call: &mut Call, resources: Vec<ConfigChange>, validate_only: bool) -> Step<ControlOp> {
    let names = resources
        .iter()
        .map(|change| (change.resource_type, change.name.clone()))
        .collect();
    call.control(ControllerRequest::AlterConfigs {
        resources,
        validate_only,
    });
    Step::Wait(ControlOp::Alter(names))
}

pub(super) fn finish<S>(call: &mut Call, resources: Vec<(i8, String)>, results: Vec<Outcome>) -> Step<S> {
    let result = |((resource_type, resource_name), outcome): ((i8, String), Outcome)| AlterConfigsResourceResponse {
        error: outcome.error,
        error_message: outcome.message,
        resource_type,
        resource_name,
    };
    let responses = resources.into_iter().zip(results).map(result).collect();
    let response = AlterConfigsResponse {
        responses,
        ..Default::default()
    };
    call.note(response.responses.iter().map(|result| result.error));
    match call.meta.api {
        ApiKey::IncrementalAlterConfigs => call.answer::<IncrementalAlterConfigs, S>(&response),
        _ => call.answer::<AlterConfigs, S>(&response),
    }
}

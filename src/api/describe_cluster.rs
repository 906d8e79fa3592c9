//! DescribeCluster (key 60, KIP-700): brokers and controller.

use super::call::{Call, Step, decode};
use super::metadata::{CLUSTER_OPERATIONS, operations};
use crate::controller::image::Broker;
use crate::wire::control::describe_cluster::{DescribeCluster, DescribeClusterBroker, DescribeClusterResponse};
use crate::wire::error::ErrorCode;

const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

pub(super) fn start<S>(call: &mut Call, body: &[u8]) -> Step<S> {
    let request = decode!(DescribeCluster, call, body);
    let refusal = match request.endpoint_type {
        BROKERS => None,
        CONTROLLERS => Some((
            ErrorCode::MismatchedEndpointType,
            "The request was sent to an endpoint of the wrong type.",
        )),
        _ => Some((ErrorCode::UnsupportedEndpointType, "This endpoint type is not known.")),
    };
    if let Some((error, message)) = refusal {
        let response = DescribeClusterResponse {
            error,
            error_message: Some(message.to_string()),
            endpoint_type: request.endpoint_type,
            ..Default::default()
        };
        return call.answer::<DescribeCluster, S>(&response);
    }
    let image = call.cx.image.clone();
    let broker = |broker: Broker| DescribeClusterBroker {
        broker_id: broker.id,
        host: broker.host,
        port: i32::from(broker.port),
        rack: broker.rack,
        is_fenced: false,
    };
    let response = DescribeClusterResponse {
        endpoint_type: request.endpoint_type,
        cluster_id: image.cluster_id.clone(),
        controller_id: image.controller(),
        brokers: image.brokers().into_iter().map(broker).collect(),
        cluster_authorized_operations: operations(request.include_cluster_authorized_operations, CLUSTER_OPERATIONS),
        ..Default::default()
    };
    call.answer::<DescribeCluster, S>(&response)
}

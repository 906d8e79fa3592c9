//! ListConfigResources (key 74): topics and brokers; groups and client metrics have no configurations here.

use crate::api::call::{Call, Step, decode};
use crate::controller::image::Image;
use crate::wire::control::list_config_resources::{ListConfigResources, ListConfigResourcesResponse, ListedResource};
use crate::wire::control::resource_type::{BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, TOPIC};
use crate::wire::error::ErrorCode;

/// Version 0 is about client metrics alone.
const TYPES_FROM: i16 = 1;

pub(in crate::api) fn start<S>(call: &mut Call, body: &[u8]) -> Step<S> {
    let request = decode!(ListConfigResources, call, body);
    let wanted: &[i8] = match &request.resource_types[..] {
        _ if call.meta.version < TYPES_FROM => &[CLIENT_METRICS],
        [] => &[TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP],
        some => some,
    };
    let image = call.cx.image.clone();
    let mut response = ListConfigResourcesResponse::default();
    match list(&image, wanted) {
        Ok(resources) => response.resources = resources,
        Err(error) => {
            call.failed = true;
            response.error = error;
        }
    }
    call.answer::<ListConfigResources, S>(&response)
}

fn list(image: &Image, wanted: &[i8]) -> Result<Vec<ListedResource>, ErrorCode> {
    let mut resources = Vec::new();
    for (at, resource_type) in wanted.iter().copied().enumerate() {
        if wanted.iter().take(at).any(|earlier| *earlier == resource_type) {
            continue;
        }
        let of = |name: String| ListedResource { name, resource_type };
        match resource_type {
            TOPIC => resources.extend(image.names.keys().cloned().map(of)),
            BROKER => resources.extend(image.brokers().iter().map(|broker| of(broker.id.to_string()))),
            BROKER_LOGGER | CLIENT_METRICS | GROUP => {}
            _ => return Err(ErrorCode::UnsupportedVersion),
        }
    }
    Ok(resources)
}

//! DescribeConfigs (key 32): every known key with value, source, synonyms, type and meaning.

use super::call::{Call, Step, decode};
use crate::controller::configs::resolve::{self, Resolved};
use crate::controller::configs::{Found, Source};
use crate::controller::image::Image;
use crate::controller::names::check_topic_name;
use crate::wire::control::describe_configs::{
    DescribeConfigs, DescribeConfigsEntry, DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResponse,
    DescribeConfigsResult, DescribeConfigsSynonym,
};
use crate::wire::control::resource_type;
use crate::wire::error::ErrorCode;

/// Topic configs can always be changed.
pub(super) const TOPIC_READ_ONLY: bool = false;

pub(super) fn start<S>(call: &mut Call, body: &[u8]) -> Step<S> {
    let request = decode!(DescribeConfigs, call, body);
    let image = call.cx.image.clone();
    let results = request
        .resources
        .iter()
        .map(|resource| describe(&image, &request, resource))
        .collect();
    call.answer::<DescribeConfigs, S>(&DescribeConfigsResponse {
        results,
        ..Default::default()
    })
}

fn describe(
    image: &Image,
    request: &DescribeConfigsRequest,
    resource: &DescribeConfigsResource,
) -> DescribeConfigsResult {
    let result = DescribeConfigsResult {
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
        ..Default::default()
    };
    match values(image, resource) {
        Ok(values) => {
            let wanted = |value: &Resolved| match resource.configuration_keys.as_deref() {
                None | Some([]) => true,
                Some(keys) => keys.iter().any(|key| key == value.key.name),
            };
            let configs = values
                .into_iter()
                .filter(wanted)
                .map(|value| entry(request, resource.resource_type, value));
            DescribeConfigsResult {
                configs: configs.collect(),
                ..result
            }
        }
        Err((error, message)) => DescribeConfigsResult {
            error,
            error_message: Some(message),
            ..result
        },
    }
}

fn values(image: &Image, resource: &DescribeConfigsResource) -> Result<Vec<Resolved>, (ErrorCode, String)> {
    let name = resource.resource_name.as_str();
    match resource.resource_type {
        resource_type::TOPIC => {
            check_topic_name(name).map_err(|why| (ErrorCode::InvalidTopicException, why))?;
            let unknown = || {
                (
                    ErrorCode::UnknownTopicOrPartition,
                    format!("The topic '{name}' does not exist."),
                )
            };
            let topic = image.topic(name).ok_or_else(unknown)?;
            Ok(resolve::resolve_topic_all(image, &topic.overrides))
        }
        // The defaults of all brokers: only what was set for them.
        resource_type::BROKER if name.is_empty() => {
            let set = |value: &mut Resolved| {
                value.found.retain(|found| found.source == Source::DefaultBroker);
                value
                    .found
                    .first()
                    .cloned()
                    .map(|found| (value.value, value.source) = (found.value, found.source))
                    .is_some()
            };
            let mut all = resolve::resolve_broker_all(image);
            all.retain_mut(set);
            Ok(all)
        }
        resource_type::BROKER if name == image.node_id.to_string() => Ok(resolve::resolve_broker_all(image)),
        resource_type::BROKER => {
            let message = format!(
                "Unexpected broker id, expected {} or empty string, but received {}",
                image.node_id,
                name.escape_debug()
            );
            Err((ErrorCode::InvalidRequest, message))
        }
        // None of these has any here; a name is all that is asked of them.
        resource_type::GROUP | resource_type::CLIENT_METRICS if !name.is_empty() => Ok(Vec::new()),
        other => {
            let message = format!(
                "Resource type {other} has no configs here: only topics ({}) and brokers ({}) do.",
                resource_type::TOPIC,
                resource_type::BROKER
            );
            Err((ErrorCode::InvalidRequest, message))
        }
    }
}

fn entry(request: &DescribeConfigsRequest, resource: i8, value: Resolved) -> DescribeConfigsEntry {
    let key = value.key;
    let read_only = if resource == resource_type::TOPIC {
        TOPIC_READ_ONLY
    } else {
        !key.dynamic
    };
    let is_secret = key.kind.is_secret();
    let synonym = |found: Found| DescribeConfigsSynonym {
        name: found.name.to_string(),
        value: Some(found.value).filter(|_| !is_secret),
        source: found.source as i8,
    };
    let is_set = |value: &String| !value.is_empty() || key.kind.may_be_empty();
    DescribeConfigsEntry {
        name: key.name.to_string(),
        value: Some(value.value).filter(|value| is_set(value) && !is_secret),
        read_only,
        config_source: value.source as i8,
        is_sensitive: is_secret,
        synonyms: if request.include_synonyms {
            let found = value.found.into_iter();
            found.filter(|found| is_set(&found.value)).map(synonym).collect()
        } else {
            Vec::new()
        },
        config_type: key.kind.wire_type(),
        documentation: request.include_documentation.then(|| key.documentation()),
    }
}

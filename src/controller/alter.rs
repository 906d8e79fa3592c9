//! Plans for changing topic and broker configs, as a whole (AlterConfigs) or key by key (KIP-339).

use crate::controller::configs::broker::broker_key;
use crate::controller::configs::foreign::foreign_key;
use crate::controller::configs::resolve;
use crate::controller::configs::topic::topic_key;
use crate::controller::configs::{ConfigKey, value};
use crate::controller::internal;
use crate::controller::machine::Controller;
use crate::controller::names::check_topic_name;
use crate::controller::record::{MetaRecord, pairs};
use crate::controller::request::{ConfigChange, ConfigOp, ControllerReply, Outcome};
use crate::wire::error::ErrorCode;
use std::collections::{BTreeMap, BTreeSet};

/// Kafka's resource type of a topic.
pub const RESOURCE_TOPIC: i8 = 2;
/// Kafka's resource type of a broker.
pub const RESOURCE_BROKER: i8 = 4;

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

type Refused = (ErrorCode, String);
type Values = BTreeMap<String, String>;

impl Controller {
    pub(super) fn plan_alter(
        &mut self,
        resources: Vec<ConfigChange>,
        validate_only: bool,
        records: &mut Vec<MetaRecord>,
    ) -> ControllerReply {
        let mut seen = BTreeSet::new();
        let twice: BTreeSet<_> = resources
            .iter()
            .map(|r| (r.resource_type, r.name.clone()))
            .filter(|key| !seen.insert(key.clone()))
            .collect();
        let results = resources.into_iter().map(|change| {
            if twice.contains(&(change.resource_type, change.name.clone())) {
                return Outcome::refused(ErrorCode::InvalidRequest, "Each resource must appear at most once.");
            }
            match self.change(&change) {
                Ok(record) => {
                    if !validate_only {
                        self.propose(record, records);
                    }
                    Outcome::fine()
                }
                Err((error, message)) => Outcome::refused(error, message),
            }
        });
        ControllerReply::Altered(results.collect())
    }

    fn change(&self, change: &ConfigChange) -> Result<MetaRecord, Refused> {
        check_shape(change)?;
        match change.resource_type {
            RESOURCE_TOPIC => self.change_topic(change),
            RESOURCE_BROKER => self.change_broker(change),
            other => Err((
                ErrorCode::InvalidRequest,
                format!(
                    "Configs of resource type {other} cannot be changed here: only topics (2) and brokers (4) have configs."
                ),
            )),
        }
    }

    fn change_topic(&self, change: &ConfigChange) -> Result<MetaRecord, Refused> {
        let image = &self.planned.image;
        check_topic_name(&change.name).map_err(|why| match change.name.is_empty() {
            true => (
                ErrorCode::InvalidRequest,
                "Default topic resources are not allowed.".into(),
            ),
            false => (ErrorCode::InvalidTopicException, why),
        })?;
        let Some(topic) = image.topic(&change.name) else {
            return Err((
                ErrorCode::UnknownTopicOrPartition,
                format!("The topic '{}' does not exist.", change.name.escape_debug()),
            ));
        };
        let known =
            |name: &str| topic_key(name).ok_or_else(|| format!("Unknown topic config name: {}", name.escape_debug()));
        let effective = |key: &'static ConfigKey| resolve::resolve_topic(image, &topic.overrides, key).value;
        let rules = internal::check_of(&topic.name);
        let check = |key: &ConfigKey, value: &str| rules(key, value).and_then(|()| self.check_batch_limit(key, value));
        let mut values = apply(change, &topic.overrides, known, (effective, check))
            .map_err(|why| (ErrorCode::InvalidConfig, why))?;
        internal::complete(&topic.name, &mut values);
        Ok(MetaRecord::TopicConfigs {
            id: topic.id.0,
            overrides: pairs(&values),
        })
    }

    fn change_broker(&self, change: &ConfigChange) -> Result<MetaRecord, Refused> {
        let image = &self.planned.image;
        if !change.name.is_empty() && change.name != image.node_id.to_string() {
            let message = format!(
                "Unexpected broker id, expected {} or empty string, but received {}",
                image.node_id,
                change.name.escape_debug()
            );
            return Err((ErrorCode::InvalidRequest, message));
        }
        let known = |name: &str| match broker_key(name).or_else(|| foreign_key(name)) {
            Some(key) if key.foreign => Err(format!("{name} has no effect here: {}", key.doc)),
            None => Err(format!("Unknown broker config name: {}", name.escape_debug())),
            Some(key) if !key.dynamic => Err(format!(
                "{name} cannot be changed while running: set it in the configuration file and restart"
            )),
            Some(key) => Ok(key),
        };
        let none = Values::new();
        let current = image.broker_configs.get(&change.name).unwrap_or(&none);
        let effective = |key: &'static ConfigKey| resolve::resolve_broker(image, key).value;
        // INVALID_REQUEST and not INVALID_CONFIG, as in Kafka (KAFKA-13609).
        let check = |key: &ConfigKey, value: &str| key.check(value).and_then(|()| self.check_batch_limit(key, value));
        let values =
            apply(change, current, known, (effective, check)).map_err(|why| (ErrorCode::InvalidRequest, why))?;
        Ok(MetaRecord::BrokerConfigs {
            name: change.name.clone(),
            values: pairs(&values),
        })
    }
}

impl Controller {
    /// A batch lies in one journal file: a limit that no file can hold would only be noticed at produce.
    pub(super) fn check_batch_limit(&self, key: &ConfigKey, value: &str) -> Result<(), String> {
        let limit = self.config.batch_bytes_max;
        let is_size = matches!(key.name, "max.message.bytes" | "message.max.bytes");
        match value.trim().parse::<u64>() {
            Ok(bytes) if is_size && bytes > limit => Err(format!(
                "Invalid value {value} for configuration {}: a journal file of this node holds batches of at most {limit} bytes",
                key.name
            )),
            _ => Ok(()),
        }
    }
}

/// Rules that need nothing but the request: each key once, an operation that exists, a value where one is needed.
fn check_shape(change: &ConfigChange) -> Result<(), Refused> {
    let mut seen = BTreeSet::new();
    for op in &change.ops {
        let key = op.key.escape_debug();
        let wrong = match op.op {
            _ if !seen.insert(&op.key) => format!("Error due to duplicate config keys: {key}"),
            SET | APPEND | SUBTRACT if op.value.is_none() => format!("Null value not supported for : {key}"),
            SET..=SUBTRACT => continue,
            other => format!("Unknown config operation {other}: 0 sets, 1 deletes, 2 appends, 3 subtracts."),
        };
        return Err((ErrorCode::InvalidRequest, wrong));
    }
    Ok(())
}

/// The values after the change, or why they cannot be.
fn apply(
    change: &ConfigChange,
    current: &Values,
    known: impl Fn(&str) -> Result<&'static ConfigKey, String>,
    (effective, check): (
        impl Fn(&'static ConfigKey) -> String,
        impl Fn(&ConfigKey, &str) -> Result<(), String>,
    ),
) -> Result<Values, String> {
    let mut values = if change.replace { Values::new() } else { current.clone() };
    for op in &change.ops {
        // What is not there may be deleted, whatever it is.
        let Some(given) = op.value.as_deref().filter(|_| op.op != DELETE) else {
            values.remove(&op.key);
            continue;
        };
        let key = known(&op.key)?;
        let base = || current.get(&op.key).cloned().unwrap_or_else(|| effective(key));
        let value = changed(key, op, given, base)?;
        check(key, &value)?;
        values.insert(op.key.clone(), value);
    }
    Ok(values)
}

/// A key's value after one operation.
fn changed(key: &ConfigKey, op: &ConfigOp, given: &str, base: impl Fn() -> String) -> Result<String, String> {
    match op.op {
        SET => Ok(given.trim().to_string()),
        op => edit_list(key, op, given, &base()),
    }
}

fn edit_list(key: &ConfigKey, op: i8, given: &str, base: &str) -> Result<String, String> {
    if !key.kind.is_list() {
        let name = if op == APPEND { "APPEND" } else { "SUBTRACT" };
        return Err(format!(
            "Can't {name} to key {} because its type is not LIST.",
            key.name
        ));
    }
    let mut list: Vec<&str> = value::items(base).collect();
    for item in value::items(given) {
        list.retain(|have| op != SUBTRACT || *have != item);
        if op == APPEND && !list.contains(&item) {
            list.push(item);
        }
    }
    Ok(list.join(","))
}

//! The rules of `__consumer_offsets`: it is made with settings of its own, and stays compacted whatever clients ask for.
//! Retention would delete the offsets of groups that are alive.

use crate::controller::configs::ConfigKey;
use crate::controller::configs::resolve;
use crate::controller::image::{Image, OFFSETS_TOPIC};
use crate::controller::topics::check_overrides;
use crate::wire::error::ErrorCode;
use std::collections::BTreeMap;

type Refused = (ErrorCode, String);

/// Judges a key's new value.
pub(super) type Check = fn(&ConfigKey, &str) -> Result<(), String>;

const POLICY: &str = "cleanup.policy";
const COMPACT: &str = "compact";

/// Partitions when none are asked for. Groups are spread over them by hash, so their number never changes.
pub(super) fn partitions(image: &Image) -> usize {
    resolve::broker_int(image, "offsets.topic.num.partitions").max(1) as usize
}

/// The overrides of a new `__consumer_offsets`: Kafka's own, and what a client that creates it asks for.
pub(super) fn overrides(
    image: &Image,
    given: &BTreeMap<String, Option<String>>,
) -> Result<BTreeMap<String, String>, Refused> {
    let mut given = given.clone();
    if let Some(Some(policy)) = given.remove(POLICY) {
        check_policy(&policy).map_err(|why| (ErrorCode::InvalidConfig, why))?;
    }
    let mut overrides = check_overrides(&given)?;
    let segment_bytes = resolve::broker_int(image, "offsets.topic.segment.bytes");
    let own = [
        (POLICY, COMPACT.to_string()),
        ("compression.type", "producer".to_string()),
        ("segment.bytes", segment_bytes.to_string()),
    ];
    for (name, value) in own {
        overrides.entry(name.to_string()).or_insert(value);
    }
    Ok(overrides)
}

/// How values of a topic's keys are judged.
pub(super) fn check_of(topic: &str) -> Check {
    match topic == OFFSETS_TOPIC {
        true => |key, value| {
            if key.name == POLICY {
                check_policy(value)
            } else {
                key.check(value)
            }
        },
        false => ConfigKey::check,
    }
}

/// Puts back what a change of all configs left out.
pub(super) fn complete(topic: &str, values: &mut BTreeMap<String, String>) {
    if topic == OFFSETS_TOPIC {
        values.entry(POLICY.to_string()).or_insert(COMPACT.to_string());
    }
}

/// Another number of partitions would give groups another coordinator, which knows nothing of their offsets.
pub(super) fn check_growth(topic: &str) -> Result<(), Refused> {
    match topic == OFFSETS_TOPIC {
        true => Err((
            ErrorCode::InvalidPartitions,
            format!("The number of partitions of {OFFSETS_TOPIC} cannot change: groups would lose their offsets."),
        )),
        false => Ok(()),
    }
}

fn check_policy(value: &str) -> Result<(), String> {
    match value.trim() {
        COMPACT => Ok(()),
        _ => Err(format!(
            "Invalid value {value} for configuration {POLICY}: {OFFSETS_TOPIC} keeps committed offsets, it is always {COMPACT}"
        )),
    }
}

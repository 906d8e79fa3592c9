//! Effective values: the strongest of topic, dynamic broker, static broker and default, with all weaker ones as synonyms.

use super::broker::{BROKER_KEYS, broker_key};
use super::foreign::foreign_keys;
use super::topic::{TOPIC_KEYS, topic_key};
use super::{ConfigKey, Found, Source, value};
use crate::controller::image::{Image, TimestampType, TopicConfig};
use std::collections::BTreeMap;

type Values = BTreeMap<String, String>;

/// A key with its effective value and where it and all weaker values were found, strongest first.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The key.
    pub key: &'static ConfigKey,
    /// Effective value in the key's own unit.
    pub value: String,
    /// Level of the effective value.
    pub source: Source,
    /// All values found, strongest first; none for a topic key without a broker key that is not set.
    pub found: Vec<Found>,
}

/// Resolves a topic key; `overrides` are the topic's own values.
pub fn resolve_topic(image: &Image, overrides: &Values, key: &'static ConfigKey) -> Resolved {
    let mut found = Vec::new();
    let mut effective = None;
    if let Some(value) = overrides.get(key.name) {
        effective = Some((value.clone(), Source::Topic));
        found.push(Found {
            name: key.name,
            value: value.clone(),
            source: Source::Topic,
        });
    }
    for &(name, factor) in key.synonyms {
        let Some(synonym) = broker_key(name) else { continue };
        for level in broker_levels(image, synonym) {
            if effective.is_none() {
                effective = Some((in_unit(&level.value, factor), level.source));
            }
            found.push(level);
        }
    }
    let (value, source) = effective.unwrap_or_else(|| (key.default.to_string(), Source::Default));
    // A key that no broker key stands behind has no synonyms, not even its default (`ConfigHelper.createTopicConfigEntry`).
    if let Some((name, _)) = key.synonyms.last() {
        found.push(Found {
            name,
            value: broker_key(name)
                .map_or(key.default, |broker| broker.default)
                .to_string(),
            source: Source::Default,
        });
    }
    Resolved {
        key,
        value,
        source,
        found,
    }
}

/// Resolves a broker key.
pub fn resolve_broker(image: &Image, key: &'static ConfigKey) -> Resolved {
    let mut found = broker_levels(image, key);
    found.push(Found {
        name: key.name,
        value: key.default.to_string(),
        source: Source::Default,
    });
    let (value, source) = found.first().map_or((String::new(), Source::Default), |first| {
        (first.value.clone(), first.source)
    });
    Resolved {
        key,
        value,
        source,
        found,
    }
}

/// All topic keys of a topic.
pub fn resolve_topic_all(image: &Image, overrides: &Values) -> Vec<Resolved> {
    TOPIC_KEYS
        .iter()
        .map(|key| resolve_topic(image, overrides, key))
        .collect()
}

/// All broker keys, and those of Kafka that have no effect here.
pub fn resolve_broker_all(image: &Image) -> Vec<Resolved> {
    let all = BROKER_KEYS.iter().chain(foreign_keys());
    all.map(|key| resolve_broker(image, key)).collect()
}

/// A broker key's effective value as an integer; its default when the static text is not one.
pub fn broker_int(image: &Image, name: &str) -> i64 {
    let Some(key) = broker_key(name) else { return 0 };
    let resolved = resolve_broker(image, key);
    resolved
        .value
        .trim()
        .parse()
        .or_else(|_| key.default.parse())
        .unwrap_or(0)
}

/// A broker key's effective value as a switch.
pub fn broker_bool(image: &Image, name: &str) -> bool {
    broker_key(name).is_some_and(|key| resolve_broker(image, key).value.trim().eq_ignore_ascii_case("true"))
}

/// What partitions of a topic with these overrides follow.
pub fn topic_config(image: &Image, overrides: &Values) -> TopicConfig {
    let text = |name: &str| topic_key(name).map_or_else(String::new, |key| resolve_topic(image, overrides, key).value);
    let long = |name: &str| -> i64 {
        let fallback = || topic_key(name).and_then(|key| key.default.parse().ok()).unwrap_or(0);
        text(name).trim().parse().unwrap_or_else(|_| fallback())
    };
    let policy = text("cleanup.policy");
    TopicConfig {
        retention_ms: long("retention.ms"),
        retention_bytes: long("retention.bytes"),
        segment_bytes: long("segment.bytes").max(1) as u64,
        segment_ms: long("segment.ms"),
        max_message_bytes: long("max.message.bytes").clamp(0, i64::from(i32::MAX)) as u32,
        timestamp_type: match text("message.timestamp.type").trim() {
            "LogAppendTime" => TimestampType::LogAppendTime,
            _ => TimestampType::CreateTime,
        },
        timestamp_before_max_ms: long("message.timestamp.before.max.ms"),
        timestamp_after_max_ms: long("message.timestamp.after.max.ms"),
        compression: codec(text("compression.type").trim()),
        cleanup_delete: value::items(&policy).any(|item| item == "delete"),
        cleanup_compact: value::items(&policy).any(|item| item == "compact"),
        delete_retention_ms: long("delete.retention.ms"),
        min_compaction_lag_ms: long("min.compaction.lag.ms"),
        max_compaction_lag_ms: long("max.compaction.lag.ms"),
        min_cleanable_ppm: (text("min.cleanable.dirty.ratio").trim().parse().unwrap_or(0.5_f64) * 1e6) as u32,
        file_delete_delay_ms: long("file.delete.delay.ms"),
    }
}

fn codec(name: &str) -> Option<u8> {
    match name {
        "uncompressed" => Some(0),
        "gzip" => Some(1),
        "snappy" => Some(2),
        "lz4" => Some(3),
        "zstd" => Some(4),
        _ => None,
    }
}

/// Values of a broker key above its default, strongest first.
fn broker_levels(image: &Image, key: &'static ConfigKey) -> Vec<Found> {
    let own = image.node_id.to_string();
    let dynamic = |resource: &str| {
        image
            .broker_configs
            .get(resource)
            .and_then(|values| values.get(key.name))
    };
    let levels = [
        (dynamic(&own), Source::Broker),
        (dynamic(""), Source::DefaultBroker),
        (image.static_configs.get(key.name), Source::Static),
    ];
    let present = |(value, source): (Option<&String>, Source)| {
        value.map(|value| Found {
            name: key.name,
            value: value.clone(),
            source,
        })
    };
    levels.into_iter().filter_map(present).collect()
}

/// Converts a synonym's value to the topic key's unit; a negative time stays "for ever".
fn in_unit(text: &str, factor: i64) -> String {
    if factor == 1 {
        return text.to_string();
    }
    match text.trim().parse::<i64>() {
        Ok(number) if number < 0 => "-1".to_string(),
        Ok(number) => number.saturating_mul(factor).to_string(),
        Err(_) => text.to_string(),
    }
}

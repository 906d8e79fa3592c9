//! The registry's own order and the levels of effective values.

use super::broker::{BROKER_KEYS, broker_key};
use super::resolve::{resolve_broker, resolve_topic};
use super::topic::{TOPIC_KEYS, topic_key};
use super::{Found, Source};
use crate::controller::image::Image;
use std::collections::BTreeMap;
use std::sync::Arc;

fn image(statics: &[(&str, &str)], default: &[(&str, &str)], own: &[(&str, &str)]) -> Image {
    let map = |pairs: &[(&str, &str)]| {
        pairs
            .iter()
            .map(|(k, v)| (k.to_string(), v.to_string()))
            .collect::<BTreeMap<_, _>>()
    };
    Image {
        node_id: 1,
        static_configs: Arc::new(map(statics)),
        broker_configs: BTreeMap::from([(String::new(), map(default)), ("1".into(), map(own))]),
        ..Image::default()
    }
}

#[test]
fn tables_are_sorted_and_every_default_is_legal_and_honoured() {
    for table in [TOPIC_KEYS, BROKER_KEYS] {
        assert!(table.windows(2).all(|pair| pair[0].name < pair[1].name));
        for key in table {
            if !key.default.is_empty() {
                assert_eq!(key.check(key.default), Ok(()), "{}", key.name);
            }
            assert!(key.doc.ends_with('.'), "{}", key.name);
        }
    }
    for key in TOPIC_KEYS {
        for (synonym, _) in key.synonyms {
            assert!(broker_key(synonym).is_some(), "{synonym}");
        }
    }
}

#[test]
fn the_strongest_level_wins_and_all_weaker_ones_are_synonyms_20() {
    let image = image(
        &[("log.retention.hours", "1")],
        &[("log.retention.ms", "5")],
        &[("log.retention.ms", "6")],
    );
    let overrides = BTreeMap::from([("retention.ms".to_string(), "7".to_string())]);
    let key = topic_key("retention.ms").unwrap();
    let got = resolve_topic(&image, &overrides, key);
    assert_eq!((got.value.as_str(), got.source), ("7", Source::Topic));
    let found = |name, value: &str, source| Found {
        name,
        value: value.into(),
        source,
    };
    assert_eq!(
        got.found,
        [
            found("retention.ms", "7", Source::Topic),
            found("log.retention.ms", "6", Source::Broker),
            found("log.retention.ms", "5", Source::DefaultBroker),
            found("log.retention.hours", "1", Source::Static),
            found("log.retention.hours", "168", Source::Default),
        ]
    );
    let got = resolve_topic(&image, &BTreeMap::new(), key);
    assert_eq!((got.value.as_str(), got.source), ("6", Source::Broker));
}

#[test]
fn hours_and_minutes_become_milliseconds() {
    let key = topic_key("retention.ms").unwrap();
    let value = |statics: &[(&str, &str)]| {
        let got = resolve_topic(&image(statics, &[], &[]), &BTreeMap::new(), key);
        (got.value, got.source)
    };
    assert_eq!(value(&[]), ("604800000".into(), Source::Default));
    assert_eq!(
        value(&[("log.retention.hours", "2")]),
        ("7200000".into(), Source::Static)
    );
    assert_eq!(
        value(&[("log.retention.hours", "2"), ("log.retention.minutes", "3")]),
        ("180000".into(), Source::Static)
    );
    assert_eq!(value(&[("log.retention.hours", "-5")]), ("-1".into(), Source::Static));
}

#[test]
fn a_broker_key_shows_where_its_value_comes_from() {
    let key = broker_key("num.partitions").unwrap();
    let got = resolve_broker(&image(&[("num.partitions", "4")], &[], &[]), key);
    assert_eq!((got.value.as_str(), got.source), ("4", Source::Static));
    let got = resolve_broker(&image(&[], &[], &[]), key);
    assert_eq!((got.value.as_str(), got.source), ("1", Source::Default));
}

//! Quotas: set and described as Kafka does, enforced by telling the client to wait and not reading it meanwhile.

use crate::batches::{at, large};
use crate::rig::{Came, Rig, Topic, at_once, creatable};
use ringlog::wire::control::api_versions::{ApiVersions, ApiVersionsRequest};
use ringlog::wire::control::client_quotas::{
    AlterClientQuotas, AlterClientQuotasRequest, AlterQuotaEntry, DescribeClientQuotas, DescribeClientQuotasRequest,
    MATCH_ANY, MATCH_DEFAULT, MATCH_EXACT, QuotaComponent, QuotaEntity, QuotaOp,
};
use ringlog::wire::control::create_topics::{CreateTopics, CreateTopicsRequest};
use ringlog::wire::control::metadata::{Metadata, MetadataRequest};
use ringlog::wire::error::ErrorCode;
use ringlog::wire::fetch::FetchRequest;

/// What the rig's connections call themselves.
const CLIENT: &str = "behaviour";

type Entity<'a> = &'a [(&'a str, Option<&'a str>)];
type Ops<'a> = &'a [(&'a str, Option<f64>)];

fn alter(rig: &mut Rig, entity: Entity, ops: Ops, validate_only: bool) -> (ErrorCode, String) {
    let part = |(kind, name): &(&str, Option<&str>)| QuotaEntity {
        entity_type: kind.to_string(),
        name: name.map(str::to_string),
    };
    let op = |(key, value): &(&str, Option<f64>)| QuotaOp {
        key: key.to_string(),
        value: value.unwrap_or_default(),
        remove: value.is_none(),
    };
    let request = AlterClientQuotasRequest {
        entries: vec![AlterQuotaEntry {
            entity: entity.iter().map(part).collect(),
            ops: ops.iter().map(op).collect(),
        }],
        validate_only,
    };
    let mut result = rig.ask::<AlterClientQuotas>(1, &request).entries.remove(0);
    rig.pass_ms(if rig.is_own() { 1 } else { 300 });
    (result.error, result.error_message.take().unwrap_or_default())
}

#[track_caller]
fn set(rig: &mut Rig, entity: Entity, ops: Ops) {
    let (error, text) = alter(rig, entity, ops, false);
    assert_eq!(error, ErrorCode::None, "{text}");
}

/// Entities that match, with their values, as text.
fn describe(rig: &mut Rig, version: i16, components: &[(&str, i8, Option<&str>)], strict: bool) -> Vec<String> {
    let component = |(kind, match_type, name): &(&str, i8, Option<&str>)| QuotaComponent {
        entity_type: kind.to_string(),
        match_type: *match_type,
        name: name.map(str::to_string),
    };
    let request = DescribeClientQuotasRequest {
        components: components.iter().map(component).collect(),
        strict,
    };
    let response = rig.ask::<DescribeClientQuotas>(version, &request);
    if response.error != ErrorCode::None {
        return vec![response.error.name().to_string()];
    }
    let mut found: Vec<_> = response
        .entries
        .unwrap()
        .into_iter()
        .map(|entry| {
            let mut text: Vec<_> = entry
                .entity
                .iter()
                .map(|part| format!("{}={}", part.entity_type, part.name.as_deref().unwrap_or("*")))
                .collect();
            text.sort();
            let values = entry
                .values
                .iter()
                .map(|value| format!("{}:{}", value.key, value.value));
            let mut values: Vec<_> = values.collect();
            values.sort();
            format!("{} {}", text.join(","), values.join(","))
        })
        .collect();
    found.sort();
    found
}

#[test]
fn quotas_are_set_described_and_removed_94() {
    let mut rig = Rig::own(|_| ());
    let user: Entity = &[("user", Some("ann"))];
    let pair: Entity = &[("user", Some("ann")), ("client-id", None)];
    set(
        &mut rig,
        user,
        &[("producer_byte_rate", Some(1024.0)), ("request_percentage", Some(12.5))],
    );
    set(&mut rig, pair, &[("consumer_byte_rate", Some(2048.0))]);
    set(
        &mut rig,
        &[("client-id", Some("app"))],
        &[("producer_byte_rate", Some(5.0))],
    );
    set(
        &mut rig,
        &[("ip", Some("10.1.2.3"))],
        &[("connection_creation_rate", Some(7.0))],
    );
    let ann = "user=ann producer_byte_rate:1024,request_percentage:12.5";
    let ann_pair = "client-id=*,user=ann consumer_byte_rate:2048";
    for version in 0..=1 {
        let exact = ("user", MATCH_EXACT, Some("ann"));
        assert_eq!(describe(&mut rig, version, &[exact], false), [ann_pair, ann]);
        assert_eq!(describe(&mut rig, version, &[exact], true), [ann]);
        let defaults = [("client-id", MATCH_DEFAULT, None)];
        assert_eq!(describe(&mut rig, version, &defaults, false), [ann_pair]);
        assert_eq!(
            describe(&mut rig, version, &[("client-id", MATCH_ANY, None)], false).len(),
            2
        );
        let ip = [("ip", MATCH_ANY, None)];
        assert_eq!(
            describe(&mut rig, version, &ip, false),
            ["ip=10.1.2.3 connection_creation_rate:7"]
        );
        assert_eq!(describe(&mut rig, version, &[], false).len(), 4);
    }
    assert_eq!(
        alter(&mut rig, user, &[("producer_byte_rate", None)], true).0,
        ErrorCode::None
    );
    assert_eq!(
        describe(&mut rig, 1, &[], false).len(),
        4,
        "validate_only changes nothing"
    );
    set(
        &mut rig,
        user,
        &[("producer_byte_rate", None), ("request_percentage", None)],
    );
    assert_eq!(
        describe(&mut rig, 1, &[("user", MATCH_ANY, None)], false),
        [ann_pair],
        "an entity without values is gone"
    );
    for power_cut in [false, true] {
        rig.restart(power_cut);
        assert_eq!(
            describe(&mut rig, 1, &[], false).len(),
            3,
            "quotas are there after a restart"
        );
    }
}

#[test]
fn quotas_that_cannot_be_are_refused_94() {
    let mut rig = Rig::own(|_| ());
    let rate: Ops = &[("producer_byte_rate", Some(10.0))];
    let long = "u".repeat(2_000);
    for (entity, ops) in [
        (&[][..], rate),
        (&[("planet", Some("x"))][..], rate),
        (&[("user", Some(""))][..], rate),
        (&[("user", Some(long.as_str()))][..], rate),
        (&[("ip", Some("10.0.0.1")), ("user", Some("u"))][..], rate),
        (
            &[("ip", Some("no address at all"))][..],
            &[("connection_creation_rate", Some(1.0))][..],
        ),
        (&[("ip", Some("10.0.0.1"))][..], rate),
        (
            &[("user", Some("u"))][..],
            &[("connection_creation_rate", Some(1.0))][..],
        ),
        (&[("user", Some("u"))][..], &[("no_such_rate", Some(1.0))][..]),
        (&[("user", Some("u"))][..], &[("producer_byte_rate", Some(0.0))][..]),
        (&[("user", Some("u"))][..], &[("producer_byte_rate", Some(-5.0))][..]),
        (&[("user", Some("u"))][..], &[("producer_byte_rate", Some(1.5))][..]),
    ] {
        let (error, text) = alter(&mut rig, entity, ops, false);
        assert_eq!(error, ErrorCode::InvalidRequest, "{entity:?} {ops:?}");
        assert!(!rig.is_own() || !text.is_empty());
    }
    for components in [
        &[("user", MATCH_EXACT, None)][..],
        &[("user", MATCH_ANY, Some("u"))][..],
        &[("user", 9, None)][..],
        &[("user", MATCH_ANY, None), ("user", MATCH_DEFAULT, None)][..],
        &[("ip", MATCH_ANY, None), ("user", MATCH_ANY, None)][..],
    ] {
        assert_eq!(
            describe(&mut rig, 1, components, false),
            ["INVALID_REQUEST"],
            "{components:?}"
        );
    }
    assert_eq!(
        describe(&mut rig, 1, &[("planet", MATCH_ANY, None)], false),
        ["UNSUPPORTED_VERSION"]
    );
}

/// Milliseconds until the connection is read again.
fn blocked_ms(rig: &mut Rig, conn: usize) -> u64 {
    let begun = rig.now_ms();
    let frame = rig.frame(ringlog::wire::api::ApiKey::ApiVersions, 0, |_| ());
    rig.send(conn, &frame);
    assert!(matches!(rig.came(conn, 3_600_000), Came::Frame(_)));
    (rig.now_ms() - begun) as u64
}

fn produce(rig: &mut Rig, conn: usize, topic: &Topic, bytes: usize) -> i32 {
    let batch = large(rig.now_ms(), bytes);
    let correlation = rig.send_produce(conn, 9, -1, topic, &[(0, &batch)]);
    let response = rig.produced(conn, 9, correlation);
    assert_eq!(response.topics[0].partitions[0].error, ErrorCode::None);
    response.throttle_time_ms
}

#[test]
fn a_producer_above_its_rate_is_answered_at_once_and_then_not_read_8_94() {
    let mut rig = Rig::own(|_| ());
    let topic = rig.topic(1, &[]);
    assert_eq!(produce(&mut rig, 0, &topic, 50_000), 0, "without a quota nobody waits");
    set(
        &mut rig,
        &[("client-id", Some(CLIENT))],
        &[("producer_byte_rate", Some(10_000.0))],
    );
    let begun = rig.now_ms();
    let throttle_ms = produce(&mut rig, 0, &topic, 50_000);
    assert!(rig.now_ms() - begun < 100, "the answer does not wait");
    assert!((4_000..4_200).contains(&throttle_ms), "a window is free: {throttle_ms}");
    let blocked = blocked_ms(&mut rig, 0);
    assert!(
        blocked.abs_diff(throttle_ms as u64) < 100,
        "{blocked} for {throttle_ms}"
    );
    rig.pass_ms(10_000);
    assert_eq!(produce(&mut rig, 0, &topic, 5_000), 0, "what was used is worked off");
    set(
        &mut rig,
        &[("client-id", Some(CLIENT))],
        &[("producer_byte_rate", None)],
    );
    assert_eq!(produce(&mut rig, 0, &topic, 500_000), 0, "the quota is gone");
}

#[test]
fn over_a_minute_a_producer_gets_its_rate_however_many_connections_it_has_94() {
    let mut rig = Rig::own(|_| ());
    let topic = rig.topic(1, &[]);
    set(
        &mut rig,
        &[("client-id", None)],
        &[("producer_byte_rate", Some(100_000.0))],
    );
    for conns in [1, 2, 4] {
        // Connections of the rig go to the shards in turn.
        let conns: Vec<usize> = (0..conns).map(|_| rig.connect()).collect();
        rig.pass_ms(20_000);
        let begun = rig.now_ms();
        let mut sent = 0;
        let mut free_at: Vec<i64> = conns.iter().map(|_| begun).collect();
        while rig.now_ms() - begun < 60_000 {
            let next = (0..conns.len()).min_by_key(|at| free_at[*at]).unwrap();
            let wait = free_at[next] - rig.now_ms();
            rig.pass_ms(wait.max(1) as u64);
            let throttle_ms = produce(&mut rig, conns[next], &topic, 20_000);
            free_at[next] = rig.now_ms() + i64::from(throttle_ms);
            sent += 20_000;
        }
        let rate = sent as f64 / 60.0;
        assert!(
            (95_000.0..112_000.0).contains(&rate),
            "{} connections: {rate}",
            conns.len()
        );
    }
}

#[test]
fn a_throttled_fetch_gives_nothing_and_then_everything_8_94() {
    let mut rig = Rig::own(|_| ());
    let topic = rig.topic(1, &[]);
    for _ in 0..4 {
        let batch = large(rig.now_ms(), 50_000);
        rig.written(&topic, &batch);
    }
    set(
        &mut rig,
        &[("user", Some("ANONYMOUS"))],
        &[("consumer_byte_rate", Some(40_000.0))],
    );
    let sessionless = |offset| at_once(vec![topic.wanted(&[(0, offset)])]);
    let first = rig.fetch_all(12, &sessionless(0));
    assert_eq!(first.throttle_time_ms, 0, "an empty bucket takes any batch");
    assert_eq!(first.topics[0].partitions[0].records_len(), large(0, 50_000).len());
    let second = rig.fetch_all(12, &sessionless(1));
    assert!(
        (1_000..1_300).contains(&second.throttle_time_ms),
        "{}",
        second.throttle_time_ms
    );
    assert_eq!(
        (second.error, second.session_id, second.topics.len()),
        (ErrorCode::None, 0, 0)
    );
    assert!(blocked_ms(&mut rig, 0).abs_diff(second.throttle_time_ms as u64) < 100);
    let third = rig.fetch_all(12, &sessionless(1));
    assert_eq!(third.throttle_time_ms, 0);
    assert_eq!(
        third.topics[0].partitions[0].records_len(),
        large(0, 50_000).len(),
        "the same again"
    );
}

#[test]
fn a_throttled_session_stays_as_it_was_8_94() {
    let mut rig = Rig::own(|_| ());
    let topic = rig.topic(1, &[]);
    for _ in 0..2 {
        let batch = large(rig.now_ms(), 50_000);
        rig.written(&topic, &batch);
    }
    set(
        &mut rig,
        &[("client-id", None)],
        &[("consumer_byte_rate", Some(50_000.0))],
    );
    let full = FetchRequest {
        session_epoch: 0,
        ..at_once(vec![topic.wanted(&[(0, 0)])])
    };
    let opened = rig.fetch_all(12, &full);
    let id = opened.session_id;
    assert!(id != 0 && opened.topics[0].partitions[0].records_len() > 50_000);
    let next = |epoch, topics| FetchRequest {
        session_id: id,
        session_epoch: epoch,
        ..at_once(topics)
    };
    let throttled = rig.fetch_all(12, &next(1, vec![topic.wanted(&[(0, 1)])]));
    assert!(throttled.throttle_time_ms > 0);
    assert_eq!((throttled.session_id, throttled.topics.len()), (id, 0));
    rig.pass_ms(throttled.throttle_time_ms as u64);
    let given = rig.fetch_all(12, &next(2, vec![]));
    assert_eq!((given.throttle_time_ms, given.session_id), (0, id));
    assert_eq!(given.topics[0].partitions[0].records_len(), large(0, 50_000).len());
    // A full fetch that is throttled opens no session.
    let throttled = rig.fetch_all(12, &full);
    assert!(throttled.throttle_time_ms > 0);
    assert_eq!((throttled.session_id, throttled.topics.len()), (0, 0));
}

#[test]
fn acks_0_is_throttled_without_a_word_8_94() {
    let mut rig = Rig::own(|_| ());
    let topic = rig.topic(1, &[]);
    set(
        &mut rig,
        &[("client-id", Some(CLIENT))],
        &[("producer_byte_rate", Some(10_000.0))],
    );
    let batch = large(rig.now_ms(), 30_000);
    rig.send_produce(0, 9, 0, &topic, &[(0, &batch)]);
    let blocked = blocked_ms(&mut rig, 0);
    assert!((1_900..2_300).contains(&blocked), "{blocked}");
}

#[test]
fn the_most_specific_quota_counts_94() {
    let mut rig = Rig::own(|_| ());
    let topic = rig.topic(1, &[]);
    let rate = |bytes| [("producer_byte_rate", Some(bytes))];
    let mut throttle_ms = |entity: Entity, bytes: f64| {
        set(&mut rig, entity, &rate(bytes));
        let throttle_ms = produce(&mut rig, 0, &topic, 100_000);
        rig.pass_ms(200_000);
        f64::from(throttle_ms) * bytes / 1000.0
    };
    // Throttled by what is beyond one window of the quota that counts: 100 kB less a second's worth of bytes.
    let anonymous = ("user", Some("ANONYMOUS"));
    for (entity, bytes) in [
        (&[("client-id", None)][..], 1_000.0),
        (&[("client-id", Some(CLIENT))][..], 2_000.0),
        (&[("user", None)][..], 3_000.0),
        (&[anonymous][..], 4_000.0),
        (&[anonymous, ("client-id", Some(CLIENT))][..], 5_000.0),
    ] {
        let over = throttle_ms(entity, bytes);
        assert!((over - (100_200.0 - bytes)).abs() < 500.0, "{entity:?}: {over}");
    }
}

#[test]
fn new_connections_of_an_address_are_served_at_its_rate_94() {
    let mut rig = Rig::own(|_| ());
    set(&mut rig, &[("ip", None)], &[("connection_creation_rate", Some(2.0))]);
    let begun = rig.now_ms();
    let first: Vec<usize> = (0..8).map(|_| rig.connect()).collect();
    rig.pass_ms(250);
    // By now both shards know of all eight; connections of the rig go to them in turn.
    let later = [rig.connect(), rig.connect()];
    let mut served = |conn| {
        blocked_ms(&mut rig, conn);
        rig.now_ms() - begun
    };
    assert!(served(first[0]) < 300, "a window's worth is served at once");
    for conn in later {
        let after_ms = served(conn);
        assert!((3_000..4_500).contains(&after_ms), "ten at two a second: {after_ms}");
    }
}

#[test]
fn a_strict_client_is_refused_changes_above_its_rate_and_an_old_one_waits_94() {
    let mut rig = Rig::own(|_| ());
    set(
        &mut rig,
        &[("client-id", Some(CLIENT))],
        &[("controller_mutation_rate", Some(5.0))],
    );
    let create = |rig: &mut Rig, version| {
        let request = CreateTopicsRequest {
            topics: vec![creatable(&rig.name("many"), 20, &[])],
            ..Default::default()
        };
        let response = rig.ask::<CreateTopics>(version, &request);
        (response.topics[0].error, response.throttle_time_ms)
    };
    assert_eq!(create(&mut rig, 7), (ErrorCode::None, 0), "the first is free");
    let (error, throttle_ms) = create(&mut rig, 6);
    assert_eq!(error, ErrorCode::ThrottlingQuotaExceeded);
    assert!((2_800..3_100).contains(&throttle_ms), "{throttle_ms}");
    let (error, throttle_ms) = create(&mut rig, 5);
    assert_eq!(error, ErrorCode::None, "served, and told to wait");
    let _ = throttle_ms;
    rig.pass_ms(60_000);
    assert_eq!(create(&mut rig, 7), (ErrorCode::None, 0));
}

#[test]
fn whoever_is_throttled_may_still_ask_for_versions_8_94() {
    let mut rig = Rig::own(|_| ());
    set(&mut rig, &[("client-id", None)], &[("producer_byte_rate", Some(10.0))]);
    let versions = rig.ask::<ApiVersions>(
        3,
        &ApiVersionsRequest {
            client_software_name: "test".into(),
            client_software_version: "1".into(),
        },
    );
    assert_eq!((versions.error, versions.throttle_time_ms), (ErrorCode::None, 0));
    let answer = rig.ask::<Metadata>(12, &MetadataRequest::default());
    assert_eq!(answer.throttle_time_ms, 0, "only producing is limited");
    let topic = rig.topic(1, &[]);
    let batch = at(&[rig.now_ms()]);
    assert_eq!(rig.produce(&topic, &batch).error, ErrorCode::None);
}

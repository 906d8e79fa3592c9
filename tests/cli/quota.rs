//! `ringlog quota`: against a scripted broker, which shows what was sent.

use super::json;
use super::support::fake::{self, Answer};
use super::support::{Broker, Run, ringlog, run};
use kafka_protocol::messages::alter_client_quotas_response::{EntityData as Changed, EntryData as Outcome};
use kafka_protocol::messages::describe_client_quotas_response::{EntityData, EntryData, ValueData};
use kafka_protocol::messages::{
    AlterClientQuotasRequest, AlterClientQuotasResponse, ApiKey, DescribeClientQuotasRequest,
    DescribeClientQuotasResponse,
};
use kafka_protocol::protocol::{Decodable, StrBytes};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

type Sent = Arc<Mutex<Vec<AlterClientQuotasRequest>>>;

const OFFERED: &[(ApiKey, i16, i16)] = &[
    (ApiKey::ApiVersions, 0, 3),
    (ApiKey::Metadata, 0, 9),
    (ApiKey::DescribeClientQuotas, 0, 1),
    (ApiKey::AlterClientQuotas, 0, 1),
];

fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_string())
}

/// A broker with one quota, of client id `loader`; it refuses changes of user `root`.
fn broker() -> (SocketAddr, Sent) {
    let sent = Sent::default();
    let seen = sent.clone();
    let address = fake::start(move |address, asked| match asked.key {
        18 => Answer::of(&fake::versions(OFFERED), asked.version.min(3)),
        3 => Answer::of(&fake::metadata(&[(1, address)], 1), asked.version),
        48 => {
            let request = DescribeClientQuotasRequest::decode(&mut asked.body.clone(), asked.version).unwrap();
            let wanted = request
                .components
                .iter()
                .all(|part| &*part.entity_type == "client-id" && part._match.as_deref() == Some("loader"));
            let part = EntityData::default()
                .with_entity_type(text("client-id"))
                .with_entity_name(Some(text("loader")));
            let value = ValueData::default()
                .with_key(text("producer_byte_rate"))
                .with_value(1048576.0);
            let entry = EntryData::default().with_entity(vec![part]).with_values(vec![value]);
            let entries = if wanted { vec![entry] } else { Vec::new() };
            Answer::of(
                &DescribeClientQuotasResponse::default().with_entries(Some(entries)),
                asked.version,
            )
        }
        _ => {
            let request = AlterClientQuotasRequest::decode(&mut asked.body.clone(), asked.version).unwrap();
            let entity = request.entries[0].entity.clone();
            let is_root = entity[0].entity_name.as_deref() == Some("root");
            let parts = entity.into_iter().map(|part| {
                Changed::default()
                    .with_entity_type(part.entity_type)
                    .with_entity_name(part.entity_name)
            });
            let outcome = Outcome::default()
                .with_entity(parts.collect())
                .with_error_code(if is_root { 42 } else { 0 });
            seen.lock().unwrap().push(request);
            Answer::of(
                &AlterClientQuotasResponse::default().with_entries(vec![outcome]),
                asked.version,
            )
        }
    });
    (address, sent)
}

fn quota(address: SocketAddr, args: &[&str]) -> Run {
    let address = address.to_string();
    run(ringlog().arg("quota").args(args).args(["-b", &address]), b"")
}

#[test]
fn quotas_are_listed_set_and_removed() {
    let (address, sent) = broker();
    let table = quota(address, &["list"]).ok();
    assert!(
        table.contains("client-id=loader  producer_byte_rate  1048576"),
        "{table}"
    );
    let listed = json(&quota(address, &["list", "--client-id", "loader", "--format", "json"]).ok());
    assert_eq!(listed[0]["values"]["producer_byte_rate"], 1048576.0);

    let done = quota(
        address,
        &[
            "set",
            "--user-default",
            "--client-id",
            "loader",
            "produce=2MiB",
            "request=50",
        ],
    );
    assert_eq!(
        done.ok(),
        "user=<default>,client-id=loader: producer_byte_rate=2097152, request_percentage=50\n"
    );
    quota(address, &["set", "--user", "alice", "fetch=1000", "--dry-run"]).ok();
    assert_eq!(
        quota(address, &["remove", "--client-id", "loader"]).ok(),
        "client-id=loader: producer_byte_rate removed\n"
    );
    let sent = sent.lock().unwrap();
    let entity = |index: usize| -> Vec<(String, Option<String>)> {
        let parts = &sent[index].entries[0].entity;
        let owned = |part: &kafka_protocol::messages::alter_client_quotas_request::EntityData| {
            (
                part.entity_type.to_string(),
                part.entity_name.as_ref().map(|name| name.to_string()),
            )
        };
        parts.iter().map(owned).collect()
    };
    let expected = [("user", None), ("client-id", Some("loader"))];
    assert_eq!(
        entity(0),
        expected.map(|(kind, name)| (kind.to_string(), name.map(str::to_string)))
    );
    let ops = |index: usize| -> Vec<(String, f64, bool)> {
        let ops = sent[index].entries[0].ops.iter();
        ops.map(|op| (op.key.to_string(), op.value, op.remove)).collect()
    };
    assert_eq!(
        ops(0),
        [
            ("producer_byte_rate".to_string(), 2097152.0, false),
            ("request_percentage".to_string(), 50.0, false)
        ]
    );
    assert_eq!(
        sent.iter().map(|request| request.validate_only).collect::<Vec<_>>(),
        [false, true, false]
    );
    assert_eq!(ops(2), [("producer_byte_rate".to_string(), 0.0, true)]);
}

#[test]
fn what_cannot_be_limited_says_why() {
    let (address, sent) = broker();
    quota(address, &["set", "--user", "root", "produce=1"]).fails(1, "quota of user=root: INVALID_REQUEST");
    quota(address, &["remove", "--user", "bob"]).fails(6, "user=bob has no quota");
    quota(address, &["set", "produce=1"]).fails(2, "say whom");
    quota(address, &["set", "--user", "x", "speed=1"]).fails(2, "produce, fetch");
    quota(address, &["set", "--user", "x", "--ip", "10.0.0.1", "connection=1"]).fails(2, "cannot be used with");
    assert_eq!(sent.lock().unwrap().len(), 1, "only the first reached the broker");
}

#[test]
fn a_broker_without_quotas_is_named() {
    let address = fake::start(|address, asked| match asked.key {
        18 => Answer::of(&fake::versions(&OFFERED[..2]), asked.version.min(3)),
        _ => Answer::of(&fake::metadata(&[(1, address)], 1), asked.version),
    });
    quota(address, &["list"]).fails(1, "does not offer DescribeClientQuotas");
    quota(address, &["set", "--user", "x", "produce=1"]).fails(1, "does not offer AlterClientQuotas");
}

/// Of a broker that has them: what is set is listed, and gone after removal.
#[test]
fn a_real_broker_keeps_what_is_set() {
    let broker = Broker::get();
    if broker.run(&["quota", "list"]).err.contains("does not offer") {
        return broker
            .run(&["quota", "set", "--user", "x", "produce=1"])
            .fails(1, "does not offer AlterClientQuotas");
    }
    let client = super::support::unique("client");
    broker.ok(&["quota", "set", "--client-id", &client, "produce=2MiB"]);
    let listed = broker.ok(&["quota", "list", "--client-id", &client]);
    assert!(listed.contains("producer_byte_rate  2097152"), "{listed}");
    broker.ok(&["quota", "remove", "--client-id", &client]);
    assert_eq!(
        broker.ok(&["quota", "list", "--client-id", &client, "--format", "json"]),
        "[]\n"
    );
}

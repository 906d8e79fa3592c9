//! `ringlog doctor connect`: each way in which the way to a broker breaks, and what the user is told.

use super::json;
use super::support::fake::{self, Answer};
use super::support::node::Node;
use super::support::{Broker, Run, Scratch, ringlog, run};
use kafka_protocol::messages::ApiKey;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpListener;

fn doctor(address: &str) -> Run {
    run(ringlog().args(["doctor", "connect", address, "--timeout", "2s"]), b"")
}

/// Asserts that a hop is broken, and that cause and remedy are told.
#[track_caller]
fn breaks(address: &str, says: &[&str]) {
    let found = doctor(address);
    let text = found.text();
    assert_eq!(found.code, 5, "{text}{}", found.err);
    for words in says {
        assert!(text.contains(words), "it does not say {words:?}:\n{text}");
    }
}

/// Answers every connection with these bytes, whatever it is asked.
fn babbler(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut socket in listener.incoming().map_while(Result::ok) {
            let _ = socket.read(&mut [0; 2000]);
            let _ = socket.write_all(answer);
        }
    });
    address
}

#[test]
fn a_way_without_faults_is_walked_to_its_end() {
    let broker = Broker::get();
    let text = doctor(broker.address()).ok();
    assert!(text.contains("a client can connect to"), "{text}");
    assert!(!text.contains("FAIL"), "{text}");
    let report = run(
        ringlog().args(["doctor", "connect", broker.address(), "--format", "json"]),
        b"",
    );
    let report = json(&report.ok());
    assert_eq!(report["ok"], Value::from(true));
    let steps = report["steps"].as_array().unwrap();
    let names: Vec<(&str, &str)> = steps
        .iter()
        .map(|step| (step["hop"].as_str().unwrap(), step["step"].as_str().unwrap()))
        .collect();
    assert_eq!(
        names[..4],
        ["resolve", "connect", "versions", "metadata"].map(|step| ("bootstrap", step))
    );
    assert_eq!(names.last().unwrap().1, "identity");
}

#[test]
fn the_bootstrap_hop_says_what_is_there_instead_of_kafka() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    breaks(
        &closed,
        &[
            "bootstrap breaks at connect",
            "connection refused",
            "is the broker running",
        ],
    );
    breaks("no-such-host.invalid:9092", &["breaks at resolve", "no such host"]);
    breaks("kafka", &["breaks at resolve", "Docker"]);
    let web = babbler(b"HTTP/1.1 400 Bad Request\r\nServer: test-web\r\n\r\n");
    breaks(&web, &["breaks at versions", "HTTP server (test-web)", "usually 9092"]);
    // A TLS alert: handshake failure.
    let tls = babbler(&[0x15, 3, 3, 0, 2, 2, 40]);
    breaks(&tls, &["it speaks TLS", "security.protocol=SSL"]);
    let closes = babbler(b"");
    breaks(&closes, &["breaks at versions", "closes them"]);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let found = run(
        ringlog().args(["doctor", "connect", &address, "--timeout", "300ms"]),
        b"",
    );
    assert_eq!(found.code, 5);
    assert!(found.text().contains("says nothing"), "{}", found.text());
    run(ringlog().args(["doctor", "connect", "http://localhost"]), b"").fails(2, "leave out `http://`");
}

#[test]
fn a_listener_that_wants_a_login_is_told_from_a_broken_one() {
    let address = fake::start(|_, asked| match asked.key {
        18 => Answer::of(
            &fake::versions(&[(ApiKey::ApiVersions, 0, 3), (ApiKey::Metadata, 0, 9)]),
            asked.version.min(3),
        ),
        _ => Answer::Close,
    });
    breaks(&address.to_string(), &["breaks at metadata", "SASL"]);
}

#[test]
fn the_port_of_a_controller_is_recognised() {
    let address = fake::start(|_, asked| match asked.key {
        18 => Answer::of(&fake::versions(&[(ApiKey::ApiVersions, 0, 3)]), asked.version.min(3)),
        _ => Answer::Close,
    });
    breaks(
        &address.to_string(),
        &["breaks at metadata", "listener of a KRaft controller"],
    );
}

#[test]
fn advertised_addresses_that_lead_nowhere_are_named_with_the_setting() {
    let folder = Scratch::new();
    let node = Node::start(&folder.0.join("a"), &["--advertise", "127.0.0.1:1"]);
    breaks(
        &node.kafka,
        &[
            "node 1 breaks at connect",
            "127.0.0.1: connection refused",
            "sends clients to 127.0.0.1:1",
            "--advertise",
        ],
    );
    let admin = node.ready["admin"].as_str().unwrap().to_string();
    breaks(&admin, &["HTTP server", "admin, metrics or console port"]);
    drop(node);
    let node = Node::start(&folder.0.join("b"), &["--advertise", "no-such-host.invalid:9092"]);
    breaks(
        &node.kafka,
        &["node 1 breaks at resolve", "cannot resolve `no-such-host.invalid`"],
    );
    drop(node);
    let other = Broker::get();
    let node = Node::start(&folder.0.join("c"), &["--advertise", other.address()]);
    breaks(
        &node.kafka,
        &["node 1 breaks at identity", "another cluster", "port mapping"],
    );
}

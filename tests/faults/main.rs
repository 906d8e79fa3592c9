//! Faults as an operator meets them: damaged files of a stopped node, machines that lack what a broker needs, too few file
//! descriptors. Each ends in the log as it was, or in a refusal that names file, cause and remedy; never in other bytes, never in a
//! log that is silently shorter. Full and failing disks need root and are in `tests/powercut` (`powercut faults`).

#![allow(clippy::unwrap_used)]
#![cfg(feature = "runtime")]
#![allow(dead_code)] // the rig's modules also serve the power-cut runs

#[path = "../powercut/src/error.rs"]
mod error;
#[path = "../powercut/src/kafka/mod.rs"]
mod kafka;
#[path = "../powercut/src/records.rs"]
mod records;
#[path = "../powercut/src/rng.rs"]
mod rng;
#[path = "../support/mod.rs"]
mod support;

mod damage;
mod files;
mod machine;

use kafka::{api, batch, conn::Conn};
use records::Name;
use support::node::Node;
use support::{Run, eventually};

const SEED: u64 = 5;
/// One shard with the smallest journal, so that a few megabytes pass through segments and checkpoints.
const SMALL: [&str; 4] = ["--shards", "1", "--memory", "64MiB"];
const TOPIC: &str = "ledger";
const LANES: i32 = 2;

/// Records `from..to` of a lane, acknowledged. What is refused for a moment is sent again, as every client does.
fn produce(conn: &mut Conn, lane: i32, from: u32, to: u32) {
    let producer = batch::Producer { id: -1, epoch: -1 };
    for first in (from..to).step_by(50) {
        let record = |n| {
            Name {
                producer: 0,
                lane: lane as u32,
                n,
            }
            .record(SEED)
        };
        let records: Vec<_> = (first..to.min(first + 50)).map(record).collect();
        let bytes = batch::encode(producer, -1, &records);
        let body = api::produce_body(&[(TOPIC, lane, &bytes)]);
        eventually("a batch is taken", || {
            let answer = conn.call(api::PRODUCE, api::PRODUCE_VERSION, &body).unwrap();
            let code = api::produced(&answer).unwrap()[0].code;
            assert!(code == 0 || code == 56, "produce to lane {lane}: error {code}");
            code == 0
        });
    }
}

/// How far a lane can be read from its start, and the error code that ends it. Every record read is the one that was sent.
fn read(conn: &mut Conn, lane: i32) -> (u32, Option<i16>) {
    let (start, end) = api::offsets(conn, TOPIC, lane).unwrap();
    assert_eq!(start, 0, "the log starts where it did");
    let mut next: u32 = 0;
    while i64::from(next) < end {
        let bytes = match api::fetch(conn, TOPIC, lane, next.into(), 1 << 20) {
            Ok(bytes) => bytes,
            Err(error) => return (next, Some(error.code().unwrap_or_else(|| panic!("{error}")))),
        };
        let before = next;
        batch::decode(&bytes, |offset, record| {
            if offset < i64::from(before) {
                return;
            }
            let name = Name {
                producer: 0,
                lane: lane as u32,
                n: next,
            };
            assert_eq!(offset, i64::from(next), "offsets follow each other");
            assert_eq!(record, name.record(SEED), "record {next} of lane {lane}");
            next += 1;
        })
        .unwrap();
        assert!(next > before, "nothing at offset {next}, and no error");
    }
    (next, None)
}

fn connect(node: &Node) -> Conn {
    Conn::open(node.kafka.parse().unwrap()).unwrap()
}

fn refused(name: &str, run: &Run, says: &[&str]) {
    assert_eq!(run.code, 1, "{name}: {}", run.err);
    for word in says {
        assert!(
            run.err.contains(word),
            "{name}: the refusal does not say {word:?}:\n{}",
            run.err
        );
    }
}

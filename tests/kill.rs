//! Kill -9 under load: idempotent producers, ten kills on one data directory, every acknowledged record read back once,
//! at its offset, unchanged. `tests/powercut` has the long form (`powercut kill --rounds 200`); this is its rig.

#![allow(clippy::unwrap_used)]
#![cfg(feature = "runtime")]
#![allow(dead_code)] // the rig's modules also serve the power-cut runs

#[path = "powercut/src/broker.rs"]
mod broker;
#[path = "powercut/src/error.rs"]
mod error;
#[path = "powercut/src/kafka/mod.rs"]
mod kafka;
#[path = "powercut/src/kill.rs"]
mod kill;
#[path = "powercut/src/ledger.rs"]
mod ledger;
#[path = "powercut/src/producer.rs"]
mod producer;
#[path = "powercut/src/records.rs"]
mod records;
#[path = "powercut/src/rng.rs"]
mod rng;
#[path = "powercut/src/verify.rs"]
mod verify;

use std::path::Path;
use std::time::Duration;

/// Kills a broker with `extra` arguments ten times and expects a spotless log.
fn survives(name: &str, extra: &[&str]) {
    let work = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("kill-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&work).expect("work directory");
    let plan = kill::Plan {
        rounds: 10,
        producers: 3,
        seed: 7,
        spec: broker::Spec {
            binary: env!("CARGO_BIN_EXE_ringlog").into(),
            extra: extra.iter().map(ToString::to_string).collect(),
            addr: broker::free_addr().expect("free port"),
            log: work.join("broker.log"),
        },
        data_dir: work.join("data"),
        ledger: work.join("ledger.txt"),
        pause: Duration::from_millis(2),
        life: Duration::from_millis(800),
        topics: producer::topics(),
        topic_configs: producer::topic_configs(),
    };
    let outcome = kill::run(&plan, &mut |_| ()).unwrap_or_else(|error| panic!("{error} (see {})", work.display()));
    assert_eq!(outcome.violations, Vec::<String>::new(), "see {}", work.display());
    assert!(
        outcome.findings.clean(),
        "{} (see {})",
        outcome.findings,
        work.display()
    );
    assert!(
        outcome.records.0 > 100,
        "only {} records acknowledged: nothing was tested",
        outcome.records.0
    );
    std::fs::remove_dir_all(&work).expect("clearing up");
}

#[test]
fn acknowledged_records_survive_kills_on_one_shard() {
    survives("one", &["--admin", "off", "--memory", "128MiB", "--shards", "1"]);
}

#[test]
fn acknowledged_records_survive_kills_on_two_shards() {
    survives("two", &["--admin", "off", "--memory", "128MiB", "--shards", "2"]);
}

//! Seeds of the simulator: each runs production shards on a faulty disk, with crashes, and checks every promise.
//!
//! `RINGLOG_SIM_SEEDS=N` runs more seeds, `RINGLOG_SIM_SEED=S` one seed.

#![allow(clippy::unwrap_used)]

use ringlog::sim::rot;
use ringlog::sim::world::{Limits, run};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn acknowledged_records_survive_every_seed() {
    let one = number("RINGLOG_SIM_SEED");
    let count = number("RINGLOG_SIM_SEEDS").unwrap_or(60);
    let seeds = one.map_or(0..count, |seed| seed..seed + 1);
    let (mut acked, mut read, mut crashes, mut commits, mut compactions) = (0, 0, 0, 0, 0);
    for seed in seeds {
        eprint!("{seed} ");
        let report = run(seed, Limits::default()).unwrap_or_else(|why| panic!("RINGLOG_SIM_SEED={seed}: {why}"));
        acked += report.acked;
        read += report.read;
        crashes += report.crashes;
        commits += report.commits;
        compactions += report.compactions;
    }
    println!(
        "{acked} records acknowledged, {read} read, {commits} offsets committed, {crashes} crashes, {compactions} compactions"
    );
    assert!(
        acked > 0 && read > 0 && crashes > 0 && commits > 0 && (one.is_some() || compactions > 0),
        "the simulation did something"
    );
}

/// Seeds that once broke a promise, or came to a standstill.
#[test]
fn seeds_that_once_failed() {
    for seed in [102, 215, 305, 314, 315, 327, 332, 345, 352, 364, 868, 1273] {
        run(seed, Limits::default()).unwrap_or_else(|why| panic!("RINGLOG_SIM_SEED={seed}: {why}"));
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..10 {
        assert_eq!(
            run(seed, Limits::default()),
            run(seed, Limits::default()),
            "seed {seed}"
        );
    }
}

/// Damage of any block of any file of a stopped node: refused or without effect, never another record, never a shorter log.
#[test]
fn damage_at_rest_is_noticed_or_harmless() {
    let one = number("RINGLOG_SIM_SEED");
    let count = number("RINGLOG_SIM_SEEDS").unwrap_or(6);
    let seeds = one.map_or(0..count, |seed| seed..seed + 1);
    let mut sum = rot::RotReport::default();
    for seed in seeds {
        let report = rot::run(seed, 50).unwrap_or_else(|why| panic!("RINGLOG_SIM_SEED={seed}: {why}"));
        sum.starts_refused += report.starts_refused;
        sum.reads_refused += report.reads_refused;
        sum.harmless += report.harmless;
    }
    println!("{sum:?}");
    assert!(
        sum.starts_refused > 0 && sum.reads_refused > 0 && sum.harmless > 0,
        "each way to end was seen: {sum:?}"
    );
}

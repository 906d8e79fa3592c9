//! `powercut gate`: what one group commit costs the disk. One producer, one record at a time: each must be exactly one
//! write into the journal and one flush.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::broker::Spec;
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::kafka::api::{self, Topic};
use crate::kafka::batch;
use crate::kafka::conn::Conn;
use crate::records::Name;
use crate::report::Report;
use crate::rig::{Rig, Shape};

const COMMITS: u32 = 100;
const WARM_UP: u32 = 10;
/// Flushes beyond one per commit that background work (a checkpoint) may add.
const SPARE_FLUSHES: u64 = 3;

/// The broker prepares further journal files in the background; waits until nothing has been written for two seconds.
fn wait_until_quiet(disk: &Disk) {
    let (mut last, mut since, began) = (disk.counts(), Instant::now(), Instant::now());
    while since.elapsed() < Duration::from_secs(2) && began.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(50));
        let now = disk.counts();
        if (now.writes, now.flushes) != (last.writes, last.flushes) {
            (last, since) = (now, Instant::now());
        }
    }
}

/// Counts on one file system.
///
/// # Errors
/// When the rig or the broker does not work.
pub fn run(home: &Path, shape: Shape, spec: &Spec, report: &mut Report) -> Result<()> {
    let rig = Rig::build(home, shape)?;
    let (_broker, _, _) = spec.start(&rig.path().join("data"))?;
    let mut conn = Conn::open(spec.addr)?;
    api::create_topics(
        &mut conn,
        &[Topic {
            name: "gate",
            partitions: 1,
        }],
        &[],
    )?;
    let producer = api::init_producer(&mut conn)?;
    let mut commit = |n: u32| -> Result<()> {
        let record = batch::encode(
            producer,
            n as i32,
            &[Name {
                producer: 0,
                lane: 0,
                n,
            }
            .record(1)],
        );
        let answer = conn.call(
            api::PRODUCE,
            api::PRODUCE_VERSION,
            &api::produce_body(&[("gate", 0, &record)]),
        )?;
        match api::produced(&answer)?.first() {
            Some(result) if result.code == 0 => Ok(()),
            other => Err(Error::new(format!("produce: {other:?}"))),
        }
    };
    for n in 0..WARM_UP {
        commit(n)?;
    }
    wait_until_quiet(rig.disk());
    let (from, before) = (rig.disk().sequence(), rig.disk().counts());
    for n in WARM_UP..WARM_UP + COMMITS {
        commit(n)?;
    }
    let (to, after) = (rig.disk().sequence(), rig.disk().counts());
    let journal = rig.data_map(&|path| path.extension().is_some_and(|extension| extension == "jnl"));
    let entries = rig.disk().slice(from, to);
    let in_journal = |(offset, len): &(u64, usize)| journal.holds(*offset, offset + *len as u64);
    let journal_writes = entries.iter().flatten().filter(|write| in_journal(write)).count() as u64;
    let flushes = after.flushes - before.flushes;
    let commits = u64::from(COMMITS);
    let passed = journal_writes == commits && (commits..=commits + SPARE_FLUSHES).contains(&flushes);
    let all = after.writes - before.writes;
    let detail =
        format!("{commits} commits = {journal_writes} journal writes, {flushes} flushes ({all} writes in all)");
    report.line(
        &format!("{}, one write and one flush per group commit", shape.label()),
        passed,
        &detail,
    );
    Ok(())
}

//! Writes of a killed broker that the disk still works on when the next one starts: none may land after the new broker has read.
//!
//! Every write of a file takes a while, the broker is killed under load and started again at once. A block of an earlier run that
//! shows up in a journal after the new run serves is what must not happen; so is a log that is not the one that was acknowledged.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Lane, Plan, line};
use crate::broker::Spec;
use crate::error::{Error, Result};
use crate::kafka::conn::Conn;
use crate::kafka::{api, batch};
use crate::report::Report;
use crate::rig::{Rig, Shape};
use crate::sys::mount::FsKind;

const MIB: usize = 192;
/// What each write takes.
const SLOW: &str = "write 1 delay=120 sticky";
/// A late write would have landed by then.
const LATE: Duration = Duration::from_millis(400);

pub(super) fn run(home: &Path, plan: &Plan, report: &mut Report) -> Result<()> {
    let spec = plan.spec("late")?;
    line(report, "ext4, late writes of a killed broker", &spec, || {
        attempt(home, &spec, plan)
    });
    Ok(())
}

fn attempt(home: &Path, spec: &Spec, plan: &Plan) -> Result<String> {
    let shape = Shape {
        fs: FsKind::Ext4,
        direct: true,
        mib: MIB,
    };
    let rig = Rig::build(home, shape)?;
    let data = rig.path().join("data");
    let (mut broker, _, _) = spec.start(&data)?;
    let mut lane = Lane::new("late", plan.seed);
    let mut conn = Conn::open(spec.addr)?;
    lane.create(&mut conn)?;
    Lane::new("load", plan.seed).create(&mut conn)?;
    let (mut longest, rounds) = (Duration::ZERO, plan.rounds * 3);
    for round in 0..rounds {
        let mut conn = Conn::open(spec.addr)?;
        for _ in 0..20 {
            lane.produce(&mut conn, 100, 10_000)?;
        }
        for (from, to) in rig.data_map(&|_| true).ranges() {
            rig.rule(&format!("{SLOW} range={from}..{to}"))?;
        }
        let load: Vec<_> = (0..3)
            .map(|_| std::thread::spawn(background(spec.addr, plan.seed)))
            .collect();
        std::thread::sleep(Duration::from_millis(150 + 37 * u64::from(round % 8)));
        let old_run = blocks(&data)?.values().map(|(run, _)| *run).max().unwrap_or(0);
        broker.kill();
        let (next, _, took) = spec.start(&data)?;
        broker = next;
        longest = longest.max(took);
        let before = blocks(&data)?;
        std::thread::sleep(LATE);
        rig.clear_rules();
        let after = blocks(&data)?;
        let is_late = |(place, block): &(&Place, &(u64, u64))| block.0 <= old_run && before.get(*place) != Some(*block);
        if let Some((place, (run, lsn))) = after.iter().find(is_late) {
            return Err(Error::new(format!(
                "round {round}: block {lsn} of run {run}, which was killed, landed at {place:?} after run {old_run} had ended"
            )));
        }
        load.into_iter().for_each(|thread| drop(thread.join()));
        let mut conn = Conn::open(spec.addr)?;
        lane.verify(&mut conn)?;
        read_through(&mut conn)?;
    }
    broker.kill();
    Ok(format!(
        "{rounds} kills, slowest start {} ms, {} records compared",
        longest.as_millis(),
        lane.acked
    ))
}

/// Produces to the other topic until the connection breaks; its records do not count.
fn background(addr: std::net::SocketAddr, seed: u64) -> impl FnOnce() + Send {
    move || {
        let lane = Lane::new("load", seed);
        let Ok(mut conn) = Conn::open(addr) else { return };
        // What it believes of offsets is wrong, since others write to the topic as well.
        while lane.send(&mut conn, 100, 200).is_ok() {}
    }
}

/// The other topic can be read to its end.
fn read_through(conn: &mut Conn) -> Result<()> {
    let (mut next, end) = api::offsets(conn, "load", 0)?;
    while next < end {
        let bytes = api::fetch(conn, "load", 0, next, 1 << 20)?;
        let before = next;
        batch::decode(&bytes, |offset, _| next = next.max(offset + 1))?;
        if next == before {
            return Err(Error::new(format!(
                "load: nothing at offset {next}, the log ends at {end}"
            )));
        }
    }
    Ok(())
}

/// File and position.
type Place = (PathBuf, usize);

/// Run and number of each journal block, as the disk has it now.
fn blocks(data: &Path) -> Result<BTreeMap<Place, (u64, u64)>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(data.join("shards/0"))?.flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "jnl") {
            continue;
        }
        let mut file = std::fs::File::open(&path)?;
        // SAFETY: no memory involved; the descriptor is open.
        unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        for (index, block) in bytes.chunks_exact(4096).enumerate() {
            let word = |at: usize| {
                block[at..at + 8]
                    .iter()
                    .rev()
                    .fold(0u64, |sum, byte| sum << 8 | u64::from(*byte))
            };
            if block.starts_with(b"RLB1") {
                found.insert((path.clone(), index * 4096), (word(8), word(16)));
            }
        }
    }
    Ok(found)
}

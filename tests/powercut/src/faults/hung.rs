//! A disk that answers late or not at all: requests are answered within their time, reads of what memory holds go on, the operator
//! is told, and everything goes on by itself when the disk does.

use std::path::Path;
use std::time::{Duration, Instant};

use super::{Lane, Plan, TIMED_OUT, line, said, within};
use crate::broker::Spec;
use crate::error::{Error, Result};
use crate::kafka::api;
use crate::kafka::conn::Conn;
use crate::report::Report;
use crate::rig::{Rig, Shape};
use crate::sys::mount::FsKind;

const MIB: usize = 192;
/// The timeout that produce requests ask for.
const TIMEOUT_MS: i32 = 1_000;

pub(super) fn run(home: &Path, plan: &Plan, report: &mut Report) -> Result<()> {
    let spec = plan.spec("hung")?;
    line(report, "ext4, journal writes hang", &spec, || {
        hang(home, &spec, plan.seed)
    });
    let spec = plan.spec("slow")?;
    line(report, "ext4, segment writes hang", &spec, || {
        stall(home, &spec, plan.seed)
    });
    Ok(())
}

fn build(home: &Path) -> Result<Rig> {
    let shape = Shape {
        fs: FsKind::Ext4,
        direct: true,
        mib: MIB,
    };
    Rig::build(home, shape)
}

fn rules(rig: &Rig, ending: &str, rule: &str) -> Result<()> {
    let map = rig.data_map(&|path| path.to_string_lossy().ends_with(ending));
    for (from, to) in map.ranges() {
        rig.rule(&format!("{rule} range={from}..{to}"))?;
    }
    Ok(())
}

/// The lane's next batch is answered in time although the disk does not answer.
fn times_out(conn: &mut Conn, lane: &mut Lane) -> Result<()> {
    let began = Instant::now();
    let code = lane.produce(conn, 10, TIMEOUT_MS)?;
    if code != TIMED_OUT || began.elapsed() > Duration::from_millis(TIMEOUT_MS as u64 * 3) {
        return Err(Error::new(format!(
            "produce to a hung disk: error {code} after {:?}",
            began.elapsed()
        )));
    }
    Ok(())
}

fn hang(home: &Path, spec: &Spec, seed: u64) -> Result<String> {
    let rig = build(home)?;
    let (broker, _, _) = spec.start(&rig.path().join("data"))?;
    let mut conn = Conn::open(spec.addr)?;
    let mut lane = Lane::new("hung", seed);
    lane.create(&mut conn)?;
    for _ in 0..20 {
        lane.produce(&mut conn, 50, 10_000)?;
    }
    rules(&rig, ".jnl", "write 1 hang sticky")?;
    times_out(&mut conn, &mut lane)?;
    times_out(&mut conn, &mut lane)?;
    lane.verify(&mut conn)?;
    api::metadata(&mut conn)?;
    within("the operator is told", Duration::from_secs(15), || {
        Ok(said(spec, &["has not answered", "dmesg"]).is_ok())
    })?;
    rig.clear_rules();
    // What timed out may have been appended all the same: a client that is not idempotent cannot know.
    let before = lane.acked;
    let took = within("produce after the disk came back", Duration::from_secs(5), || {
        let end = api::offsets(&mut conn, lane.topic.name, 0)?.1;
        Ok(end == i64::from(before) + 20)
    })?;
    said(spec, &["answers again"])?;
    if !broker.terminate(Duration::from_secs(10)) {
        return Err(Error::new("SIGTERM did not end the broker cleanly"));
    }
    Ok(format!(
        "answered within the requests' timeout; back after {} ms",
        took.as_millis()
    ))
}

fn stall(home: &Path, spec: &Spec, seed: u64) -> Result<String> {
    let rig = build(home)?;
    let (broker, _, _) = spec.start(&rig.path().join("data"))?;
    let mut conn = Conn::open(spec.addr)?;
    let mut lane = Lane::new("stalled", seed);
    lane.create(&mut conn)?;
    // Segments have to be there, with room for more: one write to the last of them that never ends holds up all that follow.
    for _ in 0..30 {
        lane.produce(&mut conn, 100, 10_000)?;
    }
    rules(&rig, ".seg", "write 1 hang sticky")?;
    let before = lane.acked;
    let mut waited = 0;
    within("produce has to wait", Duration::from_secs(60), || {
        for _ in 0..50 {
            match lane.produce(&mut conn, 100, TIMEOUT_MS)? {
                0 => {}
                TIMED_OUT => waited += 1,
                code => return Err(Error::new(format!("produce while segments stall: error {code}"))),
            }
            if waited > 1 {
                return Ok(true);
            }
        }
        Ok(false)
    })?;
    let held = lane.acked - before;
    lane.verify(&mut conn)?;
    within("the operator is told", Duration::from_secs(15), || {
        // Below one file system one hung write may hold up others, so it is either.
        let is_full = said(spec, &["the journal is full", "dmesg"]).is_ok();
        Ok(is_full || said(spec, &["has not answered a journal write", "dmesg"]).is_ok())
    })?;
    rig.clear_rules();
    let acked = lane.acked;
    let took = within(
        "produce after the segments' disk came back",
        Duration::from_secs(10),
        || {
            let end = api::offsets(&mut conn, lane.topic.name, 0)?.1;
            Ok(end >= i64::from(acked))
        },
    )?;
    let mut other = Lane::new("other", seed);
    within("new topics", Duration::from_secs(10), || {
        Ok(other.create(&mut conn).is_ok())
    })?;
    within("produce", Duration::from_secs(10), || {
        Ok(other.produce(&mut conn, 10, TIMEOUT_MS)? == 0)
    })?;
    lane.verify(&mut conn)?;
    if !broker.terminate(Duration::from_secs(20)) {
        return Err(Error::new("SIGTERM did not end the broker cleanly"));
    }
    Ok(format!(
        "{held} records acknowledged until produce had to wait; back after {} ms",
        took.as_millis()
    ))
}

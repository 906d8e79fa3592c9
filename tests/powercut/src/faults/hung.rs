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
    Ok(())
}

/// Lets go of held writes when dropped, however the check ends: a broker with a write under way cannot be killed, and the file
/// system's commit, with every `sync` on the machine, waits behind it. Has to be dropped before the broker.
struct Held<'a>(&'a Rig);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.clear_rules();
    }
}

fn build(home: &Path) -> Result<Rig> {
    let shape = Shape {
        fs: FsKind::Ext4,
        direct: true,
        mib: MIB,
    };
    Rig::build(home, shape)
}

fn hold<'a>(rig: &'a Rig, ending: &str) -> Result<Held<'a>> {
    let held = Held(rig);
    let map = rig.data_map(&|path| path.to_string_lossy().ends_with(ending));
    for (from, to) in map.ranges() {
        rig.rule(&format!("write 1 hang sticky range={from}..{to}"))?;
    }
    Ok(held)
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
    let held = hold(&rig, ".jnl")?;
    times_out(&mut conn, &mut lane)?;
    times_out(&mut conn, &mut lane)?;
    lane.verify(&mut conn)?;
    api::metadata(&mut conn)?;
    within("the operator is told", Duration::from_secs(15), || {
        Ok(said(spec, &["has not answered", "dmesg"]).is_ok())
    })?;
    drop(held);
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

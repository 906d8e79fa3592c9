//! A 64 MiB file system filled by produce, and by somebody else's file: produce and new topics are refused, reads and deletes go on,
//! a start succeeds, and service resumes by itself once there is room.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Lane, Plan, STORAGE_ERROR, line, said, within};
use crate::broker::{Broker, Spec};
use crate::error::{Context, Error, Result};
use crate::kafka::api::{self, Topic};
use crate::kafka::conn::Conn;
use crate::report::Report;
use crate::sys::loopdev::LoopDevice;
use crate::sys::mount::{FsKind, MountedFs};

const MIB: u64 = 64;
/// Room has to be noticed within this.
const BACK: Duration = Duration::from_secs(10);
/// A full disk has to be noticed within this.
const NOTICED: Duration = Duration::from_secs(15);

pub(super) fn run(home: &Path, plan: &Plan, report: &mut Report) -> Result<()> {
    let spec = plan.spec("full-produce")?;
    line(report, "ext4 of 64 MiB, filled by produce", &spec, || {
        by_produce(home, &spec, plan.seed)
    });
    let spec = plan.spec("full-foreign")?;
    line(report, "ext4 of 64 MiB, filled by a foreign file", &spec, || {
        by_others(home, &spec, plan.seed)
    });
    Ok(())
}

/// A small file system of its own.
fn mount(home: &Path) -> Result<MountedFs> {
    let image = home.join("small");
    File::create(&image)?.set_len(MIB << 20).context("sizing the image")?;
    let device = LoopDevice::attach(&image, false)?;
    FsKind::Ext4.make(device.path())?;
    FsKind::Ext4.mount(device, &home.join("full"))
}

fn by_produce(home: &Path, spec: &Spec, seed: u64) -> Result<String> {
    let fs = mount(home)?;
    let data = fs.path().join("data");
    let (mut broker, _, _) = spec.start(&data)?;
    let mut conn = Conn::open(spec.addr)?;
    let mut kept = Lane::new("kept", seed);
    let mut bulk = Lane::new("bulk", seed + 1);
    kept.create(&mut conn)?;
    bulk.create(&mut conn)?;
    expect(kept.produce(&mut conn, 50, 10_000)?, 0, "produce to a disk with room")?;
    fill(&mut conn, &mut bulk)?;
    said(spec, &["no room", "free space", "produce is refused meanwhile"])?;
    refuses_topics(&mut conn)?;
    kept.verify(&mut conn)?;
    bulk.verify(&mut conn)?;
    let full = format!("refused after {} records", bulk.acked);
    // Restarting is what operators try first; it must not make things worse.
    for round in 0..6 {
        broker.kill();
        broker = spec.start(&data).context(&format!("start {round} on the full disk"))?.0;
    }
    let mut conn = Conn::open(spec.addr)?;
    bulk.verify(&mut conn)?;
    api::delete_topic(&mut conn, bulk.topic.name)?;
    let took = within("produce after a topic was deleted", BACK, || {
        resumed(&mut conn, &mut kept)
    })?;
    Lane::new("more", seed).create(&mut conn)?;
    kept.verify(&mut conn)?;
    end(broker, spec, &data, &kept)?;
    Ok(format!(
        "{full}; back {} ms after a topic was deleted",
        took.as_millis()
    ))
}

fn by_others(home: &Path, spec: &Spec, seed: u64) -> Result<String> {
    let fs = mount(home)?;
    let data = fs.path().join("data");
    let (mut broker, _, _) = spec.start(&data)?;
    let mut conn = Conn::open(spec.addr)?;
    let mut kept = Lane::new("kept", seed);
    let old = Lane::new("old", seed + 1);
    kept.create(&mut conn)?;
    old.create(&mut conn)?;
    expect(kept.produce(&mut conn, 50, 10_000)?, 0, "produce to a disk with room")?;
    let foreign = occupy(fs.path())?;
    fill(&mut conn, &mut kept)?;
    refuses_topics(&mut conn)?;
    kept.verify(&mut conn)?;
    for round in 0..6 {
        broker.kill();
        broker = spec.start(&data).context(&format!("start {round} on the full disk"))?.0;
    }
    let mut conn = Conn::open(spec.addr)?;
    kept.verify(&mut conn)?;
    api::delete_topic(&mut conn, old.topic.name).context("deleting a topic on the full disk")?;
    std::fs::remove_file(&foreign)?;
    let took = within("produce after the foreign file went", BACK, || {
        resumed(&mut conn, &mut kept)
    })?;
    Lane::new("more", seed).create(&mut conn)?;
    kept.verify(&mut conn)?;
    end(broker, spec, &data, &kept)?;
    Ok(format!(
        "{} records kept; back after {} ms",
        kept.acked,
        took.as_millis()
    ))
}

/// Produces until it is refused for want of space, and stays refused.
fn fill(conn: &mut Conn, lane: &mut Lane) -> Result<()> {
    within("a refusal", NOTICED, || {
        for _ in 0..200 {
            match lane.produce(conn, 100, 10_000)? {
                0 => {}
                STORAGE_ERROR => {
                    std::thread::sleep(Duration::from_millis(300));
                    return Ok(lane.produce(conn, 100, 10_000)? == STORAGE_ERROR);
                }
                code => return Err(Error::new(format!("produce to a full disk: error {code}"))),
            }
        }
        Ok(false)
    })
    .map(drop)
}

fn resumed(conn: &mut Conn, lane: &mut Lane) -> Result<bool> {
    match lane.produce(conn, 10, 10_000)? {
        0 => Ok(true),
        STORAGE_ERROR => Ok(false),
        code => Err(Error::new(format!("produce: error {code}"))),
    }
}

fn refuses_topics(conn: &mut Conn) -> Result<()> {
    within("a topic is refused", NOTICED, || {
        let topic = Topic {
            name: "too-much",
            partitions: 1,
        };
        match api::create_topics(conn, &[topic], &[]) {
            Ok(()) => {
                api::delete_topic(conn, "too-much")?;
                Ok(false)
            }
            Err(error) if error.to_string().contains("error 56") && error.to_string().contains("free space") => {
                Ok(true)
            }
            Err(error) => Err(error),
        }
    })
    .map(drop)
}

/// Takes every byte that is left.
fn occupy(at: &Path) -> Result<PathBuf> {
    let path = at.join("foreign");
    let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
    for size in [1 << 20, 64 << 10, 4096, 512] {
        let piece = vec![7; size];
        while file.write_all(&piece).and_then(|()| file.sync_data()).is_ok() {}
    }
    Ok(path)
}

fn expect(found: i16, wanted: i16, what: &str) -> Result<()> {
    if found == wanted {
        Ok(())
    } else {
        Err(Error::new(format!("{what}: error {found}")))
    }
}

/// A clean end, and everything is there after one more start.
fn end(broker: Broker, spec: &Spec, data: &Path, kept: &Lane) -> Result<()> {
    if !broker.terminate(Duration::from_secs(10)) {
        return Err(Error::new("SIGTERM did not end the broker cleanly"));
    }
    let (_broker, _, _) = spec.start(data)?;
    kept.verify(&mut Conn::open(spec.addr)?)
}

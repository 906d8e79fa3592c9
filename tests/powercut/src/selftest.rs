//! `powercut selftest`: proof on a tiny writer that the rig keeps what was flushed, loses what was not, counts what a
//! durable write costs, and injects the errors it is told to.

use std::path::Path;
use std::time::Duration;

use crate::cut::{self, Cutter};
use crate::error::{Context, Result};
use crate::frames::{FrameWriter, Sync, read_frames};
use crate::report::{Format, Report};
use crate::rig::{Rig, Shape, Stage};
use crate::rng::Rng;
use crate::run;
use crate::standin::Fault;
use crate::sys::fiemap::DataMap;
use crate::sys::mount::FsKind;

const FRAMES: u64 = 40;
const IMAGES: usize = 14;

/// Runs all cells for the given file systems and adds one line per cell to `report`.
///
/// # Errors
/// When a layer of the rig is missing; findings are not errors but failed lines.
pub fn run(home: &Path, kinds: &[FsKind], seed: u64, report: &mut Report) -> Result<()> {
    for &fs in kinds {
        for direct in [true, false] {
            let shape = Shape {
                fs,
                direct,
                mib: fs.min_mib(),
            };
            for (sync, lie) in [
                (Sync::Dsync, false),
                (Sync::Fdatasync, false),
                (Sync::None, false),
                (Sync::Dsync, true),
            ] {
                cell(home, shape, sync, lie, seed, report)?;
            }
            errors(home, shape, report)?;
        }
    }
    for fault in [
        Fault::None,
        Fault::NoFlush,
        Fault::NoDedup,
        Fault::ForgetProducers,
        Fault::NoChecksum,
    ] {
        stand_in(home, kinds, fault, seed, report)?;
    }
    Ok(())
}

/// The whole power-cut run against the stand-in broker: a right one must pass every image, a wrong one must not.
fn stand_in(home: &Path, kinds: &[FsKind], fault: Fault, seed: u64, report: &mut Report) -> Result<()> {
    let work = home.join("stand-in");
    let arguments = vec![format!("--fault={}", fault.name())];
    // A missing checksum shows only where a block is half there.
    let (images, modes) = match fault {
        Fault::NoChecksum => (32, vec![cut::Mode::Torn, cut::Mode::Garbled]),
        _ => (8, cut::MODES.to_vec()),
    };
    let plan = run::Plan {
        kinds: kinds[..1].to_vec(),
        images,
        modes,
        seed,
        mib: 128,
        load: Duration::from_secs(2),
        producers: 3,
        pause: Duration::from_millis(2),
        flush_off: false,
        binary: std::env::current_exe().context("finding this program")?,
        extra: [arguments.clone(), arguments],
        work: work.clone(),
        keep: false,
    };
    let mut inner = Report::new(Format::Silent);
    run::run(home, &plan, &mut inner)?;
    std::fs::remove_dir_all(&work).context("clearing up")?;
    let (good, bad) = inner.counts();
    let passed = if fault == Fault::None {
        bad == 0 && good > 0
    } else {
        bad > 0
    };
    let detail = format!("{good} images passed, {bad} findings");
    report.line(&format!("stand-in broker, fault {}", fault.name()), passed, &detail);
    Ok(())
}

fn cell(home: &Path, shape: Shape, sync: Sync, lie: bool, seed: u64, report: &mut Report) -> Result<()> {
    let rig = Rig::build(home, shape)?;
    let mut writer = FrameWriter::create(&rig.path().join("frames"), FRAMES, sync, seed)?;
    rig.settle()?;
    if lie {
        rig.rule("flush 1 lie sticky")?;
    }
    let (from, before) = (rig.disk().sequence(), rig.disk().counts());
    for _ in 0..FRAMES {
        writer.append(rig.disk())?;
    }
    let (to, after) = (rig.disk().sequence(), rig.disk().counts());
    let cost = (after.writes - before.writes, after.flushes - before.flushes);
    let data = rig.data_map(&|_| true);
    let disk = rig.finish();
    let (acked, kept) = cut_and_count(home, shape, &disk.take_log(), (from, to), &writer.acks, &data, seed)?;
    let must_keep = sync != Sync::None && !lie;
    let counted = sync != Sync::Dsync || cost == (FRAMES, FRAMES);
    let passed = counted && if must_keep { kept == acked } else { kept < acked };
    let what = match (sync, lie) {
        (_, true) => "RWF_DSYNC, flush lies",
        (Sync::Dsync, _) => "RWF_DSYNC",
        (Sync::Fdatasync, _) => "fdatasync",
        (Sync::None, _) => "no flush",
    };
    let text = format!(
        "kept {kept} of {acked} acked frames over {IMAGES} cuts; {FRAMES} frames = {} writes, {} flushes",
        cost.0, cost.1
    );
    report.line(&format!("{}, {what}", shape.label()), passed, &text);
    Ok(())
}

/// Cuts between `from` and `to` and once at the end; returns (acked, kept) frames summed over all images.
fn cut_and_count(
    home: &Path,
    shape: Shape,
    log: &[crate::disk::Entry],
    (from, to): (u64, u64),
    acks: &[u64],
    data: &DataMap,
    seed: u64,
) -> Result<(usize, usize)> {
    let mut cuts = cut::plan(log, (from, to), IMAGES - 1, &cut::MODES, &mut Rng::new(seed));
    cuts.push(cut::Cut {
        at: to,
        mode: cut::Mode::Dropped,
        seed,
    });
    let mut cutter = Cutter::new(log, shape.mib << 20);
    let mut stage = Stage::new(home, shape.mib)?;
    let (mut acked, mut kept) = (0, 0);
    for cut in cuts {
        stage.load(&mut cutter, cut, (data, data));
        let mounted = stage.mount(shape.fs)?;
        let whole = read_frames(&mounted.path().join("frames"), FRAMES, seed)?;
        for (frame, _) in acks.iter().enumerate().filter(|(_, at)| **at <= cut.at) {
            acked += 1;
            kept += usize::from(whole[frame]);
        }
    }
    Ok((acked, kept))
}

/// The third write and the second flush from here fail: the writer must see exactly that.
fn errors(home: &Path, shape: Shape, report: &mut Report) -> Result<()> {
    for (rule, good_frames) in [("write 3 EIO", 2), ("flush 2 EIO", 1), ("write 3 ENOSPC", 2)] {
        let rig = Rig::build(home, shape)?;
        let mut writer = FrameWriter::create(&rig.path().join("frames"), FRAMES, Sync::Dsync, 1)?;
        rig.settle()?;
        rig.rule(rule)?;
        let mut first_error = None;
        for _ in 0..8 {
            if let Err(error) = writer.append(rig.disk()) {
                first_error = Some(error.to_string());
                break;
            }
        }
        rig.clear_rules();
        let got = writer.acks.len();
        let passed = got == good_frames && first_error.is_some();
        let seen = first_error.unwrap_or_else(|| "no error".into());
        report.line(
            &format!("{}, rule {rule:?}", shape.label()),
            passed,
            &format!("{got} frames, then {seen}"),
        );
    }
    Ok(())
}

//! `powercut selftest`: proof on a tiny writer that the rig keeps what was flushed, loses what was not, counts what a
//! durable write costs, and injects the errors it is told to.

use std::path::Path;

use crate::cut::{self, Cutter};
use crate::error::Result;
use crate::frames::{FrameWriter, Sync, read_frames};
use crate::report::Report;
use crate::rig::{Rig, Shape, Stage};
use crate::rng::Rng;
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
    let mut cuts = cut::plan(log, from, to, IMAGES - 1, &mut Rng::new(seed));
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

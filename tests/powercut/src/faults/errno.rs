//! The n-th write or flush fails, once or from then on: nothing is acknowledged that could be lost, and the message says what to do.
//!
//! A failed flush may have thrown away what it was for while reads still show it, so the image that is checked afterwards holds only
//! what an honoured flush covered; and once more all of it.

use std::path::Path;
use std::time::Duration;

use super::{Plan, output, said};
use crate::check;
use crate::cut::{Cut, Cutter, Mode};
use crate::error::{Error, Result};
use crate::producer::{topic_configs, topics};
use crate::record::{self, Fault, Recording, Settings};
use crate::report::Report;
use crate::rig::{Shape, Stage};
use crate::sys::mount::FsKind;

/// Disk of a trial in MiB.
const MIB: usize = 192;
/// The load runs so long before something fails; by then journal files have been reclaimed.
const WARM_UP: Duration = Duration::from_millis(2500);
const LASTS: Duration = Duration::from_millis(2500);

/// What fails, and what has to come of it.
struct Trial {
    name: &'static str,
    files: Option<&'static str>,
    op: &'static str,
    /// `EIO` or `ENOSPC`, and once or sticky.
    action: &'static str,
    ends: Ends,
    says: &'static [&'static str],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// The broker must not go on.
    Yes,
    /// It must go on.
    No,
    /// As it happens: a flush belongs to journal, segment or the file system, whichever comes first.
    Either,
}

const STOPPED: &[&str] = &[
    "a journal write failed (errno",
    "nothing is acknowledged any more",
    "dmesg",
    "restart",
];
const REWRITTEN: &[&str] = &[
    "goes into a new one, out of the journal",
    "dmesg",
    "is rewritten and takes writes again",
];

const TRIALS: [Trial; 4] = [
    Trial {
        name: "journal write",
        files: Some(".jnl"),
        op: "write",
        action: "EIO once",
        ends: Ends::Yes,
        says: STOPPED,
    },
    Trial {
        name: "journal write, for good",
        files: Some(".jnl"),
        op: "write",
        action: "EIO sticky",
        ends: Ends::Yes,
        says: STOPPED,
    },
    Trial {
        name: "segment write",
        files: Some(".seg"),
        op: "write",
        action: "EIO once",
        ends: Ends::No,
        says: REWRITTEN,
    },
    Trial {
        name: "flush",
        files: None,
        op: "flush",
        action: "EIO once",
        ends: Ends::Either,
        says: &["errno 5", "dmesg"],
    },
];

pub(super) fn run(home: &Path, plan: &Plan, report: &mut Report) -> Result<()> {
    for trial in &TRIALS {
        for round in 0..plan.rounds {
            // A journal write waits for one flush, so the next flush is mostly its own; later ones hit all kinds.
            let nth = 1 + u64::from(round) * u64::from(round);
            let name = format!("ext4, the {nth}. {} fails, {}", trial.name, trial.action);
            match attempt(home, plan, trial, nth, report) {
                Ok(detail) => report.line(&name, true, &detail),
                Err(error) => report.failure(&name, &error.to_string()),
            }
        }
    }
    Ok(())
}

fn attempt(home: &Path, plan: &Plan, trial: &Trial, nth: u64, report: &mut Report) -> Result<String> {
    let spec = plan.spec("errno")?;
    let shape = Shape {
        fs: FsKind::Ext4,
        direct: true,
        mib: MIB,
    };
    let settings = Settings {
        spec: spec.clone(),
        topics: topics(),
        topic_configs: topic_configs(),
        producers: 3,
        pause: Duration::from_millis(1),
        load: WARM_UP + LASTS + Duration::from_secs(30),
        seed: plan.seed ^ nth,
        flush_off: false,
        fault: Some(Fault {
            after: WARM_UP,
            rule: format!("{} {nth} {}", trial.op, trial.action),
            files: trial.files,
            lasts: LASTS,
        }),
        work: plan.work.clone(),
    };
    let recording = record::record(home, shape, &settings, report)?;
    let log = output(&spec);
    let tail: Vec<&str> = log.lines().rev().take(4).collect();
    if let Some(violation) = recording.violations.first() {
        return Err(Error::new(violation.clone()));
    }
    match (trial.ends, recording.ended) {
        (Ends::Yes, false) => return Err(Error::new(format!("the broker goes on: {tail:?}"))),
        (Ends::No, true) => return Err(Error::new(format!("the broker ended: {tail:?}"))),
        _ => said(&spec, trial.says)?,
    }
    let owed = compare(home, plan, shape, &recording)?;
    let after = recording.acks.len() - recording.acks_before_fault;
    let ending = if recording.ended {
        "the broker ended"
    } else {
        "the broker went on"
    };
    Ok(format!(
        "{ending}, {after} batches acked after the fault was set, {owed} records acked and all there"
    ))
}

/// Starts on what the disk is sure to have, and on all it was given.
fn compare(home: &Path, plan: &Plan, shape: Shape, recording: &Recording) -> Result<u64> {
    let mut owed = 0;
    for mode in [Mode::Dropped, Mode::Kept] {
        let mut stage = Stage::new(home, shape.mib)?;
        let mut cutter = Cutter::new(&recording.log, shape.mib << 20);
        let cut = Cut {
            at: recording.to,
            mode,
            seed: plan.seed,
        };
        let spec = plan.spec("errno-image")?;
        let verdict = check::check(&mut stage, &mut cutter, (cut, shape.fs), recording, &spec)?;
        if !verdict.passed() {
            return Err(Error::new(format!("{mode:?}: {}", verdict.story())));
        }
        owed = verdict.owed;
    }
    Ok(owed)
}

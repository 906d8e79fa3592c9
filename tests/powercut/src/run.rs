//! `powercut run`: record, cut, check, sum up.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::broker::{self, Spec};
use crate::check::{self, Verdict};
use crate::cut::{self, Cutter, MODES, Mode};
use crate::error::{Context, Result};
use crate::producer::{topic_configs, topics};
use crate::record::{self, Recording, Settings};
use crate::report::Report;
use crate::rig::{Shape, Stage};
use crate::rng::Rng;
use crate::sys::mount::FsKind;

/// What `powercut run` was asked for.
pub struct Plan {
    /// File systems.
    pub kinds: Vec<FsKind>,
    /// Images per file system, shared by a recording on a direct and one on a buffered loop device.
    pub images: usize,
    /// Modes the cuts are drawn from.
    pub modes: Vec<Mode>,
    /// Seed of everything.
    pub seed: u64,
    /// Disk size in MiB; the file system's minimum when smaller.
    pub mib: usize,
    /// Length of the load of one recording.
    pub load: Duration,
    /// Producers.
    pub producers: u32,
    /// Wait of a producer before each new request.
    pub pause: Duration,
    /// The disk lies about flushes during the load; loss must then show.
    pub flush_off: bool,
    /// `ringlog`.
    pub binary: PathBuf,
    /// Further arguments of `ringlog start`, for the direct and for the buffered loop device.
    pub extra: [Vec<String>; 2],
    /// Where ledgers, broker output and images of failures go.
    pub work: PathBuf,
    /// Keep images of failures.
    pub keep: bool,
}

/// Sums over images.
#[derive(Clone, Default)]
struct Sums {
    images: u64,
    failed: u64,
    pending: u64,
    owed: u64,
    lost: u64,
    duplicated: u64,
    changed: u64,
    disordered: u64,
    no_mount: u64,
    no_start: u64,
    broken: u64,
}

const COLUMNS: [&str; 11] = [
    "images",
    "failed",
    "pending",
    "owed",
    "lost",
    "duplicated",
    "changed",
    "disordered",
    "no mount",
    "no start",
    "broken",
];

impl Sums {
    fn add(&mut self, v: &Verdict) {
        self.images += 1;
        self.failed += u64::from(!v.passed());
        self.pending += v.pending;
        self.owed += v.owed;
        self.lost += v.findings.lost;
        self.duplicated += v.findings.duplicated;
        self.changed += v.findings.changed;
        self.disordered += v.findings.disordered;
        self.no_mount += u64::from(v.no_mount.is_some());
        self.no_start += u64::from(v.no_start.is_some());
        self.broken += u64::from(!v.broken.is_empty());
    }

    fn values(&self) -> Vec<u64> {
        let counts = [
            self.images,
            self.failed,
            self.pending,
            self.owed,
            self.lost,
            self.duplicated,
        ];
        let rest = [self.changed, self.disordered, self.no_mount, self.no_start, self.broken];
        [&counts[..], &rest].concat()
    }
}

/// Runs the plan; every image is one check of the report (with the flush off: every recording is one).
///
/// # Errors
/// When the rig cannot work; findings are not errors.
pub fn run(home: &Path, plan: &Plan, report: &mut Report) -> Result<()> {
    std::fs::create_dir_all(&plan.work).context("work directory")?;
    let mut by_mode = vec![Sums::default(); MODES.len()];
    let mut rows = Vec::new();
    for &fs in &plan.kinds {
        for (half, direct) in [(plan.images.div_ceil(2), true), (plan.images / 2, false)] {
            if half == 0 {
                continue;
            }
            let shape = Shape {
                fs,
                direct,
                mib: plan.mib.max(fs.min_mib()),
            };
            let sums = recording_and_images(home, plan, shape, half, &mut by_mode, report)?;
            if plan.flush_off {
                let detail = format!(
                    "{} of {} owed records missing, {} images, {} of them readable",
                    sums.lost,
                    sums.owed,
                    sums.images,
                    sums.images - sums.no_mount - sums.no_start
                );
                report.line(
                    &format!("{}: loss shows with the flush off", shape.label()),
                    sums.lost > 0,
                    &detail,
                );
            }
            rows.push((shape.label(), sums.values()));
        }
    }
    report.table("file system", &COLUMNS, &rows);
    let named = MODES.iter().zip(&by_mode).filter(|(_, sums)| sums.images > 0);
    let modes: Vec<_> = named.map(|(mode, sums)| (format!("{mode:?}"), sums.values())).collect();
    report.table("pending writes", &COLUMNS, &modes);
    Ok(())
}

fn settings(plan: &Plan, direct: bool, seed: u64) -> Result<Settings> {
    let spec = Spec {
        binary: plan.binary.clone(),
        extra: plan.extra[usize::from(!direct)].clone(),
        addr: broker::free_addr()?,
        log: plan.work.join("recording.log"),
    };
    Ok(Settings {
        spec,
        topics: topics(),
        topic_configs: topic_configs(),
        producers: plan.producers,
        pause: plan.pause,
        load: plan.load,
        seed,
        flush_off: plan.flush_off,
        fault: None,
        work: plan.work.clone(),
    })
}

fn recording_and_images(
    home: &Path,
    plan: &Plan,
    shape: Shape,
    images: usize,
    by_mode: &mut [Sums],
    report: &mut Report,
) -> Result<Sums> {
    let seed = plan.seed ^ (u64::from(shape.direct) << 40) ^ ((shape.fs as u64) << 41);
    let settings = settings(plan, shape.direct, seed)?;
    let recording = record::record(home, shape, &settings, report)?;
    let records: u64 = recording.acks.iter().map(|ack| u64::from(ack.count)).sum();
    let entries = recording.to - recording.from;
    report.note(&format!(
        "{}: {records} records acked over {entries} log entries",
        shape.label()
    ));
    for violation in &recording.violations {
        report.failure(&format!("{}, recording", shape.label()), violation);
    }
    images_of(home, plan, shape, images, &recording, &settings.spec, by_mode, report)
}

#[allow(clippy::too_many_arguments)]
fn images_of(
    home: &Path,
    plan: &Plan,
    shape: Shape,
    images: usize,
    recording: &Recording,
    spec: &Spec,
    by_mode: &mut [Sums],
    report: &mut Report,
) -> Result<Sums> {
    let cuts = cut::plan(
        &recording.log,
        (recording.from, recording.to),
        images,
        &plan.modes,
        &mut Rng::new(plan.seed),
    );
    let mut cutter = Cutter::new(&recording.log, shape.mib << 20);
    let mut stage = Stage::new(home, shape.mib)?;
    let spec = Spec {
        log: plan.work.join("image.log"),
        ..spec.clone()
    };
    let mut sums = Sums::default();
    let began = Instant::now();
    for (number, cut) in cuts.into_iter().enumerate() {
        let verdict = check::check(&mut stage, &mut cutter, (cut, shape.fs), recording, &spec)?;
        sums.add(&verdict);
        by_mode[MODES.iter().position(|mode| *mode == cut.mode).unwrap_or(0)].add(&verdict);
        if !plan.flush_off {
            if verdict.passed() {
                report.count(true);
            } else {
                let name = format!("{}, image {number}, cut at {} {:?}", shape.label(), cut.at, cut.mode);
                report.failure(&name, &verdict.story());
                if plan.keep {
                    keep(plan, shape, (number, cut), recording, &spec)?;
                }
            }
        }
        let rate = (number + 1) as f64 / began.elapsed().as_secs_f64();
        let start = verdict.start.as_millis();
        let failed = sums.failed;
        report.progress(&format!(
            "{}: image {}/{images}, {failed} failed, {rate:.1} images/s, last start {start} ms",
            shape.label(),
            number + 1
        ));
    }
    Ok(sums)
}

/// Derives the image once more, untouched by recovery, and leaves it with the broker's output in the work directory.
fn keep(plan: &Plan, shape: Shape, (number, cut): (usize, cut::Cut), recording: &Recording, spec: &Spec) -> Result<()> {
    let base = format!(
        "{}-{}-{number}",
        shape.fs.name(),
        if shape.direct { "direct" } else { "buffered" }
    );
    let mut image = vec![0; shape.mib << 20];
    Cutter::new(&recording.log, shape.mib << 20).derive(cut, recording.data_at(cut.at), &mut image);
    std::fs::write(plan.work.join(format!("{base}.img")), image).context("keeping the image")?;
    std::fs::copy(&spec.log, plan.work.join(format!("{base}.log"))).context("keeping the broker's output")?;
    Ok(())
}

//! The recording half of a power-cut run: a broker under load on a disk that logs every write, with a kill and a restart
//! in the middle so that recovery is part of what gets cut.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use crate::broker::Spec;
use crate::disk::Entry;
use crate::error::Result;
use crate::kafka::api::{self, Topic};
use crate::kafka::conn::Conn;
use crate::ledger::{Ack, Ledger};
use crate::producer::{World, lanes};
use crate::report::Report;
use crate::rig::{Rig, Shape};
use crate::sys::fiemap::DataMap;

/// Memory the write log may take before the load ends early.
const LOG_CAP: u64 = 1 << 30;

/// A fault of the disk in the middle of the load; the broker may end by itself then, and is not restarted.
#[derive(Clone, Debug)]
pub struct Fault {
    /// How long the load has run when it comes.
    pub after: Duration,
    /// Rule without its range, such as `write 3 EIO sticky`.
    pub rule: String,
    /// Ending of the files that it strikes; `None` = the whole disk.
    pub files: Option<&'static str>,
    /// How long the load goes on with it.
    pub lasts: Duration,
}

/// What is recorded and how.
pub struct Settings {
    /// The broker; its address is that of the recording only.
    pub spec: Spec,
    /// Topics of the load.
    pub topics: Vec<Topic>,
    /// Their configuration.
    pub topic_configs: Vec<(&'static str, &'static str)>,
    /// Producers.
    pub producers: u32,
    /// Wait of a producer before each new request.
    pub pause: Duration,
    /// How long the load lasts.
    pub load: Duration,
    /// Seed of the records.
    pub seed: u64,
    /// From the load on the disk answers flushes without doing them.
    pub flush_off: bool,
    /// What breaks in the middle.
    pub fault: Option<Fault>,
    /// Where ledger and broker output go: outside of the disk.
    pub work: PathBuf,
}

/// Everything a run left behind.
pub struct Recording {
    /// All that was written, in order.
    pub log: Vec<Entry>,
    /// Cuts make sense from here (the broker starts) ...
    pub from: u64,
    /// ... to here (the load has ended).
    pub to: u64,
    /// The topics were acknowledged as created at this sequence.
    pub created: u64,
    /// Acknowledged batches.
    pub acks: Vec<Ack>,
    /// Acknowledged batches when the fault came.
    pub acks_before_fault: usize,
    /// The broker ended by itself.
    pub ended: bool,
    /// What went against the protocol during the run.
    pub violations: Vec<String>,
    /// The shared state of the producers, with their identities.
    pub world: Arc<World>,
    maps: Vec<(u64, DataMap)>,
}

impl Recording {
    /// What was file data around sequence `at`: a block counts only if it was before and after.
    pub fn data_at(&self, at: u64) -> (&DataMap, &DataMap) {
        let after = self
            .maps
            .partition_point(|(sequence, _)| *sequence < at)
            .min(self.maps.len() - 1);
        (&self.maps[after.saturating_sub(1)].1, &self.maps[after].1)
    }

    /// Acknowledged batches that a cut at `at` must keep.
    pub fn owed(&self, at: u64) -> impl Iterator<Item = &Ack> {
        self.acks.iter().filter(move |ack| ack.sequence <= at)
    }
}

/// Runs the load on a fresh disk of `shape`.
///
/// # Errors
/// When a layer is missing or the broker does not come up.
pub fn record(home: &Path, shape: Shape, settings: &Settings, report: &mut Report) -> Result<Recording> {
    let rig = Rig::build(home, shape)?;
    rig.settle()?;
    let data_dir = rig.path().join("data");
    let mut from = rig.disk().sequence();
    let mut maps = vec![(from, rig.data_map(&|_| true))];
    let (mut broker, _, _) = settings.spec.start(&data_dir)?;
    let mut conn = Conn::open(settings.spec.addr)?;
    api::create_topics(&mut conn, &settings.topics, &settings.topic_configs)?;
    let created = rig.disk().sequence();
    if settings.flush_off {
        rig.settle()?;
        from = rig.disk().sequence();
        rig.rule("flush 1 lie sticky")?;
    }
    let world = world(&rig, settings)?;
    let workers = world.start();
    let (began, mut restarted) = (Instant::now(), settings.fault.is_some());
    let mut strike = Strike::default();
    while began.elapsed() < settings.load && rig.disk().counts().log_bytes < LOG_CAP {
        if strike.is_over(&rig, settings, (began, &world))? || (settings.fault.is_some() && broker.ended()) {
            // Time to end by itself, and to acknowledge what it must not.
            std::thread::sleep(Duration::from_millis(500));
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
        maps.push((rig.disk().sequence(), rig.data_map(&|_| true)));
        if !restarted && began.elapsed() > settings.load / 2 {
            restarted = true;
            broker.kill();
            broker = settings.spec.start(&data_dir)?.0;
        }
        let (batches, records) = world.ledger.totals();
        let sequence = rig.disk().sequence();
        report.progress(&format!(
            "{}: {records} records in {batches} batches, {sequence} log entries",
            shape.label()
        ));
    }
    let to = rig.disk().sequence();
    maps.push((to, rig.data_map(&|_| true)));
    world.abandon.store(true, Ordering::Release);
    let ended = broker.ended();
    broker.kill();
    for worker in workers {
        let _ = worker.join();
    }
    let (acks, mut violations) = world.ledger.contents();
    if ended && settings.fault.is_none() {
        violations.push(format!("the broker ended by itself: {}", settings.spec.tail()));
    }
    rig.clear_rules();
    let log = rig.finish().take_log();
    Ok(Recording {
        log,
        from,
        to,
        created,
        acks,
        acks_before_fault: strike.acks_before,
        ended,
        violations,
        world,
        maps,
    })
}

/// The producers' world on this rig.
fn world(rig: &Rig, settings: &Settings) -> Result<Arc<World>> {
    let disk = rig.disk().clone();
    Ok(Arc::new(World {
        lanes: lanes(&settings.topics),
        seed: settings.seed,
        ledger: Ledger::create(&settings.work.join("ledger.txt"))?,
        clock: Box::new(move || disk.sequence()),
        addr: settings.spec.addr,
        stop: AtomicBool::new(false),
        abandon: AtomicBool::new(false),
        pause: settings.pause,
        identities: (0..settings.producers).map(|_| OnceLock::new()).collect(),
        last_trouble: Mutex::new(String::new()),
    }))
}

/// The fault of a run, once it has come.
#[derive(Default)]
struct Strike {
    at: Option<Instant>,
    acks_before: usize,
}

impl Strike {
    /// Lets the fault come when it is due; true when it has lasted its time.
    fn is_over(&mut self, rig: &Rig, settings: &Settings, (began, world): (Instant, &World)) -> Result<bool> {
        let Some(fault) = &settings.fault else { return Ok(false) };
        if self.at.is_none() && began.elapsed() > fault.after {
            self.acks_before = world.ledger.totals().0 as usize;
            strike(rig, fault)?;
            self.at = Some(Instant::now());
        }
        Ok(self.at.is_some_and(|at| at.elapsed() > fault.lasts))
    }
}

/// Sets the fault's rule for every place where the files lie now.
fn strike(rig: &Rig, fault: &Fault) -> Result<()> {
    let Some(ending) = fault.files else {
        return rig.rule(&fault.rule);
    };
    let map = rig.data_map(&|path| path.to_string_lossy().ends_with(ending));
    for (from, to) in map.ranges() {
        rig.rule(&format!("{} range={from}..{to}", fault.rule))?;
    }
    Ok(())
}

//! The kill rig: idempotent producers under load, the broker killed (-9) at random moments and restarted at once on the
//! same data directory, everything read back and held against the ledger.
//!
//! It tests recovery logic, not durability: the page cache and the disk survive a kill.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use crate::broker::{Broker, Spec};
use crate::error::{Context, Error, Result};
use crate::kafka::api::{self, Topic};
use crate::kafka::conn::Conn;
use crate::ledger::Ledger;
use crate::producer::{World, lanes};
use crate::rng::Rng;
use crate::verify::{Findings, Reader};

/// How long producers may take to get their last batches through once the killing is over.
const DRAIN: Duration = Duration::from_secs(60);

/// What to do.
pub struct Plan {
    /// Kills.
    pub rounds: u32,
    /// Producers, each with its own connection and identity.
    pub producers: u32,
    /// Seed of records and of the moments of the kills.
    pub seed: u64,
    /// The broker.
    pub spec: Spec,
    /// Data directory, kept over all rounds.
    pub data_dir: PathBuf,
    /// Where the ledger is written.
    pub ledger: PathBuf,
    /// Wait of each producer before a new request.
    pub pause: Duration,
    /// Longest life of a broker between start and kill.
    pub life: Duration,
    /// Topics to write to.
    pub topics: Vec<Topic>,
    /// Configuration of the topics.
    pub topic_configs: Vec<(&'static str, &'static str)>,
}

/// What came out.
pub struct Outcome {
    /// Kills done, of them before the broker answered at all.
    pub kills: (u32, u32),
    /// Records acknowledged, and records read in the end.
    pub records: (u64, u64),
    /// Everything wrong in the log.
    pub findings: Findings,
    /// Everything wrong in the answers.
    pub violations: Vec<String>,
    /// Time from start to the first answer, sorted.
    pub starts: Vec<Duration>,
}

impl Outcome {
    /// True when nothing at all was wrong and there was something to look at.
    pub fn passed(&self) -> bool {
        self.findings.clean() && self.violations.is_empty() && self.records.0 > 0
    }
}

/// Runs `plan`; `progress` gets a line now and then.
///
/// # Errors
/// When the broker does not come up (its last output is in the message) or does not answer.
pub fn run(plan: &Plan, progress: &mut dyn FnMut(&str)) -> Result<Outcome> {
    let lanes = lanes(&plan.topics);
    let world = Arc::new(World {
        lanes,
        seed: plan.seed,
        ledger: Ledger::create(&plan.ledger)?,
        clock: Box::new(|| 0),
        addr: plan.spec.addr,
        stop: AtomicBool::new(false),
        abandon: AtomicBool::new(false),
        pause: plan.pause,
        identities: (0..plan.producers).map(|_| OnceLock::new()).collect(),
        last_trouble: Mutex::new(String::new()),
    });
    let mut rig = KillRig {
        plan,
        world: world.clone(),
        rng: Rng::new(plan.seed),
        starts: Vec::new(),
        early: 0,
    };
    let workers = rig.prepare().map(|()| world.start())?;
    let result = rig.rounds(progress).and_then(|(broker, reader)| {
        progress("last batches, final check");
        world.stop.store(true, Ordering::Release);
        let began = Instant::now();
        while began.elapsed() < DRAIN && workers.iter().any(|worker| !worker.is_finished()) {
            std::thread::sleep(Duration::from_millis(20));
        }
        if workers.iter().any(|worker| !worker.is_finished()) {
            let trouble = world.last_trouble.lock().map(|text| text.clone()).unwrap_or_default();
            world
                .ledger
                .violation(format!("a producer cannot get its last batches through: {trouble}"));
        }
        rig.finish(broker, reader)
    });
    world.abandon.store(true, Ordering::Release);
    for worker in workers {
        let _ = worker.join();
    }
    result
}

struct KillRig<'a> {
    plan: &'a Plan,
    world: Arc<World>,
    rng: Rng,
    starts: Vec<Duration>,
    early: u32,
}

impl KillRig<'_> {
    fn prepare(&mut self) -> Result<()> {
        std::fs::create_dir_all(&self.plan.data_dir).context("data directory")?;
        let (broker, _) = self.start()?;
        let mut conn = Conn::open(self.plan.spec.addr)?;
        api::create_topics(&mut conn, &self.plan.topics, &self.plan.topic_configs)?;
        broker.kill();
        Ok(())
    }

    fn start(&mut self) -> Result<(Broker, Vec<String>)> {
        let (broker, topics, took) = self.plan.spec.start(&self.plan.data_dir)?;
        self.starts.push(took);
        Ok((broker, topics))
    }

    /// All rounds; returns the broker that runs after the last kill and a reader that followed all along.
    fn rounds(&mut self, progress: &mut dyn FnMut(&str)) -> Result<(Broker, Reader)> {
        let mut reader = Reader::new(self.world.lanes.len());
        let mut checked = 0;
        for round in 0..self.plan.rounds {
            if self.rng.percent(10) {
                // Recovery itself must survive a kill.
                let broker = self.plan.spec.spawn(&self.plan.data_dir)?;
                std::thread::sleep(Duration::from_millis(self.rng.below(150)));
                broker.kill();
                self.early += 1;
                continue;
            }
            let (mut broker, topics) = self.start()?;
            let acks = self.world.ledger.contents().0;
            reader.advance(self.plan.spec.addr, &self.world.lanes, &topics, self.plan.seed)?;
            let findings = reader.compare(acks[checked..].iter());
            checked = acks.len();
            if !findings.clean() {
                return Err(Error::new(format!("after kill {round}: {findings}")));
            }
            let life = 20 + self.rng.below(self.plan.life.as_millis() as u64);
            std::thread::sleep(Duration::from_millis(life));
            if broker.ended() {
                return Err(Error::new(format!(
                    "the broker ended by itself: {}",
                    self.plan.spec.tail()
                )));
            }
            broker.kill();
            let (batches, records) = self.world.ledger.totals();
            progress(&format!(
                "kill {}/{}: {records} records in {batches} batches acked",
                round + 1,
                self.plan.rounds
            ));
        }
        let (broker, _) = self.start()?;
        Ok((broker, reader))
    }

    /// Reads everything afresh, compares, stops cleanly, starts and reads once more.
    fn finish(&mut self, broker: Broker, mut followed: Reader) -> Result<Outcome> {
        let (lanes, seed, addr) = (&self.world.lanes, self.plan.seed, self.plan.spec.addr);
        let topics: Vec<_> = self.plan.topics.iter().map(|topic| topic.name.to_string()).collect();
        let mut fresh = Reader::new(lanes.len());
        followed.advance(addr, lanes, &topics, seed)?;
        fresh.advance(addr, lanes, &topics, seed)?;
        let (acks, mut violations) = self.world.ledger.contents();
        let findings = fresh.compare(acks.iter());
        if fresh != followed {
            violations.push("the log read now differs from the log as it was read after each kill".into());
        }
        if !broker.terminate(Duration::from_secs(10)) {
            violations.push(format!(
                "SIGTERM did not end the broker cleanly: {}",
                self.plan.spec.tail()
            ));
        }
        let (broker, _, took) = self.plan.spec.start(&self.plan.data_dir)?;
        self.starts.push(took);
        let mut again = Reader::new(lanes.len());
        again.advance(addr, lanes, &topics, seed)?;
        if again != fresh {
            violations.push("a clean stop and start changed the log".into());
        }
        broker.kill();
        self.starts.sort_unstable();
        let kills = (self.plan.rounds, self.early);
        let records = (self.world.ledger.totals().1, fresh.records());
        Ok(Outcome {
            kills,
            records,
            findings,
            violations,
            starts: std::mem::take(&mut self.starts),
        })
    }
}

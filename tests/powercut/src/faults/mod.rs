//! `powercut faults`: disks that fail, hang and fill up under a running broker, and what its operator then sees.
//!
//! Each check is one line of the report. None of them looks inside the broker: answers, log lines, exit and what is left count.

mod errno;
mod full;
mod hung;
mod late;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::broker::{self, Spec};
use crate::error::{Context, Error, Result};
use crate::kafka::api::{self, Topic};
use crate::kafka::batch::{self, Producer};
use crate::kafka::conn::Conn;
use crate::records::Name;
use crate::report::Report;

/// Kafka's error code for a log that cannot be written or read now.
pub const STORAGE_ERROR: i16 = 56;
/// Kafka's error code for a request that ran out of its time.
pub const TIMED_OUT: i16 = 7;

/// Groups of checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// The n-th write or flush fails.
    Errno,
    /// A 64 MiB file system fills up.
    Full,
    /// The disk answers late or not at all.
    Hung,
    /// Writes of a killed broker that land after its death.
    Late,
}

/// What to do.
pub struct Plan {
    /// Groups, all when empty.
    pub kinds: Vec<Kind>,
    /// Failing calls tried per kind of call, and kills of the late-write check.
    pub rounds: u32,
    /// Seed of records.
    pub seed: u64,
    /// `ringlog`.
    pub binary: PathBuf,
    /// Further arguments of `ringlog start`.
    pub extra: Vec<String>,
    /// Where ledgers and broker output go.
    pub work: PathBuf,
}

/// Runs the plan.
///
/// # Errors
/// When the rig cannot work; findings are lines of the report.
pub fn run(home: &Path, plan: &Plan, report: &mut Report) -> Result<()> {
    std::fs::create_dir_all(&plan.work).context("work directory")?;
    let wanted = |kind| plan.kinds.is_empty() || plan.kinds.contains(&kind);
    if wanted(Kind::Errno) {
        errno::run(home, plan, report)?;
    }
    if wanted(Kind::Full) {
        full::run(home, plan, report)?;
    }
    if wanted(Kind::Hung) {
        hung::run(home, plan, report)?;
    }
    if wanted(Kind::Late) {
        late::run(home, plan, report)?;
    }
    Ok(())
}

impl Plan {
    /// A broker whose output goes to a file of this name.
    fn spec(&self, name: &str) -> Result<Spec> {
        let log = self.work.join(format!("{name}.log"));
        std::fs::write(&log, b"").context("broker log")?;
        Ok(Spec {
            binary: self.binary.clone(),
            extra: self.extra.clone(),
            addr: broker::free_addr()?,
            log,
        })
    }
}

/// The whole output of a broker so far.
fn output(spec: &Spec) -> String {
    let bytes = std::fs::read(&spec.log).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// One lane of records with what is known of it.
struct Lane {
    topic: Topic,
    seed: u64,
    /// Acknowledged records; the next one has this number.
    acked: u32,
}

impl Lane {
    fn new(name: &'static str, seed: u64) -> Lane {
        let topic = Topic { name, partitions: 1 };
        Lane { topic, seed, acked: 0 }
    }

    fn create(&self, conn: &mut Conn) -> Result<()> {
        let configs = [("segment.bytes", "1048576"), ("retention.ms", "-1")];
        api::create_topics(conn, std::slice::from_ref(&self.topic), &configs)
    }

    /// Sends the next `count` records in one batch and returns the error code; 0 counts them as acknowledged.
    fn produce(&mut self, conn: &mut Conn, count: u32, timeout_ms: i32) -> Result<i16> {
        let (code, base_offset) = self.send(conn, count, timeout_ms)?;
        if code == 0 {
            if base_offset != i64::from(self.acked) {
                return Err(Error::new(format!(
                    "record {} was acked at offset {base_offset}",
                    self.acked
                )));
            }
            self.acked += count;
        }
        Ok(code)
    }

    /// Sends the next `count` records in one batch; error code and first offset.
    fn send(&self, conn: &mut Conn, count: u32, timeout_ms: i32) -> Result<(i16, i64)> {
        let record = |n| {
            Name {
                producer: 0,
                lane: 0,
                n,
            }
            .record(self.seed)
        };
        let records: Vec<_> = (self.acked..self.acked + count).map(record).collect();
        let bytes = batch::encode(Producer { id: -1, epoch: -1 }, -1, &records);
        let mut body = api::produce_body(&[(self.topic.name, 0, &bytes)]);
        body[4..8].copy_from_slice(&timeout_ms.to_be_bytes());
        let answer = conn.call(api::PRODUCE, api::PRODUCE_VERSION, &body)?;
        let results = api::produced(&answer)?;
        let result = results
            .first()
            .ok_or_else(|| Error::new("produce was answered without the partition"))?;
        Ok((result.code, result.base_offset))
    }

    /// Reads everything and compares: each acknowledged record at its offset, as it was sent.
    fn verify(&self, conn: &mut Conn) -> Result<()> {
        let mut next = 0;
        while next < self.acked {
            let bytes = api::fetch(conn, self.topic.name, 0, next.into(), 1 << 20)?;
            let before = next;
            let mut wrong = None;
            batch::decode(&bytes, |offset, record| {
                if offset < i64::from(before) || next >= self.acked {
                    return;
                }
                let name = Name {
                    producer: 0,
                    lane: 0,
                    n: next,
                };
                if offset != i64::from(next) || record != name.record(self.seed) {
                    wrong.get_or_insert(next);
                }
                next += 1;
            })?;
            if let Some(number) = wrong {
                return Err(Error::new(format!("record {number} is not what was acknowledged")));
            }
            if next == before {
                return Err(Error::new(format!(
                    "nothing at offset {next}, {} records were acknowledged",
                    self.acked
                )));
            }
        }
        Ok(())
    }
}

/// Tries until it holds; how long that took.
fn within(what: &str, limit: Duration, mut holds: impl FnMut() -> Result<bool>) -> Result<Duration> {
    let began = Instant::now();
    loop {
        if holds()? {
            return Ok(began.elapsed());
        }
        if began.elapsed() > limit {
            return Err(Error::new(format!("not within {} s: {what}", limit.as_secs())));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// One line of the report: passed with what `check` says, or failed with its error and the end of the broker's output.
fn line(report: &mut Report, name: &str, spec: &Spec, check: impl FnOnce() -> Result<String>) {
    match check() {
        Ok(detail) => report.line(name, true, &detail),
        Err(error) => report.failure(name, &format!("{error} [{}]", spec.tail())),
    }
}

/// An error unless the broker's output holds all these words.
fn said(spec: &Spec, words: &[&str]) -> Result<()> {
    let log = output(spec);
    match words.iter().find(|word| !log.contains(**word)) {
        None => Ok(()),
        Some(word) => Err(Error::new(format!("the broker's output does not say {word:?}"))),
    }
}

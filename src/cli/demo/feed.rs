//! A feeder: an ordinary idempotent producer that writes at a steady rate.

use super::data::{self, Dice, Line};
use super::stats::Stats;
use super::{LOGS, METRICS};
use crate::cli::failure::Failure;
use crate::client::producer::{Producer, ProducerOptions};
use crate::client::{Cluster, Header, Record};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How often a feeder sends: agents on machines send small batches.
const TICK: Duration = Duration::from_millis(10);
/// Longest time a feeder tries to catch up with after a pause.
const CATCH_UP_MAX: Duration = Duration::from_millis(200);
/// Header with the time of making, nanoseconds since the demo began, as 8 bytes.
pub(super) const MADE_AT: &[u8] = b"made-at";

/// What it writes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Web server lines.
    Access,
    /// Structured application lines.
    Application,
    /// Measurements.
    Metrics,
}

impl Kind {
    fn topic(self) -> &'static str {
        match self {
            Kind::Access | Kind::Application => LOGS,
            Kind::Metrics => METRICS,
        }
    }
    fn line(self, dice: &mut Dice) -> Line {
        match self {
            Kind::Access => data::access(dice),
            Kind::Application => data::application(dice),
            Kind::Metrics => data::metric(dice),
        }
    }
}

/// Starts a feeder that makes `rate` records a second until `stop` is set.
pub(super) fn start(
    cluster: Cluster,
    kind: Kind,
    rate: u64,
    stats: Arc<Stats>,
    stop: Arc<AtomicBool>,
) -> JoinHandle<Result<(), Failure>> {
    thread::spawn(move || {
        let fed = feed(cluster, kind, rate, &stats, &stop);
        // A feeder that fails ends the demo.
        stop.store(true, Ordering::Relaxed);
        fed
    })
}

fn feed(cluster: Cluster, kind: Kind, rate: u64, stats: &Stats, stop: &AtomicBool) -> Result<(), Failure> {
    let mut producer = Producer::new(cluster, ProducerOptions::default());
    let mut dice = Dice::new(kind as u64 + 1);
    let mut owed = 0.0;
    let mut last = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        let now = Instant::now();
        owed += rate as f64 * (now - last).min(CATCH_UP_MAX).as_secs_f64();
        last = now;
        let count = owed as u64;
        owed -= count as f64;
        if count > 0 {
            send(&mut producer, kind, &mut dice, count, stats)?;
        }
        thread::sleep(TICK.saturating_sub(now.elapsed()));
    }
    Ok(())
}

/// Sends `count` records and waits for their acknowledgement.
fn send(producer: &mut Producer, kind: Kind, dice: &mut Dice, count: u64, stats: &Stats) -> Result<(), Failure> {
    let mut bytes = 0;
    let made_at = Bytes::copy_from_slice(&stats.now_ns().to_be_bytes());
    for _ in 0..count {
        let line = kind.line(dice);
        bytes += (line.key.len() + line.text.len()) as u64;
        let mut record = Record::value(line.text).with_key(line.key);
        record.headers.push(Header {
            key: Bytes::from_static(MADE_AT),
            value: Some(made_at.clone()),
        });
        producer.send(kind.topic(), None, record)?;
    }
    let sent = Instant::now();
    producer.flush()?;
    let delivered: usize = producer.take_deliveries().iter().map(|delivery| delivery.count).sum();
    stats.count_ack(delivered as u64, bytes, sent.elapsed());
    Ok(())
}

//! The reader: an ordinary consumer that follows both topics from where they end when the demo begins.

use super::feed::MADE_AT;
use super::stats::Stats;
use super::{LOGS, METRICS};
use crate::cli::failure::Failure;
use crate::client::Cluster;
use crate::client::consumer::{Consumer, ConsumerOptions, Start};
use crate::client::record::Consumed;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Longest long poll.
const POLL: Duration = Duration::from_millis(200);
/// A line is shown this often.
const SAMPLE_EVERY: Duration = Duration::from_millis(150);

/// Finds the ends of both topics, then starts reading; ends when `over` is set.
pub(super) fn start(
    cluster: Cluster,
    stats: Arc<Stats>,
    over: Arc<AtomicBool>,
) -> Result<JoinHandle<Result<(), Failure>>, Failure> {
    let mut consumer = Consumer::new(cluster, ConsumerOptions::default());
    consumer.assign(LOGS, None, Start::Latest)?;
    consumer.assign(METRICS, None, Start::Latest)?;
    Ok(thread::spawn(move || follow(&mut consumer, &stats, &over)))
}

fn follow(consumer: &mut Consumer, stats: &Stats, over: &AtomicBool) -> Result<(), Failure> {
    let mut sampled = Instant::now();
    let mut ages = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let records = consumer.poll(POLL)?;
        let now = stats.now_ns();
        ages.clear();
        ages.extend(records.iter().filter_map(made_at).map(|made| now.saturating_sub(made)));
        // Records of other producers to these topics do not count.
        stats.count_read(ages.len() as u64, &ages);
        if let Some(record) = records.last().filter(|_| sampled.elapsed() > SAMPLE_EVERY) {
            sampled = Instant::now();
            stats.sample(line(record));
        }
    }
    Ok(())
}

fn made_at(record: &Consumed) -> Option<u64> {
    let header = record.headers.iter().find(|header| header.key.as_ref() == MADE_AT)?;
    Some(u64::from_be_bytes(header.value.as_deref()?.try_into().ok()?))
}

fn line(record: &Consumed) -> String {
    let value = String::from_utf8_lossy(record.value.as_deref().unwrap_or_default());
    format!("{}[{}] @{}  {value}", record.topic, record.partition, record.offset)
}

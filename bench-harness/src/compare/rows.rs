//! The rows of the table: which figure of which cell, what ringlog's is held against, and a fair note.

use super::side::Side::{self, Floor, Kafka, KafkaFlush};

/// What ringlog's figure is held against.
pub enum Aim {
    /// Nothing: shown for the reader.
    Shown,
    /// At least this many times another side's.
    AtLeast(Side, f64),
    /// At most this many times another side's.
    AtMost(Side, f64),
    /// At most this value.
    Below(f64),
    /// At least this value.
    Above(f64),
    /// At most the disk's p50 for one durable write plus this.
    NearDisk(f64),
}

impl Aim {
    /// The side it is measured against, if any.
    pub fn against(&self) -> Option<Side> {
        match self {
            AtLeast(side, _) | AtMost(side, _) => Some(*side),
            _ => Option::None,
        }
    }
}

/// One line of the table.
pub struct Row {
    /// Cell whose result holds the figure.
    pub cell: &'static str,
    /// Heading.
    pub name: &'static str,
    /// JSON pointer of the figure, factor to the unit shown, digits after the point.
    pub source: (&'static str, f64, usize),
    /// What ringlog is held to.
    pub aim: Aim,
    /// What a reader must know.
    pub note: &'static str,
}

use Aim::{Above, AtLeast, AtMost, Below, NearDisk, Shown};

const fn row(
    cell: &'static str,
    name: &'static str,
    source: (&'static str, f64, usize),
    aim: Aim,
    note: &'static str,
) -> Row {
    Row {
        cell,
        name,
        source,
        aim,
        note,
    }
}

const CLOSED: &str = "64 connections, one request in flight each: the faster side gets more requests, so its round trips are not comparable latencies.";
const OPEN: &str = "From the intended send. Kafka's default acknowledges before anything is on the disk.";
const CPU: &str = "All threads of the process. Kernel work in interrupts and kernel threads (block layer, page-cache write-back, loopback) is in nobody's figure; Kafka's write-back would add to its own.";

const NOISE: &str =
    "Interrupts, kernel threads and everything else that ran: how quiet the machine was. Disturbs tails first.";
const FRESH: &str =
    "No warm-up: load starts when Metadata shows the leaders. The aim, 1,000 within 1.5x of 10, is checked below.";
const KILLED: &str = "Of the 20,000/s run. A kill is no power cut: page-cache acknowledgements survive it.";

/// All rows, in the order shown.
#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    row("closed", "closed loop, 64 x 1 KiB: requests/s", ("/requests_per_second", 1.0, 0), AtLeast(Floor, 0.6), CLOSED),
    row("closed", "same, against Kafka that does not flush", ("/requests_per_second", 1.0, 0), AtLeast(Kafka, 1.0), CLOSED),
    row("closed", "same: round trip p99, ms", ("/response/p99_us", 1e-3, 2), Shown, CLOSED),
    row("closed", "same: CPU per request, us", ("/broker/cpu_us_per_request", 1.0, 1), AtMost(Kafka, 0.3), CPU),
    row("closed", "same: device flushes per 1,000 requests", ("/broker/flushes_per_1000", 1.0, 0), Shown, "Of the whole disk."),
    row("closed", "same: CPU of others meanwhile, % of a core", ("/other_cpu_percent", 1.0, 0), Shown, NOISE),
    row("open-5k", "5,000/s: p50, ms", ("/response/p50_us", 1e-3, 3), NearDisk(0.1), OPEN),
    row("open-5k", "5,000/s: p99, ms", ("/response/p99_us", 1e-3, 2), AtMost(Kafka, 0.5), OPEN),
    row("open-5k", "5,000/s: p99.9, ms", ("/response/p999_us", 1e-3, 2), AtMost(Kafka, 0.5), OPEN),
    row("open-5k", "5,000/s: p99 against flushed Kafka, ms", ("/response/p99_us", 1e-3, 2), AtMost(KafkaFlush, 0.05), "The like-for-like pair: both durable."),
    row("open-5k", "5,000/s: CPU per request, us", ("/broker/cpu_us_per_request", 1.0, 1), AtMost(Kafka, 0.3), CPU),
    row("open-5k", "5,000/s: CPU of others meanwhile, % of a core", ("/other_cpu_percent", 1.0, 0), Shown, NOISE),
    row("open-20k", "20,000/s: p50, ms", ("/response/p50_us", 1e-3, 3), NearDisk(0.1), OPEN),
    row("open-20k", "20,000/s: p99, ms", ("/response/p99_us", 1e-3, 2), AtMost(Kafka, 0.5), OPEN),
    row("open-20k", "20,000/s: p99.9, ms", ("/response/p999_us", 1e-3, 2), AtMost(Kafka, 0.5), OPEN),
    row("open-20k", "20,000/s: achieved requests/s", ("/requests_per_second", 1.0, 0), Shown, "Below 19,800 the side is beyond its knee and its latencies are those of a growing queue."),
    row("open-20k", "20,000/s: CPU per request, us", ("/broker/cpu_us_per_request", 1.0, 1), AtMost(Kafka, 0.3), CPU),
    row("partitions-10", "10 new partitions, 5,000/s: p99, ms", ("/response/p99_us", 1e-3, 2), Shown, FRESH),
    row("partitions-1000", "1,000 new partitions, 5,000/s: p50, ms", ("/response/p50_us", 1e-3, 3), Shown, FRESH),
    row("partitions-1000", "1,000 new partitions, 5,000/s: p99, ms", ("/response/p99_us", 1e-3, 2), Shown, FRESH),
    row("large", "8 connections x 128 KiB: MB/s", ("/mb_per_second", 1.0, 0), Above(1000.0), "128 records of 1 KiB a batch, closed loop. Kafka's default writes to memory here; the disk gives less."),
    row("large", "same: CPU-s per GB", ("/broker/cpu_s_per_gb", 1.0, 2), Shown, CPU),
    row("consume-large", "consume 128 KiB batches: MB/s", ("/mb_per_second", 1.0, 0), AtLeast(Kafka, 1.0), "1.5 GB read 3 times after one pass. Kafka sends from the page cache, ringlog from its own bounded memory or with direct reads from the disk. One reader thread, 4 connections, offsets checked."),
    row("consume-large", "same: broker CPU-s per GB", ("/broker_cpu_s_per_gb", 1.0, 3), AtMost(Kafka, 0.3), CPU),
    row("consume-small", "consume single-record batches: MB/s", ("/mb_per_second", 1.0, 0), AtLeast(Kafka, 1.0), "0.25 GB of 1 KiB batches."),
    row("consume-small", "same: broker CPU-s per GB", ("/broker_cpu_s_per_gb", 1.0, 3), AtMost(Kafka, 0.3), CPU),
    row("rest", "RSS at rest, 1,000 partitions, MiB", ("/rss_mib", 1.0, 0), Below(64.0), "Kafka's heap is fixed at its size; its page cache is not counted."),
    row("rest", "idle CPU, % of a core", ("/cpu_percent", 1.0, 2), Below(0.5), "No connections."),
    row("start", "start on an empty disk to first ack, ms", ("/acked_ms", 1.0, 0), Below(200.0), "Includes making a topic; Kafka's folder is formatted beforehand, the floor's file is written in this time."),
    row("restart", "kill -9 to first ack, ms", ("/acked_ms", 1.0, 0), Below(500.0), "From the new process's start, all data of the cells above and 2,000 partitions in place."),
    row("restart", "data on disk at that time, GB", ("/data_bytes", 1e-9, 1), Shown, "A faster side has written more."),
    row("verify", "acked records lost after kill -9", ("/lost", 1.0, 0), Below(0.0), KILLED),
    row("verify", "duplicated, after kill -9", ("/duplicated", 1.0, 0), Below(0.0), KILLED),
    row("verify", "reordered, after kill -9", ("/reordered", 1.0, 0), Below(0.0), KILLED),
    row("verify", "changed, after kill -9", ("/changed", 1.0, 0), Below(0.0), KILLED),
];

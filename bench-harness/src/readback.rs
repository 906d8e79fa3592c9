//! `load consume` and `load verify`: arguments, the run, the report.

use crate::clock::{mono_ns, thread_cpu_ns};
use crate::consume::{FetchShape, Totals, consume};
use crate::control::resolve;
use crate::ledger::Ledger;
use crate::payload::{Batch, Header};
use crate::produce::{EXIT_CORRUPT, Format};
use crate::ring;
use crate::sampler::{Target, Usage};
use crate::verify::{Audit, Verdict};
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// How much of each batch `load consume` looks at.
#[derive(Clone, Copy, Debug, ValueEnum, PartialEq, Eq)]
pub enum Depth {
    /// Offsets only: the broker's rate, with as little client as possible.
    Offsets,
    /// Offsets, and the header of every record: was it sent to this partition.
    Header,
    /// That and the CRC of every batch.
    Crc,
}

/// Arguments of `load consume`.
#[derive(Args, Clone, Debug)]
pub struct ConsumeArgs {
    /// Broker, HOST:PORT
    #[arg(long, short, default_value = "127.0.0.1:9092")]
    pub bootstrap: String,
    /// Topic, read from its start to its end
    #[arg(long, short, default_value = "bench")]
    pub topic: String,
    /// Connections; partitions are spread over them
    #[arg(long, short, default_value_t = 4)]
    pub connections: usize,
    /// Most bytes of one Fetch answer
    #[arg(long, default_value_t = 50 << 20)]
    pub fetch_bytes_max: i32,
    /// Most bytes of one partition in it
    #[arg(long, default_value_t = 1 << 20)]
    pub partition_bytes_max: i32,
    /// What to look at
    #[arg(long, value_enum, default_value_t = Depth::Header)]
    pub check: Depth,
    /// Whole readings measured, one after the other
    #[arg(long, default_value_t = 1)]
    pub passes: u32,
    /// Whole readings before measuring (a JVM needs some)
    #[arg(long, default_value_t = 0)]
    pub warmup_passes: u32,
    /// CPU for the reader
    #[arg(long, default_value_t = 1)]
    pub cpu: usize,
    /// Broker process to watch
    #[arg(long)]
    pub pid: Option<i32>,
    /// Output form
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

/// Arguments of `load verify`.
#[derive(Args, Clone, Debug)]
pub struct VerifyArgs {
    /// Broker, HOST:PORT
    #[arg(long, short, default_value = "127.0.0.1:9092")]
    pub bootstrap: String,
    /// What `load produce --ledger` saved
    #[arg(long)]
    pub ledger: PathBuf,
    /// Output form
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

/// Result of `load consume`.
#[derive(Clone, Debug, Serialize)]
pub struct ConsumeReport {
    /// Version of this form.
    pub schema: &'static str,
    /// Whole readings measured.
    pub passes: u32,
    /// Seconds they took.
    pub seconds: f64,
    /// Records read.
    pub records: u64,
    /// Fetch answers.
    pub answers: u64,
    /// Records per second.
    pub records_per_second: f64,
    /// 10^6 bytes of record batches per second.
    pub mb_per_second: f64,
    /// Batches whose offset does not follow the last, and records that are not ours, whole or in their partition.
    pub faults: u64,
    /// CPU of the reader, % of a core.
    pub client_cpu_percent: f64,
    /// CPU that neither broker nor reader used, % of a core; without `--pid` the broker is in it.
    pub other_cpu_percent: f64,
    /// What the broker used; only with `--pid`.
    pub broker: Option<Usage>,
    /// Broker CPU per 10^9 bytes of record batches, s; 0 without `--pid`.
    pub broker_cpu_s_per_gb: f64,
}

/// Reads, prints, and returns the exit code.
///
/// # Errors
/// Whatever keeps the topic from being read to its end.
pub fn consume_all(args: &ConsumeArgs) -> io::Result<i32> {
    let bootstrap = resolve(&args.bootstrap)?;
    ring::pin(args.cpu)?;
    let target = Target {
        pid: args.pid,
        disk: None,
    };
    let mut reader = ReadAll {
        args,
        bootstrap,
        totals: Totals::default(),
        faults: 0,
    };
    for _ in 0..args.warmup_passes {
        reader.pass()?;
    }
    (reader.totals, reader.faults) = (Totals::default(), 0);
    let (before, cpu_ns, start_ns) = (target.sample(), thread_cpu_ns(), mono_ns());
    for _ in 0..args.passes {
        reader.pass()?;
    }
    let seconds = (mono_ns() - start_ns) as f64 / 1e9;
    let used_ns = thread_cpu_ns() - cpu_ns;
    let usage = Usage::between(&before, &target.sample());
    let totals = &reader.totals;
    let gb = totals.batch_bytes as f64 / 1e9;
    let report = ConsumeReport {
        schema: "ringlog-load-consume/1",
        passes: args.passes,
        seconds,
        records: totals.records,
        answers: totals.answers,
        records_per_second: totals.records as f64 / seconds,
        mb_per_second: gb * 1e3 / seconds,
        faults: reader.faults + totals.offset_breaks,
        client_cpu_percent: used_ns as f64 / 1e7 / seconds,
        other_cpu_percent: usage.other_percent(used_ns as f64 / 1e7 / seconds),
        broker_cpu_s_per_gb: if args.pid.is_some() {
            usage.cpu_seconds / gb
        } else {
            0.0
        },
        broker: args.pid.map(|_| usage),
    };
    match args.format {
        Format::Json => println!("{}", serde_json::to_string(&report)?),
        Format::Table => print!("{}", report.table()),
    }
    Ok(if report.faults == 0 { 0 } else { EXIT_CORRUPT })
}

struct ReadAll<'a> {
    args: &'a ConsumeArgs,
    bootstrap: SocketAddr,
    totals: Totals,
    faults: u64,
}

impl ReadAll<'_> {
    fn pass(&mut self) -> io::Result<()> {
        let args = self.args;
        let shape = FetchShape {
            connections: args.connections,
            partitions_min: 1,
            answer_bytes_max: args.fetch_bytes_max,
            partition_bytes_max: args.partition_bytes_max,
        };
        let faults = &mut self.faults;
        let mut each = |partition: u32, batch: &Batch<'_>| {
            if args.check == Depth::Crc && !batch.crc_is_right() {
                *faults += 1;
            }
            if args.check != Depth::Offsets {
                batch.each_value(|_, value| {
                    *faults += u64::from(Header::read(value).is_none_or(|h| h.partition != partition));
                })?;
            }
            Ok(())
        };
        let read = consume(self.bootstrap, &args.topic, &shape, &mut each)?;
        self.totals.add(&read);
        Ok(())
    }
}

impl ConsumeReport {
    fn table(&self) -> String {
        let mut out = format!(
            "consume    {:.1} MB/s, {:.0} records/s: {} records in {:.2} s, {} answers, {} faults\n\
             client     {:.0} % CPU\n",
            self.mb_per_second,
            self.records_per_second,
            self.records,
            self.seconds,
            self.answers,
            self.faults,
            self.client_cpu_percent
        );
        if let Some(usage) = &self.broker {
            out += &format!(
                "broker     {:.3} CPU-s/GB, {:.0} % CPU, RSS {:.0} MiB\n",
                self.broker_cpu_s_per_gb, usage.cpu_percent, usage.rss_mib
            );
        }
        out
    }
}

/// Reads back what a ledger promises.
///
/// # Errors
/// Whatever keeps the topic from being read to its end.
pub fn audit(bootstrap: SocketAddr, ledger: &Ledger) -> io::Result<Verdict> {
    let shape = FetchShape {
        connections: 4,
        partitions_min: ledger.partitions,
        answer_bytes_max: 50 << 20,
        partition_bytes_max: 1 << 20,
    };
    let mut audit = Audit::new(ledger);
    let totals = consume(bootstrap, &ledger.topic, &shape, &mut |partition, batch| {
        audit.batch(partition, batch)
    })?;
    Ok(audit.finish(totals.offset_breaks))
}

/// Verifies, prints, and returns the exit code.
///
/// # Errors
/// An unreadable ledger, and whatever keeps the topic from being read to its end.
pub fn verify(args: &VerifyArgs) -> io::Result<i32> {
    let ledger = Ledger::load(&args.ledger)?;
    let verdict = audit(resolve(&args.bootstrap)?, &ledger)?;
    match args.format {
        Format::Json => println!("{}", serde_json::to_string(&verdict)?),
        Format::Table => print!("{}", verdict.table()),
    }
    Ok(if verdict.is_clean() { 0 } else { EXIT_CORRUPT })
}

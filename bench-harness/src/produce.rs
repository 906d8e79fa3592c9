//! `load produce`: arguments, the run, the report.

use crate::clock::{mono_ns, sleep_until};
use crate::control::{Control, resolve};
use crate::engine::{Drive, Engine, Pace};
use crate::payload::{HEADER_BYTES, Shape};
use crate::plan::{Arrival, schedule};
use crate::readback::audit;
use crate::report::{Caption, ProduceReport};
use crate::ring;
use crate::sampler::{Target, Usage};
use crate::setup::{Setup, prepare};
use crate::tally::Tally;
use clap::{Args, ValueEnum};
use std::io;
use std::path::PathBuf;

/// A run fails with this exit code when a validity check fails.
pub const EXIT_INVALID: i32 = 3;
/// Exit code when records were lost, duplicated, reordered or changed.
pub const EXIT_CORRUPT: i32 = 4;

/// How results are printed.
#[derive(Clone, Copy, Debug, ValueEnum, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// How the load thread waits.
#[derive(Clone, Copy, Debug, ValueEnum, PartialEq, Eq)]
pub enum Wait {
    /// Spin in an open loop (exact send times), park in a closed one.
    Auto,
    /// Use the whole CPU, never sleep.
    Spin,
    /// Sleep until the next event.
    Park,
}

/// Arguments of `load produce`.
#[derive(Args, Clone, Debug)]
pub struct ProduceArgs {
    /// Broker, HOST:PORT
    #[arg(long, short, default_value = "127.0.0.1:9092")]
    pub bootstrap: String,
    /// Topic; created when missing
    #[arg(long, short, default_value = "bench")]
    pub topic: String,
    /// Partitions of the topic
    #[arg(long, default_value_t = 6)]
    pub partitions: u32,
    /// Topic configuration NAME=VALUE, e.g. flush.messages=1; repeatable
    #[arg(long = "topic-config", value_parser = name_value)]
    pub topic_configs: Vec<(String, String)>,
    /// Connections; partitions are spread over them
    #[arg(long, short, default_value_t = 64)]
    pub connections: usize,
    /// Closed loop with this many requests in flight per connection (no percentile of it is a latency)
    #[arg(long, value_name = "DEPTH", num_args = 0..=1, default_missing_value = "1", conflicts_with = "rate")]
    pub closed: Option<usize>,
    /// Open loop at this many requests per second in total
    #[arg(long, short, required_unless_present = "closed")]
    pub rate: Option<f64>,
    /// Spacing in the open loop: constant or poisson
    #[arg(long, default_value = "constant")]
    pub arrival: Arrival,
    /// Seed of the poisson schedule
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Bytes of a record value, at least 32
    #[arg(long, default_value_t = 1024)]
    pub record_bytes: usize,
    /// Records in a request
    #[arg(long, default_value_t = 1)]
    pub batch_records: u32,
    /// 0, 1 or all
    #[arg(long, default_value = "all", value_parser = acks)]
    pub acks: i16,
    /// One idempotent producer per connection (at most 5 requests in flight each)
    #[arg(long)]
    pub idempotent: bool,
    /// Requests in flight per connection in the open loop; 0 = no limit
    #[arg(long, default_value_t = 0)]
    pub window: usize,
    /// Seconds to measure
    #[arg(long, short, default_value_t = 10.0)]
    pub seconds: f64,
    /// Seconds of load before measuring
    #[arg(long, default_value_t = 2.0)]
    pub warmup: f64,
    /// CPU for the load thread
    #[arg(long, default_value_t = 1)]
    pub cpu: usize,
    /// How to wait
    #[arg(long, value_enum, default_value_t = Wait::Auto)]
    pub wait: Wait,
    /// Skip Metadata and CreateTopics: for `floor`
    #[arg(long)]
    pub raw: bool,
    /// Broker process to watch
    #[arg(long)]
    pub pid: Option<i32>,
    /// Any path on the broker's disk, to count its writes and flushes
    #[arg(long)]
    pub disk: Option<PathBuf>,
    /// Read everything back afterwards and account for every record
    #[arg(long, conflicts_with = "raw")]
    pub verify: bool,
    /// Save what was acknowledged, for a later `load verify`
    #[arg(long)]
    pub ledger: Option<PathBuf>,
    /// Output form
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

fn name_value(s: &str) -> Result<(String, String), String> {
    let (name, value) = s.split_once('=').ok_or_else(|| format!("{s}: write NAME=VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
}

fn acks(s: &str) -> Result<i16, String> {
    match s {
        "0" => Ok(0),
        "1" => Ok(1),
        "all" | "-1" => Ok(-1),
        other => Err(format!("{other}: use 0, 1 or all")),
    }
}

impl ProduceArgs {
    fn check(&self) -> io::Result<()> {
        let refuse = |text: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, text.to_owned()));
        if self.record_bytes < HEADER_BYTES {
            return refuse("--record-bytes must be at least 32: each record carries a header to be accounted for");
        }
        if self.partitions == 0 || self.connections == 0 || self.batch_records == 0 || self.closed == Some(0) {
            return refuse("partitions, connections, records and depth must be at least 1");
        }
        if self.seconds < 0.1 || self.warmup < 0.0 || self.rate.is_some_and(|r| !r.is_finite() || r <= 0.0) {
            return refuse("--seconds must be at least 0.1, --warmup not negative, --rate positive");
        }
        if self.idempotent && (self.acks != -1 || self.closed.is_some_and(|d| d > 5)) {
            return refuse("--idempotent needs acks=all and at most 5 requests in flight per connection");
        }
        Ok(())
    }

    fn shape(&self) -> Shape {
        Shape {
            topic: self.topic.clone(),
            acks: self.acks,
            timeout_ms: 30_000,
            records: self.batch_records,
            record_bytes: self.record_bytes,
            run_id: mono_ns() ^ (u64::from(std::process::id()) << 40),
        }
    }

    fn drive(&self) -> Drive {
        let total_s = self.warmup + self.seconds;
        let pace = match (self.closed, self.rate) {
            (None, Some(rate)) => Pace::Open {
                due: schedule(rate, total_s, self.arrival, self.seed),
            },
            (depth, _) => Pace::Closed {
                depth: depth.unwrap_or(1),
            },
        };
        let limit = if self.window == 0 { usize::MAX } else { self.window };
        let window = match &pace {
            Pace::Closed { depth } => *depth,
            Pace::Open { .. } => limit.min(if self.idempotent { 5 } else { usize::MAX }),
        };
        let spin = match self.wait {
            Wait::Auto => self.closed.is_none(),
            other => other == Wait::Spin,
        };
        Drive {
            pace,
            warmup_s: self.warmup,
            seconds: self.seconds,
            window,
            spin,
        }
    }

    fn caption(&self, drive: &Drive, flush_messages: String) -> Caption {
        let open = self.closed.is_none();
        Caption {
            mode: if open { "open" } else { "closed" }.into(),
            target_rate: self.rate.unwrap_or(0.0),
            arrival: if open {
                format!("{:?}", self.arrival).to_lowercase()
            } else {
                "-".into()
            },
            window: if drive.window == usize::MAX { 0 } else { drive.window },
            connections: self.connections,
            partitions: self.partitions,
            record_bytes: self.record_bytes,
            batch_records: self.batch_records,
            acks: if self.acks == -1 {
                "all".into()
            } else {
                self.acks.to_string()
            },
            idempotent: self.idempotent,
            wait: if drive.spin { "spin" } else { "park" }.into(),
            seconds: self.seconds,
            warmup_seconds: self.warmup,
            topic_configs: self.topic_configs.iter().map(|(n, v)| format!("{n}={v}")).collect(),
            flush_messages,
        }
    }
}

/// Runs, prints, and returns the exit code.
///
/// # Errors
/// Bad arguments, and whatever keeps the run from starting or ending.
pub fn produce(args: &ProduceArgs) -> io::Result<i32> {
    args.check()?;
    let bootstrap = resolve(&args.bootstrap)?;
    let (shape, drive) = (args.shape(), args.drive());
    let setup = Setup {
        bootstrap,
        raw: args.raw,
        partitions: args.partitions,
        configs: &args.topic_configs,
        connections: args.connections,
        idempotent: args.idempotent,
    };
    let (conns, mut ledger) = prepare(&setup, &shape)?;
    let policy = if args.raw {
        None
    } else {
        Control::connect(bootstrap)?
            .topic_config(&args.topic, "flush.messages")
            .ok()
            .flatten()
    };
    let (tally, usage) = watched(args, &drive, |start_ns| {
        ring::pin(args.cpu)?;
        Engine::new(&shape, &drive, conns, &mut ledger)?.run(start_ns)
    })?;
    let mut report = ProduceReport::new(
        args.caption(&drive, policy.unwrap_or_default()),
        &tally,
        &usage,
        args.pid.is_some(),
    );
    if let Some(path) = &args.ledger {
        ledger.save(path)?;
    }
    if args.verify {
        report.verdict = Some(audit(bootstrap, &ledger)?);
    }
    match args.format {
        Format::Table => print!("{}", report.table()),
        Format::Json => println!("{}", serde_json::to_string(&report)?),
    }
    Ok(match &report.verdict {
        Some(verdict) if !verdict.is_clean() => EXIT_CORRUPT,
        _ if !report.valid => EXIT_INVALID,
        _ => 0,
    })
}

/// Runs `load` while another thread samples the broker at both ends of the measured window.
fn watched(
    args: &ProduceArgs,
    drive: &Drive,
    load: impl FnOnce(u64) -> io::Result<Tally>,
) -> io::Result<(Tally, Usage)> {
    let target = Target {
        pid: args.pid,
        disk: args.disk.clone(),
    };
    let start_ns = mono_ns() + 20_000_000;
    let from_ns = start_ns + (drive.warmup_s * 1e9) as u64;
    let to_ns = from_ns + (drive.seconds * 1e9) as u64;
    let watcher = std::thread::spawn(move || {
        sleep_until(from_ns);
        let before = target.sample();
        sleep_until(to_ns);
        Usage::between(&before, &target.sample())
    });
    let tally = load(start_ns)?;
    let usage = watcher
        .join()
        .map_err(|_| io::Error::other("the sampling thread failed"))?;
    Ok((tally, usage))
}

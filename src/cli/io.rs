//! `ringlog io probe`: what the disk gives a broker.

use crate::cli::context::{Context, Format, parse_duration};
use crate::cli::failure::Failure;
use crate::cli::tune::check::{latencies, probe_failed};
use crate::cli::{examples, output};
use crate::tune::{DurableMode, Latency, Probe, Rates};
use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Measure the disk
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Probe(ProbeArgs),
}

/// Measure what a durable write costs, by size, and the disk's rates
#[derive(clap::Args, Debug)]
#[command(after_help = examples!(
"  ringlog io probe /data                    half a minute, 256 MB, removed afterwards
  ringlog io probe /data --time 10s --format json
"))]
struct ProbeArgs {
    /// A directory on the disk to measure
    #[arg(default_value = ".")]
    directory: PathBuf,
    /// How long each of the measurements takes
    #[arg(long, default_value = "3s", value_name = "TIME", value_parser = parse_duration)]
    time: Duration,
}

#[derive(Serialize)]
struct Report {
    durable_writes: Vec<Latency>,
    rates: Rates,
}

/// Sizes of durable writes, bytes.
const SIZES: [usize; 4] = [4 << 10, 16 << 10, 128 << 10, 1 << 20];

/// Measures and prints.
///
/// # Errors
/// The file cannot be written, or the disk fails.
pub fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let Command::Probe(args) = args.command;
    let report = measure(&args).map_err(|error| probe_failed(&args.directory, &error))?;
    output::one(context.format_or(Format::Table), &report, |report| {
        format!(
            "{}\n{}",
            latencies(&report.durable_writes),
            output::facts(&[
                ("write, 1 MiB", format!("{:.0} MB/s", report.rates.write_mb_s)),
                ("read, 1 MiB", format!("{:.0} MB/s", report.rates.read_mb_s)),
                ("read, 4 KiB at random", format!("{:.0}/s", report.rates.read_4k_iops)),
            ])
        )
    })
}

fn measure(args: &ProbeArgs) -> io::Result<Report> {
    let bar = ProgressBar::new(SIZES.len() as u64 + 3);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}") {
        bar.set_style(style);
    }
    bar.set_message("writing the file");
    let probe = Probe::new(&args.directory)?;
    let mut durable_writes = Vec::new();
    let runs = SIZES
        .map(|bytes| (DurableMode::Dsync, bytes))
        .into_iter()
        .chain([(DurableMode::Fdatasync, 4 << 10)]);
    for (mode, bytes) in runs {
        bar.set_message(format!("durable writes of {} KiB", bytes >> 10));
        durable_writes.push(probe.durable(mode, bytes, args.time)?);
        bar.inc(1);
    }
    bar.set_message("rates");
    let rates = probe.rates(args.time)?;
    bar.finish_and_clear();
    Ok(Report { durable_writes, rates })
}

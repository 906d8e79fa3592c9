//! `compare`: all sides in one run. See `bench_harness::compare`; `compare.sh` prepares everything it needs.

use bench_harness::compare::cells::{Times, run_side};
use bench_harness::compare::page::page;
use bench_harness::compare::side::{Rig, Side};
use bench_harness::compare::table::{Results, markdown};
use bench_harness::probe;
use clap::Parser;
use serde_json::{Value, json};
use std::io;
use std::path::PathBuf;

/// Measures the bare ring loop, ringlog and Kafka one after the other and prints one table.
#[derive(Parser)]
struct Args {
    /// Sides, in this order
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "floor,ringlog,kafka,kafka-flush"
    )]
    sides: Vec<Side>,
    /// Rounds over all sides; medians are taken over them
    #[arg(long, default_value_t = 3)]
    repeats: u32,
    /// Seconds measured per cell
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Seconds of load before a JVM is measured
    #[arg(long, default_value_t = 120.0)]
    jvm_warmup: f64,
    /// Seconds of rest before idle cost is read, and again while it is read
    #[arg(long, default_value_t = 8.0)]
    rest: f64,
    /// Run a cell again, so many times, when other processes used more than 30 % of a core meanwhile; the quietest counts
    #[arg(long, default_value_t = 2)]
    noise_retries: u32,
    /// Seconds a cell waits at most until other processes use less than 30 % of a core
    #[arg(long, default_value_t = 30.0)]
    quiet_wait: f64,
    /// The ringlog program
    #[arg(long, default_value = "target/release/ringlog")]
    ringlog: PathBuf,
    /// Folder of Kafka's jars
    #[arg(long, default_value = "target/kafka/libs")]
    kafka_libs: PathBuf,
    /// Folder on the disk to measure (needs about 40 GB)
    #[arg(long, default_value = "target/compare")]
    work: PathBuf,
    /// Where the raw results go
    #[arg(long, default_value = "target/compare.json")]
    out: PathBuf,
    /// Measure nothing: print the table of an earlier run's raw results
    #[arg(long)]
    from: Option<PathBuf>,
    /// First of three ports
    #[arg(long, default_value_t = 19500)]
    port: u16,
    /// CPU of the broker (JVM sides: a list is possible, e.g. 0-1, where a single core is felt to be unfair)
    #[arg(long, default_value = "0")]
    broker_cpus: String,
    /// CPU of the load client
    #[arg(long, default_value_t = 1)]
    load_cpu: usize,
    /// Heap of the JVM
    #[arg(long, default_value = "1g")]
    kafka_heap: String,
    /// Memory of ringlog (its `--memory`), for example as much as Kafka has with its page cache [default: ringlog's own]
    #[arg(long)]
    ringlog_memory: Option<String>,
    /// Rates of a throughput-latency curve, rising, in requests per second; a side stops at the first it does not reach
    #[arg(long, value_delimiter = ',')]
    sweep: Vec<u32>,
    /// Write a page to look at: one HTML file that loads nothing
    #[arg(long)]
    html: Option<PathBuf>,
}

fn main() {
    if let Err(e) = run(&Args::parse()) {
        eprintln!("compare: {e}");
        std::process::exit(1);
    }
}

fn run(args: &Args) -> io::Result<()> {
    if let Some(path) = &args.from {
        return print_again(path, args);
    }
    std::fs::create_dir_all(&args.work)?;
    let here = std::env::current_exe()?;
    let rig = Rig {
        bin: here.parent().unwrap_or(&here).to_owned(),
        ringlog: args.ringlog.clone(),
        kafka_libs: args.kafka_libs.clone(),
        work: args.work.canonicalize()?,
        port: args.port,
        broker_cpus: args.broker_cpus.clone(),
        load_cpu: args.load_cpu,
        kafka_heap: args.kafka_heap.clone(),
        ringlog_memory: args.ringlog_memory.clone(),
    };
    let times = Times {
        seconds: args.seconds,
        jvm_warmup: args.jvm_warmup,
        rest: args.rest,
        noise_retries: args.noise_retries,
        quiet_wait: args.quiet_wait,
        sweep: args.sweep.clone(),
    };
    let (mut results, mut disk) = (Results::new(), Vec::new());
    for round in 1..=args.repeats {
        let file = rig.work.join("probe");
        let probed = std::thread::spawn(move || probe::run(&file, 0, 3.0, 4096));
        disk.push(probed.join().map_err(|_| io::Error::other("the disk probe failed"))??);
        for side in &args.sides {
            eprintln!("compare: round {round} of {}, {}", args.repeats, side.key());
            let mut done = Vec::new();
            if let Err(e) = run_side(&rig, *side, &times, &mut done) {
                eprintln!("compare: {} ends early: {e}", side.key());
            }
            for (cell, result) in done {
                results.entry(*side).or_default().entry(cell).or_default().push(result);
            }
            std::fs::remove_dir_all(rig.data(*side))?;
            save(args, &results, &disk)?;
        }
    }
    print_again(&args.out, args)
}

/// Prints the table of a result file, and writes its page.
fn print_again(path: &std::path::Path, args: &Args) -> io::Result<()> {
    let all: Value = serde_json::from_slice(&std::fs::read(path)?)?;
    let malformed = || io::Error::other(format!("{}: not a result of compare", path.display()));
    let mut results = Results::new();
    for side in &args.sides {
        if let Some(cells) = all["sides"].get(side.key()) {
            results.insert(*side, serde_json::from_value(cells.clone())?);
        }
    }
    let sides: Vec<Side> = args
        .sides
        .iter()
        .copied()
        .filter(|side| results.contains_key(side))
        .collect();
    let mut disk: Vec<f64> = Vec::new();
    for probe in all["disk"].as_array().ok_or_else(malformed)? {
        disk.push(probe["durable"]["p50_us"].as_f64().ok_or_else(malformed)?);
    }
    disk.sort_by(f64::total_cmp);
    let middle = disk.get(disk.len() / 2).copied().ok_or_else(malformed)?;
    let about = all["about"].as_str().unwrap_or_default();
    println!("{about}\n");
    println!("One durable 4 KiB overwrite on this disk in this run: p50 {middle:.0} us.\n");
    print!("{}", markdown(&results, &sides, middle / 1e3));
    if let Some(file) = &args.html {
        let command = all["command"].as_str().unwrap_or_default();
        std::fs::write(file, page(&results, &sides, middle / 1e3, about, command))?;
        eprintln!("compare: wrote {}", file.display());
    }
    Ok(())
}

fn save(args: &Args, results: &Results, disk: &[probe::ProbeReport]) -> io::Result<()> {
    let sides: Value = results
        .iter()
        .map(|(side, cells)| (side.key().to_owned(), json!(cells)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let all = json!({"schema": "ringlog-compare/1", "about": heading(args), "command": command(), "disk": disk, "sides": sides});
    std::fs::write(&args.out, serde_json::to_vec_pretty(&all)?)
}

/// The command that was typed, to repeat it.
fn command() -> String {
    let quote = |arg: String| if arg.contains(' ') { format!("'{arg}'") } else { arg };
    std::env::args()
        .skip(1)
        .map(quote)
        .fold("bench-harness/compare.sh".into(), |all, arg| all + " " + &arg)
}

fn heading(args: &Args) -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let cpu = read("/proc/cpuinfo").lines().find_map(|l| {
        Some(
            l.strip_prefix("model name")?
                .trim_start_matches([' ', '\t', ':'])
                .to_owned(),
        )
    });
    format!(
        "Linux {}, {} ({} CPUs), broker on CPU {}, load client on CPU {}, same box; {} round(s) of {} s per cell, JVM warmed up {} s, heap {}, ringlog's memory {}; medians (smallest-largest).",
        read("/proc/sys/kernel/osrelease"),
        cpu.unwrap_or_default(),
        std::thread::available_parallelism().map_or(0, usize::from),
        args.broker_cpus,
        args.load_cpu,
        args.repeats,
        args.seconds,
        args.jvm_warmup,
        args.kafka_heap,
        args.ringlog_memory.as_deref().unwrap_or("its default")
    )
}

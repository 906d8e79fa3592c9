//! The power-cut rig and the kill rig of ringlog: see `README.md` beside this crate.

mod broker;
mod check;
mod cut;
mod disk;
mod error;
mod faults;
mod frames;
mod gate;
mod kafka;
mod kill;
mod ledger;
mod pfs;
mod producer;
mod record;
mod records;
mod report;
mod rig;
mod rng;
mod rules;
mod run;
mod selftest;
mod standin;
mod sys;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::broker::Spec;
use crate::error::{Context, Result};
use crate::report::{Format, Report};
use crate::rig::Shape;
use crate::sys::mount::FsKind;

/// Cuts the power under a broker, or kills it, and compares what is left with a ledger of acknowledged records.
#[derive(Parser)]
#[command(
    version,
    max_term_width = 120,
    after_help = "Exit code: 0 all checks passed, 1 something failed."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
struct Common {
    /// Table for people, json for one object per line
    #[arg(long, global = true, value_enum, default_value = "table")]
    format: Format,
    /// Seed of every random choice; the same seed picks the same records and, on the same write log, the same cuts
    #[arg(long, global = true, default_value_t = 1)]
    seed: u64,
}

/// File systems to run on.
#[derive(Clone, Copy, ValueEnum)]
enum FsChoice {
    Ext4,
    Xfs,
    Both,
}

impl FsChoice {
    fn kinds(self) -> &'static [FsKind] {
        match self {
            Self::Ext4 => &[FsKind::Ext4],
            Self::Xfs => &[FsKind::Xfs],
            Self::Both => &[FsKind::Ext4, FsKind::Xfs],
        }
    }
}

/// The broker and where its traces go.
#[derive(Args)]
struct BrokerArgs {
    /// The ringlog program [default: beside this one]
    #[arg(long)]
    broker: Option<PathBuf>,
    /// An argument of `ringlog start` instead of the rig's own; repeat it for several
    /// [default: --admin off --memory 128MiB --shards 1 or 2: small journals, so that they are recycled all the time]
    #[arg(long = "broker-arg", allow_hyphen_values = true)]
    extra: Vec<String>,
    /// Directory for ledgers, broker output and kept failures [default: a fresh one in the temporary directory]
    #[arg(long)]
    work: Option<PathBuf>,
}

impl BrokerArgs {
    fn binary(&self) -> Result<PathBuf> {
        let beside = || std::env::current_exe().map(|exe| exe.with_file_name("ringlog"));
        let binary = self.broker.clone().map_or_else(beside, Ok)?;
        binary
            .canonicalize()
            .context(&format!("{} (build it: cargo build --bin ringlog)", binary.display()))
    }

    /// Arguments of `ringlog start`: those given, else the rig's own.
    fn arguments(&self, shards: u32) -> Vec<String> {
        if !self.extra.is_empty() {
            return self.extra.clone();
        }
        let shards = shards.to_string();
        let own = ["--admin", "off", "--memory", "128MiB", "--shards", &shards];
        own.map(ToString::to_string).to_vec()
    }

    fn work(&self) -> PathBuf {
        let fresh = || std::env::temp_dir().join(format!("powercut-{}", std::process::id()));
        self.work.clone().unwrap_or_else(fresh)
    }
}

#[derive(Subcommand)]
enum Command {
    /// Prove the rig on a tiny writer: flushed frames survive each cut, unflushed ones do not (root)
    Selftest {
        /// File systems to run on
        #[arg(long, value_enum, default_value = "both")]
        fs: FsChoice,
    },
    /// Record a broker under load, cut the power at many moments, recover and compare (root)
    Run(RunArgs),
    /// Kill -9 a broker under load again and again, then compare
    Kill(KillArgs),
    /// The stand-in broker of the self-test: serves until killed
    #[command(hide = true)]
    Start {
        /// Data directory
        #[arg(long)]
        data_dir: PathBuf,
        /// Address
        #[arg(long)]
        listen: std::net::SocketAddr,
        /// What it does wrong
        #[arg(long, value_enum, default_value = "none")]
        fault: standin::Fault,
    },
    /// Let the disk fail, hang and fill up under a running broker, and look at what its operator sees (root)
    Faults(FaultsArgs),
    /// Count writes and flushes of a group commit where they arrive at the disk (root)
    Gate {
        /// File systems to run on
        #[arg(long, value_enum, default_value = "both")]
        fs: FsChoice,
        /// Disk size in MiB
        #[arg(long, default_value_t = 512)]
        mib: usize,
        #[command(flatten)]
        broker: BrokerArgs,
    },
}

#[derive(Args)]
struct RunArgs {
    /// File systems to run on
    #[arg(long, value_enum, default_value = "both")]
    fs: FsChoice,
    /// Cut images per file system: one half from a direct, one half from a buffered loop device
    #[arg(long, default_value_t = 40)]
    images: usize,
    /// How unflushed writes end, drawn from these (comma-separated) [default: all; with
    /// --flush-off only dropped]
    #[arg(long, value_enum, value_delimiter = ',')]
    modes: Vec<cut::Mode>,
    /// Disk size in MiB
    #[arg(long, default_value_t = 256)]
    mib: usize,
    /// Seconds of load per recording; the broker is killed and restarted half-way
    #[arg(long, default_value_t = 6)]
    load: u64,
    /// Idempotent producers
    #[arg(long, default_value_t = 3)]
    producers: u32,
    /// Milliseconds a producer waits before each new request
    #[arg(long, default_value_t = 1)]
    pause: u64,
    /// The disk answers flushes without doing them; loss must show, or the rig does not measure
    #[arg(long)]
    flush_off: bool,
    /// Keep images of failures in the work directory (each as large as the disk)
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    broker: BrokerArgs,
}

#[derive(Args)]
struct FaultsArgs {
    /// Groups of checks (comma-separated) [default: all]
    #[arg(long, value_enum, value_delimiter = ',')]
    kinds: Vec<faults::Kind>,
    /// Failing calls tried per kind of call, and a third of the kills over a slow disk
    #[arg(long, default_value_t = 2)]
    rounds: u32,
    #[command(flatten)]
    broker: BrokerArgs,
}

#[derive(Args)]
struct KillArgs {
    /// Kills
    #[arg(long, default_value_t = 30)]
    rounds: u32,
    /// Idempotent producers, five requests in flight each
    #[arg(long, default_value_t = 4)]
    producers: u32,
    /// Milliseconds a producer waits before each new request
    #[arg(long, default_value_t = 2)]
    pause: u64,
    /// Longest life of a broker in milliseconds between its first answer and the kill
    #[arg(long, default_value_t = 1500)]
    life: u64,
    /// Shards of the broker
    #[arg(long, default_value_t = 2)]
    shards: u32,
    /// Data directory, kept over all rounds; on a file system with direct I/O [default: in the work directory]
    #[arg(long)]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    broker: BrokerArgs,
}

fn power_cut(args: &RunArgs, seed: u64, report: &mut Report) -> Result<()> {
    let home = sys::namespace::enter()?;
    let plan = run::Plan {
        kinds: args.fs.kinds().to_vec(),
        images: args.images,
        modes: match (args.modes.is_empty(), args.flush_off) {
            // A disk that loses its whole cache leaves a sound image of the past: the broker starts, and loss can be counted.
            (true, true) => vec![cut::Mode::Dropped],
            (true, false) => cut::MODES.to_vec(),
            (false, _) => args.modes.clone(),
        },
        seed,
        mib: args.mib,
        load: Duration::from_secs(args.load),
        producers: args.producers,
        pause: Duration::from_millis(args.pause),
        flush_off: args.flush_off,
        binary: args.broker.binary()?,
        extra: [args.broker.arguments(1), args.broker.arguments(2)],
        work: args.broker.work(),
        keep: args.keep,
    };
    run::run(&home, &plan, report)?;
    clear_up(&args.broker, &plan.work, report.clean())
}

/// Removes a work directory of our own making unless something in it explains a failure.
fn clear_up(args: &BrokerArgs, work: &std::path::Path, clean: bool) -> Result<()> {
    if clean && args.work.is_none() {
        return std::fs::remove_dir_all(work).context("clearing up");
    }
    Ok(())
}

fn kill(args: &KillArgs, seed: u64, report: &mut Report) -> Result<()> {
    let work = args.broker.work();
    std::fs::create_dir_all(&work).context("work directory")?;
    let plan = kill::Plan {
        rounds: args.rounds,
        producers: args.producers,
        seed,
        spec: Spec {
            binary: args.broker.binary()?,
            extra: args.broker.arguments(args.shards),
            addr: broker::free_addr()?,
            log: work.join("broker.log"),
        },
        data_dir: args.data_dir.clone().unwrap_or_else(|| work.join("data")),
        ledger: work.join("ledger.txt"),
        pause: Duration::from_millis(args.pause),
        life: Duration::from_millis(args.life),
        topics: producer::topics(),
        topic_configs: producer::topic_configs(),
    };
    let outcome = kill::run(&plan, &mut |text| report.progress(text))
        .context(&format!("kill rig (data and ledger are in {})", work.display()))?;
    for violation in &outcome.violations {
        report.failure("kill -9", violation);
    }
    let at = |share: usize| {
        outcome
            .starts
            .get(outcome.starts.len() * share / 100)
            .map_or(0, Duration::as_millis)
    };
    let detail = format!(
        "{} kills ({} during start), {} records acked, {} read: {}; start p50 {} ms, p99 {} ms",
        outcome.kills.0,
        outcome.kills.1,
        outcome.records.0,
        outcome.records.1,
        outcome.findings,
        at(50),
        at(99)
    );
    report.line("kill -9", outcome.passed(), &detail);
    clear_up(&args.broker, &work, outcome.passed())
}

fn disk_faults(args: &FaultsArgs, seed: u64, report: &mut Report) -> Result<()> {
    let home = sys::namespace::enter()?;
    let small = ["--admin", "off", "--memory", "64MiB", "--shards", "1"];
    let given = args.broker.extra.clone();
    let plan = faults::Plan {
        kinds: args.kinds.clone(),
        rounds: args.rounds,
        seed,
        binary: args.broker.binary()?,
        extra: if given.is_empty() {
            small.map(ToString::to_string).to_vec()
        } else {
            given
        },
        work: args.broker.work(),
    };
    faults::run(&home, &plan, report)?;
    clear_up(&args.broker, &plan.work, report.clean())
}

fn gate(fs: FsChoice, mib: usize, args: &BrokerArgs, report: &mut Report) -> Result<()> {
    let home = sys::namespace::enter()?;
    let work = args.work();
    std::fs::create_dir_all(&work).context("work directory")?;
    for &fs in fs.kinds() {
        let spec = Spec {
            binary: args.binary()?,
            extra: args.arguments(1),
            addr: broker::free_addr()?,
            log: work.join("gate.log"),
        };
        gate::run(
            &home,
            Shape {
                fs,
                direct: true,
                mib: mib.max(fs.min_mib()),
            },
            &spec,
            report,
        )?;
    }
    Ok(())
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut report = Report::new(cli.common.format);
    let seed = cli.common.seed;
    let result = match &cli.command {
        Command::Selftest { fs } => {
            sys::namespace::enter().and_then(|h| selftest::run(&h, fs.kinds(), seed, &mut report))
        }
        Command::Run(args) => power_cut(args, seed, &mut report),
        Command::Faults(args) => disk_faults(args, seed, &mut report),
        Command::Kill(args) => kill(args, seed, &mut report),
        Command::Start {
            data_dir,
            listen,
            fault,
        } => standin::serve(data_dir, *listen, *fault),
        Command::Gate { fs, mib, broker } => gate(*fs, *mib, broker, &mut report),
    };
    if let Err(error) = result {
        report.failure("rig", &error.to_string());
    }
    if report.close() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

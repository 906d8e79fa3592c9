//! The power-cut rig and the kill rig of ringlog: see `README.md` beside this crate.

mod cut;
mod disk;
mod error;
mod frames;
mod pfs;
mod report;
mod rig;
mod rng;
mod rules;
mod selftest;
mod sys;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::error::Result;
use crate::report::{Format, Report};
use crate::sys::mount::FsKind;

/// Cuts the power under a broker, or kills it, and compares what is left with a ledger of acknowledged records.
#[derive(Parser)]
#[command(version, max_term_width = 120)]
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
    /// Seed of every random choice; the same seed picks the same cuts and the same records
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

#[derive(Subcommand)]
enum Command {
    /// Prove the rig on a tiny writer: flushed frames survive each cut, unflushed ones do not (root)
    Selftest {
        /// File systems to run on
        #[arg(long, value_enum, default_value = "both")]
        fs: FsChoice,
    },
}

fn run(cli: &Cli, report: &mut Report) -> Result<()> {
    match &cli.command {
        Command::Selftest { fs } => {
            let home = sys::namespace::enter()?;
            selftest::run(&home, fs.kinds(), cli.common.seed, report)
        }
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut report = Report::new(cli.common.format);
    if let Err(error) = run(&cli, &mut report) {
        report.failure("rig", &error.to_string());
    }
    if report.close() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

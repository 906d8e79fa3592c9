//! `ringlog tune`: what the host is set to, what a broker wants, and the way there and back.

/// Examples with this command's own exit codes.
macro_rules! tune_examples {
    ($text:expr) => {
        concat!(
            "Examples:\n",
            $text,
            "\nExit codes: 0 ok, 1 failure, 2 usage, 3 warnings (--strict), 4 no broker can run"
        )
    };
}

mod change;
pub(crate) mod check;
mod export;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::server::config::nearest;
use crate::tune::{Finding, Host, Journal, Profile, Scope, Sysroot};
use clap::{Subcommand, ValueEnum};
use std::path::PathBuf;

/// A check found warnings and `--strict` was given.
const EXIT_WARNINGS: u8 = 3;
/// A check found something without which no broker runs.
const EXIT_FATAL: u8 = 4;

/// Check the host's settings, change them, undo it
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Check(check::Args),
    Plan(change::PlanArgs),
    Apply(change::ApplyArgs),
    Undo(change::UndoArgs),
    Export(export::Args),
    Explain(check::ExplainArgs),
}

/// What for.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ProfileName {
    /// Microseconds count, at the price of power
    Latency,
    /// Bytes per second count
    Throughput,
    /// Others live on this host too: only what is ours is changed
    Shared,
}

/// What to look at.
#[derive(clap::Args, Clone, Debug)]
struct ScopeArgs {
    /// What the host is for: latency, throughput or shared
    #[arg(long, value_enum, default_value = "latency", hide_possible_values = true)]
    profile: ProfileName,

    /// Where the broker keeps its data
    #[arg(long, default_value = "ringlog-data", value_name = "DIR")]
    data_dir: PathBuf,

    /// The disk, if the mount table does not tell (may be given more than once)
    #[arg(long, value_name = "NAME")]
    device: Vec<String>,

    /// Look at a directory with a copy of /proc and /sys instead of this machine
    #[arg(long, default_value = "/", value_name = "DIR")]
    sysroot: PathBuf,
}

impl ScopeArgs {
    fn host(&self) -> Result<Host, Failure> {
        let data_dir = absolute(&self.data_dir)
            .map_err(|error| Failure::usage(format!("--data-dir {}: {error}", self.data_dir.display())))?;
        Ok(Host::new(Scope {
            sysroot: self.root(),
            data_dir,
            devices: self.device.clone(),
            profile: match self.profile {
                ProfileName::Latency => Profile::Latency,
                ProfileName::Throughput => Profile::Throughput,
                ProfileName::Shared => Profile::Shared,
            },
        }))
    }

    fn root(&self) -> Sysroot {
        Sysroot::new(&self.sysroot)
    }
}

/// Without links, also if the directory is not there yet.
fn absolute(path: &std::path::Path) -> std::io::Result<PathBuf> {
    path.canonicalize().or_else(|_| std::path::absolute(path))
}

fn journal(root: &Sysroot) -> Result<Journal, Failure> {
    Journal::open(root).map_err(|error| {
        Failure::Other(
            crate::cli::failure::EXIT_FAILURE,
            format!("{}: {}", error.file.display(), error.cause),
            Some("it holds the values from before `ringlog tune apply`; restore or remove it".into()),
        )
    })
}

/// The findings that the items name.
fn chosen(host: &Host, items: &[String]) -> Result<Vec<Finding>, Failure> {
    for item in items {
        if crate::tune::rule(item).is_none() {
            return Err(unknown(item));
        }
    }
    Ok(crate::tune::select(crate::tune::check(host), items))
}

fn unknown(item: &str) -> Failure {
    let close = nearest(crate::tune::names(), item);
    Failure::usage(match close {
        Some(name) => format!("no item is called {item}: did you mean {name}?"),
        None => format!("no item is called {item}; `ringlog tune check` shows all"),
    })
}

/// Runs the subcommand.
///
/// # Errors
/// Exit code 3 for warnings with `--strict`, 4 for what stops a broker, 1 if something could not be changed.
pub fn run(args: Args, context: &Context) -> Result<(), Failure> {
    match args.command {
        Command::Check(args) => check::run(args, context),
        Command::Plan(args) => change::plan(args, context),
        Command::Apply(args) => change::apply(args, context),
        Command::Undo(args) => change::undo(args, context),
        Command::Export(args) => export::run(args),
        Command::Explain(args) => check::explain(args, context),
    }
}

//! The command line: one file per command, each a clap type with a `run`.
//!
//! To add a command: write `src/cli/NAME.rs` with an `Args` type and a `run`, then add one line to [`Command`] and one to
//! [`Command::run`]. Commands speak the Kafka protocol through `crate::client` only, so they work with any broker. Answers
//! go to stdout, everything else to stderr; each failure has an exit code (see [`failure`]).

pub mod clock;
pub mod cluster;
pub mod config;
pub mod consume;
pub mod context;
pub mod demo;
pub mod doctor;
pub mod encode;
pub mod failure;
pub mod group;
pub mod inspect;
pub mod interrupt;
pub mod io;
pub mod jsonl;
pub mod output;
pub mod produce;
pub mod quota;
pub mod start;
pub mod template;
pub mod top;
pub mod topic;
pub mod tune;
pub mod version;

use crate::cli::context::{Context, Globals};
use crate::cli::failure::Failure;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Examples and exit codes under a command's `--help`.
macro_rules! examples {
    ($text:expr) => {
        concat!(
            "Examples:\n",
            $text,
            "\nExit codes: 0 ok, 1 failure, 2 usage, 5 cannot connect, 6 not found, 7 timeout"
        )
    };
    // For commands with verdicts of their own, such as "4 something is refused".
    ($text:expr, $codes:expr) => {
        concat!(
            "Examples:\n",
            $text,
            "\nExit codes: 0 ok, 1 failure, 2 usage, ",
            $codes,
            ", 5 cannot connect, 6 not found, 7 timeout"
        )
    };
}
pub(crate) use examples;

/// A Kafka-compatible broker and its tools.
///
/// One pinned thread per core, io_uring, direct I/O: every acknowledged record is on stable storage. The client commands work
/// with any Kafka-compatible broker.
#[derive(Parser, Debug)]
#[command(
    name = "ringlog",
    version,
    arg_required_else_help = true,
    max_term_width = 110,
    after_help = examples!(
"  ringlog demo                                watch a broker work
  ringlog start                               run a broker in ./ringlog-data
  ringlog topic create logs -p 4              make a topic
  echo hello | ringlog produce logs           one record per line
  ringlog consume logs -o start -e            read it back, leave at the end
  ringlog cluster info -b broker-1:9092       ask another broker
  ringlog top                                 rates, lag and shard load, live
  ringlog doctor connect broker-1:9092        why can nobody connect?
  ringlog consume a --format jsonl -e | ringlog produce b --format jsonl    copy records exactly
")
)]
struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Start(start::Args),
    Demo(demo::Args),
    Topic(topic::Args),
    Produce(produce::Args),
    Consume(consume::Args),
    Group(group::Args),
    Cluster(cluster::Args),
    Config(config::Args),
    Quota(quota::Args),
    Top(top::Args),
    Doctor(doctor::Args),
    Inspect(inspect::Args),
    Tune(tune::Args),
    Io(io::Args),
    Version(version::Args),
}

impl Command {
    fn run(self, context: &Context) -> Result<(), Failure> {
        match self {
            Command::Start(args) => start::run(args, context),
            Command::Demo(args) => demo::run(args, context),
            Command::Topic(args) => topic::run(args, context),
            Command::Produce(args) => produce::run(args, context),
            Command::Consume(args) => consume::run(args, context),
            Command::Group(args) => group::run(args, context),
            Command::Cluster(args) => cluster::run(args, context),
            Command::Config(args) => config::run(args, context),
            Command::Quota(args) => quota::run(args, context),
            Command::Top(args) => top::run(args, context),
            Command::Doctor(args) => doctor::run(args, context),
            Command::Inspect(args) => inspect::run(args, context),
            Command::Tune(args) => tune::run(args, context),
            Command::Io(args) => io::run(args, context),
            Command::Version(args) => version::run(args, context),
        }
    }
}

/// Parses the arguments, runs the command, reports its failure on stderr.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // A reader that went away while help is printed is nobody's error.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let context = Context::new(cli.globals);
    match cli.command.run(&context) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report();
            ExitCode::from(failure.exit_code())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    /// Every command that does something says what, shows an example and names the exit codes.
    #[test]
    fn every_command_has_examples_and_exit_codes() {
        fn walk(command: &mut clap::Command, path: &str) {
            let path = format!("{path} {}", command.get_name());
            if command.get_name() == "help" {
                return;
            }
            let names: Vec<String> = command
                .get_subcommands()
                .map(|sub| sub.get_name().to_string())
                .collect();
            if names.is_empty() {
                let help = command.render_long_help().to_string();
                assert!(help.contains("Examples:"), "{path}: no examples in --help");
                assert!(help.contains("Exit codes:"), "{path}: no exit codes in --help");
                assert!(command.get_about().is_some(), "{path}: no description");
            }
            for name in names {
                if let Some(sub) = command.find_subcommand_mut(&name) {
                    walk(sub, &path);
                }
            }
        }
        let mut command = Cli::command();
        command.build();
        walk(&mut command, "");
    }
}

//! `ringlog doctor`: what is wrong, and what to do about it.

mod connect;
mod hop;
mod peer;

use crate::cli::context::Context;
use crate::cli::examples;
use crate::cli::failure::Failure;
use clap::Subcommand;

/// Find out what is wrong
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Connect(ConnectArgs),
}

/// Walk the way a client goes, and say which hop breaks
///
/// Clients connect twice: to a bootstrap address, and from there to the address that each node advertises. This resolves the
/// name, connects, asks for versions and metadata, then does the same for every advertised address and checks that the node
/// meant answers there.
#[derive(clap::Args, Debug)]
#[command(after_help = examples!(
"  ringlog doctor connect broker-1.example:9092
  ringlog doctor connect localhost                          port 9092
  ringlog doctor connect broker-1:9092 --timeout 2s --format json
"))]
struct ConnectArgs {
    /// Bootstrap address, as a client is given it
    #[arg(value_name = "HOST[:PORT]")]
    address: String,
}

/// Runs `ringlog doctor ...`.
///
/// # Errors
/// Exit code 5 when a hop is broken; write errors.
pub fn run(args: Args, context: &Context) -> Result<(), Failure> {
    match args.command {
        Command::Connect(args) => connect::connect(&args, context),
    }
}

//! `load`: the load client. See `bench_harness::engine`.

use bench_harness::produce::{ProduceArgs, produce};
use bench_harness::readback::{ConsumeArgs, VerifyArgs, consume_all, verify};
use clap::{Parser, Subcommand};

/// Open-loop load for any Kafka-compatible broker; every record can be accounted for afterwards.
///
/// Exit codes: 0 done and valid; 1 could not run; 2 usage; 3 ran, but a validity check failed; 4 records were lost,
/// duplicated, reordered or changed.
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Send records and measure the acknowledgements
    Produce(ProduceArgs),
    /// Read a whole topic as fast as the broker gives it
    Consume(ConsumeArgs),
    /// Account for every record of an earlier run
    Verify(VerifyArgs),
}

fn main() {
    let code = match Args::parse().command {
        Command::Produce(args) => produce(&args),
        Command::Consume(args) => consume_all(&args),
        Command::Verify(args) => verify(&args),
    };
    match code {
        Ok(code) => std::process::exit(code),
        Err(e) => {
            eprintln!("load: {e}");
            std::process::exit(1);
        }
    }
}

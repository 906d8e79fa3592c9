//! `floor`: the bare ring loop. See `bench_harness::floor`.

use bench_harness::floor::{Config, run};
use clap::Parser;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Receives Kafka Produce v9 requests, writes them durably and acknowledges them: the floor under any durable broker.
/// Drive it with `load produce --raw`.
#[derive(Parser)]
struct Args {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:9292")]
    listen: SocketAddr,
    /// File for the log: created, pre-written with zeros, then overwritten in a circle
    #[arg(long)]
    data: PathBuf,
    /// Size of that file, MiB
    #[arg(long, default_value_t = 512)]
    data_mib: u64,
    /// CPU to pin the only thread to
    #[arg(long, default_value_t = 0)]
    cpu: usize,
    /// Durable writes in flight at once
    #[arg(long, default_value_t = 1)]
    inflight: usize,
}

fn main() {
    let args = Args::parse();
    let config = Config {
        listen: args.listen,
        data: args.data,
        data_bytes: args.data_mib << 20,
        cpu: args.cpu,
        writes_in_flight_max: args.inflight,
    };
    if let Err(e) = run(&config, |at| println!("floor: listening on {at}")) {
        eprintln!("floor: {e}");
        std::process::exit(1);
    }
}

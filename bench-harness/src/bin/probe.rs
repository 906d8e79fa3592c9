//! `probe`: p50 and p99 of one durable write. See `bench_harness::probe`.

use clap::Parser;
use std::path::PathBuf;

/// Measures one durable overwrite (O_DIRECT, RWF_DSYNC, one in flight) on the disk that holds FILE.
#[derive(Parser)]
struct Args {
    /// File to create and overwrite, 64 MiB; removed afterwards
    file: PathBuf,
    /// CPU to run on
    #[arg(long, default_value_t = 0)]
    cpu: usize,
    /// Seconds to measure
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Bytes of a write, a multiple of 4096
    #[arg(long, default_value_t = 4096)]
    bytes: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn main() {
    let args = Args::parse();
    let result = bench_harness::probe::run(&args.file, args.cpu, args.seconds, args.bytes);
    let removed = std::fs::remove_file(&args.file);
    match result.and_then(|r| removed.map(|()| r)) {
        Ok(r) if args.json => println!("{}", serde_json::json!(r)),
        Ok(r) => println!(
            "durable write of {} B: p50 {:.0} p90 {:.0} p99 {:.0} p99.9 {:.0} max {:.0} us, {} writes",
            r.write_bytes,
            r.durable.p50_us,
            r.durable.p90_us,
            r.durable.p99_us,
            r.durable.p999_us,
            r.durable.max_us,
            r.writes
        ),
        Err(e) => {
            eprintln!("probe: {}: {e}", args.file.display());
            std::process::exit(1);
        }
    }
}

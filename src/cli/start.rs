//! `ringlog start`: runs a broker in the foreground.

use crate::cli::context::Context;
use crate::cli::examples;
use crate::cli::failure::{EXIT_FAILURE, EXIT_USAGE, Failure};
use crate::control::Order;
use crate::server::boot::{Broker, OrderHook, Outcome};
use crate::server::config::{Config, Host, Sources};
use crate::server::logging;
use std::path::PathBuf;
use std::time::Instant;

/// Run a broker in the foreground
///
/// Every acknowledged record is on stable storage. Settings come from flags, then RINGLOG_* and KAFKA_* variables
/// (RINGLOG_DATA_DIR, KAFKA_NUM_PARTITIONS), then the file, then defaults; any Kafka broker key may be in the file. An unknown
/// key is an error. SIGTERM or Ctrl-C finishes what was accepted and leaves, a second one leaves at once, SIGHUP takes over a
/// changed log level, SIGUSR1 logs the state of the shards.
#[derive(clap::Args, Debug)]
#[command(after_help = examples!(
"  ringlog start                                        this machine only, in ./ringlog-data
  ringlog start --data-dir /var/lib/ringlog --listen 0.0.0.0:9092 --advertise broker-1.example:9092
  ringlog start --config server.properties             Kafka's file, as it is
  ringlog start --config /etc/ringlog/ringlog.toml --cpus 2-5 --memory 4GiB
  KAFKA_NUM_PARTITIONS=4 ringlog start                 the variables of Kafka's container image
"))]
pub struct Args {
    /// ringlog.toml, or a Kafka server.properties
    #[arg(long, env = "RINGLOG_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    /// Where the log is kept [default: ./ringlog-data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,

    /// Address that Kafka clients connect to; 0.0.0.0:9092 for all networks [default: 127.0.0.1:9092]
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,

    /// Address that clients are told to connect to [default: the listen address, or this host's name]
    #[arg(long, value_name = "HOST:PORT")]
    advertise: Option<String>,

    /// CPUs to pin shards to, such as 0,2-3 [default: one per physical core]
    #[arg(long, value_name = "LIST")]
    cpus: Option<String>,

    /// Memory of all shards, such as 2GiB [default: a quarter of the RAM or of the cgroup's limit, at most 1GiB per shard]
    #[arg(long, value_name = "SIZE")]
    memory: Option<String>,

    /// Address of metrics and health checks, or off [default: 127.0.0.1:9644]
    #[arg(long, value_name = "HOST:PORT")]
    admin: Option<String>,

    /// Number of shards; more than CPUs only for tests [default: one per CPU]
    #[arg(long, value_name = "N")]
    shards: Option<String>,

    /// How log lines look: text or json [default: text]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
}

impl Args {
    fn flags(&self) -> Vec<(&'static str, &'static str, String)> {
        let all = [
            ("--data-dir", "data.dir", &self.data_dir),
            ("--listen", "listen", &self.listen),
            ("--advertise", "advertise", &self.advertise),
            ("--cpus", "cpus", &self.cpus),
            ("--memory", "memory", &self.memory),
            ("--admin", "admin", &self.admin),
            ("--shards", "shards", &self.shards),
            ("--log-format", "log.format", &self.log_format),
        ];
        all.into_iter()
            .filter_map(|(flag, key, value)| Some((flag, key, value.clone()?)))
            .collect()
    }

    fn load(&self, host: &Host) -> Result<Config, Failure> {
        let sources = Sources {
            file: self.config.as_deref(),
            environment: variables(),
            flags: self.flags(),
        };
        Config::load(&sources, host).map_err(|error| Failure::Other(EXIT_USAGE, error.to_string(), None))
    }
}

/// All variables that are text.
fn variables() -> Vec<(String, String)> {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
}

/// Runs the broker until it is asked to end.
///
/// # Errors
/// Configuration errors (exit code 2), refusals to start, and the reason why a running broker had to stop.
pub fn run(args: Args, _: &Context) -> Result<(), Failure> {
    let begun = Instant::now();
    let host = Host::detect();
    let config = args.load(&host)?;
    logging::install(config.log_format, &config.log_level);
    let reload_host = host.clone();
    let hook: OrderHook = Box::new(move |order| {
        if order == Order::Reload {
            reload(&args, &reload_host);
        }
        order == Order::Reload
    });
    let broker = Broker::start(&config, &host, begun, hook)
        .map_err(|refusal| Failure::Other(EXIT_FAILURE, refusal.cause, Some(refusal.remedy)))?;
    match broker.wait() {
        Outcome::Drained | Outcome::Stopped => Ok(()),
        Outcome::Failed(why) => Err(Failure::Other(
            EXIT_FAILURE,
            format!("the broker had to stop: {why}"),
            Some("what was acknowledged is on disk; look at the disk (dmesg) before starting again".into()),
        )),
    }
}

/// Takes over what can change while running: the log level.
fn reload(args: &Args, host: &Host) {
    match args.load(host) {
        Ok(config) => {
            logging::set_level(&config.log_level);
            tracing::info!(
                level = config.log_level,
                "reloaded the log level; other keys need a restart"
            );
        }
        Err(Failure::Other(_, text, _)) => tracing::error!("not reloaded: {text}"),
        Err(_) => tracing::error!("not reloaded"),
    }
}

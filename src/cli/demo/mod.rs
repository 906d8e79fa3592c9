//! `ringlog demo`: a broker in this process, fed with log lines and metrics over the Kafka protocol, read back, shown live.
//!
//! The broker is the real one (durable, on `./ringlog-data`); the feeders and the reader are ordinary Kafka clients that
//! connect to its port. At the end everything acknowledged must have been read back.

mod data;
mod feed;
mod screen;
mod stats;
mod tail;

use self::stats::Stats;
use crate::cli::context::Context;
use crate::cli::examples;
use crate::cli::failure::{EXIT_FAILURE, EXIT_USAGE, Failure};
use crate::client::admin::{self, NewTopic};
use crate::client::{Address, Cluster, Options};
use crate::control::Order;
use crate::server::boot::{Broker, OrderHook, Outcome};
use crate::server::config::{Config, Host, Sources};
use crate::server::logging;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Topic of the log lines.
const LOGS: &str = "demo.logs";
/// Topic of the measurements.
const METRICS: &str = "demo.metrics";
/// Memory of the demo's broker at most, bytes.
const MEMORY_MAX: u64 = 1 << 30;
/// How long the reader may take at the end to read what is still missing.
const CATCH_UP_MAX: Duration = Duration::from_secs(10);
/// How often the screen is drawn.
const REFRESH: Duration = Duration::from_millis(500);

/// Watch a broker work: start one here, feed it, read it back, show rates and latencies
///
/// Starts a durable broker on ./ringlog-data with at most 1 GiB of memory, creates the topics demo.logs and demo.metrics, feeds
/// them with log lines and measurements over the Kafka protocol and reads them back. Any Kafka client can connect meanwhile.
/// Ctrl-C ends it cleanly.
#[derive(clap::Args, Debug)]
#[command(after_help = examples!(
"  ringlog demo                            until Ctrl-C
  ringlog demo --seconds 10               for ten seconds
  ringlog demo --rate 100000              more records a second
  ringlog consume demo.logs               in another terminal: follow the log lines
  kcat -C -b 127.0.0.1:9092 -t demo.metrics -o end
"))]
pub struct Args {
    /// End after this many seconds
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,

    /// Records a second, all feeders together
    #[arg(long, default_value_t = 20_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=5_000_000))]
    rate: u64,

    /// Where the log is kept
    #[arg(long, default_value = "./ringlog-data", value_name = "DIR")]
    data_dir: String,

    /// Address for Kafka clients; another port is taken when this one is in use [default: 127.0.0.1:9092]
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,

    /// Address of metrics and health checks, or off; another port is taken when this one is in use [default: 127.0.0.1:9644]
    #[arg(long, value_name = "HOST:PORT")]
    admin: Option<String>,
}

/// Runs the demo.
///
/// # Errors
/// When the broker cannot start, when a client fails, or when something acknowledged was not read back.
pub fn run(args: Args, _: &Context) -> Result<(), Failure> {
    let begun = Instant::now();
    let host = Host::detect();
    let config = configure(&args, &host)?;
    logging::install(config.log_format, "warn");
    let stop = Arc::new(AtomicBool::new(false));
    let hook = end_on_first_signal(stop.clone());
    let broker = Broker::start(&config, &host, begun, hook)
        .map_err(|refusal| Failure::Other(EXIT_FAILURE, refusal.cause, Some(refusal.remedy)))?;
    let address = Address {
        host: broker.address.ip().to_string(),
        port: broker.address.port(),
    };
    let stopper = broker.stopper();
    // The broker's end is waited for beside the show, so that its failure ends the show.
    let ended = stop.clone();
    let waiter = thread::spawn(move || {
        let outcome = broker.wait();
        ended.store(true, Ordering::Relaxed);
        outcome
    });
    let shown = show(&args, &address, &stop);
    stopper.drain();
    match waiter.join() {
        Ok(Outcome::Failed(why)) => Err(Failure::failed(format!("the broker had to stop: {why}"))),
        Ok(_) => shown,
        Err(_) => Err(Failure::failed("the broker's thread panicked")),
    }
}

/// The first Ctrl-C ends the demo in order, the second one is the broker's to handle.
fn end_on_first_signal(stop: Arc<AtomicBool>) -> OrderHook {
    Box::new(move |order| match order {
        Order::Drain => {
            stop.store(true, Ordering::Relaxed);
            true
        }
        Order::Stop => std::process::exit(130),
        Order::Reload => true,
    })
}

fn configure(args: &Args, host: &Host) -> Result<Config, Failure> {
    let mut flags = vec![("--data-dir", "data.dir", args.data_dir.clone())];
    flags.push((
        "--listen",
        "listen",
        free_or_other(args.listen.as_deref(), "127.0.0.1:9092"),
    ));
    flags.push((
        "--admin",
        "admin",
        free_or_other(args.admin.as_deref(), "127.0.0.1:9644"),
    ));
    let sources = Sources {
        flags,
        ..Sources::default()
    };
    let load = |sources: &Sources| {
        Config::load(sources, host).map_err(|error| Failure::Other(EXIT_USAGE, error.to_string(), None))
    };
    let config = load(&sources)?;
    if config.memory <= MEMORY_MAX {
        return Ok(config);
    }
    let mut flags = sources.flags;
    flags.push(("cap of the demo", "memory", MEMORY_MAX.to_string()));
    load(&Sources {
        flags,
        ..Sources::default()
    })
}

/// The address asked for; else the usual one, or any free port when somebody has it.
fn free_or_other(asked: Option<&str>, usual: &str) -> String {
    if let Some(asked) = asked {
        return asked.to_string();
    }
    match TcpListener::bind(usual) {
        Ok(_) => usual.to_string(),
        Err(_) => "127.0.0.1:0".to_string(),
    }
}

fn connect(address: &Address) -> Result<Cluster, Failure> {
    let options = Options {
        client_id: "ringlog-demo".into(),
        ..Options::new(vec![address.clone()])
    };
    Ok(Cluster::connect(options)?)
}

fn create_topics(cluster: &mut Cluster) -> Result<(), Failure> {
    let topic = |name: &str, partitions| NewTopic {
        name: name.into(),
        partitions: Some(partitions),
        replicas: None,
        configs: vec![
            ("retention.ms".into(), "3600000".into()),
            ("retention.bytes".into(), (256u64 << 20).to_string()),
            ("segment.bytes".into(), (64u64 << 20).to_string()),
        ],
    };
    for (name, result) in admin::create_topics(cluster, &[topic(LOGS, 4), topic(METRICS, 2)], false)? {
        // An earlier demo's topic is as good.
        if let Err(refusal) = result
            && refusal.name() != "TOPIC_ALREADY_EXISTS"
        {
            return Err(Failure::failed(format!("create topic {name}: {refusal}")));
        }
    }
    Ok(())
}

/// Feeds, reads and draws until the time is over or somebody asks to end.
fn show(args: &Args, address: &Address, stop: &Arc<AtomicBool>) -> Result<(), Failure> {
    let mut cluster = connect(address)?;
    create_topics(&mut cluster)?;
    drop(cluster);
    let stats = Arc::new(Stats::default());
    let feeding_over = Arc::new(AtomicBool::new(false));
    let reader = tail::start(connect(address)?, stats.clone(), feeding_over.clone())?;
    let third = args.rate.div_ceil(3);
    let feeders = vec![
        feed::start(
            connect(address)?,
            feed::Kind::Access,
            third,
            stats.clone(),
            stop.clone(),
        ),
        feed::start(
            connect(address)?,
            feed::Kind::Application,
            third,
            stats.clone(),
            stop.clone(),
        ),
        feed::start(
            connect(address)?,
            feed::Kind::Metrics,
            third,
            stats.clone(),
            stop.clone(),
        ),
    ];
    let mut screen = screen::Screen::new(address);
    let until = args
        .seconds
        .map(|seconds| Instant::now() + Duration::from_secs(seconds));
    while !stop.load(Ordering::Relaxed) && until.is_none_or(|until| Instant::now() < until) {
        thread::sleep(REFRESH.min(until.map_or(REFRESH, |until| until.saturating_duration_since(Instant::now()))));
        screen.draw(&stats);
    }
    stop.store(true, Ordering::Relaxed);
    let mut failure = feeders.into_iter().find_map(|feeder| join(feeder.join()).err());
    stats.await_read(CATCH_UP_MAX);
    feeding_over.store(true, Ordering::Relaxed);
    failure = failure.or(join(reader.join()).err());
    screen.finish(&stats);
    match failure {
        Some(failure) => Err(failure),
        None => verdict(&stats),
    }
}

fn join(result: thread::Result<Result<(), Failure>>) -> Result<(), Failure> {
    result.unwrap_or_else(|_| Err(Failure::failed("a client thread panicked")))
}

fn verdict(stats: &Stats) -> Result<(), Failure> {
    let (acked, read) = (stats.acked(), stats.read());
    if read < acked {
        return Err(Failure::failed(format!(
            "{acked} records were acknowledged, only {read} were read back"
        )));
    }
    Ok(())
}

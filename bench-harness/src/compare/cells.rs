//! The cells of a comparison: what each side is asked to do, in which order, and the raw result of each.

use super::side::{Broker, Rig, Side};
use crate::sampler::{Target, Usage};
use crate::setup::make_topic;
use serde_json::{Value, json};
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// CPU of others, % of a core, above which a cell is run again: half of what the kernel itself may use for the broker.
pub const NOISE_PERCENT_MAX: f64 = 30.0;

/// How long things take.
#[derive(Clone, Debug)]
pub struct Times {
    /// Seconds measured per cell.
    pub seconds: f64,
    /// Seconds of load before a JVM is measured.
    pub jvm_warmup: f64,
    /// How often a cell is run again because others used the machine meanwhile.
    pub noise_retries: u32,
    /// Seconds a cell waits at most for other processes to be quiet.
    pub quiet_wait: f64,
    /// Seconds a broker rests before and while its idle cost is read.
    pub rest: f64,
    /// Rates of the throughput-latency curve, requests per second, rising.
    pub sweep: Vec<u32>,
}

/// Share of a rate below which a side is beyond its knee; the sweep ends there.
const KNEE: f64 = 0.98;

/// Runs all cells of one side once and adds `(cell, result)` to `done`, also those before a failure. `floor` runs only
/// the produce cells: it keeps no log.
///
/// # Errors
/// A broker that does not start, or a load client that prints no result.
pub fn run_side(rig: &Rig, side: Side, times: &Times, done: &mut Vec<(String, Value)>) -> io::Result<()> {
    rig.wipe(side)?;
    let (broker, ack) = rig.start(side, "first")?;
    done.push(("start".into(), json!(ack)));
    let mut round = Round {
        rig,
        times,
        broker,
        done,
    };
    if side == Side::Floor {
        round.produce_cells()?;
        round.sweep()?;
        return round.large();
    }
    round.rest()?;
    round.warm_up()?;
    round.produce_cells()?;
    round.sweep()?;
    round.partitions()?;
    round.large()?;
    round.consume()?;
    round.restart()
}

struct Round<'a> {
    rig: &'a Rig,
    times: &'a Times,
    broker: Broker,
    done: &'a mut Vec<(String, Value)>,
}

impl Round<'_> {
    fn produce_cells(&mut self) -> io::Result<()> {
        self.produce("closed", "closed", &["--closed"], self.times.seconds, 2.0)?;
        self.produce("open-5k", "open-5k", &["--rate", "5000"], self.times.seconds, 2.0)?;
        let ledger = self.ledger();
        let ledger = ledger.to_string_lossy();
        self.produce(
            "open-20k",
            "open-20k",
            &["--rate", "20000", "--ledger", &ledger],
            self.times.seconds,
            2.0,
        )
    }

    /// The same load at rising rates, up to the first that is not reached.
    fn sweep(&mut self) -> io::Result<()> {
        for rate in self.times.sweep.clone() {
            let (cell, text) = (format!("sweep-{rate}"), rate.to_string());
            self.produce(&cell, "sweep", &["--rate", &text], self.times.seconds, 1.0)?;
            let achieved = self
                .done
                .last()
                .and_then(|(_, result)| result["requests_per_second"].as_f64());
            if achieved.is_none_or(|achieved| achieved < f64::from(rate) * KNEE) {
                break;
            }
        }
        Ok(())
    }

    fn ledger(&self) -> std::path::PathBuf {
        self.rig.work.join(format!("{}.ledger", self.broker.side().key()))
    }

    fn large(&mut self) -> io::Result<()> {
        let args = ["--closed", "--connections", "8", "--batch-records", "128"];
        self.produce("large", "large", &args, self.times.seconds.min(5.0), 1.0)
    }

    /// The same load on 10 and on 1,000 partitions, at once after their creation.
    fn partitions(&mut self) -> io::Result<()> {
        for count in ["10", "1000"] {
            let name = format!("partitions-{count}");
            self.produce(
                &name,
                &name,
                &["--rate", "5000", "--partitions", count],
                self.times.seconds,
                0.0,
            )?;
        }
        Ok(())
    }

    /// Idle memory and CPU with 1,000 partitions, before any load.
    fn rest(&mut self) -> io::Result<()> {
        make_topic(self.broker.at, "rest", 1000, &self.broker.side().topic_configs())?;
        std::thread::sleep(Duration::from_secs_f64(self.times.rest));
        let target = Target {
            pid: Some(self.broker.pid()),
            disk: None,
        };
        let before = target.sample();
        std::thread::sleep(Duration::from_secs_f64(self.times.rest));
        let usage = Usage::between(&before, &target.sample());
        let mut result = json!(usage);
        result["other_cpu_percent"] = json!(usage.other_percent(0.0));
        self.keep("rest", result);
        Ok(())
    }

    /// Lets a JVM compile what the cells will use; its figures are thrown away.
    fn warm_up(&mut self) -> io::Result<()> {
        if !self.broker.side().is_jvm() {
            return Ok(());
        }
        let half = (self.times.jvm_warmup / 2.0).max(1.0);
        self.produce("warm", "warm", &["--closed"], half, 0.0)?;
        self.produce("warm", "warm", &["--rate", "4000"], half, 0.0)?;
        self.consume_topic("warm", "warm", 1)?;
        self.done.retain(|(name, _)| name != "warm");
        Ok(())
    }

    /// Reads the same amount of the same records from every side: 1.5 GB in 128 KiB batches, 0.25 GB in single records.
    fn consume(&mut self) -> io::Result<()> {
        let args = ["--rate", "1200", "--connections", "8", "--batch-records", "128"];
        self.produce("fill", "fill", &args, 10.0, 0.0)?;
        self.consume_topic("consume-large", "fill", 3)?;
        self.consume_topic("consume-small", "open-20k", 3)
    }

    /// Kill -9 with everything written so far in place, start to first ack, then account for every record of one run.
    fn restart(self) -> io::Result<()> {
        let bytes = folder_bytes(&self.rig.data(self.broker.side()));
        let side = self.broker.side();
        let (broker, ack) = self.broker.kill_and_restart("closed")?;
        let mut result = json!(ack);
        result["data_bytes"] = json!(bytes);
        self.done.push(("restart".into(), result));
        let ledger = self.rig.work.join(format!("{}.ledger", side.key()));
        let at = broker.at.to_string();
        let verdict = self.rig.load(&[
            "verify",
            "-b",
            &at,
            "--format",
            "json",
            "--ledger",
            &ledger.to_string_lossy(),
        ])?;
        self.done.push(("verify".into(), verdict));
        Ok(())
    }

    fn produce(&mut self, cell: &str, topic: &str, extra: &[&str], seconds: f64, warmup: f64) -> io::Result<()> {
        let (at, pid) = (self.broker.at.to_string(), self.broker.pid().to_string());
        let (seconds, warmup) = (seconds.to_string(), warmup.to_string());
        let (cpu, disk) = (
            self.rig.load_cpu.to_string(),
            self.rig.work.to_string_lossy().into_owned(),
        );
        let mut args = vec![
            "produce",
            "-b",
            &at,
            "-t",
            topic,
            "--seconds",
            &seconds,
            "--warmup",
            &warmup,
        ];
        args.extend(["--cpu", &cpu, "--pid", &pid, "--disk", &disk, "--format", "json"]);
        if self.broker.side() == Side::Floor {
            args.push("--raw");
        }
        let configs: Vec<String> = self
            .broker
            .side()
            .topic_configs()
            .iter()
            .map(|(n, v)| format!("--topic-config={n}={v}"))
            .collect();
        args.extend(configs.iter().map(String::as_str));
        args.extend(extra);
        self.measure(cell, &args, if warmup == "0" { 0 } else { self.times.noise_retries })
    }

    fn consume_topic(&mut self, cell: &str, topic: &str, passes: u32) -> io::Result<()> {
        let (at, pid, passes) = (
            self.broker.at.to_string(),
            self.broker.pid().to_string(),
            passes.to_string(),
        );
        let cpu = self.rig.load_cpu.to_string();
        let mut args = vec![
            "consume", "-b", &at, "-t", topic, "--pid", &pid, "--cpu", &cpu, "--format", "json",
        ];
        args.extend(["--warmup-passes", "1", "--passes", &passes, "--check", "offsets"]);
        self.measure(cell, &args, self.times.noise_retries)
    }

    /// Runs one cell once the machine is quiet, and again when others were at work meanwhile; keeps the quietest run.
    /// Which run is kept depends on the others' CPU only, never on the figures, and the rule is the same for all sides.
    fn measure(&mut self, cell: &str, args: &[&str], retries: u32) -> io::Result<()> {
        let mut best: Option<(f64, Value)> = None;
        for _ in 0..=retries {
            self.settle();
            await_quiet(Duration::from_secs_f64(self.times.quiet_wait), self.broker.pid());
            let result = self.rig.load(args)?;
            let noise = result["other_cpu_percent"].as_f64().unwrap_or(0.0);
            if best.as_ref().is_none_or(|(least, _)| noise < *least) {
                best = Some((noise, result));
            }
            if noise <= NOISE_PERCENT_MAX {
                break;
            }
        }
        if let Some((_, result)) = best {
            self.keep(cell, result);
        }
        Ok(())
    }

    fn keep(&mut self, cell: &str, result: Value) {
        eprintln!("compare: {} {cell} done", self.broker.side().key());
        self.done.push((cell.to_owned(), result));
    }

    /// Between cells: what one cell left dirty must not be written on the next one's time.
    fn settle(&self) {
        // SAFETY: no arguments, no failure.
        unsafe { libc::sync() };
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// Waits until processes other than the broker use little CPU, at most `limit`.
fn await_quiet(limit: Duration, broker: i32) {
    let (target, start) = (
        Target {
            pid: Some(broker),
            disk: None,
        },
        Instant::now(),
    );
    while start.elapsed() < limit {
        let before = target.sample();
        std::thread::sleep(Duration::from_millis(500));
        if Usage::between(&before, &target.sample()).other_percent(0.0) <= NOISE_PERCENT_MAX {
            return;
        }
    }
}

impl Rig {
    /// Runs `load` on its CPU and returns the JSON it prints, also when it calls its own result invalid.
    fn load(&self, args: &[&str]) -> io::Result<Value> {
        let mut command = Command::new("taskset");
        command
            .args(["-c", &self.load_cpu.to_string()])
            .arg(self.bin.join("load"))
            .args(args);
        let out = command.stdin(Stdio::null()).output()?;
        serde_json::from_slice(&out.stdout).map_err(|_| {
            let said = String::from_utf8_lossy(&out.stderr).trim().to_owned();
            io::Error::other(format!("load {} printed no result: {said}", args.join(" ")))
        })
    }
}

/// Bytes allocated below a folder; what cannot be read counts as 0.
fn folder_bytes(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let Ok(entries) = std::fs::read_dir(path) else { return 0 };
    let size = |e: std::fs::DirEntry| match e.metadata() {
        Ok(m) if m.is_dir() => folder_bytes(&e.path()),
        Ok(m) => m.blocks() * 512,
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}

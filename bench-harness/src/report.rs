//! Results for people and for programs, and the validity box that stands before any figure.

use crate::sampler::Usage;
use crate::tally::Tally;
use crate::verify::Verdict;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// Percentiles in microseconds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Percentiles {
    /// Median.
    pub p50_us: f64,
    /// 90 %.
    pub p90_us: f64,
    /// 99 %.
    pub p99_us: f64,
    /// 99.9 %.
    pub p999_us: f64,
    /// Largest.
    pub max_us: f64,
}

impl Percentiles {
    /// Reads them off a histogram of nanoseconds.
    pub fn of(h: &Histogram<u64>) -> Percentiles {
        let at = |q: f64| h.value_at_quantile(q) as f64 / 1e3;
        Percentiles {
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: h.max() as f64 / 1e3,
        }
    }
}

/// One line of the validity box.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Check {
    /// What is checked.
    pub name: String,
    /// What was found.
    pub found: String,
    /// What is allowed.
    pub limit: String,
    /// `ok`, `WARN` (read with care) or `INVALID` (no figure of this run may be quoted).
    pub verdict: String,
}

fn check(name: &str, found: String, limit: &str, ok: bool, else_verdict: &str) -> Check {
    let verdict = if ok { "ok" } else { else_verdict }.to_owned();
    Check {
        name: name.to_owned(),
        found,
        limit: limit.to_owned(),
        verdict,
    }
}

/// How a produce run was set up: printed with every result.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Caption {
    /// `closed` or `open`.
    pub mode: String,
    /// Requests per second asked for; 0 in a closed loop.
    pub target_rate: f64,
    /// `constant` or `poisson`; `-` in a closed loop.
    pub arrival: String,
    /// Requests in flight per connection allowed, 0 = no limit.
    pub window: usize,
    /// Connections.
    pub connections: usize,
    /// Partitions.
    pub partitions: u32,
    /// Bytes of a record value.
    pub record_bytes: usize,
    /// Records in a request.
    pub batch_records: u32,
    /// `0`, `1` or `all`.
    pub acks: String,
    /// Whether producers are idempotent.
    pub idempotent: bool,
    /// `spin` or `park`.
    pub wait: String,
    /// Measured seconds.
    pub seconds: f64,
    /// Seconds before.
    pub warmup_seconds: f64,
    /// Topic configuration given at creation.
    pub topic_configs: Vec<String>,
    /// `flush.messages` as the broker reports it: what it promises. Empty when it does not say.
    pub flush_messages: String,
}

/// What the broker used, and per unit of work.
#[derive(Clone, Debug, Serialize)]
pub struct BrokerCost {
    /// Totals of the window.
    #[serde(flatten)]
    pub usage: Usage,
    /// CPU per acknowledged request, us.
    pub cpu_us_per_request: f64,
    /// CPU per 10^9 bytes of record values acknowledged, s.
    pub cpu_s_per_gb: f64,
    /// Device bytes written per byte of record values acknowledged.
    pub write_amplification: f64,
    /// Device flushes per 1,000 acknowledged requests.
    pub flushes_per_1000: f64,
}

/// One second.
#[derive(Clone, Debug, Serialize)]
pub struct SecondRow {
    /// Requests acknowledged.
    pub acked: u64,
    /// Median, us.
    pub p50_us: f64,
    /// 99 %, us.
    pub p99_us: f64,
    /// Largest, us.
    pub max_us: f64,
    /// Answers by latency: at `i` those of 2^i to 2^(i+1) us.
    pub buckets: Vec<u64>,
}

/// Result of a produce run.
#[derive(Clone, Debug, Serialize)]
pub struct ProduceReport {
    /// Version of this form.
    pub schema: &'static str,
    /// How it was run.
    pub config: Caption,
    /// Whether the figures may be quoted.
    pub valid: bool,
    /// Why (not).
    pub validity: Vec<Check>,
    /// Requests acknowledged per second of the window.
    pub requests_per_second: f64,
    /// 10^6 bytes of record values per second.
    pub mb_per_second: f64,
    /// From the intended send (open loop), or round trip (closed loop: never to be called latency).
    pub response: Percentiles,
    /// From the actual send.
    pub service: Percentiles,
    /// `response` as a curve: pairs of percentile (0 to 100) and microseconds.
    pub response_curve: Vec<(f64, f64)>,
    /// Lateness of this client.
    pub slip: Percentiles,
    /// Requests behind `response`.
    pub measured: u64,
    /// Answers with an error, by name.
    pub errors: Vec<(String, u64)>,
    /// Sent, never answered.
    pub unanswered: u64,
    /// Due, never sent.
    pub unsent: u64,
    /// Connections lost.
    pub disconnects: u64,
    /// CPU of the load thread, % of a core, spinning included.
    pub client_cpu_percent: f64,
    /// Share of time the load thread had work, %.
    pub client_busy_percent: f64,
    /// CPU that neither broker nor client used, % of a core; without `--pid` the broker is in it.
    pub other_cpu_percent: f64,
    /// What the broker used; only with `--pid`.
    pub broker: Option<BrokerCost>,
    /// Read-back of every record; only with `--verify`.
    pub verdict: Option<Verdict>,
    /// By the second.
    pub series: Vec<SecondRow>,
}

impl ProduceReport {
    /// Puts a run's figures together. `usage` covers the measured window; `has_pid` says that a broker was watched.
    pub fn new(config: Caption, tally: &Tally, usage: &Usage, has_pid: bool) -> ProduceReport {
        let rate = tally.acked_in_window as f64 / tally.seconds();
        let bytes = config.record_bytes as f64 * f64::from(config.batch_records);
        let mut report = ProduceReport {
            schema: "ringlog-load-produce/1",
            valid: true,
            validity: Vec::new(),
            requests_per_second: rate,
            mb_per_second: rate * bytes / 1e6,
            response: Percentiles::of(&tally.response),
            service: Percentiles::of(&tally.service),
            response_curve: curve(&tally.response),
            slip: Percentiles::of(&tally.slip),
            measured: tally.response.len(),
            errors: tally
                .errors
                .iter()
                .map(|(c, n)| (crate::proto::error_name(*c), *n))
                .collect(),
            unanswered: tally.unanswered,
            unsent: tally.unsent,
            disconnects: tally.disconnects,
            client_cpu_percent: tally.cpu_percent(),
            client_busy_percent: if config.wait == "spin" {
                tally.busy_percent()
            } else {
                tally.cpu_percent()
            },
            other_cpu_percent: usage.other_percent(tally.cpu_percent()),
            broker: has_pid.then(|| cost(usage, tally.acked_in_window, bytes)),
            verdict: None,
            series: series(tally),
            config,
        };
        report.validity = report.judge(tally, usage);
        report.valid = report.validity.iter().all(|c| c.verdict != "INVALID");
        report
    }

    fn judge(&self, tally: &Tally, usage: &Usage) -> Vec<Check> {
        let errors: u64 = tally.errors.values().sum();
        let bad = tally.errors_in_window + tally.unanswered + tally.unsent + tally.disconnects + tally.out_of_order;
        let found = format!(
            "{} errors, {} unanswered, {} unsent, {} lost connections, {} out of order",
            tally.errors_in_window, tally.unanswered, tally.unsent, tally.disconnects, tally.out_of_order
        );
        let busy = self.client_busy_percent;
        let mut checks = vec![check("answers", found, "all 0", bad == 0, "INVALID")];
        let early = errors - tally.errors_in_window;
        checks.push(check(
            "errors before or after the window",
            early.to_string(),
            "0",
            early == 0,
            "WARN",
        ));
        if self.config.mode == "open" {
            let (slip, response) = (self.slip.p99_us, self.response.p99_us);
            let text = format!("{slip:.0} us of {response:.0} us");
            checks.push(check(
                "slip p99",
                text,
                "<= 10 % of response p99",
                slip <= response * 0.1,
                "INVALID",
            ));
            let share = 100.0 * self.requests_per_second / self.config.target_rate;
            checks.push(check(
                "achieved rate",
                format!("{share:.1} %"),
                ">= 99 % of target",
                share >= 99.0,
                "INVALID",
            ));
            checks.push(check(
                "client busy",
                format!("{busy:.0} %"),
                "<= 80 %",
                busy <= 80.0,
                "INVALID",
            ));
        } else {
            // A closed loop saturates one of the two sides; it says which, and is no latency either way.
            checks.push(check(
                "client busy",
                format!("{busy:.0} %"),
                "<= 80 %",
                busy <= 80.0,
                "WARN",
            ));
        }
        let share = self.other_cpu_percent;
        let limit = "<= 15 % of a core (interrupts included)";
        if self.broker.is_some() {
            checks.push(check(
                "other work on the machine",
                format!("{share:.0} % of a core"),
                limit,
                share <= 15.0,
                "WARN",
            ));
        }
        let steal = usage.steal_seconds;
        checks.push(check("steal", format!("{steal:.2} s"), "0", steal < 0.05, "WARN"));
        checks
    }

    /// For people.
    pub fn table(&self) -> String {
        let c = &self.config;
        let mut out = self.workload();
        out.push('\n');
        out.push_str(&box_of(&self.validity, self.valid));
        let _ = writeln!(
            out,
            "rate       {:>10.0} req/s {:>9.1} MB/s",
            self.requests_per_second, self.mb_per_second
        );
        let _ = writeln!(
            out,
            "{:<10} {:>9} {:>9} {:>9} {:>9} {:>9}  us",
            "", "p50", "p90", "p99", "p99.9", "max"
        );
        let first = if c.mode == "open" { "response" } else { "round trip" };
        for (name, p) in [
            (first, &self.response),
            ("service", &self.service),
            ("slip", &self.slip),
        ] {
            let _ = writeln!(
                out,
                "{name:<10} {:>9.0} {:>9.0} {:>9.0} {:>9.0} {:>9.0}",
                p.p50_us, p.p90_us, p.p99_us, p.p999_us, p.max_us
            );
        }
        for (name, count) in &self.errors {
            let _ = writeln!(out, "error      {name} x {count}");
        }
        let _ = writeln!(
            out,
            "client     {:.0} % busy, {:.0} % CPU",
            self.client_busy_percent, self.client_cpu_percent
        );
        if let Some(b) = &self.broker {
            let u = &b.usage;
            let _ = writeln!(
                out,
                "broker     {:.1} us CPU per request, {:.2} CPU-s/GB, {:.0} % CPU, RSS {:.0} MiB (peak {:.0})",
                b.cpu_us_per_request, b.cpu_s_per_gb, u.cpu_percent, u.rss_mib, u.rss_peak_mib
            );
            let _ = writeln!(
                out,
                "disk       {:.2} bytes per byte acked, {} writes, {:.1} flushes per 1,000 requests",
                b.write_amplification, u.disk_writes, b.flushes_per_1000
            );
        }
        if let Some(verdict) = &self.verdict {
            out += &verdict.table();
        }
        out
    }

    /// What was asked of the broker, in one line.
    fn workload(&self) -> String {
        let c = &self.config;
        let rate = if c.mode == "open" {
            format!("open loop {} at {:.0}/s", c.arrival, c.target_rate)
        } else {
            "closed loop".into()
        };
        format!(
            "{rate}, {} connections ({} in flight each), {} partitions, {} x {} B per request, acks={}, idempotent={}, {:.0} s after {:.0} s",
            c.connections,
            if c.window == 0 {
                "any number".to_owned()
            } else {
                c.window.to_string()
            },
            c.partitions,
            c.batch_records,
            c.record_bytes,
            c.acks,
            c.idempotent,
            c.seconds,
            c.warmup_seconds
        )
    }
}

/// The validity box as text.
pub fn box_of(checks: &[Check], valid: bool) -> String {
    let mut out = format!(
        "validity   {}\n",
        if valid {
            "valid"
        } else {
            "INVALID: quote no figure of this run"
        }
    );
    for c in checks {
        let _ = writeln!(out, "  {:<8} {}: {} (limit {})", c.verdict, c.name, c.found, c.limit);
    }
    out
}

fn cost(usage: &Usage, requests: u64, bytes_per_request: f64) -> BrokerCost {
    let requests = (requests as f64).max(1.0);
    let bytes = requests * bytes_per_request;
    BrokerCost {
        cpu_us_per_request: usage.cpu_seconds * 1e6 / requests,
        cpu_s_per_gb: usage.cpu_seconds * 1e9 / bytes,
        write_amplification: usage.disk_write_bytes as f64 / bytes,
        flushes_per_1000: usage.disk_flushes as f64 * 1000.0 / requests,
        usage: usage.clone(),
    }
}

/// Percentiles of a curve: dense where tails are.
const CURVE: [f64; 20] = [
    0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 95.0, 98.0, 99.0, 99.5, 99.8, 99.9, 99.95, 99.99,
    99.995, 99.999,
];

/// Only percentiles that the number of values can tell: beyond it a curve would repeat the largest one.
fn curve(h: &Histogram<u64>) -> Vec<(f64, f64)> {
    let known = |percent: &&f64| (100.0 - **percent) / 100.0 * h.len() as f64 >= 1.0;
    let at = |percent: &f64| (*percent, h.value_at_percentile(*percent) as f64 / 1e3);
    CURVE.iter().filter(known).map(at).collect()
}

fn series(tally: &Tally) -> Vec<SecondRow> {
    let us = |ns: u64| ns as f64 / 1e3;
    let row = |s: &crate::tally::Second| SecondRow {
        acked: s.acked,
        p50_us: us(s.p50_ns),
        p99_us: us(s.p99_ns),
        max_us: us(s.max_ns),
        buckets: s.buckets.clone(),
    };
    tally.series.iter().map(row).collect()
}

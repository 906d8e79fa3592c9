//! `ringlog tune check` and `explain`: reading only.

use super::{EXIT_FATAL, EXIT_WARNINGS, ScopeArgs, journal};
use crate::cli::context::{Context, Format, parse_duration};
use crate::cli::failure::Failure;
use crate::cli::output::{self, Align};
use crate::tune::{self, DurableMode, Finding, Host, Latency, Measured, Probe, Status};
use serde::Serialize;
use std::time::Duration;

/// Show what the host is set to and what a broker wants (changes nothing, needs no root)
#[derive(clap::Args, Debug)]
#[command(after_help = tune_examples!(
"  ringlog tune check                                     all items
  ringlog tune check disk.scheduler vm.swappiness        some
  ringlog tune check --data-dir /data/ringlog --strict   in a script: warnings fail
  ringlog tune check --probe                             with the cost of a durable write
  sudo ringlog tune check --measure disk.nomerges        what an item is worth here: set, measured, undone
"))]
pub struct Args {
    /// Items to look at (default: all)
    items: Vec<String>,
    #[command(flatten)]
    scope: ScopeArgs,
    /// Exit with 3 if there are warnings
    #[arg(long)]
    strict: bool,
    /// Measure durable writes on the data directory's disk as well, some seconds
    #[arg(long)]
    probe: bool,
    /// Set this item, measure durable writes with and without it, set it back (root)
    #[arg(long, value_name = "ITEM", conflicts_with_all = ["items", "probe", "strict"])]
    measure: Option<String>,
    /// How long each measurement takes
    #[arg(long, default_value = "2s", value_name = "TIME", value_parser = parse_duration)]
    probe_time: Duration,
}

/// Say what an item is, why it matters and what was found
#[derive(clap::Args, Debug)]
#[command(after_help = tune_examples!("  ringlog tune explain disk.scheduler\n  ringlog tune explain cpu.c_states --format json\n"))]
pub struct ExplainArgs {
    /// The item
    item: String,
    #[command(flatten)]
    scope: ScopeArgs,
}

#[derive(Serialize)]
struct Report<'a> {
    host: String,
    profile: tune::Profile,
    findings: &'a [Finding],
    durable_writes: &'a [Latency],
    undo_journal: usize,
}

/// Looks and prints.
///
/// # Errors
/// See [`super::run`].
pub fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let host = args.scope.host()?;
    if let Some(item) = &args.measure {
        return measure(&args, &host, item, context);
    }
    let findings = super::chosen(&host, &args.items)?;
    let latencies = if args.probe { probe(&args, &host)? } else { Vec::new() };
    let report = Report {
        host: host.summary(),
        profile: host.profile(),
        findings: &findings,
        durable_writes: &latencies,
        undo_journal: journal(host.root())?.entries().len(),
    };
    output::one(context.format_or(Format::Table), &report, |report| table(report, &host))?;
    let has = |status| findings.iter().any(|finding| finding.status == status);
    match (has(Status::Fail), args.strict && has(Status::Warn)) {
        (true, _) => Err(Failure::Reported(EXIT_FATAL)),
        (_, true) => Err(Failure::Reported(EXIT_WARNINGS)),
        _ => Ok(()),
    }
}

fn table(report: &Report, host: &Host) -> String {
    let rows = report.findings.iter().map(|finding| {
        vec![
            label(finding.status).to_string(),
            finding.item.clone(),
            finding.current.clone(),
            finding.want.clone(),
            way_out(finding, host),
        ]
    });
    let headers = [
        ("STATUS", Align::Left),
        ("ITEM", Align::Left),
        ("CURRENT", Align::Left),
        ("WANT", Align::Left),
        ("WHAT TO DO", Align::Left),
    ];
    let count = |status| {
        report
            .findings
            .iter()
            .filter(|finding| finding.status == status)
            .count()
    };
    let mut text = format!("HOST  {}\n\n{}", report.host, output::columns(&headers, rows));
    if !report.durable_writes.is_empty() {
        text += &format!("\n{}", latencies(report.durable_writes));
    }
    text += &format!(
        "\n{} ok, {} warn, {} fail, {} facts, {} n/a; {}\n",
        count(Status::Ok),
        count(Status::Warn),
        count(Status::Fail),
        count(Status::Info),
        count(Status::Absent),
        match report.undo_journal {
            0 => "nothing to undo".to_string(),
            changed => format!("{} to undo (`ringlog tune undo`)", output::count(changed, "change")),
        }
    );
    text
}

fn label(status: Status) -> &'static str {
    match status {
        Status::Ok => "ok",
        Status::Warn => "WARN",
        Status::Fail => "FAIL",
        Status::Info => "fact",
        Status::Absent => "n/a",
    }
}

fn way_out(finding: &Finding, host: &Host) -> String {
    match (finding.is_open(), host.container) {
        (true, true) => format!("on the host: ringlog tune apply {}", finding.item),
        (true, false) => format!("ringlog tune apply {}", finding.item),
        _ => finding.remedy.clone(),
    }
}

/// Durable writes as a table.
pub(crate) fn latencies(latencies: &[Latency]) -> String {
    let us = |value: f64| format!("{value:.0}");
    let rows = latencies.iter().map(|latency| {
        vec![
            mode(latency.mode).to_string(),
            format!("{} KiB", latency.bytes >> 10),
            us(latency.p50_us),
            us(latency.p99_us),
            us(latency.p999_us),
            us(latency.max_us),
            latency.writes.to_string(),
        ]
    });
    let headers = [
        ("DURABLE WRITE, us", Align::Left),
        ("SIZE", Align::Right),
        ("P50", Align::Right),
        ("P99", Align::Right),
        ("P99.9", Align::Right),
        ("MAX", Align::Right),
        ("WRITES", Align::Right),
    ];
    output::columns(&headers, rows)
}

fn mode(mode: DurableMode) -> &'static str {
    match mode {
        DurableMode::Dsync => "direct, DSYNC",
        DurableMode::Fdatasync => "buffered, fdatasync",
    }
}

fn open_probe(host: &Host) -> Result<Probe, Failure> {
    let directory = host.scope.data_dir.ancestors().find(|path| path.is_dir());
    let directory = directory.unwrap_or(std::path::Path::new("/"));
    Probe::new(directory).map_err(|error| probe_failed(directory, &error))
}

/// A measurement that failed, with its remedy.
pub(crate) fn probe_failed(directory: &std::path::Path, error: &std::io::Error) -> Failure {
    Failure::Other(
        crate::cli::failure::EXIT_FAILURE,
        format!("cannot measure in {}: {error}", directory.display()),
        Some("it takes 256 MB, the right to write, and a file system with direct I/O".into()),
    )
}

fn probe(args: &Args, host: &Host) -> Result<Vec<Latency>, Failure> {
    let probe = open_probe(host)?;
    [4 << 10, 16 << 10, 128 << 10]
        .into_iter()
        .map(|bytes| probe.durable(DurableMode::Dsync, bytes, args.probe_time))
        .collect::<Result<_, _>>()
        .map_err(|error| probe_failed(&host.scope.data_dir, &error))
}

fn measure(args: &Args, host: &Host, item: &str, context: &Context) -> Result<(), Failure> {
    let findings = super::chosen(host, &[item.to_string()])?;
    let Some(finding) = findings.into_iter().find(Finding::is_open) else {
        return Err(Failure::failed(format!(
            "{item} is as wanted, or nothing that can be set here: nothing to compare"
        )));
    };
    let (probe, mut journal) = (open_probe(host)?, journal(host.root())?);
    let measured = tune::measure(host.root(), &mut journal, &finding, &probe, 4096, args.probe_time)
        .map_err(|error| Failure::failed(format!("{}: {error}", finding.item)))?;
    output::one(context.format_or(Format::Table), &measured, comparison)
}

fn comparison(measured: &Measured) -> String {
    let [first, last] = &measured.before;
    let [second, third] = &measured.after;
    let rows = [
        ("as it was", first),
        ("as wanted", second),
        ("as wanted", third),
        ("as it was", last),
    ];
    let rows = rows.map(|(what, latency)| {
        let us = |value: f64| format!("{value:.0}");
        vec![
            what.to_string(),
            us(latency.p50_us),
            us(latency.p99_us),
            us(latency.p999_us),
            latency.writes.to_string(),
        ]
    });
    let headers = [
        ("DURABLE 4 KiB WRITE, us", Align::Left),
        ("P50", Align::Right),
        ("P99", Align::Right),
        ("P99.9", Align::Right),
        ("WRITES", Align::Right),
    ];
    let ratio = |pick: fn(&Latency) -> f64| {
        let sum = |pair: &[Latency; 2]| pair.iter().map(pick).sum::<f64>();
        sum(&measured.after) / sum(&measured.before)
    };
    format!(
        "{}\n{}\np50 {:.2}x, p99 {:.2}x of what it was; the two rows of a kind show how far to trust it. All is as before again.\n",
        measured.item,
        output::columns(&headers, rows),
        ratio(|latency| latency.p50_us),
        ratio(|latency| latency.p99_us)
    )
}

#[derive(Serialize)]
struct Explanation {
    item: &'static str,
    want: &'static str,
    why: &'static str,
    effect: &'static str,
    findings: Vec<Finding>,
}

/// Explains one item.
///
/// # Errors
/// There is no such item.
pub fn explain(args: ExplainArgs, context: &Context) -> Result<(), Failure> {
    let host = args.scope.host()?;
    let findings = super::chosen(&host, std::slice::from_ref(&args.item))?;
    let rule = tune::rule(&args.item).ok_or_else(|| super::unknown(&args.item))?;
    let explanation = Explanation {
        item: rule.name,
        want: rule.want,
        why: rule.why,
        effect: rule.effect,
        findings,
    };
    output::one(context.format_or(Format::Table), &explanation, |item| {
        let mut facts = vec![
            ("item", item.item.to_string()),
            ("wanted", item.want.to_string()),
            ("why", item.why.to_string()),
            ("if not", item.effect.to_string()),
            ("lasts by", lasts(rule.persist).to_string()),
        ];
        for finding in &item.findings {
            facts.push((
                "found",
                format!("{} {}: {}", label(finding.status), finding.item, finding.current),
            ));
            let writes = finding.writes.iter().take(4);
            facts.extend(writes.map(|write| ("sets", format!("{} = {}", write.path, write.value))));
            if !finding.remedy.is_empty() {
                facts.push(("remedy", finding.remedy.clone()));
            }
        }
        output::facts(&facts)
    })
}

fn lasts(persist: tune::Persist) -> &'static str {
    match persist {
        tune::Persist::Sysctl => "a line in /etc/sysctl.d (`ringlog tune export sysctl`)",
        tune::Persist::Udev => "a udev rule (`ringlog tune export udev`)",
        tune::Persist::Tmpfiles => "a line in /etc/tmpfiles.d (`ringlog tune export tmpfiles`)",
        tune::Persist::Unit => "the broker's unit (`ringlog tune export systemd`)",
        tune::Persist::Boot => "the kernel's command line (`ringlog tune export grub`)",
        tune::Persist::ByHand => "itself, once done",
    }
}

//! One markdown table of all sides: medians, spread, ratios, aims, and a fair note on each figure.

use super::side::Side;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Results by side and cell, one value per round.
pub type Results = BTreeMap<Side, BTreeMap<String, Vec<Value>>>;

/// What ringlog's figure is held against.
enum Aim {
    None,
    /// At least this many times another side's.
    AtLeast(Side, f64),
    /// At most this many times another side's.
    AtMost(Side, f64),
    /// At most this value.
    Below(f64),
    /// At least this value.
    Above(f64),
    /// At most the disk's p50 for one durable write plus this.
    NearDisk(f64),
}

struct Row {
    cell: &'static str,
    name: &'static str,
    pointer: &'static str,
    scale: f64,
    digits: usize,
    aim: Aim,
    note: &'static str,
}

const fn row(
    cell: &'static str,
    name: &'static str,
    pointer: &'static str,
    scale: f64,
    digits: usize,
    aim: Aim,
    note: &'static str,
) -> Row {
    Row {
        cell,
        name,
        pointer,
        scale,
        digits,
        aim,
        note,
    }
}

const CLOSED: &str = "64 connections, one request in flight each: the faster side gets more requests, so its round trips are not comparable latencies.";
const OPEN: &str = "From the intended send. Kafka's default acknowledges before anything is on the disk.";
const CPU: &str = "All threads of the process. Kernel work in interrupts and kernel threads (block layer, page-cache write-back, loopback) is in nobody's figure; Kafka's write-back would add to its own.";

const NOISE: &str =
    "Interrupts, kernel threads and everything else that ran: how quiet the machine was. Disturbs tails first.";
const FRESH: &str =
    "No warm-up: load starts when Metadata shows the leaders. The aim, 1,000 within 1.5x of 10, is checked below.";
const KILLED: &str = "Of the 20,000/s run. A kill is no power cut: page-cache acknowledgements survive it.";

const ROWS: &[Row] = &[
    row(
        "closed",
        "closed loop, 64 x 1 KiB: requests/s",
        "/requests_per_second",
        1.0,
        0,
        Aim::AtLeast(Side::Floor, 0.6),
        CLOSED,
    ),
    row(
        "closed",
        "same: round trip p99, ms",
        "/response/p99_us",
        1e-3,
        2,
        Aim::None,
        CLOSED,
    ),
    row(
        "closed",
        "same: CPU per request, us",
        "/broker/cpu_us_per_request",
        1.0,
        1,
        Aim::AtMost(Side::Kafka, 0.3),
        CPU,
    ),
    row(
        "closed",
        "same: device flushes per 1,000 requests",
        "/broker/flushes_per_1000",
        1.0,
        0,
        Aim::None,
        "Of the whole disk.",
    ),
    row(
        "closed",
        "same: CPU of others meanwhile, % of a core",
        "/other_cpu_percent",
        1.0,
        0,
        Aim::None,
        NOISE,
    ),
    row(
        "open-5k",
        "5,000/s: p50, ms",
        "/response/p50_us",
        1e-3,
        3,
        Aim::NearDisk(0.1),
        OPEN,
    ),
    row(
        "open-5k",
        "5,000/s: p99, ms",
        "/response/p99_us",
        1e-3,
        2,
        Aim::AtMost(Side::Kafka, 0.5),
        OPEN,
    ),
    row(
        "open-5k",
        "5,000/s: p99.9, ms",
        "/response/p999_us",
        1e-3,
        2,
        Aim::AtMost(Side::Kafka, 0.5),
        OPEN,
    ),
    row(
        "open-5k",
        "5,000/s: p99 against flushed Kafka, ms",
        "/response/p99_us",
        1e-3,
        2,
        Aim::AtMost(Side::KafkaFlush, 0.05),
        "The like-for-like pair: both durable.",
    ),
    row(
        "open-5k",
        "5,000/s: CPU per request, us",
        "/broker/cpu_us_per_request",
        1.0,
        1,
        Aim::AtMost(Side::Kafka, 0.3),
        CPU,
    ),
    row(
        "open-5k",
        "5,000/s: CPU of others meanwhile, % of a core",
        "/other_cpu_percent",
        1.0,
        0,
        Aim::None,
        NOISE,
    ),
    row(
        "open-20k",
        "20,000/s: p50, ms",
        "/response/p50_us",
        1e-3,
        3,
        Aim::NearDisk(0.1),
        OPEN,
    ),
    row(
        "open-20k",
        "20,000/s: p99, ms",
        "/response/p99_us",
        1e-3,
        2,
        Aim::AtMost(Side::Kafka, 0.5),
        OPEN,
    ),
    row(
        "open-20k",
        "20,000/s: p99.9, ms",
        "/response/p999_us",
        1e-3,
        2,
        Aim::AtMost(Side::Kafka, 0.5),
        OPEN,
    ),
    row(
        "open-20k",
        "20,000/s: achieved requests/s",
        "/requests_per_second",
        1.0,
        0,
        Aim::None,
        "Below 19,800 the side is beyond its knee and its latencies are those of a growing queue.",
    ),
    row(
        "open-20k",
        "20,000/s: CPU per request, us",
        "/broker/cpu_us_per_request",
        1.0,
        1,
        Aim::AtMost(Side::Kafka, 0.3),
        CPU,
    ),
    row(
        "partitions-10",
        "10 new partitions, 5,000/s: p99, ms",
        "/response/p99_us",
        1e-3,
        2,
        Aim::None,
        FRESH,
    ),
    row(
        "partitions-1000",
        "1,000 new partitions, 5,000/s: p50, ms",
        "/response/p50_us",
        1e-3,
        3,
        Aim::None,
        FRESH,
    ),
    row(
        "partitions-1000",
        "1,000 new partitions, 5,000/s: p99, ms",
        "/response/p99_us",
        1e-3,
        2,
        Aim::None,
        FRESH,
    ),
    row(
        "large",
        "8 connections x 128 KiB: MB/s",
        "/mb_per_second",
        1.0,
        0,
        Aim::Above(1000.0),
        "128 records of 1 KiB a batch, closed loop. Kafka's default writes to memory here; the disk gives less.",
    ),
    row(
        "large",
        "same: CPU-s per GB",
        "/broker/cpu_s_per_gb",
        1.0,
        2,
        Aim::None,
        CPU,
    ),
    row(
        "consume-large",
        "consume 128 KiB batches: MB/s",
        "/mb_per_second",
        1.0,
        0,
        Aim::AtLeast(Side::Kafka, 1.0),
        "1.5 GB read 3 times after one pass. Kafka sends from the page cache, ringlog from its own bounded memory or with direct reads from the disk. One reader thread, 4 connections, offsets checked.",
    ),
    row(
        "consume-large",
        "same: broker CPU-s per GB",
        "/broker_cpu_s_per_gb",
        1.0,
        3,
        Aim::AtMost(Side::Kafka, 0.3),
        CPU,
    ),
    row(
        "consume-small",
        "consume single-record batches: MB/s",
        "/mb_per_second",
        1.0,
        0,
        Aim::AtLeast(Side::Kafka, 1.0),
        "0.25 GB of 1 KiB batches.",
    ),
    row(
        "consume-small",
        "same: broker CPU-s per GB",
        "/broker_cpu_s_per_gb",
        1.0,
        3,
        Aim::AtMost(Side::Kafka, 0.3),
        CPU,
    ),
    row(
        "rest",
        "RSS at rest, 1,000 partitions, MiB",
        "/rss_mib",
        1.0,
        0,
        Aim::Below(64.0),
        "Kafka's heap is fixed at its size; its page cache is not counted.",
    ),
    row(
        "rest",
        "idle CPU, % of a core",
        "/cpu_percent",
        1.0,
        2,
        Aim::Below(0.5),
        "No connections.",
    ),
    row(
        "start",
        "start on an empty disk to first ack, ms",
        "/acked_ms",
        1.0,
        0,
        Aim::Below(200.0),
        "Includes making a topic; Kafka's folder is formatted beforehand, the floor's file is written in this time.",
    ),
    row(
        "restart",
        "kill -9 to first ack, ms",
        "/acked_ms",
        1.0,
        0,
        Aim::Below(500.0),
        "From the new process's start, all data of the cells above and 2,000 partitions in place.",
    ),
    row(
        "restart",
        "data on disk at that time, GB",
        "/data_bytes",
        1e-9,
        1,
        Aim::None,
        "A faster side has written more.",
    ),
    row(
        "verify",
        "acked records lost after kill -9",
        "/lost",
        1.0,
        0,
        Aim::Below(0.0),
        KILLED,
    ),
    row(
        "verify",
        "duplicated, after kill -9",
        "/duplicated",
        1.0,
        0,
        Aim::Below(0.0),
        KILLED,
    ),
    row(
        "verify",
        "changed, after kill -9",
        "/changed",
        1.0,
        0,
        Aim::Below(0.0),
        KILLED,
    ),
];

/// Median, smallest, largest.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Spread {
    median: f64,
    min: f64,
    max: f64,
}

fn spread(mut values: Vec<f64>) -> Option<Spread> {
    values.sort_by(f64::total_cmp);
    let (min, max) = (*values.first()?, *values.last()?);
    let middle = values.len() / 2;
    let median = if values.len() % 2 == 1 {
        values[middle]
    } else {
        (values[middle - 1] + values[middle]) / 2.0
    };
    Some(Spread { median, min, max })
}

fn figure(results: &Results, side: Side, cell: &str, pointer: &str, scale: f64) -> Option<Spread> {
    let rounds = results.get(&side)?.get(cell)?;
    spread(
        rounds
            .iter()
            .filter_map(|r| r.pointer(pointer)?.as_f64())
            .map(|v| v * scale)
            .collect(),
    )
}

fn has_invalid(results: &Results, side: Side, cell: &str) -> bool {
    let rounds = results.get(&side).and_then(|c| c.get(cell));
    rounds.is_some_and(|r| r.iter().any(|v| v.get("valid") == Some(&Value::Bool(false))))
}

/// The table for the `sides` measured, with the notes below it. `disk_p50_ms`: one durable 4 KiB write in this run.
pub fn markdown(results: &Results, sides: &[Side], disk_p50_ms: f64) -> String {
    let mut out = String::from("| figure |");
    for side in sides {
        let _ = write!(out, " {} |", side.title());
    }
    let against: Vec<Side> = if sides.contains(&Side::Ringlog) {
        sides.iter().copied().filter(|s| *s != Side::Ringlog).collect()
    } else {
        Vec::new()
    };
    for side in &against {
        let _ = write!(out, " ringlog / {} |", side.key());
    }
    let _ = write!(
        out,
        " aim for ringlog | note |\n|---|{}---|---|\n",
        "---|".repeat(sides.len() + against.len())
    );
    let mut notes: Vec<&str> = Vec::new();
    for row in ROWS {
        let _ = writeln!(out, "{}", line(results, row, sides, &against, disk_p50_ms, &mut notes));
    }
    out.push_str(&partition_ratios(results, sides));
    out.push_str("\n`!`: at least one round was invalid by the load client's own checks (see the JSON).\n\n");
    for (number, note) in notes.iter().enumerate() {
        let _ = writeln!(out, "{}. {note}", number + 1);
    }
    out
}

fn line<'n>(
    results: &Results,
    row: &'n Row,
    sides: &[Side],
    against: &[Side],
    disk_p50_ms: f64,
    notes: &mut Vec<&'n str>,
) -> String {
    let of = |side| figure(results, side, row.cell, row.pointer, row.scale);
    let mut out = format!("| {} |", row.name);
    for side in sides {
        let mark = if has_invalid(results, *side, row.cell) {
            " !"
        } else {
            ""
        };
        let text = of(*side).map_or("-".to_owned(), |s| show(s, row.digits));
        let _ = write!(out, " {text}{mark} |");
    }
    let own = of(Side::Ringlog);
    for side in against {
        let ratio = own
            .zip(of(*side))
            .filter(|(_, s)| s.median > 0.0)
            .map(|(o, s)| o.median / s.median);
        let _ = write!(out, " {} |", ratio.map_or("-".to_owned(), |r| format!("{r:.2}x")));
    }
    let number = notes.iter().position(|n| *n == row.note).unwrap_or_else(|| {
        notes.push(row.note);
        notes.len() - 1
    });
    let _ = write!(out, " {} | {} |", judge(&row.aim, own, of, disk_p50_ms), number + 1);
    out
}

fn show(s: Spread, digits: usize) -> String {
    if s.min == s.max {
        return format!("{:.digits$}", s.median);
    }
    format!("**{:.digits$}** ({:.digits$}-{:.digits$})", s.median, s.min, s.max)
}

fn judge(aim: &Aim, own: Option<Spread>, of: impl Fn(Side) -> Option<Spread>, disk_p50_ms: f64) -> String {
    let own = own.map(|s| s.median);
    let (text, met) = match aim {
        Aim::None => return String::new(),
        Aim::AtLeast(side, times) => {
            let met = own.zip(of(*side)).map(|(o, s)| o >= times * s.median);
            (format!(">= {times}x {}", side.key()), met)
        }
        Aim::AtMost(side, times) => {
            let met = own.zip(of(*side)).map(|(o, s)| o <= times * s.median);
            (format!("<= {times}x {}", side.key()), met)
        }
        Aim::Below(limit) => (format!("<= {limit}"), own.map(|o| o <= *limit)),
        Aim::Above(limit) => (format!(">= {limit}"), own.map(|o| o >= *limit)),
        Aim::NearDisk(extra) => {
            let limit = disk_p50_ms + extra;
            (
                format!("<= {limit:.3} (disk p50 + {extra} ms)"),
                own.map(|o| o <= limit),
            )
        }
    };
    let verdict = met.map_or("", |m| if m { ": met" } else { ": **missed**" });
    format!("{text}{verdict}")
}

fn partition_ratios(results: &Results, sides: &[Side]) -> String {
    let mut out = String::new();
    for side in sides {
        for (name, pointer) in [("p50", "/response/p50_us"), ("p99", "/response/p99_us")] {
            let ten = figure(results, *side, "partitions-10", pointer, 1.0);
            let thousand = figure(results, *side, "partitions-1000", pointer, 1.0);
            let Some((ten, thousand)) = ten.zip(thousand).filter(|(t, _)| t.median > 0.0) else {
                continue;
            };
            let ratio = thousand.median / ten.median;
            let aim = match side {
                Side::Ringlog if ratio <= 1.5 => " (aim 1.5: met)",
                Side::Ringlog => " (aim 1.5: **missed**)",
                _ => "",
            };
            let _ = write!(
                out,
                "\n1,000 partitions / 10 partitions, {name}, {}: {ratio:.2}x{aim}\n",
                side.key()
            );
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn results(ringlog: &[f64], kafka: &[f64]) -> Results {
        let cell = |values: &[f64]| {
            let rounds = values
                .iter()
                .map(|v| json!({"valid": *v < 9000.0, "response": {"p99_us": v}}))
                .collect();
            BTreeMap::from([("open-5k".to_owned(), rounds)])
        };
        Results::from([(Side::Ringlog, cell(ringlog)), (Side::Kafka, cell(kafka))])
    }

    fn p99_line(table: &str) -> &str {
        table.lines().find(|l| l.starts_with("| 5,000/s: p99, ms")).unwrap()
    }

    #[test]
    fn medians_ratios_and_aims_are_shown() {
        let sides = [Side::Ringlog, Side::Kafka];
        let table = markdown(&results(&[1000.0, 3000.0, 500.0], &[4000.0]), &sides, 0.1);
        let line = p99_line(&table);
        assert!(
            line.contains("**1.00** (0.50-3.00) | 4.00 | 0.25x | <= 0.5x kafka: met"),
            "{line}"
        );
        let table = markdown(&results(&[3000.0], &[4000.0]), &sides, 0.1);
        assert!(p99_line(&table).contains("<= 0.5x kafka: **missed**"), "{table}");
    }

    #[test]
    fn an_invalid_round_is_marked_and_a_missing_side_gets_no_verdict() {
        let sides = [Side::Ringlog, Side::Kafka];
        let table = markdown(&results(&[1000.0], &[4000.0, 9500.0]), &sides, 0.1);
        assert!(p99_line(&table).contains("(4.00-9.50) ! |"), "{table}");
        let alone = markdown(&results(&[1000.0], &[]), &sides, 0.1);
        assert!(p99_line(&alone).contains("| - | - | <= 0.5x kafka |"), "{alone}");
    }
}

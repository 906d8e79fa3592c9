//! One markdown table of all sides: medians, spread, ratios, aims, and a fair note on each figure.

use super::cells::NOISE_PERCENT_MAX;
use super::rows::{Aim, ROWS, Row};
use super::side::Side;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Results by side and cell, one value per round.
pub type Results = BTreeMap<Side, BTreeMap<String, Vec<Value>>>;

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

fn figure(results: &Results, side: Side, row: &Row) -> Option<Spread> {
    let (pointer, scale, _) = row.source;
    figure_at(results, side, row.cell, pointer).map(|s| Spread {
        median: s.median * scale,
        min: s.min * scale,
        max: s.max * scale,
    })
}

fn figure_at(results: &Results, side: Side, cell: &str, pointer: &str) -> Option<Spread> {
    let rounds = results.get(&side)?.get(cell)?;
    spread(rounds.iter().filter_map(|r| r.pointer(pointer)?.as_f64()).collect())
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
    out.push_str("\n`!`: at least one round was invalid by the load client's own checks (see the JSON). An aim is judged only from valid \
         cells in which others used at most 30 % of a core.\n\n");
    for (number, note) in notes.iter().enumerate() {
        let _ = writeln!(out, "{}. {note}", number + 1);
    }
    out
}

/// Whether a cell of a side may decide anything: valid by the client's own checks, on a machine known to be quiet.
/// Counting records is not disturbed by noise.
fn is_fit(results: &Results, side: Side, cell: &str) -> bool {
    let noise = figure_at(results, side, cell, "/other_cpu_percent").map_or(f64::INFINITY, |s| s.median);
    !has_invalid(results, side, cell) && (noise <= NOISE_PERCENT_MAX || cell == "verify")
}

fn line<'n>(
    results: &Results,
    row: &'n Row,
    sides: &[Side],
    against: &[Side],
    disk_p50_ms: f64,
    notes: &mut Vec<&'n str>,
) -> String {
    let of = |side| figure(results, side, row);
    let mut out = format!("| {} |", row.name);
    for side in sides {
        let mark = if has_invalid(results, *side, row.cell) {
            " !"
        } else {
            ""
        };
        let text = of(*side).map_or("-".to_owned(), |s| show(s, row.source.2));
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
    let _ = write!(
        out,
        " {} | {} |",
        judge(&row.aim, own, of, disk_p50_ms, &|side| is_fit(results, side, row.cell)),
        number + 1
    );
    out
}

fn show(s: Spread, digits: usize) -> String {
    if s.min == s.max {
        return format!("{:.digits$}", s.median);
    }
    format!("**{:.digits$}** ({:.digits$}-{:.digits$})", s.median, s.min, s.max)
}

/// What became of one aim.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The row's name.
    pub name: &'static str,
    /// ringlog's figure with its spread.
    pub own: String,
    /// The aim in words.
    pub aim: String,
    /// Whether it was met; nothing if it may not be judged.
    pub met: Option<bool>,
}

/// The verdict on every aim.
pub fn verdicts(results: &Results, sides: &[Side], disk_p50_ms: f64) -> Vec<Verdict> {
    if !sides.contains(&Side::Ringlog) {
        return Vec::new();
    }
    let verdict = |row: &'static Row| {
        let of = |side| figure(results, side, row);
        let own = of(Side::Ringlog);
        let (aim, met) = compare(&row.aim, own, of, disk_p50_ms)?;
        let fit = is_fit(results, Side::Ringlog, row.cell)
            && row.aim.against().is_none_or(|side| is_fit(results, side, row.cell));
        Some(Verdict {
            name: row.name,
            own: own.map_or("-".to_owned(), |s| show(s, row.source.2).replace("**", "")),
            aim,
            met: met.filter(|_| fit),
        })
    };
    ROWS.iter().filter_map(verdict).collect()
}

/// The aim in words and whether the figure meets it; nothing for a figure that is only shown.
fn compare(
    aim: &Aim,
    own: Option<Spread>,
    of: impl Fn(Side) -> Option<Spread>,
    disk_p50_ms: f64,
) -> Option<(String, Option<bool>)> {
    let own = own.map(|s| s.median);
    Some(match aim {
        Aim::Shown => return None,
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
    })
}

fn judge(
    aim: &Aim,
    own: Option<Spread>,
    of: impl Fn(Side) -> Option<Spread>,
    disk_p50_ms: f64,
    is_fit: &dyn Fn(Side) -> bool,
) -> String {
    let Some((text, met)) = compare(aim, own, of, disk_p50_ms) else {
        return String::new();
    };
    let fit = is_fit(Side::Ringlog) && aim.against().is_none_or(is_fit);
    let verdict = match met {
        None => "",
        Some(_) if !fit => ": not judged (invalid or noisy)",
        Some(true) => ": met",
        Some(false) => ": **missed**",
    };
    format!("{text}{verdict}")
}

fn partition_ratios(results: &Results, sides: &[Side]) -> String {
    let mut out = String::new();
    for side in sides {
        for (name, pointer) in [("p50", "/response/p50_us"), ("p99", "/response/p99_us")] {
            let ten = figure_at(results, *side, "partitions-10", pointer);
            let thousand = figure_at(results, *side, "partitions-1000", pointer);
            let Some((ten, thousand)) = ten.zip(thousand).filter(|(t, _)| t.median > 0.0) else {
                continue;
            };
            let ratio = thousand.median / ten.median;
            let fit = is_fit(results, *side, "partitions-10") && is_fit(results, *side, "partitions-1000");
            let aim = match side {
                Side::Ringlog if !fit => " (aim 1.5: not judged, invalid or noisy)",
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
                .map(|v| json!({"valid": *v < 9000.0, "other_cpu_percent": 5.0, "response": {"p99_us": v}}))
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
    fn noise_and_invalid_rounds_decide_nothing() {
        let sides = [Side::Ringlog, Side::Kafka];
        let mut noisy = results(&[1000.0], &[4000.0]);
        let cells = noisy.get_mut(&Side::Kafka).unwrap();
        cells.get_mut("open-5k").unwrap()[0]["other_cpu_percent"] = json!(90.0);
        assert!(p99_line(&markdown(&noisy, &sides, 0.1)).contains("not judged"));
        let invalid = results(&[9500.0], &[4000.0]);
        assert!(p99_line(&markdown(&invalid, &sides, 0.1)).contains("not judged"));
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

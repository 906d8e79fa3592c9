//! What the page says in tables, and how it reaches into the results.

use super::super::side::Side;
use super::super::table::Results;
use super::escape;
use super::svg::number;
use serde_json::Value;
use std::fmt::Write;

/// The round whose p99 is in the middle: a real run, not a mixture of several.
pub(super) fn middle<'a>(results: &'a Results, side: Side, cell: &str) -> Option<&'a Value> {
    let mut rounds: Vec<&Value> = results.get(&side)?.get(cell)?.iter().collect();
    let p99 = |round: &&Value| round.pointer("/response/p99_us").and_then(Value::as_f64).unwrap_or(0.0);
    rounds.sort_by(|a, b| p99(a).total_cmp(&p99(b)));
    rounds.get(rounds.len() / 2).copied()
}

/// A figure of a round.
pub(super) fn figure(round: &Value, pointer: &str) -> Option<f64> {
    round.pointer(pointer)?.as_f64()
}

/// Whether its own checks allow to quote it.
pub(super) fn is_valid(round: &Value) -> bool {
    round["valid"].as_bool() != Some(false)
}

/// Cells that may not be quoted, and why.
pub(super) fn validity(results: &Results, sides: &[Side]) -> String {
    let mut rows = String::new();
    for side in sides {
        for (cell, rounds) in results.get(side).into_iter().flatten() {
            for round in rounds.iter().filter(|round| !is_valid(round)) {
                for check in round["validity"].as_array().into_iter().flatten() {
                    if check["verdict"] != "INVALID" {
                        continue;
                    }
                    let text = |key: &str| escape(check[key].as_str().unwrap_or_default());
                    let _ = write!(
                        rows,
                        "<tr><td>{}<td>{}<td>{}<td>{}<td>{}</tr>",
                        escape(side.title()),
                        escape(cell),
                        text("name"),
                        text("found"),
                        text("limit")
                    );
                }
            }
        }
    }
    if rows.is_empty() {
        return "<h2>Validity</h2><p>Every run passed the load client's own checks.</p>\n".to_string();
    }
    format!(
        "<h2>Validity</h2><p>These runs failed a check of the load client itself; they decide nothing.</p>\
         <table><tr><th>side<th>cell<th>check<th>found<th>limit</tr>{rows}</table>\n"
    )
}

/// Cells shown in the table of resources.
const CELLS: [(&str, &str); 4] = [
    ("closed", "closed loop"),
    ("open-5k", "5,000/s"),
    ("open-20k", "20,000/s"),
    ("large", "128 KiB batches"),
];
/// Its columns: heading, place in the result, digits after the point.
const COLUMNS: [(&str, &str, usize); 6] = [
    ("requests/s", "/requests_per_second", 0),
    ("broker CPU, us/request", "/broker/cpu_us_per_request", 1),
    ("broker CPU-s/GB", "/broker/cpu_s_per_gb", 2),
    ("RSS, MiB", "/broker/rss_mib", 0),
    ("bytes written per byte", "/broker/write_amplification", 2),
    ("flushes per 1,000", "/broker/flushes_per_1000", 0),
];

/// What each side used.
pub(super) fn resources(results: &Results, sides: &[Side]) -> String {
    let mut rows = String::new();
    for (cell, name) in CELLS {
        for side in sides {
            let Some(round) = middle(results, *side, cell) else {
                continue;
            };
            let _ = write!(rows, "<tr><td>{name}<td>{}", escape(side.title()));
            for (_, pointer, digits) in COLUMNS {
                let text = match figure(round, pointer) {
                    None => "-".to_string(),
                    Some(value) if digits == 0 => number(value.round()),
                    Some(value) => format!("{value:.digits$}"),
                };
                let _ = write!(rows, "<td class=\"n\">{text}");
            }
            rows += "</tr>";
        }
    }
    if rows.is_empty() {
        return String::new();
    }
    let heads: String = COLUMNS
        .iter()
        .map(|(name, ..)| format!("<th class=\"n\">{name}"))
        .collect();
    format!(
        "<h2>What it costs</h2><p>Of the middle round. Bytes and flushes are the whole disk's; kernel threads are in nobody's CPU.</p>\
         <table><tr><th>cell<th>side{heads}</tr>{rows}</table>\n"
    )
}

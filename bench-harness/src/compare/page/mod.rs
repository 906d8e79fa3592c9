//! A comparison as one HTML page: verdict, validity, curves, seconds, heat map, resources, configuration, raw results.
//!
//! One file that loads nothing, readable in light and dark and on paper. Every figure stands beside what its acknowledgement is
//! worth, and a cell that may not be quoted is marked wherever it appears.

mod charts;
mod figures;
mod heat;
mod style;
mod svg;

use super::side::Side;
use super::table::{Results, Verdict, verdicts};
use std::fmt::Write;

/// The page. `disk_p50_ms`: one durable 4 KiB write in this run; `about`: the run in a sentence; `command`: how to repeat it.
pub fn page(results: &Results, sides: &[Side], disk_p50_ms: f64, about: &str, command: &str) -> String {
    let mut out = String::from("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n");
    out += "<meta name=\"viewport\" content=\"width=device-width\"><title>ringlog beside Kafka</title>\n";
    let _ = writeln!(out, "<style>{}</style></head><body>", style::CSS);
    out += "<h1>ringlog beside Kafka</h1>";
    let _ = writeln!(out, "<p>{}</p>", escape(about));
    let _ = writeln!(
        out,
        "<p>One durable 4 KiB overwrite on this disk in this run: p50 {:.0} us. No durable side can be faster with one write in flight.</p>",
        disk_p50_ms * 1e3
    );
    out += &legend(sides);
    out += &verdict_table(&verdicts(results, sides, disk_p50_ms));
    out += &figures::validity(results, sides);
    out += &section(
        "Latency against throughput",
        LATENCY_TEXT,
        &charts::knee(results, sides),
    );
    for (cell, title) in OPEN_CELLS {
        out += &section(
            &format!("Percentiles, {title}"),
            PERCENTILE_TEXT,
            &charts::percentiles(results, sides, cell),
        );
    }
    for (cell, title) in OPEN_CELLS {
        out += &section(
            &format!("Second by second, {title}"),
            SECONDS_TEXT,
            &charts::seconds(results, sides, cell),
        );
    }
    out += &section(
        "Where the answers fall, 20,000/s",
        HEAT_TEXT,
        &heat::maps(results, sides, "open-20k"),
    );
    out += &figures::resources(results, sides);
    let _ = writeln!(out, "<h2>Again</h2><pre>{}</pre>", escape(command));
    let raw = serde_json::to_string(&by_name(results)).unwrap_or_default();
    let _ = writeln!(
        out,
        "<details><summary>Raw results of every cell (JSON)</summary><pre class=\"raw\">{}</pre></details>",
        escape(&raw)
    );
    out + "</body></html>\n"
}

/// Cells in an open loop, whose response times count from the intended send.
const OPEN_CELLS: [(&str, &str); 2] = [("open-5k", "5,000/s"), ("open-20k", "20,000/s")];
const LATENCY_TEXT: &str = "Response time from the intended send at p99 over the rate achieved. Each line ends at the first rate that its side did not \
     reach. A hollow mark is a run that its own checks call invalid.";
const PERCENTILE_TEXT: &str = "Response time from the intended send. The axis gives each further nine the same room.";
const SECONDS_TEXT: &str = "p99 of each second; above it, as a thin line, the slowest answer.";
const HEAT_TEXT: &str =
    "Answers by second and latency; darker is more. What only a few requests meet shows as a pale cell far up.";

/// Text in HTML.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn section(title: &str, text: &str, body: &str) -> String {
    if body.is_empty() {
        return String::new();
    }
    format!("<h2>{title}</h2><p>{text}</p><figure>{body}</figure>\n")
}

fn legend(sides: &[Side]) -> String {
    let item = |side: &Side| format!("<li class=\"{}\"><i></i>{}</li>", side.color(), escape(side.title()));
    format!(
        "<ul class=\"legend\">{}</ul>\n",
        sides.iter().map(item).collect::<String>()
    )
}

fn verdict_table(verdicts: &[Verdict]) -> String {
    let mut out = String::from(
        "<h2>Aims</h2><p>Not judged: a side is missing, or a run was invalid or noisy.</p><table><tr><th>figure<th>ringlog<th>aim<th>verdict</tr>",
    );
    for verdict in verdicts {
        let class = match verdict.met {
            Some(true) => "met",
            Some(false) => "missed",
            None => "open",
        };
        let word = match verdict.met {
            Some(true) => "met",
            Some(false) => "missed",
            None => "not judged",
        };
        let _ = write!(
            out,
            "<tr class=\"{class}\"><td>{}<td class=\"n\">{}<td>{}<td>{word}</tr>",
            escape(verdict.name),
            escape(&verdict.own),
            escape(&verdict.aim)
        );
    }
    out + "</table>\n"
}

fn by_name(results: &Results) -> serde_json::Value {
    let cells = |(side, cells): (&Side, &_)| (side.key().to_owned(), serde_json::json!(cells));
    results.iter().map(cells).collect::<serde_json::Map<_, _>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::collections::BTreeMap;

    fn cell(rate: f64, p99: f64, valid: bool) -> Value {
        json!({
            "valid": valid, "requests_per_second": rate, "other_cpu_percent": 3.0,
            "validity": [{"name": "slip p99", "found": "9 us", "limit": "<= 1 us", "verdict": if valid { "ok" } else { "INVALID" }}],
            "response": {"p50_us": 100.0, "p99_us": p99, "p999_us": p99 * 2.0},
            "response_curve": [[0.0, 80.0], [50.0, 100.0], [99.0, p99], [99.9, p99 * 2.0]],
            "series": [{"acked": 10, "p50_us": 100.0, "p99_us": p99, "max_us": p99 * 3.0, "buckets": [0, 0, 0, 0, 0, 0, 9, 0, 1]}],
            "broker": {"cpu_us_per_request": 12.0, "rss_mib": 50.0, "write_amplification": 2.0, "flushes_per_1000": 30.0}
        })
    }

    fn results() -> Results {
        let side = |factor: f64, valid: bool| {
            let at = |rate: f64, p99: f64| vec![cell(rate, p99 * factor, valid)];
            BTreeMap::from([
                ("open-5k".to_owned(), at(5000.0, 300.0)),
                ("open-20k".to_owned(), at(20000.0, 900.0)),
                ("sweep-10000".to_owned(), at(10000.0, 500.0)),
            ])
        };
        Results::from([(Side::Ringlog, side(1.0, true)), (Side::Kafka, side(4.0, false))])
    }

    #[test]
    fn the_page_stands_alone_and_is_well_formed() {
        let text = page(&results(), &[Side::Ringlog, Side::Kafka], 0.1, "a <run>", "compare --x");
        for foreign in ["http:", "https:", "src=", "@import", "<script"] {
            assert!(!text.contains(foreign), "{foreign} loads something");
        }
        assert!(text.contains("a &lt;run&gt;") && text.contains("not flushed"));
        assert!(
            !text.contains("NaN") && !text.contains("inf\""),
            "a coordinate is no number"
        );
        assert_eq!(text.matches("<svg").count(), text.matches("</svg>").count());
        assert!(text.matches("<svg").count() >= 6);
    }

    #[test]
    fn what_may_not_be_quoted_is_marked() {
        let text = page(&results(), &[Side::Ringlog, Side::Kafka], 0.1, "", "");
        assert!(text.contains("slip p99"), "the failing check is named");
        assert!(text.contains("class=\"hollow kafka\""), "invalid points are hollow");
        assert!(!text.contains("class=\"hollow ringlog\""));
    }

    #[test]
    fn an_empty_run_is_still_a_page() {
        let text = page(&Results::new(), &[], 0.0, "", "");
        assert!(text.ends_with("</html>\n") && !text.contains("<svg"));
    }
}

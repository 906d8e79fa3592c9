//! The curves: latency against throughput, percentiles, seconds.

use super::super::side::Side;
use super::super::table::Results;
use super::figures::{figure, is_valid, middle};
use super::svg::{Axis, Plot, number};
use serde_json::Value;

/// Name and points of a side's curve.
type Curve = (Side, Vec<(f64, f64)>);

/// p99 over the achieved rate; empty if no side was measured at two rates.
pub(super) fn knee(results: &Results, sides: &[Side]) -> String {
    let points = |side: &Side| {
        let cells = results.get(side).into_iter().flatten().map(|(cell, _)| cell.as_str());
        let open = cells.filter(|cell| cell.starts_with("open-") || cell.starts_with("sweep-"));
        let mut points: Vec<(f64, f64, bool)> = open
            .filter_map(|cell| {
                let round = middle(results, *side, cell)?;
                let (rate, p99) = (
                    figure(round, "/requests_per_second")?,
                    figure(round, "/response/p99_us")?,
                );
                Some((rate, p99 / 1e3, is_valid(round)))
            })
            .collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        (*side, points)
    };
    let curves: Vec<_> = sides
        .iter()
        .map(points)
        .filter(|(_, points)| points.len() > 1)
        .collect();
    let all = || curves.iter().flat_map(|(_, points)| points);
    let Some((least, most)) = ends(all().map(|point| point.1)) else {
        return String::new();
    };
    let fastest = all().map(|point| point.0).fold(0.0, f64::max);
    let mut plot = Plot::new(Axis::linear(fastest, "requests/s"), Axis::log(least, most, "p99, ms"));
    for (side, points) in &curves {
        let line: Vec<(f64, f64)> = points.iter().map(|(rate, p99, _)| (*rate, *p99)).collect();
        plot.line(&format!("curve {}", side.color()), &line);
        for (rate, p99, valid) in points {
            let kind = if *valid { "dot" } else { "hollow" };
            let text = format!(
                "{}: {} requests/s, p99 {} ms",
                side.title(),
                number(rate.round()),
                number(*p99)
            );
            plot.dot(&format!("{kind} {}", side.color()), *rate, *p99, &text);
        }
    }
    plot.svg("Latency at p99 against throughput, by side")
}

/// All percentiles of one cell.
pub(super) fn percentiles(results: &Results, sides: &[Side], cell: &str) -> String {
    let curve = |side: &Side| -> Option<Curve> {
        let pairs = middle(results, *side, cell)?["response_curve"].as_array()?;
        let pair = |pair: &Value| Some((pair.get(0)?.as_f64()?, pair.get(1)?.as_f64()? / 1e3));
        Some((*side, pairs.iter().filter_map(pair).collect()))
    };
    let curves: Vec<Curve> = sides
        .iter()
        .filter_map(curve)
        .filter(|(_, points)| points.len() > 1)
        .collect();
    let Some((least, most)) = ends(curves.iter().flat_map(|(_, points)| points).map(|point| point.1)) else {
        return String::new();
    };
    let mut plot = Plot::new(Axis::nines("percentile"), Axis::log(least, most, "response, ms"));
    for (side, points) in &curves {
        plot.line(&format!("curve {}", side.color()), points);
        for (percent, ms) in points
            .iter()
            .filter(|(percent, _)| [50.0, 99.0, 99.9].contains(percent))
        {
            let text = format!("{}: p{percent} {} ms", side.title(), number(*ms));
            plot.dot(&format!("dot {}", side.color()), *percent, *ms, &text);
        }
    }
    plot.svg("Response time by percentile, by side")
}

/// p99 and maximum of each second of one cell.
pub(super) fn seconds(results: &Results, sides: &[Side], cell: &str) -> String {
    let of = |side: &Side, key: &str| -> Option<Curve> {
        let rows = middle(results, *side, cell)?["series"].as_array()?;
        let point = |(second, row): (usize, &Value)| Some((second as f64 + 1.0, row[key].as_f64()? / 1e3));
        Some((*side, rows.iter().enumerate().filter_map(point).collect()))
    };
    let curves = |key: &str| -> Vec<Curve> { sides.iter().filter_map(|side| of(side, key)).collect() };
    let (p99, slowest) = (curves("p99_us"), curves("max_us"));
    let all = || p99.iter().chain(&slowest).flat_map(|(_, points)| points);
    let Some((least, most)) = ends(all().map(|point| point.1)) else {
        return String::new();
    };
    let last = all().map(|point| point.0).fold(1.0, f64::max);
    let mut plot = Plot::new(Axis::linear(last, "second"), Axis::log(least, most, "response, ms"));
    for (side, points) in &slowest {
        plot.line(&format!("thin {}", side.color()), points);
    }
    for (side, points) in &p99 {
        plot.line(&format!("curve {}", side.color()), points);
        for (second, ms) in points {
            let text = format!("{}: second {second}, p99 {} ms", side.title(), number(*ms));
            plot.dot(&format!("dot {}", side.color()), *second, *ms, &text);
        }
    }
    plot.svg("p99 and slowest answer of each second, by side")
}

/// Smallest and largest value above zero.
pub(super) fn ends(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values
        .filter(|value| value.is_finite() && *value > 0.0)
        .fold(None, |ends, value| match ends {
            None => Some((value, value)),
            Some((least, most)) => Some((f64::min(least, value), f64::max(most, value))),
        })
}

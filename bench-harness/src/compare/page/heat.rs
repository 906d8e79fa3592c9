//! The heat map: answers by second and latency, one picture for each side, all on the same axes.

use super::super::side::Side;
use super::super::table::Results;
use super::figures::middle;
use super::svg::{Axis, Plot, number};
use serde_json::Value;

/// A side's seconds: answers by power of two of microseconds.
type Seconds = Vec<Vec<u64>>;

/// One picture for each side that has a series.
pub(super) fn maps(results: &Results, sides: &[Side], cell: &str) -> String {
    let series = |side: &Side| -> Option<(Side, Seconds)> {
        let rows = middle(results, *side, cell)?["series"].as_array()?;
        let seconds: Seconds = rows.iter().filter_map(buckets).collect();
        (!seconds.is_empty()).then_some((*side, seconds))
    };
    let all: Vec<(Side, Seconds)> = sides.iter().filter_map(series).collect();
    let seconds = all.iter().map(|(_, seconds)| seconds.len()).max().unwrap_or(0);
    let highest = all
        .iter()
        .flat_map(|(_, seconds)| seconds)
        .map(Vec::len)
        .max()
        .unwrap_or(0);
    let occupied = |counts: &Vec<u64>| counts.iter().position(|count| *count > 0);
    let lowest = all
        .iter()
        .flat_map(|(_, seconds)| seconds)
        .filter_map(occupied)
        .min()
        .unwrap_or(0);
    all.iter()
        .map(|(side, counts)| map(*side, counts, seconds, lowest, highest))
        .collect()
}

fn buckets(row: &Value) -> Option<Vec<u64>> {
    let counts: Vec<u64> = row["buckets"].as_array()?.iter().filter_map(Value::as_u64).collect();
    (!counts.is_empty()).then_some(counts)
}

/// Milliseconds at the lower end of a bucket.
fn ms(bucket: usize) -> f64 {
    2f64.powi(bucket as i32) / 1e3
}

fn map(side: Side, seconds: &Seconds, count: usize, lowest: usize, highest: usize) -> String {
    let most = seconds.iter().flatten().copied().max().unwrap_or(1).max(1) as f64;
    let y = Axis::log(ms(lowest), ms(highest), "response, ms");
    let mut plot = Plot::new(Axis::linear(count as f64, "second"), y);
    for (second, counts) in seconds.iter().enumerate() {
        for (bucket, answers) in counts.iter().enumerate().filter(|(_, answers)| **answers > 0) {
            // The logarithm keeps one slow answer among twenty thousand visible.
            let share = 0.12 + 0.88 * (*answers as f64).ln_1p() / most.ln_1p();
            let (low, high) = ((second as f64, ms(bucket)), (second as f64 + 1.0, ms(bucket + 1)));
            let text = format!(
                "second {}: {} answers from {} ms to {} ms",
                second + 1,
                number(*answers as f64),
                ms(bucket),
                ms(bucket + 1)
            );
            plot.cell(&format!("cellmap {}", side.color()), low, high, share, &text);
        }
    }
    format!(
        "<figcaption>{}</figcaption>{}",
        super::escape(side.title()),
        plot.svg("Answers by second and latency")
    )
}

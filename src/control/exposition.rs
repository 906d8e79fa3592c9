//! Prometheus text format, version 0.0.4.

use crate::metrics::{Latency, Sizes};
use std::fmt::{Display, Write};

/// Upper bounds of latency buckets, nanoseconds: six per decade from 10 us to 10 s.
pub const LATENCY_BOUNDS_NS: [u64; 37] = latency_bounds();
/// Upper bounds of size buckets: powers of four from 1 to 16 Mi.
const SIZE_BOUNDS: [u64; 13] = size_bounds();

const fn latency_bounds() -> [u64; 37] {
    const STEPS: [u64; 6] = [100, 150, 200, 300, 500, 700];
    let mut bounds = [10_000_000_000; 37];
    let mut decade = 100; // times 100 = 10 us
    let mut at = 0;
    while at < 36 {
        bounds[at] = STEPS[at % 6] * decade;
        at += 1;
        if at % 6 == 0 {
            decade *= 10;
        }
    }
    bounds
}

const fn size_bounds() -> [u64; 13] {
    let mut bounds = [1; 13];
    let mut at = 1;
    while at < 13 {
        bounds[at] = bounds[at - 1] * 4;
        at += 1;
    }
    bounds
}

/// Writes metric families.
#[derive(Default)]
pub struct Exposition {
    text: String,
}

impl Exposition {
    /// Begins a family; its samples must follow at once.
    pub fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// One sample. `labels` as `api="produce"`, may be empty.
    pub fn sample(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = match labels {
            "" => writeln!(self.text, "{name} {value}"),
            labels => writeln!(self.text, "{name}{{{labels}}} {value}"),
        };
    }

    /// A family with one sample without labels.
    pub fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, "", value);
    }

    /// A histogram's samples in seconds.
    pub fn latency(&mut self, name: &str, labels: &str, latency: &Latency) {
        let counts = latency.at_most(&LATENCY_BOUNDS_NS);
        for (bound, count) in LATENCY_BOUNDS_NS.iter().zip(counts) {
            self.bucket(name, labels, &Seconds(*bound), count);
        }
        self.finish(name, labels, latency.count(), Seconds(latency.sum_ns()));
    }

    /// A histogram's samples in plain numbers.
    pub fn sizes(&mut self, name: &str, labels: &str, sizes: &Sizes) {
        for (bound, count) in SIZE_BOUNDS.iter().zip(sizes.at_most(&SIZE_BOUNDS)) {
            self.bucket(name, labels, bound, count);
        }
        self.finish(name, labels, sizes.count(), sizes.sum());
    }

    fn bucket(&mut self, name: &str, labels: &str, bound: &dyn Display, count: u64) {
        let comma = if labels.is_empty() { "" } else { "," };
        let _ = writeln!(self.text, "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {count}");
    }

    fn finish(&mut self, name: &str, labels: &str, count: u64, sum: impl Display) {
        self.bucket(name, labels, &"+Inf", count);
        self.sample(&format!("{name}_sum"), labels, sum);
        self.sample(&format!("{name}_count"), labels, count);
    }

    /// All of it.
    pub fn finished(self) -> String {
        self.text
    }
}

/// Nanoseconds shown as seconds, exact, without needless zeros.
pub struct Seconds(pub u64);

impl Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (whole, rest) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        if rest == 0 {
            return write!(f, "{whole}");
        }
        let digits = format!("{rest:09}");
        write!(f, "{whole}.{}", digits.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_rise_from_ten_microseconds_to_ten_seconds() {
        assert_eq!(LATENCY_BOUNDS_NS[..4], [10_000, 15_000, 20_000, 30_000]);
        assert_eq!(LATENCY_BOUNDS_NS[36], 10_000_000_000);
        assert!(LATENCY_BOUNDS_NS.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(SIZE_BOUNDS[12], 16 << 20);
    }

    #[test]
    fn histograms_are_cumulative_and_end_with_inf() {
        let mut latency = Latency::default();
        latency.record(12_000);
        latency.record(60_000_000_000);
        let mut out = Exposition::default();
        out.family("x_seconds", "histogram", "help");
        out.latency("x_seconds", "api=\"produce\"", &latency);
        let text = out.finished();
        assert!(
            text.contains("x_seconds_bucket{api=\"produce\",le=\"0.00001\"} 0\n"),
            "{text}"
        );
        assert!(
            text.contains("x_seconds_bucket{api=\"produce\",le=\"0.000015\"} 1\n"),
            "{text}"
        );
        assert!(
            text.contains("x_seconds_bucket{api=\"produce\",le=\"10\"} 1\n"),
            "{text}"
        );
        assert!(
            text.contains("x_seconds_bucket{api=\"produce\",le=\"+Inf\"} 2\n"),
            "{text}"
        );
        assert!(text.contains("x_seconds_sum{api=\"produce\"} 60.000012\n"), "{text}");
        assert!(text.contains("x_seconds_count{api=\"produce\"} 2\n"), "{text}");
    }
}

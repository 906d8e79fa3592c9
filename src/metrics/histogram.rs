//! Histograms of fixed size: recording touches a few cells and never allocates.

use hdrhistogram::Histogram;
use std::fmt;

/// Smallest difference kept, nanoseconds: finer than any stage we look at.
const FINEST_NS: u64 = 128;
/// Longest duration told apart, nanoseconds (60 s); longer ones count as this.
const LONGEST_NS: u64 = 60_000_000_000;
/// Largest size told apart (16 GiB); larger ones count as this.
const LARGEST: u64 = 1 << 34;

/// Durations in nanoseconds, within 1 %, from 128 ns to 60 s.
#[derive(Clone)]
pub struct Latency {
    cells: Histogram<u64>,
    sum_ns: u64,
}

impl Default for Latency {
    fn default() -> Self {
        Latency {
            cells: fixed(FINEST_NS, LONGEST_NS, 2),
            sum_ns: 0,
        }
    }
}

impl Latency {
    /// Counts one duration.
    pub fn record(&mut self, ns: u64) {
        self.cells.saturating_record(ns);
        self.sum_ns = self.sum_ns.saturating_add(ns);
    }
    /// How many.
    pub fn count(&self) -> u64 {
        self.cells.len()
    }
    /// Their sum, nanoseconds.
    pub fn sum_ns(&self) -> u64 {
        self.sum_ns
    }
    /// The longest, nanoseconds, within 1 %; 0 when none.
    pub fn max_ns(&self) -> u64 {
        self.cells.max()
    }
    /// The duration that a share `quantile` (0 to 1) of all do not exceed, nanoseconds; 0 when none.
    pub fn quantile_ns(&self, quantile: f64) -> u64 {
        self.cells.value_at_quantile(quantile)
    }
    /// How many do not exceed each of the bounds (rising, nanoseconds).
    pub fn at_most(&self, bounds_ns: &[u64]) -> Vec<u64> {
        at_most(&self.cells, bounds_ns)
    }
    /// Adds all of another.
    pub fn merge(&mut self, other: &Latency) {
        add(&mut self.cells, &other.cells);
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
    }
}

impl fmt::Debug for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Latency(n={}, sum={} ns, max={} ns)",
            self.count(),
            self.sum_ns,
            self.max_ns()
        )
    }
}

/// Sizes or counts, within 10 %, from 1 to 16 Gi.
#[derive(Clone)]
pub struct Sizes {
    cells: Histogram<u64>,
    sum: u64,
}

impl Default for Sizes {
    fn default() -> Self {
        Sizes {
            cells: fixed(1, LARGEST, 1),
            sum: 0,
        }
    }
}

impl Sizes {
    /// Counts one.
    pub fn record(&mut self, size: u64) {
        self.cells.saturating_record(size);
        self.sum = self.sum.saturating_add(size);
    }
    /// How many.
    pub fn count(&self) -> u64 {
        self.cells.len()
    }
    /// Their sum.
    pub fn sum(&self) -> u64 {
        self.sum
    }
    /// The largest, within 10 %; 0 when none.
    pub fn max(&self) -> u64 {
        self.cells.max()
    }
    /// How many do not exceed each of the bounds (rising).
    pub fn at_most(&self, bounds: &[u64]) -> Vec<u64> {
        at_most(&self.cells, bounds)
    }
    /// Adds all of another.
    pub fn merge(&mut self, other: &Sizes) {
        add(&mut self.cells, &other.cells);
        self.sum = self.sum.saturating_add(other.sum);
    }
}

impl fmt::Debug for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sizes(n={}, sum={}, max={})", self.count(), self.sum, self.max())
    }
}

fn fixed(low: u64, high: u64, digits: u8) -> Histogram<u64> {
    match Histogram::new_with_bounds(low, high, digits) {
        Ok(histogram) => histogram,
        Err(error) => panic!("constant histogram bounds {low}..{high}: {error}"),
    }
}

fn add(mine: &mut Histogram<u64>, theirs: &Histogram<u64>) {
    // Both were made with the same constant bounds, so this cannot be refused.
    let added = mine.add(theirs);
    debug_assert!(added.is_ok(), "histograms of one kind have the same bounds");
}

fn at_most(cells: &Histogram<u64>, bounds: &[u64]) -> Vec<u64> {
    let mut counts = Vec::with_capacity(bounds.len());
    let mut recorded = cells.iter_recorded().peekable();
    let mut total = 0u64;
    for &bound in bounds {
        // A cell belongs to a bound when its middle does: the bounds fall inside cells.
        while let Some(cell) = recorded.next_if(|cell| cells.median_equivalent(cell.value_iterated_to()) <= bound) {
            total += cell.count_at_value();
        }
        counts.push(total);
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_count_what_lies_below_them() {
        let mut latency = Latency::default();
        for us in [5u64, 50, 50, 500, 5_000, 120_000_000] {
            latency.record(us * 1000);
        }
        let counts = latency.at_most(&[10_000, 100_000, 1_000_000, 10_000_000, 10_000_000_000]);
        assert_eq!(counts, [1, 3, 4, 5, 5]);
        assert_eq!(latency.count(), 6);
        let median = latency.quantile_ns(0.5);
        assert!((49_000..=51_000).contains(&median), "{median}");
        assert!(
            latency.max_ns() >= LONGEST_NS,
            "longer than the range counts as the longest"
        );
    }

    #[test]
    fn zero_and_huge_are_counted_without_harm() {
        let mut sizes = Sizes::default();
        for size in [0, 1, u64::MAX, 4096] {
            sizes.record(size);
        }
        assert_eq!(sizes.count(), 4);
        assert_eq!(sizes.at_most(&[1, 8192]), [2, 3]);
        let mut other = Sizes::default();
        other.merge(&sizes);
        assert_eq!(other.count(), 4);
    }
}

//! What a run measured: histograms, counts and a series by the second. Percentiles are never averaged.

use hdrhistogram::Histogram;
use std::collections::BTreeMap;

/// Longest latency told apart, ns (10 minutes); longer ones count as this.
const LATENCY_NS_MAX: u64 = 600_000_000_000;

/// A histogram of nanoseconds with three significant digits.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3).expect("constant bounds are valid")
}

/// One second of a run.
#[derive(Clone, Debug)]
pub struct Second {
    /// Answers without error.
    pub acked: u64,
    /// Response times of that second: p50, p99, maximum, ns.
    pub p50_ns: u64,
    /// 99th percentile, ns.
    pub p99_ns: u64,
    /// Largest, ns.
    pub max_ns: u64,
    /// Answers by latency: at `i` those of 2^i to 2^(i+1) microseconds, at 0 also faster ones.
    pub buckets: Vec<u64>,
}

/// Buckets of a second: the last one holds all from 2^29 us (9 minutes) on.
const BUCKETS: usize = 30;

/// Counters of one run; "measured" requests are those due inside the window.
pub struct Tally {
    from_ns: u64,
    to_ns: u64,
    /// Intended send to answer, measured requests, ns.
    pub response: Histogram<u64>,
    /// Actual send to answer, measured requests, ns.
    pub service: Histogram<u64>,
    /// How late this client was in acting on a due request, ns.
    pub slip: Histogram<u64>,
    /// Measured requests due.
    pub due: u64,
    /// Requests acknowledged inside the window, whenever they were due: the throughput.
    pub acked_in_window: u64,
    /// Requests acknowledged in the whole run.
    pub acked: u64,
    /// Answers with an error, by Kafka code.
    pub errors: BTreeMap<i16, u64>,
    /// Errors among them that came inside the window.
    pub errors_in_window: u64,
    /// Requests sent without an answer.
    pub unanswered: u64,
    /// Requests due but never sent.
    pub unsent: u64,
    /// Connections lost.
    pub disconnects: u64,
    /// Answers to another request than the oldest.
    pub out_of_order: u64,
    /// By the second since the window began.
    pub series: Vec<Second>,
    second: Histogram<u64>,
    idle_ns: u64,
    cpu_at_from_ns: Option<u64>,
    cpu_at_to_ns: Option<u64>,
}

impl Tally {
    /// All zero.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Tally {
        Tally {
            from_ns: 0,
            to_ns: 0,
            response: histogram(),
            service: histogram(),
            slip: histogram(),
            due: 0,
            acked_in_window: 0,
            acked: 0,
            errors: BTreeMap::new(),
            errors_in_window: 0,
            unanswered: 0,
            unsent: 0,
            disconnects: 0,
            out_of_order: 0,
            series: Vec::new(),
            second: histogram(),
            idle_ns: 0,
            cpu_at_from_ns: None,
            cpu_at_to_ns: None,
        }
    }

    /// Sets the measured window, monotonic ns.
    pub fn set_window(&mut self, from_ns: u64, to_ns: u64) {
        (self.from_ns, self.to_ns) = (from_ns, to_ns);
    }

    /// End of the measured window, monotonic ns.
    pub fn window_end(&self) -> u64 {
        self.to_ns
    }

    /// Length of the window, s.
    pub fn seconds(&self) -> f64 {
        (self.to_ns - self.from_ns) as f64 / 1e9
    }

    fn in_window(&self, at_ns: u64) -> bool {
        (self.from_ns..self.to_ns).contains(&at_ns)
    }

    /// Called once per turn of the loop: takes the CPU clock at the window's edges and closes seconds.
    pub fn pass(&mut self, now: u64, cpu_ns: impl Fn() -> u64) {
        if now >= self.from_ns && self.cpu_at_from_ns.is_none() {
            self.cpu_at_from_ns = Some(cpu_ns());
            self.idle_ns = 0;
        }
        if now >= self.to_ns && self.cpu_at_to_ns.is_none() {
            self.cpu_at_to_ns = Some(cpu_ns());
        }
        while now >= self.from_ns + (self.series.len() as u64 + 1) * 1_000_000_000
            && (self.series.len() as f64) < self.seconds().floor()
        {
            self.close_second();
        }
    }

    fn close_second(&mut self) {
        self.series.push(Second {
            acked: self.second.len(),
            p50_ns: self.second.value_at_quantile(0.5),
            p99_ns: self.second.value_at_quantile(0.99),
            max_ns: self.second.max(),
            buckets: buckets(&self.second),
        });
        self.second.reset();
    }

    /// Time in which the loop found nothing to do.
    pub fn idle(&mut self, ns: u64) {
        if self.cpu_at_to_ns.is_none() {
            self.idle_ns += ns;
        }
    }

    /// A request came due and was acted on at `now`.
    pub fn due(&mut self, intended_ns: u64, now: u64) {
        if self.in_window(intended_ns) {
            self.due += 1;
            self.slip.saturating_record(now.saturating_sub(intended_ns).max(1));
        }
    }

    /// A request was answered.
    pub fn answer(&mut self, intended_ns: u64, sent_ns: u64, now: u64, error: i16) {
        if error != 0 {
            *self.errors.entry(error).or_insert(0) += 1;
            self.errors_in_window += u64::from(self.in_window(now));
            return;
        }
        self.acked += 1;
        if self.in_window(now) {
            self.acked_in_window += 1;
            self.second.saturating_record(now.saturating_sub(intended_ns).max(1));
        }
        if self.in_window(intended_ns) {
            self.response.saturating_record(now.saturating_sub(intended_ns).max(1));
            self.service.saturating_record(now.saturating_sub(sent_ns).max(1));
        }
    }

    /// A request that had no answer by `now`: its latency is at least this.
    pub fn censored(&mut self, intended_ns: u64, now: u64) {
        if self.in_window(intended_ns) {
            self.response.saturating_record(now.saturating_sub(intended_ns).max(1));
        }
    }

    /// End of the run, for runs that end before their window does.
    pub fn finish(&mut self, cpu_ns: u64) {
        self.cpu_at_from_ns.get_or_insert(cpu_ns);
        self.cpu_at_to_ns.get_or_insert(cpu_ns);
    }

    /// CPU of the load thread as a share of one core, %: spinning included.
    pub fn cpu_percent(&self) -> f64 {
        let used = self
            .cpu_at_to_ns
            .unwrap_or(0)
            .saturating_sub(self.cpu_at_from_ns.unwrap_or(0));
        used as f64 / 1e9 / self.seconds() * 100.0
    }

    /// Share of the window in which the load thread had something to do, %: for a spinning loop.
    pub fn busy_percent(&self) -> f64 {
        100.0 * (1.0 - self.idle_ns as f64 / 1e9 / self.seconds()).max(0.0)
    }
}

fn buckets(second: &Histogram<u64>) -> Vec<u64> {
    let mut buckets = vec![0; BUCKETS];
    for value in second.iter_recorded() {
        let us = (value.value_iterated_to() / 1000).max(1);
        let at = (us.ilog2() as usize).min(BUCKETS - 1);
        buckets[at] += value.count_at_value();
    }
    while buckets.last() == Some(&0) {
        buckets.pop();
    }
    buckets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_split_by_powers_of_two() {
        let mut second = histogram();
        for us in [1u64, 3, 3, 1000] {
            second.record(us * 1000).unwrap();
        }
        let buckets = buckets(&second);
        assert_eq!((buckets[0], buckets[1], buckets[9], buckets.len()), (1, 2, 1, 10));
    }
}

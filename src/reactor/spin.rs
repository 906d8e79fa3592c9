//! Whether to poll for a moment before sleeping.
//!
//! Sleeping costs a wake-up (tens of microseconds, more in a guest), polling costs CPU. So poll only when recent sleeps were
//! short: then the next event is likely to come before the poll ends. An idle shard always sleeps.

use std::time::Duration;

/// The policy and what it has seen.
pub struct Spin {
    max_ns: u64,
    /// Running average of how long there was nothing to do, nanoseconds.
    gap_ns: u64,
}

impl Spin {
    /// Polls for at most `max` at a time; zero = never.
    pub fn new(max: Duration) -> Spin {
        Spin {
            max_ns: max.as_nanos() as u64,
            gap_ns: u64::MAX / 16,
        }
    }

    /// True when the next event is likely to come within the limit.
    pub fn is_worthwhile(&self) -> bool {
        self.gap_ns < self.max_ns
    }

    /// Polls `ready` until it is true (then true) or the limit is reached.
    pub fn poll(&mut self, clock: impl Fn() -> u64, mut ready: impl FnMut() -> bool) -> bool {
        let start = clock();
        loop {
            for _ in 0..16 {
                if ready() {
                    self.saw(clock() - start);
                    return true;
                }
                std::hint::spin_loop();
            }
            if clock() - start >= self.max_ns {
                return false;
            }
        }
    }

    /// A sleep from `from_ns` to `to_ns` is over.
    pub fn slept(&mut self, from_ns: u64, to_ns: u64) {
        self.saw(to_ns.saturating_sub(from_ns));
    }

    fn saw(&mut self, gap_ns: u64) {
        // A long pause counts as a few times the limit, so that a burst after it is recognised within a few events.
        let gap_ns = gap_ns.min(self.max_ns.saturating_mul(4));
        self.gap_ns = (self.gap_ns.min(self.max_ns.saturating_mul(4)) * 7 + gap_ns) / 8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polls_under_traffic_and_never_when_idle() {
        let mut spin = Spin::new(Duration::from_micros(50));
        assert!(!spin.is_worthwhile());
        let mut at = 0;
        for _ in 0..32 {
            spin.slept(at, at + 20_000);
            at += 20_000;
        }
        assert!(spin.is_worthwhile(), "events come every 20 us");
        for _ in 0..4 {
            spin.slept(at, at + 1_000_000_000);
            at += 1_000_000_000;
        }
        assert!(!spin.is_worthwhile(), "events come every second");
        let mut never = Spin::new(Duration::ZERO);
        never.slept(0, 0);
        assert!(!never.is_worthwhile());
    }
}

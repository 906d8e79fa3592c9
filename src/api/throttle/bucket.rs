//! A leaky bucket: it fills with what is used and drains at the allowed rate.

/// What one holder has used and not yet worked off.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    /// Units a second.
    pub rate: f64,
    level: f64,
    /// When the level was right, monotonic nanoseconds.
    at_ns: u64,
    /// Used here and not yet told to the other shards.
    unreported: f64,
}

const NS_PER_S: f64 = 1e9;

impl Bucket {
    pub fn new(rate: f64, now_ns: u64) -> Bucket {
        Bucket {
            rate,
            level: 0.0,
            at_ns: now_ns,
            unreported: 0.0,
        }
    }

    fn drain(&mut self, now_ns: u64) {
        let elapsed_s = now_ns.saturating_sub(self.at_ns) as f64 / NS_PER_S;
        self.level = (self.level - elapsed_s * self.rate).max(0.0);
        self.at_ns = self.at_ns.max(now_ns);
    }

    /// Used by a client of this shard.
    pub fn add(&mut self, now_ns: u64, amount: f64) {
        self.add_remote(now_ns, amount);
        self.unreported += amount;
    }

    /// Used by a client of another shard.
    pub fn add_remote(&mut self, now_ns: u64, amount: f64) {
        self.drain(now_ns);
        self.level += amount;
    }

    /// Nanoseconds until what was used fits into `window_s` seconds at the rate; 0 = it does.
    pub fn wait_ns(&mut self, now_ns: u64, window_s: f64) -> u64 {
        self.drain(now_ns);
        let over = self.level - self.rate * window_s;
        (over.max(0.0) / self.rate * NS_PER_S) as u64
    }

    /// As [`wait_ns`](Self::wait_ns) if `more` were used now. An empty bucket takes anything, so that nothing waits for ever.
    pub fn wait_before_ns(&mut self, now_ns: u64, window_s: f64, more: f64) -> u64 {
        self.drain(now_ns);
        let over = (self.level + more - self.rate * window_s).min(self.level);
        (over.max(0.0) / self.rate * NS_PER_S) as u64
    }

    /// What the other shards have not heard of.
    pub fn take_unreported(&mut self) -> f64 {
        std::mem::take(&mut self.unreported)
    }

    /// True when it remembers nothing.
    pub fn is_empty(&mut self, now_ns: u64) -> bool {
        self.drain(now_ns);
        self.level <= 0.0 && self.unreported <= 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn a_window_is_free_and_then_the_rate_counts() {
        let mut bucket = Bucket::new(100.0, 0);
        bucket.add(0, 100.0);
        assert_eq!(bucket.wait_ns(0, 1.0), 0);
        bucket.add(0, 50.0);
        assert_eq!(bucket.wait_ns(0, 1.0), S / 2);
        assert_eq!(bucket.wait_ns(S / 2, 1.0), 0);
        // However it is asked for, no more than the rate goes through.
        let (mut now, mut used) = (0, 0.0);
        let mut bucket = Bucket::new(100.0, 0);
        while now < 60 * S {
            bucket.add(now, 30.0);
            used += 30.0;
            now += bucket.wait_ns(now, 1.0) + 1;
        }
        assert!((6000.0..6200.0).contains(&used), "{used}");
    }

    #[test]
    fn more_than_a_window_passes_when_nothing_was_used() {
        let mut bucket = Bucket::new(100.0, 0);
        assert_eq!(bucket.wait_before_ns(0, 1.0, 1e6), 0);
        bucket.add(0, 1e6);
        assert!(bucket.wait_before_ns(S, 1.0, 1.0) > 9000 * S);
        let mut bucket = Bucket::new(100.0, 0);
        bucket.add(0, 90.0);
        assert_eq!(bucket.wait_before_ns(0, 1.0, 10.0), 0);
        assert_eq!(bucket.wait_before_ns(0, 1.0, 40.0), 3 * S / 10);
        assert_eq!(bucket.wait_before_ns(0, 1.0, 1e6), 9 * S / 10, "until it is empty");
    }
}

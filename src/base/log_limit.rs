//! Bounds what clients can make a shard write into the log.

/// Lines that hostile clients may write into the log in each second of a shard.
const LOG_LINES_PER_SECOND: u32 = 10;

/// Bounds the log lines that clients can cause.
#[derive(Default)]
pub struct LogLimit {
    second: u64,
    lines: u32,
    suppressed: u64,
}

impl LogLimit {
    /// Whether a line may be written now, and how many were left out since the last one.
    pub fn admit(&mut self, now_ns: u64) -> Option<u64> {
        let second = now_ns / 1_000_000_000;
        if second != self.second {
            self.second = second;
            self.lines = 0;
        }
        self.lines += 1;
        if self.lines > LOG_LINES_PER_SECOND {
            self.suppressed += 1;
            return None;
        }
        Some(std::mem::take(&mut self.suppressed))
    }
}

//! Deadlines in order. No clock: the owner asks for what is due at a time it is given.

use std::collections::BTreeMap;

/// Key of an armed timer; cancelling with a fired key does nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct TimerKey {
    deadline_ns: u64,
    sequence: u64,
}

/// A set of deadlines, each with a value of what to do. Equal deadlines fire in the order they were armed.
pub struct Timers<T> {
    armed: BTreeMap<TimerKey, T>,
    sequence: u64,
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Timers {
            armed: BTreeMap::new(),
            sequence: 0,
        }
    }
}

impl<T> Timers<T> {
    /// Arms a timer at monotonic time `deadline_ns`.
    pub fn arm(&mut self, deadline_ns: u64, value: T) -> TimerKey {
        self.sequence += 1;
        let key = TimerKey {
            deadline_ns,
            sequence: self.sequence,
        };
        self.armed.insert(key, value);
        key
    }
    /// Disarms; `None` when it fired or was cancelled before.
    pub fn cancel(&mut self, key: TimerKey) -> Option<T> {
        self.armed.remove(&key)
    }
    /// The earliest deadline, monotonic nanoseconds.
    pub fn next_deadline(&self) -> Option<u64> {
        self.armed.first_key_value().map(|(key, _)| key.deadline_ns)
    }
    /// Takes one timer that is due at `now_ns`, earliest first.
    pub fn pop_due(&mut self, now_ns: u64) -> Option<T> {
        let entry = self.armed.first_entry()?;
        if entry.key().deadline_ns > now_ns {
            return None;
        }
        Some(entry.remove())
    }
}

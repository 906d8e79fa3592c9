//! The disk of the rig: one fixed-size image in memory and the ordered log of all that was written to it.
//!
//! Invariants: `current` is the zero disk with every logged write applied in order; a `Flush` entry stands in the log
//! exactly where a flush was honoured; the sequence number of a moment is the number of entries logged before it.
//! It knows nothing of FUSE, file systems or brokers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::rules::{Action, Op, Rule, Rules};

/// Bytes of one write; zeros are kept as a length because file systems and journals write many of them.
#[derive(Debug)]
pub enum Data {
    /// This many zero bytes.
    Zero(usize),
    /// The bytes as written.
    Bytes(Box<[u8]>),
}

impl Data {
    fn of(bytes: &[u8]) -> Self {
        let zero = bytes.iter().all(|b| *b == 0);
        if zero {
            Self::Zero(bytes.len())
        } else {
            Self::Bytes(bytes.into())
        }
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Zero(len) => *len,
            Self::Bytes(bytes) => bytes.len(),
        }
    }

    /// Copies `self[from..from + out.len()]` into `out`; the caller keeps the range inside [`Data::len`].
    pub fn copy_to(&self, from: usize, out: &mut [u8]) {
        match self {
            Self::Zero(_) => out.fill(0),
            Self::Bytes(bytes) => out.copy_from_slice(&bytes[from..from + out.len()]),
        }
    }
}

/// One entry of the write log.
#[derive(Debug)]
pub enum Entry {
    /// `data` was written at byte `offset`.
    Write {
        /// First byte on the disk.
        offset: u64,
        /// What was written.
        data: Data,
    },
    /// All writes before this entry are durable.
    Flush,
}

/// Calls that arrived since the disk was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Reads.
    pub reads: u64,
    /// Writes.
    pub writes: u64,
    /// Flushes, honoured or not.
    pub flushes: u64,
    /// Bytes written.
    pub bytes_written: u64,
    /// Bytes the write log holds in memory.
    pub log_bytes: u64,
}

/// The disk; shared by the FUSE thread, the rig and the load client.
#[derive(Debug)]
pub struct Disk {
    state: Mutex<State>,
    sequence: AtomicU64,
    size: u64,
}

#[derive(Debug)]
struct State {
    current: Vec<u8>,
    log: Vec<Entry>,
    rules: Rules,
    counts: Counts,
}

impl Disk {
    /// A disk of `size` zero bytes.
    pub fn new(size: usize) -> Self {
        let state = State {
            current: vec![0; size],
            log: Vec::new(),
            rules: Rules::default(),
            counts: Counts::default(),
        };
        Self {
            state: Mutex::new(state),
            sequence: AtomicU64::new(0),
            size: size as u64,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Number of entries logged so far. Cheap: the load client asks at every ack.
    pub fn sequence(&self) -> u64 {
        self.sequence.load(Ordering::Acquire)
    }

    /// Calls counted so far.
    pub fn counts(&self) -> Counts {
        self.state().counts
    }

    /// Counts the call against the rules and says what happens to it.
    pub fn decide(&self, op: Op, offset: u64, len: u64) -> Option<Action> {
        self.state().rules.decide(op, offset, len)
    }

    /// Adds a fault rule.
    pub fn add_rule(&self, rule: Rule) {
        self.state().rules.add(rule);
    }

    /// Removes all fault rules.
    pub fn clear_rules(&self) {
        self.state().rules.clear();
    }

    /// Reads up to `len` bytes at `offset`; short at the end of the disk.
    pub fn read(&self, offset: u64, len: usize) -> Vec<u8> {
        let mut state = self.state();
        state.counts.reads += 1;
        let start = (offset.min(self.size)) as usize;
        let end = (start + len).min(state.current.len());
        state.current[start..end].to_vec()
    }

    /// Writes and logs; returns the bytes taken, short at the end of the disk.
    pub fn write(&self, offset: u64, bytes: &[u8]) -> usize {
        let mut state = self.state();
        let start = (offset.min(self.size)) as usize;
        let len = bytes.len().min(state.current.len() - start);
        let bytes = &bytes[..len];
        state.current[start..start + len].copy_from_slice(bytes);
        state.counts.writes += 1;
        state.counts.bytes_written += len as u64;
        let data = Data::of(bytes);
        if let Data::Bytes(kept) = &data {
            state.counts.log_bytes += kept.len() as u64;
        }
        state.log.push(Entry::Write { offset, data });
        self.sequence.store(state.log.len() as u64, Ordering::Release);
        len
    }

    /// Counts a flush and, unless it `lies`, makes everything before it durable.
    pub fn flush(&self, lies: bool) {
        let mut state = self.state();
        state.counts.flushes += 1;
        if !lies {
            state.log.push(Entry::Flush);
            self.sequence.store(state.log.len() as u64, Ordering::Release);
        }
    }

    /// Takes the log out (for deriving images); the disk must no longer be in use.
    pub fn take_log(&self) -> Vec<Entry> {
        std::mem::take(&mut self.state().log)
    }

    /// The writes and flushes logged in `from..to` (sequence numbers), for gate tests: `(offset, length)`, `None` = flush.
    pub fn slice(&self, from: u64, to: u64) -> Vec<Option<(u64, usize)>> {
        let state = self.state();
        let entries = state.log.iter().skip(from as usize).take((to - from) as usize);
        entries
            .map(|entry| match entry {
                Entry::Write { offset, data } => Some((*offset, data.len())),
                Entry::Flush => None,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_and_counts_follow_the_calls() {
        let disk = Disk::new(8192);
        assert_eq!(disk.write(4096, &[7; 512]), 512);
        assert_eq!(disk.write(8000, &[1; 512]), 192, "short at the end");
        disk.flush(true);
        assert_eq!(disk.sequence(), 2, "a flush that lies leaves no barrier");
        disk.flush(false);
        assert_eq!(disk.sequence(), 3);
        assert_eq!(disk.read(4096, 4)[..], [7; 4]);
        let counts = disk.counts();
        assert_eq!((counts.writes, counts.flushes, counts.bytes_written), (2, 2, 704));
        assert!(matches!(
            disk.take_log()[..],
            [Entry::Write { .. }, Entry::Write { .. }, Entry::Flush]
        ));
    }
}

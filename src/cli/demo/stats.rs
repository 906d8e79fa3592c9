//! What feeders and reader count, and what the screen shows of it.

use crate::metrics::Latency;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Lines kept for the screen.
const SAMPLES: usize = 6;

/// Shared counters of a demo.
pub struct Stats {
    /// Origin of the times in records.
    pub started: Instant,
    acked: AtomicU64,
    acked_bytes: AtomicU64,
    read: AtomicU64,
    latencies: Mutex<Latencies>,
    samples: Mutex<VecDeque<String>>,
}

/// Latencies of the whole run and since the last look.
#[derive(Default)]
struct Latencies {
    ack: Latency,
    ack_all: Latency,
    end_to_end: Latency,
    end_to_end_all: Latency,
}

/// Two sets of latencies.
pub struct Seen {
    /// From sending a request until it is acknowledged.
    pub ack: Latency,
    /// From the making of a record until it is read.
    pub end_to_end: Latency,
}

impl Default for Stats {
    fn default() -> Self {
        Stats {
            started: Instant::now(),
            acked: AtomicU64::new(0),
            acked_bytes: AtomicU64::new(0),
            read: AtomicU64::new(0),
            latencies: Mutex::default(),
            samples: Mutex::default(),
        }
    }
}

impl Stats {
    /// Nanoseconds since the demo began.
    pub fn now_ns(&self) -> u64 {
        self.started.elapsed().as_nanos() as u64
    }
    /// A request was acknowledged.
    pub fn count_ack(&self, records: u64, bytes: u64, took: Duration) {
        self.acked.fetch_add(records, Ordering::Relaxed);
        self.acked_bytes.fetch_add(bytes, Ordering::Relaxed);
        let ns = took.as_nanos() as u64;
        let mut latencies = self.lock();
        latencies.ack.record(ns);
        latencies.ack_all.record(ns);
    }
    /// Records came back; `ages_ns` since they were made.
    pub fn count_read(&self, records: u64, ages_ns: &[u64]) {
        self.read.fetch_add(records, Ordering::Relaxed);
        let mut latencies = self.lock();
        for age in ages_ns {
            latencies.end_to_end.record(*age);
            latencies.end_to_end_all.record(*age);
        }
    }
    /// A line for the screen.
    pub fn sample(&self, line: String) {
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        if samples.len() == SAMPLES {
            samples.pop_front();
        }
        samples.push_back(line);
    }
    /// The newest lines, oldest first.
    pub fn samples(&self) -> Vec<String> {
        self.samples
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect()
    }
    /// Records acknowledged so far.
    pub fn acked(&self) -> u64 {
        self.acked.load(Ordering::Relaxed)
    }
    /// Their keys and values, bytes.
    pub fn acked_bytes(&self) -> u64 {
        self.acked_bytes.load(Ordering::Relaxed)
    }
    /// Records read so far.
    pub fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }
    /// Latencies since the last call.
    pub fn take_recent(&self) -> Seen {
        let mut latencies = self.lock();
        Seen {
            ack: std::mem::take(&mut latencies.ack),
            end_to_end: std::mem::take(&mut latencies.end_to_end),
        }
    }
    /// Latencies of the whole run.
    pub fn whole_run(&self) -> Seen {
        let latencies = self.lock();
        Seen {
            ack: latencies.ack_all.clone(),
            end_to_end: latencies.end_to_end_all.clone(),
        }
    }
    /// Waits until all that was acknowledged has been read, at most `limit`.
    pub fn await_read(&self, limit: Duration) {
        let until = Instant::now() + limit;
        while self.read() < self.acked() && Instant::now() < until {
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Latencies> {
        self.latencies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

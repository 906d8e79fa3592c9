//! What the loop drives: the shard, or a toy in tests.

use crate::base::effect::Job;
use crate::base::ids::{JobKey, Now};
use crate::metrics::ShardMetrics;
use crate::shard::event::Event;
use crate::shard::out::Out;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::mailbox::ShardHandle;

/// A synchronous state machine without I/O.
pub trait Machine {
    /// Reacts to one event.
    fn step(&mut self, now: Now, event: Event, out: &mut Out);
    /// Ends a round: turns what was staged into writes and sends.
    fn settle(&mut self, now: Now, out: &mut Out);
    /// Monotonic nanoseconds at which it wants an `Event::Tick`, if any.
    fn next_deadline(&self) -> Option<u64>;
    /// The round took so long, nanoseconds.
    fn worked(&mut self, _ns: u64) {}
    /// Its counters, brought up to date: asked rarely.
    fn metrics(&mut self) -> &mut ShardMetrics;
    /// Why it must not go on, if so.
    fn fatal(&self) -> Option<&str>;
    /// True when everything has finished after `Event::Drain`.
    fn drained(&self) -> bool;
}

/// The node's clock. All shards share its start, so that their monotonic times compare.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// Starts at 0 now.
    pub fn start() -> Clock {
        Clock { start: Instant::now() }
    }

    /// Monotonic nanoseconds since the start.
    pub fn mono_ns(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    /// Monotonic and wall time.
    pub fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now {
            mono_ns: self.mono_ns(),
            wall_ms: wall.as_millis() as i64,
        }
    }
}

/// A job on its way to the background plane.
pub struct JobRequest {
    /// Where the `Note::JobDone` goes.
    pub reply: ShardHandle,
    /// Names the answer.
    pub key: JobKey,
    /// What to do.
    pub job: Job,
    /// The open file that `Extend` and `Truncate` name.
    pub file: Option<Arc<OwnedFd>>,
}

/// The background plane as a shard sees it. Never blocks.
pub trait JobRunner: Send + Sync {
    /// Runs a job; it ends in one `Note::JobDone`.
    fn submit(&self, request: JobRequest);
    /// Closes a file off the request path: the last close of a deleted file frees its blocks, which takes time.
    fn retire(&self, file: Arc<OwnedFd>);
}

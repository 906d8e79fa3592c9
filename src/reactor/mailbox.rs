//! A shard's inbox for the threads that are not shards: background plane, control plane, boot.
//!
//! Rare and small, so a mutex does. Invariant: nobody waits for a shard here; questions carry their way back with them.

use super::wake::Waker;
use crate::base::effect::JobResult;
use crate::base::ids::{FileId, JobKey, ShardId};
use crate::metrics::ShardMetrics;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A note to a shard.
pub enum Note {
    /// A background job ended.
    JobDone {
        /// The job.
        key: JobKey,
        /// How.
        result: JobResult,
        /// The file it opened, to be known under this id.
        file: Option<(FileId, Arc<OwnedFd>)>,
    },
    /// Look at (or copy) the counters, on the shard's thread: keep it short.
    Inspect(Box<dyn FnOnce(&mut ShardMetrics) + Send>),
    /// Stop taking requests, finish, flush and end.
    Drain,
    /// End at once.
    Stop,
}

struct Inbox {
    shard: ShardId,
    notes: Mutex<Vec<Note>>,
    filled: AtomicBool,
    waker: Arc<Waker>,
}

/// The senders' end, for any thread.
#[derive(Clone)]
pub struct ShardHandle {
    inbox: Arc<Inbox>,
}

/// The shard's end.
pub struct Mailbox {
    inbox: Arc<Inbox>,
}

/// The inbox of a shard that `waker` wakes.
pub fn mailbox(shard: ShardId, waker: Arc<Waker>) -> (ShardHandle, Mailbox) {
    let inbox = Arc::new(Inbox {
        shard,
        notes: Mutex::new(Vec::new()),
        filled: AtomicBool::new(false),
        waker,
    });
    (ShardHandle { inbox: inbox.clone() }, Mailbox { inbox })
}

impl ShardHandle {
    /// Which shard this is.
    pub fn shard(&self) -> ShardId {
        self.inbox.shard
    }

    /// Leaves a note and wakes the shard. Notes of one thread keep their order. A shard that has ended never reads it.
    pub fn post(&self, note: Note) {
        let mut notes = self.inbox.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.push(note);
        self.inbox.filled.store(true, Ordering::Release);
        drop(notes);
        self.inbox.waker.wake();
    }

    /// Posts a copy of the counters to `give`, on the shard's thread.
    pub fn snapshot(&self, give: impl FnOnce(ShardMetrics) + Send + 'static) {
        self.post(Note::Inspect(Box::new(move |metrics| give(metrics.clone()))));
    }
}

impl Mailbox {
    /// True when notes wait.
    pub fn is_filled(&self) -> bool {
        self.inbox.filled.load(Ordering::Acquire)
    }

    /// Takes all notes.
    pub fn take(&self) -> Vec<Note> {
        if !self.is_filled() {
            return Vec::new();
        }
        let mut notes = self.inbox.notes.lock().unwrap_or_else(PoisonError::into_inner);
        self.inbox.filled.store(false, Ordering::Relaxed);
        std::mem::take(&mut *notes)
    }

    /// A sender's end of the same inbox.
    pub fn handle(&self) -> ShardHandle {
        ShardHandle {
            inbox: self.inbox.clone(),
        }
    }
}

//! The way in: requests from the shards, and the one place where the idle background thread sleeps.

use crate::base::effect::Job;
use crate::reactor::{JobRequest, JobRunner};
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

/// Something to do.
pub enum Work {
    /// A job for a shard.
    Job(JobRequest),
    /// A file to close.
    Retire(Arc<OwnedFd>),
}

impl Work {
    /// The one path that the work is about, if it is one: such work is done one after the other.
    pub fn path(&self) -> Option<&str> {
        match self {
            Work::Job(request) => match &request.job {
                Job::CreateSegment { path, .. }
                | Job::Extend { path, .. }
                | Job::Truncate { path, .. }
                | Job::Open { path, .. }
                | Job::PrepareJournal { path, .. }
                | Job::WriteFile { path, .. }
                | Job::ReadFile { path } => Some(&path.0),
                Job::FlushNames { .. } | Job::DeleteFiles { .. } | Job::Compact(_) | Job::DiskSpace => None,
            },
            Work::Retire(_) => None,
        }
    }
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Work>,
    closed: bool,
    /// The executor's, while it runs and waits for more.
    waker: Option<Waker>,
}

/// Requests in the order they came. The sum over all shards is bounded by what each admits.
#[derive(Default)]
pub struct Queue {
    state: Mutex<State>,
    filled: Condvar,
    /// Long work is to end: set when the queue is closed.
    pub(super) stopping: Arc<AtomicBool>,
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, work: Work) {
        let mut state = self.state();
        if state.closed {
            return;
        }
        state.waiting.push_back(work);
        let waker = state.waker.take();
        drop(state);
        self.filled.notify_one();
        waker.into_iter().for_each(Waker::wake);
    }

    /// No more work is taken; what waits is dropped (its shards have ended).
    pub fn close(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        let mut state = self.state();
        state.closed = true;
        state.waiting.clear();
        let waker = state.waker.take();
        drop(state);
        self.filled.notify_all();
        waker.into_iter().for_each(Waker::wake);
    }

    /// Sleeps until there is work; false when the queue is closed. Blocks the thread: only with nothing under way.
    pub fn sleep(&self) -> bool {
        let mut state = self.state();
        while state.waiting.is_empty() && !state.closed {
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        !state.closed
    }

    /// Takes all that waits into `into`, or keeps the waker for when something comes.
    pub fn poll_take(&self, into: &mut VecDeque<Work>, waker: &Waker) -> Poll<()> {
        let mut state = self.state();
        if state.waiting.is_empty() {
            state.waker = Some(waker.clone());
            return Poll::Pending;
        }
        into.append(&mut state.waiting);
        Poll::Ready(())
    }
}

impl JobRunner for Queue {
    fn submit(&self, request: JobRequest) {
        self.push(Work::Job(request));
    }
    fn retire(&self, file: Arc<OwnedFd>) {
        self.push(Work::Retire(file));
    }
}

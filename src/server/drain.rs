//! Leaving together: a shard may end only when no other shard can still ask it something.
//!
//! Each shard raises its flag while it has nothing left to do; all may end at a moment when all flags are up, since a request
//! under way keeps its origin's flag down.

use crate::reactor::{Note, ShardHandle};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// The flags of all shards.
pub struct Drain {
    finished: Vec<AtomicBool>,
    over: AtomicBool,
    handles: OnceLock<Vec<ShardHandle>>,
}

impl Drain {
    /// For `shards` shards.
    pub fn new(shards: u16) -> Arc<Drain> {
        Arc::new(Drain {
            finished: (0..shards).map(|_| AtomicBool::new(false)).collect(),
            over: AtomicBool::new(false),
            handles: OnceLock::new(),
        })
    }

    /// Whom to wake when all have finished. Once, before any drain.
    pub fn set_handles(&self, handles: Vec<ShardHandle>) {
        let _ = self.handles.set(handles);
    }

    /// A shard says whether it has finished; true when all have, from then on for ever.
    pub fn report(&self, shard: u16, finished: bool) -> bool {
        if let Some(flag) = self.finished.get(usize::from(shard)) {
            flag.store(finished, Ordering::SeqCst);
        }
        if self.over.load(Ordering::SeqCst) {
            return true;
        }
        if !finished || !self.finished.iter().all(|flag| flag.load(Ordering::SeqCst)) {
            return false;
        }
        self.over.store(true, Ordering::SeqCst);
        // The others may sleep.
        for handle in self
            .handles
            .get()
            .into_iter()
            .flatten()
            .filter(|handle| handle.shard().0 != shard)
        {
            handle.post(Note::Inspect(Box::new(|_| {})));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::ShardId;
    use crate::reactor::{Waker, mailbox};

    #[test]
    fn a_shard_waits_until_all_have_finished_and_sleepers_are_woken() {
        let drain = Drain::new(2);
        let (sleeper, inbox) = mailbox(ShardId(0), Arc::new(Waker::new().unwrap()));
        let (other, _) = mailbox(ShardId(1), Arc::new(Waker::new().unwrap()));
        drain.set_handles(vec![sleeper, other]);
        assert!(!drain.report(0, true));
        assert!(!drain.report(0, false), "a request from the other came in");
        assert!(!drain.report(1, true));
        assert!(inbox.take().is_empty());
        assert!(!drain.report(1, false));
        assert!(!drain.report(0, true));
        assert!(drain.report(1, true));
        assert_eq!(inbox.take().len(), 1);
        assert!(drain.report(0, true));
    }
}

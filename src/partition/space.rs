//! Want of disk space, and of anything else that keeps segments or checkpoints from being written: refuses writes while it lasts,
//! tries again, and takes them again by itself.
//!
//! Invariants: a refusal names cause and remedy; what is refused is retriable; deletes are never refused; only the success of what
//! failed ends a refusal, since a smaller file may find room where a larger one did not.

use crate::base::effect::{Job, JobResult};
use crate::base::slab::SlabKey;
use crate::partition::store::{JobFor, Store, StoreCx, StoreTimer};

/// Period of asking for free space, and the same while there is too little.
const DISK_SPACE_PERIOD_NS: u64 = 5_000_000_000;
const DISK_SPACE_LOW_PERIOD_NS: u64 = 500_000_000;
/// Pause after something failed.
const RETRY_NS: u64 = 1_000_000_000;

const ENOSPC: i32 = 28;
const EDQUOT: i32 = 122;
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;
const EROFS: i32 = 30;

/// What cannot be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stuck {
    /// A partition's segments.
    Segment(SlabKey),
    /// The shard's checkpoint.
    Checkpoint,
}

/// Why writes are refused.
#[derive(Debug)]
pub(crate) struct Blocked {
    what: Stuck,
    errno: i32,
    pub(crate) why: String,
}

/// True for errors that mean that no room is left.
pub(crate) fn is_no_space(errno: i32) -> bool {
    matches!(errno, ENOSPC | EDQUOT)
}

/// True for errors that mean that no file descriptor is left.
pub(crate) fn is_out_of_files(errno: i32) -> bool {
    matches!(errno, EMFILE | ENFILE)
}

/// Cause and remedy of a failed step (`what` names it and the path).
pub(crate) fn explain(errno: i32, what: &str) -> String {
    match errno {
        ENOSPC => format!("the disk is full ({what}); free space or lower retention, service resumes by itself"),
        EDQUOT => format!("the disk quota is used up ({what}); raise it or lower retention, service resumes by itself"),
        EMFILE | ENFILE => format!(
            "no file descriptor is left ({what}); raise the limit (LimitNOFILE=1048576) and restart, or lower max.connections"
        ),
        EROFS => {
            format!("the file system is read-only ({what}); check the disk (dmesg) and mount it writable, then restart")
        }
        _ => format!(
            "{what} failed (errno {errno}); check the disk (dmesg), service resumes by itself when writing works again"
        ),
    }
}

impl Store {
    /// Why writes are refused, and new topics too.
    pub(crate) fn no_room(&self) -> Option<&str> {
        let blocked = self.blocked.as_ref().map(|blocked| blocked.why.as_str());
        blocked.or(self.disk_low.as_deref())
    }

    /// `what` cannot be written: refuses writes until it can, and tries again after a pause.
    pub(crate) fn block(&mut self, cx: &mut StoreCx, what: Stuck, errno: i32, step: &str) {
        let why = explain(errno, step);
        let news = self.blocked.as_ref().is_none_or(|blocked| blocked.errno != errno);
        if news {
            let named = match what {
                Stuck::Segment(key) => self.parts.get(key).map_or(String::new(), |part| {
                    format!(" for topic {} partition {}", part.topic.name, part.id.partition)
                }),
                Stuck::Checkpoint => " for a checkpoint".into(),
            };
            tracing::error!("no room{named}: {why}; produce is refused meanwhile");
        }
        self.blocked = Some(Blocked { what, errno, why });
        self.arm_retry(cx);
    }

    /// `what` was written, or is of no interest any more.
    pub(crate) fn unblock(&mut self, what: Stuck) {
        if self.blocked.take_if(|blocked| blocked.what == what).is_some() {
            tracing::info!("segments and checkpoints can be written again; writes are accepted");
        }
    }

    /// True while a pause after a failure for want of room is running.
    pub(crate) fn is_waiting_for_room(&self) -> bool {
        self.blocked.is_some() && self.retry_armed
    }

    /// Starts a pause after a failure, unless one is running.
    pub(crate) fn arm_retry(&mut self, cx: &mut StoreCx) {
        if !self.retry_armed {
            self.retry_armed = true;
            self.timers.arm(cx.now.mono_ns + RETRY_NS, StoreTimer::Retry);
        }
    }

    /// The pause is over.
    pub(crate) fn retry(&mut self, cx: &mut StoreCx) {
        self.retry_armed = false;
        self.reclaim.is_paused = false;
        self.journal.grow_again();
        let due: Vec<SlabKey> = self.parts.iter().map(|(key, _)| key).collect();
        for key in due {
            self.queue_destage_if_due(key);
        }
        self.pump_destage(cx);
        self.pump_reclaim(cx);
    }

    /// Asks for the file system's free space, time and again: always where topics are made, elsewhere when something was written.
    pub(crate) fn ask_disk_space(&mut self, cx: &mut StoreCx) {
        let period = match self.disk_low {
            Some(_) => DISK_SPACE_LOW_PERIOD_NS,
            None => DISK_SPACE_PERIOD_NS,
        };
        self.timers.arm(cx.now.mono_ns + period, StoreTimer::DiskSpace);
        let is_idle = self.accepted_bytes == self.asked_at_bytes && self.disk_low.is_none();
        if is_idle && self.config.journal.shard != 0 {
            return;
        }
        self.asked_at_bytes = self.accepted_bytes;
        self.job(cx, JobFor::DiskSpace, Job::DiskSpace);
    }

    /// Free space is known: refuses writes below the reserve, takes them again above it.
    pub(crate) fn on_disk_space(&mut self, cx: &mut StoreCx, result: JobResult) {
        let JobResult::Space { free, total } = result else {
            return;
        };
        self.disk_space = Some((free, total));
        let reserve = self.config.disk_reserve_bytes;
        let low = free < reserve;
        if low && self.disk_low.is_none() {
            tracing::error!(
                "the disk has {free} of {total} bytes free, less than the reserve of {reserve}; produce and new topics are refused until \
                 there is more: free space or lower retention"
            );
        }
        if low {
            self.retain_all(cx); // perhaps retention was lowered
        }
        if !low && self.disk_low.is_some() {
            tracing::info!("disk space is available again; writes are accepted");
        }
        self.disk_low = low.then(|| {
            format!("the disk is nearly full ({free} bytes free, {reserve} kept in reserve); free space or lower retention, service resumes by itself")
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_has_its_own_remedy() {
        let text = |errno| explain(errno, "allocate topics/t/0/0.seg");
        assert!(
            text(ENOSPC).contains("the disk is full (allocate topics/t/0/0.seg)")
                && text(ENOSPC).contains("free space")
        );
        assert!(text(EDQUOT).contains("quota"));
        assert!(text(EMFILE).contains("LimitNOFILE"));
        assert!(text(EROFS).contains("read-only"));
        assert!(text(5).contains("errno 5") && text(5).contains("dmesg"));
    }
}

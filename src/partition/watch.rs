//! Tells the operator when the disk does not answer. Requests run out of their time by themselves; this says why.
//!
//! A write in flight cannot be taken back, so there is nothing to do but wait: when it ends, what it holds is durable, whatever its
//! client was told meanwhile.

use crate::partition::store::{Store, StoreCx, StoreTimer};

/// A write that takes longer is worth a word.
const SILENCE_NS: u64 = 5_000_000_000;

impl Store {
    /// Looks again in a while when something is under way.
    pub(crate) fn watch_disk(&mut self, cx: &StoreCx) {
        if !self.is_watching && !self.journal.is_quiet() {
            self.is_watching = true;
            self.timers.arm(cx.now.mono_ns + SILENCE_NS, StoreTimer::Watch);
        }
    }

    /// Says once what is stuck.
    pub(crate) fn look_at_disk(&mut self, cx: &StoreCx) {
        self.is_watching = false;
        let oldest = self.oldest_write_ns();
        if self.silent_since.is_none()
            && let Some(issued) = oldest.filter(|issued| cx.now.mono_ns.saturating_sub(*issued) >= SILENCE_NS)
        {
            self.silent_since = Some(issued);
            tracing::error!(
                "the disk has not answered a journal write for {} s: nothing is acknowledged meanwhile, and produce requests run out of \
                 their time. Check the disk (dmesg)",
                SILENCE_NS / 1_000_000_000
            );
        }
        if self.journal.is_full() && !std::mem::replace(&mut self.is_journal_full, true) {
            tracing::error!(
                "the journal is full, since segments or checkpoints are not written fast enough: produce waits. Check the disk (dmesg), or \
                 give more memory for a larger journal"
            );
        }
        self.watch_disk(cx);
    }

    /// A journal write ended well.
    pub(crate) fn disk_answered(&mut self, cx: &StoreCx) {
        if let Some(since) = self.silent_since.take() {
            let seconds = cx.now.mono_ns.saturating_sub(since) as f64 / 1e9;
            tracing::info!("the disk answers again after {seconds:.1} s; writes are acknowledged");
        }
        if self.is_journal_full && !self.journal.is_full() {
            self.is_journal_full = false;
            tracing::info!("the journal has room again");
        }
    }
}

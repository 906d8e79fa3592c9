//! From the end of a round to the answers: one journal block, its completion in lsn order, high watermarks, acks, waiters.

use crate::base::ids::IoKey;
use crate::base::planted::{self, Planted};
use crate::base::slab::SlabKey;
use crate::log::block::Lsn;
use crate::log::frame::{FRAME_HEADER, FrameKind};
use crate::log::journal::SealedBlock;
use crate::metrics::Stage;
use crate::partition::request::{DeleteRecordsResult, OwnerReply, ProduceResult, ReplyTo};
use crate::partition::store::{IoFor, JobFor, Store, StoreCx, StoreTimer, batch_id};
use crate::partition::tail::TailFrame;
use crate::wire::error::ErrorCode;
use std::collections::VecDeque;

/// An answer that waits for a block. In lsn order.
pub(crate) struct PendingAck {
    pub lsn: Lsn,
    pub reply: ReplyTo,
    pub staged_ns: u64,
    pub kind: AckKind,
}

/// What to answer.
pub(crate) enum AckKind {
    Produce(ProduceResult),
    LogStart(i64),
}

/// What becomes visible with a block.
pub(crate) struct BlockInfo {
    lsn: Lsn,
    issued_ns: u64,
    bytes: u64,
    frames: Vec<BlockFrame>,
}

struct BlockFrame {
    owner: Option<SlabKey>,
    kind: FrameKind,
    base_offset: i64,
    last_offset: i64,
    len: usize,
    producer: Option<i64>,
}

impl Store {
    /// Seals and issues the round's block, and puts its frames into the tails.
    pub(crate) fn settle_journal(&mut self, cx: &mut StoreCx) {
        self.prepare_journal(cx);
        if self.leaving {
            self.journal.mark();
        }
        let next_key = &mut self.next_key;
        let mut key = || {
            *next_key += 1;
            IoKey(*next_key)
        };
        for (key, sealed) in self.journal.settle(&mut key, cx.effects) {
            self.ios.insert(key, IoFor::Journal);
            let lsn = sealed.lsn;
            self.note_block(sealed, cx.now.mono_ns);
            if planted::is(Planted::AckBeforeFlush) {
                self.release_acks(cx, lsn);
            }
        }
        self.evict();
        self.watch_disk(cx);
        if !self.is_mark_due && self.journal.is_quiet() && !self.journal.is_marked() {
            self.is_mark_due = true;
            self.timers.arm(cx.now.mono_ns + self.mark_after_ns(), StoreTimer::Mark);
        }
    }

    fn mark_after_ns(&self) -> u64 {
        self.config.mark_after_ms * 1_000_000
    }

    /// When the oldest journal write under way was issued, monotonic nanoseconds.
    pub(crate) fn oldest_write_ns(&self) -> Option<u64> {
        self.blocks.front().map(|block| block.issued_ns)
    }

    /// Marks the journal's end when nothing was written for a while, else looks again when that may be so.
    pub(crate) fn mark_if_idle(&mut self, cx: &StoreCx) {
        let due = self.last_written_ns + self.mark_after_ns();
        self.is_mark_due = due > cx.now.mono_ns;
        if self.is_mark_due {
            self.timers.arm(due, StoreTimer::Mark);
        } else {
            self.journal.mark();
        }
    }

    /// Orders journal files up to the configured number.
    pub(crate) fn prepare_journal(&mut self, cx: &mut StoreCx) {
        let before = cx.effects.list.len();
        let next = std::cell::Cell::new(self.next_key);
        let bump = || {
            next.set(next.get() + 1);
            next.get()
        };
        self.journal.prepare_files(
            &mut || crate::base::ids::FileId(bump()),
            &mut || crate::base::ids::JobKey(bump()),
            (self.config.disk_reserve_bytes, self.blocked.is_some()),
            cx.effects,
        );
        self.next_key = next.get();
        if let Some(crate::base::effect::Effect::Job { key, .. }) = cx.effects.list.get(before) {
            self.jobs.insert(*key, JobFor::Journal);
        }
    }

    fn note_block(&mut self, sealed: SealedBlock, now_ns: u64) {
        let bytes = sealed.bytes as u64;
        let mut frames = Vec::with_capacity(sealed.frames.len());
        for staged in sealed.frames {
            let (frame, len) = (staged.frame, staged.frame.len());
            let mut producer = None;
            if frame.kind == FrameKind::Batch
                && let Some((owner, part)) = staged.owner.and_then(|o| Some((o, self.parts.get_mut(o)?)))
            {
                producer = batch_id(&staged.bytes[FRAME_HEADER..]).map(|id| id.producer_id);
                self.chunks.note(sealed.chunk_seq, sealed.lsn, owner, len);
                part.tail.push(TailFrame {
                    frame,
                    bytes: staged.bytes,
                    lsn: sealed.lsn,
                    chunk_seq: sealed.chunk_seq,
                });
            }
            frames.push(BlockFrame {
                owner: staged.owner,
                kind: frame.kind,
                base_offset: frame.base_offset,
                last_offset: frame.last_offset,
                len,
                producer,
            });
        }
        self.blocks.push_back(BlockInfo {
            issued_ns: now_ns,
            bytes,
            lsn: sealed.lsn,
            frames,
        });
    }

    /// A journal write ended: everything up to the new durable lsn becomes visible and is answered, in lsn order.
    pub(crate) fn on_journal_written(&mut self, cx: &mut StoreCx, key: IoKey, result: Result<(), i32>) {
        if let Err(errno) = result {
            self.fail(format!(
                "a journal write failed (errno {errno}); nothing is acknowledged any more. Check the disk (dmesg), then restart: what was \
                 acknowledged is there"
            ));
            return;
        }
        let Some(durable) = self.journal.on_written(key) else {
            return;
        };
        self.disk_answered(cx);
        self.last_written_ns = cx.now.mono_ns;
        let mut advanced: VecDeque<(SlabKey, usize)> = VecDeque::new();
        while self.blocks.front().is_some_and(|b| b.lsn <= durable) {
            let Some(block) = self.blocks.pop_front() else { break };
            let batches = block.frames.iter().filter(|f| f.kind == FrameKind::Batch).count() as u64;
            cx.metrics
                .journal_block(batches, block.bytes, cx.now.mono_ns.saturating_sub(block.issued_ns));
            for frame in block.frames {
                self.make_visible(cx, block.lsn, frame, &mut advanced);
            }
        }
        self.release_acks(cx, durable);
        for (owner, bytes) in advanced {
            self.wake_watches(cx, owner, bytes);
        }
    }

    fn make_visible(
        &mut self,
        cx: &mut StoreCx,
        lsn: Lsn,
        frame: BlockFrame,
        advanced: &mut VecDeque<(SlabKey, usize)>,
    ) {
        if frame.kind == FrameKind::Meta {
            assert_eq!(
                frame.base_offset, self.meta_durable,
                "metadata records become durable in order"
            );
            self.meta_durable += 1;
        }
        let Some(owner) = frame.owner else { return };
        if frame.kind == FrameKind::LogStart {
            return self.apply_log_start(cx, owner, frame.base_offset);
        }
        let Some(part) = self.parts.get_mut(owner) else { return };
        assert_eq!(part.high_watermark, frame.base_offset, "frames become visible in order");
        part.high_watermark = frame.last_offset + 1;
        part.undestaged_bytes += frame.len;
        cx.metrics.acked_bytes += (frame.len - FRAME_HEADER) as u64;
        cx.metrics.acked_records += (frame.last_offset - frame.base_offset + 1) as u64;
        if let Some(producer) = frame.producer {
            part.producers.trim(producer, part.high_watermark);
        }
        match advanced.back_mut() {
            Some((last, bytes)) if *last == owner => *bytes += frame.len,
            _ => advanced.push_back((owner, frame.len)),
        }
        // A reclaim may have asked for this frame when it was not durable yet.
        if part.undestaged_bytes >= self.config.destage_bytes || lsn < part.destage_below {
            self.queue_destage(owner);
        }
    }

    fn release_acks(&mut self, cx: &mut StoreCx, durable: Lsn) {
        while self.acks.front().is_some_and(|a| a.lsn <= durable) {
            let Some(ack) = self.acks.pop_front() else { break };
            let answer = match ack.kind {
                AckKind::Produce(result) => {
                    cx.metrics
                        .stage(Stage::ProduceFlush, cx.now.mono_ns.saturating_sub(ack.staged_ns));
                    OwnerReply::Produce(result)
                }
                AckKind::LogStart(low_watermark) => OwnerReply::DeleteRecords(DeleteRecordsResult {
                    error: ErrorCode::None,
                    low_watermark,
                }),
            };
            cx.replies.push_back((ack.reply, answer));
        }
    }

    /// Stops acknowledging for good.
    pub(crate) fn fail(&mut self, why: String) {
        tracing::error!("{why}");
        self.fatal.get_or_insert(why);
    }

    /// Drops the oldest flushed chunks while the cache is over its bound.
    pub(crate) fn evict(&mut self) {
        while let Some((chunk_seq, owners)) = self.chunks.pop_evictable(self.flushed_lsn) {
            for owner in owners {
                if let Some(part) = self.parts.get_mut(owner) {
                    part.tail.evict(chunk_seq);
                }
            }
        }
    }
}

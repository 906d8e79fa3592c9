//! Idempotent producers of one partition: the window of their last batches (KIP-98, KIP-360).
//!
//! Invariants: a producer's batches are kept in append order; the last five may be answered as duplicates; what a checkpoint
//! saves covers durable batches only, so a crash never remembers a batch that it lost. No clock, no protocol.

use crate::log::checkpoint::ProducerCheckpoint;
use crate::wire::batch::BatchInfo;
use std::collections::{BTreeMap, VecDeque};

/// Batches per producer that a retry is recognised among (Kafka: `ProducerStateEntry.NUM_BATCHES_TO_RETAIN`).
pub const WINDOW: usize = 5;
/// Producers kept per partition; the longest idle ones go first beyond it.
pub const PRODUCERS_MAX: usize = 20_000;
/// Refused first batches remembered per partition.
const REFUSED_MAX: usize = 1_000;

/// A producer's claim on a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BatchId {
    /// Producer id, >= 0.
    pub producer_id: i64,
    /// Its epoch.
    pub epoch: i16,
    /// Sequence of the first record.
    pub first_sequence: i32,
    /// Records in the batch.
    pub record_count: i32,
}

impl BatchId {
    /// The claim in a batch header, `None` without idempotence.
    pub fn of(info: &BatchInfo) -> Option<BatchId> {
        (info.producer_id >= 0).then_some(BatchId {
            producer_id: info.producer_id,
            epoch: info.producer_epoch,
            first_sequence: info.base_sequence,
            record_count: info.record_count,
        })
    }
    /// Sequence of the last record; wraps from `i32::MAX` to 0.
    pub fn last_sequence(&self) -> i32 {
        sequence_add(self.first_sequence, self.record_count - 1)
    }
}

fn sequence_add(sequence: i32, n: i32) -> i32 {
    let sum = i64::from(sequence) + i64::from(n);
    (sum % (i64::from(i32::MAX) + 1)) as i32
}

/// Where a batch went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Appended {
    /// First sequence.
    pub first_sequence: i32,
    /// Last sequence.
    pub last_sequence: i32,
    /// First offset.
    pub base_offset: i64,
    /// Last offset.
    pub last_offset: i64,
    /// LogAppendTime, or -1.
    pub append_time_ms: i64,
}

/// A producer as administrators see it (KIP-664).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ActiveProducer {
    /// Its id.
    pub producer_id: i64,
    /// Its epoch.
    pub epoch: i16,
    /// Sequence of its last record.
    pub last_sequence: i32,
    /// Time of its last append, wall clock milliseconds.
    pub last_append_ms: i64,
}

#[derive(Clone, Debug)]
struct Window {
    epoch: i16,
    last_append_ms: i64,
    /// Oldest first; more than [`WINDOW`] only while the newest are not durable.
    batches: VecDeque<Appended>,
}

/// What to do with a batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Append it.
    Append,
    /// It is already in the log there.
    Duplicate(Appended),
    /// OUT_OF_ORDER_SEQUENCE_NUMBER, with the reason.
    OutOfOrder(String),
    /// INVALID_PRODUCER_EPOCH: a newer epoch has written.
    StaleEpoch(i16),
}

/// All producers of a partition.
#[derive(Clone, Debug, Default)]
pub struct Producers {
    windows: BTreeMap<i64, Window>,
    /// First batches of unknown producers that were refused for the partition's sake: (epoch, first sequence).
    refused: BTreeMap<i64, (i16, i32)>,
}

impl Producers {
    /// Judges a batch; changes nothing.
    pub fn check(&self, id: &BatchId) -> Verdict {
        let Some(window) = self.windows.get(&id.producer_id) else {
            return self.check_unknown(id);
        };
        if id.epoch < window.epoch {
            return Verdict::StaleEpoch(window.epoch);
        }
        if id.epoch > window.epoch {
            if id.first_sequence == 0 {
                return Verdict::Append;
            }
            return Verdict::OutOfOrder(format!(
                "epoch {} must start at sequence 0, not {}",
                id.epoch, id.first_sequence
            ));
        }
        let recent = window.batches.iter().rev().take(WINDOW);
        let (first, last) = (id.first_sequence, id.last_sequence());
        if let Some(found) = recent
            .clone()
            .find(|b| b.first_sequence == first && b.last_sequence == last)
        {
            return Verdict::Duplicate(*found);
        }
        let Some(newest) = window.batches.back() else {
            return Verdict::Append;
        };
        let expected = sequence_add(newest.last_sequence, 1);
        if first == expected {
            return Verdict::Append;
        }
        Verdict::OutOfOrder(format!(
            "producer {} sent sequence {first}, expected {expected}",
            id.producer_id
        ))
    }

    /// No state: any first sequence (KIP-360), unless an earlier batch of it was refused and has to come first.
    fn check_unknown(&self, id: &BatchId) -> Verdict {
        match self.refused.get(&id.producer_id) {
            Some((epoch, sequence)) if *epoch == id.epoch && *sequence < id.first_sequence => {
                Verdict::OutOfOrder(format!("sequence {sequence} was refused before and must come first"))
            }
            _ => Verdict::Append,
        }
    }

    /// Remembers that a batch was refused though nothing was wrong with it (disk full ...), so that a later one in flight behind
    /// it is not taken for the first.
    pub fn note_refused(&mut self, id: &BatchId) {
        if self.windows.contains_key(&id.producer_id) || self.refused.len() >= REFUSED_MAX {
            return;
        }
        let kept = self
            .refused
            .entry(id.producer_id)
            .or_insert((id.epoch, id.first_sequence));
        if kept.0 != id.epoch || id.first_sequence < kept.1 {
            *kept = (id.epoch, id.first_sequence);
        }
    }

    /// Notes an appended batch (staged, or replayed from the log). Replaying what is known changes nothing.
    pub fn append(&mut self, id: &BatchId, base_offset: i64, append_time_ms: i64, now_ms: i64) {
        self.refused.remove(&id.producer_id);
        let window = self.windows.entry(id.producer_id).or_insert_with(|| Window {
            epoch: id.epoch,
            last_append_ms: now_ms,
            batches: VecDeque::with_capacity(2),
        });
        if window.batches.back().is_some_and(|b| b.base_offset >= base_offset) {
            return;
        }
        if window.epoch != id.epoch {
            window.epoch = id.epoch;
            window.batches.clear();
        }
        window.last_append_ms = now_ms;
        window.batches.push_back(Appended {
            first_sequence: id.first_sequence,
            last_sequence: id.last_sequence(),
            base_offset,
            last_offset: base_offset + i64::from(id.record_count) - 1,
            append_time_ms,
        });
    }

    /// Everything below `durable_end` is durable: forgets what falls out of the window by it.
    pub fn trim(&mut self, producer_id: i64, durable_end: i64) {
        let Some(window) = self.windows.get_mut(&producer_id) else {
            return;
        };
        while window.batches.len() > WINDOW && window.batches[WINDOW].last_offset < durable_end {
            window.batches.pop_front();
        }
    }

    /// Forgets producers idle for longer than `expiration_ms`, and the longest idle beyond [`PRODUCERS_MAX`].
    pub fn expire(&mut self, now_ms: i64, expiration_ms: i64, durable_end: i64) {
        let durable = |w: &Window| w.batches.back().is_none_or(|b| b.last_offset < durable_end);
        self.windows
            .retain(|_, w| !durable(w) || now_ms.saturating_sub(w.last_append_ms) <= expiration_ms);
        self.refused.clear();
        if self.windows.len() > PRODUCERS_MAX {
            let mut idle: Vec<(i64, i64)> = self.windows.iter().map(|(id, w)| (w.last_append_ms, *id)).collect();
            idle.sort_unstable();
            for (_, id) in idle.into_iter().take(self.windows.len() - PRODUCERS_MAX) {
                self.windows.remove(&id);
            }
        }
    }

    /// Producers with a batch below `durable_end`, by id.
    pub fn active(&self, durable_end: i64) -> Vec<ActiveProducer> {
        let active = self.windows.iter().filter_map(|(id, window)| {
            let last = window.batches.iter().rfind(|b| b.last_offset < durable_end)?;
            Some(ActiveProducer {
                producer_id: *id,
                epoch: window.epoch,
                last_sequence: last.last_sequence,
                last_append_ms: window.last_append_ms,
            })
        });
        active.collect()
    }

    /// True when the table should be swept before another producer is added.
    pub fn is_full(&self) -> bool {
        self.windows.len() >= PRODUCERS_MAX + PRODUCERS_MAX / 4
    }

    /// For the checkpoint: batches below `durable_end`, at most the window.
    pub fn checkpoint(&self, durable_end: i64) -> Vec<ProducerCheckpoint> {
        let saved = self.windows.iter().map(|(id, window)| {
            let durable: Vec<_> = window.batches.iter().filter(|b| b.last_offset < durable_end).collect();
            let recent = &durable[durable.len().saturating_sub(WINDOW)..];
            let batches = recent.iter().map(|b| {
                (
                    b.first_sequence,
                    b.last_sequence,
                    b.base_offset,
                    b.last_offset,
                    b.append_time_ms,
                )
            });
            ProducerCheckpoint {
                producer_id: *id,
                epoch: window.epoch,
                last_append_ms: window.last_append_ms,
                batches: batches.collect(),
            }
        });
        saved.filter(|p| !p.batches.is_empty()).collect()
    }

    /// From a checkpoint.
    pub fn recovered(saved: &[ProducerCheckpoint]) -> Self {
        let windows = saved.iter().map(|p| {
            let batches = p.batches.iter().map(|b| Appended {
                first_sequence: b.0,
                last_sequence: b.1,
                base_offset: b.2,
                last_offset: b.3,
                append_time_ms: b.4,
            });
            (
                p.producer_id,
                Window {
                    epoch: p.epoch,
                    last_append_ms: p.last_append_ms,
                    batches: batches.collect(),
                },
            )
        });
        Producers {
            windows: windows.collect(),
            refused: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(epoch: i16, first_sequence: i32, record_count: i32) -> BatchId {
        BatchId {
            producer_id: 7,
            epoch,
            first_sequence,
            record_count,
        }
    }

    /// Appends `n` one-record batches from sequence 0 at offset 0.
    fn filled(n: i32) -> Producers {
        let mut producers = Producers::default();
        for i in 0..n {
            assert_eq!(producers.check(&id(0, i, 1)), Verdict::Append);
            producers.append(&id(0, i, 1), i64::from(i), -1, 0);
            producers.trim(7, i64::from(i) + 1);
        }
        producers
    }

    #[test]
    fn the_last_five_batches_are_duplicates_with_their_offsets_and_older_ones_are_out_of_order() {
        let producers = filled(8);
        for i in 3..8 {
            let Verdict::Duplicate(found) = producers.check(&id(0, i, 1)) else {
                panic!("batch {i} is a duplicate")
            };
            assert_eq!(found.base_offset, i64::from(i));
        }
        assert!(matches!(producers.check(&id(0, 2, 1)), Verdict::OutOfOrder(_)));
        assert!(matches!(producers.check(&id(0, 9, 1)), Verdict::OutOfOrder(_)));
        assert!(
            matches!(producers.check(&id(0, 7, 2)), Verdict::OutOfOrder(_)),
            "same start, other length is no duplicate"
        );
        assert_eq!(producers.check(&id(0, 8, 3)), Verdict::Append);
    }

    #[test]
    fn sequences_wrap_to_zero() {
        let mut producers = Producers::default();
        producers.append(&id(0, i32::MAX - 1, 2), 10, -1, 0);
        assert_eq!(producers.check(&id(0, 0, 1)), Verdict::Append);
        producers.append(&id(0, 0, 1), 12, -1, 0);
        producers.append(
            &BatchId {
                first_sequence: i32::MAX,
                record_count: 2,
                ..id(0, 0, 1)
            },
            13,
            -1,
            0,
        );
        assert_eq!(id(0, i32::MAX, 2).last_sequence(), 0);
    }

    #[test]
    fn epochs_go_up_and_start_at_zero() {
        let mut producers = filled(2);
        assert!(matches!(producers.check(&id(1, 2, 1)), Verdict::OutOfOrder(_)));
        assert_eq!(producers.check(&id(1, 0, 1)), Verdict::Append);
        producers.append(&id(1, 0, 1), 2, -1, 0);
        assert_eq!(producers.check(&id(0, 2, 1)), Verdict::StaleEpoch(1));
    }

    #[test]
    fn a_batch_behind_a_refused_first_one_has_to_wait_for_it() {
        let mut producers = Producers::default();
        producers.note_refused(&id(0, 0, 1));
        assert!(matches!(producers.check(&id(0, 1, 1)), Verdict::OutOfOrder(_)));
        assert_eq!(producers.check(&id(0, 0, 1)), Verdict::Append);
        producers.append(&id(0, 0, 1), 0, -1, 0);
        assert_eq!(producers.check(&id(0, 1, 1)), Verdict::Append);
    }

    #[test]
    fn a_checkpoint_holds_durable_batches_only_and_replay_restores_the_rest() {
        let mut producers = filled(5);
        for i in 5..9 {
            producers.append(&id(0, i, 1), i64::from(i), -1, 0); // staged, not durable
        }
        let mut restored = Producers::recovered(&producers.checkpoint(5));
        assert!(
            matches!(restored.check(&id(0, 0, 1)), Verdict::Duplicate(_)),
            "still within its window: newer ones were lost"
        );
        assert_eq!(
            restored.check(&id(0, 5, 1)),
            Verdict::Append,
            "a lost batch is no duplicate"
        );
        for i in 3..9 {
            restored.append(&id(0, i, 1), i64::from(i), -1, 0); // replay overlaps the checkpoint
        }
        for i in 4..9 {
            assert!(matches!(restored.check(&id(0, i, 1)), Verdict::Duplicate(_)));
        }
    }

    #[test]
    fn idle_producers_expire_unless_their_batch_is_still_in_flight() {
        let mut producers = filled(2);
        producers.expire(100, 1_000, 2);
        assert!(matches!(producers.check(&id(0, 1, 1)), Verdict::Duplicate(_)));
        producers.expire(2_000, 1_000, 1);
        assert!(
            matches!(producers.check(&id(0, 1, 1)), Verdict::Duplicate(_)),
            "not durable yet"
        );
        producers.expire(2_000, 1_000, 2);
        assert_eq!(producers.check(&id(0, 77, 1)), Verdict::Append);
    }
}

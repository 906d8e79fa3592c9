//! One assigned partition, and what a fetch brought for it.

use crate::client::Result;
use crate::client::batch;
use crate::client::error::ClientError;
use crate::client::record::Consumed;
use crate::wire::batch::batches;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;
use uuid::Uuid;

/// One assigned partition.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) topic: Arc<str>,
    pub(super) topic_id: Uuid,
    pub(super) partition: i32,
    pub(super) leader: Option<i32>,
    /// Offset to fetch next.
    pub(super) position: i64,
    /// Offset to stop before.
    pub(super) stop: Option<i64>,
    /// Fetched, but not given out yet.
    pub(super) is_queued: bool,
}

impl Slot {
    pub(super) fn is_done(&self) -> bool {
        self.stop.is_some_and(|stop| self.position >= stop)
    }

    pub(super) fn place(&self) -> String {
        format!(
            "{} partition {} at offset {}",
            self.topic, self.partition, self.position
        )
    }
}

/// The answer for one partition: raw batches, decoded one by one.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) slot: usize,
    pub(super) records: Bytes,
    /// Aborted transactions (producer id, first offset) by first offset.
    pub(super) aborted: VecDeque<(i64, i64)>,
    /// Producers whose transaction is known to be aborted here.
    pub(super) skipping: Vec<i64>,
}

impl Chunk {
    /// Decodes the first batch of a chunk and drops it from it. Incomplete batches at the end are left for the next fetch.
    pub(super) fn next_batch(&mut self, slot: &mut Slot, read_committed: bool) -> Result<Vec<Consumed>> {
        let unreadable = |slot: &Slot, cause: String| ClientError::Records {
            place: slot.place(),
            cause,
        };
        let view = match batches(&self.records).next() {
            Some(Ok(view)) => view,
            Some(Err((_, cause))) => return Err(unreadable(slot, cause)),
            None => {
                self.records = Bytes::new();
                return Ok(Vec::new());
            }
        };
        let info = view.info();
        while self
            .aborted
            .front()
            .is_some_and(|&(_, first_offset)| first_offset <= info.last_offset())
        {
            self.skipping
                .extend(self.aborted.pop_front().map(|(producer_id, _)| producer_id));
        }
        let is_aborted = info.is_transactional() && self.skipping.contains(&info.producer_id);
        let mut records = Vec::new();
        if info.is_control() {
            if batch::is_abort_marker(&view) {
                self.skipping.retain(|&producer_id| producer_id != info.producer_id);
            }
        } else if !is_aborted || !read_committed {
            let bytes = self.records.slice(..view.bytes().len());
            records = batch::decode(&slot.topic, slot.partition, &bytes).map_err(|cause| unreadable(slot, cause))?;
            // A fetch from inside a batch brings the whole batch.
            let wanted = slot.position..slot.stop.unwrap_or(i64::MAX);
            records.retain(|record| wanted.contains(&record.offset));
        }
        let length = view.bytes().len();
        self.records = self.records.slice(length..);
        slot.position = slot.position.max(info.last_offset().saturating_add(1));
        if slot.is_done() {
            self.records = Bytes::new();
        }
        Ok(records)
    }
}

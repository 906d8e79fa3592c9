//! What administrators ask an owner: how large its partitions are, and who writes to them.

use crate::base::ids::PartitionId;
use crate::partition::request::{LogSizes, OwnerReply, ProducersResult, ReplyTo};
use crate::partition::state::Partition;
use crate::partition::store::{Store, StoreCx};
use crate::wire::error::ErrorCode;

impl Store {
    /// Answers how much each partition takes, and what the file system has.
    pub(crate) fn log_sizes(&self, cx: &mut StoreCx, reply: ReplyTo, partitions: &[PartitionId]) {
        let find = |id: &PartitionId| self.by_id.get(id).and_then(|key| self.parts.get(*key));
        let sizes = partitions.iter().map(|id| find(id).map(size)).collect();
        let space = self.disk_space;
        cx.replies
            .push_back((reply, OwnerReply::LogSizes(LogSizes { sizes, space })));
    }

    /// Answers which producers a partition remembers.
    pub(crate) fn producers_of(&self, cx: &mut StoreCx, reply: ReplyTo, id: PartitionId) {
        let found = self.by_id.get(&id).and_then(|key| self.parts.get(*key));
        let result = match found {
            Some(part) => ProducersResult {
                error: ErrorCode::None,
                producers: part.producers.active(part.high_watermark),
            },
            None => ProducersResult {
                error: ErrorCode::UnknownTopicOrPartition,
                producers: Vec::new(),
            },
        };
        cx.replies.push_back((reply, OwnerReply::Producers(result)));
    }
}

/// Bytes in segments, and of what is in the journal only.
fn size(part: &Partition) -> i64 {
    let segments: u64 = part.segments.iter().map(|segment| segment.written).sum();
    i64::try_from(segments + part.undestaged_bytes as u64).unwrap_or(i64::MAX)
}

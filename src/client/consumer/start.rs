//! Where to begin: from what people ask for to offsets.

use super::Consumer;
use crate::client::Result;
use crate::client::admin::{EARLIEST, LATEST};
use crate::client::cluster::Topic;
use crate::client::error::{ClientError, Refusal};
use kafka_protocol::error::ResponseError;
use std::collections::BTreeMap;

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// The oldest record there is.
    Earliest,
    /// The next record to come.
    Latest,
    /// This offset, which must exist or be the next to come.
    Offset(i64),
    /// This many offsets after the oldest.
    AfterEarliest(i64),
    /// This many offsets before the end.
    BeforeLatest(i64),
    /// The first record with this timestamp (ms) or a later one; the end if there is none.
    Timestamp(i64),
}

impl Consumer {
    /// Offsets to begin at, by partition.
    pub(super) fn positions(&mut self, topic: &Topic, wanted: &[i32], start: Start) -> Result<BTreeMap<i32, i64>> {
        if let Start::Timestamp(timestamp_ms) = start {
            let mut found = self.offsets(topic, wanted, timestamp_ms)?;
            let ends = self.offsets(topic, wanted, LATEST)?;
            for (partition, offset) in &mut found {
                if *offset < 0 {
                    *offset = ends.get(partition).copied().unwrap_or(0);
                }
            }
            return Ok(found);
        }
        if start == Start::Earliest {
            return self.offsets(topic, wanted, EARLIEST);
        }
        let ends = self.offsets(topic, wanted, LATEST)?;
        if start == Start::Latest {
            return Ok(ends);
        }
        let starts = self.offsets(topic, wanted, EARLIEST)?;
        let mut positions = BTreeMap::new();
        for (&partition, &first) in &starts {
            let end = ends.get(&partition).copied().unwrap_or(first);
            let offset = match start {
                Start::AfterEarliest(count) => first.saturating_add(count).min(end),
                Start::BeforeLatest(count) => end.saturating_sub(count).max(first),
                Start::Offset(offset) if (first..=end).contains(&offset) => offset,
                Start::Offset(offset) => {
                    let message = match end - first {
                        0 => format!("it is empty, the next offset will be {end}"),
                        _ => format!("it holds offsets {first} to {} (the next will be {end})", end - 1),
                    };
                    let refusal = Refusal {
                        code: ResponseError::OffsetOutOfRange.code(),
                        message: Some(message),
                    };
                    let what = format!("read {} partition {partition} from offset {offset}", topic.name);
                    return Err(ClientError::refused(what, refusal));
                }
                Start::Earliest | Start::Latest | Start::Timestamp(_) => first,
            };
            positions.insert(partition, offset);
        }
        Ok(positions)
    }
}

//! Records as the client's users see them: what is sent, what comes back. Keys, values and headers are shared bytes.

use bytes::Bytes;
use std::sync::Arc;

/// One header. Order and duplicates of headers are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Key; UTF-8 by convention, any bytes in fact.
    pub key: Bytes,
    /// Value, which may be null.
    pub value: Option<Bytes>,
}

/// A record to send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Key; null if `None`.
    pub key: Option<Bytes>,
    /// Value; null (a tombstone) if `None`.
    pub value: Option<Bytes>,
    /// Headers in order.
    pub headers: Vec<Header>,
    /// Milliseconds since the epoch; `None` = the time of sending.
    pub timestamp_ms: Option<i64>,
}

impl Record {
    /// A record with a value only.
    pub fn value(value: impl Into<Bytes>) -> Record {
        Record {
            value: Some(value.into()),
            ..Record::default()
        }
    }

    /// The same with a key.
    pub fn with_key(mut self, key: impl Into<Bytes>) -> Record {
        self.key = Some(key.into());
        self
    }

    /// Upper bound of its encoded size in bytes, before compression.
    pub fn size(&self) -> usize {
        // Length, attributes, timestamp and offset deltas, three lengths: at most 36 bytes of framing.
        let headers: usize = self
            .headers
            .iter()
            .map(|h| 10 + h.key.len() + h.value.as_ref().map_or(0, Bytes::len))
            .sum();
        36 + self.key.as_ref().map_or(0, Bytes::len) + self.value.as_ref().map_or(0, Bytes::len) + headers
    }
}

/// A record as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumed {
    /// Topic.
    pub topic: Arc<str>,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// Leader epoch of its batch, -1 if unknown.
    pub leader_epoch: i32,
    /// Milliseconds since the epoch.
    pub timestamp_ms: i64,
    /// True if the broker set the timestamp (`message.timestamp.type=LogAppendTime`).
    pub is_append_time: bool,
    /// Producer id of its batch, -1 if none.
    pub producer_id: i64,
    /// Producer epoch of its batch, -1 if none.
    pub producer_epoch: i16,
    /// Key; null if `None`.
    pub key: Option<Bytes>,
    /// Value; null if `None`.
    pub value: Option<Bytes>,
    /// Headers in order, duplicates kept.
    pub headers: Vec<Header>,
}

//! One connection's state.

use super::inbox::Inbox;
use super::slots::ReplySlots;
use crate::base::ids::ConnId;
use std::net::IpAddr;

/// Longest client id kept, characters; only messages show it.
const CLIENT_ID_CHARS_MAX: usize = 128;

/// A client connection.
pub struct Session {
    /// Its name.
    pub conn: ConnId,
    /// Who connected.
    pub peer: IpAddr,
    /// Received, not cut.
    pub inbox: Inbox,
    /// Answers.
    pub slots: ReplySlots,
    /// The client's name for itself, as first sent; for messages.
    pub client_id: String,
    /// A receive is outstanding.
    pub receiving: bool,
    /// A send of this many bytes is outstanding.
    pub sending: Option<usize>,
    /// Operations not finished, those without an answer (acks=0) included.
    pub in_flight: usize,
    /// Is in the table's list of sessions to look at when the round settles.
    pub dirty: bool,
    /// Is in the table's list of sessions that wait for memory or an uncongested log.
    pub starved: bool,
    /// No more requests: close once all answers are sent.
    pub leaving: bool,
    /// Not read and no request of it started until then: it is throttled. Monotonic nanoseconds.
    pub muted_until_ns: u64,
    /// Has sent record batches.
    pub produces: bool,
    /// Monotonic time of the last bytes in either direction, nanoseconds.
    pub active_ns: u64,
    /// Monotonic time of the first byte of the partial frame held, nanoseconds.
    pub partial_since_ns: u64,
    /// What of the shard's memory this session accounts for, bytes.
    pub accounted: usize,
    /// Capacity of the frame buffer that the runtime receives into, bytes.
    pub lent: usize,
    /// Bytes of a frame that are in that buffer already.
    pub lent_len: usize,
    /// What of the shard's memory for partial frames this session accounts for, bytes.
    pub accounted_frame: usize,
    /// Bytes of frames whose operations are not finished.
    pub request_bytes: usize,
}

impl Session {
    /// A new connection.
    pub fn new(conn: ConnId, peer: IpAddr, now_ns: u64) -> Session {
        Session {
            conn,
            peer,
            inbox: Inbox::default(),
            slots: ReplySlots::default(),
            client_id: String::new(),
            receiving: false,
            sending: None,
            in_flight: 0,
            dirty: false,
            starved: false,
            leaving: false,
            muted_until_ns: 0,
            produces: false,
            active_ns: now_ns,
            partial_since_ns: now_ns,
            accounted: 0,
            lent: 0,
            lent_len: 0,
            accounted_frame: 0,
            request_bytes: 0,
        }
    }

    /// Remembers the client's name for itself, cut to a bounded length.
    pub fn learn_client_id(&mut self, client_id: Option<&str>) {
        let name: &str = client_id.unwrap_or_default();
        if self.client_id.is_empty() && !name.is_empty() {
            self.client_id = name.chars().take(CLIENT_ID_CHARS_MAX).collect();
        }
    }

    /// Bytes that wait for the socket or for an earlier answer.
    pub fn reply_bytes(&self) -> usize {
        self.slots.ready_bytes() + self.sending.unwrap_or(0)
    }

    /// All memory of this session's frames and answers.
    pub fn memory(&self) -> usize {
        self.frame_memory() + self.reply_bytes() + self.request_bytes
    }

    /// Memory of the frame that is not whole yet.
    pub fn frame_memory(&self) -> usize {
        self.inbox.held() + self.lent
    }

    /// Bytes that have come of the frame that is not whole yet.
    pub fn partial_len(&self) -> usize {
        self.inbox.partial_len().max(self.lent_len)
    }

    /// True when part of a frame is here, or in the buffer that the runtime receives into.
    pub fn has_partial(&self) -> bool {
        self.lent > 0 || self.inbox.is_partial()
    }

    /// True when nothing is in flight in either direction.
    pub fn is_quiet(&self) -> bool {
        self.slots.is_empty() && self.sending.is_none() && self.in_flight == 0
    }
}

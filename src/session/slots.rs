//! Reply slots: answers may become ready in any order and leave in the order of their requests.

use crate::base::slab::SlabKey;
use bytes::Bytes;
use std::collections::VecDeque;

/// The bytes of one answer, length prefix included.
#[derive(Debug)]
pub enum Reply {
    /// In one piece.
    One(Bytes),
    /// As a gather list.
    Many(Vec<Bytes>),
}

impl Reply {
    /// All bytes.
    pub fn len(&self) -> usize {
        match self {
            Reply::One(bytes) => bytes.len(),
            Reply::Many(list) => list.iter().map(Bytes::len).sum(),
        }
    }
    /// True without bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[derive(Debug)]
enum Slot {
    Waiting(SlabKey),
    Ready(Reply),
    Silent,
}

/// The slots of one connection.
#[derive(Default)]
pub struct ReplySlots {
    first: u64,
    slots: VecDeque<Slot>,
    ready_bytes: usize,
}

impl ReplySlots {
    /// Opens the next slot for an operation.
    pub fn open(&mut self, op: SlabKey) -> u64 {
        self.slots.push_back(Slot::Waiting(op));
        self.first + self.slots.len() as u64 - 1
    }
    /// An answer that is ready at once.
    pub fn push_ready(&mut self, reply: Reply) {
        self.ready_bytes += reply.len();
        self.slots.push_back(Slot::Ready(reply));
    }
    /// The answer is there.
    pub fn fill(&mut self, slot: u64, reply: Reply) {
        let bytes = reply.len();
        if self.set(slot, Slot::Ready(reply)) {
            self.ready_bytes += bytes;
        }
    }
    /// There will be no answer (acks=0): later ones need not wait.
    pub fn skip(&mut self, slot: u64) {
        self.set(slot, Slot::Silent);
        // Nothing is ever sent for these, so they must not wait for a send to make room.
        while matches!(self.slots.front(), Some(Slot::Silent)) {
            self.slots.pop_front();
            self.first += 1;
        }
    }
    /// Moves all answers that may leave to `out`; returns their bytes.
    pub fn take_ready(&mut self, out: &mut Vec<Bytes>) -> usize {
        let before = self.ready_bytes;
        while let Some(front) = self.slots.pop_front() {
            match front {
                Slot::Silent => {}
                Slot::Ready(reply) => {
                    self.ready_bytes -= reply.len();
                    match reply {
                        Reply::One(bytes) => out.push(bytes),
                        Reply::Many(list) => out.extend(list),
                    }
                }
                waiting => {
                    self.slots.push_front(waiting);
                    break;
                }
            }
            self.first += 1;
        }
        before - self.ready_bytes
    }
    /// Answers that wait, for the socket or for an earlier one.
    pub fn ready_bytes(&self) -> usize {
        self.ready_bytes
    }
    /// True when the first answer may leave.
    pub fn has_ready(&self) -> bool {
        matches!(self.slots.front(), Some(Slot::Ready(_) | Slot::Silent))
    }
    /// True when nothing is expected and nothing waits.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
    /// Slots that are open or wait to leave.
    pub fn len(&self) -> usize {
        self.slots.len()
    }
    /// Operations that still owe an answer.
    pub fn waiting(&self) -> impl Iterator<Item = SlabKey> + '_ {
        self.slots.iter().filter_map(|slot| match slot {
            Slot::Waiting(op) => Some(*op),
            _ => None,
        })
    }

    /// False when the slot has left already.
    fn set(&mut self, slot: u64, value: Slot) -> bool {
        let at = slot.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        let place = at.and_then(|at| self.slots.get_mut(at));
        place.map(|place| *place = value).is_some()
    }
}

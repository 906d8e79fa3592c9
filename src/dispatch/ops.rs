//! Operations in flight: who asked, and where the answer goes.

use super::admit::Meta;
use crate::base::ids::ConnId;
use crate::base::slab::{Slab, SlabKey};

/// A client request that waits for owners or the controller.
pub struct Op<S> {
    /// The connection that asked.
    pub conn: ConnId,
    /// Its reply slot; `None` when no answer is wanted (acks=0).
    pub slot: Option<u64>,
    /// The request.
    pub meta: Meta,
    /// Bytes of its frame, given back to the session at the end.
    pub frame_bytes: usize,
    /// Monotonic time of arrival, nanoseconds.
    pub started_ns: u64,
    /// What the API remembers; `None` while it is being worked on.
    pub state: Option<S>,
}

/// All operations of a shard's connections.
pub struct Ops<S> {
    slab: Slab<Op<S>>,
}

impl<S> Default for Ops<S> {
    fn default() -> Self {
        Ops { slab: Slab::default() }
    }
}

impl<S> Ops<S> {
    /// Adds an operation.
    pub fn insert(&mut self, op: Op<S>) -> SlabKey {
        self.slab.insert(op)
    }
    /// The operation, unless it ended.
    pub fn get_mut(&mut self, key: SlabKey) -> Option<&mut Op<S>> {
        self.slab.get_mut(key)
    }
    /// Ends an operation; its key is dead from now on.
    pub fn remove(&mut self, key: SlabKey) -> Option<Op<S>> {
        self.slab.remove(key)
    }
    /// Operations in flight.
    pub fn len(&self) -> usize {
        self.slab.len()
    }
    /// True without operations.
    pub fn is_empty(&self) -> bool {
        self.slab.is_empty()
    }
    /// All operations, in slot order.
    pub fn iter(&self) -> impl Iterator<Item = (SlabKey, &Op<S>)> {
        self.slab.iter()
    }
    /// Keys of all operations, in slot order.
    pub fn keys(&self) -> Vec<SlabKey> {
        self.iter().map(|(key, _)| key).collect()
    }
}

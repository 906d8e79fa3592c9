//! The production shard as the reactor drives it.

use super::drain::Drain;
use crate::base::ids::Now;
use crate::metrics::ShardMetrics;
use crate::reactor::Machine;
use crate::shard::event::Event;
use crate::shard::out::Out;
use crate::shard::shard::Shard;
use std::sync::Arc;

/// A shard that ends together with its peers.
pub struct NodeShard {
    shard: Shard,
    id: u16,
    drain: Arc<Drain>,
}

impl NodeShard {
    /// Wraps shard number `id`.
    pub fn new(shard: Shard, id: u16, drain: Arc<Drain>) -> NodeShard {
        NodeShard { shard, id, drain }
    }
}

impl Machine for NodeShard {
    fn step(&mut self, now: Now, event: Event, out: &mut Out) {
        self.shard.step(now, event, out);
    }
    fn settle(&mut self, now: Now, out: &mut Out) {
        self.shard.settle(now, out);
    }
    fn next_deadline(&self) -> Option<u64> {
        self.shard.next_deadline()
    }
    fn worked(&mut self, ns: u64) {
        self.shard.worked(ns);
    }
    fn metrics(&mut self) -> &mut ShardMetrics {
        self.shard.metrics()
    }
    fn fatal(&self) -> Option<&str> {
        self.shard.fatal()
    }
    fn drained(&self) -> bool {
        self.drain.report(self.id, self.shard.drained())
    }
}

//! What a step asks for.

use crate::base::effect::Effects;
use crate::base::ids::ShardId;
use crate::shard::event::ShardMessage;

/// Collects the effects and messages of a round; the runtime performs them after `settle`.
#[derive(Default, Debug)]
pub struct Out {
    /// Orders to the runtime.
    pub effects: Effects,
    /// Messages to other shards, in order.
    pub messages: Vec<(ShardId, ShardMessage)>,
}

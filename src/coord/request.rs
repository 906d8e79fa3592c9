//! What shards ask coordinators, and how a coordinator is found.

use crate::base::ids::{PartitionId, ShardId};
use crate::controller::image::{Image, OFFSETS_TOPIC};
use crate::group::partition_of;
use crate::group::request::GroupRequest;
use crate::wire::group::list_groups::ListGroupsRequest;

/// A question to the coordinators of a shard.
#[derive(Debug)]
pub enum CoordRequest {
    /// About groups of one coordinator partition.
    Group(PartitionId, GroupRequest),
    /// For all groups of the shard.
    List(ListGroupsRequest),
}

/// The coordinator partition of a group and its owner; `None` while there is no `__consumer_offsets`.
pub fn coordinator_of(image: &Image, group: &str) -> Option<(PartitionId, ShardId)> {
    let topic = image.topic(OFFSETS_TOPIC)?;
    let partition = partition_of(group, topic.partitions.len() as u32);
    let owner = topic.partitions.get(partition as usize)?.shard;
    let id = PartitionId {
        topic: topic.id,
        partition,
    };
    Some((id, owner))
}

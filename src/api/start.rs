//! Which file answers which API.

use super::call::{Call, Step};
use super::state::{Shared, State};
use super::*;
use crate::wire::api::ApiKey;
use crate::wire::header::RequestHeader;
use bytes::Bytes;

/// Starts a request of a served version.
pub(super) fn request(call: &mut Call, shared: &mut Shared, frame: &Bytes, header: &RequestHeader) -> Step<State> {
    let body = header.body;
    match header.api_key {
        ApiKey::Produce => produce::start(call, shared, frame, header).map(State::Produce),
        ApiKey::Fetch => fetch::start(call, shared, body).map(State::Fetch),
        ApiKey::ListOffsets => offsets::list::start(call, body).map(State::ListOffsets),
        ApiKey::Metadata => metadata::start(call, body).map(State::Control),
        ApiKey::ApiVersions => api_versions::start(call, body),
        ApiKey::CreateTopics => create_topics::start(call, body).map(State::Control),
        ApiKey::DeleteTopics => delete_topics::start(call, body).map(State::Control),
        ApiKey::DeleteRecords => offsets::delete::start(call, body).map(State::DeleteRecords),
        ApiKey::InitProducerId => init_producer_id::start(call, shared, body),
        ApiKey::OffsetForLeaderEpoch => offsets::epoch::start(call, body).map(State::EpochEnd),
        ApiKey::DescribeAcls | ApiKey::CreateAcls | ApiKey::DeleteAcls => acls::start(call, body),
        ApiKey::DescribeConfigs => describe_configs::start(call, body),
        ApiKey::AlterConfigs => alter_configs::start(call, body).map(State::Control),
        ApiKey::IncrementalAlterConfigs => alter_configs::start_incremental(call, body).map(State::Control),
        ApiKey::CreatePartitions => create_partitions::start(call, body).map(State::Control),
        ApiKey::DescribeCluster => describe_cluster::start(call, body),
        ApiKey::DescribeTopicPartitions => describe_topic_partitions::start(call, body),
        // In `wire::api::NOT_SERVED`: their requests are refused before this.
        ApiKey::OffsetCommit
        | ApiKey::OffsetFetch
        | ApiKey::FindCoordinator
        | ApiKey::JoinGroup
        | ApiKey::Heartbeat
        | ApiKey::LeaveGroup
        | ApiKey::SyncGroup
        | ApiKey::DescribeGroups
        | ApiKey::ListGroups
        | ApiKey::DeleteGroups
        | ApiKey::OffsetDelete
        | ApiKey::ConsumerGroupHeartbeat
        | ApiKey::ConsumerGroupDescribe => Step::Close(format!("{:?} is not served", header.api_key)),
    }
}

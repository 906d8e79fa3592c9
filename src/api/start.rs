//! Which file answers which API.

use super::call::{Call, Step};
use super::groups::GroupOp;
use super::state::{Shared, State};
use super::*;
use crate::wire::api::ApiKey;
use crate::wire::header::RequestHeader;
use bytes::Bytes;
use std::net::IpAddr;

/// Starts a request of a served version.
pub(super) fn request(
    call: &mut Call,
    shared: &mut Shared,
    frame: &Bytes,
    header: &RequestHeader,
    peer: IpAddr,
) -> Step<State> {
    let body = header.body;
    match header.api_key {
        ApiKey::Produce => produce::start(call, shared, frame, body).map(State::Produce),
        ApiKey::Fetch => fetch::start(call, shared, body).map(State::Fetch),
        ApiKey::ListOffsets => offsets::list::start(call, body).map(State::ListOffsets),
        ApiKey::Metadata => metadata::start(call, body).map(State::Control),
        ApiKey::ApiVersions => api_versions::start(call, body),
        ApiKey::CreateTopics => create_topics::start(call, shared, body).map(State::Control),
        ApiKey::DeleteTopics => delete_topics::start(call, shared, body).map(State::Control),
        ApiKey::DeleteRecords => offsets::delete::start(call, body).map(State::DeleteRecords),
        ApiKey::InitProducerId => init_producer_id::start(call, shared, body),
        ApiKey::OffsetForLeaderEpoch => offsets::epoch::start(call, body).map(State::EpochEnd),
        ApiKey::DescribeAcls | ApiKey::CreateAcls | ApiKey::DeleteAcls => acls::start(call, body),
        ApiKey::DescribeConfigs => describe_configs::start(call, body),
        ApiKey::AlterConfigs => alter_configs::start(call, body).map(State::Control),
        ApiKey::IncrementalAlterConfigs => alter_configs::start_incremental(call, body).map(State::Control),
        ApiKey::AlterReplicaLogDirs => cluster::log_dirs::alter(call, body),
        ApiKey::DescribeLogDirs => cluster::log_dirs::start(call, body).map(State::LogDirs),
        ApiKey::ElectLeaders => cluster::leaders::elect(call, body),
        ApiKey::AlterPartitionReassignments => cluster::leaders::reassign(call, body),
        ApiKey::ListPartitionReassignments => cluster::leaders::list_reassignments(call, body),
        ApiKey::DescribeClientQuotas => cluster::quotas::describe(call, body),
        ApiKey::AlterClientQuotas => cluster::quotas::alter(call, body).map(State::Control),
        ApiKey::DescribeUserScramCredentials => cluster::scram::describe(call, body),
        ApiKey::AlterUserScramCredentials => cluster::scram::alter(call, body).map(State::Control),
        ApiKey::DescribeProducers => offsets::producers::start(call, body).map(State::Producers),
        ApiKey::DescribeTransactions => cluster::transactions::describe(call, body),
        ApiKey::ListTransactions => cluster::transactions::list(call, body),
        ApiKey::ListConfigResources => cluster::resources::start(call, body),
        ApiKey::CreatePartitions => create_partitions::start(call, shared, body).map(State::Control),
        ApiKey::DescribeCluster => describe_cluster::start(call, body),
        ApiKey::DescribeTopicPartitions => describe_topic_partitions::start(call, body),
        ApiKey::FindCoordinator => groups::find_coordinator::start(call, body).map(State::Control),
        ApiKey::OffsetCommit
        | ApiKey::OffsetFetch
        | ApiKey::JoinGroup
        | ApiKey::Heartbeat
        | ApiKey::LeaveGroup
        | ApiKey::SyncGroup
        | ApiKey::DescribeGroups
        | ApiKey::ListGroups
        | ApiKey::DeleteGroups
        | ApiKey::OffsetDelete
        | ApiKey::ConsumerGroupHeartbeat
        | ApiKey::ConsumerGroupDescribe => {
            let step = group(call, header, peer);
            groups::note(call, shared, &step);
            step.map(|op| State::Group(Box::new(op)))
        }
    }
}

/// Starts a request to coordinators of groups.
fn group(call: &mut Call, header: &RequestHeader, peer: IpAddr) -> Step<GroupOp> {
    let body = header.body;
    match header.api_key {
        ApiKey::OffsetCommit => groups::commit::start(call, body),
        ApiKey::OffsetFetch => groups::fetch::start(call, body),
        ApiKey::JoinGroup => groups::join::start(call, body, header.client_id, peer),
        ApiKey::Heartbeat => groups::heartbeat::start(call, body),
        ApiKey::LeaveGroup => groups::leave::start(call, body),
        ApiKey::SyncGroup => groups::sync::start(call, body),
        ApiKey::DescribeGroups => groups::describe::start(call, body),
        ApiKey::ListGroups => groups::list::start(call, body),
        ApiKey::DeleteGroups => groups::delete::start(call, body),
        ApiKey::OffsetDelete => groups::delete_offsets::start(call, body),
        ApiKey::ConsumerGroupHeartbeat => groups::consumer_heartbeat::start(call, body, header.client_id, peer),
        ApiKey::ConsumerGroupDescribe => groups::consumer_describe::start(call, body),
        other => Step::Close(format!("{other:?} is no request about groups")),
    }
}

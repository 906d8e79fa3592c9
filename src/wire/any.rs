//! Any request by its key: what a fuzzer, a test or a self-check calls. Must not know what is in it.

use super::control::{
    acls, alter_configs, api_versions, create_partitions, create_topics, delete_records, delete_topics,
};
use super::control::{client_quotas, describe_producers, elect_leaders, list_config_resources, list_transactions};
use super::control::{describe_cluster, describe_configs, describe_topic_partitions, init_producer_id, list_offsets};
use super::control::{log_dirs, metadata, offset_for_leader_epoch, reassignments, scram_credentials};
use super::group::sync_group;
use super::group::{
    consumer_group_describe, consumer_group_heartbeat, delete_groups, describe_groups, find_coordinator,
};
use super::group::{heartbeat, join_group, leave_group, list_groups, offset_commit, offset_delete, offset_fetch};
use crate::wire::api::ApiKey;
use crate::wire::error::Fault;
use crate::wire::guard::Budget;
use crate::wire::message::Api;
use crate::wire::read::{Read, Reader};

/// Decodes the body of any request but Produce and Fetch and drops it.
///
/// # Errors
/// As [`Api::decode_within`]; Produce and Fetch have their own decoders and are refused here.
pub fn decode_any(key: ApiKey, version: i16, body: &[u8], budget: Budget) -> Read<()> {
    let decode = match key {
        ApiKey::Produce | ApiKey::Fetch => {
            let key = key.code();
            return Reader::new(body).fail(Fault::Unsupported { key, version });
        }
        ApiKey::ListOffsets => checked::<list_offsets::ListOffsets>,
        ApiKey::Metadata => checked::<metadata::Metadata>,
        ApiKey::OffsetCommit => checked::<offset_commit::OffsetCommit>,
        ApiKey::OffsetFetch => checked::<offset_fetch::OffsetFetch>,
        ApiKey::FindCoordinator => checked::<find_coordinator::FindCoordinator>,
        ApiKey::JoinGroup => checked::<join_group::JoinGroup>,
        ApiKey::Heartbeat => checked::<heartbeat::Heartbeat>,
        ApiKey::LeaveGroup => checked::<leave_group::LeaveGroup>,
        ApiKey::SyncGroup => checked::<sync_group::SyncGroup>,
        ApiKey::DescribeGroups => checked::<describe_groups::DescribeGroups>,
        ApiKey::ListGroups => checked::<list_groups::ListGroups>,
        ApiKey::ApiVersions => checked::<api_versions::ApiVersions>,
        ApiKey::CreateTopics => checked::<create_topics::CreateTopics>,
        ApiKey::DeleteTopics => checked::<delete_topics::DeleteTopics>,
        ApiKey::DeleteRecords => checked::<delete_records::DeleteRecords>,
        ApiKey::InitProducerId => checked::<init_producer_id::InitProducerId>,
        ApiKey::OffsetForLeaderEpoch => checked::<offset_for_leader_epoch::OffsetForLeaderEpoch>,
        ApiKey::DescribeAcls => checked::<acls::DescribeAcls>,
        ApiKey::CreateAcls => checked::<acls::CreateAcls>,
        ApiKey::DeleteAcls => checked::<acls::DeleteAcls>,
        ApiKey::DescribeConfigs => checked::<describe_configs::DescribeConfigs>,
        ApiKey::AlterConfigs => checked::<alter_configs::AlterConfigs>,
        ApiKey::AlterReplicaLogDirs => checked::<log_dirs::AlterReplicaLogDirs>,
        ApiKey::DescribeLogDirs => checked::<log_dirs::DescribeLogDirs>,
        ApiKey::CreatePartitions => checked::<create_partitions::CreatePartitions>,
        ApiKey::DeleteGroups => checked::<delete_groups::DeleteGroups>,
        ApiKey::ElectLeaders => checked::<elect_leaders::ElectLeaders>,
        ApiKey::IncrementalAlterConfigs => checked::<alter_configs::IncrementalAlterConfigs>,
        ApiKey::AlterPartitionReassignments => checked::<reassignments::AlterPartitionReassignments>,
        ApiKey::ListPartitionReassignments => checked::<reassignments::ListPartitionReassignments>,
        ApiKey::DescribeClientQuotas => checked::<client_quotas::DescribeClientQuotas>,
        ApiKey::AlterClientQuotas => checked::<client_quotas::AlterClientQuotas>,
        ApiKey::DescribeUserScramCredentials => checked::<scram_credentials::DescribeUserScramCredentials>,
        ApiKey::AlterUserScramCredentials => checked::<scram_credentials::AlterUserScramCredentials>,
        ApiKey::DescribeProducers => checked::<describe_producers::DescribeProducers>,
        ApiKey::DescribeTransactions => checked::<list_transactions::DescribeTransactions>,
        ApiKey::ListTransactions => checked::<list_transactions::ListTransactions>,
        ApiKey::ListConfigResources => checked::<list_config_resources::ListConfigResources>,
        ApiKey::OffsetDelete => checked::<offset_delete::OffsetDelete>,
        ApiKey::DescribeCluster => checked::<describe_cluster::DescribeCluster>,
        ApiKey::ConsumerGroupHeartbeat => checked::<consumer_group_heartbeat::ConsumerGroupHeartbeat>,
        ApiKey::ConsumerGroupDescribe => checked::<consumer_group_describe::ConsumerGroupDescribe>,
        ApiKey::DescribeTopicPartitions => checked::<describe_topic_partitions::DescribeTopicPartitions>,
    };
    decode(version, body, budget)
}

fn checked<A: Api>(version: i16, body: &[u8], budget: Budget) -> Read<()> {
    A::decode_within(version, body, budget).map(drop)
}

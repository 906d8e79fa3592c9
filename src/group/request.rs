//! What can be asked of a coordinator, and what it answers: the messages themselves, or their parts for one group.

use crate::wire::error::ErrorCode;
use crate::wire::group::consumer_group_describe::DescribedConsumerGroup;
use crate::wire::group::consumer_group_heartbeat::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use crate::wire::group::delete_groups::DeletableGroupResult;
use crate::wire::group::describe_groups::DescribedGroup;
use crate::wire::group::heartbeat::HeartbeatRequest;
use crate::wire::group::join_group::{JoinGroupRequest, JoinGroupResponse};
use crate::wire::group::leave_group::{LeaveGroupRequest, LeaveGroupResponse};
use crate::wire::group::list_groups::ListedGroup;
use crate::wire::group::offset_commit::{OffsetCommitPartitionResult, OffsetCommitRequest, OffsetCommitTopicResult};
use crate::wire::group::offset_delete::{OffsetDeleteRequest, OffsetDeleteResponse};
use crate::wire::group::offset_fetch::{OffsetFetchGroup, OffsetFetchGroupResult};
use crate::wire::group::sync_group::{SyncGroupRequest, SyncGroupResponse};

/// A question about groups of one coordinator partition.
#[derive(Debug)]
pub enum GroupRequest {
    /// JoinGroup; the rebalance timeout is set in all versions.
    Join(Caller, JoinGroupRequest),
    /// SyncGroup.
    Sync(SyncGroupRequest),
    /// Heartbeat.
    Heartbeat(HeartbeatRequest),
    /// LeaveGroup.
    Leave(LeaveGroupRequest),
    /// OffsetCommit and its version; topics have names in all versions, and their partitions exist.
    Commit(i16, OffsetCommitRequest),
    /// OffsetFetch for one group; topics have names in all versions.
    Fetch(OffsetFetchGroup),
    /// OffsetDelete; topics and partitions exist.
    DeleteOffsets(OffsetDeleteRequest),
    /// DescribeGroups and its version.
    Describe(i16, Vec<String>),
    /// DeleteGroups.
    Delete(Vec<String>),
    /// ConsumerGroupHeartbeat.
    ConsumerHeartbeat(Caller, Box<ConsumerGroupHeartbeatRequest>),
    /// ConsumerGroupDescribe.
    ConsumerDescribe(Vec<String>),
}

/// Who joins, or sends a heartbeat of the new protocol.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The client's name for itself.
    pub client_id: String,
    /// Where it connects from, as Kafka writes it: `/127.0.0.1`.
    pub client_host: String,
    /// Version of the request.
    pub version: i16,
}

impl Caller {
    /// A new dynamic member is asked to join again with the id it is given (KIP-394).
    pub(super) fn requires_member_id(&self) -> bool {
        self.version >= 4
    }
    /// The answer may tell the leader to skip the assignment (KIP-814).
    pub(super) fn may_skip_assignment(&self) -> bool {
        self.version >= 9
    }
}

/// An answer; each request gets one, JoinGroup and SyncGroup perhaps much later.
#[derive(Clone, PartialEq, Debug)]
pub enum GroupAnswer {
    /// To `Join`.
    Join(JoinGroupResponse),
    /// To `Sync`.
    Sync(SyncGroupResponse),
    /// To `Heartbeat`.
    Heartbeat(ErrorCode),
    /// To `Leave`.
    Leave(LeaveGroupResponse),
    /// To `Commit`, in the order asked.
    Commit(Vec<OffsetCommitTopicResult>),
    /// To `Fetch`.
    Fetch(OffsetFetchGroupResult),
    /// To `DeleteOffsets`, in the order asked.
    DeleteOffsets(OffsetDeleteResponse),
    /// To `Describe`, in the order asked.
    Describe(Vec<DescribedGroup>),
    /// To `Delete`, in the order asked, each group once.
    Delete(Vec<DeletableGroupResult>),
    /// To `ConsumerHeartbeat`.
    ConsumerHeartbeat(ConsumerGroupHeartbeatResponse),
    /// To `ConsumerDescribe`, in the order asked.
    ConsumerDescribe(Vec<DescribedConsumerGroup>),
    /// To a question for all groups of a shard.
    List(Result<Vec<ListedGroup>, ErrorCode>),
}

/// A refused JoinGroup.
pub(super) fn join_refused(error: ErrorCode, member_id: impl Into<String>) -> JoinGroupResponse {
    JoinGroupResponse {
        error,
        member_id: member_id.into(),
        ..JoinGroupResponse::default()
    }
}

/// A refused SyncGroup.
pub(super) fn sync_refused(error: ErrorCode) -> SyncGroupResponse {
    SyncGroupResponse {
        error,
        ..SyncGroupResponse::default()
    }
}

impl GroupRequest {
    /// The answer when the coordinator cannot serve the request at all.
    pub fn refused(&self, error: ErrorCode) -> GroupAnswer {
        match self {
            GroupRequest::Join(_, request) => GroupAnswer::Join(join_refused(error, request.member_id.as_str())),
            GroupRequest::Sync(_) => GroupAnswer::Sync(sync_refused(error)),
            // While the coordinator loads, members are believed to be alive.
            GroupRequest::Heartbeat(_) if error == ErrorCode::CoordinatorLoadInProgress => {
                GroupAnswer::Heartbeat(ErrorCode::None)
            }
            GroupRequest::Heartbeat(_) => GroupAnswer::Heartbeat(error),
            GroupRequest::Leave(_) => GroupAnswer::Leave(LeaveGroupResponse {
                error,
                ..LeaveGroupResponse::default()
            }),
            GroupRequest::Commit(_, request) => GroupAnswer::Commit(commit_refused(request, error)),
            GroupRequest::Fetch(group) => GroupAnswer::Fetch(OffsetFetchGroupResult {
                group_id: group.group_id.clone(),
                error,
                ..OffsetFetchGroupResult::default()
            }),
            GroupRequest::DeleteOffsets(_) => GroupAnswer::DeleteOffsets(OffsetDeleteResponse {
                error,
                ..OffsetDeleteResponse::default()
            }),
            GroupRequest::Describe(_, groups) => {
                let describe = |group: &String| DescribedGroup {
                    error,
                    group_id: group.clone(),
                    ..DescribedGroup::default()
                };
                GroupAnswer::Describe(groups.iter().map(describe).collect())
            }
            GroupRequest::Delete(groups) => {
                GroupAnswer::Delete(groups.iter().map(|group| deleted(group.clone(), error)).collect())
            }
            GroupRequest::ConsumerHeartbeat(..) => GroupAnswer::ConsumerHeartbeat(heartbeat_refused(error, None)),
            GroupRequest::ConsumerDescribe(groups) => {
                let describe = |group: &String| DescribedConsumerGroup {
                    error,
                    group_id: group.clone(),
                    ..DescribedConsumerGroup::default()
                };
                GroupAnswer::ConsumerDescribe(groups.iter().map(describe).collect())
            }
        }
    }
}

/// A refused ConsumerGroupHeartbeat.
pub(super) fn heartbeat_refused(error: ErrorCode, why: Option<String>) -> ConsumerGroupHeartbeatResponse {
    ConsumerGroupHeartbeatResponse {
        error,
        error_message: why,
        ..ConsumerGroupHeartbeatResponse::default()
    }
}

/// Every partition answers with the error.
pub(super) fn commit_refused(request: &OffsetCommitRequest, error: ErrorCode) -> Vec<OffsetCommitTopicResult> {
    let topics = request.topics.iter().map(|topic| OffsetCommitTopicResult {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: topic
            .partitions
            .iter()
            .map(|partition| OffsetCommitPartitionResult {
                index: partition.index,
                error,
            })
            .collect(),
    });
    topics.collect()
}

/// How it went for one group to delete.
pub(super) fn deleted(group_id: String, error: ErrorCode) -> DeletableGroupResult {
    DeletableGroupResult { group_id, error }
}

/// The same answer with the error in place of every success.
pub(super) fn failed(answer: GroupAnswer, error: ErrorCode) -> GroupAnswer {
    let fail = |was: &mut ErrorCode| {
        if *was == ErrorCode::None {
            *was = error;
        }
    };
    match answer {
        GroupAnswer::Commit(mut topics) => {
            let partitions = topics.iter_mut().flat_map(|topic| &mut topic.partitions);
            partitions.for_each(|partition| fail(&mut partition.error));
            GroupAnswer::Commit(topics)
        }
        GroupAnswer::DeleteOffsets(_) => GroupAnswer::DeleteOffsets(OffsetDeleteResponse {
            error,
            ..OffsetDeleteResponse::default()
        }),
        GroupAnswer::Delete(mut groups) => {
            groups.iter_mut().for_each(|group| fail(&mut group.error));
            GroupAnswer::Delete(groups)
        }
        GroupAnswer::ConsumerHeartbeat(_) => GroupAnswer::ConsumerHeartbeat(heartbeat_refused(error, None)),
        GroupAnswer::Join(answer) => GroupAnswer::Join(join_refused(error, answer.member_id)),
        GroupAnswer::Sync(_) => GroupAnswer::Sync(sync_refused(error)),
        GroupAnswer::Leave(_) => GroupAnswer::Leave(LeaveGroupResponse {
            error,
            ..LeaveGroupResponse::default()
        }),
        other => other,
    }
}

/// What clients of a coordinator are told when its log refuses a write (`CoordinatorOperationExceptionHelper`).
pub(super) fn coordinator_error(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::UnknownTopicOrPartition | ErrorCode::NotEnoughReplicas | ErrorCode::RequestTimedOut => {
            ErrorCode::CoordinatorNotAvailable
        }
        ErrorCode::NotLeaderOrFollower | ErrorCode::KafkaStorageError => ErrorCode::NotCoordinator,
        ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge | ErrorCode::InvalidFetchSize => {
            ErrorCode::UnknownServerError
        }
        other => other,
    }
}

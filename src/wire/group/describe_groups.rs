//! DescribeGroups: state and members of classic groups.

use crate::wire::control::OPERATIONS_NOT_REQUESTED;
use crate::wire::error::ErrorCode;
use crate::wire::message::{api, message};
use bytes::Bytes;

api! {
    /// Key 15, v0 to v6.
    DescribeGroups: DescribeGroupsRequest => DescribeGroupsResponse
}

message! {
    /// Which groups.
    pub struct DescribeGroupsRequest {
        /// Group ids.
        groups: Vec<String> [..] = Vec::new();
        /// From v3.
        include_authorized_operations: bool [3..] = false;
    }
}

message! {
    /// The groups.
    pub struct DescribeGroupsResponse {
        /// How long the client is throttled, milliseconds; from v1.
        throttle_time_ms: i32 [1..] = 0;
        /// Per group asked for.
        groups: Vec<DescribedGroup> [..] = Vec::new();
    }
}

message! {
    /// One group.
    pub struct DescribedGroup {
        /// `None` when fine; an unknown group is GROUP_ID_NOT_FOUND from v6 (KIP-1043), before it the state `Dead`.
        error: ErrorCode [..] = ErrorCode::None;
        /// For people, from v6.
        error_message: Option<String> [6..] null [6..] = None;
        /// Group.
        group_id: String [..] = String::new();
        /// Kafka's name of the state, for example `Stable`; empty on errors.
        state: String [..] = String::new();
        /// Protocol type, or empty.
        protocol_type: String [..] = String::new();
        /// Protocol chosen, empty unless the group is stable.
        protocol_data: String [..] = String::new();
        /// Members.
        members: Vec<DescribedGroupMember> [..] = Vec::new();
        /// Bit field, from v3.
        authorized_operations: i32 [3..] = OPERATIONS_NOT_REQUESTED;
    }
}

message! {
    /// One member.
    pub struct DescribedGroupMember {
        /// Member.
        member_id: String [..] = String::new();
        /// Static members, from v4.
        group_instance_id: Option<String> [4..] null [4..] = None;
        /// As in the header of its last JoinGroup.
        client_id: String [..] = String::new();
        /// Where it is connected from.
        client_host: String [..] = String::new();
        /// What it said in the protocol chosen; no bytes unless the group is stable.
        metadata: Bytes [..] = Bytes::new();
        /// What it was assigned; no bytes unless the group is stable.
        assignment: Bytes [..] = Bytes::new();
    }
}

//! ListGroups: the groups that a broker coordinates.

use crate::wire::error::ErrorCode;
use crate::wire::message::{api, message};

api! {
    /// Key 16, v0 to v5.
    ListGroups: ListGroupsRequest => ListGroupsResponse
}

message! {
    /// Which groups.
    pub struct ListGroupsRequest {
        /// States wanted, none = all; from v4 (KIP-518).
        states: Vec<String> [4..] = Vec::new();
        /// Types wanted, none = all; from v5 (KIP-848).
        types: Vec<String> [5..] = Vec::new();
    }
}

message! {
    /// The groups.
    pub struct ListGroupsResponse {
        /// How long the client is throttled, milliseconds; from v1.
        throttle_time_ms: i32 [1..] = 0;
        /// `None` when fine.
        error: ErrorCode [..] = ErrorCode::None;
        /// Groups.
        groups: Vec<ListedGroup> [..] = Vec::new();
    }
}

message! {
    /// One group.
    pub struct ListedGroup {
        /// Group.
        group_id: String [..] = String::new();
        /// Protocol type; empty for groups that have only offsets.
        protocol_type: String [..] = String::new();
        /// Kafka's name of the state, from v4.
        state: String [4..] = String::new();
        /// `classic`, `consumer`, ...; from v5.
        group_type: String [5..] = String::new();
    }
}

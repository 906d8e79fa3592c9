//! DeleteGroups: groups without members, with their offsets.

use crate::wire::error::ErrorCode;
use crate::wire::message::{api, message};

api! {
    /// Key 42, v0 to v2.
    DeleteGroups: DeleteGroupsRequest => DeleteGroupsResponse
}

message! {
    /// Groups to delete.
    pub struct DeleteGroupsRequest {
        /// Group ids.
        groups: Vec<String> [..] = Vec::new();
    }
}

message! {
    /// How it went.
    pub struct DeleteGroupsResponse {
        /// How long the client is throttled, milliseconds.
        throttle_time_ms: i32 [..] = 0;
        /// Per group.
        results: Vec<DeletableGroupResult> [..] = Vec::new();
    }
}

message! {
    /// One group.
    pub struct DeletableGroupResult {
        /// Group.
        group_id: String [..] = String::new();
        /// `None` when deleted.
        error: ErrorCode [..] = ErrorCode::None;
    }
}

//! Heartbeat: a member of a classic group is alive, and learns whether to join again.

use crate::wire::error::ErrorCode;
use crate::wire::message::{api, message};

api! {
    /// Key 12, v0 to v4.
    Heartbeat: HeartbeatRequest => HeartbeatResponse
}

message! {
    /// Who is alive.
    pub struct HeartbeatRequest {
        /// Group.
        group_id: String [..] = String::new();
        /// Generation.
        generation_id: i32 [..] = 0;
        /// Member.
        member_id: String [..] = String::new();
        /// Static members, from v3.
        group_instance_id: Option<String> [3..] null [3..] = None;
    }
}

message! {
    /// Whether all is well.
    pub struct HeartbeatResponse {
        /// How long the client is throttled, milliseconds; from v1.
        throttle_time_ms: i32 [1..] = 0;
        /// `None`, or for example REBALANCE_IN_PROGRESS.
        error: ErrorCode [..] = ErrorCode::None;
    }
}

//! SyncGroup: the leader hands in the assignment, every member gets its own.

use crate::wire::error::ErrorCode;
use crate::wire::message::{api, message};
use bytes::Bytes;

api! {
    /// Key 14, v0 to v5.
    SyncGroup: SyncGroupRequest => SyncGroupResponse
}

message! {
    /// Who is in step with which generation.
    pub struct SyncGroupRequest {
        /// Group.
        group_id: String [..] = String::new();
        /// Generation.
        generation_id: i32 [..] = 0;
        /// Member.
        member_id: String [..] = String::new();
        /// Static members, from v3.
        group_instance_id: Option<String> [3..] null [3..] = None;
        /// Compared with the group's unless null; from v5 (KIP-559).
        protocol_type: Option<String> [5..] null [5..] = None;
        /// Compared with the protocol chosen unless null; from v5.
        protocol_name: Option<String> [5..] null [5..] = None;
        /// From the leader: what each member gets.
        assignments: Vec<SyncGroupAssignment> [..] = Vec::new();
    }
}

message! {
    /// What one member gets.
    pub struct SyncGroupAssignment {
        /// Member.
        member_id: String [..] = String::new();
        /// Opaque; for consumers an [assignment](super::consumer_protocol).
        assignment: Bytes [..] = Bytes::new();
    }
}

message! {
    /// What this member gets.
    pub struct SyncGroupResponse {
        /// How long the client is throttled, milliseconds; from v1.
        throttle_time_ms: i32 [1..] = 0;
        /// `None` on success.
        error: ErrorCode [..] = ErrorCode::None;
        /// From v5.
        protocol_type: Option<String> [5..] null [5..] = None;
        /// From v5.
        protocol_name: Option<String> [5..] null [5..] = None;
        /// Opaque; no bytes for a member without assignment and on errors.
        assignment: Bytes [..] = Bytes::new();
    }
}

//! JoinGroup: a member of a classic group takes part in the next generation.

use crate::wire::error::ErrorCode;
use crate::wire::message::{api, message};
use bytes::Bytes;

api! {
    /// Key 11, v0 to v9.
    JoinGroup: JoinGroupRequest => JoinGroupResponse
}

message! {
    /// Who joins.
    pub struct JoinGroupRequest {
        /// Group.
        group_id: String [..] = String::new();
        /// A member not heard of for so long is dead, milliseconds.
        session_timeout_ms: i32 [..] = 0;
        /// How long a rebalance waits for this member, milliseconds; from v1. See [`JoinGroupRequest::rebalance_timeout`].
        rebalance_timeout_ms: i32 [1..] = -1;
        /// Empty = not known yet.
        member_id: String [..] = String::new();
        /// Given for static members (KIP-345), from v5.
        group_instance_id: Option<String> [5..] null [5..] = None;
        /// Free text: `consumer`, `connect`, ...
        protocol_type: String [..] = String::new();
        /// Protocols (assignment strategies) that the member knows, preferred first.
        protocols: Vec<JoinGroupProtocol> [..] = Vec::new();
        /// Why it (re-)joins, for people; from v8 (KIP-800).
        reason: Option<String> [8..] null [8..] = None;
    }
}

impl JoinGroupRequest {
    /// How long a rebalance waits for this member, milliseconds: v0 has only the session timeout.
    pub fn rebalance_timeout(&self, version: i16) -> i32 {
        match version {
            ..=0 => self.session_timeout_ms,
            _ => self.rebalance_timeout_ms,
        }
    }
}

message! {
    /// A protocol and what the member has to say in it.
    pub struct JoinGroupProtocol {
        /// Name, for example `range`.
        name: String [..] = String::new();
        /// Opaque; for consumers a [subscription](super::consumer_protocol).
        metadata: Bytes [..] = Bytes::new();
    }
}

message! {
    /// The new generation as one member sees it.
    pub struct JoinGroupResponse {
        /// How long the client is throttled, milliseconds; from v2.
        throttle_time_ms: i32 [2..] = 0;
        /// `None` when joined; MEMBER_ID_REQUIRED asks to join again with `member_id` (v4, KIP-394).
        error: ErrorCode [..] = ErrorCode::None;
        /// Generation, -1 on errors.
        generation_id: i32 [..] = -1;
        /// From v7 (KIP-559).
        protocol_type: Option<String> [7..] null [7..] = None;
        /// Protocol chosen; before v7 "nothing" is an empty string.
        protocol_name: Option<String> [..] null [7..] = None;
        /// Member id of the leader.
        leader: String [..] = String::new();
        /// The leader need not compute an assignment; from v9.
        skip_assignment: bool [9..] = false;
        /// The member's own id.
        member_id: String [..] = String::new();
        /// For the leader all members, for others none.
        members: Vec<JoinGroupMember> [..] = Vec::new();
    }
}

message! {
    /// A member as the leader sees it.
    pub struct JoinGroupMember {
        /// Member.
        member_id: String [..] = String::new();
        /// Static members, from v5.
        group_instance_id: Option<String> [5..] null [5..] = None;
        /// What it said in the protocol chosen.
        metadata: Bytes [..] = Bytes::new();
    }
}

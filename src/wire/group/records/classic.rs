//! Values that classic groups, and committed offsets of any group, are stored in.

use super::Value;
use crate::base::ids::TopicId;
use crate::wire::message::message;
use bytes::Bytes;

message! {
    /// A committed offset, v0 to v4.
    pub struct OffsetCommitValue {
        /// The next offset to read.
        offset: i64 [..] = 0;
        /// Leader epoch of the last record read, -1 = not known; from v3.
        leader_epoch: i32 [3..] = -1;
        /// What the client wants to keep.
        metadata: String [..] = String::new();
        /// When it was committed, milliseconds since the epoch.
        commit_timestamp: i64 [..] = 0;
        /// When it expires, milliseconds since the epoch, -1 = by the broker's rules; only in v1.
        expire_timestamp: i64 [1..=1] = -1;
    }
    tags {
        /// Id of the topic, zero = not known; from v4.
        0 => topic_id: TopicId [4..] = TopicId::ZERO;
    }
}

impl Value for OffsetCommitValue {
    const MAX: i16 = 4;
    const FLEXIBLE_FROM: i16 = 4;
    fn version(&self) -> i16 {
        if self.expire_timestamp >= 0 { 1 } else { 4 }
    }
}

message! {
    /// A classic group, v0 to v4.
    pub struct GroupMetadataValue {
        /// Protocol type.
        protocol_type: String [..] = String::new();
        /// Generation.
        generation: i32 [..] = 0;
        /// Protocol chosen, null = no members.
        protocol: Option<String> [..] null [..] = None;
        /// Member id of the leader, null = no members.
        leader: Option<String> [..] null [..] = None;
        /// When the state last changed, milliseconds since the epoch, -1 = not known; from v2. Offsets of an empty group
        /// expire counted from here (KIP-211).
        current_state_timestamp: i64 [2..] = -1;
        /// Members.
        members: Vec<GroupMetadataMember> [..] = Vec::new();
    }
}

message! {
    /// A member of a classic group.
    pub struct GroupMetadataMember {
        /// Member.
        member_id: String [..] = String::new();
        /// Static members, from v3.
        group_instance_id: Option<String> [3..] null [3..] = None;
        /// As in the header of its last JoinGroup.
        client_id: String [..] = String::new();
        /// Where it was connected from.
        client_host: String [..] = String::new();
        /// How long a rebalance waits for it, milliseconds, -1 = as the session timeout; from v1.
        rebalance_timeout_ms: i32 [1..] = -1;
        /// A member not heard of for so long is dead, milliseconds.
        session_timeout_ms: i32 [..] = 0;
        /// What it said in the protocol chosen.
        subscription: Bytes [..] = Bytes::new();
        /// What it was assigned.
        assignment: Bytes [..] = Bytes::new();
    }
}

impl Value for GroupMetadataValue {
    const MAX: i16 = 4;
    const FLEXIBLE_FROM: i16 = 4;
    fn version(&self) -> i16 {
        3
    }
}

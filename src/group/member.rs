//! A member of a classic group (`ClassicGroupMember` of Kafka).

use super::machine::Ticket;
use super::request::Caller;
use crate::base::timers::TimerKey;
use crate::wire::group::describe_groups::DescribedGroupMember;
use crate::wire::group::join_group::{JoinGroupProtocol, JoinGroupRequest};
use crate::wire::group::records::GroupMetadataMember;
use bytes::Bytes;

#[derive(Clone, Debug)]
pub(super) struct Member {
    pub id: String,
    pub instance_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub rebalance_timeout_ms: i32,
    pub session_timeout_ms: i32,
    pub protocol_type: String,
    pub protocols: Vec<JoinGroupProtocol>,
    pub assignment: Bytes,
    /// JoinGroup that waits for its answer.
    pub joining: Option<Ticket>,
    /// SyncGroup that waits for its answer.
    pub syncing: Option<Ticket>,
    /// Has not had an answer to JoinGroup yet, so it can send no heartbeat.
    pub is_new: bool,
    /// When it is given up.
    pub session: Option<TimerKey>,
}

impl Member {
    pub fn new(id: String, caller: &Caller, request: &JoinGroupRequest) -> Member {
        Member {
            id,
            instance_id: request.group_instance_id.clone(),
            client_id: caller.client_id.clone(),
            client_host: caller.client_host.clone(),
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            session_timeout_ms: request.session_timeout_ms,
            protocol_type: request.protocol_type.clone(),
            protocols: request.protocols.clone(),
            assignment: Bytes::new(),
            joining: None,
            syncing: None,
            is_new: true,
            session: None,
        }
    }

    /// A member as the log has it: only its metadata for the chosen protocol is known.
    pub fn stored(stored: GroupMetadataMember, protocol_type: &str, protocol: &str) -> Member {
        let rebalance_timeout_ms = match stored.rebalance_timeout_ms {
            -1 => stored.session_timeout_ms,
            timeout => timeout,
        };
        Member {
            id: stored.member_id,
            instance_id: stored.group_instance_id,
            client_id: stored.client_id,
            client_host: stored.client_host,
            rebalance_timeout_ms,
            session_timeout_ms: stored.session_timeout_ms,
            protocol_type: protocol_type.to_string(),
            protocols: vec![JoinGroupProtocol {
                name: protocol.to_string(),
                metadata: stored.subscription,
            }],
            assignment: stored.assignment,
            joining: None,
            syncing: None,
            is_new: false,
            session: None,
        }
    }

    pub fn to_record(&self, protocol: &str, assignment: Bytes) -> GroupMetadataMember {
        GroupMetadataMember {
            member_id: self.id.clone(),
            group_instance_id: self.instance_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            session_timeout_ms: self.session_timeout_ms,
            subscription: self.metadata(protocol),
            assignment,
        }
    }

    /// Memory it takes, bytes.
    pub fn bytes(&self) -> usize {
        let texts = [&self.id, &self.client_id, &self.client_host, &self.protocol_type];
        let texts: usize = texts.iter().map(|text| text.len()).sum();
        let protocols = self
            .protocols
            .iter()
            .map(|p| size_of::<JoinGroupProtocol>() + p.name.len() + p.metadata.len());
        // Its id is a key of the group's map, too.
        size_of::<Member>() + texts + self.id.len() + protocols.sum::<usize>() + self.assignment.len()
    }

    /// Metadata for a protocol; empty when the member does not know it.
    pub fn metadata(&self, protocol: &str) -> Bytes {
        let found = self.protocols.iter().find(|known| known.name == protocol);
        found.map_or_else(Bytes::new, |known| known.metadata.clone())
    }

    /// The first of its protocols that all others have, too.
    pub fn vote(&self, is_common: impl Fn(&str) -> bool) -> Option<&str> {
        let names = self.protocols.iter().map(|known| known.name.as_str());
        names.into_iter().find(|name| is_common(name))
    }

    /// Waits for an answer, so it need not send heartbeats. A new member may time out all the same (KAFKA-9752).
    pub fn needs_no_heartbeat(&self) -> bool {
        !self.is_new && (self.joining.is_some() || self.syncing.is_some())
    }

    pub fn describe(&self, protocol: Option<&str>) -> DescribedGroupMember {
        DescribedGroupMember {
            member_id: self.id.clone(),
            group_instance_id: self.instance_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            metadata: protocol.map_or_else(Bytes::new, |name| self.metadata(name)),
            assignment: self.assignment.clone(),
        }
    }
}

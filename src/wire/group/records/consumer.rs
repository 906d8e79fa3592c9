//! Values that consumer groups (KIP-848) are stored in.

use super::Value;
use crate::base::ids::TopicId;
use crate::wire::group::consumer_group_heartbeat::TopicPartitions;
use crate::wire::group::join_group::JoinGroupProtocol;
use crate::wire::message::{Nullable, Version, Wire, message};
use crate::wire::read::{Read, Reader};
use crate::wire::write::put_uvarint;
use bytes::BytesMut;

/// Each has one version so far.
macro_rules! only_version {
    ($($name:ident),*) => {
        $(
            impl Value for $name {
                const MAX: i16 = 0;
                const FLEXIBLE_FROM: i16 = 0;
                fn version(&self) -> i16 {
                    0
                }
            }
        )*
    };
}

only_version!(
    ConsumerGroupMetadataValue,
    ConsumerGroupPartitionMetadataValue,
    ConsumerGroupMemberMetadataValue,
    ConsumerGroupTargetAssignmentMetadataValue,
    ConsumerGroupTargetAssignmentMemberValue,
    ConsumerGroupCurrentMemberAssignmentValue,
    ConsumerGroupRegularExpressionValue
);

message! {
    /// Epoch of a group.
    pub struct ConsumerGroupMetadataValue {
        /// Epoch.
        epoch: i32 [..] = 0;
    }
    tags {
        /// Hash over the topics subscribed: when it changes, the group is rebalanced (KIP-1101).
        0 => metadata_hash: i64 [..] = 0;
    }
}

message! {
    /// Topics subscribed, before Kafka 4.1.
    pub struct ConsumerGroupPartitionMetadataValue {
        /// Topics.
        topics: Vec<StoredTopicMetadata> [..] = Vec::new();
    }
}

message! {
    /// One topic.
    pub struct StoredTopicMetadata {
        /// Topic.
        topic_id: TopicId [..] = TopicId::ZERO;
        /// Its name.
        topic_name: String [..] = String::new();
        /// How many partitions it had.
        num_partitions: i32 [..] = 0;
        /// Racks of partitions; not used since 4.0.
        partitions: Vec<StoredPartitionMetadata> [..] = Vec::new();
    }
}

message! {
    /// One partition.
    pub struct StoredPartitionMetadata {
        /// Partition index.
        partition: i32 [..] = 0;
        /// Racks of its replicas.
        racks: Vec<String> [..] = Vec::new();
    }
}

message! {
    /// Subscription of a member.
    pub struct ConsumerGroupMemberMetadataValue {
        /// Static members.
        instance_id: Option<String> [..] null [..] = None;
        /// Rack.
        rack_id: Option<String> [..] null [..] = None;
        /// As in the header of its last request.
        client_id: String [..] = String::new();
        /// Where it was connected from.
        client_host: String [..] = String::new();
        /// Topics subscribed.
        subscribed_topic_names: Vec<String> [..] = Vec::new();
        /// Topics subscribed by a regular expression.
        subscribed_topic_regex: Option<String> [..] null [..] = None;
        /// How long the group waits for it to give partitions up, milliseconds.
        rebalance_timeout_ms: i32 [..] = -1;
        /// How the broker assigns.
        server_assignor: Option<String> [..] null [..] = None;
    }
    tags {
        /// Of a member that takes part by the classic protocol, null for all others. When the tag is absent, Kafka reads an
        /// empty one and takes the member for a classic one: set this, do not leave it to the default.
        0 => classic: Option<ClassicMemberMetadata> [..] null [..] = Some(ClassicMemberMetadata::default());
    }
}

message! {
    /// What a member of the classic protocol said when it joined.
    pub struct ClassicMemberMetadata {
        /// A member not heard of for so long is dead, milliseconds.
        session_timeout_ms: i32 [..] = 0;
        /// Protocols that it knows.
        supported_protocols: Vec<JoinGroupProtocol> [..] = Vec::new();
    }
}

/// As the content of a tagged field, null is 0 and not -1 as elsewhere (KIP-893).
impl Nullable for ClassicMemberMetadata {
    fn read_nullable(reader: &mut Reader<'_>, version: Version) -> Read<Option<Self>> {
        match reader.uvarint()? {
            0 => Ok(None),
            _ => Wire::read(reader, version.nullable(false)).map(Some),
        }
    }
    fn write_nullable(this: Option<&Self>, out: &mut BytesMut, version: Version) {
        put_uvarint(out, u32::from(this.is_some()));
        if let Some(this) = this {
            this.write(out, version.nullable(false));
        }
    }
    fn nothing() -> Self {
        Self::default()
    }
}

message! {
    /// Epoch of the target assignment.
    pub struct ConsumerGroupTargetAssignmentMetadataValue {
        /// Epoch of the group for which it was computed.
        assignment_epoch: i32 [..] = 0;
    }
    tags {
        /// When it was computed, milliseconds since the epoch (KIP-1263).
        0 => assignment_timestamp: i64 [..] = 0;
    }
}

message! {
    /// Target assignment of a member.
    pub struct ConsumerGroupTargetAssignmentMemberValue {
        /// Partitions.
        topic_partitions: Vec<TopicPartitions> [..] = Vec::new();
    }
}

/// Where a member stands between its assignment and its target (class `MemberState`).
pub mod member_state {
    /// It has its target.
    pub const STABLE: i8 = 0;
    /// It must give partitions up.
    pub const UNREVOKED_PARTITIONS: i8 = 1;
    /// It waits for partitions that others have.
    pub const UNRELEASED_PARTITIONS: i8 = 2;
}

message! {
    /// What a member has.
    pub struct ConsumerGroupCurrentMemberAssignmentValue {
        /// Epoch that its heartbeats must carry.
        member_epoch: i32 [..] = 0;
        /// Epoch before it, still accepted when the answer that told the new one was lost.
        previous_member_epoch: i32 [..] = 0;
        /// See [`member_state`].
        state: i8 [..] = member_state::STABLE;
        /// Partitions it may use.
        assigned_partitions: Vec<StoredTopicPartitions> [..] = Vec::new();
        /// Partitions it must give up.
        partitions_pending_revocation: Vec<StoredTopicPartitions> [..] = Vec::new();
    }
}

message! {
    /// Partitions of one topic, and since when the member has them.
    pub struct StoredTopicPartitions {
        /// Topic.
        topic_id: TopicId [..] = TopicId::ZERO;
        /// Partition indexes.
        partitions: Vec<i32> [..] = Vec::new();
    }
    tags {
        /// Per partition the epoch in which it was assigned, which fences commits of zombies; none, or null = not known.
        0 => assignment_epochs: Option<Vec<i32>> [..] null [..] = Some(Vec::new());
    }
}

message! {
    /// Topics that a regular expression matches.
    pub struct ConsumerGroupRegularExpressionValue {
        /// Topics.
        topics: Vec<String> [..] = Vec::new();
        /// Version of the metadata that they were found in.
        version: i64 [..] = 0;
        /// When they were looked for, milliseconds since the epoch.
        timestamp: i64 [..] = 0;
    }
}

//! OffsetFetch: the offsets that groups have committed.

use crate::base::ids::TopicId;
use crate::wire::error::ErrorCode;
use crate::wire::message::{Version, Wire, api, message, read_end, write_end};
use crate::wire::read::{Read, Reader};
use bytes::BytesMut;

api! {
    /// Key 9, v1 to v10.
    OffsetFetch: OffsetFetchRequest => OffsetFetchResponse
}

/// First version that asks for several groups.
const BATCHED: i16 = 8;

/// Whose offsets are wanted.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct OffsetFetchRequest {
    /// Groups; exactly one before v8.
    pub groups: Vec<OffsetFetchGroup>,
    /// Refuse partitions whose offsets wait for a transaction's end (UNSTABLE_OFFSET_COMMIT); from v7 (KIP-447).
    pub require_stable: bool,
}

message! {
    /// One group.
    pub struct OffsetFetchGroup {
        /// Group.
        group_id: String [..] = String::new();
        /// Member of a consumer group, checked unless null; from v9 (KIP-848).
        member_id: Option<String> [9..] null [9..] = None;
        /// Its epoch, -1 = not a member; from v9.
        member_epoch: i32 [9..] = -1;
        /// Topics, null (from v2) = all that have offsets.
        topics: Option<Vec<OffsetFetchTopic>> [..] null [2..] = None;
    }
}

message! {
    /// Partitions of one topic.
    pub struct OffsetFetchTopic {
        /// Name, to v9.
        name: String [..=9] = String::new();
        /// Id, from v10.
        topic_id: TopicId [10..] = TopicId::ZERO;
        /// Partition indexes.
        partitions: Vec<i32> [..] = Vec::new();
    }
}

impl OffsetFetchGroup {
    /// Before v8 the fields of the one group are fields of the message.
    fn read_single(reader: &mut Reader<'_>, version: Version) -> Read<Self> {
        Ok(OffsetFetchGroup {
            group_id: Wire::read(reader, version)?,
            topics: Wire::read(reader, version.nullable(version.within(2..)))?,
            ..OffsetFetchGroup::default()
        })
    }

    fn write_single(&self, out: &mut BytesMut, version: Version) {
        self.group_id.write(out, version);
        self.topics.write(out, version.nullable(version.within(2..)));
    }
}

impl Wire for OffsetFetchRequest {
    fn read(reader: &mut Reader<'_>, version: Version) -> Read<Self> {
        let groups = match version.within(BATCHED..) {
            true => Wire::read(reader, version)?,
            false => vec![OffsetFetchGroup::read_single(reader, version)?],
        };
        let require_stable = version.within(7..) && reader.bool()?;
        read_end(reader, version)?;
        Ok(OffsetFetchRequest { groups, require_stable })
    }

    /// Before v8 only the first group is written.
    fn write(&self, out: &mut BytesMut, version: Version) {
        match (version.within(BATCHED..), self.groups.first()) {
            (true, _) => self.groups.write(out, version),
            (false, Some(group)) => group.write_single(out, version),
            (false, None) => OffsetFetchGroup::default().write_single(out, version),
        }
        if version.within(7..) {
            self.require_stable.write(out, version);
        }
        write_end(out, version);
    }

    fn min_size(_: Version) -> usize {
        3
    }
}

/// The offsets.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct OffsetFetchResponse {
    /// How long the client is throttled, milliseconds; from v3.
    pub throttle_time_ms: i32,
    /// Per group asked for; exactly one before v8.
    pub groups: Vec<OffsetFetchGroupResult>,
}

message! {
    /// One group.
    pub struct OffsetFetchGroupResult {
        /// Group, on the wire from v8.
        group_id: String [..] = String::new();
        /// Topics.
        topics: Vec<OffsetFetchTopicResult> [..] = Vec::new();
        /// About the whole group; v1 has no such field, see [`OffsetFetchPartitionResult::error`].
        error: ErrorCode [..] = ErrorCode::None;
    }
}

message! {
    /// One topic.
    pub struct OffsetFetchTopicResult {
        /// Name, to v9.
        name: String [..=9] = String::new();
        /// Id, from v10.
        topic_id: TopicId [10..] = TopicId::ZERO;
        /// Partitions.
        partitions: Vec<OffsetFetchPartitionResult> [..] = Vec::new();
    }
}

message! {
    /// One partition.
    pub struct OffsetFetchPartitionResult {
        /// Partition index.
        index: i32 [..] = 0;
        /// The next offset to read, -1 = none committed.
        offset: i64 [..] = -1;
        /// As committed, -1 = not known; from v5.
        leader_epoch: i32 [5..] = -1;
        /// As committed; empty when none.
        metadata: Option<String> [..] null [..] = Some(String::new());
        /// `None` also when nothing is committed. In v1 it must carry an error of the whole group, too.
        error: ErrorCode [..] = ErrorCode::None;
    }
}

impl OffsetFetchGroupResult {
    /// Before v8 the fields of the one group are fields of the message.
    fn read_single(reader: &mut Reader<'_>, version: Version) -> Read<Self> {
        let mut this = OffsetFetchGroupResult {
            topics: Wire::read(reader, version)?,
            ..OffsetFetchGroupResult::default()
        };
        if version.within(2..) {
            this.error = Wire::read(reader, version)?;
        }
        Ok(this)
    }

    fn write_single(&self, out: &mut BytesMut, version: Version) {
        self.topics.write(out, version);
        if version.within(2..) {
            self.error.write(out, version);
        }
    }
}

impl Wire for OffsetFetchResponse {
    fn read(reader: &mut Reader<'_>, version: Version) -> Read<Self> {
        let mut this = OffsetFetchResponse::default();
        if version.within(3..) {
            this.throttle_time_ms = reader.i32()?;
        }
        this.groups = match version.within(BATCHED..) {
            true => Wire::read(reader, version)?,
            false => vec![OffsetFetchGroupResult::read_single(reader, version)?],
        };
        read_end(reader, version)?;
        Ok(this)
    }

    /// Before v8 only the first group is written.
    fn write(&self, out: &mut BytesMut, version: Version) {
        if version.within(3..) {
            self.throttle_time_ms.write(out, version);
        }
        match (version.within(BATCHED..), self.groups.first()) {
            (true, _) => self.groups.write(out, version),
            (false, Some(group)) => group.write_single(out, version),
            (false, None) => OffsetFetchGroupResult::default().write_single(out, version),
        }
        write_end(out, version);
    }

    fn min_size(_: Version) -> usize {
        4
    }
}

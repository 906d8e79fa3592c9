//! Records of `__consumer_offsets`: what groups store, byte for byte as Kafka 4.3 stores it.
//!
//! A key begins with the type of the record (class `CoordinatorRecordType`), a value with its version. A record without value
//! deletes what its key names. Records of share and streams groups are not known here. Must not know what a coordinator
//! does with the records, nor in which order they come.

mod classic;
mod consumer;

pub use classic::*;
pub use consumer::*;

use crate::wire::error::Fault;
use crate::wire::guard::Budget;
use crate::wire::message::{Version, Wire, message};
use crate::wire::read::{Read, Reader};
use bytes::{BufMut, Bytes, BytesMut};

message! {
    /// Names a partition of a group.
    #[derive(Eq, PartialOrd, Ord)]
    pub struct OffsetKey {
        /// Group.
        group_id: String [..] = String::new();
        /// Topic.
        topic: String [..] = String::new();
        /// Partition index.
        partition: i32 [..] = 0;
    }
}

message! {
    /// Names a group.
    #[derive(Eq, PartialOrd, Ord)]
    pub struct GroupKey {
        /// Group.
        group_id: String [..] = String::new();
    }
}

message! {
    /// Names a member of a group.
    #[derive(Eq, PartialOrd, Ord)]
    pub struct MemberKey {
        /// Group.
        group_id: String [..] = String::new();
        /// Member.
        member_id: String [..] = String::new();
    }
}

message! {
    /// Names a regular expression that members of a group subscribe to.
    #[derive(Eq, PartialOrd, Ord)]
    pub struct RegularExpressionKey {
        /// Group.
        group_id: String [..] = String::new();
        /// Expression.
        regular_expression: String [..] = String::new();
    }
}

/// A value with its versions.
pub trait Value: Wire {
    /// Newest version.
    const MAX: i16;
    /// First version with compact lengths and tagged fields.
    const FLEXIBLE_FROM: i16;
    /// The version that Kafka 4.3 writes for this value.
    fn version(&self) -> i16;
}

/// Type of offset records before Kafka 0.9; only read, as an offset record of today's type.
const LEGACY_OFFSET_COMMIT: i16 = 0;

macro_rules! records {
    ($($(#[$meta:meta])* $type:literal => $name:ident($key:ty, $value:ty);)*) => {
        /// One record: its key, and its value, without which it deletes.
        #[derive(Clone, PartialEq, Debug)]
        pub enum GroupRecord {
            $($(#[$meta])* $name($key, Option<$value>),)*
        }

        impl GroupRecord {
            /// Type of the record, which begins its key.
            pub const fn record_type(&self) -> i16 {
                match self {
                    $(GroupRecord::$name(..) => $type,)*
                }
            }

            /// The group it is about.
            pub fn group_id(&self) -> &str {
                match self {
                    $(GroupRecord::$name(key, _) => &key.group_id,)*
                }
            }

            /// The version in which Kafka 4.3 writes the value, `None` when it deletes.
            pub fn value_version(&self) -> Option<i16> {
                match self {
                    $(GroupRecord::$name(_, value) => value.as_ref().map(Value::version),)*
                }
            }

            fn read(record_type: i16, key: &mut Reader<'_>, value: Option<&[u8]>) -> Read<Option<GroupRecord>> {
                let plain = Version::plain(0);
                Ok(match record_type {
                    $($type => Some(GroupRecord::$name(Wire::read(key, plain)?, read_value(value)?)),)*
                    _ => None,
                })
            }

            fn put_key(&self, out: &mut BytesMut) {
                match self {
                    $(GroupRecord::$name(key, _) => key.write(out, Version::plain(0)),)*
                }
            }

            /// The value in any version that it has had, which begins it; `None` when it deletes.
            pub fn encode_value(&self, version: i16) -> Option<Bytes> {
                match self {
                    $(GroupRecord::$name(_, value) => value.as_ref().map(|value| value_bytes(value, version)),)*
                }
            }
        }
    };
}

records! {
    /// A group has committed an offset.
    1 => OffsetCommit(OffsetKey, OffsetCommitValue);
    /// Generation, members and assignment of a classic group.
    2 => GroupMetadata(GroupKey, GroupMetadataValue);
    /// Epoch of a consumer group.
    3 => ConsumerGroupMetadata(GroupKey, ConsumerGroupMetadataValue);
    /// Partitions of subscribed topics; Kafka 4.1 and newer only delete it (KIP-1101).
    4 => ConsumerGroupPartitionMetadata(GroupKey, ConsumerGroupPartitionMetadataValue);
    /// Subscription of a member.
    5 => ConsumerGroupMemberMetadata(MemberKey, ConsumerGroupMemberMetadataValue);
    /// Epoch of the target assignment.
    6 => ConsumerGroupTargetAssignmentMetadata(GroupKey, ConsumerGroupTargetAssignmentMetadataValue);
    /// Target assignment of a member.
    7 => ConsumerGroupTargetAssignmentMember(MemberKey, ConsumerGroupTargetAssignmentMemberValue);
    /// What a member has, and must give up.
    8 => ConsumerGroupCurrentMemberAssignment(MemberKey, ConsumerGroupCurrentMemberAssignmentValue);
    /// Topics that a regular expression matches.
    16 => ConsumerGroupRegularExpression(RegularExpressionKey, ConsumerGroupRegularExpressionValue);
}

impl GroupRecord {
    /// Reads a record; `None` = a type that is not known here, which Kafka skips when it loads groups.
    ///
    /// # Errors
    /// When key or value are not of their type, or the value's version is newer than known.
    pub fn decode(key: &[u8], value: Option<&[u8]>) -> Read<Option<GroupRecord>> {
        let mut reader = Reader::new(key);
        let record_type = match reader.i16()? {
            LEGACY_OFFSET_COMMIT => 1,
            other => other,
        };
        let record = GroupRecord::read(record_type, &mut reader, value)?;
        if record.is_some() {
            reader.finish()?;
        }
        Ok(record)
    }

    /// Key and value as Kafka 4.3 writes them.
    pub fn encode(&self) -> (Bytes, Option<Bytes>) {
        let value = self.value_version().and_then(|version| self.encode_value(version));
        (self.encode_key(), value)
    }

    /// The key.
    pub fn encode_key(&self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_i16(self.record_type());
        self.put_key(&mut out);
        out.freeze()
    }
}

/// Values are larger than requests may be: a group's members are all in one.
const VALUE_BUDGET: usize = 64 << 20;

fn read_value<V: Value>(value: Option<&[u8]>) -> Read<Option<V>> {
    let Some(bytes) = value else { return Ok(None) };
    let mut reader = Reader::with_budget(bytes, Budget::new(VALUE_BUDGET));
    let number = reader.i16()?;
    if !(0..=V::MAX).contains(&number) {
        return reader.fail(Fault::Invalid(
            "a group record has a version that this build does not know",
        ));
    }
    let value = V::read(&mut reader, Version::data(number, V::FLEXIBLE_FROM))?;
    reader.finish()?;
    Ok(Some(value))
}

fn value_bytes<V: Value>(value: &V, version: i16) -> Bytes {
    let mut out = BytesMut::new();
    out.put_i16(version);
    value.write(&mut out, Version::data(version, V::FLEXIBLE_FROM));
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit() -> GroupRecord {
        let key = OffsetKey {
            group_id: "g".into(),
            topic: "t".into(),
            partition: 3,
        };
        let value = OffsetCommitValue {
            offset: 7,
            metadata: "m".into(),
            ..OffsetCommitValue::default()
        };
        GroupRecord::OffsetCommit(key, Some(value))
    }

    #[test]
    fn an_offset_of_the_oldest_key_type_is_read_as_one_of_today() {
        let record = commit();
        let (mut key, value) = (record.encode_key().to_vec(), record.encode_value(0));
        key[1] = 0;
        assert_eq!(GroupRecord::decode(&key, value.as_deref()), Ok(Some(record)));
    }

    #[test]
    fn an_offset_that_expires_is_written_in_the_only_version_that_can_say_so() {
        let GroupRecord::OffsetCommit(key, Some(mut value)) = commit() else {
            panic!("no commit")
        };
        value.expire_timestamp = 99;
        let record = GroupRecord::OffsetCommit(key, Some(value));
        assert_eq!(record.value_version(), Some(1));
        let (key, value) = record.encode();
        assert_eq!(GroupRecord::decode(&key, value.as_deref()), Ok(Some(record)));
    }

    #[test]
    fn unknown_types_are_skipped_and_unknown_versions_and_left_over_bytes_refused() {
        assert_eq!(GroupRecord::decode(&[0, 10, 0, 1, b'g'], None), Ok(None));
        let (key, value) = commit().encode();
        assert!(matches!(
            GroupRecord::decode(&key, None),
            Ok(Some(GroupRecord::OffsetCommit(_, None)))
        ));
        let mut newer = value.unwrap().to_vec();
        newer[1] = 5;
        let error = GroupRecord::decode(&key, Some(&newer)).unwrap_err();
        assert!(matches!(error.fault, Fault::Invalid(_)), "{error}");
        let longer = [&key[..], &[0]].concat();
        let error = GroupRecord::decode(&longer, None).unwrap_err();
        assert_eq!(error.fault, Fault::TrailingBytes(1));
    }
}

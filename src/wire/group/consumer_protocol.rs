//! What members of protocol type `consumer` say in JoinGroup and get in SyncGroup: opaque to the group protocol, but
//! OffsetDelete and tools look into it.
//!
//! Both begin with a version. As in Kafka's `ConsumerProtocol`, a version newer than known is read as the newest known one:
//! newer versions only append.

use crate::wire::error::Fault;
use crate::wire::guard::Budget;
use crate::wire::message::{Version, Wire, message};
use crate::wire::read::{Read, Reader};
use bytes::{BufMut, Bytes, BytesMut};

/// Newest version of both.
pub const MAX_VERSION: i16 = 3;

message! {
    /// What a member wants to read.
    pub struct ConsumerSubscription {
        /// Topics.
        topics: Vec<String> [..] = Vec::new();
        /// For the member's assignor.
        user_data: Option<Bytes> [..] null [..] = None;
        /// Partitions the member has; from v1 (KIP-429).
        owned_partitions: Vec<ConsumerPartitions> [1..] = Vec::new();
        /// Generation in which it got them, -1 = not known; from v2.
        generation_id: i32 [2..] = -1;
        /// Rack, from v3 (KIP-881).
        rack_id: Option<String> [3..] null [3..] = None;
    }
}

message! {
    /// What a member may read.
    pub struct ConsumerAssignment {
        /// Partitions.
        assigned_partitions: Vec<ConsumerPartitions> [..] = Vec::new();
        /// For the member's assignor.
        user_data: Option<Bytes> [..] null [..] = None;
    }
}

message! {
    /// Partitions of one topic.
    pub struct ConsumerPartitions {
        /// Topic.
        topic: String [..] = String::new();
        /// Partition indexes.
        partitions: Vec<i32> [..] = Vec::new();
    }
}

macro_rules! blob {
    ($name:ident) => {
        impl $name {
            /// Reads one with its version; bytes behind it are left unread, as a newer version may have appended them.
            ///
            /// # Errors
            /// When the version is negative, the bytes are not one, or it would take more memory than `budget`.
            pub fn decode(bytes: &[u8], budget: Budget) -> Read<$name> {
                let mut reader = Reader::with_budget(bytes, budget);
                let version = read_version(&mut reader)?;
                Wire::read(&mut reader, version)
            }

            /// Writes it in `version`, with the version in front.
            pub fn encode(&self, version: i16) -> Bytes {
                let mut out = BytesMut::new();
                out.put_i16(version);
                self.write(&mut out, Version::plain(version));
                out.freeze()
            }
        }
    };
}

blob!(ConsumerSubscription);
blob!(ConsumerAssignment);

fn read_version(reader: &mut Reader<'_>) -> Read<Version> {
    match reader.i16()? {
        ..0 => reader.fail(Fault::Invalid("the version of a consumer's subscription is negative")),
        version => Ok(Version::plain(version.min(MAX_VERSION))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_version_is_read_as_the_newest_known_one() {
        let subscription = ConsumerSubscription {
            topics: vec!["t".into()],
            rack_id: Some("r".into()),
            ..ConsumerSubscription::default()
        };
        let mut bytes = subscription.encode(MAX_VERSION).to_vec();
        bytes[1] = 9;
        bytes.extend([1, 2, 3]);
        assert_eq!(
            ConsumerSubscription::decode(&bytes, Budget::default()),
            Ok(subscription)
        );
        bytes[0] = 0xff;
        let error = ConsumerSubscription::decode(&bytes, Budget::default()).unwrap_err();
        assert!(matches!(error.fault, Fault::Invalid(_)), "{error}");
    }
}

//! The Fetch request, v4 to v18.

use crate::base::ids::TopicId;
use crate::wire::api::ApiKey;
use crate::wire::error::Fault;
use crate::wire::message::{Version, Wire, message};
use crate::wire::read::{Read, Reader};
use bytes::BytesMut;

message! {
    /// What a consumer or follower wants to read.
    pub struct FetchRequest {
        /// Broker id of a follower, -1 = consumer; to v14, see [`FetchRequest::follower`].
        replica_id: i32 [..=14] = -1;
        /// How long to wait for `min_bytes`, milliseconds.
        max_wait_ms: i32 [..] = 0;
        /// Bytes to wait for.
        min_bytes: i32 [..] = 0;
        /// Bytes the whole answer should not exceed (KIP-74).
        max_bytes: i32 [3..] = i32::MAX;
        /// 0 = read_uncommitted, 1 = read_committed.
        isolation_level: i8 [4..] = 0;
        /// Fetch session (KIP-227), 0 = none; from v7.
        session_id: i32 [7..] = 0;
        /// Epoch within the session: 0 = open one, -1 = none or close it; from v7.
        session_epoch: i32 [7..] = -1;
        /// What to read; in a session only what changed.
        topics: Vec<FetchRequestTopic> [..] = Vec::new();
        /// What to drop from the session, from v7.
        forgotten: Vec<ForgottenTopic> [7..] = Vec::new();
        /// Rack of the consumer (KIP-392), from v11.
        rack_id: String [11..] = String::new();
    }
    tags {
        /// Cluster the follower belongs to, from v12.
        0 => cluster_id: Option<String> [12..] null [12..] = None;
        /// The follower (KIP-903), from v15.
        1 => replica_state: ReplicaState [15..] = ReplicaState::default();
    }
}

message! {
    /// A follower (KIP-903).
    pub struct ReplicaState {
        /// Broker id, -1 = consumer.
        replica_id: i32 [..] = -1;
        /// Broker epoch, -1 = unknown.
        replica_epoch: i64 [..] = -1;
    }
}

message! {
    /// Partitions to read of one topic.
    pub struct FetchRequestTopic {
        /// Name, to v12.
        topic: String [..=12] = String::new();
        /// Id, from v13.
        topic_id: TopicId [13..] = TopicId::ZERO;
        /// The partitions.
        partitions: Vec<FetchRequestPartition> [..] = Vec::new();
    }
}

message! {
    /// One partition to read.
    pub struct FetchRequestPartition {
        /// Partition index, unchecked.
        index: i32 [..] = 0;
        /// Leader epoch the client believes in, -1 = no check (KIP-320); from v9.
        current_leader_epoch: i32 [9..] = -1;
        /// First offset wanted.
        fetch_offset: i64 [..] = 0;
        /// Epoch of the last record the client has, -1 = unknown; from v12.
        last_fetched_epoch: i32 [12..] = -1;
        /// A follower's log start, -1 = consumer; from v5.
        log_start_offset: i64 [5..] = -1;
        /// Bytes wanted of this partition.
        max_bytes: i32 [..] = 0;
    }
    tags {
        /// A follower's log directory (KIP-858), from v17.
        0 => replica_directory_id: TopicId [17..] = TopicId::ZERO;
        /// A follower's high watermark (KIP-1166), from v18.
        1 => high_watermark: i64 [18..] = i64::MAX;
    }
}

message! {
    /// Partitions to drop from the fetch session.
    pub struct ForgottenTopic {
        /// Name, to v12.
        topic: String [..=12] = String::new();
        /// Id, from v13.
        topic_id: TopicId [13..] = TopicId::ZERO;
        /// Partition indexes.
        partitions: Vec<i32> [..] = Vec::new();
    }
}

impl FetchRequest {
    /// Decodes and checks a whole body.
    ///
    /// # Errors
    /// When the version is not served, or the body does not begin with a request.
    pub fn decode(version: i16, body: &[u8]) -> Read<FetchRequest> {
        FetchRequest::decode_counting(version, body).map(|(request, _)| request)
    }

    /// As [`decode`](Self::decode), and how many bytes are left behind the request.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn decode_counting(version: i16, body: &[u8]) -> Read<(FetchRequest, usize)> {
        let mut reader = Reader::new(body);
        if !ApiKey::Fetch.serves(version) {
            let key = ApiKey::Fetch.code();
            return reader.fail(Fault::Unsupported { key, version });
        }
        let request = FetchRequest::read(&mut reader, Version::of(ApiKey::Fetch, version))?;
        Ok((request, reader.left()))
    }

    /// Writes a request body, as a client does.
    pub fn encode(&self, version: i16, out: &mut BytesMut) {
        self.write(out, Version::of(ApiKey::Fetch, version));
    }

    /// The follower's broker id whichever field carries it, -1 = a consumer.
    pub fn follower(&self) -> i32 {
        self.replica_id.max(self.replica_state.replica_id)
    }
}

//! DescribeProducers: what partitions know of their producers (KIP-664).

use super::reassignments::ListedTopic;
use crate::wire::error::ErrorCode;
use crate::wire::message::{api, message};

api! {
    /// Key 61, v0.
    DescribeProducers: DescribeProducersRequest => DescribeProducersResponse
}

message! {
    /// Which partitions.
    pub struct DescribeProducersRequest {
        /// Per topic.
        topics: Vec<ListedTopic> [..] = Vec::new();
    }
}

message! {
    /// Their producers.
    pub struct DescribeProducersResponse {
        /// How long the client is throttled, milliseconds.
        throttle_time_ms: i32 [..] = 0;
        /// Per topic.
        topics: Vec<ProducersTopic> [..] = Vec::new();
    }
}

message! {
    /// One topic.
    pub struct ProducersTopic {
        /// Name.
        name: String [..] = String::new();
        /// Its partitions.
        partitions: Vec<ProducersPartition> [..] = Vec::new();
    }
}

message! {
    /// One partition.
    pub struct ProducersPartition {
        /// Index.
        index: i32 [..] = 0;
        /// `None` on success.
        error: ErrorCode [..] = ErrorCode::None;
        /// For people.
        error_message: Option<String> [..] null [..] = None;
        /// Producers that it remembers.
        producers: Vec<ProducerState> [..] = Vec::new();
    }
}

message! {
    /// One producer.
    pub struct ProducerState {
        /// Its id.
        producer_id: i64 [..] = 0;
        /// Its epoch.
        producer_epoch: i32 [..] = 0;
        /// Sequence of its last record; -1 = none.
        last_sequence: i32 [..] = -1;
        /// Time of its last batch, milliseconds; -1 = none.
        last_timestamp: i64 [..] = -1;
        /// Epoch of its transaction coordinator; -1 = none.
        coordinator_epoch: i32 [..] = 0;
        /// First offset of its open transaction; -1 = none.
        txn_start_offset: i64 [..] = -1;
    }
}

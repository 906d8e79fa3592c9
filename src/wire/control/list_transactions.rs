//! ListTransactions and DescribeTransactions: what transactional ids do (KIP-664, KIP-994, KIP-1152).

use super::log_dirs::TopicPartitions;
use crate::wire::error::ErrorCode;
use crate::wire::message::{api, message};

api! {
    /// Key 66, v0 to v2.
    ListTransactions: ListTransactionsRequest => ListTransactionsResponse
}

api! {
    /// Key 65, v0.
    DescribeTransactions: DescribeTransactionsRequest => DescribeTransactionsResponse
}

message! {
    /// Which transactions.
    pub struct ListTransactionsRequest {
        /// States wanted, empty = all.
        state_filters: Vec<String> [..] = Vec::new();
        /// Producers wanted, empty = all.
        producer_id_filters: Vec<i64> [..] = Vec::new();
        /// Least age, milliseconds; -1 = any; from v1.
        duration_filter: i64 [1..] = -1;
        /// Regular expression for ids, null = any; from v2.
        transactional_id_pattern: Option<String> [2..] null [2..] = None;
    }
}

message! {
    /// The transactions.
    pub struct ListTransactionsResponse {
        /// How long the client is throttled, milliseconds.
        throttle_time_ms: i32 [..] = 0;
        /// `None` on success.
        error: ErrorCode [..] = ErrorCode::None;
        /// Of the states wanted, those that do not exist.
        unknown_state_filters: Vec<String> [..] = Vec::new();
        /// What was found.
        states: Vec<ListedTransaction> [..] = Vec::new();
    }
}

message! {
    /// One transactional id.
    pub struct ListedTransaction {
        /// The id.
        transactional_id: String [..] = String::new();
        /// Its producer.
        producer_id: i64 [..] = 0;
        /// Its state.
        state: String [..] = String::new();
    }
}

message! {
    /// Which ids.
    pub struct DescribeTransactionsRequest {
        /// Transactional ids.
        transactional_ids: Vec<String> [..] = Vec::new();
    }
}

message! {
    /// What they do.
    pub struct DescribeTransactionsResponse {
        /// How long the client is throttled, milliseconds.
        throttle_time_ms: i32 [..] = 0;
        /// Per id.
        states: Vec<DescribedTransaction> [..] = Vec::new();
    }
}

message! {
    /// One transactional id.
    pub struct DescribedTransaction {
        /// `None` on success.
        error: ErrorCode [..] = ErrorCode::None;
        /// The id.
        transactional_id: String [..] = String::new();
        /// Its state.
        state: String [..] = String::new();
        /// Longest time of a transaction, milliseconds.
        timeout_ms: i32 [..] = 0;
        /// When the open one began, milliseconds.
        start_time_ms: i64 [..] = 0;
        /// Its producer.
        producer_id: i64 [..] = 0;
        /// Epoch of the producer.
        producer_epoch: i16 [..] = 0;
        /// Partitions of the open transaction.
        topics: Vec<TopicPartitions> [..] = Vec::new();
    }
}

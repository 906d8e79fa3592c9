//! DescribeCluster: brokers and controller (KIP-700).

use super::OPERATIONS_NOT_REQUESTED;
use crate::wire::error::ErrorCode;
use crate::wire::message::{api, message};

api! {
    /// Key 60, v0 to v2.
    DescribeCluster: DescribeClusterRequest => DescribeClusterResponse
}

message! {
    /// What a client wants to know.
    pub struct DescribeClusterRequest {
        /// Whether the operations are wanted.
        include_cluster_authorized_operations: bool [..] = false;
        /// 1 = brokers, 2 = controllers (KIP-919); from v1.
        endpoint_type: i8 [1..] = 1;
        /// Whether fenced brokers are wanted too (KIP-1073); from v2.
        include_fenced_brokers: bool [2..] = false;
    }
}

message! {
    /// The cluster.
    pub struct DescribeClusterResponse {
        /// How long the client is throttled, milliseconds.
        throttle_time_ms: i32 [..] = 0;
        /// `None` when fine.
        error: ErrorCode [..] = ErrorCode::None;
        /// For people.
        error_message: Option<String> [..] null [..] = None;
        /// As asked; from v1.
        endpoint_type: i8 [1..] = 1;
        /// Cluster id.
        cluster_id: String [..] = String::new();
        /// A broker that takes admin requests, -1 = unknown.
        controller_id: i32 [..] = -1;
        /// Brokers.
        brokers: Vec<DescribeClusterBroker> [..] = Vec::new();
        /// Bit field.
        cluster_authorized_operations: i32 [..] = OPERATIONS_NOT_REQUESTED;
    }
}

message! {
    /// One broker.
    pub struct DescribeClusterBroker {
        /// Broker id.
        broker_id: i32 [..] = 0;
        /// Host that clients can reach.
        host: String [..] = String::new();
        /// Port.
        port: i32 [..] = 0;
        /// Rack.
        rack: Option<String> [..] null [..] = None;
        /// Registered but not serving; from v2.
        is_fenced: bool [2..] = false;
    }
}

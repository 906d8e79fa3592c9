//! ListConfigResources: what has configurations (KIP-1142; v0 knew client metrics only, KIP-714).

use super::resource_type;
use crate::wire::error::ErrorCode;
use crate::wire::message::{api, message};

api! {
    /// Key 74, v0 and v1.
    ListConfigResources: ListConfigResourcesRequest => ListConfigResourcesResponse
}

message! {
    /// Which kinds.
    pub struct ListConfigResourcesRequest {
        /// See [`resource_type`]; empty = all; from v1.
        resource_types: Vec<i8> [1..] = Vec::new();
    }
}

message! {
    /// The resources.
    pub struct ListConfigResourcesResponse {
        /// How long the client is throttled, milliseconds.
        throttle_time_ms: i32 [..] = 0;
        /// `None` on success.
        error: ErrorCode [..] = ErrorCode::None;
        /// What was found.
        resources: Vec<ListedResource> [..] = Vec::new();
    }
}

message! {
    /// One resource.
    pub struct ListedResource {
        /// Topic name, broker id, ...
        name: String [..] = String::new();
        /// See [`resource_type`]; from v1.
        resource_type: i8 [1..] = resource_type::CLIENT_METRICS;
    }
}

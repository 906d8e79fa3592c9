//! AlterConfigs (replaces everything) and IncrementalAlterConfigs (KIP-339).

use crate::wire::error::ErrorCode;
use crate::wire::message::{api, message};

api! {
    /// Key 33, v0 to v2: keys not named go back to their defaults.
    AlterConfigs: AlterConfigsRequest => AlterConfigsResponse
}

api! {
    /// Key 44, v0 to v1: changes single keys.
    IncrementalAlterConfigs: IncrementalAlterConfigsRequest => AlterConfigsResponse
}

/// What IncrementalAlterConfigs does to a key (class `AlterConfigOp.OpType`).
pub mod operation {
    /// Sets the value.
    pub const SET: i8 = 0;
    /// Goes back to the default.
    pub const DELETE: i8 = 1;
    /// Adds to a list.
    pub const APPEND: i8 = 2;
    /// Removes from a list.
    pub const SUBTRACT: i8 = 3;
}

message! {
    /// New configurations.
    pub struct AlterConfigsRequest {
        /// Resources.
        resources: Vec<AlterConfigsResource> [..] = Vec::new();
        /// Only check.
        validate_only: bool [..] = false;
    }
}

message! {
    /// All overrides of one resource.
    pub struct AlterConfigsResource {
        /// See [`resource_type`](super::resource_type).
        resource_type: i8 [..] = 0;
        /// Topic name, broker id, ...
        resource_name: String [..] = String::new();
        /// Overrides.
        configs: Vec<AlterableConfig> [..] = Vec::new();
    }
}

message! {
    /// One override.
    pub struct AlterableConfig {
        /// Key.
        name: String [..] = String::new();
        /// Value.
        value: Option<String> [..] null [..] = None;
    }
}

message! {
    /// Changes of configurations.
    pub struct IncrementalAlterConfigsRequest {
        /// Resources.
        resources: Vec<IncrementalAlterConfigsResource> [..] = Vec::new();
        /// Only check.
        validate_only: bool [..] = false;
    }
}

message! {
    /// Changes to one resource.
    pub struct IncrementalAlterConfigsResource {
        /// See [`resource_type`](super::resource_type).
        resource_type: i8 [..] = 0;
        /// Topic name, broker id, ...
        resource_name: String [..] = String::new();
        /// Changes.
        configs: Vec<IncrementalAlterableConfig> [..] = Vec::new();
    }
}

message! {
    /// One change.
    pub struct IncrementalAlterableConfig {
        /// Key.
        name: String [..] = String::new();
        /// See [`operation`].
        config_operation: i8 [..] = 0;
        /// Value.
        value: Option<String> [..] null [..] = None;
    }
}

message! {
    /// How it went.
    pub struct AlterConfigsResponse {
        /// How long the client is throttled, milliseconds.
        throttle_time_ms: i32 [..] = 0;
        /// Per resource.
        responses: Vec<AlterConfigsResourceResponse> [..] = Vec::new();
    }
}

message! {
    /// One resource.
    pub struct AlterConfigsResourceResponse {
        /// `None` on success.
        error: ErrorCode [..] = ErrorCode::None;
        /// For people.
        error_message: Option<String> [..] null [..] = None;
        /// See [`resource_type`](super::resource_type).
        resource_type: i8 [..] = 0;
        /// Topic name, broker id, ...
        resource_name: String [..] = String::new();
    }
}

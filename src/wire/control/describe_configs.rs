//! DescribeConfigs: configuration values and where they come from.

use crate::wire::error::ErrorCode;
use crate::wire::message::{api, message};

api! {
    /// Key 32, v1 to v4.
    DescribeConfigs: DescribeConfigsRequest => DescribeConfigsResponse
}

message! {
    /// What is to be described.
    pub struct DescribeConfigsRequest {
        /// Resources.
        resources: Vec<DescribeConfigsResource> [..] = Vec::new();
        /// Whether values that are overridden are wanted too.
        include_synonyms: bool [1..] = false;
        /// Whether texts for people are wanted; from v3.
        include_documentation: bool [3..] = false;
    }
}

message! {
    /// One resource.
    pub struct DescribeConfigsResource {
        /// See [`resource_type`](super::resource_type).
        resource_type: i8 [..] = 0;
        /// Topic name, broker id, ...
        resource_name: String [..] = String::new();
        /// Keys wanted, null = all.
        configuration_keys: Option<Vec<String>> [..] null [..] = None;
    }
}

message! {
    /// The values.
    pub struct DescribeConfigsResponse {
        /// How long the client is throttled, milliseconds.
        throttle_time_ms: i32 [..] = 0;
        /// Per resource.
        results: Vec<DescribeConfigsResult> [..] = Vec::new();
    }
}

message! {
    /// One resource.
    pub struct DescribeConfigsResult {
        /// `None` on success.
        error: ErrorCode [..] = ErrorCode::None;
        /// For people.
        error_message: Option<String> [..] null [..] = None;
        /// See [`resource_type`](super::resource_type).
        resource_type: i8 [..] = 0;
        /// Topic name, broker id, ...
        resource_name: String [..] = String::new();
        /// Values.
        configs: Vec<DescribeConfigsEntry> [..] = Vec::new();
    }
}

message! {
    /// One value.
    pub struct DescribeConfigsEntry {
        /// Key.
        name: String [..] = String::new();
        /// Value, null when sensitive or unset.
        value: Option<String> [..] null [..] = None;
        /// Cannot be changed.
        read_only: bool [..] = false;
        /// See [`config_source`](super::config_source), -1 = unknown.
        config_source: i8 [1..] = -1;
        /// Secret.
        is_sensitive: bool [..] = false;
        /// All values the key has, the one in force first.
        synonyms: Vec<DescribeConfigsSynonym> [1..] = Vec::new();
        /// See [`config_type`](super::config_type); from v3.
        config_type: i8 [3..] = 0;
        /// For people, from v3.
        documentation: Option<String> [3..] null [..] = None;
    }
}

message! {
    /// A value from one source.
    pub struct DescribeConfigsSynonym {
        /// Key under which the source has it.
        name: String [..] = String::new();
        /// Value.
        value: Option<String> [..] null [..] = None;
        /// See [`config_source`](super::config_source).
        source: i8 [..] = 0;
    }
}

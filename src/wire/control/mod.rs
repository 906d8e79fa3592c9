//! The control-plane APIs, one file each: messages as plain structs for all versions served.
//!
//! Each file names its API with a type that implements [`Api`](crate::wire::message::Api). Must not know what the broker
//! does with the messages.

pub mod acls;
pub mod alter_configs;
pub mod api_versions;
pub mod client_quotas;
pub mod create_partitions;
pub mod create_topics;
pub mod delete_records;
pub mod delete_topics;
pub mod describe_cluster;
pub mod describe_configs;
pub mod describe_producers;
pub mod describe_topic_partitions;
pub mod elect_leaders;
pub mod init_producer_id;
pub mod list_config_resources;
pub mod list_offsets;
pub mod list_transactions;
pub mod log_dirs;
pub mod metadata;
pub mod offset_for_leader_epoch;
pub mod reassignments;
pub mod scram_credentials;

/// `authorized_operations` when they were not asked for (KIP-430).
pub const OPERATIONS_NOT_REQUESTED: i32 = i32::MIN;

/// Type of a configuration resource on the wire (class `ConfigResource.Type`).
pub mod resource_type {
    /// A topic.
    pub const TOPIC: i8 = 2;
    /// A broker; the empty name means all brokers.
    pub const BROKER: i8 = 4;
    /// Logger levels of a broker.
    pub const BROKER_LOGGER: i8 = 8;
    /// Telemetry subscriptions.
    pub const CLIENT_METRICS: i8 = 16;
    /// A consumer group.
    pub const GROUP: i8 = 32;
}

/// Where a configuration value comes from (class `DescribeConfigsResponse.ConfigSource`).
pub mod config_source {
    /// Set on the topic.
    pub const TOPIC: i8 = 1;
    /// Set at run time for one broker.
    pub const DYNAMIC_BROKER: i8 = 2;
    /// Set at run time for all brokers.
    pub const DYNAMIC_DEFAULT_BROKER: i8 = 3;
    /// Given at the broker's start.
    pub const STATIC_BROKER: i8 = 4;
    /// Built in.
    pub const DEFAULT: i8 = 5;
}

/// Type of a configuration value (class `DescribeConfigsResponse.ConfigType`).
pub mod config_type {
    /// Not known.
    pub const UNKNOWN: i8 = 0;
    /// `true` or `false`.
    pub const BOOLEAN: i8 = 1;
    /// Text.
    pub const STRING: i8 = 2;
    /// 32-bit integer.
    pub const INT: i8 = 3;
    /// 16-bit integer.
    pub const SHORT: i8 = 4;
    /// 64-bit integer.
    pub const LONG: i8 = 5;
    /// Floating point.
    pub const DOUBLE: i8 = 6;
    /// Comma-separated list.
    pub const LIST: i8 = 7;
    /// Class name.
    pub const CLASS: i8 = 8;
    /// Secret; its value is never shown.
    pub const PASSWORD: i8 = 9;
}

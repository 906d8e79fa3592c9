//! The Kafka APIs, one file each, in two halves: `start` (decode, check, split by owner) and `finish` (merge, encode).
//!
//! [`edge::Edge`] is the connection side of a shard: it takes what happened to connections and what owners and the controller
//! answered, and emits effects, owner requests and controller requests. Invariants: requests of a connection are started in
//! the order they came, so appends happen in that order; an owner is never asked to wait for the edge; what is found by name
//! or id is looked up in the newest prepared image, what is shown to clients in the published one. Must not know: the log,
//! files, sockets, other shards' state.

pub mod call;
pub mod edge;

mod acls;
mod alter_configs;
mod api_versions;
mod cluster;
mod control;
mod create_partitions;
mod create_topics;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_topic_partitions;
mod fetch;
mod finish;
mod groups;
mod init_producer_id;
mod metadata;
mod mutations;
mod offsets;
mod produce;
mod start;
mod state;
pub mod throttle;

#[cfg(test)]
mod tests;

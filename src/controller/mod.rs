//! Metadata: the controller's state machine (shard 0) and the immutable image that all shards read.

pub mod image;
pub mod request;

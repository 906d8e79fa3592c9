//! ringlog: a Kafka-compatible broker. See ARCHITECTURE.md for the map.

pub mod base;
#[cfg(feature = "runtime")]
pub mod cli;
#[cfg(feature = "runtime")]
pub mod client;
pub mod jobs;
pub mod metrics;
pub mod wire;

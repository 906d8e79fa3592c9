//! ringlog: a Kafka-compatible broker. See ARCHITECTURE.md for the map.

pub mod api;
#[cfg(feature = "runtime")]
pub mod background;
pub mod base;
#[cfg(feature = "runtime")]
pub mod cli;
#[cfg(feature = "runtime")]
pub mod client;
#[cfg(feature = "runtime")]
pub mod control;
pub mod controller;
pub mod coord;
pub mod dispatch;
pub mod group;
pub mod jobs;
pub mod log;
pub mod metrics;
pub mod partition;
#[cfg(feature = "runtime")]
pub mod reactor;
#[cfg(feature = "runtime")]
pub mod server;
pub mod session;
pub mod shard;
pub mod sim;
pub mod wire;

//! A small blocking Kafka client: what the command line and the demo need to speak to any Kafka-compatible broker.
//!
//! Layers, lowest first: `address` and `error`; `conn` (one socket, negotiated versions); `cluster` (who leads what);
//! `offsets`, `admin`, `configs`, `group`, `quotas`, `producer` and `consumer` (one use each). Every version sent lies inside what both sides know. Memory is bounded
//! by the frame limit and the batch sizes. It must not know the command line, and nothing in the broker imports it.

pub mod address;
pub mod admin;
pub mod batch;
pub mod cluster;
pub mod configs;
pub mod conn;
pub mod consumer;
pub mod error;
pub mod group;
pub mod offsets;
pub mod partitioner;
pub mod producer;
pub mod quotas;
pub mod record;

pub use address::Address;
pub use cluster::Cluster;
pub use conn::Options;
pub use error::{ClientError, Refusal};
pub use record::{Consumed, Header, Record};

/// Result of everything here.
pub type Result<T> = std::result::Result<T, ClientError>;

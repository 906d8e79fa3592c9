//! ringlog: a Kafka-compatible broker. See ARCHITECTURE.md for the map.

pub mod base;

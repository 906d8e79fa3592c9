//! What a broker answers, seen from its clients: requests as bytes into production shards, answers as bytes back.
//!
//! The broker is a simulated node (disk, clock and connections are simulated, everything else is the product), so a test can
//! kill it, cut its power and let days pass. `RINGLOG_TEST_BROKER=host:port` asks another broker instead, such as a Kafka:
//! what a test expects then is what that broker does. Numbers at the end of test names are the rows of tests/BEHAVIOUR.md.

#![allow(clippy::unwrap_used)]

mod batches;
mod cluster;
mod compact;
mod configs;
mod connection;
mod fetch;
mod groups;
mod idempotence;
mod metadata;
mod offsets;
mod produce;
mod quotas;
mod records;
mod restart;
mod rig;
mod scram;
mod sessions;
mod topics;

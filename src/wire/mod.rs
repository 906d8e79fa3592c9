//! Bytes and versions: the Kafka protocol as it stands on the wire. Nothing outside this module knows either.
//!
//! Requests and batches are checked completely when they are decoded, before anything is allocated for what they declare;
//! Produce and Fetch carry record bytes through without copying them. Everything here is a function of its input: no I/O,
//! no clock, no state between calls. Must not know topics, sessions or what a request leads to.
//!
//! The messages are described here and not taken from the `kafka-protocol` crate, whose decoders allocate what a count claims
//! and whose encoders copy record bytes; the crate is the oracle in the tests (`tests/golden/`) and serves our own client.
//!
//! Way in: [`header`] (what is asked) -> [`api`] (is it served) -> [`produce`], [`fetch`], [`control`] or [`group`] (what
//! exactly);
//! record bytes: [`batch`] (header and checks) -> [`compress`] -> [`record`] (records inside).

pub mod any;
pub mod api;
pub mod batch;
pub mod compress;
pub mod control;
pub mod error;
pub mod fetch;
pub mod group;
pub mod guard;
pub mod header;
pub mod message;
pub mod produce;
pub mod read;
pub mod record;
pub mod throttle;
pub mod write;

#[cfg(test)]
mod hostile_tests;

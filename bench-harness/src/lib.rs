//! Load generation and measurement for ringlog and whatever it is compared with.
//!
//! Programs (`src/bin`): `floor` (the bare ring loop every broker is judged against), `load` (the open-loop client),
//! `probe` (one durable 4 KiB write) and `compare` (all sides in one run). This crate knows the Kafka protocol only as a
//! client and shares no code with the broker, so that a bug in one cannot hide a bug in the other.
#![warn(missing_docs)]
#![cfg(target_os = "linux")]

pub mod clock;
pub mod compare;
pub mod conn;
pub mod consume;
pub mod control;
pub mod disk;
pub mod engine;
pub mod floor;
pub mod ledger;
pub mod payload;
pub mod plan;
pub mod probe;
pub mod produce;
pub mod proto;
pub mod readback;
pub mod report;
pub mod ring;
pub mod sampler;
pub mod setup;
pub mod tally;
pub mod verify;

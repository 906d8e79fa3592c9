//! Metadata: the controller's state machine (shard 0) and the immutable image that all shards read.
//!
//! [`machine::Controller`] decides (`plan`) and applies (`replay`); records are the only way a change becomes real. Must not
//! know: the wire, sessions, the journal.

mod alter;
pub mod configs;
pub mod image;
mod internal;
pub mod machine;
pub mod names;
pub mod quotas;
pub mod record;
pub mod request;
pub mod scram;
mod topics;

#[cfg(test)]
mod tests;

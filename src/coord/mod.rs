//! The coordinators of a shard: [`host::CoordHost`] keeps one machine per own partition of `__consumer_offsets`.
//!
//! An operation's records are appended by the same request as a client's produce, and its answer leaves when they are durable.
//! At a start, and when a partition is new here, its log is replayed before it serves. Requests come from the shard of the
//! client's connection and answers go back there, as with owners. Must not know sessions or request encodings.

pub mod host;
mod load;
mod log;
pub mod request;

#[cfg(test)]
mod tests;

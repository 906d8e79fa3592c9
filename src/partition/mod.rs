//! Partitions: the owner's side of a produce, fetch, offset or truncation request.
//!
//! [`store::Store`] is all of a shard's partitions with their journal; the other modules are its concerns, one each.

mod append;
mod census;
pub mod clean;
mod cold;
mod destage;
mod durable;
mod fence;
mod fetch;
mod lookup;
mod open;
pub mod producers;
mod reclaim;
mod records;
pub mod request;
mod retention;
mod save;
mod space;
pub mod state;
pub mod store;
pub mod tail;
mod watch;

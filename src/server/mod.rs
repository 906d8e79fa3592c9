//! Boot: configuration, checks of the machine and the data directory, and the threads of a running broker.
//!
//! Invariants: nothing is served before recovery has ended; every refusal names its cause and a remedy. Must not know the
//! Kafka wire format or the journal's layout (the pure core does).

mod banner;
pub mod boot;
mod cluster_id;
pub mod config;
pub mod data_dir;
mod drain;
pub mod file_system;
mod limits;
pub mod logging;
mod node_shard;
pub mod recovery;
mod reshard;
mod shard_dirs;
mod sizes;
mod sweep;

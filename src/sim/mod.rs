//! The simulator: production shards on a simulated disk, clock and clients, one seed = one run.

mod cleaning;
pub mod client;
pub mod committer;
pub mod disk;
pub mod io;
pub mod ledger;
pub mod net;
pub mod node;
pub mod prng;
pub mod rot;
pub mod table;
pub mod world;

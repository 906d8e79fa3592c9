//! The simulator: production shards on a simulated disk, clock and clients, one seed = one run.

pub mod disk;
pub mod io;
pub mod prng;

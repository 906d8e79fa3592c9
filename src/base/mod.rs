//! Vocabulary of the pure core: ids, time, buffers, keyed storage, effects.
//!
//! Bottom layer: imports nothing from the rest of the crate. Knows no protocol, no file format, no system call.

pub mod buf;
pub mod compaction;
pub mod effect;
pub mod ids;
pub mod log_limit;
pub mod planted;
pub mod pool;
pub mod slab;
pub mod timers;

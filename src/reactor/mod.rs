//! The runtime of a shard: one pinned thread, one io_uring, one loop.
//!
//! The only user of the `io-uring` crate. Round of the loop: reap completions, step the machine with each (bounded), settle
//! once, perform all effects with one enter call. The machine decides everything; the reactor knows sockets, files, buffers
//! and time, and nothing of Kafka.
//!
//! Invariants: an operation's memory lives until the kernel is done with it, also on shutdown; each effect that is answered
//! is answered once; completions for what is gone are dropped; messages between shards keep their order and are never dropped.

mod buffers;
mod config;
mod disk;
mod gate;
mod listen;
mod machine;
mod mailbox;
mod mesh;
mod net;
mod ops;
mod probe;
mod ring;
mod round;
mod spin;
mod spsc;
mod wake;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod toy;

pub use config::{ReactorConfig, Tuning};
pub use gate::Gate;
pub use listen::listen;
pub use machine::{Clock, JobRequest, JobRunner, Machine};
pub use mailbox::{Mailbox, Note, ShardHandle, mailbox};
pub use mesh::{MeshPort, mesh};
pub use probe::{Refusal, Support, probe};
pub use round::{Exit, run_shard};
pub use wake::Waker;

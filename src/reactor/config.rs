//! What a reactor is given.

use super::gate::Gate;
use super::machine::{Clock, JobRunner};
use super::mailbox::Mailbox;
use super::mesh::MeshPort;
use crate::base::ids::FileId;
use crate::shard::event::ShardMessage;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

/// Sizes and policies of the loop. The defaults suit a shard with a core of its own.
#[derive(Clone, Debug)]
pub struct Tuning {
    /// Submission queue entries, a power of two. More operations than this in one round cost a further enter call.
    pub submissions: u32,
    /// Completion queue entries, a power of two.
    pub completions: u32,
    /// Receive buffers, a power of two up to 32,768; they bound what the shard has received and not yet dropped.
    pub recv_buffers: u16,
    /// Bytes of one receive buffer.
    pub recv_buffer_bytes: usize,
    /// Completions, and messages, taken in one round, so that a round stays short.
    pub events_per_round: usize,
    /// Longest time to poll before sleeping while there is traffic; zero = always sleep.
    pub spin_max: Duration,
    /// Unused read buffers kept for reuse, bytes.
    pub read_pool_bytes: usize,
    /// Rounds longer than this count as stalls.
    pub stall: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Tuning {
            submissions: 512,
            completions: 4096,
            recv_buffers: 256,
            recv_buffer_bytes: 16 << 10,
            events_per_round: 256,
            spin_max: Duration::ZERO,
            read_pool_bytes: 8 << 20,
            stall: Duration::from_millis(10),
        }
    }
}

/// All that a shard's reactor owns at its start.
pub struct ReactorConfig {
    /// Sizes and policies.
    pub tuning: Tuning,
    /// The node's clock; recovery used the same.
    pub clock: Clock,
    /// Its listening sockets, see [`super::listen`].
    pub listeners: Vec<OwnedFd>,
    /// The node's limits of connections; those beyond are closed at once.
    pub gate: Arc<Gate>,
    /// Files that recovery left open, by the ids the machine knows them by.
    pub files: Vec<(FileId, Arc<OwnedFd>)>,
    /// Its place among the shards.
    pub port: MeshPort<ShardMessage>,
    /// Its inbox, made with the port's waker.
    pub mailbox: Mailbox,
    /// The background plane.
    pub jobs: Arc<dyn JobRunner>,
}

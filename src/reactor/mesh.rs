//! Messages between shards: one bounded queue for each ordered pair, and a doorbell for sleepers.
//!
//! Invariants: messages of one pair keep their order and are never dropped: what finds the queue full waits in a backlog at the
//! sender, which is tried again each round (its length is bounded by the operations that a shard admits). The doorbell rings
//! only when the peer sleeps. No wake-up is lost: a shard declares itself parked and then looks into its queues; a sender fills the
//! queue and then looks whether the peer is parked; with a full fence between the two steps on both sides, one of them sees the other.
//! Must not know: what the messages mean.

use super::spsc::{self, Consumer, Producer};
use super::wake::Waker;
use crate::base::ids::ShardId;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, OnceLock};

/// What the shards know of each other.
#[repr(align(128))]
struct Peer {
    parked: AtomicBool,
    gone: AtomicBool,
    /// Duplicate of the shard's ring descriptor, so that the number stays its own as long as the mesh lives.
    ring: OnceLock<OwnedFd>,
    waker: Arc<Waker>,
}

/// Sender's end of one pair.
struct Link<T> {
    producer: Producer<T>,
    backlog: VecDeque<T>,
    /// Something was queued since the doorbell was last considered.
    fresh: bool,
}

/// One shard's place in the mesh.
pub struct MeshPort<T> {
    id: ShardId,
    peers: Arc<[Peer]>,
    /// By destination; none to itself.
    links: Vec<Option<Link<T>>>,
    /// By origin; none from itself.
    sources: Vec<Option<Consumer<T>>>,
    /// Where the next round starts reading, so that no peer is always last.
    next_source: usize,
}

/// How to ring a peer's bell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bell {
    /// Which peer.
    pub peer: usize,
    /// Its ring, unless it has not started yet.
    pub ring: Option<RawFd>,
}

/// The ports of `shards` shards, each pair with room for `capacity` messages each way.
///
/// # Errors
/// When an eventfd cannot be had.
pub fn mesh<T>(shards: u16, capacity: usize) -> io::Result<Vec<MeshPort<T>>> {
    let count = shards as usize;
    let mut peers = Vec::with_capacity(count);
    for _ in 0..count {
        peers.push(Peer {
            parked: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            ring: OnceLock::new(),
            waker: Arc::new(Waker::new()?),
        });
    }
    let peers: Arc<[Peer]> = peers.into();
    let mut ports: Vec<MeshPort<T>> = (0..shards)
        .map(|id| MeshPort {
            id: ShardId(id),
            peers: peers.clone(),
            links: (0..count).map(|_| None).collect(),
            sources: (0..count).map(|_| None).collect(),
            next_source: 0,
        })
        .collect();
    for from in 0..count {
        for to in (0..count).filter(|to| *to != from) {
            let (producer, consumer) = spsc::queue(capacity);
            ports[from].links[to] = Some(Link {
                producer,
                backlog: VecDeque::new(),
                fresh: false,
            });
            ports[to].sources[from] = Some(consumer);
        }
    }
    Ok(ports)
}

impl<T> MeshPort<T> {
    /// Whose port this is.
    pub fn id(&self) -> ShardId {
        self.id
    }

    /// The eventfd that wakes this shard.
    pub fn waker(&self) -> Arc<Waker> {
        self.peers[self.id.0 as usize].waker.clone()
    }

    /// Tells the others which ring to ring.
    ///
    /// # Errors
    /// When the descriptor cannot be duplicated.
    pub fn announce(&self, ring: BorrowedFd<'_>) -> io::Result<()> {
        let copy = ring.try_clone_to_owned()?;
        // A second call would keep the first ring; a port is announced once.
        let _ = self.peers[self.id.0 as usize].ring.set(copy);
        Ok(())
    }

    /// Queues a message. To itself, or to a shard that does not exist: the message comes back.
    pub fn send(&mut self, to: ShardId, message: T) -> Result<(), T> {
        let Some(link) = self.links.get_mut(to.0 as usize).and_then(Option::as_mut) else {
            return Err(message);
        };
        if self.peers[to.0 as usize].gone.load(Ordering::Relaxed) {
            return Ok(());
        }
        if link.backlog.is_empty() {
            match link.producer.push(message) {
                Ok(()) => link.fresh = true,
                Err(message) => link.backlog.push_back(message),
            }
        } else {
            link.backlog.push_back(message);
        }
        Ok(())
    }

    /// Retries backlogs and names each sleeping peer that has something new to read, once.
    pub fn flush(&mut self, mut bell: impl FnMut(Bell)) {
        let mut fenced = false;
        for (to, link) in self.links.iter_mut().enumerate() {
            let Some(link) = link else { continue };
            link.retry(self.peers[to].gone.load(Ordering::Relaxed));
            if !link.fresh {
                continue;
            }
            link.fresh = false;
            if !fenced {
                fence(Ordering::SeqCst);
                fenced = true;
            }
            let peer = &self.peers[to];
            if peer.parked.load(Ordering::Relaxed) && peer.parked.swap(false, Ordering::AcqRel) {
                bell(Bell {
                    peer: to,
                    ring: peer.ring.get().map(AsRawFd::as_raw_fd),
                });
            }
        }
    }

    /// Wakes a peer by its eventfd, when its ring cannot be rung.
    pub fn wake_slowly(&self, peer: usize) {
        if let Some(peer) = self.peers.get(peer) {
            peer.waker.wake();
        }
    }

    /// True while messages wait at the sender because a peer's queue is full.
    pub fn has_backlog(&self) -> bool {
        self.links.iter().flatten().any(|link| !link.backlog.is_empty())
    }

    /// The next message, fair between the peers.
    pub fn receive(&mut self) -> Option<T> {
        let count = self.sources.len();
        for step in 0..count {
            let from = (self.next_source + step) % count;
            if let Some(message) = self.sources[from].as_mut().and_then(Consumer::pop) {
                self.next_source = (from + 1) % count;
                return Some(message);
            }
        }
        None
    }

    /// True when a message can be received.
    pub fn has_incoming(&mut self) -> bool {
        self.sources.iter_mut().flatten().any(|source| !source.is_empty())
    }

    /// Declares that this shard is about to sleep; false when it must not, because a message came.
    pub fn park(&mut self) -> bool {
        self.parked().store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if self.has_incoming() {
            self.unpark();
            return false;
        }
        true
    }

    /// The sleep is over.
    pub fn unpark(&self) {
        self.parked().store(false, Ordering::Relaxed);
    }

    fn parked(&self) -> &AtomicBool {
        &self.peers[self.id.0 as usize].parked
    }
}

impl<T> Link<T> {
    fn retry(&mut self, gone: bool) {
        if gone {
            self.backlog.clear();
        }
        while let Some(message) = self.backlog.pop_front() {
            if let Err(message) = self.producer.push(message) {
                self.backlog.push_front(message);
                return;
            }
            self.fresh = true;
        }
    }
}

impl<T> Drop for MeshPort<T> {
    fn drop(&mut self) {
        // Nobody will read any more: peers stop keeping messages for this shard.
        self.peers[self.id.0 as usize].gone.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_keeps_order_through_the_backlog_and_rings_only_sleepers() {
        let mut ports = mesh::<u32>(2, 4).expect("mesh");
        let (mut b, mut a) = (ports.pop().expect("b"), ports.pop().expect("a"));
        for n in 0..10 {
            assert_eq!(a.send(ShardId(1), n), Ok(()));
        }
        assert!(a.has_backlog());
        let mut rung = 0;
        a.flush(|_| rung += 1);
        assert_eq!(rung, 0, "the peer is awake");
        let mut got = Vec::new();
        while got.len() < 10 {
            got.extend(std::iter::from_fn(|| b.receive()));
            a.flush(|_| rung += 1);
        }
        assert_eq!(got, (0..10).collect::<Vec<_>>());
        assert!(b.park());
        assert_eq!(a.send(ShardId(1), 10), Ok(()));
        a.flush(|bell| {
            assert_eq!(bell, Bell { peer: 1, ring: None });
            rung += 1;
        });
        a.flush(|_| rung += 1);
        assert_eq!(rung, 1);
        assert!(!b.park(), "a message is there");
        assert_eq!(b.receive(), Some(10));
    }

    #[test]
    fn messages_to_nobody_come_back_and_to_the_dead_vanish() {
        let mut ports = mesh::<u32>(2, 1).expect("mesh");
        let (b, mut a) = (ports.pop().expect("b"), ports.pop().expect("a"));
        assert_eq!(a.send(ShardId(0), 1), Err(1));
        assert_eq!(a.send(ShardId(7), 1), Err(1));
        assert_eq!((a.send(ShardId(1), 1), a.send(ShardId(1), 2)), (Ok(()), Ok(())));
        drop(b);
        a.flush(|_| ());
        assert!(!a.has_backlog());
    }
}

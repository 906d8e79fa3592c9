//! Limits of connections for the whole node: the kernel spreads connections over shards as it likes, so no shard can tell alone.
//!
//! Invariants: a connection holds a [`Pass`] from its accept until it is forgotten; a pass that is dropped makes room at once.
//! The lock is taken once for each accept and each close, never for a request.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Lets connections in as long as the limits allow. Shared by all shards.
pub struct Gate {
    connections_max: usize,
    per_ip_max: usize,
    affordable: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    count: usize,
    per_ip: BTreeMap<IpAddr, usize>,
}

/// The right of one connection to be open.
pub struct Pass {
    gate: Arc<Gate>,
    peer: IpAddr,
}

impl Gate {
    /// `max.connections`, `max.connections.per.ip`, and how many the process's file descriptors allow.
    pub fn new(connections_max: usize, per_ip_max: usize, affordable: usize) -> Arc<Gate> {
        Arc::new(Gate {
            connections_max,
            per_ip_max,
            affordable,
            open: Mutex::default(),
        })
    }

    /// Lets a connection in.
    ///
    /// # Errors
    /// Which limit is reached.
    pub fn enter(self: &Arc<Gate>, peer: IpAddr) -> Result<Pass, String> {
        let mut open = self.lock();
        if open.count >= self.connections_max {
            return Err(format!(
                "{} connections are open, raise max.connections to allow more",
                open.count
            ));
        }
        if open.count >= self.affordable {
            return Err(format!(
                "{} connections are open, and the other file descriptors are needed for files: raise the limit (LimitNOFILE=1048576)",
                open.count
            ));
        }
        let same = open.per_ip.get(&peer).copied().unwrap_or(0);
        if same >= self.per_ip_max {
            return Err(format!(
                "{same} connections from {peer} are open, raise max.connections.per.ip to allow more"
            ));
        }
        open.count += 1;
        open.per_ip.insert(peer, same + 1);
        Ok(Pass {
            gate: self.clone(),
            peer,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut open = self.gate.lock();
        open.count -= 1;
        match open.per_ip.get_mut(&self.peer) {
            Some(same) if *same > 1 => *same -= 1,
            _ => {
                open.per_ip.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_bounded_in_all_and_per_address_and_make_room_when_they_end() {
        let gate = Gate::new(3, 2, 1000);
        let (one, two, three) = ([127, 0, 0, 1].into(), [10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let first = gate.enter(one).expect("first");
        let _second = gate.enter(one).expect("second");
        let refused = gate.enter(one).map(drop).expect_err("a third of one address");
        assert!(refused.contains("max.connections.per.ip"), "{refused}");
        let third = gate.enter(two).expect("another address");
        let refused = gate.enter(three).map(drop).expect_err("a fourth of all");
        assert!(refused.contains("raise max.connections to"), "{refused}");
        drop(first);
        let _fourth = gate.enter(one).expect("room again");
        drop(third);
        assert!(gate.enter(one).is_err());
        assert!(gate.enter(three).is_ok());
    }
}

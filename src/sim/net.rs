//! Connections between simulated clients and shards: bytes arrive in pieces, late, or not at all.

use crate::base::effect::Effect;
use crate::base::ids::ConnId;
use crate::shard::event::Event;
use crate::sim::prng::Prng;
use bytes::{Buf, Bytes, BytesMut};
use std::collections::BTreeMap;

/// What the shard asked to receive.
enum Want {
    Nothing,
    Some,
    Into(BytesMut),
}

/// One connection.
struct Link {
    client: usize,
    to_shard: BytesMut,
    want: Want,
    to_client: BytesMut,
    closed_by_client: bool,
}

/// All connections of one shard.
pub struct SimNet {
    links: BTreeMap<ConnId, Link>,
    next: u32,
    chance: Prng,
}

impl SimNet {
    /// No connections.
    pub fn new(chance: Prng) -> Self {
        SimNet {
            links: BTreeMap::new(),
            next: 0,
            chance,
        }
    }
    /// Connects a client.
    pub fn connect(&mut self, client: usize) -> ConnId {
        self.next += 1;
        let conn = ConnId {
            index: self.next % 8,
            generation: self.next,
        };
        let link = Link {
            client,
            to_shard: BytesMut::new(),
            want: Want::Nothing,
            to_client: BytesMut::new(),
            closed_by_client: false,
        };
        self.links.insert(conn, link);
        conn
    }
    /// The client sends.
    pub fn send(&mut self, conn: ConnId, bytes: &[u8]) {
        if let Some(link) = self.links.get_mut(&conn) {
            link.to_shard.extend_from_slice(bytes);
        }
    }
    /// The client hangs up.
    pub fn hang_up(&mut self, conn: ConnId) {
        if let Some(link) = self.links.get_mut(&conn) {
            link.closed_by_client = true;
        }
    }
    /// True while the shard keeps the connection.
    pub fn is_open(&self, conn: ConnId) -> bool {
        self.links.get(&conn).is_some_and(|l| !l.closed_by_client)
    }
    /// Takes a whole reply (without its length) that arrived at the client.
    pub fn take_reply(&mut self, conn: ConnId) -> Option<Bytes> {
        let link = self.links.get_mut(&conn)?;
        let head = link.to_client.get(..4)?;
        let len = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        if link.to_client.len() < 4 + len {
            return None;
        }
        link.to_client.advance(4);
        Some(link.to_client.split_to(len).freeze())
    }
    /// Clients whose connection is open.
    pub fn clients(&self) -> impl Iterator<Item = usize> {
        self.links.values().map(|l| l.client)
    }

    /// Takes a network effect; anything else is given back. A send completes at once or breaks.
    pub fn submit(&mut self, effect: Effect, events: &mut Vec<Event>) -> Option<Effect> {
        match effect {
            Effect::Recv { conn } => self.want(conn, Want::Some),
            Effect::RecvInto { conn, buf } => self.want(conn, Want::Into(buf)),
            Effect::Close { conn } => {
                self.links.remove(&conn);
            }
            Effect::Send { conn, data } => {
                if let Some(link) = self.links.get_mut(&conn) {
                    data.iter().for_each(|piece| link.to_client.extend_from_slice(piece));
                    events.push(Event::Sent { conn, result: Ok(()) });
                }
            }
            other => return Some(other),
        }
        None
    }

    fn want(&mut self, conn: ConnId, want: Want) {
        if let Some(link) = self.links.get_mut(&conn) {
            link.want = want;
        }
    }

    /// Bytes that are there and wanted, as events; pieces of any length.
    pub fn deliver(&mut self, events: &mut Vec<Event>) {
        for (conn, link) in &mut self.links {
            let conn = *conn;
            if matches!(link.want, Want::Nothing) {
                continue;
            }
            if link.to_shard.is_empty() {
                if link.closed_by_client {
                    link.want = Want::Nothing;
                    events.push(Event::Closed { conn, errno: None });
                }
                continue;
            }
            let have = link.to_shard.len();
            let cut = if self.chance.chance(20) {
                self.chance.between(1, have as u64) as usize
            } else {
                have
            };
            match std::mem::replace(&mut link.want, Want::Nothing) {
                Want::Nothing => {}
                Want::Some => {
                    let data = link.to_shard.split_to(cut.min(2048)).freeze();
                    events.push(Event::Received { conn, data });
                }
                Want::Into(mut buf) => {
                    let room = buf.capacity() - buf.len();
                    assert!(room > 0, "RecvInto has room");
                    buf.extend_from_slice(&link.to_shard.split_to(cut.min(room)));
                    events.push(Event::ReceivedInto { conn, buf });
                }
            }
        }
    }
}

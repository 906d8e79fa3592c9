//! Fetch sessions (KIP-227): what a client reads, so that it need not repeat it, and what it was told, so that we need not.
//!
//! Bounded in sessions and partitions; when full, a client simply gets no session. The shard's number is part of the id, so
//! a session is never taken for one of another shard.

use super::{PartKey, TopicKey, Wish};
use crate::wire::error::ErrorCode;
use std::collections::BTreeMap;

/// Unused this long, a session may be evicted for a new one (`min.incremental.fetch.session.eviction.ms`), nanoseconds.
const EVICT_AFTER_NS: u64 = 120_000_000_000;
/// Partitions in all sessions of a shard.
const PARTITIONS_MAX: usize = 500_000;
/// Epoch of a request that opens a session.
const INITIAL: i32 = 0;
/// Epoch of a request without session, or that closes one.
const FINAL: i32 = -1;

/// What a fetch is in terms of sessions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Context {
    /// No session.
    Sessionless,
    /// All partitions are answered; a session is opened if there is room.
    Full,
    /// Only what changed is answered.
    Incremental(i32),
}

/// What becomes of a request.
pub(crate) enum Joined {
    Refused(ErrorCode),
    /// These partitions are to be read, in this order.
    Fetch(Context, Vec<(PartKey, Wish)>),
}

/// What a partition's last answer said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Told {
    pub high_watermark: i64,
    pub log_start_offset: i64,
}

/// Nothing yet, or an error, which is said again: any next answer differs.
const NOTHING_TOLD: Told = Told {
    high_watermark: -1,
    log_start_offset: -1,
};

struct Member {
    wish: Wish,
    told: Told,
    /// Place in the order of reading.
    turn: u64,
}

struct Session {
    /// The epoch of the next request.
    epoch: i32,
    by_id: bool,
    used_ns: u64,
    members: BTreeMap<PartKey, Member>,
    order: BTreeMap<u64, PartKey>,
    next_turn: u64,
}

/// The sessions of a shard.
pub(crate) struct FetchSessions {
    sessions: BTreeMap<i32, Session>,
    sessions_max: usize,
    partitions: usize,
    random: u64,
}

impl FetchSessions {
    pub fn new(sessions_max: usize, seed: u64) -> FetchSessions {
        FetchSessions {
            sessions: BTreeMap::new(),
            sessions_max,
            partitions: 0,
            random: seed,
        }
    }

    /// Finds what a request reads. `name` = session id and epoch.
    pub fn join(
        &mut self,
        name: (i32, i32),
        by_id: bool,
        wishes: Vec<(PartKey, Wish)>,
        forgotten: &[PartKey],
        now_ns: u64,
    ) -> Joined {
        let (id, epoch) = name;
        if epoch == INITIAL || epoch == FINAL {
            self.close(id);
            let context = if epoch == INITIAL {
                Context::Full
            } else {
                Context::Sessionless
            };
            return Joined::Fetch(context, wishes);
        }
        let Some(session) = self.sessions.get_mut(&id) else {
            return Joined::Refused(ErrorCode::FetchSessionIdNotFound);
        };
        if session.epoch != epoch {
            return Joined::Refused(ErrorCode::InvalidFetchSessionEpoch);
        }
        if session.by_id != by_id {
            return Joined::Refused(ErrorCode::FetchSessionTopicIdError);
        }
        let before = session.members.len();
        session.used_ns = now_ns;
        session.epoch = if epoch == i32::MAX { 1 } else { epoch + 1 };
        wishes
            .into_iter()
            .for_each(|(key, wish)| session.put(key, wish, NOTHING_TOLD));
        forgotten.iter().for_each(|key| session.drop_member(key));
        self.partitions = self.partitions - before + session.members.len();
        if session.members.is_empty() {
            self.close(id);
            return Joined::Fetch(Context::Sessionless, Vec::new());
        }
        let read = |key: &PartKey| session.members.get(key).map(|member| (key.clone(), member.wish));
        Joined::Fetch(
            Context::Incremental(id),
            session.order.values().filter_map(read).collect(),
        )
    }

    /// Opens a session for what a full fetch has read and told; 0 when there is no room.
    pub fn open(
        &mut self,
        shard: u16,
        by_id: bool,
        read: impl ExactSizeIterator<Item = (PartKey, Wish, Option<Told>)>,
        now_ns: u64,
    ) -> i32 {
        if read.len() == 0 || !self.make_room(read.len(), now_ns) {
            return 0;
        }
        let mut session = Session {
            epoch: 1,
            by_id,
            used_ns: now_ns,
            members: BTreeMap::new(),
            order: BTreeMap::new(),
            next_turn: 0,
        };
        read.for_each(|(key, wish, told)| session.put(key, wish, told.unwrap_or(NOTHING_TOLD)));
        let id = self.new_id(shard);
        self.partitions += session.members.len();
        self.sessions.insert(id, session);
        id
    }

    /// Notes what a partition's answer says; `None` = an error. True when it has to be said: something changed, or `has_data`.
    /// A partition that gave data is read last next time, so that no other starves.
    pub fn tell(&mut self, id: i32, key: &PartKey, told: Option<Told>, has_data: bool) -> bool {
        let Some(session) = self.sessions.get_mut(&id) else {
            return true;
        };
        let Some(member) = session.members.get_mut(key) else {
            return true;
        };
        let before = std::mem::replace(&mut member.told, told.unwrap_or(NOTHING_TOLD));
        if has_data {
            session.order.remove(&member.turn);
            member.turn = session.next_turn;
            session.next_turn += 1;
            session.order.insert(member.turn, key.clone());
        }
        has_data || told.is_none_or(|told| told != before)
    }

    fn close(&mut self, id: i32) {
        if let Some(session) = self.sessions.remove(&id) {
            self.partitions -= session.members.len();
        }
    }

    fn make_room(&mut self, partitions: usize, now_ns: u64) -> bool {
        if self.sessions.len() >= self.sessions_max || self.partitions + partitions > PARTITIONS_MAX {
            let oldest = self.sessions.iter().min_by_key(|(_, session)| session.used_ns);
            let stale = oldest.filter(|(_, session)| now_ns.saturating_sub(session.used_ns) > EVICT_AFTER_NS);
            if let Some(id) = stale.map(|(id, _)| *id) {
                self.close(id);
            }
        }
        self.sessions.len() < self.sessions_max && self.partitions + partitions <= PARTITIONS_MAX
    }

    /// A positive id with the shard's number in its upper bits, random below so that ids of an earlier run are not met again.
    fn new_id(&mut self, shard: u16) -> i32 {
        loop {
            self.random = self
                .random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let id = (i32::from(shard & 0xff) << 23) | ((self.random >> 41) as i32 & 0x007f_ffff);
            if id != 0 && !self.sessions.contains_key(&id) {
                return id;
            }
        }
    }
}

impl Session {
    fn put(&mut self, key: PartKey, wish: Wish, told: Told) {
        if let Some(member) = self.members.get_mut(&key) {
            member.wish = wish;
            return;
        }
        let turn = self.next_turn;
        self.next_turn += 1;
        self.order.insert(turn, key.clone());
        self.members.insert(key, Member { wish, told, turn });
    }

    fn drop_member(&mut self, key: &PartKey) {
        if let Some(member) = self.members.remove(key) {
            self.order.remove(&member.turn);
        }
    }
}

impl TopicKey {
    /// True when the topic is named by id.
    pub fn is_id(&self) -> bool {
        matches!(self, TopicKey::Id(_))
    }
}

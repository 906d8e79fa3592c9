//! A simulated consumer that only commits: alone, or as a member of a group. The rule: an acknowledged commit is never lost.
//!
//! Offsets only grow, so a fetched one is the last that was acknowledged, or one whose fate is unknown because its answer was
//! lost: that one may land at any time, also after a newer one from another connection.

use crate::base::ids::ConnId;
use crate::sim::client::TOPIC;
use crate::sim::net::SimNet;
use crate::sim::prng::Prng;
use crate::wire::error::ErrorCode;
use crate::wire::group::find_coordinator::{FindCoordinator, FindCoordinatorRequest};
use crate::wire::group::join_group::{JoinGroup, JoinGroupProtocol, JoinGroupRequest};
use crate::wire::group::offset_commit::{OffsetCommit, OffsetCommitPartition, OffsetCommitRequest, OffsetCommitTopic};
use crate::wire::group::offset_fetch::{OffsetFetch, OffsetFetchGroup, OffsetFetchRequest, OffsetFetchTopic};
use crate::wire::group::sync_group::{SyncGroup, SyncGroupAssignment, SyncGroupRequest};
use crate::wire::header;
use crate::wire::message::{Api, request_frame};
use crate::wire::read::Reader;
use bytes::Bytes;
use std::collections::BTreeSet;

const JOIN_VERSION: i16 = 3;
const SYNC_VERSION: i16 = 3;
const COMMIT_VERSION: i16 = 7;
const FETCH_VERSION: i16 = 7;
const FIND_VERSION: i16 = 2;

/// What an answer is waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Asked {
    Find,
    Join,
    Sync,
    Commit(i64),
    Fetch,
}

/// See the module.
pub struct Committer {
    /// Its number.
    pub client: usize,
    /// Shard it connects to, and the connection.
    pub link: Option<(usize, ConnId)>,
    /// Stops committing new offsets.
    pub finishing: bool,
    group: String,
    is_member: bool,
    asked: Option<Asked>,
    found: bool,
    member: String,
    /// Generation in which it may commit.
    generation: Option<i32>,
    joined: Option<i32>,
    next: i64,
    /// Last acknowledged; -1 = none.
    acked: i64,
    unknown: BTreeSet<i64>,
    /// A fetch since the last commit found what it had to.
    checked: bool,
    correlation: i32,
    chance: Prng,
    /// Commits acknowledged.
    pub commits: u64,
    /// Offsets fetched and compared.
    pub fetches: u64,
}

impl Committer {
    /// A client of a group of its own.
    pub fn new(client: usize, is_member: bool, chance: Prng) -> Committer {
        Committer {
            client,
            link: None,
            finishing: false,
            group: format!("group-{client}"),
            is_member,
            asked: None,
            found: false,
            member: String::new(),
            generation: None,
            joined: None,
            next: 0,
            acked: -1,
            unknown: BTreeSet::new(),
            checked: false,
            correlation: 0,
            chance,
            commits: 0,
            fetches: 0,
        }
    }

    /// True when nothing is in flight and the last fetch was right.
    pub fn is_done(&self) -> bool {
        self.asked.is_none() && self.checked
    }

    /// Fetches once more before it is done.
    pub fn check_again(&mut self) {
        self.checked = false;
    }

    /// A new connection: what was in flight is unknown.
    pub fn connected(&mut self, link: (usize, ConnId)) {
        self.link = Some(link);
        if let Some(Asked::Commit(offset)) = self.asked.take() {
            self.unknown.insert(offset);
        }
    }

    /// Hangs up.
    pub fn disconnect(&mut self, nets: &mut [SimNet]) {
        if let Some((shard, conn)) = self.link.take() {
            nets[shard].hang_up(conn);
        }
    }

    /// Where it stands, for messages.
    pub fn describe(&self) -> String {
        format!(
            "{}: asked {:?}, found {}, member {:?} of {:?}, acked {}, unknown {:?}, checked {}",
            self.group, self.asked, self.found, self.member, self.generation, self.acked, self.unknown, self.checked
        )
    }

    /// Asks the next thing.
    pub fn act(&mut self, nets: &mut [SimNet]) {
        if self.asked.is_some() {
            return;
        }
        let member = match (self.is_member, self.generation) {
            (false, _) => Some(-1),
            (true, generation) => generation,
        };
        let fetch = self.finishing || self.chance.chance(30);
        let (asked, bytes) = match (self.found, member, self.joined) {
            (false, ..) => (Asked::Find, self.find()),
            (true, ..) if fetch => (Asked::Fetch, self.fetch()),
            (true, Some(generation), _) => {
                self.next += 1;
                self.checked = false;
                (Asked::Commit(self.next), self.commit(generation, self.next))
            }
            (true, None, Some(generation)) => (Asked::Sync, self.sync(generation)),
            (true, None, None) => (Asked::Join, self.join()),
        };
        self.asked = Some(asked);
        if let Some((shard, conn)) = self.link {
            nets[shard].send(conn, &bytes);
        }
    }

    fn request<A: Api>(&mut self, version: i16, request: &A::Request) -> Bytes {
        self.correlation = self.correlation.wrapping_add(1);
        request_frame::<A>(request, version, self.correlation, Some("sim"))
    }

    fn find(&mut self) -> Bytes {
        let request = FindCoordinatorRequest {
            key_type: 0,
            keys: vec![self.group.clone()],
        };
        self.request::<FindCoordinator>(FIND_VERSION, &request)
    }

    fn join(&mut self) -> Bytes {
        let request = JoinGroupRequest {
            group_id: self.group.clone(),
            session_timeout_ms: 6_000,
            rebalance_timeout_ms: 50,
            member_id: self.member.clone(),
            protocol_type: "sim".into(),
            protocols: vec![JoinGroupProtocol {
                name: "sim".into(),
                metadata: Bytes::from_static(b"m"),
            }],
            ..JoinGroupRequest::default()
        };
        self.request::<JoinGroup>(JOIN_VERSION, &request)
    }

    fn sync(&mut self, generation: i32) -> Bytes {
        let request = SyncGroupRequest {
            group_id: self.group.clone(),
            generation_id: generation,
            member_id: self.member.clone(),
            assignments: vec![SyncGroupAssignment {
                member_id: self.member.clone(),
                assignment: Bytes::from(self.member.clone()),
            }],
            ..SyncGroupRequest::default()
        };
        self.request::<SyncGroup>(SYNC_VERSION, &request)
    }

    fn commit(&mut self, generation: i32, offset: i64) -> Bytes {
        let partition = OffsetCommitPartition {
            index: 0,
            offset,
            metadata: Some(format!("{offset}")),
            ..OffsetCommitPartition::default()
        };
        let request = OffsetCommitRequest {
            group_id: self.group.clone(),
            generation_or_member_epoch: generation,
            member_id: if generation < 0 {
                String::new()
            } else {
                self.member.clone()
            },
            topics: vec![OffsetCommitTopic {
                name: TOPIC.into(),
                partitions: vec![partition],
                ..OffsetCommitTopic::default()
            }],
            ..OffsetCommitRequest::default()
        };
        self.request::<OffsetCommit>(COMMIT_VERSION, &request)
    }

    fn fetch(&mut self) -> Bytes {
        let topic = OffsetFetchTopic {
            name: TOPIC.into(),
            partitions: vec![0],
            ..OffsetFetchTopic::default()
        };
        let request = OffsetFetchRequest {
            groups: vec![OffsetFetchGroup {
                group_id: self.group.clone(),
                topics: Some(vec![topic]),
                ..OffsetFetchGroup::default()
            }],
            require_stable: true,
        };
        self.request::<OffsetFetch>(FETCH_VERSION, &request)
    }

    /// Takes a reply. `Err` = a broken rule.
    pub fn on_reply(&mut self, reply: &Bytes) -> Result<(), String> {
        match self.asked.take() {
            None => Err(format!("{}: an answer that nobody asked for", self.group)),
            Some(Asked::Find) => self.on_found(reply),
            Some(Asked::Join) => self.on_joined(reply),
            Some(Asked::Sync) => self.on_synced(reply),
            Some(Asked::Commit(offset)) => self.on_committed(reply, offset),
            Some(Asked::Fetch) => self.on_fetched(reply),
        }
    }

    fn on_found(&mut self, reply: &Bytes) -> Result<(), String> {
        let answer = open::<FindCoordinator>(FIND_VERSION, reply)?;
        let error = answer.coordinators.first().map(|coordinator| coordinator.error);
        self.found = error == Some(ErrorCode::None);
        match error {
            Some(ErrorCode::None | ErrorCode::CoordinatorNotAvailable) => Ok(()),
            other => Err(format!("{}: FindCoordinator answers {other:?}", self.group)),
        }
    }

    fn on_joined(&mut self, reply: &Bytes) -> Result<(), String> {
        let answer = open::<JoinGroup>(JOIN_VERSION, reply)?;
        match answer.error {
            ErrorCode::None => {
                self.member = answer.member_id;
                self.joined = Some(answer.generation_id);
            }
            ErrorCode::UnknownMemberId => self.member.clear(),
            error => self.retriable(error, "JoinGroup")?,
        }
        Ok(())
    }

    fn on_synced(&mut self, reply: &Bytes) -> Result<(), String> {
        let answer = open::<SyncGroup>(SYNC_VERSION, reply)?;
        let joined = self.joined.take();
        match answer.error {
            ErrorCode::None if answer.assignment != self.member.as_bytes() => {
                return Err(format!("{}: {} got another's assignment", self.group, self.member));
            }
            ErrorCode::None => self.generation = joined,
            error => self.left_behind(error, "SyncGroup")?,
        }
        Ok(())
    }

    fn on_committed(&mut self, reply: &Bytes, offset: i64) -> Result<(), String> {
        let answer = open::<OffsetCommit>(COMMIT_VERSION, reply)?;
        let partition = answer.topics.first().and_then(|topic| topic.partitions.first());
        let error = partition.ok_or("an answer to OffsetCommit without partition")?.error;
        if error == ErrorCode::None {
            self.acked = offset;
            self.commits += 1;
            return Ok(());
        }
        // The disk's errors come after part of it may be in the log.
        self.unknown.insert(offset);
        self.left_behind(error, "OffsetCommit")
    }

    fn on_fetched(&mut self, reply: &Bytes) -> Result<(), String> {
        let answer = open::<OffsetFetch>(FETCH_VERSION, reply)?;
        let group = answer.groups.first().ok_or("an answer to OffsetFetch without group")?;
        if group.error != ErrorCode::None {
            return self.retriable(group.error, "OffsetFetch");
        }
        let partition = group.topics.first().and_then(|topic| topic.partitions.first());
        let found = partition.ok_or("an answer to OffsetFetch without partition")?;
        if found.offset != self.acked && !self.unknown.contains(&found.offset) {
            return Err(format!(
                "{}: offset {} was acknowledged, {} is fetched",
                self.group, self.acked, found.offset
            ));
        }
        if found.offset >= 0 && found.metadata.as_deref() != Some(&found.offset.to_string()) {
            return Err(format!(
                "{}: offset {} came with {:?}",
                self.group, found.offset, found.metadata
            ));
        }
        self.checked = true;
        self.fetches += 1;
        Ok(())
    }

    /// The generation is over, or the coordinator not there.
    fn left_behind(&mut self, error: ErrorCode, what: &str) -> Result<(), String> {
        match error {
            ErrorCode::IllegalGeneration | ErrorCode::RebalanceInProgress => self.generation = None,
            ErrorCode::UnknownMemberId => {
                self.generation = None;
                self.member.clear();
            }
            error => self.retriable(error, what)?,
        }
        Ok(())
    }

    fn retriable(&self, error: ErrorCode, what: &str) -> Result<(), String> {
        match error {
            ErrorCode::CoordinatorLoadInProgress
            | ErrorCode::CoordinatorNotAvailable
            | ErrorCode::NotCoordinator
            | ErrorCode::RebalanceInProgress => Ok(()),
            error => Err(format!("{}: {what} answers {}", self.group, error.name())),
        }
    }
}

fn open<A: Api>(version: i16, reply: &Bytes) -> Result<A::Response, String> {
    let mut reader = Reader::new(reply);
    header::read_response_header(&mut reader, A::KEY, version).map_err(|e| e.to_string())?;
    A::decode_response(version, &reply.slice(reader.position()..)).map_err(|e| e.to_string())
}

//! A broker to ask, and short ways to ask it.

use bytes::{Buf, Bytes, BytesMut};
use ringlog::base::ids::{ConnId, Now, TopicId};
use ringlog::partition::clean::CleanerConfig;
use ringlog::sim::disk::SimDisk;
use ringlog::sim::io::IoFaults;
use ringlog::sim::node::{Node, NodeConfig};
use ringlog::sim::prng::Prng;
use ringlog::wire::api::ApiKey;
use ringlog::wire::control::create_topics::{
    CreatableTopic, CreatableTopicConfig, CreatableTopicResult, CreateTopics, CreateTopicsRequest,
};
use ringlog::wire::control::list_offsets::{ListOffsets, ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use ringlog::wire::error::ErrorCode;
use ringlog::wire::fetch::{FetchPartition, FetchRequest, FetchRequestPartition, FetchRequestTopic, FetchResponse};
use ringlog::wire::header::{put_request_header, read_response_header};
use ringlog::wire::message::Api;
use ringlog::wire::produce::{
    ProducePartition, ProducePartitionResponse, ProduceResponse, ProduceTopicData, TopicRef, encode_request,
};
use ringlog::wire::read::Reader;
use ringlog::wire::write::framed;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long an answer may take, milliseconds.
const PATIENCE_MS: u64 = 10_000;
/// Longest step of the clock while something is on its way.
const STEP_NS: u64 = 1_000_000;

/// A connection of the rig.
pub type Conn = usize;

/// A topic made for a test.
#[derive(Clone, Debug)]
pub struct Topic {
    pub name: String,
    pub id: TopicId,
}

/// What came on a connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Came {
    Frame(Bytes),
    /// The broker hung up.
    End,
    /// Nothing within the time.
    Nothing,
}

/// See the module.
pub struct Rig {
    end: End,
    correlation: i32,
    names: Cell<u32>,
}

enum End {
    Own(Box<Own>),
    Other(Other),
}

/// A simulated node.
struct Own {
    node: Option<Node>,
    disk: SimDisk,
    now: Now,
    config: NodeConfig,
    chance: Prng,
    conns: Vec<(usize, ConnId)>,
}

/// A broker behind TCP.
struct Other {
    address: String,
    conns: Vec<(TcpStream, BytesMut)>,
}

/// Sizes of a simulated node: large enough for batches of megabytes.
fn sizes() -> NodeConfig {
    NodeConfig {
        shards: 2,
        journal_file: 12 << 20,
        journal_files: 3,
        inflight: 4,
        chunk: 256 << 10,
        cache: 8 << 20,
        destage: 256 << 10,
        window: 64 << 10,
        segment: 64 << 20,
        retention_check_ms: 300_000,
        open_segments: 100,
        mark_after_ms: 1_000,
        coordinators: 5,
        cleaner: CleanerConfig::default(),
    }
}

impl Rig {
    /// A broker of two shards, or the one in `RINGLOG_TEST_BROKER`, with one connection.
    pub fn new() -> Rig {
        match std::env::var("RINGLOG_TEST_BROKER") {
            Ok(address) => Rig::begin(End::Other(Other { address, conns: vec![] })),
            Err(_) => Rig::own(|_| ()),
        }
    }

    /// A simulated node with other sizes, also when another broker is tested.
    pub fn own(change: impl FnOnce(&mut NodeConfig)) -> Rig {
        let mut config = sizes();
        change(&mut config);
        let now = Now {
            mono_ns: 1_000_000,
            wall_ms: 1_800_000_000_000,
        };
        let mut own = Own {
            node: None,
            disk: SimDisk::new(4 << 30),
            now,
            config,
            chance: Prng::new(7),
            conns: vec![],
        };
        own.start();
        Rig::begin(End::Own(Box::new(own)))
    }

    fn begin(end: End) -> Rig {
        let mut rig = Rig {
            end,
            correlation: 0,
            names: Cell::new(0),
        };
        rig.connect();
        rig
    }

    /// True for a simulated node, which can do what no client can ask for.
    pub fn is_own(&self) -> bool {
        matches!(self.end, End::Own(_))
    }

    fn machine(&mut self) -> &mut Own {
        match &mut self.end {
            End::Own(own) => own,
            End::Other(_) => panic!("only a simulated node can do that: start with Rig::own"),
        }
    }

    /// A new connection; those of a simulated node go to its shards in turn.
    pub fn connect(&mut self) -> Conn {
        match &mut self.end {
            End::Own(own) => own.connect(),
            End::Other(other) => {
                let stream = TcpStream::connect(&other.address).unwrap();
                stream.set_nodelay(true).unwrap();
                other.conns.push((stream, BytesMut::new()));
                other.conns.len() - 1
            }
        }
    }

    /// Sends bytes.
    pub fn send(&mut self, conn: Conn, bytes: &[u8]) {
        match &mut self.end {
            End::Own(own) => own.send(conn, bytes),
            // The broker may have hung up already; the test sees it when it reads.
            End::Other(other) => drop(other.conns[conn].0.write_all(bytes)),
        }
    }

    /// The next whole answer, without its length, or what happens instead within the time.
    pub fn came(&mut self, conn: Conn, within_ms: u64) -> Came {
        match &mut self.end {
            End::Own(own) => own.came(conn, within_ms),
            End::Other(other) => other.came(conn, within_ms),
        }
    }

    /// Lets time pass; on a simulated node it costs nothing.
    pub fn pass_ms(&mut self, ms: u64) {
        match &mut self.end {
            End::Own(own) => own.run_until(own.now.mono_ns + ms * 1_000_000, u64::MAX, |_| false),
            End::Other(_) => std::thread::sleep(Duration::from_millis(ms)),
        }
    }

    /// The broker's clock, milliseconds.
    pub fn now_ms(&self) -> i64 {
        match &self.end {
            End::Own(own) => own.now.wall_ms,
            End::Other(_) => SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64,
        }
    }

    /// The node dies and starts again: killed, or by a power cut. Connections are gone; connection 0 is made anew.
    pub fn restart(&mut self, power_cut: bool) {
        let own = self.machine();
        let node = own.node.take().unwrap();
        node.crash(&mut own.disk, power_cut, &mut own.chance);
        own.conns.clear();
        own.start();
        own.connect();
    }

    /// Connection 0 anew, for what has been idle too long.
    pub fn reconnect(&mut self) {
        let own = self.machine();
        own.conns.clear();
        own.connect();
    }

    /// Names of all files of a simulated node.
    pub fn files(&mut self) -> Vec<String> {
        self.machine().disk.names()
    }

    /// A name that is free on this broker.
    pub fn name(&self, stem: &str) -> String {
        static RIGS: AtomicU32 = AtomicU32::new(0);
        let count = self.names.replace(self.names.get() + 1);
        match self.is_own() {
            true => format!("{stem}-{count}"),
            false => format!("{stem}-{}-{}", std::process::id(), RIGS.fetch_add(1, Ordering::Relaxed)),
        }
    }

    /// A request frame; its correlation id is that of [`last`](Self::last).
    pub fn frame(&mut self, api: ApiKey, version: i16, body: impl FnOnce(&mut BytesMut)) -> Bytes {
        self.correlation += 1;
        let mut out = BytesMut::new();
        framed(&mut out, |out| {
            put_request_header(out, api, version, self.correlation, Some("behaviour"));
            body(out);
        });
        out.freeze()
    }

    /// Correlation id of the newest frame.
    pub fn last(&self) -> i32 {
        self.correlation
    }

    /// Sends on connection 0 and returns the body of the answer.
    #[track_caller]
    pub fn exchange(&mut self, api: ApiKey, version: i16, body: impl FnOnce(&mut BytesMut)) -> Bytes {
        let frame = self.frame(api, version, body);
        self.send(0, &frame);
        self.body(0, api, version, self.correlation)
    }

    /// The body of the next answer, which must come and belong to `correlation`.
    #[track_caller]
    pub fn body(&mut self, conn: Conn, api: ApiKey, version: i16, correlation: i32) -> Bytes {
        match self.came(conn, PATIENCE_MS) {
            Came::Frame(frame) => {
                let mut reader = Reader::new(&frame);
                assert_eq!(read_response_header(&mut reader, api, version).unwrap(), correlation);
                frame.slice(reader.position()..)
            }
            other => panic!("{api:?} v{version} was answered with {other:?}"),
        }
    }

    /// A control request and its answer.
    #[track_caller]
    pub fn ask<A: Api>(&mut self, version: i16, request: &A::Request) -> A::Response {
        let body = self.exchange(A::KEY, version, |out| A::encode_request(request, version, out));
        A::decode_response(version, &body).unwrap()
    }
}

impl Own {
    fn start(&mut self) {
        let faults = IoFaults::default();
        let node = Node::start(&self.config, &mut self.disk, &faults, self.now, &mut self.chance);
        self.node = Some(node.unwrap());
    }

    fn connect(&mut self) -> Conn {
        let shard = self.conns.len() % usize::from(self.config.shards);
        let node = self.node.as_mut().unwrap();
        let conn = node.connect(shard, self.conns.len(), self.now, &mut self.disk);
        self.conns.push((shard, conn));
        self.conns.len() - 1
    }

    fn send(&mut self, conn: Conn, bytes: &[u8]) {
        let (shard, conn) = self.conns[conn];
        self.node.as_mut().unwrap().nets[shard].send(conn, bytes);
    }

    fn came(&mut self, conn: Conn, within_ms: u64) -> Came {
        let (shard, conn) = self.conns[conn];
        let mut found = Came::Nothing;
        let end = self.now.mono_ns + within_ms * 1_000_000;
        self.run_until(end, STEP_NS, |node| {
            if let Some(frame) = node.nets[shard].take_reply(conn) {
                found = Came::Frame(frame);
            } else if !node.nets[shard].is_open(conn) {
                found = Came::End;
            }
            found != Came::Nothing
        });
        found
    }

    /// Runs events until the time, or until `done` says so. Bytes on their way to a shard are no timed event: they get there
    /// with the next step, which is at most `step_ns` long.
    fn run_until(&mut self, end_ns: u64, step_ns: u64, mut done: impl FnMut(&mut Node) -> bool) {
        let node = self.node.as_mut().unwrap();
        while !done(node) && self.now.mono_ns < end_ns {
            node.run(self.now, &mut self.disk);
            let (soonest, latest) = (self.now.mono_ns + 1_000, self.now.mono_ns.saturating_add(step_ns));
            let next = node.next_time(self.now.mono_ns).clamp(soonest, latest).min(end_ns);
            let before_ms = self.now.mono_ns / 1_000_000;
            self.now.mono_ns = next;
            self.now.wall_ms += (next / 1_000_000 - before_ms) as i64;
            assert_eq!(node.fatal(), None);
        }
    }
}

impl Other {
    fn came(&mut self, conn: Conn, within_ms: u64) -> Came {
        let (stream, buffer) = &mut self.conns[conn];
        stream
            .set_read_timeout(Some(Duration::from_millis(within_ms.max(1))))
            .unwrap();
        loop {
            if let Some(len) = buffer.first_chunk::<4>().map(|len| u32::from_be_bytes(*len) as usize)
                && buffer.len() >= 4 + len
            {
                buffer.advance(4);
                return Came::Frame(buffer.split_to(len).freeze());
            }
            let mut piece = [0; 65536];
            match stream.read(&mut piece) {
                Ok(0) => return Came::End,
                Ok(count) => buffer.extend_from_slice(&piece[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return Came::End,
                Err(_) => return Came::Nothing,
            }
        }
    }
}

/// Topics.
impl Rig {
    /// Creates one topic; its result.
    #[track_caller]
    pub fn create(&mut self, topic: CreatableTopic) -> CreatableTopicResult {
        let request = CreateTopicsRequest {
            topics: vec![topic],
            ..Default::default()
        };
        self.ask::<CreateTopics>(7, &request).topics.remove(0)
    }

    /// A new topic that takes writes.
    #[track_caller]
    pub fn topic(&mut self, partitions: i32, configs: &[(&str, &str)]) -> Topic {
        let name = self.name("topic");
        self.topic_named(&name, partitions, configs)
    }

    /// As [`topic`](Self::topic), with this name.
    #[track_caller]
    pub fn topic_named(&mut self, name: &str, partitions: i32, configs: &[(&str, &str)]) -> Topic {
        let created = self.create(creatable(name, partitions, configs));
        assert_eq!(created.error, ErrorCode::None, "{:?}", created.error_message);
        let topic = Topic {
            name: name.to_string(),
            id: created.topic_id,
        };
        for partition in 0..partitions {
            // Kafka answers before its partitions have a leader.
            while !self.is_own() && self.offset(&topic, partition, -1).0 != ErrorCode::None {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        topic
    }
}

/// A topic to create.
pub fn creatable(name: &str, num_partitions: i32, configs: &[(&str, &str)]) -> CreatableTopic {
    let config = |(name, value): &(&str, &str)| CreatableTopicConfig {
        name: name.to_string(),
        value: Some(value.to_string()),
    };
    CreatableTopic {
        name: name.into(),
        num_partitions,
        configs: configs.iter().map(config).collect(),
        ..Default::default()
    }
}

/// Writing.
impl Rig {
    /// Sends a Produce request without waiting.
    pub fn send_produce(&mut self, conn: Conn, version: i16, acks: i16, topic: &Topic, parts: &[(i32, &[u8])]) -> i32 {
        let parts = parts.iter().map(|(index, records)| ProducePartition {
            index: *index,
            records: Some(records),
        });
        let parts: Vec<_> = parts.collect();
        let frame = self.frame(ApiKey::Produce, version, |out| {
            let topics: [ProduceTopicData; 1] = [(topic.reference(version), &parts)];
            encode_request(version, (None, acks, 10_000), &topics, out);
        });
        self.send(conn, &frame);
        self.correlation
    }

    /// The answer to a Produce request.
    #[track_caller]
    pub fn produced(&mut self, conn: Conn, version: i16, correlation: i32) -> ProduceResponse {
        let body = self.body(conn, ApiKey::Produce, version, correlation);
        ProduceResponse::decode(version, &body).unwrap()
    }

    /// Writes to partitions of a topic; what each answers, in the order asked.
    #[track_caller]
    pub fn produce_all(
        &mut self,
        version: i16,
        acks: i16,
        topic: &Topic,
        parts: &[(i32, &[u8])],
    ) -> Vec<ProducePartitionResponse> {
        let correlation = self.send_produce(0, version, acks, topic, parts);
        let mut response = self.produced(0, version, correlation);
        let answers = std::mem::take(&mut response.topics[0].partitions);
        let by_index: BTreeMap<i32, _> = answers.into_iter().map(|answer| (answer.index, answer)).collect();
        parts.iter().map(|(index, _)| by_index[index].clone()).collect()
    }

    /// Writes one batch to partition 0 with acks=all.
    #[track_caller]
    pub fn produce(&mut self, topic: &Topic, batch: &[u8]) -> ProducePartitionResponse {
        self.produce_all(9, -1, topic, &[(0, batch)]).remove(0)
    }

    /// Writes one batch to partition 0, which must succeed; its base offset.
    #[track_caller]
    pub fn written(&mut self, topic: &Topic, batch: &[u8]) -> i64 {
        let answer = self.produce(topic, batch);
        assert_eq!(answer.error, ErrorCode::None, "{:?}", answer.error_message);
        answer.base_offset
    }
}

impl Topic {
    /// As Produce names it in this version.
    pub fn reference(&self, version: i16) -> TopicRef<'_> {
        match version >= 13 {
            true => TopicRef::Id(self.id),
            false => TopicRef::Name(&self.name),
        }
    }

    /// Partitions of this topic in a Fetch, each from an offset.
    pub fn wanted(&self, offsets: &[(i32, i64)]) -> FetchRequestTopic {
        let partition = |(index, fetch_offset): &(i32, i64)| FetchRequestPartition {
            index: *index,
            fetch_offset: *fetch_offset,
            max_bytes: 1 << 20,
            ..Default::default()
        };
        FetchRequestTopic {
            topic: self.name.clone(),
            topic_id: self.id,
            partitions: offsets.iter().map(partition).collect(),
        }
    }
}

/// Reading.
impl Rig {
    /// Sends a Fetch without waiting.
    pub fn send_fetch(&mut self, conn: Conn, version: i16, request: &FetchRequest) -> i32 {
        let frame = self.frame(ApiKey::Fetch, version, |out| request.encode(version, out));
        self.send(conn, &frame);
        self.correlation
    }

    /// The answer to a Fetch.
    #[track_caller]
    pub fn fetched(&mut self, conn: Conn, version: i16, correlation: i32) -> FetchResponse {
        let body = self.body(conn, ApiKey::Fetch, version, correlation);
        FetchResponse::decode(version, &body).unwrap()
    }

    /// A Fetch and its answer.
    #[track_caller]
    pub fn fetch_all(&mut self, version: i16, request: &FetchRequest) -> FetchResponse {
        let correlation = self.send_fetch(0, version, request);
        self.fetched(0, version, correlation)
    }

    /// Reads partition 0 from an offset, at once and without a session.
    #[track_caller]
    pub fn fetch(&mut self, topic: &Topic, offset: i64) -> FetchPartition {
        let mut response = self.fetch_all(12, &at_once(vec![topic.wanted(&[(0, offset)])]));
        response.topics.remove(0).partitions.remove(0)
    }

    /// Bytes of partition 0 from an offset.
    #[track_caller]
    pub fn bytes(&mut self, topic: &Topic, offset: i64) -> Vec<u8> {
        let partition = self.fetch(topic, offset);
        assert_eq!(partition.error, ErrorCode::None);
        partition.records.concat()
    }

    /// ListOffsets in its newest version: error, timestamp, offset, leader epoch.
    #[track_caller]
    pub fn offset(&mut self, topic: &Topic, index: i32, timestamp: i64) -> (ErrorCode, i64, i64, i32) {
        let partition = ListOffsetsPartition {
            index,
            timestamp,
            ..Default::default()
        };
        let request = ListOffsetsRequest {
            topics: vec![ListOffsetsTopic {
                name: topic.name.clone(),
                partitions: vec![partition],
            }],
            timeout_ms: 1000,
            ..Default::default()
        };
        let response = self.ask::<ListOffsets>(11, &request);
        let found = &response.topics[0].partitions[0];
        (found.error, found.timestamp, found.offset, found.leader_epoch)
    }
}

/// A Fetch without session that does not wait.
pub fn at_once(topics: Vec<FetchRequestTopic>) -> FetchRequest {
    FetchRequest {
        max_bytes: 50 << 20,
        min_bytes: 1,
        topics,
        ..Default::default()
    }
}

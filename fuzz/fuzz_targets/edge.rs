//! One connection's bytes into a whole production shard on a simulated disk, in pieces: nothing panics, memory stays in
//! proportion to what was sent, and another connection is served as if nothing had happened.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use ringlog::base::ids::{ConnId, Now};
use ringlog::metrics::MemoryKind;
use ringlog::partition::clean::CleanerConfig;
use ringlog::sim::disk::SimDisk;
use ringlog::sim::io::IoFaults;
use ringlog::sim::node::{Node, NodeConfig};
use ringlog::sim::prng::Prng;
use ringlog::wire::api::ApiKey;
use ringlog::wire::batch::patch_crc;
use ringlog::wire::control::api_versions::ApiVersions;
use ringlog::wire::control::create_topics::{CreatableTopic, CreateTopics, CreateTopicsRequest};
use ringlog::wire::header::RequestHeader;
use ringlog::wire::message::request_frame;
use ringlog::wire::produce::ProduceRequest;
use ringlog_fuzz::Draw;
use std::sync::OnceLock;

/// Topics that the golden requests name.
const TOPICS: [&str; 3] = ["topic", "a", "longer-text"];
/// Session memory without a client, and for each byte sent: a frame's first buffer is at most 16 times what has come, answers
/// name each thing asked for.
const MEMORY_MIN: u64 = 256 << 10;
const MEMORY_FACTOR: u64 = 256;

struct Machine {
    node: Node,
    disk: SimDisk,
    now: Now,
    /// Most session memory seen.
    memory: u64,
}

impl Machine {
    fn start(mut disk: SimDisk, seed: u64) -> Machine {
        let config = NodeConfig {
            shards: 1,
            journal_file: 256 << 10,
            journal_files: 3,
            inflight: 2,
            chunk: 64 << 10,
            cache: 128 << 10,
            destage: 1 << 10,
            window: 16 << 10,
            segment: 64 << 10,
            retention_check_ms: 50,
            coordinators: 1,
            open_segments: 4,
            mark_after_ms: 20,
            cleaner: CleanerConfig::default(),
        };
        let now = Now {
            mono_ns: 1_000_000,
            wall_ms: 1_800_000_000_000,
        };
        let node = Node::start(&config, &mut disk, &IoFaults::default(), now, &mut Prng::new(seed));
        Machine {
            node: node.expect("the disk is fine"),
            disk,
            now,
            memory: 0,
        }
    }

    fn connect(&mut self, client: usize) -> ConnId {
        self.node.connect(0, client, self.now, &mut self.disk)
    }

    /// Lets time pass.
    fn run_ms(&mut self, ms: u64) {
        let end = self.now.mono_ns + ms * 1_000_000;
        while self.now.mono_ns < end {
            let next = self.node.next_time(self.now.mono_ns).min(end);
            self.now.mono_ns = next + 1_000;
            self.node.run(self.now, &mut self.disk);
            let used = self.node.shards[0].metrics().memory(MemoryKind::Sessions);
            self.memory = self.memory.max(used);
        }
        assert_eq!(self.node.fatal(), None);
    }

    fn ask(&mut self, conn: ConnId, request: &[u8]) -> Option<bytes::Bytes> {
        self.node.nets[0].send(conn, request);
        for _ in 0..100 {
            self.run_ms(5);
            if let Some(reply) = self.node.nets[0].take_reply(conn) {
                return Some(reply);
            }
        }
        None
    }
}

/// A disk with topics, as a node that was killed has left it.
fn disk() -> &'static SimDisk {
    static DISK: OnceLock<SimDisk> = OnceLock::new();
    DISK.get_or_init(|| {
        let mut machine = Machine::start(SimDisk::new(1 << 30), 1);
        let conn = machine.connect(0);
        let topic = |name: &&str| CreatableTopic {
            name: name.to_string(),
            num_partitions: 2,
            replication_factor: 1,
            ..Default::default()
        };
        let request = CreateTopicsRequest {
            topics: TOPICS.iter().map(topic).collect(),
            ..Default::default()
        };
        let request = request_frame::<CreateTopics>(&request, 5, 1, None);
        machine.ask(conn, &request).expect("topics are created");
        let Machine { node, mut disk, .. } = machine;
        node.crash(&mut disk, false, &mut Prng::new(2));
        disk
    })
}

/// Makes the batches of a produce request right, or nothing would get past their checksum.
fn repair(frame: &mut [u8]) {
    let mut places = Vec::new();
    let start = frame.as_ptr() as usize;
    if let Ok(header) = RequestHeader::parse(frame)
        && header.api_key == ApiKey::Produce
        && let Ok(request) = ProduceRequest::decode(header.api_version, header.body)
    {
        let records = request
            .topics()
            .flat_map(|topic| topic.partitions())
            .filter_map(|part| part.records);
        places.extend(records.map(|bytes| (bytes.as_ptr() as usize - start, bytes.len())));
    }
    for (at, len) in places.into_iter().filter(|(_, len)| *len >= 61) {
        let batch = &mut frame[at..at + len];
        batch[8..12].copy_from_slice(&(len as i32 - 12).to_be_bytes());
        patch_crc(batch);
    }
}

/// The stream: frames whose lengths are right, or anything.
fn stream(draw: &mut Draw) -> BytesMut {
    let mut out = BytesMut::new();
    while !draw.is_empty() {
        let len = usize::from(draw.short());
        if len == usize::from(u16::MAX) {
            out.extend_from_slice(draw.rest());
            return out;
        }
        let mut frame = draw.bytes(len).to_vec();
        repair(&mut frame);
        out.extend_from_slice(&(frame.len() as u32).to_be_bytes());
        out.extend_from_slice(&frame);
    }
    out
}

fuzz_target!(|input: &[u8]| {
    let mut draw = Draw::new(input);
    let mut machine = Machine::start(disk().clone(), u64::from(draw.byte()));
    let (noisy, quiet) = (machine.connect(0), machine.connect(1));
    let stream = stream(&mut draw);
    machine.node.nets[0].send(noisy, &stream);
    machine.run_ms(20);
    let allowed = MEMORY_MIN + MEMORY_FACTOR * stream.len() as u64;
    let request = request_frame::<ApiVersions>(&Default::default(), 0, 77, None);
    let reply = machine.ask(quiet, &request).expect("the other connection is served");
    assert_eq!(reply[..4], 77i32.to_be_bytes());
    assert!(
        machine.memory <= allowed,
        "{} bytes of memory for {} sent",
        machine.memory,
        stream.len()
    );
});

//! A tiny broker for tests of the reactor: each frame is journaled by the shard it names and then echoed.
//!
//! Frame: 4 bytes length (big-endian, of what follows), 1 byte target shard, payload. Answer: 4 bytes length, payload; on a
//! failed journal write the connection is closed. A payload of "boom" makes the machine fatal.

use super::machine::Machine;
use crate::base::buf::{BLOCK, ChunkWriter, block_ceil};
use crate::base::effect::{Effect, FilePath, Job, JobResult};
use crate::base::ids::{ConnId, FileId, IoKey, JobKey, Now, PartitionId, ShardId, TopicId};
use crate::base::slab::{Slab, SlabKey};
use crate::metrics::ShardMetrics;
use crate::partition::request::{OwnerReply, OwnerRequest, ProducePart, ProduceResult, ReplyTo};
use crate::shard::event::{Event, ShardMessage};
use crate::shard::out::Out;
use crate::wire::error::ErrorCode;
use bytes::{Buf, Bytes, BytesMut};
use std::collections::{BTreeMap, VecDeque};

pub const JOURNAL: FileId = FileId(1);
const CHUNK: usize = 8 << 20;

#[derive(Default)]
struct Conn {
    /// Bytes of an incomplete frame.
    partial: BytesMut,
    /// Answers in the order of the frames; `None` = not durable yet.
    answers: VecDeque<(SlabKey, Option<Vec<Bytes>>)>,
    sending: bool,
    closing: bool,
}

pub struct Toy {
    id: ShardId,
    conns: BTreeMap<ConnId, Conn>,
    waiting: Slab<(ConnId, Bytes)>,
    staged: Vec<(ReplyTo, Bytes)>,
    writing: BTreeMap<IoKey, Vec<ReplyTo>>,
    next_key: u64,
    journal_at: u64,
    journal_len: u64,
    inflight_max: usize,
    metrics: ShardMetrics,
    fatal: Option<String>,
    draining: bool,
    pub jobs_done: Vec<JobResult>,
    pub ticks: u64,
    pub deadline: Option<u64>,
    pub reads: Vec<Result<Bytes, i32>>,
    pub synced: u64,
    first_jobs: Vec<Job>,
    /// Writes whole payloads straight through: read back and synced after each write.
    pub paranoid: bool,
    reopen: bool,
    opening: bool,
    journal: FileId,
}

impl Toy {
    pub fn new(id: u16, journal_len: u64) -> Toy {
        Toy {
            id: ShardId(id),
            conns: BTreeMap::new(),
            waiting: Slab::default(),
            staged: Vec::new(),
            writing: BTreeMap::new(),
            next_key: 0,
            journal_at: 0,
            journal_len,
            inflight_max: 2,
            metrics: ShardMetrics::default(),
            fatal: None,
            draining: false,
            jobs_done: Vec::new(),
            ticks: 0,
            deadline: None,
            reads: Vec::new(),
            synced: 0,
            first_jobs: Vec::new(),
            paranoid: false,
            reopen: false,
            opening: false,
            journal: JOURNAL,
        }
    }

    pub fn with_jobs(mut self, jobs: Vec<Job>) -> Toy {
        self.first_jobs = jobs;
        self
    }

    /// Opens its journal by a job at the first frame, in place of the one it started with.
    pub fn opening(id: u16, journal_len: u64) -> Toy {
        let mut toy = Toy::new(id, journal_len);
        toy.reopen = true;
        toy
    }

    fn key(&mut self) -> IoKey {
        self.next_key += 1;
        IoKey(self.next_key)
    }

    fn take_bytes(&mut self, id: ConnId, mut data: Bytes, out: &mut Out) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if !conn.partial.is_empty() {
            conn.partial.extend_from_slice(&data);
            data = std::mem::take(&mut conn.partial).freeze();
        }
        let mut frames = Vec::new();
        while data.len() >= 4 && data.len() - 4 >= length(&data) {
            let len = length(&data);
            data.advance(4);
            frames.push(data.split_to(len));
        }
        let missing = if data.len() >= 4 {
            4 + length(&data) - data.len()
        } else {
            1
        };
        conn.partial = BytesMut::from(&data[..]);
        if missing > 1 << 10 {
            let mut buf = std::mem::take(&mut conn.partial);
            buf.reserve(missing);
            out.effects.push(Effect::RecvInto { conn: id, buf });
        } else {
            out.effects.push(Effect::Recv { conn: id });
        }
        frames.into_iter().for_each(|frame| self.on_frame(id, frame, out));
    }

    fn on_frame(&mut self, id: ConnId, mut frame: Bytes, out: &mut Out) {
        let to = ShardId(u16::from(frame.get_u8()));
        if &frame[..] == b"boom" {
            self.fatal = Some("boom".into());
        }
        let op = self.waiting.insert((id, frame.clone()));
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.answers.push_back((op, None));
        }
        let reply = ReplyTo {
            desk: crate::partition::request::Desk::Edge,
            shard: self.id,
            op,
            part: 0,
        };
        if to == self.id {
            self.staged.push((reply, frame));
            return;
        }
        let part = ProducePart {
            partition: PartitionId {
                topic: TopicId::ZERO,
                partition: 0,
            },
            records: frame,
            version: 0,
            wants_ack: true,
        };
        let request = OwnerRequest::Produce(part);
        out.messages.push((to, ShardMessage::Request { reply, request }));
    }

    fn on_message(&mut self, message: ShardMessage) {
        match message {
            ShardMessage::Request {
                reply,
                request: OwnerRequest::Produce(part),
            } => self.staged.push((reply, part.records)),
            ShardMessage::Reply {
                reply,
                answer: OwnerReply::Produce(result),
            } => self.on_answer(reply, result.error == ErrorCode::None),
            other => panic!("the toy does not say {other:?}"),
        }
    }

    fn on_written(&mut self, key: IoKey, result: Result<(), i32>, out: &mut Out) {
        let Some(replies) = self.writing.remove(&key) else {
            return;
        };
        for reply in replies {
            if reply.shard == self.id {
                self.on_answer(reply, result.is_ok());
                continue;
            }
            let answer = ProduceResult {
                error: if result.is_ok() {
                    ErrorCode::None
                } else {
                    ErrorCode::KafkaStorageError
                },
                base_offset: 0,
                log_append_time_ms: -1,
                log_start_offset: 0,
                record_errors: Vec::new(),
                error_message: None,
            };
            let answer = OwnerReply::Produce(answer);
            out.messages.push((reply.shard, ShardMessage::Reply { reply, answer }));
        }
    }

    fn on_answer(&mut self, reply: ReplyTo, fine: bool) {
        let Some((id, payload)) = self.waiting.remove(reply.op) else {
            panic!("answered twice");
        };
        let Some(conn) = self.conns.get_mut(&id) else { return };
        conn.closing |= !fine;
        let head = Bytes::copy_from_slice(&(payload.len() as u32).to_be_bytes());
        if let Some(slot) = conn.answers.iter_mut().find(|(op, _)| *op == reply.op) {
            slot.1 = Some(vec![head, payload]);
        }
    }

    fn send_answers(&mut self, out: &mut Out) {
        for (id, conn) in &mut self.conns {
            if conn.sending || conn.closing {
                continue;
            }
            let mut data = Vec::new();
            while let Some((_, Some(parts))) = conn.answers.front_mut() {
                data.append(parts);
                conn.answers.pop_front();
            }
            if !data.is_empty() {
                conn.sending = true;
                out.effects.push(Effect::Send { conn: *id, data });
            }
        }
        let closing: Vec<ConnId> = self
            .conns
            .iter()
            .filter(|(_, conn)| conn.closing)
            .map(|(id, _)| *id)
            .collect();
        closing.into_iter().for_each(|id| self.close(id, out));
    }

    fn close(&mut self, id: ConnId, out: &mut Out) {
        if self.conns.remove(&id).is_some() {
            out.effects.push(Effect::Close { conn: id });
        }
    }

    fn write_block(&mut self, out: &mut Out) {
        if self.staged.is_empty() || self.opening || self.writing.len() >= self.inflight_max {
            return;
        }
        let staged = std::mem::take(&mut self.staged);
        let total = block_ceil(staged.iter().map(|(_, payload)| payload.len()).sum::<usize>().max(1));
        let mut chunk = ChunkWriter::new(total.max(CHUNK.min(total)));
        staged.iter().for_each(|(_, payload)| chunk.append(payload));
        chunk.skip(total - chunk.filled());
        let data = chunk.freeze(0, total);
        if self.journal_at + total as u64 > self.journal_len {
            self.journal_at = 0;
        }
        let key = self.key();
        let at = self.journal_at;
        self.journal_at += total as u64;
        self.writing
            .insert(key, staged.into_iter().map(|(reply, _)| reply).collect());
        out.effects.push(Effect::Write {
            key,
            file: self.journal,
            at,
            data,
            durable: true,
        });
        if self.paranoid {
            let (sync, read) = (self.key(), self.key());
            out.effects.push(Effect::Sync {
                key: sync,
                file: JOURNAL,
            });
            out.effects.push(Effect::Read {
                key: read,
                file: JOURNAL,
                at: at + total as u64 - BLOCK as u64,
                len: 4 * BLOCK as u32,
            });
        }
    }
}

impl Machine for Toy {
    fn step(&mut self, now: Now, event: Event, out: &mut Out) {
        match event {
            Event::Accepted { conn, .. } => {
                self.metrics.accepted += 1;
                self.conns.insert(conn, Conn::default());
                out.effects.push(Effect::Recv { conn });
            }
            Event::Received { conn, data } => self.take_bytes(conn, data, out),
            Event::ReceivedInto { conn, buf } => self.take_bytes(conn, buf.freeze(), out),
            Event::Closed { conn, .. } => self.close(conn, out),
            Event::Sent { conn, result } => {
                if let Some(open) = self.conns.get_mut(&conn) {
                    open.sending = false;
                    open.closing |= result.is_err();
                }
            }
            Event::Written { key, result } => self.on_written(key, result, out),
            Event::Read { result, .. } => self.reads.push(result),
            Event::Synced { result, .. } => self.synced += u64::from(result.is_ok()),
            Event::JobDone { result, .. } => {
                if std::mem::take(&mut self.opening) {
                    self.journal = FileId(2);
                    out.effects.push(Effect::CloseFile { file: JOURNAL });
                }
                self.jobs_done.push(result);
            }
            Event::Message(message) => self.on_message(message),
            Event::Tick => {
                self.ticks += 1;
                assert!(
                    self.deadline.take().is_some_and(|at| at <= now.mono_ns),
                    "no tick before its time"
                );
            }
            Event::Drain => self.draining = true,
        }
    }

    fn settle(&mut self, _now: Now, out: &mut Out) {
        for job in std::mem::take(&mut self.first_jobs) {
            let key = JobKey(self.key().0);
            out.effects.push(Effect::Job { key, job });
        }
        if !self.staged.is_empty() && std::mem::take(&mut self.reopen) {
            self.opening = true;
            let (key, path) = (JobKey(self.key().0), FilePath("journal-2".into()));
            let job = Job::Open { file: FileId(2), path };
            out.effects.push(Effect::Job { key, job });
        }
        self.write_block(out);
        self.send_answers(out);
    }

    fn next_deadline(&self) -> Option<u64> {
        self.deadline
    }

    fn metrics(&mut self) -> &mut ShardMetrics {
        self.metrics.connections = self.conns.len() as u64;
        &mut self.metrics
    }

    fn fatal(&self) -> Option<&str> {
        self.fatal.as_deref()
    }

    fn drained(&self) -> bool {
        self.draining && self.writing.is_empty() && self.conns.values().all(|conn| !conn.sending)
    }
}

fn length(data: &[u8]) -> usize {
    data.first_chunk().map_or(0, |head| u32::from_be_bytes(*head) as usize)
}

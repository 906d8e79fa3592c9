//! Reads a topic from its start to its end as fast as the broker gives it, batch by batch.
//!
//! One thread and plain blocking sockets: each connection has one Fetch outstanding while the others' answers are
//! processed, and large reads cost one system call each. Checks offsets always; what to do with records is the caller's.

use crate::control::{Control, Leader, is_leader_unsettled};
use crate::payload::Batch;
use crate::proto::{FETCH, Reader, error_name};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long the broker may give nothing before the end is declared unreachable.
const STALL_LIMIT: Duration = Duration::from_secs(30);

/// Limits and shape of the fetches; the defaults are those of Kafka's own consumer.
#[derive(Clone, Debug)]
pub struct FetchShape {
    /// Connections; partitions are spread over them.
    pub connections: usize,
    /// Partitions the topic must have before reading starts: a broker that has just started may not show all yet.
    pub partitions_min: u32,
    /// Most bytes of one answer (`fetch.max.bytes`).
    pub answer_bytes_max: i32,
    /// Most bytes of one partition in it (`max.partition.fetch.bytes`).
    pub partition_bytes_max: i32,
}

/// What was read.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Bytes of record batches.
    pub batch_bytes: u64,
    /// Batches.
    pub batches: u64,
    /// Records as counted by their batches.
    pub records: u64,
    /// Batches whose base offset is not the one after the last.
    pub offset_breaks: u64,
    /// Fetch answers.
    pub answers: u64,
}

impl Totals {
    /// Adds another reading.
    pub fn add(&mut self, other: &Totals) {
        self.batch_bytes += other.batch_bytes;
        self.batches += other.batches;
        self.records += other.records;
        self.offset_breaks += other.offset_breaks;
        self.answers += other.answers;
    }
}

struct Position {
    partition: u32,
    next: i64,
    end: i64,
}

struct Stream {
    control: Control,
    todo: VecDeque<Position>,
    body: Vec<u8>,
}

/// Reads every partition of `topic` from the first offset to the end as it is now; `each` sees every batch once.
///
/// # Errors
/// Socket errors, Kafka errors, malformed answers, an end that is not reached within 30 s without progress, and
/// whatever `each` returns.
pub fn consume(
    bootstrap: SocketAddr,
    topic: &str,
    shape: &FetchShape,
    each: &mut dyn FnMut(u32, &Batch<'_>) -> io::Result<()>,
) -> io::Result<Totals> {
    let leaders = Control::connect(bootstrap)?.await_leaders(topic, shape.partitions_min)?;
    let mut streams = open_streams(topic, &leaders, shape.connections)?;
    let mut totals = Totals::default();
    for stream in &mut streams {
        stream.ask(topic, shape)?;
    }
    let mut progress_at = Instant::now();
    while !streams.is_empty() {
        let before = totals.batches;
        for stream in &mut streams {
            stream.take(&mut totals, each)?;
            stream.ask(topic, shape)?;
        }
        streams.retain(|s| !s.todo.is_empty());
        if totals.batches > before {
            progress_at = Instant::now();
        } else if progress_at.elapsed() > STALL_LIMIT {
            let stuck = streams.iter().flat_map(|s| &s.todo).next();
            let text = stuck.map(|p| format!("partition {} stays at offset {} of {}", p.partition, p.next, p.end));
            return Err(io::Error::new(io::ErrorKind::TimedOut, text.unwrap_or_default()));
        }
    }
    Ok(totals)
}

fn open_streams(topic: &str, leaders: &[Leader], connections: usize) -> io::Result<Vec<Stream>> {
    let mut by_address: BTreeMap<SocketAddr, Vec<u32>> = BTreeMap::new();
    for leader in leaders {
        by_address.entry(leader.at).or_default().push(leader.partition);
    }
    let share = connections.div_ceil(by_address.len()).max(1);
    let mut streams = Vec::new();
    for (at, partitions) in by_address {
        for n in 0..share.min(partitions.len()) {
            let mine: Vec<u32> = partitions.iter().copied().skip(n).step_by(share).collect();
            let mut control = Control::connect(at)?;
            let starts = control.offsets(topic, &mine, -2)?;
            let ends = control.offsets(topic, &mine, -1)?;
            let all = mine.iter().zip(starts.iter().zip(ends));
            let todo = all
                .map(|(partition, (next, end))| Position {
                    partition: *partition,
                    next: *next,
                    end,
                })
                .filter(|p| p.next < p.end)
                .collect::<VecDeque<_>>();
            if !todo.is_empty() {
                streams.push(Stream {
                    control,
                    todo,
                    body: Vec::new(),
                });
            }
        }
    }
    Ok(streams)
}

impl Stream {
    fn ask(&mut self, topic: &str, shape: &FetchShape) -> io::Result<()> {
        if self.todo.is_empty() {
            return Ok(());
        }
        let mut w = self.control.request(FETCH, 11);
        w.i32(-1)
            .i32(500)
            .i32(1)
            .i32(shape.answer_bytes_max)
            .i8(0)
            .i32(0)
            .i32(-1);
        w.i32(1).string(topic).i32(self.todo.len() as i32);
        for p in &self.todo {
            w.i32(p.partition as i32)
                .i32(-1)
                .i64(p.next)
                .i64(-1)
                .i32(shape.partition_bytes_max);
        }
        w.i32(0).string("");
        self.control.send(w)
    }

    fn take(&mut self, totals: &mut Totals, each: &mut dyn FnMut(u32, &Batch<'_>) -> io::Result<()>) -> io::Result<()> {
        self.control.receive(&mut self.body)?;
        totals.answers += 1;
        let mut r = Reader(&self.body);
        r.i32()?;
        refuse(r.i16()?, "Fetch")?;
        r.i32()?;
        for _ in 0..r.count()? {
            r.string()?;
            for _ in 0..r.count()? {
                let (partition, error) = (r.i32()?, r.i16()?);
                if is_leader_unsettled(error) {
                    std::thread::sleep(Duration::from_millis(5));
                } else {
                    refuse(error, "Fetch of a partition")?;
                }
                r.take(24)?;
                let aborted = r.count()?;
                r.take(aborted.saturating_mul(16))?;
                r.i32()?;
                let len = r.i32()?.max(0) as usize;
                let records = r.take(len)?;
                read_partition(&mut self.todo, partition as u32, records, totals, each)?;
            }
        }
        self.todo.retain(|p| p.next < p.end);
        Ok(())
    }
}

fn read_partition(
    todo: &mut VecDeque<Position>,
    partition: u32,
    mut records: &[u8],
    totals: &mut Totals,
    each: &mut dyn FnMut(u32, &Batch<'_>) -> io::Result<()>,
) -> io::Result<()> {
    let Some(at) = todo.iter().position(|p| p.partition == partition) else {
        return Err(io::Error::other(format!(
            "Fetch answered partition {partition}, which was not asked for"
        )));
    };
    let before = records.len();
    let Some(mut position) = todo.remove(at) else {
        return Ok(());
    };
    let start = position.next;
    while let Some(batch) = Batch::next(&mut records)? {
        if batch.base_offset != position.next || batch.last_delta != batch.count - 1 {
            totals.offset_breaks += 1;
        }
        let last = batch.base_offset + i64::from(batch.last_delta);
        position.next = position.next.max(last + 1);
        totals.batches += 1;
        totals.records += batch.count.max(0) as u64;
        each(partition, &batch)?;
    }
    totals.batch_bytes += (before - records.len()) as u64;
    // Partitions that gave bytes go to the back: an answer is filled in the order of the request.
    if position.next > start {
        todo.push_back(position)
    } else {
        todo.push_front(position)
    }
    Ok(())
}

fn refuse(error: i16, what: &str) -> io::Result<()> {
    if error == 0 {
        Ok(())
    } else {
        Err(io::Error::other(format!("{what}: {}", error_name(error))))
    }
}

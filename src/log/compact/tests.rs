//! The cleaner against a model: random logs, random sizes, many runs; what must stay stays, what must go goes.

use super::output::Output;
use super::{Cleaner, Order};
use crate::base::compaction::{Compacted, Compaction, SourceSegment};
use crate::base::ids::{PartitionId, TopicId};
use crate::log::segment::{StoredFrame, compacted_paths, read_stretch};
use crate::wire::batch::{BatchBuilder, BatchInfo, BatchView, LOG_APPEND_TIME};
use crate::wire::compress::Compression;
use crate::wire::record::{Header, Records};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};

const PART: PartitionId = PartitionId {
    topic: TopicId([7; 16]),
    partition: 3,
};
const RETENTION_MS: i64 = 1_000;

type Files = BTreeMap<String, Vec<u8>>;

/// SplitMix64; the simulator's is above this layer.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n.max(1)
    }
}

/// Carries out orders on files in memory.
fn carry_out(orders: &mut VecDeque<Order>, files: &mut Files, output: &mut Vec<u8>) {
    for order in orders.drain(..) {
        match order {
            Order::Create { .. } => output.clear(),
            Order::Write { at, data } => {
                assert_eq!(at as usize, output.len(), "no byte is written twice");
                output.extend_from_slice(&data);
            }
            Order::Finish { path, .. } => {
                let before = files.insert(path.0, std::mem::take(output));
                assert!(before.is_none(), "no file is replaced");
            }
            _ => panic!("{order:?}"),
        }
    }
}

fn run(spec: Compaction, files: &mut Files) -> Result<Compacted, String> {
    let mut cleaner = Cleaner::new(spec);
    let (mut given, mut output) = (None, Vec::new());
    loop {
        match cleaner.next(given.take())? {
            Order::Read { path, at, len } => {
                let range = at as usize..at as usize + len;
                let bytes = files.get(&path.0).and_then(|file| file.get(range));
                given = Some(Bytes::copy_from_slice(bytes.expect("reads stay inside of the file")));
            }
            Order::Pause => {}
            Order::Done(done) => return Ok(*done),
            order => carry_out(&mut VecDeque::from([order]), files, &mut output),
        }
    }
}

/// A segment file with these batches.
fn segment(files: &mut Files, base_offset: i64, life: u64, batches: &[Vec<u8>]) -> SourceSegment {
    let mut orders = VecDeque::new();
    let mut output = Output::new(PART, base_offset, life, &mut orders);
    for batch in batches {
        let max_timestamp = BatchInfo::peek(batch).map(|info| info.max_timestamp);
        output.put(batch, 0, max_timestamp).expect("a batch");
    }
    let made = output.finish(&mut orders);
    carry_out(&mut orders, files, &mut Vec::new());
    let [path, _] = compacted_paths(PART, base_offset, life);
    SourceSegment {
        path,
        base_offset,
        end_offset: made.end_offset,
        size: made.size,
    }
}

fn frames(files: &Files, segment: &SourceSegment) -> Vec<StoredFrame> {
    let bytes = Bytes::copy_from_slice(&files[&segment.path.0]);
    assert_eq!(bytes.len() as u64, segment.size);
    let stretch = read_stretch(PART, &bytes, 0, 0, Some(segment.base_offset));
    assert_eq!((stretch.fault, stretch.next_position), (None, segment.size));
    let end = stretch
        .frames
        .last()
        .map_or(segment.base_offset, |f| f.frame.last_offset + 1);
    assert_eq!(end, segment.end_offset, "frames account for every offset");
    stretch.frames
}

fn spec(sources: &[SourceSegment], life: u64, now_ms: i64) -> Compaction {
    Compaction {
        partition: PART,
        dirty: sources.to_vec(),
        map_from: sources.first().map_or(0, |s| s.base_offset),
        map_to: sources.last().map_or(0, |s| s.end_offset),
        sources: sources.to_vec(),
        life,
        map_bytes: 1 << 20,
        chunk_bytes: 64 << 10,
        segment_bytes: 1 << 20,
        now_ms,
        delete_retention_ms: RETENTION_MS,
        producers: Vec::new(),
        keep_free: 0,
        bytes_per_second: 0,
    }
}

/// A record as the model knows it.
#[derive(Clone, PartialEq, Debug)]
struct Model {
    key: Vec<u8>,
    value: Option<Vec<u8>>,
    timestamp: i64,
    header: Vec<u8>,
}

struct Rig {
    chance: Chance,
    files: Files,
    segments: Vec<SourceSegment>,
    log: BTreeMap<i64, Model>,
    /// Extent, codec and producer of each batch, by base offset.
    batches: BTreeMap<i64, BatchInfo>,
    producers: BTreeMap<i64, i64>,
    next: i64,
    cleaned_end: i64,
    now_ms: i64,
    life: u64,
}

impl Rig {
    fn new(seed: u64) -> Rig {
        Rig {
            chance: Chance(seed),
            files: Files::new(),
            segments: Vec::new(),
            log: BTreeMap::new(),
            batches: BTreeMap::new(),
            producers: BTreeMap::new(),
            next: 0,
            cleaned_end: 0,
            now_ms: 1_000_000,
            life: 0,
        }
    }

    fn append_segment(&mut self) {
        let base_offset = self.next;
        let count = 1 + self.chance.below(12);
        let batches: Vec<Vec<u8>> = (0..count).map(|_| self.batch()).collect();
        self.life += 1;
        let made = segment(&mut self.files, base_offset, self.life, &batches);
        self.segments.push(made);
    }

    fn batch(&mut self) -> Vec<u8> {
        let producer = self.chance.below(4) as i64;
        let codec = Compression::ALL[self.chance.below(5) as usize];
        let append_time = self.chance.below(4) == 0;
        let mut builder = BatchBuilder::new().at(self.next, 0).codec(codec);
        if producer > 0 {
            builder = builder.producer(producer, 0, self.next as i32);
        }
        if append_time {
            builder = builder.attributes(LOG_APPEND_TIME);
        }
        for _ in 0..1 + self.chance.below(6) {
            self.now_ms += self.chance.below(20) as i64;
            let key = format!("key-{}", self.chance.below(25)).into_bytes();
            let is_long = self.chance.below(20) == 0;
            let len = self.chance.below(if is_long { 9_000 } else { 90 });
            let value = (self.chance.below(4) > 0).then(|| vec![self.next as u8; len as usize]);
            let header = vec![self.chance.below(256) as u8; 3];
            let headers = [Header {
                key: b"h",
                value: Some(&header),
            }];
            let timestamp = self.now_ms - self.chance.below(50) as i64;
            builder.append(timestamp, Some(&key), value.as_deref(), &headers);
            let model = Model {
                key,
                value,
                timestamp,
                header,
            };
            self.log.insert(self.next, model);
            self.next += 1;
        }
        let batch = builder.build().expect("builds");
        let info = BatchInfo::peek(&batch).expect("a header");
        if append_time {
            let records = self.log.range_mut(info.base_offset..);
            records.for_each(|(_, model)| model.timestamp = info.max_timestamp);
        }
        self.batches.insert(info.base_offset, info);
        self.producers.insert(producer, info.last_offset());
        batch
    }

    /// One pass in windows, as the owner makes it.
    fn clean(&mut self) {
        let from = self.cleaned_end;
        let map_bytes = [100, 9_000, 20_000, 1 << 20][self.chance.below(4) as usize];
        let (mut map_to, mut next) = (self.next, 0);
        loop {
            self.life += 1;
            let sources = self
                .segments
                .iter()
                .filter(|s| s.base_offset >= next && s.base_offset < map_to);
            let window = 1 + self.chance.below(4) as usize;
            let sources: Vec<_> = sources.take(window).cloned().collect();
            let dirty = self
                .segments
                .iter()
                .filter(|s| s.end_offset > from && s.base_offset < map_to);
            let job = Compaction {
                dirty: dirty.cloned().collect(),
                map_from: from,
                map_to,
                map_bytes,
                chunk_bytes: 4096 * (1 + self.chance.below(4)) as usize,
                segment_bytes: 4096 * (1 + self.chance.below(10)),
                producers: self
                    .producers
                    .iter()
                    .filter(|(id, _)| **id > 0)
                    .map(|(id, last)| (*id, *last))
                    .collect(),
                ..spec(&sources, self.life, self.now_ms)
            };
            let made = run(job, &mut self.files).expect("nothing is damaged");
            self.switch(&made);
            if made.sources_end >= made.map_end {
                assert!(made.map_end > from || from == self.next, "each pass gets on");
                self.cleaned_end = made.map_end;
                return;
            }
            (map_to, next) = (made.map_end, made.sources_end);
        }
    }

    fn switch(&mut self, made: &Compacted) {
        let life = self.life;
        let new: Vec<SourceSegment> = made
            .segments
            .iter()
            .map(|s| SourceSegment {
                path: compacted_paths(PART, s.base_offset, life)[0].clone(),
                base_offset: s.base_offset,
                end_offset: s.end_offset,
                size: s.size,
            })
            .collect();
        let Some(first) = new.first().map(|s| s.base_offset) else {
            return;
        };
        let kept = |s: &SourceSegment| s.base_offset < first || s.base_offset >= made.sources_end;
        for old in self.segments.iter().filter(|s| !kept(s)) {
            self.files.remove(&old.path.0);
        }
        self.segments.retain(kept);
        self.segments.extend(new);
        self.segments.sort_by_key(|s| s.base_offset);
    }

    fn check(&self) {
        let (mut found, mut headers, mut expects) = (BTreeMap::new(), BTreeMap::new(), 0);
        for segment in &self.segments {
            assert_eq!(segment.base_offset, expects, "segments are contiguous");
            expects = segment.end_offset;
            for stored in frames(&self.files, segment) {
                let view = BatchView::parse(&stored.batch).expect("one batch");
                assert!(view.crc_matches());
                let info = view.info();
                self.check_header(&info);
                headers.insert(info.last_offset(), info.record_count);
                let body = view.decompressed(1 << 24).expect("decompresses");
                for record in Records::new(&body, info.record_count) {
                    let record = record.expect("a record");
                    let model = Model {
                        key: record.key.expect("a key").to_vec(),
                        value: record.value.map(<[u8]>::to_vec),
                        timestamp: info.record_timestamp(record.timestamp_delta),
                        header: record
                            .headers()
                            .next()
                            .and_then(|h| h.value)
                            .expect("a header")
                            .to_vec(),
                    };
                    let offset = info.base_offset + i64::from(record.offset_delta);
                    assert_eq!(
                        self.log.get(&offset),
                        Some(&model),
                        "offset {offset} is as it was written"
                    );
                    found.insert(offset, info.delete_horizon());
                }
            }
        }
        assert_eq!(expects, self.next);
        let ends = self.producers.iter().filter(|(id, _)| **id > 0);
        ends.for_each(|(_, last)| assert!(headers.contains_key(last), "a producer's last batch stays"));
        self.check_keys(&found);
    }

    fn check_header(&self, info: &BatchInfo) {
        let written = self.batches[&info.base_offset];
        assert_eq!(info.last_offset(), written.last_offset());
        let identity = |i: &BatchInfo| (i.producer_id, i.producer_epoch, i.base_sequence, i.timestamp_type());
        assert_eq!(identity(info), identity(&written));
        assert!(info.record_count == 0 || info.codec() == written.codec());
    }

    /// The last record of each key is there, or it was a tombstone whose time is over and nothing of the key is left below.
    fn check_keys(&self, found: &BTreeMap<i64, Option<i64>>) {
        let mut last: BTreeMap<&[u8], (i64, bool)> = BTreeMap::new();
        for (offset, model) in self.log.range(..self.cleaned_end) {
            last.insert(&model.key, (*offset, model.value.is_some()));
        }
        for (offset, horizon) in found.range(..self.cleaned_end) {
            let model = &self.log[offset];
            assert_eq!(last[model.key.as_slice()].0, *offset, "only the last of a key stays");
            assert!(
                model.value.is_some() || horizon.is_some(),
                "a tombstone seen has its time"
            );
        }
        for (key, (offset, is_value)) in last {
            let appended = self.log[&offset].timestamp;
            let may_be_gone = !is_value && appended + RETENTION_MS <= self.now_ms;
            assert!(
                found.contains_key(&offset) || may_be_gone,
                "the last of {key:?} at {offset} is gone"
            );
        }
        let behind = self.log.range(self.cleaned_end..);
        behind.for_each(|(offset, _)| assert!(found.contains_key(offset), "{offset} was not looked at, and is gone"));
    }
}

#[test]
fn the_last_record_of_each_key_stays_whatever_the_sizes() {
    let mut tombstones_gone = false;
    for seed in 0..60 {
        let mut rig = Rig::new(seed);
        for _ in 0..8 {
            for _ in 0..1 + rig.chance.below(4) {
                rig.append_segment();
            }
            if rig.chance.below(3) == 0 {
                rig.now_ms += RETENTION_MS;
            }
            rig.clean();
            rig.check();
        }
        let there: u64 = rig.segments.iter().map(|s| frames(&rig.files, s).len() as u64).sum();
        tombstones_gone |= there < rig.batches.len() as u64 / 2;
    }
    assert!(tombstones_gone, "something was compacted");
}

fn one(offset: i64, key: &[u8], value: Option<&[u8]>) -> Vec<u8> {
    let mut builder = BatchBuilder::new().at(offset, 0);
    builder.append(1_000 + offset, Some(key), value, &[]);
    builder.build().expect("builds")
}

/// The records in the segments that a run has made: (offset, key, tombstone).
fn records(files: &Files, made: &Compacted, life: u64) -> Vec<(i64, Vec<u8>, bool)> {
    let mut out = Vec::new();
    for segment in &made.segments {
        let [path, _] = compacted_paths(PART, segment.base_offset, life);
        let source = SourceSegment {
            path,
            base_offset: segment.base_offset,
            end_offset: segment.end_offset,
            size: segment.size,
        };
        for stored in frames(files, &source) {
            let info = BatchInfo::peek(&stored.batch).expect("a header");
            let body = stored.batch.slice(crate::wire::batch::HEADER_LEN..);
            for record in Records::new(&body, info.record_count).flatten() {
                let offset = info.base_offset + i64::from(record.offset_delta);
                out.push((offset, record.key.unwrap_or_default().to_vec(), record.value.is_none()));
            }
        }
    }
    out
}

#[test]
fn a_tombstone_goes_when_its_time_is_over_and_not_before_80() {
    let mut files = Files::new();
    let first = segment(
        &mut files,
        0,
        1,
        &[one(0, b"a", Some(b"1")), one(1, b"a", None), one(2, b"b", Some(b"2"))],
    );
    let made = run(spec(&[first], 2, 5_000), &mut files).expect("runs");
    assert_eq!(
        records(&files, &made, 2),
        [(1, b"a".to_vec(), true), (2, b"b".to_vec(), false)]
    );
    let source = |made: &Compacted, life| SourceSegment {
        path: compacted_paths(PART, 0, life)[0].clone(),
        base_offset: 0,
        end_offset: made.segments[0].end_offset,
        size: made.segments[0].size,
    };
    let early = run(spec(&[source(&made, 2)], 3, 5_000 + RETENTION_MS - 1), &mut files).expect("runs");
    assert_eq!(
        records(&files, &early, 3).len(),
        2,
        "the time was fixed by the first run"
    );
    let late = run(spec(&[source(&early, 3)], 4, 5_000 + RETENTION_MS), &mut files).expect("runs");
    assert_eq!(records(&files, &late, 4), [(2, b"b".to_vec(), false)]);
}

#[test]
fn records_without_a_key_go_and_are_counted() {
    let mut builder = BatchBuilder::new().at(0, 0);
    builder
        .append(1, None, Some(b"x"), &[])
        .append(1, Some(b"k"), Some(b"y"), &[]);
    let mut files = Files::new();
    let only = segment(&mut files, 0, 1, &[builder.build().expect("builds")]);
    let made = run(spec(&[only], 2, 5_000), &mut files).expect("runs");
    assert_eq!((made.keyless, made.records_in, made.records_out), (1, 2, 1));
    assert_eq!(records(&files, &made, 2), [(1, b"k".to_vec(), false)]);
}

#[test]
fn damage_ends_the_run_and_is_named() {
    let mut files = Files::new();
    let only = segment(&mut files, 0, 1, &[one(0, b"a", Some(b"1")), one(1, b"b", Some(b"2"))]);
    for at in [5, 60, 100, 150, 250] {
        let mut rotten = files.clone();
        rotten.get_mut(&only.path.0).expect("is there")[at] ^= 4;
        let why = run(spec(std::slice::from_ref(&only), 2, 5_000), &mut rotten).expect_err("refused");
        assert!(why.contains(&only.path.0) && why.contains("damaged at byte"), "{why}");
    }
    let longer = SourceSegment { end_offset: 3, ..only };
    let why = run(spec(&[longer], 2, 5_000), &mut files).expect_err("refused");
    assert!(why.contains("end at offset 2 instead of 3"), "{why}");
}

//! Reading everything back and holding it against the ledger.
//!
//! A correct log has dense offsets from 0; every record is one the rig sent, byte for byte, in its lane; per producer and
//! lane the numbers rise by one without a gap or a repeat; and each acknowledged record stands at its offset.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::kafka::api;
use crate::kafka::batch::{self, Record};
use crate::kafka::conn::Conn;
use crate::ledger::Ack;
use crate::producer::Lane;
use crate::records::Name;

const FETCH_BYTES: i32 = 4 << 20;
const EXAMPLES: usize = 4;
/// How long a retriable error may last before it counts.
const PATIENCE: Duration = Duration::from_secs(10);

/// What went wrong, counted in records, with a few examples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Acknowledged, and not at their offset.
    pub lost: u64,
    /// There more than once.
    pub duplicated: u64,
    /// Not what was sent.
    pub changed: u64,
    /// Offsets that do not follow their predecessor by one, or records of one producer out of their order.
    pub disordered: u64,
    /// Examples for people.
    pub examples: Vec<String>,
}

impl Findings {
    /// True when nothing was found.
    pub fn clean(&self) -> bool {
        self.lost + self.duplicated + self.changed + self.disordered == 0
    }

    fn example(&mut self, text: impl FnOnce() -> String) {
        if self.examples.len() < EXAMPLES {
            self.examples.push(text());
        }
    }
}

impl std::fmt::Display for Findings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} lost, {} duplicated, {} changed, ",
            self.lost, self.duplicated, self.changed
        )?;
        write!(f, "{} out of order", self.disordered)?;
        for example in &self.examples {
            write!(f, "; {example}")?;
        }
        Ok(())
    }
}

/// What one lane holds, as read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct LaneLog {
    /// Producer and number of the record at each offset from 0.
    names: Vec<(u32, u32)>,
    /// Records seen per producer = the number its next one must have.
    next_n: BTreeMap<u32, u32>,
    /// Checksum over all offsets, keys and values.
    digest: u32,
}

/// A reader that goes on where it stopped; reads each lane up to its high watermark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reader {
    lanes: Vec<LaneLog>,
    findings: Findings,
}

impl Reader {
    /// A reader at the start of `lanes` lanes.
    pub fn new(lanes: usize) -> Self {
        Self {
            lanes: vec![LaneLog::default(); lanes],
            findings: Findings::default(),
        }
    }

    /// Reads what is new. Lanes of topics that are not in `present` are left out.
    ///
    /// # Errors
    /// When the broker does not answer, or answers with an error or with bytes nobody wrote.
    pub fn advance(&mut self, addr: SocketAddr, lanes: &[Lane], present: &[String], seed: u64) -> Result<()> {
        let mut conn = Conn::open(addr)?;
        for (index, lane) in lanes
            .iter()
            .enumerate()
            .filter(|(_, lane)| present.iter().any(|t| t == lane.topic))
        {
            let result = patiently(|| self.advance_lane(&mut conn, index, *lane, seed));
            result.map_err(|error| Error::new(format!("reading {}-{}: {error}", lane.topic, lane.partition)))?;
        }
        Ok(())
    }

    fn advance_lane(&mut self, conn: &mut Conn, index: usize, lane: Lane, seed: u64) -> Result<()> {
        let (start, end) = api::offsets(conn, lane.topic, lane.partition)?;
        let had = self.lanes[index].names.len() as i64;
        if start != 0 || end < had {
            self.findings.lost += (had - end).max(start).unsigned_abs();
            self.findings
                .example(|| format!("lane {index}: offsets {start}..{end}, {had} were there before"));
            return Ok(());
        }
        while (self.lanes[index].names.len() as i64) < end {
            let from = self.lanes[index].names.len() as i64;
            let bytes = api::fetch(conn, lane.topic, lane.partition, from, FETCH_BYTES)?;
            let (log, findings) = (&mut self.lanes[index], &mut self.findings);
            let result = batch::decode(&bytes, |offset, record| {
                if offset >= from && offset < end {
                    take(log, findings, (index as u32, seed), offset, &record);
                }
            });
            if let Err(error) = result {
                findings.changed += 1;
                findings.example(|| format!("lane {index} after offset {from}: {error}"));
                return Ok(());
            }
            if log.names.len() as i64 == from {
                findings.lost += (end - from) as u64;
                findings.example(|| format!("lane {index}: nothing at offset {from} although the log ends at {end}"));
                return Ok(());
            }
        }
        Ok(())
    }

    /// Everything wrong so far, with the acknowledged batches of `acks` held against what was read.
    pub fn compare<'a>(&self, acks: impl Iterator<Item = &'a Ack>) -> Findings {
        let mut findings = self.findings.clone();
        for ack in acks {
            for i in 0..ack.count {
                let offset = ack.base_offset + i64::from(i);
                let found = self
                    .lanes
                    .get(ack.lane as usize)
                    .and_then(|log| log.names.get(offset as usize));
                if found != Some(&(ack.producer, ack.first_n + i)) {
                    findings.lost += 1;
                    let n = ack.first_n + i;
                    findings.example(|| {
                        format!(
                            "lane {}: p{} record {n} acked at offset {offset}, found {found:?}",
                            ack.lane, ack.producer
                        )
                    });
                }
            }
        }
        findings
    }

    /// Number of records read.
    pub fn records(&self) -> u64 {
        self.lanes.iter().map(|log| log.names.len() as u64).sum()
    }

    /// Next offset of a lane.
    pub fn end(&self, lane: u32) -> i64 {
        self.lanes[lane as usize].names.len() as i64
    }

    /// The number the next record of `producer` in `lane` must have.
    pub fn next_n(&self, lane: u32, producer: u32) -> u32 {
        self.lanes[lane as usize].next_n.get(&producer).copied().unwrap_or(0)
    }
}

/// Tries again while the broker answers with a retriable error, for ten seconds at most.
///
/// # Errors
/// The last error.
pub fn patiently<T>(mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let began = Instant::now();
    loop {
        match attempt() {
            Err(error) if error.code().is_some_and(api::retriable) && began.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(20));
            }
            result => return result,
        }
    }
}

fn take(log: &mut LaneLog, findings: &mut Findings, (lane, seed): (u32, u64), offset: i64, record: &Record) {
    if offset != log.names.len() as i64 {
        findings.disordered += 1;
        findings.example(|| format!("lane {lane}: offset {offset} follows {}", log.names.len() as i64 - 1));
        if offset < log.names.len() as i64 {
            return;
        }
        log.names.resize(offset as usize, (u32::MAX, u32::MAX));
    }
    log.digest = crc32c::crc32c_append(log.digest, &offset.to_be_bytes());
    log.digest = crc32c::crc32c_append(log.digest, &record.key);
    log.digest = crc32c::crc32c_append(log.digest, &record.value);
    let name = Name::parse(&record.key).filter(|name| name.lane == lane && name.record(seed) == *record);
    let Some(name) = name else {
        findings.changed += 1;
        findings.example(|| format!("lane {lane} offset {offset}: not the bytes that were sent"));
        log.names.push((u32::MAX, u32::MAX));
        return;
    };
    let next = log.next_n.entry(name.producer).or_insert(0);
    match name.n.cmp(next) {
        std::cmp::Ordering::Equal => *next += 1,
        std::cmp::Ordering::Less => {
            findings.duplicated += 1;
            findings.example(|| {
                format!(
                    "lane {lane} offset {offset}: p{} record {} again",
                    name.producer, name.n
                )
            });
        }
        std::cmp::Ordering::Greater => {
            findings.disordered += 1;
            let (n, due) = (name.n, *next);
            findings.example(|| {
                format!(
                    "lane {lane} offset {offset}: p{} record {n}, {due} was due",
                    name.producer
                )
            });
            *next = n + 1;
        }
    }
    log.names.push((name.producer, name.n));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(names: &[(i64, u32, u32)]) -> Reader {
        let mut reader = Reader::new(1);
        for &(offset, producer, n) in names {
            let record = Name { producer, lane: 0, n }.record(1);
            take(&mut reader.lanes[0], &mut reader.findings, (0, 1), offset, &record);
        }
        reader
    }

    fn ack(first_n: u32, base_offset: i64) -> Ack {
        Ack {
            producer: 0,
            lane: 0,
            first_n,
            count: 2,
            base_offset,
            sequence: 0,
            crc: 0,
        }
    }

    #[test]
    fn a_correct_log_is_clean_and_unacked_records_may_be_there() {
        let reader = feed(&[(0, 0, 0), (1, 0, 1), (2, 7, 0), (3, 0, 2)]);
        assert!(reader.compare([ack(0, 0)].iter()).clean());
        assert_eq!((reader.next_n(0, 0), reader.next_n(0, 7), reader.end(0)), (3, 1, 4));
    }

    #[test]
    fn each_kind_of_damage_is_named() {
        let lost = feed(&[(0, 0, 0), (1, 0, 1)]).compare([ack(1, 1)].iter());
        assert_eq!(
            (lost.lost, lost.duplicated, lost.changed, lost.disordered),
            (1, 0, 0, 0)
        );
        let twice = feed(&[(0, 0, 0), (1, 0, 0)]).compare([].iter());
        assert_eq!((twice.lost, twice.duplicated), (0, 1));
        let gap = feed(&[(0, 0, 0), (2, 0, 1)]).compare([].iter());
        assert_eq!(gap.disordered, 1);
        let skipped = feed(&[(0, 0, 0), (1, 0, 2)]).compare([].iter());
        assert_eq!(skipped.disordered, 1);
        let mut reader = Reader::new(1);
        let mut record = Name {
            producer: 0,
            lane: 0,
            n: 0,
        }
        .record(1);
        record.value[3] ^= 1;
        take(&mut reader.lanes[0], &mut reader.findings, (0, 1), 0, &record);
        assert_eq!(reader.compare([].iter()).changed, 1);
    }
}

//! The checking half of a power-cut run: one cut image, the production broker on it, and the ledger.
//!
//! Per image: the file system replays its journal; the broker recovers; everything is read and compared; the last
//! acknowledged batch of every producer is sent once more (it must be recognised); a second recovery must change
//! nothing; and each producer goes on with its next sequence.

use std::time::Duration;

use crate::broker::{self, Spec};
use crate::cut::{Cut, Cutter};
use crate::error::{Context, Result};
use crate::kafka::api;
use crate::kafka::conn::Conn;
use crate::ledger::Ack;
use crate::record::Recording;
use crate::rig::Stage;
use crate::sys::mount::FsKind;
use crate::verify::{Findings, Reader, patiently};

/// Error codes that say "I know a later batch of this producer": fine when the batch is not its last one.
const ALREADY_PAST: [i16; 2] = [45, 46];

/// What one image showed.
#[derive(Default)]
pub struct Verdict {
    /// Writes that no flush covered.
    pub pending: u64,
    /// Acknowledged records that had to be there.
    pub owed: u64,
    /// Findings of the comparison.
    pub findings: Findings,
    /// The file system did not come up.
    pub no_mount: Option<String>,
    /// The broker did not come up or did not answer.
    pub no_start: Option<String>,
    /// Anything else: topics gone, duplicates not recognised, a second recovery that changed something.
    pub broken: Vec<String>,
    /// Time from start to the first answer of the first recovery.
    pub start: Duration,
}

impl Verdict {
    /// True when nothing was wrong.
    pub fn passed(&self) -> bool {
        self.findings.clean() && self.no_mount.is_none() && self.no_start.is_none() && self.broken.is_empty()
    }

    /// All that was wrong, on one line.
    pub fn story(&self) -> String {
        let mut parts = Vec::new();
        parts.extend(self.no_mount.as_ref().map(|text| format!("mount: {text}")));
        parts.extend(self.no_start.as_ref().map(|text| format!("broker: {text}")));
        if !self.findings.clean() {
            parts.push(format!(
                "{} of {} owed records: {}",
                self.findings.lost, self.owed, self.findings
            ));
        }
        parts.extend(self.broken.iter().take(4).cloned());
        parts.join("; ")
    }
}

/// Checks one cut of `recording`.
///
/// # Errors
/// Only when the rig itself fails.
pub fn check(
    stage: &mut Stage,
    cutter: &mut Cutter<'_>,
    (cut, fs): (Cut, FsKind),
    recording: &Recording,
    spec: &Spec,
) -> Result<Verdict> {
    let pending = stage.load(cutter, cut, recording.data_at(cut.at)) as u64;
    let mut verdict = Verdict {
        pending,
        owed: recording.owed(cut.at).map(|a| u64::from(a.count)).sum(),
        ..Verdict::default()
    };
    let mounted = match stage.mount(fs) {
        Ok(mounted) => mounted,
        Err(error) => {
            verdict.no_mount = Some(error.to_string());
            return Ok(verdict);
        }
    };
    let mut spec = spec.clone();
    std::fs::write(&spec.log, b"").context("broker log")?;
    spec.addr = broker::free_addr()?;
    let mut inspection = Inspection {
        spec: &spec,
        recording,
        at: cut.at,
        verdict,
    };
    if let Err(error) = inspection.run(&mounted.path().join("data")) {
        inspection.verdict.no_start = Some(error.to_string());
    }
    Ok(inspection.verdict)
}

struct Inspection<'a> {
    spec: &'a Spec,
    recording: &'a Recording,
    at: u64,
    verdict: Verdict,
}

impl Inspection<'_> {
    fn run(&mut self, data_dir: &std::path::Path) -> Result<()> {
        let world = &self.recording.world;
        let (broker, topics, took) = self.spec.start(data_dir)?;
        self.verdict.start = took;
        let missing = world
            .lanes
            .iter()
            .find(|lane| !topics.iter().any(|topic| topic == lane.topic));
        if let Some(lane) = missing.filter(|_| self.at >= self.recording.created) {
            self.verdict.broken.push(format!("topic {} is gone", lane.topic));
        }
        let mut first = Reader::new(world.lanes.len());
        first.advance(self.spec.addr, &world.lanes, &topics, world.seed)?;
        self.verdict.findings = first.compare(self.recording.owed(self.at));
        if missing.is_some() || !self.verdict.findings.clean() {
            return Ok(());
        }
        self.send_again(&first)?;
        broker.kill();
        let (_broker, topics, _) = self.spec.start(data_dir)?;
        let mut second = Reader::new(world.lanes.len());
        second.advance(self.spec.addr, &world.lanes, &topics, world.seed)?;
        if first != second {
            let why = second.compare(self.recording.owed(self.at));
            let text = format!(
                "recovery again changed the log: {} then {} records, {why}",
                first.records(),
                second.records()
            );
            self.verdict.broken.push(text);
            return Ok(());
        }
        self.go_on(&second)
    }

    /// The last acknowledged batch of each producer and lane, sent once more with its old sequence.
    fn send_again(&mut self, log: &Reader) -> Result<()> {
        let mut last = std::collections::BTreeMap::<(u32, u32), &Ack>::new();
        for ack in self.recording.owed(self.at) {
            last.insert((ack.producer, ack.lane), ack);
        }
        let mut conn = Conn::open(self.spec.addr)?;
        let fresh = patiently(|| api::init_producer(&mut conn))?;
        let identities = &self.recording.world.identities;
        if last.keys().any(|(producer, _)| {
            identities[*producer as usize]
                .get()
                .is_some_and(|old| old.id == fresh.id)
        }) {
            self.verdict
                .broken
                .push(format!("producer id {} was given out again", fresh.id));
        }
        for ack in last.values() {
            let Some(answer) = self.produce(&mut conn, ack.producer, ack.lane, (ack.first_n, ack.count))? else {
                continue;
            };
            let is_last = log.next_n(ack.lane, ack.producer) == ack.first_n + ack.count;
            let recognised = answer.code == 0 && answer.base_offset == ack.base_offset;
            if !recognised && (is_last || !ALREADY_PAST.contains(&answer.code)) {
                let at = format!("p{} lane {} record {}", ack.producer, ack.lane, ack.first_n);
                let got = format!("error {} offset {}", answer.code, answer.base_offset);
                self.verdict
                    .broken
                    .push(format!("{at} sent again: {got}, it was acked at {}", ack.base_offset));
            }
        }
        Ok(())
    }

    /// Each producer that has records in a lane appends its next one.
    fn go_on(&mut self, log: &Reader) -> Result<()> {
        let mut conn = Conn::open(self.spec.addr)?;
        for lane in 0..self.recording.world.lanes.len() as u32 {
            let mut end = log.end(lane);
            for producer in 0..self.recording.world.identities.len() as u32 {
                let next = log.next_n(lane, producer);
                if next == 0 {
                    continue;
                }
                let Some(answer) = self.produce(&mut conn, producer, lane, (next, 1))? else {
                    continue;
                };
                if answer.code != 0 || answer.base_offset != end {
                    let got = format!("error {} offset {}", answer.code, answer.base_offset);
                    self.verdict
                        .broken
                        .push(format!("p{producer} lane {lane} goes on with {next}: {got}, due {end}"));
                    return Ok(());
                }
                end += 1;
            }
        }
        Ok(())
    }

    fn produce(
        &self,
        conn: &mut Conn,
        producer: u32,
        lane: u32,
        (first_n, count): (u32, u32),
    ) -> Result<Option<api::Produced>> {
        let world = &self.recording.world;
        let Some(batch) = world.batch(producer, lane, first_n, count) else {
            return Ok(None);
        };
        let target = world.lanes[lane as usize];
        let body = api::produce_body(&[(target.topic, target.partition, &batch)]);
        let answer = conn.call(api::PRODUCE, api::PRODUCE_VERSION, &body)?;
        Ok(api::produced(&answer)?.into_iter().next())
    }
}

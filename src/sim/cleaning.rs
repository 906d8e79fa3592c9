//! Compaction on the simulated disk: the production [`Cleaner`], its orders carried out at once.
//!
//! What the job makes is flushed and named step by step; a crash in its midst leaves the files of the steps so far.

use crate::base::compaction::Compaction;
use crate::base::effect::JobResult;
use crate::log::compact::{Cleaner, Order};
use crate::sim::disk::SimDisk;
use bytes::Bytes;

const EIO: i32 = 5;
const EUCLEAN: i32 = 117;
const ECANCELED: i32 = 125;
/// Suffix of a file that is not complete yet, as the jobs have it.
const UNFINISHED: &str = ".new";

/// Carries out at most `orders` orders; every read passes through `spoil`.
pub(super) fn compact(
    spec: &Compaction,
    disk: &mut SimDisk,
    orders: u64,
    spoil: &mut dyn FnMut(&mut [u8]),
) -> Result<JobResult, i32> {
    let bytes = spec.sources.iter().map(|source| source.size).sum();
    disk.respect_reserve(bytes, spec.keep_free)?;
    let mut made = Vec::new();
    let outcome = carry_out(spec, disk, orders, spoil, &mut made);
    // A job that fails removes what it has made; one that a crash has ended does not.
    if outcome.as_ref().is_err_and(|errno| *errno != ECANCELED) {
        made.iter().for_each(|name| disk.delete(name));
    }
    outcome
}

fn carry_out(
    spec: &Compaction,
    disk: &mut SimDisk,
    orders: u64,
    spoil: &mut dyn FnMut(&mut [u8]),
    made: &mut Vec<String>,
) -> Result<JobResult, i32> {
    let mut cleaner = Cleaner::new(spec.clone());
    let mut given = None;
    let mut output = String::new();
    for _ in 0..orders {
        match cleaner.next(given.take()).map_err(|_| EUCLEAN)? {
            Order::Read { path, at, len } => {
                let mut bytes = disk.read(&path.0, at, len)?.to_vec();
                if bytes.len() < len {
                    return Err(EIO);
                }
                spoil(&mut bytes);
                given = Some(Bytes::from(bytes));
            }
            Order::Create { path } => {
                output = format!("{}{UNFINISHED}", path.0);
                disk.create(&output, Vec::new())?;
                made.push(output.clone());
            }
            Order::Write { at, data } => disk.write(&output, at, &data, true)?,
            Order::Finish {
                path,
                index_path,
                index,
            } => {
                disk.rename(&output, &path.0)?;
                disk.create(&index_path.0, index.to_vec())?;
                made.extend([path.0, index_path.0]);
            }
            Order::Pause => {}
            Order::Done(done) => return Ok(JobResult::Compacted(done)),
        }
    }
    Err(ECANCELED)
}

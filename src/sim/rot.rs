//! Damage at rest: the files of a stopped node are changed behind its back, one damage at a time, and the node is started on them.
//!
//! The checker decides: either the start refuses, or every record that was acknowledged or read is served as it was, or its reader
//! is refused. Never another record, never a log that just ends earlier. Damage of an index has to be without any effect. The node
//! is left alone before it is stopped, so that its journals are marked: what is lost behind the last mark cannot be known.

use crate::sim::disk::SimDisk;
use crate::sim::node::Node;
use crate::sim::prng::Prng;
use crate::sim::world::{Limits, World};

const BLOCK: usize = 4096;
/// Virtual time in which an idle journal is marked.
const REST_NS: u64 = 500_000_000;
/// Answers in a row by which a reader counts as refused.
const REFUSED_MAX: u32 = 20;
/// Virtual time in which a damaged log has to be read or refused.
const READ_NS: u64 = 20_000_000_000;

/// One damage.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Rot {
    Flip {
        file: String,
        bit: usize,
    },
    Zero {
        file: String,
        at: usize,
    },
    Garbage {
        file: String,
        at: usize,
        seed: u64,
    },
    /// A block lands in another place.
    Copy {
        from: (String, usize),
        to: (String, usize),
    },
    Cut {
        file: String,
        to: usize,
    },
    Delete {
        file: String,
    },
    Swap {
        one: String,
        other: String,
    },
}

/// What became of the damages.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct RotReport {
    /// The start was refused.
    pub starts_refused: u64,
    /// Some reader was refused.
    pub reads_refused: u64,
    /// Everything was there.
    pub harmless: u64,
}

/// Makes a log from `seed`, then tries `count` damages on copies of it.
///
/// # Errors
/// The damage that was not noticed, and what came of it.
pub fn run(seed: u64, count: u64) -> Result<RotReport, String> {
    let mut world = World::draw(seed).without_faults();
    world.start_node()?;
    world.create_topic()?;
    world.busy(Limits::default())?;
    world.heal()?;
    world.check_log()?;
    world.rest(REST_NS);
    world.stop_node();
    // Readers are to see one state of a compacted topic.
    world.config.cleaner.backoff_ms = None;
    let good = world.disk.clone();
    let mut chance = Prng::new(seed ^ 0x726f_7421);
    let mut report = RotReport::default();
    for _ in 0..count {
        let rot = draw(&good, &mut chance);
        world.disk = good.clone();
        apply(&mut world.disk, &rot);
        let outcome = attempt(&mut world).map_err(|why| format!("{rot:?}: {why}"))?;
        let noticed = outcome != Outcome::Harmless;
        if noticed && rot.is_of_index() {
            return Err(format!(
                "{rot:?}: damage of an index is not to be noticed, but: {outcome:?}"
            ));
        }
        match outcome {
            Outcome::StartRefused => report.starts_refused += 1,
            Outcome::ReadRefused => report.reads_refused += 1,
            Outcome::Harmless => report.harmless += 1,
        }
        world.stop_node();
    }
    Ok(report)
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    StartRefused,
    ReadRefused,
    Harmless,
}

/// Starts on the damaged disk and reads everything.
fn attempt(world: &mut World) -> Result<Outcome, String> {
    let mut chance = world.chance.fork();
    match Node::start(&world.config, &mut world.disk, &world.faults, world.now, &mut chance) {
        Ok(node) => world.node = Some(node),
        Err(why)
            if why.contains(".jnl")
                || why.contains("journal")
                || why.contains("checkpoint")
                || why.contains("topic") =>
        {
            return Ok(Outcome::StartRefused);
        }
        Err(why) => return Err(format!("the refusal does not name the file: {why}")),
    }
    world.producers.iter_mut().for_each(|p| p.wire.link = None);
    world.committers.iter_mut().for_each(|c| c.link = None);
    for reader in &mut world.readers {
        reader.wire.link = None;
        reader.restart(0);
    }
    let deadline = world.now.mono_ns + READ_NS;
    let is_over = |world: &World| {
        world
            .readers
            .iter()
            .all(|r| r.refused.0 > REFUSED_MAX || (r.high_watermark >= 0 && r.next_offset >= r.high_watermark))
    };
    while !is_over(world) {
        world.round()?;
        if let Some(why) = world.node.as_ref().and_then(Node::fatal) {
            return Err(format!("the node stopped: {why}"));
        }
        if world.now.mono_ns > deadline {
            return Err(format!("a reader is neither served nor refused: {}", world.describe()));
        }
    }
    let mut outcome = Outcome::Harmless;
    for reader in 0..world.readers.len() {
        if world.readers[reader].refused.0 > REFUSED_MAX {
            outcome = Outcome::ReadRefused;
        } else {
            world.judge(reader)?;
        }
    }
    Ok(outcome)
}

impl Rot {
    fn is_of_index(&self) -> bool {
        let is_index = |name: &str| name.ends_with(".idx");
        match self {
            Rot::Flip { file, .. }
            | Rot::Zero { file, .. }
            | Rot::Garbage { file, .. }
            | Rot::Cut { file, .. }
            | Rot::Delete { file } => is_index(file),
            Rot::Copy { to, .. } => is_index(&to.0),
            Rot::Swap { one, other } => is_index(one) && is_index(other),
        }
    }
}

fn draw(disk: &SimDisk, chance: &mut Prng) -> Rot {
    let names: Vec<String> = disk.names().into_iter().filter(|n| size(disk, n) > 0).collect();
    // Kinds of files alike, however many of each there are.
    let kind = [".jnl", ".seg", ".idx", "checkpoint."][chance.below(4) as usize];
    let of_kind: Vec<String> = names.iter().filter(|n| n.contains(kind)).cloned().collect();
    let pick = |from: &[String], chance: &mut Prng| from[chance.below(from.len() as u64) as usize].clone();
    let file = if of_kind.is_empty() {
        pick(&names, chance)
    } else {
        pick(&of_kind, chance)
    };
    let place = |name: &str, chance: &mut Prng| chance.below(size(disk, name).div_ceil(BLOCK) as u64) as usize * BLOCK;
    let at = place(&file, chance);
    match chance.below(10) {
        0 | 1 => Rot::Flip {
            bit: chance.below(size(disk, &file) as u64 * 8) as usize,
            file,
        },
        2 | 3 => Rot::Zero { file, at },
        4 => Rot::Garbage {
            file,
            at,
            seed: chance.next(),
        },
        5 | 6 => {
            let from = pick(&names, chance);
            let from_at = place(&from, chance);
            Rot::Copy {
                from: (from, from_at),
                to: (file, at),
            }
        }
        7 => Rot::Cut {
            to: chance.below(size(disk, &file) as u64) as usize,
            file,
        },
        8 => Rot::Delete { file },
        _ => {
            let other = if of_kind.is_empty() {
                pick(&names, chance)
            } else {
                pick(&of_kind, chance)
            };
            Rot::Swap { one: file, other }
        }
    }
}

fn size(disk: &SimDisk, name: &str) -> usize {
    disk.file(name).map_or(0, |file| file.current().len())
}

fn apply(disk: &mut SimDisk, rot: &Rot) {
    let block = |content: &mut Vec<u8>, at: usize| at..content.len().min(at + BLOCK);
    match rot {
        Rot::Flip { file, bit } => disk.rewrite(file, |content| content[bit / 8] ^= 1 << (bit % 8)),
        Rot::Zero { file, at } => disk.rewrite(file, |content| {
            let range = block(content, *at);
            content[range].fill(0);
        }),
        Rot::Garbage { file, at, seed } => disk.rewrite(file, |content| {
            let mut chance = Prng::new(*seed);
            let range = block(content, *at);
            content[range].iter_mut().for_each(|byte| *byte = chance.next() as u8);
        }),
        Rot::Copy { from, to } => {
            let source = disk
                .file(&from.0)
                .map(|f| f.current()[from.1..].to_vec())
                .unwrap_or_default();
            disk.rewrite(&to.0, |content| {
                let range = block(content, to.1);
                let len = range.len().min(source.len());
                content[range.start..range.start + len].copy_from_slice(&source[..len]);
            });
        }
        Rot::Cut { file, to } => disk.rewrite(file, |content| content.truncate(*to)),
        Rot::Delete { file } => disk.delete(file),
        Rot::Swap { one, other } => disk.swap(one, other),
    }
}

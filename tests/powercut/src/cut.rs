//! What a power cut leaves: the durable image plus a seeded choice for every write that no flush covered.
//!
//! Invariant: a write followed by an honoured flush before the cut is always on the image, whatever the mode.
//! Only blocks known to hold file data are turned to garbage; a file system cannot be asked to live with a damaged block
//! of its own, while the journal of the broker must.

use crate::disk::{Data, Entry};
use crate::rng::Rng;
use crate::sys::fiemap::DataMap;

const SECTOR: usize = 512;
const BLOCK: usize = 4096;

/// How pending writes end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// None of them arrived.
    Dropped,
    /// All of them arrived.
    Kept,
    /// Each one arrived or not.
    Mixed,
    /// Each 512-byte sector of each one arrived or not.
    Torn,
    /// Each 4 KiB data block is old, new, zeros or garbage.
    Garbled,
    /// File data arrived, file-system metadata did not.
    DataOnly,
    /// File-system metadata arrived, file data did not.
    MetadataOnly,
}

/// All modes, in the order in which seeds pick them.
pub const MODES: [Mode; 7] = [
    Mode::Dropped,
    Mode::Kept,
    Mode::Mixed,
    Mode::Torn,
    Mode::Garbled,
    Mode::DataOnly,
    Mode::MetadataOnly,
];

/// One cut: after how many log entries, how, and the seed of its choices.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// Entries of the write log that happened before the power went.
    pub at: u64,
    /// What happened to the pending ones.
    pub mode: Mode,
    /// Seed of the choices.
    pub seed: u64,
}

/// Chooses `count` cuts within `from..=to`, sorted, with modes out of `modes` (not empty). One half lands right before a flush, where most is pending, a quarter
/// right after a write, a quarter anywhere.
pub fn plan(log: &[Entry], (from, to): (u64, u64), count: usize, modes: &[Mode], rng: &mut Rng) -> Vec<Cut> {
    let before_flush = |at: u64| matches!(log.get(at as usize), Some(Entry::Flush));
    let after_write = |at: u64| at > 0 && matches!(log.get(at as usize - 1), Some(Entry::Write { .. }));
    let mut cuts: Vec<Cut> = (0..count)
        .map(|_| {
            let chosen = from + rng.below(to - from + 1);
            let kind = rng.below(4);
            let wanted = |at| kind == 3 || if kind == 2 { after_write(at) } else { before_flush(at) };
            let at = (chosen..=to).find(|at| wanted(*at)).unwrap_or(chosen);
            Cut {
                at,
                mode: modes[rng.below(modes.len() as u64) as usize],
                seed: rng.next(),
            }
        })
        .collect();
    cuts.sort_by_key(|cut| cut.at);
    cuts
}

/// Walks forward through a write log and derives images; cuts must come in rising order.
pub struct Cutter<'a> {
    log: &'a [Entry],
    durable: Vec<u8>,
    applied: usize,
}

impl<'a> Cutter<'a> {
    /// Starts at the zero disk of `size` bytes.
    pub fn new(log: &'a [Entry], size: usize) -> Self {
        Self {
            log,
            durable: vec![0; size],
            applied: 0,
        }
    }

    /// Writes the image of `cut` into `image` (same size as the disk); returns how many writes were pending.
    /// `before` and `after` say what was file data around the cut; only what is in both is taken for it.
    pub fn derive(&mut self, cut: Cut, (before, after): (&DataMap, &DataMap), image: &mut [u8]) -> usize {
        let at = (cut.at as usize).min(self.log.len());
        let barrier = self.log[..at]
            .iter()
            .rposition(|entry| matches!(entry, Entry::Flush))
            .unwrap_or(0);
        for entry in &self.log[self.applied.min(barrier)..barrier] {
            if let Entry::Write { offset, data } = entry {
                let start = *offset as usize;
                data.copy_to(0, &mut self.durable[start..start + data.len()]);
            }
        }
        self.applied = self.applied.max(barrier);
        copy_changed(&self.durable, image);
        let mut rng = Rng::new(cut.seed);
        let mut pending = 0;
        for entry in &self.log[barrier..at] {
            if let Entry::Write { offset, data: bytes } = entry {
                pending += 1;
                let end = offset + bytes.len() as u64;
                let is_data = before.holds(*offset, end) && after.holds(*offset, end);
                apply(cut.mode, is_data, *offset as usize, bytes, image, &mut rng);
            }
        }
        pending
    }
}

/// Copies page by page where pages differ: most of an image is as the last one left it.
fn copy_changed(from: &[u8], to: &mut [u8]) {
    for (source, target) in from.chunks(BLOCK).zip(to.chunks_mut(BLOCK)) {
        if source != target {
            target.copy_from_slice(source);
        }
    }
}

fn apply(mode: Mode, is_data: bool, offset: usize, data: &Data, image: &mut [u8], rng: &mut Rng) {
    let whole = &mut image[offset..offset + data.len()];
    match mode {
        Mode::Dropped => {}
        Mode::Kept => data.copy_to(0, whole),
        Mode::DataOnly if is_data => data.copy_to(0, whole),
        Mode::MetadataOnly if !is_data => data.copy_to(0, whole),
        Mode::DataOnly | Mode::MetadataOnly => {}
        Mode::Torn if rng.percent(60) => {
            for (index, sector) in whole.chunks_mut(SECTOR).enumerate() {
                if rng.percent(50) {
                    data.copy_to(index * SECTOR, sector);
                }
            }
        }
        Mode::Garbled if is_data => {
            for (index, block) in whole.chunks_mut(BLOCK).enumerate() {
                match rng.below(4) {
                    0 => {}
                    1 => data.copy_to(index * BLOCK, block),
                    2 => block.fill(0),
                    _ => rng.fill(block),
                }
            }
        }
        Mode::Mixed | Mode::Torn | Mode::Garbled => {
            if rng.percent(50) {
                data.copy_to(0, whole);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Disk;

    fn log_of(steps: &[Option<(u64, u8)>]) -> Vec<Entry> {
        let disk = Disk::new(4 * BLOCK);
        for step in steps {
            match step {
                Some((block, byte)) => drop(disk.write(block * BLOCK as u64, &[*byte; BLOCK])),
                None => disk.flush(false),
            }
        }
        disk.take_log()
    }

    #[test]
    fn flushed_writes_survive_every_mode_and_pending_ones_follow_it() {
        let log = log_of(&[Some((0, 1)), None, Some((1, 2)), Some((0, 3))]);
        let data = DataMap::from_ranges(vec![(0, 4 * BLOCK as u64)]);
        for mode in MODES {
            let mut image = vec![0xee; 4 * BLOCK];
            let pending = Cutter::new(&log, 4 * BLOCK).derive(Cut { at: 3, mode, seed: 9 }, (&data, &data), &mut image);
            assert_eq!(pending, 1, "{mode:?}");
            assert!(image[..BLOCK].iter().all(|b| *b == 1), "{mode:?} lost a flushed block");
            assert!(
                image[2 * BLOCK..].iter().all(|b| *b == 0),
                "{mode:?} touched blocks nobody wrote"
            );
        }
        let mut image = vec![0; 4 * BLOCK];
        let mut cutter = Cutter::new(&log, 4 * BLOCK);
        cutter.derive(
            Cut {
                at: 4,
                mode: Mode::Dropped,
                seed: 1,
            },
            (&data, &data),
            &mut image,
        );
        assert_eq!((image[0], image[BLOCK]), (1, 0));
        cutter.derive(
            Cut {
                at: 4,
                mode: Mode::Kept,
                seed: 1,
            },
            (&data, &data),
            &mut image,
        );
        assert_eq!((image[0], image[BLOCK]), (3, 2));
    }

    #[test]
    fn a_write_before_the_barrier_is_not_pending_at_the_next_cut() {
        let log = log_of(&[Some((0, 1)), None, Some((0, 2)), None, Some((0, 3))]);
        let (mut image, data) = (vec![0; 4 * BLOCK], DataMap::default());
        let mut cutter = Cutter::new(&log, 4 * BLOCK);
        for (at, byte) in [(0, 0), (1, 0), (2, 1), (3, 1), (4, 2), (5, 2)] {
            cutter.derive(
                Cut {
                    at,
                    mode: Mode::Dropped,
                    seed: 1,
                },
                (&data, &data),
                &mut image,
            );
            assert_eq!(image[0], byte, "cut at {at}");
        }
    }

    #[test]
    fn the_same_seed_plans_the_same_cuts() {
        let log = log_of(&[Some((0, 1)), None, Some((1, 2)), None, Some((2, 3)), None]);
        let plan_of = |seed| {
            plan(&log, (1, 6), 50, &MODES, &mut Rng::new(seed))
                .iter()
                .map(|c| c.at)
                .collect::<Vec<_>>()
        };
        assert_eq!(plan_of(5), plan_of(5));
        assert_ne!(plan_of(5), plan_of(6));
        assert!(plan_of(5).iter().all(|at| (1..=6).contains(at)));
    }
}

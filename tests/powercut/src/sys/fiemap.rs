//! Where the bytes of files lie on the disk (FIEMAP), so that the cutter can treat data and file-system metadata apart.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;

const FS_IOC_FIEMAP: libc::c_ulong = 0xc020_660b;
const EXTENTS: usize = 128;
const FLAG_LAST: u32 = 1;
/// Unknown place, delayed allocation, inline data: such extents say nothing about a place on the disk.
const FLAG_NO_PLACE: u32 = 0x2 | 0x4 | 0x200;

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Extent {
    logical: u64,
    physical: u64,
    length: u64,
    reserved64: [u64; 2],
    flags: u32,
    reserved: [u32; 3],
}

#[repr(C)]
struct Fiemap {
    start: u64,
    length: u64,
    flags: u32,
    mapped: u32,
    extent_count: u32,
    reserved: u32,
    extents: [Extent; EXTENTS],
}

/// Byte ranges of the disk that hold file data at one moment, sorted and merged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataMap(Vec<(u64, u64)>);

impl DataMap {
    /// The data of all files under `dir` whose path `wanted` accepts. Files that vanish meanwhile are left out.
    pub fn of_tree(dir: &Path, wanted: &dyn Fn(&Path) -> bool) -> Self {
        let mut ranges = Vec::new();
        collect(dir, wanted, &mut ranges);
        Self::from_ranges(ranges)
    }

    /// Sorts and merges `(from, to)` byte ranges.
    pub fn from_ranges(mut ranges: Vec<(u64, u64)>) -> Self {
        ranges.sort_unstable();
        let mut merged: Vec<(u64, u64)> = Vec::new();
        for (from, to) in ranges {
            match merged.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(to),
                _ => merged.push((from, to)),
            }
        }
        Self(merged)
    }

    /// The ranges.
    pub fn ranges(&self) -> &[(u64, u64)] {
        &self.0
    }

    /// True when all of `from..to` is file data.
    pub fn holds(&self, from: u64, to: u64) -> bool {
        let after = self.0.partition_point(|range| range.0 <= from);
        after > 0 && self.0[after - 1].1 >= to
    }
}

fn collect(dir: &Path, wanted: &dyn Fn(&Path) -> bool, ranges: &mut Vec<(u64, u64)>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => collect(&path, wanted, ranges),
            Ok(kind) if kind.is_file() && wanted(&path) => {
                if let Ok(file) = File::open(&path) {
                    extents_of(&file, ranges);
                }
            }
            _ => {}
        }
    }
}

fn extents_of(file: &File, ranges: &mut Vec<(u64, u64)>) {
    let mut start = 0;
    loop {
        let extents = [Extent::default(); EXTENTS];
        let length = u64::MAX - start;
        let mut map = Fiemap {
            start,
            length,
            flags: 0,
            mapped: 0,
            extent_count: EXTENTS as u32,
            reserved: 0,
            extents,
        };
        // SAFETY: `map` has the layout of struct fiemap with room for `extent_count` extents and outlives the call.
        if unsafe { libc::ioctl(file.as_raw_fd(), FS_IOC_FIEMAP, &raw mut map) } != 0 {
            return;
        }
        let found = &map.extents[..(map.mapped as usize).min(EXTENTS)];
        for extent in found.iter().filter(|extent| extent.flags & FLAG_NO_PLACE == 0) {
            ranges.push((extent.physical, extent.physical + extent.length));
        }
        match found.last() {
            Some(last) if last.flags & FLAG_LAST == 0 => start = last.logical + last.length,
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_merge_and_answer() {
        let map = DataMap::from_ranges(vec![(8192, 12288), (0, 4096), (4096, 6000)]);
        assert!(map.holds(0, 6000) && map.holds(100, 200) && map.holds(8192, 12288));
        assert!(!map.holds(5999, 6001) && !map.holds(6000, 8192) && !map.holds(12288, 12289));
    }
}

//! A disk with a memory of what is durable: writes without flush may be lost, torn or reordered by a crash.
//!
//! Model: `current` is what reads see; `durable` is what survives; `pending` are completed writes without a flush. A crash keeps,
//! drops or tears (at 512 B) each pending write and each write in flight, independently; the block in flight may also turn to
//! garbage. Names: replacement and deletion are durable when their job completes; a job in flight at a crash has happened or not.
//! Only a new segment's name and size wait for their flushes: a power cut before them may leave what had the name before, or
//! nothing. A datum is never lost otherwise, so any loss seen is a bug and not bad luck.

use crate::sim::prng::Prng;
use bytes::Bytes;
use std::collections::BTreeMap;

const SECTOR: usize = 512;
const EIO: i32 = 5;
const ENOSPC: i32 = 28;

#[derive(Clone, Debug)]
struct PendingWrite {
    at: usize,
    data: Bytes,
}

/// One file.
#[derive(Clone, Debug, Default)]
pub struct SimFile {
    current: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<PendingWrite>,
    /// The name is not durable yet: what a power cut may bring back in its place.
    unnamed: Option<Option<Box<SimFile>>>,
}

impl SimFile {
    /// A file whose content is durable.
    pub fn durable(content: Vec<u8>) -> Self {
        SimFile {
            durable: content.clone(),
            current: content,
            pending: Vec::new(),
            unnamed: None,
        }
    }
    /// What reads see.
    pub fn current(&self) -> &[u8] {
        &self.current
    }
}

fn put(target: &mut Vec<u8>, at: usize, data: &[u8]) {
    if target.len() < at + data.len() {
        target.resize(at + data.len(), 0);
    }
    target[at..at + data.len()].copy_from_slice(data);
}

/// All files of a node.
#[derive(Clone, Debug)]
pub struct SimDisk {
    files: BTreeMap<String, SimFile>,
    /// Bytes that all files together may have.
    pub capacity: u64,
}

impl SimDisk {
    /// An empty disk.
    pub fn new(capacity: u64) -> Self {
        SimDisk {
            files: BTreeMap::new(),
            capacity,
        }
    }
    /// All file names.
    pub fn names(&self) -> Vec<String> {
        self.files.keys().cloned().collect()
    }
    /// A file.
    pub fn file(&self, name: &str) -> Option<&SimFile> {
        self.files.get(name)
    }
    /// Bytes in use.
    pub fn used(&self) -> u64 {
        self.files.values().map(|f| f.current.len() as u64).sum()
    }
    /// Refuses `more` bytes when fewer than `keep_free` would be left.
    pub fn respect_reserve(&self, more: u64, keep_free: u64) -> Result<(), i32> {
        let needed = self.used().saturating_add(more).saturating_add(keep_free);
        if keep_free > 0 && needed > self.capacity {
            return Err(ENOSPC);
        }
        Ok(())
    }
    /// Creates or replaces a file, durably.
    pub fn create(&mut self, name: &str, content: Vec<u8>) -> Result<(), i32> {
        self.make(name, SimFile::durable(content))
    }
    /// Creates or replaces a file of zeros; name and size wait for [`name`](Self::name) and [`sync`](Self::sync).
    pub fn create_unflushed(&mut self, name: &str, len: usize) -> Result<(), i32> {
        let file = SimFile {
            current: vec![0; len],
            unnamed: Some(self.files.get(name).cloned().map(Box::new)),
            ..SimFile::default()
        };
        self.make(name, file)
    }
    fn make(&mut self, name: &str, file: SimFile) -> Result<(), i32> {
        let old = self.files.get(name).map_or(0, |f| f.current.len() as u64);
        if self.used() - old + file.current.len() as u64 > self.capacity {
            return Err(ENOSPC);
        }
        self.files.insert(name.into(), file);
        Ok(())
    }
    /// Makes the names in a directory durable.
    pub fn name(&mut self, directory: &str) {
        let inside = |name: &str| name.rsplit_once('/').is_some_and(|(dir, _)| dir == directory);
        let files = self.files.iter_mut().filter(|(name, _)| inside(name));
        files.for_each(|(_, file)| file.unnamed = None);
    }
    /// Grows a file to at least `to` bytes; the size waits for [`sync`](Self::sync).
    pub fn extend(&mut self, name: &str, to: u64) -> Result<(), i32> {
        let used = self.used();
        let Some(file) = self.files.get_mut(name) else {
            return Err(EIO);
        };
        let more = to.saturating_sub(file.current.len() as u64);
        if used + more > self.capacity {
            return Err(ENOSPC);
        }
        let to = (to as usize).max(file.current.len());
        file.current.resize(to, 0);
        Ok(())
    }
    /// Cuts a file, durably.
    pub fn truncate(&mut self, name: &str, to: u64) {
        if let Some(file) = self.files.get_mut(name) {
            file.current.truncate(to as usize);
            file.durable.truncate(to as usize);
            file.pending.retain(|w| w.at + w.data.len() <= to as usize);
        }
    }
    /// Changes a file behind everybody's back.
    pub fn rewrite(&mut self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        if let Some(file) = self.files.get_mut(name) {
            let mut content = std::mem::take(&mut file.current);
            change(&mut content);
            *file = SimFile::durable(content);
        }
    }
    /// Gives each of two files the other's name.
    pub fn swap(&mut self, one: &str, other: &str) {
        if one == other {
            return;
        }
        if let (Some(first), Some(second)) = (self.files.remove(one), self.files.remove(other)) {
            self.files.insert(one.into(), second);
            self.files.insert(other.into(), first);
        }
    }
    /// Gives a file another name, durably; what had that name is gone.
    pub fn rename(&mut self, from: &str, to: &str) -> Result<(), i32> {
        let file = self.files.remove(from).ok_or(EIO)?;
        self.files.insert(to.into(), file);
        Ok(())
    }
    /// Deletes a file, durably.
    pub fn delete(&mut self, name: &str) {
        self.files.remove(name);
    }
    /// A write completed; `durable` = with DSYNC.
    pub fn write(&mut self, name: &str, at: u64, data: &Bytes, durable: bool) -> Result<(), i32> {
        let Some(file) = self.files.get_mut(name) else {
            return Err(EIO);
        };
        put(&mut file.current, at as usize, data);
        if durable {
            put(&mut file.durable, at as usize, data);
        } else {
            file.pending.push(PendingWrite {
                at: at as usize,
                data: data.clone(),
            });
        }
        Ok(())
    }
    /// A flush completed that covers the first `count` pending writes.
    pub fn sync(&mut self, name: &str, count: usize) -> Result<(), i32> {
        let Some(file) = self.files.get_mut(name) else {
            return Err(EIO);
        };
        let count = count.min(file.pending.len());
        for write in file.pending.drain(..count) {
            put(&mut file.durable, write.at, &write.data);
        }
        let size = file.durable.len().max(file.current.len());
        file.durable.resize(size, 0);
        Ok(())
    }
    /// Completed writes that no flush has covered.
    pub fn pending(&self, name: &str) -> usize {
        self.files.get(name).map_or(0, |f| f.pending.len())
    }
    /// A failed flush: the pages are marked clean, reads still see them, a later flush reports success, the data is not durable.
    pub fn lose_pending(&mut self, name: &str) {
        if let Some(file) = self.files.get_mut(name) {
            file.pending.clear();
        }
    }
    /// Reads up to `len` bytes.
    pub fn read(&self, name: &str, at: u64, len: usize) -> Result<Bytes, i32> {
        let file = self.files.get(name).ok_or(EIO)?;
        let from = (at as usize).min(file.current.len());
        let to = (from + len).min(file.current.len());
        Ok(Bytes::copy_from_slice(&file.current[from..to]))
    }
    /// The disk after a power cut: what was durable, plus chance's choice of everything else.
    pub fn crash(&mut self, in_flight: &[(String, u64, Bytes)], chance: &mut Prng) {
        for (name, at, data) in in_flight {
            if let Some(file) = self.files.get_mut(name) {
                file.pending.push(PendingWrite {
                    at: *at as usize,
                    data: data.clone(),
                });
            }
        }
        for (name, mut file) in std::mem::take(&mut self.files) {
            let kept = match file.unnamed.take() {
                Some(before) if chance.chance(50) => before.map(|before| *before),
                _ => Some(file),
            };
            self.files.extend(kept.map(|file| (name, file)));
        }
        for file in self.files.values_mut() {
            file.unnamed = None;
            let mut image = std::mem::take(&mut file.durable);
            let mut writes = std::mem::take(&mut file.pending);
            shuffle(&mut writes, chance);
            for write in writes {
                survive(&mut image, &write, chance);
            }
            file.current = image.clone();
            file.durable = image;
        }
    }
}

fn shuffle<T>(items: &mut [T], chance: &mut Prng) {
    for i in (1..items.len()).rev() {
        items.swap(i, chance.below(i as u64 + 1) as usize);
    }
}

/// What is left of one write without a flush.
fn survive(image: &mut Vec<u8>, write: &PendingWrite, chance: &mut Prng) {
    match chance.below(4) {
        0 => {}
        1 => put(image, write.at, &write.data),
        kind => {
            for (i, sector) in write.data.chunks(SECTOR).enumerate() {
                let at = write.at + i * SECTOR;
                if chance.chance(50) {
                    put(image, at, sector);
                } else if kind == 3 && chance.chance(30) {
                    let garbage: Vec<u8> = (0..sector.len()).map(|_| chance.next() as u8).collect();
                    put(image, at, &garbage);
                }
            }
        }
    }
}

impl SimDisk {
    /// The process is killed, the machine lives: completed writes survive, each write in flight happens or not, whole.
    pub fn kill(&mut self, in_flight: &[(String, u64, Bytes)], chance: &mut Prng) {
        for (name, at, data) in in_flight {
            if chance.chance(50) {
                let _ = self.write(name, *at, data, false);
            }
        }
    }
}

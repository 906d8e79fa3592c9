//! A model disk in memory that knows what is durable and can crash at every step. Test double of [`Files`].

use super::files::{Errno, FileResult, Files};
use crate::base::effect::FilePath;
use crate::base::ids::FileId;
use bytes::Bytes;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

/// A file's content now and as of its last flush.
#[derive(Clone, Default)]
struct Node {
    now: Vec<u8>,
    durable: Vec<u8>,
    locked: bool,
}

#[derive(Clone, Default)]
struct Disk {
    nodes: Vec<Node>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    dirs: BTreeSet<String>,
    durable_dirs: BTreeSet<String>,
    known: BTreeSet<String>,
    bound: BTreeMap<FileId, usize>,
}

/// What the power cut leaves of unflushed changes.
#[derive(Clone, Copy, Debug)]
pub enum Cut {
    /// Nothing: content and names are as of their last flush.
    LosesAll,
    /// Everything happens to have reached the disk.
    KeepsAll,
    /// Names reached the disk, content did not.
    KeepsNames,
}

/// The model disk. `steps_left` counts down; at zero every step fails with `EIO`, as if the machine had stopped.
pub struct MemFiles {
    disk: RefCell<Disk>,
    steps_left: Cell<u32>,
    capacity: u64,
    /// Long work is to end.
    pub stopping: Cell<bool>,
}

impl MemFiles {
    pub fn new(steps: u32) -> Self {
        let disk = Disk::default();
        MemFiles {
            disk: RefCell::new(disk),
            steps_left: Cell::new(steps),
            capacity: 64 << 20,
            stopping: Cell::new(false),
        }
    }

    /// The same running machine with another number of steps to go.
    pub fn continued(&self, steps: u32) -> MemFiles {
        MemFiles {
            disk: RefCell::new(self.disk.borrow().clone()),
            steps_left: Cell::new(steps),
            capacity: self.capacity,
            stopping: Cell::new(false),
        }
    }

    /// The disk after a power cut and restart, with endless steps.
    pub fn restarted(&self, cut: Cut) -> MemFiles {
        let mut disk = self.disk.borrow().clone();
        let (names, content) = match cut {
            Cut::LosesAll => (false, false),
            Cut::KeepsAll => (true, true),
            Cut::KeepsNames => (true, false),
        };
        if !names {
            disk.names = disk.durable_names.clone();
            disk.dirs = disk.durable_dirs.clone();
        }
        // A name below a lost directory is unreachable.
        let reachable = |path: &str| path.match_indices('/').all(|(end, _)| disk.dirs.contains(&path[..end]));
        disk.names = disk
            .names
            .iter()
            .filter(|(name, _)| reachable(name))
            .map(|(n, i)| (n.clone(), *i))
            .collect();
        for node in &mut disk.nodes {
            node.locked = false;
            if !content {
                node.now = node.durable.clone();
            }
        }
        disk.known.clear();
        disk.bound.clear();
        MemFiles {
            disk: RefCell::new(disk),
            steps_left: Cell::new(u32::MAX),
            capacity: self.capacity,
            stopping: Cell::new(false),
        }
    }

    /// True when the job needed more steps than there were.
    pub fn stopped(&self) -> bool {
        self.steps_left.get() == 0
    }
    /// Content under a name.
    pub fn content(&self, path: &str) -> Option<Vec<u8>> {
        let disk = self.disk.borrow();
        disk.names.get(path).map(|index| disk.nodes[*index].now.clone())
    }
    /// All names of files.
    pub fn names(&self) -> Vec<String> {
        self.disk.borrow().names.keys().cloned().collect()
    }
    /// Whether a file is locked.
    pub fn locked(&self, path: &str) -> bool {
        let disk = self.disk.borrow();
        disk.names.get(path).is_some_and(|index| disk.nodes[*index].locked)
    }
    /// Whether a directory is there.
    pub fn has_dir(&self, path: &str) -> bool {
        self.disk.borrow().dirs.contains(path)
    }

    fn step(&self) -> FileResult<()> {
        let left = self.steps_left.get();
        if left == 0 {
            return Err(Errno::EIO);
        }
        self.steps_left.set(left - 1);
        Ok(())
    }
    fn parent_exists(&self, path: &str) -> FileResult<()> {
        match path.rsplit_once('/') {
            Some((dir, _)) if !self.disk.borrow().dirs.contains(dir) => Err(Errno::ENOENT),
            _ => Ok(()),
        }
    }
}

impl Files for MemFiles {
    type Handle = usize;

    async fn make_dir(&self, path: &str) -> FileResult<()> {
        self.step()?;
        self.parent_exists(path)?;
        if !self.disk.borrow_mut().dirs.insert(path.to_owned()) {
            return Err(Errno::EEXIST);
        }
        Ok(())
    }
    fn dir_known(&self, path: &str) -> bool {
        self.disk.borrow().known.contains(path)
    }
    fn know_dir(&self, path: &str, known: bool) {
        let known_dirs = &mut self.disk.borrow_mut().known;
        if known {
            known_dirs.insert(path.to_owned());
        } else {
            known_dirs.remove(path);
        }
    }
    async fn create(&self, path: &FilePath) -> FileResult<usize> {
        self.step()?;
        self.parent_exists(&path.0)?;
        let mut disk = self.disk.borrow_mut();
        if let Some(index) = disk.names.get(&path.0).copied() {
            disk.nodes[index].now.clear();
            return Ok(index);
        }
        disk.nodes.push(Node::default());
        let index = disk.nodes.len() - 1;
        disk.names.insert(path.0.clone(), index);
        Ok(index)
    }
    async fn open(&self, path: &FilePath) -> FileResult<usize> {
        self.step()?;
        self.disk.borrow().names.get(&path.0).copied().ok_or(Errno::ENOENT)
    }
    async fn allocate(&self, file: &usize, bytes: u64) -> FileResult<()> {
        self.step()?;
        if bytes > self.capacity {
            return Err(Errno::ENOSPC);
        }
        let now = &mut self.disk.borrow_mut().nodes[*file].now;
        let size = now.len().max(bytes as usize);
        now.resize(size, 0);
        Ok(())
    }
    async fn set_size(&self, file: &usize, bytes: u64) -> FileResult<()> {
        self.step()?;
        self.disk.borrow_mut().nodes[*file].now.resize(bytes as usize, 0);
        Ok(())
    }
    async fn write_at(&self, file: &usize, at: u64, data: Bytes) -> FileResult<()> {
        self.step()?;
        let now = &mut self.disk.borrow_mut().nodes[*file].now;
        let end = at as usize + data.len();
        let size = now.len().max(end);
        now.resize(size, 0);
        now[at as usize..end].copy_from_slice(&data);
        Ok(())
    }
    async fn read_at(&self, file: &usize, at: u64, len: usize) -> FileResult<Bytes> {
        self.step()?;
        let disk = self.disk.borrow();
        let range = at as usize..at as usize + len;
        let found = disk.nodes[*file].now.get(range).ok_or(Errno::EIO)?;
        Ok(Bytes::copy_from_slice(found))
    }
    async fn read_all(&self, file: &usize) -> FileResult<Bytes> {
        self.step()?;
        Ok(self.disk.borrow().nodes[*file].now.clone().into())
    }
    async fn flush(&self, file: &usize) -> FileResult<()> {
        self.step()?;
        let node = &mut self.disk.borrow_mut().nodes[*file];
        node.durable = node.now.clone();
        Ok(())
    }
    async fn lock(&self, file: &usize) -> FileResult<()> {
        self.step()?;
        self.disk.borrow_mut().nodes[*file].locked = true;
        Ok(())
    }
    async fn share(&self, _file: &usize) -> FileResult<()> {
        self.step()
    }
    async fn rename(&self, from: &FilePath, to: &FilePath) -> FileResult<()> {
        self.step()?;
        self.parent_exists(&to.0)?;
        let names = &mut self.disk.borrow_mut().names;
        let index = names.remove(&from.0).ok_or(Errno::ENOENT)?;
        names.insert(to.0.clone(), index);
        Ok(())
    }
    async fn remove(&self, path: &FilePath) -> FileResult<()> {
        self.step()?;
        self.disk
            .borrow_mut()
            .names
            .remove(&path.0)
            .map(drop)
            .ok_or(Errno::ENOENT)
    }
    async fn remove_dir(&self, path: &FilePath) -> FileResult<()> {
        self.step()?;
        let prefix = format!("{}/", path.0);
        let mut disk = self.disk.borrow_mut();
        let inside = |name: &String| name.starts_with(&prefix);
        if disk.names.keys().any(inside) || disk.dirs.iter().any(inside) {
            return Err(Errno::ENOTEMPTY);
        }
        if disk.dirs.remove(&path.0) {
            Ok(())
        } else {
            Err(Errno::ENOENT)
        }
    }
    async fn flush_dir(&self, path: &str) -> FileResult<()> {
        self.step()?;
        let in_dir = |name: &str| name.rsplit_once('/').map_or("", |(dir, _)| dir) == path;
        let mut disk = self.disk.borrow_mut();
        let Disk {
            names,
            durable_names,
            dirs,
            durable_dirs,
            ..
        } = &mut *disk;
        durable_names.retain(|name, _| !in_dir(name));
        durable_names.extend(
            names
                .iter()
                .filter(|(name, _)| in_dir(name))
                .map(|(n, i)| (n.clone(), *i)),
        );
        durable_dirs.retain(|name| !in_dir(name));
        durable_dirs.extend(dirs.iter().filter(|name| in_dir(name)).cloned());
        Ok(())
    }
    async fn space(&self) -> FileResult<(u64, u64)> {
        self.step()?;
        let used: usize = self.disk.borrow().nodes.iter().map(|node| node.now.len()).sum();
        Ok((self.capacity - used as u64, self.capacity))
    }
    async fn breathe(&self) {}
    async fn pace(&self, _bytes: u64, _per_second: u64) {}
    fn is_stopping(&self) -> bool {
        self.stopping.get()
    }
    async fn close(&self, _file: usize) {}
    fn bound(&self, file: FileId) -> Option<usize> {
        self.disk.borrow().bound.get(&file).copied()
    }
    fn bind(&self, file: FileId, handle: usize) {
        self.disk.borrow_mut().bound.insert(file, handle);
    }
}

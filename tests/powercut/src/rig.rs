//! The layers put together: disk in memory, FUSE file, loop device, file system; and the place where cut images come up.

use std::fs::OpenOptions;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cut::{Cut, Cutter};
use crate::disk::Disk;
use crate::error::{Context, Result, last_os};
use crate::pfs;
use crate::rules::Rule;
use crate::sys::fiemap::DataMap;
use crate::sys::loopdev::LoopDevice;
use crate::sys::mount::{FsKind, MountedFs};

/// How a rig is built.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// File system on the disk.
    pub fs: FsKind,
    /// Direct I/O below the loop device.
    pub direct: bool,
    /// Size of the disk in MiB.
    pub mib: usize,
}

impl Shape {
    /// `ext4, direct loop` and the like.
    pub fn label(&self) -> String {
        format!(
            "{}, {} loop",
            self.fs.name(),
            if self.direct { "direct" } else { "buffered" }
        )
    }
}

/// A mounted file system whose every write is logged. Taken down in order when dropped.
pub struct Rig {
    fs: MountedFs,
    pfs: pfs::Mounted,
    disk: Arc<Disk>,
}

impl Rig {
    /// Builds disk, FUSE file, loop device and a fresh file system below `home`.
    ///
    /// # Errors
    /// Whatever layer is missing, with what to install or allow.
    pub fn build(home: &Path, shape: Shape) -> Result<Self> {
        let disk = Arc::new(Disk::new(shape.mib << 20));
        let fuse_dir = home.join("fuse");
        std::fs::create_dir_all(&fuse_dir).context("creating the FUSE mount point")?;
        let pfs = pfs::Mounted::new(disk.clone(), &fuse_dir)?;
        let device = LoopDevice::attach(&fuse_dir.join("disk"), shape.direct)?;
        shape.fs.make(device.path())?;
        let fs = shape.fs.mount(device, &home.join("mnt"))?;
        Ok(Self { fs, pfs, disk })
    }

    /// Root of the mounted file system.
    pub fn path(&self) -> &Path {
        self.fs.path()
    }

    /// The disk below.
    pub fn disk(&self) -> &Arc<Disk> {
        &self.disk
    }

    /// Sets a fault rule given as text.
    ///
    /// # Errors
    /// When the rule is not understood.
    pub fn rule(&self, text: &str) -> Result<()> {
        self.disk.add_rule(Rule::parse(text).context("fault rule")?);
        Ok(())
    }

    /// Removes all fault rules and lets hanging calls go on.
    pub fn clear_rules(&self) {
        self.pfs.clear_rules();
    }

    /// Where the bytes of the files lie at this moment.
    pub fn data_map(&self, wanted: &dyn Fn(&Path) -> bool) -> DataMap {
        DataMap::of_tree(self.path(), wanted)
    }

    /// Flushes this file system: what was done so far is the durable ground to stand on.
    ///
    /// # Errors
    /// The errno of syncfs.
    pub fn settle(&self) -> Result<()> {
        let root = std::fs::File::open(self.path())?;
        // SAFETY: the descriptor is open for the whole call; no memory is involved.
        if unsafe { libc::syncfs(root.as_raw_fd()) } == 0 {
            Ok(())
        } else {
            Err(last_os("syncfs"))
        }
    }

    /// Unmounts everything and hands over the disk with its log.
    pub fn finish(self) -> Arc<Disk> {
        let Self { fs, pfs, disk } = self;
        drop(fs);
        drop(pfs);
        disk
    }
}

/// A reusable image file in memory on which cut images come up one after the other.
pub struct Stage {
    file: PathBuf,
    mount_point: PathBuf,
    map: *mut u8,
    len: usize,
}

impl Stage {
    /// An image file of `mib` MiB below `home`, which must be a tmpfs.
    ///
    /// # Errors
    /// When the memory is not there.
    pub fn new(home: &Path, mib: usize) -> Result<Self> {
        let (file, len) = (home.join("image"), mib << 20);
        let open = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&file)?;
        open.set_len(len as u64).context("sizing the image")?;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a fresh shared mapping of a file of exactly this length; the kernel picks the address.
        let map = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                protection,
                libc::MAP_SHARED,
                open.as_raw_fd(),
                0,
            )
        };
        if map == libc::MAP_FAILED {
            return Err(last_os("mapping the image"));
        }
        Ok(Self {
            file,
            mount_point: home.join("cut"),
            map: map.cast(),
            len,
        })
    }

    /// Derives the image of `cut`; returns how many writes were pending. Nothing may be mounted from the last one.
    pub fn load(&mut self, cutter: &mut Cutter<'_>, cut: Cut, data: (&DataMap, &DataMap)) -> usize {
        // SAFETY: `map` covers `len` bytes until drop, and `&mut self` makes this the only slice of it; the loop device
        // that shares the pages is detached between images.
        let image = unsafe { std::slice::from_raw_parts_mut(self.map, self.len) };
        cutter.derive(cut, data, image)
    }

    /// Attaches and mounts the image: the file system replays its journal.
    ///
    /// # Errors
    /// When the file system cannot come up.
    pub fn mount(&self, fs: FsKind) -> Result<MountedFs> {
        fs.mount(LoopDevice::attach(&self.file, false)?, &self.mount_point)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // SAFETY: `map` and `len` are those of the mapping made in `new`, and no slice of it lives on.
        unsafe { libc::munmap(self.map.cast(), self.len) };
        let _ = std::fs::remove_file(&self.file);
    }
}

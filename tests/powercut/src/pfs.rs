//! The FUSE file system of the rig: `disk` (the image), `control` (fault rules in, one per line) and `stats`.
//!
//! Opened with direct I/O so that no page cache hides a write; fallocate and truncation are refused, so the loop device
//! above must write every byte. Requests are handled one at a time in arrival order, which makes the write log a
//! true order; delayed and hanging calls are answered from elsewhere so that others go on.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyWrite, Request,
    WriteFlags,
};

use crate::disk::Disk;
use crate::error::{Context, Result};
use crate::rules::{Action, Op, Rule};

const DISK: u64 = 2;
const CONTROL: u64 = 3;
const STATS: u64 = 4;
const NAMES: [(u64, &str); 3] = [(DISK, "disk"), (CONTROL, "control"), (STATS, "stats")];
const TTL: Duration = Duration::from_secs(1);

/// A mounted disk; unmounts when dropped.
pub struct Mounted {
    session: Option<BackgroundSession>,
    gate: Arc<Gate>,
    disk: Arc<Disk>,
}

impl Mounted {
    /// Mounts `disk` at the empty directory `at`.
    ///
    /// # Errors
    /// When FUSE is missing or mounting is not allowed; the message says what to install or run.
    pub fn new(disk: Arc<Disk>, at: &Path) -> Result<Self> {
        let gate = Arc::new(Gate::default());
        let fs = Pfs {
            disk: disk.clone(),
            gate: gate.clone(),
        };
        let session = fuser::spawn_mount(fs, at, &Config::default())
            .context("mounting the FUSE disk (needs root and /dev/fuse; apt-get install fuse3)")?;
        Ok(Self {
            session: Some(session),
            gate,
            disk,
        })
    }

    /// Removes all rules and lets hanging calls go on.
    pub fn clear_rules(&self) {
        self.disk.clear_rules();
        self.gate.open();
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        self.clear_rules();
        if let Some(session) = self.session.take() {
            let _ = session.umount_and_join();
        }
    }
}

/// Where hanging calls wait; each opening lets go of all that wait at that moment.
#[derive(Default)]
struct Gate {
    openings: Mutex<u64>,
    changed: Condvar,
}

impl Gate {
    fn open(&self) {
        *self.openings.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.changed.notify_all();
    }

    fn wait(&self) {
        let mut openings = self.openings.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = *openings;
        while *openings == seen {
            openings = self.changed.wait(openings).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

struct Pfs {
    disk: Arc<Disk>,
    gate: Arc<Gate>,
}

impl Pfs {
    /// Runs `call` now, later or never, as the rules say; `refuse` is its way to fail.
    fn ruled<R: Send + 'static>(
        &self,
        (op, offset, len): (Op, u64, u64),
        reply: R,
        refuse: impl FnOnce(R, Errno),
        call: impl FnOnce(&Disk, R, bool) + Send + 'static,
    ) {
        let disk = self.disk.clone();
        match self.disk.decide(op, offset, len) {
            None => call(&disk, reply, false),
            Some(Action::Lie) => call(&disk, reply, true),
            Some(Action::Errno(errno)) => refuse(reply, Errno::from_i32(errno)),
            Some(Action::Delay(ms)) => {
                std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_millis(ms));
                    call(&disk, reply, false);
                });
            }
            Some(Action::Hang) => {
                let gate = self.gate.clone();
                std::thread::spawn(move || {
                    gate.wait();
                    call(&disk, reply, false);
                });
            }
        }
    }

    fn control(&self, text: &[u8]) -> std::result::Result<(), String> {
        for line in String::from_utf8_lossy(text)
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
        {
            if line == "clear" {
                self.disk.clear_rules();
                self.gate.open();
            } else {
                self.disk.add_rule(Rule::parse(line)?);
            }
        }
        Ok(())
    }

    fn stats(&self) -> String {
        let c = self.disk.counts();
        format!(
            "reads {}\nwrites {}\nflushes {}\nbytes_written {}\nlog_bytes {}\nsequence {}\n",
            c.reads,
            c.writes,
            c.flushes,
            c.bytes_written,
            c.log_bytes,
            self.disk.sequence()
        )
    }

    fn attr(&self, ino: u64) -> Option<FileAttr> {
        let (kind, size) = match ino {
            1 => (FileType::Directory, 0),
            DISK => (FileType::RegularFile, self.disk.size()),
            CONTROL | STATS => (FileType::RegularFile, 0),
            _ => return None,
        };
        Some(FileAttr {
            ino: INodeNo(ino),
            size,
            blocks: size / 512,
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind,
            perm: if ino == 1 { 0o700 } else { 0o600 },
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            flags: 0,
            blksize: 4096,
        })
    }
}

impl Filesystem for Pfs {
    fn lookup(&self, _req: &Request, _parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = NAMES.iter().find(|(_, known)| name == OsStr::new(known));
        match found.and_then(|(ino, _)| self.attr(*ino)) {
            Some(attr) => reply.entry(&TTL, &attr, Generation(0)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _req: &Request, ino: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        match self.attr(ino.0) {
            Some(attr) => reply.attr(&TTL, &attr),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn setattr(
        &self,
        _req: &Request,
        ino: INodeNo,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<fuser::TimeOrNow>,
        _mtime: Option<fuser::TimeOrNow>,
        _ctime: Option<std::time::SystemTime>,
        _fh: Option<FileHandle>,
        _crtime: Option<std::time::SystemTime>,
        _chgtime: Option<std::time::SystemTime>,
        _bkuptime: Option<std::time::SystemTime>,
        _flags: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        // `echo rule > control` truncates first; the disk itself never changes its size.
        match self.attr(ino.0) {
            Some(_) if ino.0 == DISK && size.is_some() => reply.error(Errno::EOPNOTSUPP),
            Some(attr) => reply.attr(&TTL, &attr),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn open(&self, _req: &Request, _ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn read(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match ino.0 {
            DISK => self.ruled(
                (Op::Read, offset, u64::from(size)),
                reply,
                ReplyData::error,
                move |disk, reply, _| {
                    reply.data(&disk.read(offset, size as usize));
                },
            ),
            STATS => reply.data(self.stats().as_bytes().get(offset as usize..).unwrap_or_default()),
            _ => reply.data(&[]),
        }
    }

    fn write(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _lock: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match ino.0 {
            DISK => {
                let bytes = data.to_vec();
                let call = (Op::Write, offset, data.len() as u64);
                self.ruled(call, reply, ReplyWrite::error, move |disk, reply, _| {
                    reply.written(disk.write(offset, &bytes) as u32);
                });
            }
            CONTROL if self.control(data).is_ok() => reply.written(data.len() as u32),
            _ => reply.error(Errno::EINVAL),
        }
    }

    fn fsync(&self, _req: &Request, ino: INodeNo, _fh: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        if ino.0 != DISK {
            return reply.ok();
        }
        let whole = (Op::Flush, 0, self.disk.size());
        self.ruled(whole, reply, ReplyEmpty::error, |disk, reply, lies| {
            disk.flush(lies);
            reply.ok();
        });
    }

    fn flush(&self, _req: &Request, _ino: INodeNo, _fh: FileHandle, _lock: LockOwner, reply: ReplyEmpty) {
        reply.ok(); // close(2), not a device flush
    }

    fn fallocate(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _offset: u64,
        _length: u64,
        _mode: i32,
        reply: ReplyEmpty,
    ) {
        reply.error(Errno::EOPNOTSUPP);
    }

    fn readdir(&self, _req: &Request, _ino: INodeNo, _fh: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        for (index, (ino, name)) in NAMES.iter().enumerate().skip(offset as usize) {
            if reply.add(INodeNo(*ino), index as u64 + 1, FileType::RegularFile, name) {
                break;
            }
        }
        reply.ok();
    }
}

//! Reads what the last run left: opens, locks and flushes journal files, then hands their content to the pure recovery.
//!
//! Order matters (a killed predecessor may still have writes in flight): take the exclusive lock on each journal file, flush
//! it, and only then read. The lock is on the descriptor that the new run writes with.

use super::sizes::{journal_file_size, shard_directory};
use crate::base::buf::{AlignedBuf, BLOCK};
use crate::base::ids::FileId;
use crate::controller::image::Image;
use crate::controller::machine::{Controller, ControllerConfig};
use crate::controller::record::{MetaRecord, decode_snapshot};
use crate::log::recovery::{JournalFile, Recovered, recover};
use crate::reactor::Refusal;
use bytes::Bytes;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long a predecessor's kernel threads may keep a journal file locked after its death.
const LOCK_WAIT: Duration = Duration::from_secs(10);
/// Threads that read the journal files of a shard.
const JOURNAL_READERS: usize = 4;
/// Bytes of one read.
const READ_STEP: usize = 4 << 20;
/// Largest checkpoint read, bytes.
const CHECKPOINT_MAX: u64 = 1 << 30;

/// A shard's state and its open journal files.
pub struct RecoveredShard {
    /// For the state machine.
    pub state: Recovered,
    /// For the reactor.
    pub files: Vec<(FileId, Arc<OwnedFd>)>,
    /// Size of its journal files, if it has any.
    pub journal_file: Option<u64>,
    /// There is a checkpoint, and no copy of it is damaged: the one recovered from is the newest.
    pub checkpoint_sound: bool,
}

/// Number in `journal-<seq>.jnl`.
pub fn journal_seq(name: &str) -> Option<u64> {
    name.strip_prefix("journal-")?.strip_suffix(".jnl")?.parse().ok()
}

/// Recovers one shard from its directory, which may not exist yet.
///
/// # Errors
/// A refusal for unreadable files, files that another process holds, and damage that no crash explains.
pub fn recover_shard(data_dir: &Path, shard: u16) -> Result<RecoveredShard, Refusal> {
    let directory = data_dir.join(shard_directory(shard));
    let journal_file = journal_file_size(&directory);
    let mut journal = Vec::new();
    let mut files = Vec::new();
    let names = journal_names(&directory)?;
    for (id, (seq, (file, content))) in (1..).zip(open_journals(&directory, names)?) {
        let id = FileId(id);
        files.push((id, Arc::new(OwnedFd::from(file))));
        journal.push(JournalFile { file: id, seq, content });
    }
    let first = read_checkpoint(&directory.join("checkpoint.a"))?;
    let second = read_checkpoint(&directory.join("checkpoint.b"))?;
    let state = recover(shard, [first.as_deref(), second.as_deref()], journal).map_err(|damage| Refusal {
        cause: format!("{} is damaged: {damage}", directory.display()),
        remedy: format!(
            "run `ringlog inspect {}` to see what is wrong, and restore it from a backup",
            data_dir.display()
        ),
    })?;
    if let Some(fault) = &state.bad_copy {
        tracing::warn!(
            "{}: {fault}; the other copy is used, and this one is replaced by the next checkpoint",
            directory.display()
        );
    }
    let checkpoint_sound = (first.is_some() || second.is_some()) && state.bad_copy.is_none();
    await_predecessor(data_dir, &state)?;
    Ok(RecoveredShard {
        state,
        files,
        journal_file,
        checkpoint_sound,
    })
}

/// Waits until no write of a killed predecessor can reach the segments that this run appends to: those it had open are locked until
/// its last write has ended, even if that is after its death.
fn await_predecessor(data_dir: &Path, state: &Recovered) -> Result<(), Refusal> {
    for (id, found) in &state.partitions {
        let Some(last) = found.base.segments.last().filter(|s| !s.sealed) else {
            continue;
        };
        let path = data_dir.join(last.path(*id).0);
        match File::open(&path) {
            Ok(file) => lock(&file).map_err(|error| file_refusal(&path, &error))?,
            // Its partition says so when it is read or written.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(file_refusal(&path, &error)),
        }
    }
    Ok(())
}

/// The controller with everything replayed that shard 0 recovered.
///
/// # Errors
/// A refusal when the metadata is damaged or of a newer version.
pub fn recover_controller(state: &Recovered, config: ControllerConfig) -> Result<Controller, Refusal> {
    let refuse = |what: String| Refusal {
        cause: format!("the metadata in {} cannot be read: {what}", shard_directory(0)),
        remedy: "start it with the ringlog that wrote it or a newer one, or restore it from a backup".into(),
    };
    let image = match state.image.as_slice() {
        [] => Image::default(),
        bytes => decode_snapshot(bytes).map_err(|error| refuse(error.to_string()))?,
    };
    let mut controller = Controller::new(image, config);
    for record in &state.meta_records {
        let record = MetaRecord::decode(record).map_err(|error| refuse(error.to_string()))?;
        controller.replay(&record);
    }
    Ok(controller)
}

/// Journal files by number.
fn journal_names(directory: &Path) -> Result<Vec<(u64, String)>, Refusal> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(file_refusal(directory, &error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry
            .map_err(|error| file_refusal(directory, &error))?
            .file_name()
            .to_string_lossy()
            .into_owned();
        if let Some(seq) = journal_seq(&name) {
            names.push((seq, name));
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Number, file and content.
type OpenJournal = (u64, (File, Bytes));

/// Opens and reads the files, several at a time: one reader leaves half of a disk's bandwidth unused.
fn open_journals(directory: &Path, names: Vec<(u64, String)>) -> Result<Vec<OpenJournal>, Refusal> {
    let queue = Mutex::new(names);
    let read = || {
        let mut done = Vec::new();
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some((seq, name)) = next else { return Ok(done) };
            let path = directory.join(name);
            done.push((seq, open_journal(&path).map_err(|error| file_refusal(&path, &error))?));
        }
    };
    let mut all = Vec::new();
    thread::scope(|scope| {
        let readers: Vec<_> = (0..JOURNAL_READERS).map(|_| scope.spawn(read)).collect();
        for reader in readers {
            all.extend(reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok(())
    })?;
    all.sort_unstable_by_key(|(seq, _)| *seq);
    Ok(all)
}

fn open_journal(path: &Path) -> io::Result<(File, Bytes)> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_DIRECT)
        .open(path)?;
    lock(&file)?;
    file.sync_data()?;
    let content = read_whole(&file)?;
    Ok((file, content))
}

/// The exclusive lock of an open file; a dying predecessor may hold it for a moment.
fn lock(file: &File) -> io::Result<()> {
    let until = Instant::now() + LOCK_WAIT;
    loop {
        // SAFETY: no memory involved; the descriptor is open.
        if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::WouldBlock || Instant::now() >= until {
            return Err(error);
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Whole blocks only: a journal file's size is a multiple of the block.
fn read_whole(file: &File) -> io::Result<Bytes> {
    let size = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
    let mut content = AlignedBuf::zeroed(size);
    let mut at = 0;
    while at < size {
        let end = (at + READ_STEP).min(content.as_ref().len());
        let got = file.read_at(&mut content.as_mut()[at..end], at as u64)?;
        if got == 0 {
            break;
        }
        at += got;
        if at < size && !at.is_multiple_of(BLOCK) {
            return Err(io::Error::other("a direct read ended inside a block"));
        }
    }
    Ok(content.freeze(at.min(size)))
}

fn read_checkpoint(path: &Path) -> Result<Option<Vec<u8>>, Refusal> {
    let size = match fs::metadata(path) {
        Ok(found) => found.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(file_refusal(path, &error)),
    };
    if size > CHECKPOINT_MAX {
        return Err(file_refusal(path, &io::Error::other(format!("it has {size} bytes"))));
    }
    fs::read(path).map(Some).map_err(|error| file_refusal(path, &error))
}

fn file_refusal(path: &Path, error: &io::Error) -> Refusal {
    let remedy = match error.kind() {
        _ if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) => {
            "raise the limit of open files (LimitNOFILE=1048576)"
        }
        io::ErrorKind::WouldBlock => "another process holds it: stop that broker, or wait until its I/O has ended",
        io::ErrorKind::PermissionDenied => "give this user access to the file",
        _ => "check the disk (dmesg), and restore the file from a backup if it cannot be read",
    };
    Refusal {
        cause: format!("cannot read {}: {error}", path.display()),
        remedy: remedy.into(),
    }
}

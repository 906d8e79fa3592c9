//! The data directory: whose it is, which format it has, and that only one broker uses it.
//!
//! `ringlog.format` is written once and names the format version, the cluster and the node; `lock` is held for the life of
//! the process. A directory that is not ours is never touched.

use super::cluster_id;
use super::file_system::PROBE_FILE;
use crate::reactor::Refusal;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// Version of the directory's layout and of all files in it.
pub const FORMAT_VERSION: u32 = 3;
/// Names the format; its presence says that the directory is ours.
pub const FORMAT_FILE: &str = "ringlog.format";
const FORMAT_TMP: &str = "ringlog.format.tmp";
const LOCK_FILE: &str = "lock";
/// What may lie in a directory that we take over as new.
const HARMLESS: &[&str] = &["lost+found", LOCK_FILE, FORMAT_TMP, PROBE_FILE];
/// What shows that a directory without the format file was ours.
const OURS: &[&str] = &["shards", "topics"];
/// How long a holder of the lock that still runs may take to end: it may have been killed a moment ago.
const ALIVE_WAIT: Duration = Duration::from_millis(500);
/// The same for one that is gone but whose I/O the kernel has not ended yet.
const GONE_WAIT: Duration = Duration::from_secs(10);
/// Longest format file read.
const FORMAT_MAX: u64 = 4096;

/// An opened and locked data directory.
#[derive(Debug)]
pub struct DataDir {
    /// Absolute path.
    pub path: PathBuf,
    /// Kafka's cluster id.
    pub cluster_id: String,
    /// `node.id`.
    pub node_id: i32,
    /// Held until the process ends.
    _lock: File,
}

/// What `ringlog.format` says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Format {
    /// Version of the layout.
    pub version: u32,
    /// Kafka's cluster id.
    pub cluster_id: String,
    /// `node.id`.
    pub node_id: i32,
}

impl DataDir {
    /// Opens `path`, making it when it does not exist. `node_id` is what the configuration asks for, if it does.
    ///
    /// # Errors
    /// A refusal when it is not ours, of a newer version, of another node, in use, or cannot be written.
    pub fn open(path: &Path, node_id: Option<i32>) -> Result<DataDir, Refusal> {
        fs::create_dir_all(path).map_err(|error| io_refusal("make the data directory", path, &error))?;
        let path = path
            .canonicalize()
            .map_err(|error| io_refusal("open the data directory", path, &error))?;
        let format = read_format(&path)?;
        if format.is_none() {
            refuse_foreign(&path)?;
        }
        let lock = lock(&path)?;
        // Another broker may have made it while we waited for nothing: read again under the lock.
        let format = match read_format(&path)? {
            Some(format) => format,
            None => make_format(&path, node_id.unwrap_or(1))?,
        };
        if let Some(wanted) = node_id.filter(|wanted| *wanted != format.node_id) {
            return Err(Refusal {
                cause: format!(
                    "{} belongs to node {}, not to node {wanted}",
                    path.display(),
                    format.node_id
                ),
                remedy: format!("set node.id={}, or name another --data-dir", format.node_id),
            });
        }
        Ok(DataDir {
            path,
            cluster_id: format.cluster_id,
            node_id: format.node_id,

            _lock: lock,
        })
    }
}

/// Reads `ringlog.format` of a directory; `None` when there is none.
///
/// # Errors
/// A refusal when it is damaged or of a newer version.
pub fn read_format(directory: &Path) -> Result<Option<Format>, Refusal> {
    let path = directory.join(FORMAT_FILE);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_refusal("read", &path, &error)),
    };
    let mut text = String::new();
    file.take(FORMAT_MAX)
        .read_to_string(&mut text)
        .map_err(|error| io_refusal("read", &path, &error))?;
    parse_format(&text, &path).map(Some)
}

fn parse_format(text: &str, path: &Path) -> Result<Format, Refusal> {
    let field = |name: &str| {
        text.lines().find_map(|line| {
            let (key, value) = line.split_once('=')?;
            (key.trim() == name).then(|| value.trim().to_string())
        })
    };
    let damaged = |what: &str| Refusal {
        cause: format!("{} is damaged: {what}", path.display()),
        remedy: "restore it from a backup; everything else in the directory is as it was".into(),
    };
    let version: u32 = field("version")
        .and_then(|v| v.parse().ok())
        .filter(|version| *version > 0)
        .ok_or_else(|| damaged("no version"))?;
    if version > FORMAT_VERSION {
        return Err(Refusal {
            cause: format!(
                "{} has format version {version}; this is ringlog {}, which knows versions up to {FORMAT_VERSION}",
                path.parent().unwrap_or(path).display(),
                env!("CARGO_PKG_VERSION")
            ),
            remedy: "start it with the ringlog that wrote it or a newer one".into(),
        });
    }
    if version < FORMAT_VERSION {
        return Err(Refusal {
            cause: format!(
                "{} has format version {version}, which was never released; this is ringlog {} with version {FORMAT_VERSION}",
                path.parent().unwrap_or(path).display(),
                env!("CARGO_PKG_VERSION")
            ),
            remedy: "start the ringlog that wrote it beside this one and copy what is needed: `ringlog consume TOPIC -e --format jsonl | \
                     ringlog produce TOPIC --format jsonl -b ADDRESS`"
                .into(),
        });
    }
    let cluster_id = field("cluster.id")
        .filter(|id| !id.is_empty())
        .ok_or_else(|| damaged("no cluster.id"))?;
    let node_id = field("node.id")
        .and_then(|id| id.parse().ok())
        .ok_or_else(|| damaged("no node.id"))?;
    let format = Format {
        version,
        cluster_id,
        node_id,
    };
    // A wrong cluster or node would be believed by every client.
    if field("checksum") != Some(format.checksum()) {
        return Err(damaged("its checksum is wrong"));
    }
    Ok(format)
}

impl Format {
    fn checksum(&self) -> String {
        let text = format!("{}\n{}\n{}", self.version, self.cluster_id, self.node_id);
        format!("{:08x}", crc32c::crc32c(text.as_bytes()))
    }
}

/// Writes the format file as a whole or not at all.
fn make_format(directory: &Path, node_id: i32) -> Result<Format, Refusal> {
    let write = || -> io::Result<Format> {
        let format = Format {
            version: FORMAT_VERSION,
            cluster_id: cluster_id::random()?,
            node_id,
        };
        let text = format!(
            "# The data directory of a ringlog broker. Do not edit.\nversion = {}\ncluster.id = {}\nnode.id = {}\nchecksum = {}\n",
            format.version,
            format.cluster_id,
            format.node_id,
            format.checksum()
        );
        let temporary = directory.join(FORMAT_TMP);
        let mut file = File::create(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, directory.join(FORMAT_FILE))?;
        File::open(directory)?.sync_all()?;
        // The directory's own name, in case it is new too.
        if let Some(parent) = directory.parent() {
            File::open(parent)?.sync_all()?;
        }
        Ok(format)
    };
    write().map_err(|error| io_refusal("write the format file in", directory, &error))
}

fn refuse_foreign(directory: &Path) -> Result<(), Refusal> {
    if OURS.iter().any(|name| directory.join(name).exists()) {
        return Err(Refusal {
            cause: format!(
                "{} holds the data of a broker, but {FORMAT_FILE} is missing",
                directory.display()
            ),
            remedy: format!("restore {FORMAT_FILE} from a backup; everything else in the directory is as it was"),
        });
    }
    let entries = fs::read_dir(directory).map_err(|error| io_refusal("list", directory, &error))?;
    for entry in entries {
        let entry = entry.map_err(|error| io_refusal("list", directory, &error))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !HARMLESS.contains(&name.as_str()) {
            return Err(Refusal {
                cause: format!(
                    "{} holds other files (such as {name:?}) and no {FORMAT_FILE}: it is not a ringlog data directory",
                    directory.display()
                ),
                remedy: "name an empty or new directory with --data-dir".into(),
            });
        }
    }
    Ok(())
}

/// Takes the directory's lock, or names the process that has it.
fn lock(directory: &Path) -> Result<File, Refusal> {
    let path = directory.join(LOCK_FILE);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path);
    let mut file = file.map_err(|error| io_refusal("open", &path, &error))?;
    let begun = Instant::now();
    while let Err(error) = try_lock(&file) {
        if error.kind() != io::ErrorKind::WouldBlock {
            return Err(io_refusal("lock", &path, &error));
        }
        let holder = holder(&path);
        // A killed predecessor keeps its locks until the kernel has ended its I/O.
        let patience = match holder {
            Some(pid) if is_alive(pid) => ALIVE_WAIT,
            _ => GONE_WAIT,
        };
        if begun.elapsed() > patience {
            let who = holder.map_or("another process".to_string(), |pid| {
                format!("the broker with process id {pid}")
            });
            return Err(Refusal {
                cause: format!("{} is in use by {who}", directory.display()),
                remedy: "stop that broker first, or name another --data-dir".into(),
            });
        }
        thread::sleep(Duration::from_millis(2));
    }
    let written = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    match written {
        // It only tells others who holds the lock; a full disk must not keep a broker from starting.
        Err(error) if !is_full(&error) => Err(io_refusal("write", &path, &error)),
        _ => Ok(file),
    }
}

fn try_lock(file: &File) -> io::Result<()> {
    // SAFETY: no memory involved; the descriptor is open.
    match unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The process id that the lock file names.
fn holder(path: &Path) -> Option<u32> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// False for a process that is gone or a zombie.
fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The command may contain anything; the state follows its last bracket.
    stat.rsplit_once(')')
        .is_some_and(|(_, rest)| !matches!(rest.trim_start().chars().next(), Some('Z' | 'X') | None))
}

/// True when no room is left.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn io_refusal(what: &str, path: &Path, error: &io::Error) -> Refusal {
    let remedy = match error.kind() {
        io::ErrorKind::PermissionDenied => "give this user write access, or name another --data-dir",
        io::ErrorKind::StorageFull => "free some space",
        io::ErrorKind::ReadOnlyFilesystem => "mount the file system writable",
        _ => "check the path and the file system",
    };
    Refusal {
        cause: format!("cannot {what} {}: {error}", path.display()),
        remedy: remedy.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    struct Dir(PathBuf);

    impl Dir {
        fn new() -> Dir {
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            Dir(std::env::temp_dir().join(format!("ringlog-dir-{}-{number}", std::process::id())))
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn identity_is_made_once_and_kept() {
        let dir = Dir::new();
        let first = DataDir::open(&dir.0, Some(7)).unwrap();
        let id = first.cluster_id.clone();
        drop(first);
        let second = DataDir::open(&dir.0, None).unwrap();
        assert_eq!((second.cluster_id.clone(), second.node_id), (id, 7));
        drop(second);
        let refusal = DataDir::open(&dir.0, Some(8)).unwrap_err();
        assert!(
            refusal.cause.contains("node 7") && refusal.remedy.contains("node.id=7"),
            "{refusal}"
        );
    }

    #[test]
    fn a_second_broker_is_refused_and_told_who_has_it() {
        let dir = Dir::new();
        let _held = DataDir::open(&dir.0, None).unwrap();
        let refusal = DataDir::open(&dir.0, None).unwrap_err();
        assert!(
            refusal.cause.contains(&format!("process id {}", std::process::id())),
            "{refusal}"
        );
    }

    #[test]
    fn foreign_directories_are_left_alone() {
        let dir = Dir::new();
        fs::create_dir_all(&dir.0).unwrap();
        fs::write(dir.0.join("precious.txt"), "x").unwrap();
        let refusal = DataDir::open(&dir.0, None).unwrap_err();
        assert!(refusal.cause.contains("precious.txt"), "{refusal}");
        assert_eq!(fs::read_dir(&dir.0).unwrap().count(), 1, "nothing was added");
    }

    #[test]
    fn a_newer_format_is_refused_with_a_remedy() {
        let dir = Dir::new();
        fs::create_dir_all(&dir.0).unwrap();
        fs::write(dir.0.join(FORMAT_FILE), "version = 4\ncluster.id = x\nnode.id = 1\n").unwrap();
        let refusal = DataDir::open(&dir.0, None).unwrap_err();
        assert!(
            refusal.cause.contains("version 4") && refusal.remedy.contains("newer"),
            "{refusal}"
        );
        fs::write(dir.0.join(FORMAT_FILE), "version = 3\n").unwrap();
        assert!(DataDir::open(&dir.0, None).unwrap_err().cause.contains("damaged"));
    }

    #[test]
    fn a_changed_or_missing_format_file_is_refused() {
        let dir = Dir::new();
        drop(DataDir::open(&dir.0, Some(7)).unwrap());
        let path = dir.0.join(FORMAT_FILE);
        let good = fs::read(&path).unwrap();
        let text = String::from_utf8(good.clone()).unwrap();
        let first = text.find("version").unwrap();
        for at in first..good.len() - 1 {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&path, &bad).unwrap();
            let refusal = DataDir::open(&dir.0, None).map(drop);
            // A line's end may turn into another blank; the values are what they were.
            let harmless = good[at] == b' ' || good[at] == b'\n';
            assert!(harmless || refusal.is_err(), "byte {at} of {text}");
            fs::write(&path, &good[..at]).unwrap();
            assert!(DataDir::open(&dir.0, None).is_err(), "cut at {at}");
        }
        fs::remove_file(&path).unwrap();
        fs::create_dir(dir.0.join("shards")).unwrap();
        let refusal = DataDir::open(&dir.0, None).unwrap_err();
        assert!(
            refusal.cause.contains("ringlog.format is missing") && refusal.remedy.contains("restore"),
            "{refusal}"
        );
    }
}

//! The directories of shards below the data directory, and how many there are.
//!
//! The set is replaced as a whole by renames (`shards` to `shards.old`, `shards.new` to `shards`), so that after a crash its
//! number is certain: `shards.old` exists only when `shards.new` was complete and flushed.

use crate::reactor::Refusal;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

const SHARDS: &str = "shards";
const NEW: &str = "shards.new";
const OLD: &str = "shards.old";

/// Makes the directories of a new data directory, or counts those of an existing one.
///
/// # Errors
/// A refusal when they cannot be read or written, or when a number is missing.
pub fn open(data_dir: &Path, wanted: u16) -> Result<u16, Refusal> {
    let refuse = |error: io::Error| Refusal {
        cause: format!("cannot prepare {}: {error}", data_dir.join(SHARDS).display()),
        remedy: "check the directory's owner and the file system".into(),
    };
    finish_replacement(data_dir).map_err(refuse)?;
    if !data_dir.join(SHARDS).exists() {
        replace(data_dir, |_, _| Ok(()), wanted).map_err(refuse)?;
        return Ok(wanted);
    }
    let mut numbers = Vec::new();
    for entry in fs::read_dir(data_dir.join(SHARDS)).map_err(refuse)? {
        let name = entry.map_err(refuse)?.file_name();
        if let Some(number) = name.to_str().and_then(|name| name.parse::<u16>().ok()) {
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    let count = u16::try_from(numbers.len()).unwrap_or(u16::MAX);
    if count == 0 || numbers.iter().zip(0..).any(|(number, index)| *number != index) {
        return Err(Refusal {
            cause: format!("{} lacks a shard: found {numbers:?}", data_dir.join(SHARDS).display()),
            remedy: "restore the data directory from a backup".into(),
        });
    }
    Ok(count)
}

/// Replaces all shards' directories by `count` new ones, each filled by `fill`.
///
/// # Errors
/// Those of the file system and of `fill`; the old set is then still in place.
pub fn replace(data_dir: &Path, fill: impl Fn(&Path, u16) -> io::Result<()>, count: u16) -> io::Result<()> {
    let (new, current) = (data_dir.join(NEW), data_dir.join(SHARDS));
    if new.exists() {
        fs::remove_dir_all(&new)?;
    }
    fs::create_dir(&new)?;
    for shard in 0..count {
        let directory = new.join(shard.to_string());
        fs::create_dir(&directory)?;
        fill(&directory, shard)?;
        File::open(&directory)?.sync_all()?;
    }
    File::open(&new)?.sync_all()?;
    File::open(data_dir)?.sync_all()?;
    if current.exists() {
        fs::rename(&current, data_dir.join(OLD))?;
    }
    fs::rename(&new, &current)?;
    File::open(data_dir)?.sync_all()?;
    remove(&data_dir.join(OLD))
}

/// Goes on where a crash ended a replacement.
fn finish_replacement(data_dir: &Path) -> io::Result<()> {
    let (new, current, old) = (data_dir.join(NEW), data_dir.join(SHARDS), data_dir.join(OLD));
    if old.exists() && !current.exists() {
        fs::rename(if new.exists() { &new } else { &old }, &current)?;
        File::open(data_dir)?.sync_all()?;
    }
    remove(&old)?;
    remove(&new)
}

fn remove(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Writes a file and flushes it.
///
/// # Errors
/// Those of the file system.
pub fn write_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_between_the_renames_leaves_one_whole_set() {
        let root = std::env::temp_dir().join(format!("ringlog-dirs-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(&root).unwrap();
        assert_eq!(open(&root, 2).unwrap(), 2);
        assert_eq!(open(&root, 5).unwrap(), 2, "an existing set keeps its number");
        // Crash after the first rename: the new set is complete.
        fs::rename(root.join(SHARDS), root.join(OLD)).unwrap();
        fs::create_dir_all(root.join(NEW).join("0")).unwrap();
        assert_eq!(open(&root, 2).unwrap(), 1);
        assert!(!root.join(OLD).exists());
        // Crash while the new set was being written: the old one stays.
        fs::create_dir_all(root.join(NEW).join("0")).unwrap();
        fs::create_dir_all(root.join(NEW).join("1")).unwrap();
        assert_eq!(open(&root, 2).unwrap(), 1);
        assert!(!root.join(NEW).exists());
        // A number is missing.
        fs::create_dir_all(root.join(SHARDS).join("2")).unwrap();
        assert!(open(&root, 1).unwrap_err().cause.contains("lacks a shard"));
        fs::remove_dir_all(&root).unwrap();
    }
}

//! The directories of shards below the data directory, and how many there are.
//!
//! The set is replaced as a whole by a rename (`shards.new` to `shards`), so that after a crash its number is certain.

use crate::reactor::Refusal;
use std::fs::{self, File};
use std::io;
use std::path::Path;

const SHARDS: &str = "shards";
const NEW: &str = "shards.new";

/// Makes the directories of a new data directory, or counts those of an existing one.
///
/// # Errors
/// A refusal when they cannot be read or written, or when a number is missing.
pub fn open(data_dir: &Path, wanted: u16) -> Result<u16, Refusal> {
    let refuse = |error: io::Error| Refusal {
        cause: format!("cannot prepare {}: {error}", data_dir.join(SHARDS).display()),
        remedy: "check the directory's owner and the file system".into(),
    };
    if !data_dir.join(SHARDS).exists() {
        make(data_dir, wanted).map_err(refuse)?;
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
    let count = numbers.len() as u16;
    if count == 0 || numbers.iter().zip(0..).any(|(number, index)| *number != index) {
        return Err(Refusal {
            cause: format!("{} lacks a shard: found {numbers:?}", data_dir.join(SHARDS).display()),
            remedy: "restore the data directory from a backup".into(),
        });
    }
    Ok(count)
}

fn make(data_dir: &Path, count: u16) -> io::Result<()> {
    let new = data_dir.join(NEW);
    if new.exists() {
        fs::remove_dir_all(&new)?;
    }
    fs::create_dir(&new)?;
    for shard in 0..count {
        fs::create_dir(new.join(shard.to_string()))?;
    }
    File::open(&new)?.sync_all()?;
    fs::rename(&new, data_dir.join(SHARDS))?;
    File::open(data_dir)?.sync_all()
}

//! Writing, and the way back.
//!
//! The journal of old values is on the disk before a value is set, so whatever happens `undo` knows the way. A value that
//! somebody changed after us is theirs: `undo` leaves it and says so.

use crate::tune::rule::{Finding, Write};
use crate::tune::sysroot::Sysroot;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Form of the journal file.
const JOURNAL_VERSION: u32 = 1;

/// One value that was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Finding that asked for it.
    pub item: String,
    /// File in `/proc` or `/sys`.
    pub path: String,
    /// Before the first change.
    pub old: String,
    /// What was set.
    pub new: String,
}

/// Why the journal cannot be used.
#[derive(Debug)]
pub struct JournalError {
    /// The journal's file.
    pub file: PathBuf,
    /// What is wrong.
    pub cause: String,
}

/// Old values of all that was changed and not yet undone.
#[derive(Debug)]
pub struct Journal {
    file: PathBuf,
    entries: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct JournalFile {
    version: u32,
    entries: Vec<Entry>,
}

impl Journal {
    /// Where the journal lies below the machine's root.
    pub const PATH: &'static str = "/var/lib/ringlog/tune/undo.json";

    /// Reads the journal; empty if there is none.
    ///
    /// # Errors
    /// It is there and cannot be read, or was written by another version.
    pub fn open(root: &Sysroot) -> Result<Journal, JournalError> {
        let file = root.path(Self::PATH);
        let wrong = |cause: String| JournalError {
            file: file.clone(),
            cause,
        };
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Journal {
                    file,
                    entries: Vec::new(),
                });
            }
            Err(error) => return Err(wrong(error.to_string())),
        };
        let read: JournalFile = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        if read.version != JOURNAL_VERSION {
            return Err(wrong(format!("version {} is not known here", read.version)));
        }
        Ok(Journal {
            file,
            entries: read.entries,
        })
    }

    /// What can be undone, oldest first.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Notes a change that is about to be made. A second change of the same file keeps the oldest value.
    fn note(&mut self, entry: Entry) -> io::Result<()> {
        match self.entries.iter_mut().find(|known| known.path == entry.path) {
            Some(known) => known.new = entry.new,
            None => self.entries.push(entry),
        }
        self.save()
    }

    fn forget(&mut self, path: &str) -> io::Result<()> {
        self.entries.retain(|entry| entry.path != path);
        self.save()
    }

    /// Replaces the file in one step, flushed; removes it when nothing is left.
    fn save(&self) -> io::Result<()> {
        if self.entries.is_empty() {
            return fs::remove_file(&self.file).or_else(|error| match error.kind() {
                io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            });
        }
        let directory = self.file.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(directory)?;
        let new = self.file.with_extension("new");
        let mut file = fs::File::create(&new)?;
        let content = JournalFile {
            version: JOURNAL_VERSION,
            entries: self.entries.clone(),
        };
        file.write_all(&serde_json::to_vec_pretty(&content)?)?;
        file.sync_all()?;
        fs::rename(&new, &self.file)?;
        fs::File::open(directory)?.sync_all()
    }
}

/// What became of one write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Changed {
    /// Set, and read back.
    Set,
    /// Was so already.
    Unchanged,
    /// The kernel refused it, or took something else; with the reason.
    Refused(String),
    /// Changed by somebody else since; left alone.
    Foreign(String),
}

/// One write and its outcome.
#[derive(Clone, Debug, Serialize)]
pub struct Change {
    /// Finding that asked for it.
    pub item: String,
    /// File in `/proc` or `/sys`.
    pub path: String,
    /// Value before.
    pub old: String,
    /// Value asked for.
    pub new: String,
    /// Outcome.
    pub outcome: Changed,
}

/// Sets what the open findings want, one file after the other; goes on after a refusal.
///
/// # Errors
/// The journal cannot be written: then nothing more is changed.
pub fn apply(root: &Sysroot, journal: &mut Journal, findings: &[Finding]) -> io::Result<Vec<Change>> {
    let mut changes = Vec::new();
    for finding in findings.iter().filter(|finding| finding.is_open()) {
        for write in &finding.writes {
            let (old, outcome) = apply_one(root, journal, &finding.item, write)?;
            changes.push(Change {
                item: finding.item.clone(),
                path: write.path.clone(),
                old,
                new: write.value.clone(),
                outcome,
            });
        }
    }
    Ok(changes)
}

/// Sets one value; the value before, and what became of it.
fn apply_one(root: &Sysroot, journal: &mut Journal, item: &str, write: &Write) -> io::Result<(String, Changed)> {
    let Some(old) = root.value(&write.path) else {
        return Ok((
            String::new(),
            Changed::Refused("cannot be read, so it could not be put back".into()),
        ));
    };
    if old == write.value {
        return Ok((old, Changed::Unchanged));
    }
    journal.note(Entry {
        item: item.to_string(),
        path: write.path.clone(),
        old: old.clone(),
        new: write.value.clone(),
    })?;
    let outcome = set(root, &write.path, &old, &write.value);
    let is_as_before = root.value(&write.path).as_deref() == Some(old.as_str());
    if is_as_before && matches!(outcome, Changed::Refused(_)) {
        journal.forget(&write.path)?;
    }
    Ok((old, outcome))
}

/// Puts the old values back, newest change first; all of them, or those of the items named.
///
/// # Errors
/// The journal cannot be written.
pub fn undo(root: &Sysroot, journal: &mut Journal, items: &[String]) -> io::Result<Vec<Change>> {
    let wanted = |entry: &&Entry| items.is_empty() || items.contains(&entry.item);
    let entries: Vec<Entry> = journal.entries().iter().filter(wanted).rev().cloned().collect();
    let mut changes = Vec::new();
    for entry in entries {
        let now = root.value(&entry.path).unwrap_or_default();
        let outcome = if now != entry.new && now != entry.old {
            Changed::Foreign(format!("is {now}, not {}", entry.new))
        } else {
            set(root, &entry.path, &now, &entry.old)
        };
        // What somebody else has set stands; we have no more claim to it.
        if !matches!(outcome, Changed::Refused(_)) {
            journal.forget(&entry.path)?;
        }
        changes.push(Change {
            item: entry.item,
            path: entry.path,
            old: now,
            new: entry.old,
            outcome,
        });
    }
    Ok(changes)
}

/// Writes a value and reads it back: some files take a value and keep another.
fn set(root: &Sysroot, path: &str, old: &str, new: &str) -> Changed {
    if old == new {
        return Changed::Unchanged;
    }
    if let Err(error) = root.write(path, new) {
        return Changed::Refused(error.to_string());
    }
    match root.value(path) {
        Some(now) if now == new => Changed::Set,
        Some(now) => Changed::Refused(format!("the kernel made it {now}")),
        None => Changed::Refused("cannot be read back".into()),
    }
}

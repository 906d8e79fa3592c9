//! The ledger of acknowledgements, kept in memory for the comparison and written to a file outside of the rig's disk.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::error::{Context, Result};

/// One acknowledged batch.
#[derive(Clone, Copy, Debug)]
pub struct Ack {
    /// Producer, numbered by the rig.
    pub producer: u32,
    /// Lane (partition, numbered through all topics).
    pub lane: u32,
    /// First record of the batch; the others follow by one.
    pub first_n: u32,
    /// Number of records.
    pub count: u32,
    /// Offset of the first record as acknowledged.
    pub base_offset: i64,
    /// Write-log sequence current when the acknowledgement arrived; 0 without a power-cut disk.
    pub sequence: u64,
    /// CRC32C of the batch as sent.
    pub crc: u32,
}

/// All acknowledgements so far, and what went against the protocol while they were collected.
pub struct Ledger {
    inner: Mutex<Inner>,
}

struct Inner {
    file: File,
    acks: Vec<Ack>,
    violations: Vec<String>,
}

impl Ledger {
    /// A new ledger whose lines go to `path`: `sequence lane offset producer first_n count crc`.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).context(&path.display().to_string())?;
        Ok(Self {
            inner: Mutex::new(Inner {
                file,
                acks: Vec::new(),
                violations: Vec::new(),
            }),
        })
    }

    /// Notes acknowledged batches; they reach the file before this returns.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add(&self, acks: &[Ack]) -> Result<()> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        for a in acks {
            let numbers = [
                u64::from(a.lane),
                a.base_offset as u64,
                a.producer.into(),
                a.first_n.into(),
                a.count.into(),
            ];
            text += &a.sequence.to_string();
            for number in numbers {
                text += &format!(" {number}");
            }
            text += &format!(" {:08x}\n", a.crc);
        }
        inner.file.write_all(text.as_bytes()).context("writing the ledger")?;
        inner.acks.extend_from_slice(acks);
        Ok(())
    }

    /// Notes something no correct broker does.
    pub fn violation(&self, text: String) {
        self.inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .violations
            .push(text);
    }

    /// Number of acknowledged batches and records so far.
    pub fn totals(&self) -> (u64, u64) {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        (
            inner.acks.len() as u64,
            inner.acks.iter().map(|ack| u64::from(ack.count)).sum(),
        )
    }

    /// Copies of all acknowledgements and violations.
    pub fn contents(&self) -> (Vec<Ack>, Vec<String>) {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        (inner.acks.clone(), inner.violations.clone())
    }
}

//! Checkpoints, journal and index files, one at a time.

use super::Row;
use super::segments::identity_from_path;
use crate::base::buf::BLOCK;
use crate::cli::failure::Failure;
use crate::log::block::{self, Block};
use crate::log::checkpoint::Checkpoint;
use crate::log::frame::FrameKind;
use crate::log::index::Index;
use bytes::Bytes;
use std::fs;
use std::path::Path;

/// Reads a whole file.
pub(super) fn read(path: &Path) -> Result<Bytes, Failure> {
    let content =
        fs::read(path).map_err(|error| Failure::failed(format!("cannot read {}: {error}", path.display())))?;
    Ok(Bytes::from(content))
}

/// A checkpoint copy; the checkpoint itself when it is intact.
pub(super) fn checkpoint(name: &str, content: &[u8]) -> (Row, Option<Checkpoint>) {
    let row = Row::new(name, "checkpoint", content.len() as u64);
    match Checkpoint::decode(content) {
        Ok(found) => {
            let text = format!(
                "generation {}, journal from block {}, {} partitions",
                found.generation,
                found.start_lsn,
                found.partitions.len()
            );
            (row.content(text), Some(found))
        }
        Err(fault) => (row.damaged(fault), None),
    }
}

/// A journal file: how far its blocks follow each other. What a torn end means only the whole shard tells.
pub(super) fn journal(name: &str, content: &Bytes) -> Row {
    let row = Row::new(name, "journal", content.len() as u64);
    if !content.len().is_multiple_of(BLOCK) {
        return row.damaged(format!("its size is not a multiple of {BLOCK}"));
    }
    let Some(first) = block::decode_header(content) else {
        return row.content(if content.iter().all(|byte| *byte == 0) {
            "empty, ready for use"
        } else {
            "no block"
        });
    };
    let walk = walk(content, first);
    let mut text = format!(
        "run {}, blocks {} to {}, {} batches, {} metadata records, {} used",
        first.run_id,
        first.lsn,
        walk.last,
        walk.batches,
        walk.records,
        crate::server::config::units::show_size(walk.used as u64)
    );
    if walk.blocks == 0 {
        text = format!("run {}, block {} is torn", first.run_id, first.lsn);
    }
    row.content(text)
}

#[derive(Default)]
struct Walk {
    blocks: usize,
    last: u64,
    batches: usize,
    records: usize,
    used: usize,
}

fn walk(content: &[u8], first: Block) -> Walk {
    let mut walk = Walk::default();
    let mut expected = (first.lsn, first.prev_crc);
    while let Some((block, frames)) = content.get(walk.used..).and_then(block::decode) {
        if (block.lsn, block.prev_crc) != expected || block.run_id != first.run_id {
            break;
        }
        walk.blocks += 1;
        walk.last = block.lsn;
        walk.batches += frames
            .iter()
            .filter(|(_, frame)| frame.kind == FrameKind::Batch)
            .count();
        walk.records += frames.iter().filter(|(_, frame)| frame.kind == FrameKind::Meta).count();
        walk.used += block.disk_len();
        expected = (block.lsn + 1, block.header_crc);
    }
    walk
}

/// An index file, which a start rebuilds when it is not intact.
pub(super) fn index(path: &Path, name: &str) -> Result<Row, Failure> {
    let content = read(path)?;
    let row = Row::new(name, "index", content.len() as u64);
    let Some((partition, base_offset)) = identity_from_path(path) else {
        return Ok(row.note("its place does not say which segment it belongs to"));
    };
    Ok(match Index::decode(&content, partition, base_offset) {
        Some(_) => row.content("intact"),
        None => row.note("not intact; it is rebuilt from the segment when needed"),
    })
}

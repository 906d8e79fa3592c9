//! Segment files: frames in order, checksums, offsets without gaps.

use super::Row;
use crate::base::buf::BLOCK;
use crate::base::ids::{PartitionId, TopicId};
use crate::cli::failure::Failure;
use crate::log::frame::{FRAME_HEADER, decode_header};
use crate::log::segment::{parse_file_name, read_stretch};
use bytes::Bytes;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Bytes read at a time.
const WINDOW: usize = 4 << 20;
/// Longest frame believed.
const FRAME_MAX: usize = 1 << 30;

/// What a segment holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Contents {
    /// Batches.
    pub batches: usize,
    /// First offset, if there is any batch.
    pub base_offset: Option<i64>,
    /// Exclusive end.
    pub end_offset: i64,
    /// Bytes up to the last intact frame.
    pub valid_bytes: u64,
}

/// Topic id and partition from `.../<topic-id>/<partition>/<base-offset>.*`.
pub(super) fn identity_from_path(path: &Path) -> Option<(PartitionId, i64)> {
    let (base_offset, _) = parse_file_name(path.file_name()?.to_str()?)?;
    let partition = path.parent()?;
    let topic = partition.parent()?.file_name()?.to_str()?;
    let partition = partition.file_name()?.to_str()?.parse().ok()?;
    if topic.len() != 32 || !topic.is_ascii() {
        return None;
    }
    let mut id = [0u8; 16];
    for (at, byte) in id.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&topic[2 * at..2 * at + 2], 16).ok()?;
    }
    let topic = TopicId(id);
    Some((PartitionId { topic, partition }, base_offset))
}

/// A segment file alone: everything up to where its frames end.
pub(super) fn single(path: &Path, name: &str) -> Result<Row, Failure> {
    let fail = |error: io::Error| Failure::failed(format!("cannot read {}: {error}", path.display()));
    let file = File::open(path).map_err(fail)?;
    let size = file.metadata().map_err(fail)?.len();
    let row = Row::new(name, "segment", size);
    let partition = match identity_from_path(path) {
        Some((partition, _)) => Some(partition),
        None => first_frame(&file).map_err(fail)?,
    };
    let Some(partition) = partition else {
        return Ok(row.note("no frame at its start, and its place does not say whose it is"));
    };
    let (contents, end) = walk(&file, partition, size).map_err(fail)?;
    let row = row.content(describe(&contents));
    // Behind the last frame lies space that was allocated and not yet written.
    Ok(match end {
        Some((at, _)) if is_zero(&file, at, size).map_err(fail)? => row,
        None => row,
        Some((at, fault)) => row.damaged(format!(
            "at byte {at}: {fault} (or the end, if that is where the checkpoint ends)"
        )),
    })
}

/// `41 batches, offsets 0 to 4099`.
pub(super) fn describe(contents: &Contents) -> String {
    match contents.base_offset {
        None => "no batches".into(),
        Some(base) => format!(
            "{} batches, offsets {base} to {}",
            contents.batches,
            contents.end_offset - 1
        ),
    }
}

fn first_frame(file: &File) -> io::Result<Option<PartitionId>> {
    let bytes = read_window(file, 0, WINDOW as u64)?;
    Ok(decode_header(&bytes).ok().map(|frame| frame.partition))
}

fn is_zero(file: &File, from: u64, to: u64) -> io::Result<bool> {
    let mut at = from;
    while at < to {
        let bytes = read_window(file, at, to)?;
        if bytes.is_empty() {
            return Ok(true);
        }
        if bytes.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        at += bytes.len() as u64;
    }
    Ok(true)
}

fn read_window(file: &File, at: u64, end: u64) -> io::Result<Bytes> {
    read_some(file, at, end, WINDOW)
}

fn read_some(file: &File, at: u64, end: u64, most: usize) -> io::Result<Bytes> {
    let len = most.min(usize::try_from(end.saturating_sub(at)).unwrap_or(most));
    let mut bytes = vec![0; len];
    let mut got = 0;
    while got < len {
        match file.read_at(&mut bytes[got..], at + got as u64)? {
            0 => break,
            more => got += more,
        }
    }
    bytes.truncate(got);
    Ok(Bytes::from(bytes))
}

/// Walks the frames of the first `limit` bytes. The second value says where and why it ended before the limit.
pub(super) fn walk(file: &File, partition: PartitionId, limit: u64) -> io::Result<(Contents, Option<(u64, String)>)> {
    let mut contents = Contents::default();
    let mut at = 0;
    let mut most = WINDOW;
    let mut prev_crc = None;
    while at < limit {
        let bytes = read_some(file, at, limit, most)?;
        let stretch = read_stretch(partition, &bytes, at, at, None);
        if let Err(fault) = add(&mut contents, &mut prev_crc, &stretch.frames) {
            return Ok((contents, Some(fault)));
        }
        contents.valid_bytes = stretch.next_position.min(limit);
        if let Some(fault) = stretch.fault {
            return Ok((contents, Some((stretch.next_position, fault.to_string()))));
        }
        let is_over = limit - stretch.next_position.min(limit) < FRAME_HEADER as u64;
        if is_over || bytes.is_empty() {
            return Ok((contents, None));
        }
        // A position where a frame may start is kept; the next window begins at its block.
        most = match stretch.next_len {
            Some(len) if len > WINDOW && len <= FRAME_MAX => len.next_multiple_of(BLOCK),
            _ => WINDOW,
        };
        if stretch.next_position == at && stretch.frames.is_empty() && bytes.len() >= most.min((limit - at) as usize) {
            return Ok((contents, Some((at, "the frame is cut short".into()))));
        }
        at = stretch.next_position;
    }
    Ok((contents, None))
}

/// Adds frames, checking that each continues the one before.
fn add(
    contents: &mut Contents,
    prev_crc: &mut Option<u32>,
    frames: &[crate::log::segment::StoredFrame],
) -> Result<(), (u64, String)> {
    for stored in frames {
        let frame = &stored.frame;
        if contents.base_offset.is_some() && frame.base_offset != contents.end_offset {
            let fault = format!(
                "offset {} follows offset {}",
                frame.base_offset,
                contents.end_offset - 1
            );
            return Err((stored.position, fault));
        }
        if prev_crc.is_some_and(|crc| crc != frame.prev_crc) {
            return Err((stored.position, "the frame does not continue the one before".into()));
        }
        contents.base_offset.get_or_insert(frame.base_offset);
        contents.end_offset = frame.last_offset + 1;
        contents.batches += 1;
        *prev_crc = Some(frame.header_crc);
    }
    Ok(())
}

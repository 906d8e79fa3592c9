//! The four compression codecs of record batches.
//!
//! Decompression never gives more than the caller's limit, whatever the input claims. Snappy is written in the framing of
//! the Xerial library, as the Java client does, and read in that framing or raw (librdkafka writes raw). Must not know
//! batch headers.

use std::fmt;
use std::io::{self, Read, Write};

/// Codec of the records in a batch; `as i16` gives bits 0-2 of the attributes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(i16)]
pub enum Compression {
    /// Records as they are.
    #[default]
    None = 0,
    /// gzip (RFC 1952).
    Gzip = 1,
    /// Snappy, raw or in Xerial framing.
    Snappy = 2,
    /// LZ4 frame format.
    Lz4 = 3,
    /// Zstandard (KIP-110; Fetch and Produce versions must be high enough).
    Zstd = 4,
}

impl Compression {
    /// All codecs.
    pub const ALL: [Compression; 5] = [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ];

    /// The codec in a batch's attributes, `None` for the three numbers without a meaning.
    pub const fn of_attributes(attributes: i16) -> Option<Compression> {
        match attributes & 7 {
            0 => Some(Compression::None),
            1 => Some(Compression::Gzip),
            2 => Some(Compression::Snappy),
            3 => Some(Compression::Lz4),
            4 => Some(Compression::Zstd),
            _ => None,
        }
    }

    /// The name in configurations.
    pub const fn name(self) -> &'static str {
        match self {
            Compression::None => "uncompressed",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        }
    }
}

/// Why bytes could not be decompressed.
#[derive(Debug)]
pub enum CompressionError {
    /// They are not what the codec writes.
    Damaged {
        /// The codec.
        codec: Compression,
        /// Its own words.
        cause: String,
    },
    /// They would give more than the limit.
    TooLarge {
        /// The limit, bytes.
        limit: usize,
    },
}

impl fmt::Display for CompressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CompressionError::Damaged { codec, cause } => write!(f, "damaged {} data: {cause}", codec.name()),
            CompressionError::TooLarge { limit } => write!(f, "records decompress to more than {limit} bytes"),
        }
    }
}

impl std::error::Error for CompressionError {}

/// Start of the Xerial framing: magic, then version and lowest compatible version (both i32).
const XERIAL_MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const XERIAL_HEADER: usize = 16;
/// Uncompressed bytes in one Xerial block (the Java client's block size).
const XERIAL_BLOCK: usize = 32 << 10;

/// Largest zstd window accepted, as a power of two: what level 19 uses. A larger output limit raises it, for no stream needs
/// a window beyond its output. Kept low because the window is allocated as soon as a header asks for it.
const ZSTD_WINDOW_LOG: u32 = 23;

/// The records behind a compressed body.
///
/// # Errors
/// Damaged input, or more than `limit` bytes of output.
pub fn decompress(codec: Compression, body: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
    match codec {
        Compression::None if body.len() > limit => Err(CompressionError::TooLarge { limit }),
        Compression::None => Ok(body.to_vec()),
        Compression::Gzip => drain(codec, flate2::read::MultiGzDecoder::new(body), body.len(), limit),
        Compression::Snappy => decompress_snappy(body, limit),
        Compression::Lz4 => drain(codec, lz4_flex::frame::FrameDecoder::new(body), body.len(), limit),
        Compression::Zstd => decompress_zstd(body, limit),
    }
}

/// Compresses records at the codec's usual level.
///
/// # Errors
/// Only what the codec libraries report, which for memory they do not.
pub fn compress(codec: Compression, records: &[u8]) -> Result<Vec<u8>, CompressionError> {
    let packed = match codec {
        Compression::None => Ok(records.to_vec()),
        Compression::Gzip => compress_gzip(records),
        Compression::Snappy => return compress_snappy(records),
        Compression::Lz4 => compress_lz4(records),
        Compression::Zstd => zstd::bulk::compress(records, zstd::DEFAULT_COMPRESSION_LEVEL),
    };
    packed.map_err(|error| damaged(codec, error))
}

fn damaged(codec: Compression, cause: impl fmt::Display) -> CompressionError {
    CompressionError::Damaged {
        codec,
        cause: cause.to_string(),
    }
}

/// Reads `source` to its end, at most `limit` bytes.
fn drain(codec: Compression, source: impl Read, packed: usize, limit: usize) -> Result<Vec<u8>, CompressionError> {
    let mut records = Vec::with_capacity(packed.saturating_mul(2).min(limit));
    match source.take(limit as u64 + 1).read_to_end(&mut records) {
        Ok(_) if records.len() > limit => Err(CompressionError::TooLarge { limit }),
        Ok(_) => Ok(records),
        Err(error) => Err(damaged(codec, error)),
    }
}

fn decompress_zstd(body: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
    let codec = Compression::Zstd;
    let mut decoder = zstd::stream::read::Decoder::with_buffer(body).map_err(|error| damaged(codec, error))?;
    let window_log = ZSTD_WINDOW_LOG.max(usize::BITS - limit.leading_zeros()).min(27);
    decoder
        .window_log_max(window_log)
        .map_err(|error| damaged(codec, error))?;
    drain(codec, decoder, body.len(), limit)
}

fn compress_gzip(records: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(records)?;
    encoder.finish()
}

fn compress_lz4(records: &[u8]) -> io::Result<Vec<u8>> {
    // The Java client reads independent blocks only, and none above 4 MiB.
    let mut info = lz4_flex::frame::FrameInfo::new();
    info.block_size = lz4_flex::frame::BlockSize::Max64KB;
    info.block_mode = lz4_flex::frame::BlockMode::Independent;
    let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(records)?;
    encoder.finish().map_err(io::Error::other)
}

fn compress_snappy(records: &[u8]) -> Result<Vec<u8>, CompressionError> {
    let mut packed = XERIAL_MAGIC.to_vec();
    packed.extend_from_slice(&1i32.to_be_bytes());
    packed.extend_from_slice(&1i32.to_be_bytes());
    let mut encoder = snap::raw::Encoder::new();
    for block in records.chunks(XERIAL_BLOCK) {
        let block = encoder
            .compress_vec(block)
            .map_err(|error| damaged(Compression::Snappy, error))?;
        packed.extend_from_slice(&(block.len() as i32).to_be_bytes());
        packed.extend_from_slice(&block);
    }
    Ok(packed)
}

fn decompress_snappy(body: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
    let mut records = Vec::new();
    if !body.starts_with(&XERIAL_MAGIC) {
        unpack_snappy(body, limit, &mut records)?;
        return Ok(records);
    }
    let cut = || damaged(Compression::Snappy, "a block is cut short");
    let mut rest = body.get(XERIAL_HEADER..).ok_or_else(cut)?;
    while !rest.is_empty() {
        let (length, tail) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
        let length = usize::try_from(i32::from_be_bytes(*length)).map_err(|_| cut())?;
        unpack_snappy(tail.get(..length).ok_or_else(cut)?, limit, &mut records)?;
        rest = tail.get(length..).unwrap_or_default();
    }
    Ok(records)
}

/// Appends what one raw block holds. The block declares its size, which is checked before memory is taken.
fn unpack_snappy(block: &[u8], limit: usize, records: &mut Vec<u8>) -> Result<(), CompressionError> {
    let fail = |error: snap::Error| damaged(Compression::Snappy, error);
    let size = snap::raw::decompress_len(block).map_err(fail)?;
    let start = records.len();
    if size > limit - start {
        return Err(CompressionError::TooLarge { limit });
    }
    // No snappy element of n bytes gives more than 64 bytes, so a larger claim is a lie.
    if size > block.len().saturating_mul(64) {
        return Err(damaged(Compression::Snappy, "a block declares more than it can hold"));
    }
    records.resize(start + size, 0);
    let room = records.get_mut(start..).unwrap_or_default();
    snap::raw::Decoder::new().decompress(block, room).map_err(fail)?;
    Ok(())
}

#[cfg(test)]
mod tests;

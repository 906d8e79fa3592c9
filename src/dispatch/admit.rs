//! What becomes of a frame by its first bytes.

use crate::wire::api::{ApiKey, Lookup};
use crate::wire::control::api_versions;
use crate::wire::header::{RequestHeader, RequestPeek};
use bytes::Bytes;

/// What an answer needs to know of its request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Meta {
    /// What was asked.
    pub api: ApiKey,
    /// In which version; the answer has the same.
    pub version: i16,
    /// Repeated in the answer.
    pub correlation_id: i32,
    /// How long the client is told to wait, milliseconds (KIP-219).
    pub throttle_ms: i32,
}

/// The verdict on a frame.
#[derive(Debug)]
pub enum Admit<'a> {
    /// A request of a served version.
    Request(Meta, RequestHeader<'a>),
    /// Answered already: ApiVersions of a version we do not serve (KIP-511).
    Answer(Bytes),
    /// Close the connection without an answer, as Kafka does.
    Refuse(String),
}

/// Judges a frame (without its length prefix).
pub fn admit(frame: &[u8]) -> Admit<'_> {
    let peek = match RequestPeek::of(frame) {
        Ok(peek) => peek,
        Err(error) => return Admit::Refuse(error.to_string()),
    };
    if peek.lookup() == Lookup::ApiVersionsFallback {
        return Admit::Answer(api_versions::fallback(peek.correlation_id));
    }
    match RequestHeader::parse(frame) {
        Ok(header) => {
            let meta = Meta {
                api: header.api_key,
                version: header.api_version,
                correlation_id: header.correlation_id,
                throttle_ms: 0,
            };
            Admit::Request(meta, header)
        }
        Err(error) => Admit::Refuse(format!(
            "request key {} version {}: {error}",
            peek.api_key, peek.api_version
        )),
    }
}

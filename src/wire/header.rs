//! Request and response headers.
//!
//! The client id is never compact, not even in header version 2, which only adds tagged fields behind it. What ApiVersions
//! of an unknown version carries behind its correlation id is not looked at (KIP-511). Must not know request bodies.

use crate::wire::api::{ApiKey, Lookup, lookup};
use crate::wire::error::Fault;
use crate::wire::read::{Read, Reader};
use bytes::{BufMut, BytesMut};

/// Shortest request: key, version, correlation id. A shorter frame closes the connection.
pub const MIN_FRAME: usize = 8;

/// The first eight bytes of a request, the same in all versions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RequestPeek {
    /// API key as sent.
    pub api_key: i16,
    /// API version as sent.
    pub api_version: i16,
    /// Chosen by the client, repeated in the answer.
    pub correlation_id: i32,
}

impl RequestPeek {
    /// Reads it from a frame without its four-byte length.
    ///
    /// # Errors
    /// When the frame is shorter than [`MIN_FRAME`].
    pub fn of(frame: &[u8]) -> Read<RequestPeek> {
        RequestPeek::read(&mut Reader::new(frame))
    }

    fn read(reader: &mut Reader<'_>) -> Read<RequestPeek> {
        Ok(RequestPeek {
            api_key: reader.i16()?,
            api_version: reader.i16()?,
            correlation_id: reader.i32()?,
        })
    }

    /// What becomes of the request.
    pub fn lookup(&self) -> Lookup {
        lookup(self.api_key, self.api_version)
    }
}

/// A request whose key and version are served, split into header and body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RequestHeader<'a> {
    /// What is asked.
    pub api_key: ApiKey,
    /// In which version.
    pub api_version: i16,
    /// Repeated in the answer.
    pub correlation_id: i32,
    /// The client's name for itself.
    pub client_id: Option<&'a str>,
    /// Everything behind the header.
    pub body: &'a [u8],
}

impl<'a> RequestHeader<'a> {
    /// Splits a frame (without its four-byte length).
    ///
    /// # Errors
    /// When the key or version is not served (also for an ApiVersions fallback: ask [`RequestPeek::lookup`] first) or the
    /// header is damaged.
    pub fn parse(frame: &'a [u8]) -> Read<RequestHeader<'a>> {
        let mut reader = Reader::new(frame);
        let peek = RequestPeek::read(&mut reader)?;
        let Lookup::Served(api_key) = peek.lookup() else {
            return reader.fail(Fault::Unsupported {
                key: peek.api_key,
                version: peek.api_version,
            });
        };
        let client_id = reader.nullable_str(false)?;
        if api_key.is_flexible(peek.api_version) {
            reader.skip_tags()?;
        }
        Ok(RequestHeader {
            api_key,
            api_version: peek.api_version,
            correlation_id: peek.correlation_id,
            client_id,
            body: reader.rest(),
        })
    }
}

/// Bytes of the response header.
pub const fn response_header_len(key: ApiKey, version: i16) -> usize {
    4 + key.response_header_is_flexible(version) as usize
}

/// Writes the response header: the correlation id, and in flexible versions an empty section of tagged fields.
pub fn put_response_header(out: &mut BytesMut, key: ApiKey, version: i16, correlation_id: i32) {
    out.put_i32(correlation_id);
    if key.response_header_is_flexible(version) {
        out.put_u8(0);
    }
}

/// Writes a request header as a client does.
pub fn put_request_header(out: &mut BytesMut, key: ApiKey, version: i16, correlation_id: i32, client_id: Option<&str>) {
    out.put_i16(key.code());
    out.put_i16(version);
    out.put_i32(correlation_id);
    crate::wire::write::put_nullable_str(out, client_id, false);
    if key.is_flexible(version) {
        out.put_u8(0);
    }
}

/// Reads a response header and returns the correlation id; the body follows.
///
/// # Errors
/// When the header is damaged.
pub fn read_response_header(reader: &mut Reader<'_>, key: ApiKey, version: i16) -> Read<i32> {
    let correlation_id = reader.i32()?;
    if key.response_header_is_flexible(version) {
        reader.skip_tags()?;
    }
    Ok(correlation_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(version: i16, tail: &[u8]) -> Vec<u8> {
        let mut frame = vec![0, 3];
        frame.extend(version.to_be_bytes());
        frame.extend(7i32.to_be_bytes());
        frame.extend([0, 2, b'm', b'e']);
        frame.extend(tail);
        frame
    }

    #[test]
    fn client_id_is_never_compact_and_tags_follow_only_in_flexible_versions() {
        let old = header(8, b"body");
        let parsed = RequestHeader::parse(&old).unwrap();
        assert_eq!((parsed.client_id, parsed.body), (Some("me"), &b"body"[..]));
        let new = header(9, b"\x01\x05\x03abcbody");
        let parsed = RequestHeader::parse(&new).unwrap();
        assert_eq!((parsed.client_id, parsed.body), (Some("me"), &b"body"[..]));
        assert_eq!(parsed.correlation_id, 7);
    }

    #[test]
    fn short_frames_and_endless_tags_are_errors() {
        let whole = header(9, b"\x01\x05\x03abc");
        for len in 0..whole.len() {
            assert!(RequestHeader::parse(&whole[..len]).is_err(), "{len} bytes");
        }
        assert!(matches!(
            RequestHeader::parse(&header(9, b"\x41")).unwrap_err().fault,
            Fault::TooManyTags(65)
        ));
    }

    #[test]
    fn api_versions_answers_never_carry_header_tags() {
        let mut out = BytesMut::new();
        put_response_header(&mut out, ApiKey::ApiVersions, 4, 1);
        assert_eq!(out.len(), response_header_len(ApiKey::ApiVersions, 4));
        assert_eq!(out.len(), 4);
        assert_eq!(response_header_len(ApiKey::Metadata, 9), 5);
        assert_eq!(response_header_len(ApiKey::Metadata, 8), 4);
    }
}

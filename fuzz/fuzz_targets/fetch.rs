//! Fetch requests and responses: the first byte is the version, the rest the body.
#![no_main]

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use ringlog::wire::api::ApiKey;
use ringlog::wire::fetch::{FetchRequest, FetchResponse};
use ringlog::wire::header::response_header_len;

fuzz_target!(|input: &[u8]| {
    let [version, body @ ..] = input else { return };
    let version = 4 + i16::from(*version) % 15;
    if let Ok(request) = FetchRequest::decode(version, body) {
        let mut out = BytesMut::new();
        request.encode(version, &mut out);
        assert_eq!(FetchRequest::decode(version, &out), Ok(request));
    }
    let body = Bytes::copy_from_slice(body);
    if let Ok(response) = FetchResponse::decode(version, &body) {
        let frame = Bytes::from(response.frame(version, 1).concat());
        assert_eq!(frame[..4], (frame.len() as i32 - 4).to_be_bytes());
        let again = frame.slice(4 + response_header_len(ApiKey::Fetch, version)..);
        assert_eq!(FetchResponse::decode(version, &again), Ok(response));
    }
});

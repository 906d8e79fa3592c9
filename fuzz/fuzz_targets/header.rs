//! A frame from a stranger: peek, table, header.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringlog::wire::api::Lookup;
use ringlog::wire::header::{RequestHeader, RequestPeek};

fuzz_target!(|frame: &[u8]| {
    let Ok(peek) = RequestPeek::of(frame) else {
        assert!(frame.len() < 8);
        return;
    };
    match (peek.lookup(), RequestHeader::parse(frame)) {
        (Lookup::Served(key), Ok(header)) => {
            assert_eq!((header.api_key, header.api_version), (key, peek.api_version));
            assert!(frame.ends_with(header.body));
        }
        (Lookup::Served(_), Err(_)) => {}
        (_, header) => assert!(header.is_err()),
    }
});

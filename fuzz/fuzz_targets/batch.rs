//! Record batches: header, checks, decompression, records. The checksum is made right first, or nothing would get past it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringlog::wire::batch::{BatchView, HEADER_LEN, batches, patch_crc, patch_log_append_time, recompress};
use ringlog::wire::compress::Compression;
use ringlog::wire::record::{Records, validate};

const LIMIT: usize = 1 << 20;

fuzz_target!(|input: &[u8]| {
    for batch in batches(input) {
        let _ = batch.map(|batch| batch.verify());
    }
    let _ = BatchView::parse(input);
    if input.len() < HEADER_LEN {
        return;
    }
    let mut batch = input.to_vec();
    let length = (batch.len() - 12) as i32;
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    batch[16] = 2;
    patch_crc(&mut batch);
    let view = BatchView::parse(&batch).expect("a whole batch");
    let Ok(info) = view.verify() else { return };
    let Ok(body) = view.decompressed(LIMIT) else { return };
    assert!(body.len() <= LIMIT || info.compression() == Compression::None);
    let good = Records::new(&body, info.record_count)
        .filter(|record| record.is_ok())
        .count();
    if validate(&body, info.record_count).is_ok() {
        assert_eq!(good, info.record_count as usize);
    }
    if let Ok(other) = recompress(&view, Compression::Lz4, LIMIT) {
        let other = BatchView::parse(&other).expect("a whole batch");
        assert!(other.verify().is_ok());
        assert_eq!(other.decompressed(LIMIT).expect("our own data"), body);
    }
    patch_log_append_time(&mut batch, 1);
    assert!(BatchView::parse(&batch).is_ok_and(|view| view.crc_matches()));
});

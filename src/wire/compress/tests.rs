use super::*;
use proptest::prelude::*;

const CODECS: [Compression; 4] = [
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
    Compression::Zstd,
];

fn text(len: usize) -> Vec<u8> {
    let lines = (0..).flat_map(|i: u32| format!("2026-11-21 host-{} GET /{i} 200\n", i % 17).into_bytes());
    lines.take(len).collect()
}

proptest! {
    #[test]
    fn every_codec_gives_back_what_it_took(records in proptest::collection::vec(any::<u8>(), 0..5000)) {
        for codec in Compression::ALL {
            let packed = compress(codec, &records).unwrap();
            prop_assert_eq!(&decompress(codec, &packed, records.len()).unwrap(), &records);
        }
    }

    #[test]
    fn any_bytes_are_an_error_or_stay_within_the_limit(body in proptest::collection::vec(any::<u8>(), 0..400)) {
        for codec in CODECS {
            if let Ok(records) = decompress(codec, &body, 1000) {
                prop_assert!(records.len() <= 1000);
            }
        }
    }
}

#[test]
fn large_records_shrink_and_the_limit_is_exact() {
    let records = text(300_000);
    for codec in CODECS {
        let packed = compress(codec, &records).unwrap();
        assert!(packed.len() < records.len() / 2, "{}", codec.name());
        assert_eq!(decompress(codec, &packed, records.len()).unwrap(), records);
        let short = decompress(codec, &packed, records.len() - 1);
        assert!(
            matches!(short, Err(CompressionError::TooLarge { .. })),
            "{}",
            codec.name()
        );
    }
}

#[test]
fn a_bomb_costs_no_more_than_its_limit() {
    let zeros = vec![0; 64 << 20];
    for codec in CODECS {
        let bomb = compress(codec, &zeros).unwrap();
        let result = decompress(codec, &bomb, 1 << 20);
        assert!(matches!(result, Err(CompressionError::TooLarge { limit }) if limit == 1 << 20));
    }
}

#[test]
fn cut_input_is_an_error() {
    let records = text(100_000);
    for codec in CODECS {
        let packed = compress(codec, &records).unwrap();
        // The LZ4 reader does without the frame's end mark of four bytes; the record walk finds what is missing.
        let end = packed.len() - if codec == Compression::Lz4 { 5 } else { 1 };
        for len in [1, 5, 17, 100, packed.len() / 2, end] {
            let result = decompress(codec, &packed[..len], 1 << 20);
            assert!(result.is_err(), "{} cut to {len} of {}", codec.name(), packed.len());
        }
    }
}

#[test]
fn snappy_is_read_raw_and_framed() {
    let records = text(70_000);
    let raw = snap::raw::Encoder::new().compress_vec(&records).unwrap();
    assert_eq!(decompress(Compression::Snappy, &raw, 1 << 20).unwrap(), records);
    let framed = compress(Compression::Snappy, &records).unwrap();
    assert_eq!(framed[..8], XERIAL_MAGIC);
    assert_eq!(decompress(Compression::Snappy, &framed, 1 << 20).unwrap(), records);
}

#[test]
fn a_snappy_block_that_declares_gigabytes_takes_no_memory() {
    let lie = [0xff, 0xff, 0xff, 0xff, 0x0f, 0];
    let error = decompress(Compression::Snappy, &lie, usize::MAX).unwrap_err();
    assert!(error.to_string().contains("more than it can hold"), "{error}");
}

#[test]
fn gzip_members_one_after_the_other_are_one_stream() {
    let (a, b) = (text(1000), text(10));
    let both = [
        compress(Compression::Gzip, &a).unwrap(),
        compress(Compression::Gzip, &b).unwrap(),
    ]
    .concat();
    assert_eq!(decompress(Compression::Gzip, &both, 1 << 20).unwrap(), [a, b].concat());
}

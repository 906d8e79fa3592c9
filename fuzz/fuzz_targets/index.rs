//! Index files: any bytes; any bytes behind the right identity and checksum; real indexes, spoiled and summed again. Look-ups
//! in what is understood stay inside of what it covers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringlog::base::ids::PartitionId;
use ringlog::log::index::Index;
use ringlog_fuzz::{Draw, TOPIC, spoil};

/// Bytes before the content: magic, checksum, identity, life.
const PREFIX: usize = 44;
const BASE: i64 = 100;

fuzz_target!(|input: &[u8]| {
    let partition = PartitionId {
        topic: TOPIC,
        partition: 3,
    };
    let mut draw = Draw::new(input);
    let mut index = Index::new(BASE);
    let shape = draw.byte();
    if shape % 3 == 2 {
        let mut position = 0;
        for _ in 0..draw.byte() {
            let (len, count) = (u64::from(draw.short()), i64::from(draw.byte()));
            let offset = index.covered_end;
            index.add(offset, offset + count, draw.number(), position, position + len);
            position += len;
        }
    }
    let mut file = index.encode(partition, BASE, 9).to_vec();
    match shape % 3 {
        0 => file = input.to_vec(),
        1 => {
            file.truncate(PREFIX);
            file.extend_from_slice(draw.rest());
        }
        _ => spoil(&mut draw, &mut file[PREFIX..]),
    }
    if shape % 3 > 0 {
        let crc = crc32c::crc32c(&file[8..]);
        file[4..8].copy_from_slice(&crc.to_le_bytes());
    }
    let Some((index, life)) = Index::decode(&file, partition, BASE) else {
        return;
    };
    assert_eq!(
        Index::decode(&index.encode(partition, BASE, life), partition, BASE),
        Some((index.clone(), life))
    );
    for value in [i64::MIN, -1, 0, BASE, index.covered_end, index.max_timestamp, i64::MAX] {
        assert!(index.place_of_offset(value, BASE).0 <= index.covered_position);
        assert!(index.position_for_timestamp(value) <= index.covered_position);
    }
});

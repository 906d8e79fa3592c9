//! Segment bytes: good and bad frames of the partition, pads, anything else; read at once and in windows, as a cold read does.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use ringlog::base::ids::PartitionId;
use ringlog::log::frame::{FRAME_HEADER, pad_len, write_pad};
use ringlog::log::segment::{Stretch, read_stretch};
use ringlog_fuzz::{Chain, Draw, TOPIC, draw_frame};

const PARTITION: PartitionId = PartitionId {
    topic: TOPIC,
    partition: 3,
};

fn segment(draw: &mut Draw) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut chain = Chain::default();
    while !draw.is_empty() && bytes.len() < 1 << 18 {
        match draw.byte() % 8 {
            0 => {
                let used = bytes.len();
                bytes.resize(used + pad_len(used), 0xee);
                write_pad(&mut bytes[used..], PARTITION, chain.end);
            }
            1 => {
                let len = usize::from(draw.byte());
                bytes.extend_from_slice(draw.bytes(len));
            }
            2 => {
                let len = usize::from(draw.short() % 8192);
                bytes.resize(bytes.len() + len, 0);
            }
            3 => bytes.extend(draw_frame(draw, 4, &mut chain)),
            4 if !bytes.is_empty() => {
                let at = draw.number() as usize % bytes.len();
                bytes[at] ^= draw.byte();
            }
            _ => bytes.extend(draw_frame(draw, 3, &mut chain)),
        }
    }
    bytes
}

fn check(stretch: &Stretch, from: u64, len: usize) {
    let mut at = from;
    for found in &stretch.frames {
        assert!(found.position >= at, "frames come in order");
        assert_eq!(found.frame.partition, PARTITION);
        assert_eq!(found.batch.len(), found.frame.payload_len as usize);
        at = found.position + (FRAME_HEADER + found.batch.len()) as u64;
    }
    assert!(stretch.next_position >= at);
    assert!(stretch.frames.is_empty() || at <= len as u64);
}

fuzz_target!(|input: &[u8]| {
    let mut draw = Draw::new(input);
    let window = 4096 * (1 + usize::from(draw.byte() % 8));
    let bytes = Bytes::from(segment(&mut draw));
    let whole = read_stretch(PARTITION, &bytes, 0, 0, None);
    check(&whole, 0, bytes.len());
    if whole.fault.is_some() {
        return;
    }
    let (mut from, mut count, mut most) = (0u64, 0, window);
    loop {
        let at = from / 4096 * 4096;
        let end = bytes.len().min(at as usize + most);
        if at as usize >= end {
            break;
        }
        let stretch = read_stretch(PARTITION, &bytes.slice(at as usize..end), at, from, None);
        assert_eq!(stretch.fault, None, "good as a whole");
        check(&stretch, from, bytes.len());
        count += stretch.frames.len();
        if end == bytes.len() {
            break;
        }
        let same = stretch.next_position == from;
        most = if same { most * 2 } else { window };
        from = stretch.next_position;
    }
    assert_eq!(count, whole.frames.len(), "windows show what is there");
});

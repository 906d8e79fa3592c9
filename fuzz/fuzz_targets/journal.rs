//! Recovery: any bytes as a journal file, and journals of any blocks and frames with right checksums, some spoiled, behind any
//! checkpoint. Recovery refuses or gives the same state twice, and a shard starts on it or refuses.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use ringlog::api::edge::EdgeConfig;
use ringlog::base::ids::{FileId, Now, ShardId};
use ringlog::controller::image::Image;
use ringlog::controller::machine::{Controller, ControllerConfig};
use ringlog::controller::record::MetaRecord;
use ringlog::log::journal::JournalConfig;
use ringlog::log::recovery::{JournalFile, Recovered, recover};
use ringlog::partition::clean::CleanerConfig;
use ringlog::partition::store::StoreConfig;
use ringlog::shard::out::Out;
use ringlog::shard::shard::{Shard, ShardConfig};
use ringlog_fuzz::{Chain, Draw, TOPIC, block_of, draw_checkpoint, draw_frame, spoil};

const FILE_BYTES: usize = 1 << 20;

/// Blocks in one or more files. What a block is like is in its first byte.
fn draw_files(draw: &mut Draw) -> Vec<Vec<u8>> {
    let mut files = vec![Vec::new()];
    let mut chains = [Chain::default(); 3];
    let (mut run, mut lsn, mut prev_crc) = (1, 1, 0);
    while !draw.is_empty() && files.iter().map(Vec::len).sum::<usize>() < FILE_BYTES {
        let shape = draw.byte();
        if shape & 0x08 != 0 {
            files.push(Vec::new());
            run += u64::from(shape & 0x10 != 0);
        }
        if shape & 0xe0 == 0xe0 {
            lsn = draw.number() as u64;
        }
        let mut frames = Vec::new();
        for _ in 0..shape % 8 {
            let partition = usize::from(draw.byte() % 3);
            frames.push(draw_frame(draw, partition as u32, &mut chains[partition]));
        }
        let durable = if shape & 0x20 != 0 {
            draw.number() as u64
        } else {
            lsn.wrapping_sub(1)
        };
        let (mut bytes, crc) = block_of(&frames, |header| {
            (header.run_id, header.lsn, header.durable_lsn, header.prev_crc) = (run, lsn, durable, prev_crc);
        });
        if shape & 0xc0 == 0x40 {
            spoil(draw, &mut bytes);
        }
        files.last_mut().expect("one").extend(bytes);
        (lsn, prev_crc) = (lsn.wrapping_add(1), crc);
    }
    files
}

/// A shard that owns the partitions which the frames name.
fn start(found: Recovered) {
    let config = ControllerConfig::default();
    let mut controller = Controller::new(Image::default(), config);
    controller.replay(&MetaRecord::TopicCreated {
        id: TOPIC.0,
        name: "t".into(),
        shards: vec![0; 3],
        overrides: Vec::new(),
    });
    let store = StoreConfig {
        journal: JournalConfig {
            shard: 0,
            directory: "shards/0".into(),
            file_bytes: FILE_BYTES as u64,
            file_count: 4,
            inflight_max: 2,
            chunk_bytes: 64 << 10,
        },
        cache_bytes: 1 << 20,
        cold_bytes: 1 << 20,
        cold_window_bytes: 64 << 10,
        destage_bytes: 4096,
        destage_inflight_max: 3,
        backlog_bytes_max: 256 << 10,
        retention_check_ms: 100,
        producer_expiration_ms: 86_400_000,
        open_segments_max: 10,
        mark_after_ms: 1000,
        disk_reserve_bytes: 0,
        segment_bytes_max: u64::MAX,
        cleaner: CleanerConfig::default(),
    };
    let config = ShardConfig {
        id: ShardId(0),
        shard_count: 1,
        store,
        edge: EdgeConfig::default(),
    };
    let image = controller.image();
    let now = Now {
        mono_ns: 1,
        wall_ms: 1_800_000_000_000,
    };
    let Ok(mut shard) = Shard::new(config, found, image, Some(controller), now) else {
        return;
    };
    shard.settle(now, &mut Out::default());
    shard.store().partitions().for_each(|partition| partition.check());
}

fn check(found: &Recovered) {
    for part in found.partitions.values() {
        let (mut end, mut crc) = (part.base.flushed_end, part.base.last_crc);
        for recovered in &part.frames {
            assert_eq!((recovered.frame.base_offset, recovered.frame.prev_crc), (end, crc));
            assert!(recovered.frame.last_offset >= end, "a frame holds an offset");
            (end, crc) = (recovered.frame.last_offset + 1, recovered.frame.header_crc);
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let mut draw = Draw::new(input);
    let shape = draw.byte();
    let checkpoint = (shape & 2 != 0).then(|| draw_checkpoint(&mut draw).encode().expect("memory"));
    let contents = match shape & 1 {
        0 => {
            let mut content = draw.rest().to_vec();
            content.resize(content.len().next_multiple_of(4096).max(4096), 0);
            vec![content]
        }
        _ => draw_files(&mut draw),
    };
    let file = |(seq, content): (u64, Vec<u8>)| JournalFile {
        file: FileId(seq),
        seq,
        content: Bytes::from(content),
    };
    let files: Vec<JournalFile> = (1..).zip(contents).map(file).collect();
    let found = recover(0, [checkpoint.as_deref(), None], files.clone());
    let again = recover(0, [checkpoint.as_deref(), None], files);
    assert_eq!(
        format!("{found:?}"),
        format!("{again:?}"),
        "recovering twice gives the same"
    );
    if let Ok(found) = found {
        check(&found);
        start(found);
    }
});

//! Metadata records and snapshots, as bytes and as any values, spoiled: what is understood means the same after it is written
//! and read again, and a controller that has replayed it goes on working.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringlog::base::ids::TopicId;
use ringlog::controller::image::Image;
use ringlog::controller::machine::{Controller, ControllerConfig};
use ringlog::controller::record::{MetaRecord, decode_snapshot, encode_snapshot};
use ringlog::controller::request::{ControllerRequest, NewTopic};
use ringlog_fuzz::{Draw, spoil};
use std::collections::BTreeMap;

fn text(draw: &mut Draw) -> String {
    let len = usize::from(draw.byte() % 12);
    String::from_utf8_lossy(draw.bytes(len)).into_owned()
}

fn pairs(draw: &mut Draw) -> Vec<(String, String)> {
    let known = ["retention.ms", "segment.bytes", "cleanup.policy", "num.partitions"];
    let count = draw.byte() % 4;
    let one = |draw: &mut Draw| {
        let key = match draw.byte() {
            at @ 0..=99 => known[usize::from(at) % known.len()].to_string(),
            _ => text(draw),
        };
        (key, text(draw))
    };
    (0..count).map(|_| one(draw)).collect()
}

fn shards(draw: &mut Draw) -> Vec<u16> {
    (0..draw.byte() % 16).map(|_| u16::from(draw.byte() % 4)).collect()
}

fn record(draw: &mut Draw) -> MetaRecord {
    let id = [draw.byte() % 4; 16];
    match draw.byte() % 6 {
        0 | 1 => MetaRecord::TopicCreated {
            id,
            name: text(draw),
            shards: shards(draw),
            overrides: pairs(draw),
        },
        2 => MetaRecord::TopicDeleted { id },
        3 => MetaRecord::PartitionsAdded {
            id,
            shards: shards(draw),
        },
        4 => MetaRecord::BrokerConfigs {
            name: text(draw),
            values: pairs(draw),
        },
        _ if draw.byte() & 1 == 0 => MetaRecord::TopicConfigs {
            id,
            overrides: pairs(draw),
        },
        _ => MetaRecord::ProducerIdsReserved { next: draw.number() },
    }
}

/// A controller plans no record that contradicts what is there.
fn can_be(record: &MetaRecord, image: &Image) -> bool {
    match record {
        MetaRecord::TopicCreated { id, name, .. } => {
            let id = TopicId(*id);
            !id.is_zero() && !image.topics.contains_key(&id) && !image.names.contains_key(name)
        }
        MetaRecord::ProducerIdsReserved { next } => (0..1 << 61).contains(next),
        _ => true,
    }
}

/// Encoded records, as drawn or spoiled, or any bytes.
fn stored(draw: &mut Draw) -> Vec<u8> {
    let shape = draw.byte();
    if shape % 8 == 0 {
        let len = usize::from(draw.short() % 512);
        return [&[1], draw.bytes(len)].concat();
    }
    let mut bytes = record(draw).encode();
    if shape % 8 == 1 {
        spoil(draw, &mut bytes);
    }
    bytes
}

/// A stored image may name another number of shards, and come back as anything it was spoiled to.
fn restart(image: &Image, draw: &mut Draw) -> Controller {
    let mut snapshot = encode_snapshot(image);
    let same = decode_snapshot(&snapshot).expect("our own snapshot");
    assert_eq!(encode_snapshot(&same), snapshot);
    spoil(draw, &mut snapshot[1..]);
    let image = decode_snapshot(&snapshot).unwrap_or(same);
    let config = ControllerConfig {
        shard_count: 1 + u16::from(draw.byte() % 4),
        ..ControllerConfig::default()
    };
    Controller::new(image, config)
}

fn plan(controller: &mut Controller, request: ControllerRequest) {
    let planned = controller.plan(request);
    for record in &planned.records {
        assert_eq!(MetaRecord::decode(&record.encode()).as_ref(), Ok(record));
        controller.replay(record);
    }
}

fuzz_target!(|input: &[u8]| {
    let _ = (MetaRecord::decode(input), decode_snapshot(input));
    let mut draw = Draw::new(input);
    let mut controller = Controller::new(Image::default(), ControllerConfig::default());
    for _ in 0..draw.byte() % 16 {
        if let Ok(record) = MetaRecord::decode(&stored(&mut draw)) {
            assert_eq!(MetaRecord::decode(&record.encode()).as_ref(), Ok(&record));
            if can_be(&record, &controller.image()) {
                controller.replay(&record);
            }
        }
    }
    let mut controller = restart(&controller.image(), &mut draw);
    let topic = NewTopic {
        name: "fresh".into(),
        partitions: 3,
        replication_factor: -1,
        assignments: Vec::new(),
        configs: BTreeMap::new(),
    };
    let create = ControllerRequest::CreateTopics {
        topics: vec![topic],
        validate_only: false,
    };
    plan(&mut controller, create);
    plan(&mut controller, ControllerRequest::ProducerIds { count: 1000 });
});

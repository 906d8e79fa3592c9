//! Records come back as they were written.

use crate::batches::{at, packed};
use crate::rig::Rig;
use ringlog::wire::batch::{BatchBuilder, BatchView, batches};
use ringlog::wire::compress::Compression;
use ringlog::wire::error::ErrorCode;
use ringlog::wire::record::{Header, Records};

#[test]
fn stored_bytes_are_those_that_were_sent_81() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    let now = rig.now_ms();
    for codec in Compression::ALL {
        let batch = packed(codec, &[now, now + 5, now + 3]);
        let base = rig.written(&topic, &batch);
        let mut expected = batch;
        ringlog::wire::batch::patch_base_offset_and_epoch(&mut expected, base, 0);
        assert_eq!(rig.bytes(&topic, base), expected, "{}", codec.name());
    }
}

#[test]
fn null_and_empty_and_duplicate_headers_keep_apart_98_81() {
    let mut rig = Rig::new();
    let header = |key: &'static [u8], value: Option<&'static [u8]>| Header { key, value };
    let headers = [
        header(b"h", Some(b"1")),
        header(b"a", None),
        header(b"h", Some(b"")),
        header(b"", Some(&[0xff, 0xfe])),
        header(b"h", Some(b"1")),
    ];
    for config in ["producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"] {
        let topic = rig.topic_named(&rig.name(config), 1, &[("compression.type", config)]);
        let now = rig.now_ms();
        let mut builder = BatchBuilder::new().codec(Compression::Gzip);
        builder
            .append(now, None, None, &headers)
            .append(now, Some(b""), Some(b""), &[])
            .append(now, Some(b"key"), None, &headers[..1]);
        let batch = builder.build().unwrap();
        rig.written(&topic, &batch);
        let read = rig.bytes(&topic, 0);
        let view = batches(&read).next().unwrap().unwrap();
        view.verify().unwrap();
        let sent = BatchView::parse(&batch).unwrap();
        assert_eq!(
            view.decompressed(1 << 20).unwrap(),
            sent.decompressed(1 << 20).unwrap(),
            "{config}"
        );
        let body = view.decompressed(1 << 20).unwrap();
        let first = Records::new(&body, 3).next().unwrap().unwrap();
        assert_eq!(first.headers().collect::<Vec<_>>(), headers);
    }
}

#[test]
fn records_are_dropped_by_their_own_time_96() {
    let mut rig = Rig::own(|config| config.retention_check_ms = 60_000);
    let day = 86_400_000;
    let topics = [("-1", true), ("604800000", false)].map(|(retention, stays)| {
        let topic = rig.topic_named(&format!("r{retention}"), 1, &[("retention.ms", retention)]);
        (topic, stays)
    });
    for (topic, _) in &topics {
        rig.written(topic, &at(&[1_000, 2_000]));
    }
    let fresh = rig.topic_named("fresh", 1, &[]);
    rig.written(&fresh, &at(&[1_000, rig.now_ms()]));
    rig.pass_ms(61_000);
    for (topic, stays) in &topics {
        let start = rig.offset(topic, 0, -2).2;
        assert_eq!(start, if *stays { 0 } else { 2 }, "records of 1970 in {}", topic.name);
        assert_eq!(rig.offset(topic, 0, -1).2, 2);
        assert_eq!(rig.written(topic, &at(&[rig.now_ms()])), 2, "and the log goes on");
    }
    assert_eq!(rig.offset(&fresh, 0, -2).2, 0, "one young record keeps its segment");
    rig.pass_ms(8 * day);
    rig.reconnect();
    assert_eq!(rig.offset(&fresh, 0, -2).2, 2);
    for power_cut in [false, true] {
        rig.restart(power_cut);
        assert_eq!(
            (rig.offset(&fresh, 0, -2).2, rig.offset(&fresh, 0, -1).2),
            (2, 2),
            "they stay away"
        );
        assert_eq!(rig.fetch(&fresh, 1).error, ErrorCode::OffsetOutOfRange);
        let next = rig.offset(&topics[1].0, 0, -1).2;
        assert_eq!(rig.written(&topics[1].0, &at(&[rig.now_ms()])), next);
    }
}

#[test]
fn files_of_dropped_records_go_too_96() {
    let mut rig = Rig::own(|config| {
        config.retention_check_ms = 1_000;
        config.journal_file = 256 << 10;
        config.chunk = 64 << 10;
        config.cache = 128 << 10;
        config.destage = 4 << 10;
    });
    let topic = rig.topic(1, &[("retention.ms", "3600000")]);
    let keeps = rig.topic(1, &[]);
    let segments = |rig: &mut Rig| rig.files().iter().filter(|name| name.ends_with(".seg")).count();
    for _ in 0..30 {
        rig.written(&topic, &crate::batches::large(rig.now_ms(), 30_000));
        rig.pass_ms(20);
    }
    assert!(segments(&mut rig) > 0);
    rig.pass_ms(2 * 3_600_000);
    rig.reconnect();
    assert_eq!(rig.offset(&topic, 0, -2).2, 30);
    rig.written(&keeps, &crate::batches::large(rig.now_ms(), 30_000));
    rig.pass_ms(70_000);
    assert_eq!(segments(&mut rig), 1, "only the other topic's: {:?}", rig.files());
}

#[test]
fn size_drops_whole_segments_and_keeps_the_size_96() {
    let mut rig = Rig::own(|config| {
        config.retention_check_ms = 1_000;
        config.destage = 4 << 10;
    });
    let limit = 3 << 20;
    let topic = rig.topic(1, &[("segment.bytes", "1048576"), ("retention.bytes", "3145728")]);
    for _ in 0..100 {
        rig.written(&topic, &crate::batches::large(rig.now_ms(), 100_000));
        rig.pass_ms(100);
    }
    rig.pass_ms(10_000);
    let start = rig.offset(&topic, 0, -2).2;
    assert!(start > 0);
    let kept = (100 - start) * 100_000;
    assert!(kept >= limit && kept < limit + (2 << 20), "{kept} bytes are kept");
}

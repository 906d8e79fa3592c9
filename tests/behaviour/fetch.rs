//! Fetch without sessions: what is given, how much, when.

use crate::batches::{at, heads, large, packed, records};
use crate::rig::{Came, Rig, Topic, at_once};
use ringlog::base::ids::TopicId;
use ringlog::wire::compress::Compression;
use ringlog::wire::control::delete_topics::{DeleteTopics, DeleteTopicsRequest};
use ringlog::wire::error::ErrorCode;
use ringlog::wire::fetch::{FetchRequest, FetchResponse};

/// Bytes per partition, in the order of the answer.
fn sizes(response: &FetchResponse) -> Vec<(i32, usize)> {
    let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
    partitions
        .map(|partition| (partition.index, partition.records_len()))
        .collect()
}

#[test]
fn an_offset_inside_a_batch_gives_the_whole_batch_50() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    let now = rig.now_ms();
    for codec in [Compression::None, Compression::Lz4] {
        let base = rig.written(&topic, &packed(codec, &[now; 10]));
        rig.written(&topic, &packed(codec, &[now; 3]));
        for offset in [base, base + 4, base + 9] {
            let read = heads(&rig.bytes(&topic, offset));
            assert_eq!(
                (read[0].base_offset, read[0].last_offset()),
                (base, base + 9),
                "asked for {offset}"
            );
        }
        assert_eq!(heads(&rig.bytes(&topic, base + 10))[0].base_offset, base + 10);
    }
}

#[test]
fn every_version_reads_and_fills_in_the_offsets_53() {
    let mut rig = Rig::new();
    let topic = rig.topic(2, &[]);
    let batch = at(&[rig.now_ms(); 3]);
    rig.written(&topic, &batch);
    for version in 4..=18 {
        for isolation_level in [0, 1] {
            let request = FetchRequest {
                isolation_level,
                ..at_once(vec![topic.wanted(&[(0, 0), (1, 0)])])
            };
            let response = rig.fetch_all(version, &request);
            assert_eq!(
                (response.error, response.session_id, response.throttle_time_ms),
                (ErrorCode::None, 0, 0)
            );
            let topic_answer = &response.topics[0];
            match version >= 13 {
                true => assert_eq!(topic_answer.id, topic.id),
                false => assert_eq!(topic_answer.name, topic.name),
            }
            for (partition, end) in topic_answer.partitions.iter().zip([3, 0]) {
                let start = if version >= 5 { 0 } else { -1 };
                let offsets = (
                    partition.high_watermark,
                    partition.last_stable_offset,
                    partition.log_start_offset,
                );
                assert_eq!(
                    (partition.error, offsets),
                    (ErrorCode::None, (end, end, start)),
                    "version {version}"
                );
                let aborted = partition.aborted.as_ref().map(Vec::len);
                assert_eq!(
                    aborted,
                    (isolation_level == 1).then_some(0),
                    "46: null for read_uncommitted"
                );
                assert_eq!(partition.preferred_read_replica, -1);
                assert_eq!(
                    (partition.diverging_epoch, partition.current_leader.as_ref()),
                    (None, None)
                );
            }
            assert_eq!(topic_answer.partitions[0].records_len(), batch.len());
        }
    }
}

#[test]
fn out_of_range_knows_nothing_and_the_end_waits_52() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    rig.written(&topic, &at(&[rig.now_ms(); 3]));
    for offset in [4, -1, i64::MAX] {
        let partition = rig.fetch(&topic, offset);
        let offsets = (
            partition.high_watermark,
            partition.last_stable_offset,
            partition.log_start_offset,
        );
        assert_eq!(
            (partition.error, offsets),
            (ErrorCode::OffsetOutOfRange, (-1, -1, -1)),
            "offset {offset}"
        );
    }
    let end = rig.fetch(&topic, 3);
    assert_eq!(
        (end.error, end.high_watermark, end.records_len()),
        (ErrorCode::None, 3, 0)
    );
}

#[test]
fn one_batch_always_comes_however_large_51() {
    let mut rig = Rig::new();
    let topic = rig.topic(2, &[]);
    let now = rig.now_ms();
    let batch = large(now, 5_000);
    for partition in [0, 0, 1] {
        rig.produce_all(9, -1, &topic, &[(partition, &batch)]);
    }
    let mut request = at_once(vec![topic.wanted(&[(0, 0), (1, 0)])]);
    request.max_bytes = 100;
    assert_eq!(
        sizes(&rig.fetch_all(12, &request))
            .iter()
            .map(|(_, len)| len)
            .sum::<usize>(),
        batch.len()
    );
    let mut request = at_once(vec![topic.wanted(&[(0, 0)])]);
    for max_bytes in [0, 1, batch.len() as i32] {
        request.topics[0].partitions[0].max_bytes = max_bytes;
        let read = rig
            .fetch_all(12, &request)
            .topics
            .remove(0)
            .partitions
            .remove(0)
            .records
            .concat();
        assert_eq!(heads(&read).len(), 1, "a partition's limit of {max_bytes}");
    }
    // Kafka cuts inside the second batch, which readers leave out; whole batches are right, too.
    request.topics[0].partitions[0].max_bytes = batch.len() as i32 + 100;
    let read = rig
        .fetch_all(12, &request)
        .topics
        .remove(0)
        .partitions
        .remove(0)
        .records
        .concat();
    assert_eq!(heads(&read).len(), 1);
}

#[test]
fn a_partitions_limit_is_its_own_51() {
    let mut rig = Rig::new();
    let topic = rig.topic(2, &[]);
    let now = rig.now_ms();
    let batch = large(now, 5_000);
    for _ in 0..5 {
        let answers = rig.produce_all(9, -1, &topic, &[(0, &batch), (1, &batch)]);
        assert!(answers.iter().all(|answer| answer.error == ErrorCode::None));
    }
    let mut request = at_once(vec![topic.wanted(&[(0, 0), (1, 0)])]);
    request.topics[0].partitions[0].max_bytes = 2 * batch.len() as i32;
    request.topics[0].partitions[1].max_bytes = 3 * batch.len() as i32;
    let mut got = sizes(&rig.fetch_all(12, &request));
    got.sort_unstable();
    assert_eq!(got, [(0, 2 * batch.len()), (1, 3 * batch.len())]);
}

#[test]
fn a_waiting_reader_gets_the_record_when_it_is_written_54() {
    let mut rig = Rig::new();
    let topic = rig.topic(2, &[]);
    let batch = at(&[rig.now_ms()]);
    let reader = rig.connect();
    let request = FetchRequest {
        max_wait_ms: 8_000,
        ..at_once(vec![topic.wanted(&[(0, 0), (1, 0)])])
    };
    for partition in [1, 0] {
        let mut request = request.clone();
        if partition == 0 {
            request.topics[0].partitions[1].fetch_offset = 1;
        }
        let correlation = rig.send_fetch(reader, 12, &request);
        assert_eq!(rig.came(reader, 300), Came::Nothing, "never early with 0 bytes");
        let before = rig.now_ms();
        rig.produce_all(9, -1, &topic, &[(partition, &batch)]);
        let response = rig.fetched(reader, 12, correlation);
        assert!(rig.now_ms() - before < 2_000, "as soon as it was written");
        let with_data: Vec<_> = sizes(&response).into_iter().filter(|(_, len)| *len > 0).collect();
        assert_eq!(with_data, [(partition, batch.len())]);
    }
}

#[test]
fn min_bytes_count_over_all_partitions_54() {
    let mut rig = Rig::new();
    let topic = rig.topic(4, &[]);
    let batch = large(rig.now_ms(), 1_000);
    let reader = rig.connect();
    let request = FetchRequest {
        max_wait_ms: 9_000,
        min_bytes: 3 * batch.len() as i32,
        ..at_once(vec![topic.wanted(&[(0, 0), (1, 0), (2, 0), (3, 0)])])
    };
    let correlation = rig.send_fetch(reader, 12, &request);
    for partition in [2, 0] {
        rig.produce_all(9, -1, &topic, &[(partition, &batch)]);
        assert_eq!(rig.came(reader, 200), Came::Nothing, "still too little");
    }
    rig.produce_all(9, -1, &topic, &[(3, &batch)]);
    let response = rig.fetched(reader, 12, correlation);
    assert_eq!(
        sizes(&response).iter().map(|(_, len)| len).sum::<usize>(),
        3 * batch.len()
    );
}

#[test]
fn the_wait_ends_in_time_with_what_there_is_54() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    let batch = at(&[rig.now_ms()]);
    rig.written(&topic, &batch);
    for (offset, expected) in [(0, batch.len()), (1, 0)] {
        let request = FetchRequest {
            max_wait_ms: 500,
            min_bytes: 1 << 20,
            ..at_once(vec![topic.wanted(&[(0, offset)])])
        };
        let before = rig.now_ms();
        assert_eq!(sizes(&rig.fetch_all(12, &request)), [(0, expected)]);
        let took = rig.now_ms() - before;
        assert!((490..2_500).contains(&took), "{took} ms");
    }
    let before = rig.now_ms();
    let request = FetchRequest {
        max_wait_ms: 0,
        min_bytes: 1 << 20,
        ..at_once(vec![topic.wanted(&[(0, 0)])])
    };
    assert_eq!(sizes(&rig.fetch_all(12, &request)), [(0, batch.len())]);
    assert!(rig.now_ms() - before < 300, "max_wait 0 is at once");
}

#[test]
fn an_error_is_told_at_once_54() {
    let mut rig = Rig::new();
    let topic = rig.topic(2, &[]);
    rig.written(&topic, &at(&[rig.now_ms()]));
    let request = FetchRequest {
        max_wait_ms: 9_000,
        min_bytes: 1 << 20,
        ..at_once(vec![topic.wanted(&[(0, 0), (1, 77)])])
    };
    let before = rig.now_ms();
    let response = rig.fetch_all(12, &request);
    assert!(rig.now_ms() - before < 2_000);
    let mut got: Vec<_> = response.topics[0]
        .partitions
        .iter()
        .map(|p| (p.index, p.error, p.high_watermark))
        .collect();
    got.sort_unstable();
    assert_eq!(got, [(0, ErrorCode::None, 1), (1, ErrorCode::OffsetOutOfRange, -1)]);
}

#[test]
fn unknown_topics_and_partitions_are_told_by_name_and_by_id_61_86() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    rig.written(&topic, &at(&[rig.now_ms()]));
    let gone = Topic {
        name: rig.name("gone"),
        id: TopicId([9; 16]),
    };
    let zero = Topic {
        id: TopicId::ZERO,
        ..gone.clone()
    };
    for (version, unknown) in [
        (12, ErrorCode::UnknownTopicOrPartition),
        (13, ErrorCode::UnknownTopicId),
    ] {
        let wanted = vec![topic.wanted(&[(0, 0), (7, 0)]), gone.wanted(&[(0, 0)])];
        let response = rig.fetch_all(version, &at_once(wanted));
        let mut got: Vec<_> = response
            .topics
            .iter()
            .flat_map(|t| {
                t.partitions
                    .iter()
                    .map(|p| (t.name == gone.name || t.id == gone.id, p.index, p.error))
            })
            .collect();
        got.sort_unstable();
        assert_eq!(
            got,
            [
                (false, 0, ErrorCode::None),
                (false, 7, ErrorCode::UnknownTopicOrPartition),
                (true, 0, unknown)
            ]
        );
        let failed = response
            .topics
            .iter()
            .flat_map(|t| &t.partitions)
            .filter(|p| p.error != ErrorCode::None);
        assert!(failed.clone().all(|p| (p.high_watermark, p.records_len()) == (-1, 0)));
    }
    let response = rig.fetch_all(13, &at_once(vec![zero.wanted(&[(0, 0)])]));
    assert_eq!(response.topics[0].partitions[0].error, ErrorCode::UnknownTopicId);
}

#[test]
fn a_reader_of_a_deleted_topic_is_told_86_23() {
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[]);
    rig.written(&topic, &at(&[rig.now_ms()]));
    let reader = rig.connect();
    let request = FetchRequest {
        max_wait_ms: 3_000,
        ..at_once(vec![topic.wanted(&[(0, 1)])])
    };
    let correlation = rig.send_fetch(reader, 13, &request);
    assert_eq!(rig.came(reader, 300), Came::Nothing);
    let delete = DeleteTopicsRequest {
        topic_names: vec![topic.name.clone()],
        timeout_ms: 5_000,
        ..Default::default()
    };
    assert_eq!(rig.ask::<DeleteTopics>(5, &delete).responses[0].error, ErrorCode::None);
    let response = rig.fetched(reader, 13, correlation);
    let unknown = [ErrorCode::UnknownTopicId, ErrorCode::UnknownTopicOrPartition];
    assert!(
        unknown.contains(&response.topics[0].partitions[0].error),
        "{response:?}"
    );
    rig.pass_ms(300);
    let again = rig.topic_named(&topic.name, 1, &[]);
    assert_ne!(again.id, topic.id);
    let old = rig.fetch_all(13, &at_once(vec![topic.wanted(&[(0, 0)])]));
    assert_eq!(old.topics[0].partitions[0].error, ErrorCode::UnknownTopicId);
    let new = rig.fetch(&again, 0);
    assert_eq!(
        (new.error, new.high_watermark, new.log_start_offset),
        (ErrorCode::None, 0, 0),
        "it begins at 0"
    );
}

#[test]
fn zstd_is_given_to_every_version_61() {
    // Since Kafka 4.0 nothing is converted for old clients (KIP-724), and none is refused: many read zstd.
    let mut rig = Rig::new();
    let topic = rig.topic(1, &[("compression.type", "zstd")]);
    rig.written(&topic, &at(&[rig.now_ms()]));
    for version in [4, 9, 10, 18] {
        let response = rig.fetch_all(version, &at_once(vec![topic.wanted(&[(0, 0)])]));
        let partition = &response.topics[0].partitions[0];
        assert_eq!(partition.error, ErrorCode::None);
        assert_eq!(heads(&partition.records.concat())[0].compression(), Compression::Zstd);
    }
}

#[test]
fn old_records_are_read_from_segments_as_they_were_written_50_81() {
    let mut rig = Rig::own(|config| {
        config.journal_file = 256 << 10;
        config.journal_files = 3;
        config.chunk = 64 << 10;
        config.cache = 64 << 10;
        config.destage = 4 << 10;
        config.segment = 128 << 10;
        config.window = 16 << 10;
    });
    let topic = rig.topic(1, &[]);
    let mut written = Vec::new();
    for number in 0..60i64 {
        let batch = large(rig.now_ms() + number, 10_000);
        let mut expected = batch.clone();
        ringlog::wire::batch::patch_base_offset_and_epoch(&mut expected, number, 0);
        assert_eq!(rig.written(&topic, &batch), number);
        written.push(expected);
        rig.pass_ms(10);
    }
    rig.pass_ms(1_000);
    assert!(rig.files().iter().filter(|name| name.ends_with(".seg")).count() > 2);
    let mut offset = 0;
    while offset < 60 {
        let read = rig.bytes(&topic, offset);
        for head in heads(&read) {
            assert_eq!(head.base_offset, offset, "no gap");
            let at: usize = heads(&read)
                .iter()
                .take_while(|h| h.base_offset < offset)
                .map(|h| h.len)
                .sum();
            assert_eq!(read[at..at + head.len], written[offset as usize][..]);
            offset += 1;
        }
    }
    assert_eq!(records(&rig.bytes(&topic, 59)).len(), 1);
}

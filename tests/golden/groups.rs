//! Records of `__consumer_offsets`, and what consumers say and get in their group, against bytes written by Kafka.

use super::{lines, unhex};
use bytes::Bytes;
use ringlog::wire::group::consumer_protocol::{ConsumerAssignment, ConsumerSubscription};
use ringlog::wire::group::records::GroupRecord;
use ringlog::wire::guard::Budget;
use ringlog::wire::read::Read;
use std::collections::BTreeSet;

const GROUPS: &str = include_str!("groups.txt");

fn records() -> impl Iterator<Item = (String, i16, Bytes, Bytes)> {
    lines(GROUPS).filter(|line| line[0] == "record").map(|line| {
        let [_, name, version, variant, key, value] = line[..] else {
            panic!("{line:?}")
        };
        let title = format!("{name} v{version} variant {variant}");
        (title, version.parse().unwrap(), unhex(key), unhex(value))
    })
}

#[test]
fn every_record_of_every_version_is_understood_and_written_as_kafka_does() {
    let mut seen = BTreeSet::new();
    for (name, version, key, value) in records() {
        let record = GroupRecord::decode(&key, Some(&value)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let record = record.unwrap_or_else(|| panic!("{name}: unknown type"));
        assert_eq!(record.encode_value(version), Some(value), "{name}");
        // The oldest type of key is read, not written.
        let mut expected = key.to_vec();
        expected[1] = expected[1].max(1);
        assert_eq!(record.encode_key(), expected, "{name}");
        let (key, value) = record.encode();
        let again = GroupRecord::decode(&key, value.as_deref()).unwrap().unwrap();
        assert_eq!(again.group_id(), record.group_id(), "{name}");
        if Some(version) == record.value_version() {
            assert_eq!(again, record, "{name}");
        }
        seen.insert((record.record_type(), version));
    }
    let expected = [(1, 4), (2, 4), (3, 0), (4, 0), (5, 0), (6, 0), (7, 0), (8, 0), (16, 0)];
    let expected = expected
        .into_iter()
        .flat_map(|(record, max)| (0..=max).map(move |version| (record, version)));
    assert_eq!(seen, expected.collect());
}

#[test]
fn a_record_cut_anywhere_or_with_a_byte_more_is_refused() {
    for (name, _, key, value) in records() {
        for len in 0..key.len() {
            assert!(
                GroupRecord::decode(&key[..len], None).is_err(),
                "{name}: key of {len} bytes"
            );
        }
        for len in 0..value.len() {
            let cut = GroupRecord::decode(&key, Some(&value[..len]));
            assert!(cut.is_err(), "{name}: value of {len} bytes");
        }
        let longer = [&value[..], &[0]].concat();
        assert!(GroupRecord::decode(&key, Some(&longer)).is_err(), "{name}");
        assert!(matches!(GroupRecord::decode(&key, None), Ok(Some(record)) if record.value_version().is_none()));
    }
}

fn blob_again(name: &str, version: i16, bytes: &[u8]) -> Read<Bytes> {
    match name {
        "ConsumerProtocolSubscription" => {
            ConsumerSubscription::decode(bytes, Budget::default()).map(|blob| blob.encode(version))
        }
        "ConsumerProtocolAssignment" => {
            ConsumerAssignment::decode(bytes, Budget::default()).map(|blob| blob.encode(version))
        }
        other => panic!("no codec for {other}"),
    }
}

#[test]
fn subscriptions_and_assignments_of_every_version_are_understood_and_written_as_kafka_does() {
    let mut seen = 0;
    for line in lines(GROUPS).filter(|line| line[0] == "blob") {
        let [_, name, version, variant, bytes] = line[..] else {
            panic!("{line:?}")
        };
        let (version, bytes) = (version.parse().unwrap(), unhex(bytes));
        let title = format!("{name} v{version} variant {variant}");
        assert_eq!(blob_again(name, version, &bytes).as_ref(), Ok(&bytes), "{title}");
        for len in 0..bytes.len() {
            assert!(
                blob_again(name, version, &bytes[..len]).is_err(),
                "{title} cut to {len} bytes"
            );
        }
        seen += 1;
    }
    assert_eq!(seen, 2 * 4 * 3);
}

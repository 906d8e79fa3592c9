//! Produce requests and responses: the first byte is the version, the rest the body.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use ringlog::wire::produce::{ProduceRequest, ProduceResponse, encode_request};

fuzz_target!(|input: &[u8]| {
    let [version, body @ ..] = input else { return };
    let version = 3 + i16::from(*version) % 11;
    if let Ok(request) = ProduceRequest::decode(version, body) {
        let topics: Vec<_> = request
            .topics()
            .map(|topic| (topic.topic, topic.partitions().collect::<Vec<_>>()))
            .collect();
        assert_eq!(topics.len(), request.topic_count());
        let partitions: usize = topics.iter().map(|(_, partitions)| partitions.len()).sum();
        assert_eq!(partitions, request.partition_count());
        let range = body.as_ptr_range();
        for partition in topics.iter().flat_map(|(_, partitions)| partitions) {
            assert!(
                partition
                    .records
                    .is_none_or(|records| range.contains(&records.as_ptr()) || records.is_empty())
            );
        }
        let topics: Vec<_> = topics
            .iter()
            .map(|(topic, partitions)| (*topic, &partitions[..]))
            .collect();
        let mut out = BytesMut::new();
        let head = (request.transactional_id, request.acks, request.timeout_ms);
        encode_request(version, head, &topics, &mut out);
        let again = ProduceRequest::decode(version, &out).expect("what is written can be read");
        assert_eq!(again.partition_count(), partitions);
    }
    if let Ok(response) = ProduceResponse::decode(version, body) {
        let mut out = BytesMut::new();
        response.encode(version, &mut out);
        assert_eq!(ProduceResponse::decode(version, &out), Ok(response));
    }
});

use super::*;
use crate::wire::batch::{BatchBuilder, BatchView};
use crate::wire::write::{put_uvarint, put_varint, put_varlong, uvarint_len, varlong_len};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

type Field = Option<Vec<u8>>;
type Owned = (i64, Field, Field, Vec<(Vec<u8>, Field)>);

fn records() -> impl Strategy<Value = Vec<Owned>> {
    let field = || option::of(vec(any::<u8>(), 0..40));
    let headers = vec((vec(any::<u8>(), 0..4), field()), 0..4);
    vec((any::<i64>(), field(), field(), headers), 1..20)
}

fn body_of(records: &[Owned]) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    for (timestamp, key, value, headers) in records {
        let headers: Vec<_> = headers
            .iter()
            .map(|(key, value)| Header {
                key,
                value: value.as_deref(),
            })
            .collect();
        builder.append(*timestamp, key.as_deref(), value.as_deref(), &headers);
    }
    let batch = builder.build().unwrap();
    BatchView::parse(&batch).unwrap().body().to_vec()
}

proptest! {
    #[test]
    fn what_is_written_is_read(records in records()) {
        let body = body_of(&records);
        let base = records[0].0;
        let mut count = 0;
        for (read, (timestamp, key, value, headers)) in Records::new(&body, records.len() as i32).zip(&records) {
            let read = read.unwrap();
            prop_assert_eq!(base.wrapping_add(read.timestamp_delta), *timestamp);
            prop_assert_eq!(read.offset_delta, count);
            prop_assert_eq!(read.key, key.as_deref());
            prop_assert_eq!(read.value, value.as_deref());
            let got: Vec<_> = read.headers().map(|h| (h.key.to_vec(), h.value.map(<[u8]>::to_vec))).collect();
            prop_assert_eq!(&got, headers);
            count += 1;
        }
        prop_assert_eq!(count as usize, records.len());
        prop_assert!(validate(&body, count).is_ok());
    }

    #[test]
    fn a_wrong_count_or_a_cut_body_is_an_error(records in records(), cut in any::<prop::sample::Index>()) {
        let body = body_of(&records);
        let count = records.len() as i32;
        prop_assert!(validate(&body, count + 1).is_err());
        prop_assert!(validate(&body, count - 1).is_err());
        prop_assert!(validate(&body[..cut.index(body.len())], count).is_err());
    }

    #[test]
    fn any_bytes_end_the_walk_soon(body in vec(any::<u8>(), 0..300), count in any::<i32>()) {
        let mut walked = 0;
        for record in Records::new(&body, count) {
            walked += 1;
            if let Ok(record) = record {
                prop_assert_eq!(record.headers().count(), record.header_count());
            }
        }
        // A record takes seven bytes at least; the error is one more item.
        prop_assert!(walked <= body.len() / 7 + 1);
    }

    #[test]
    fn varints_keep_their_value_and_length(a in any::<u32>(), b in any::<i32>(), c in any::<i64>()) {
        let mut out = Vec::new();
        put_uvarint(&mut out, a);
        prop_assert_eq!(out.len(), uvarint_len(a));
        prop_assert_eq!(Reader::new(&out).uvarint().unwrap(), a);
        out.clear();
        put_varint(&mut out, b);
        prop_assert_eq!(out.len(), varlong_len(b.into()));
        prop_assert_eq!(Reader::new(&out).varint().unwrap(), b);
        out.clear();
        put_varlong(&mut out, c);
        prop_assert_eq!(out.len(), varlong_len(c));
        prop_assert_eq!(Reader::new(&out).varlong().unwrap(), c);
        prop_assert!(Reader::new(&out[..out.len() - 1]).varlong().is_err());
    }
}

#[test]
fn varints_of_extreme_values() {
    for value in [0, 1, -1, 63, 64, -64, -65, i64::MAX, i64::MIN] {
        let mut out = Vec::new();
        put_varlong(&mut out, value);
        assert_eq!(
            (out.len(), Reader::new(&out).varlong().unwrap()),
            (varlong_len(value), value)
        );
    }
}

#[test]
fn varints_longer_than_their_type_are_refused() {
    let fault = |bytes: &[u8], long: bool| match long {
        false => Reader::new(bytes).varint().unwrap_err().fault,
        true => Reader::new(bytes).varlong().unwrap_err().fault,
    };
    assert_eq!(fault(&[0x80, 0x80, 0x80, 0x80, 0x80, 0], false), Fault::VarintTooLong);
    assert_eq!(fault(&[0xff, 0xff, 0xff, 0xff, 0x1f], false), Fault::VarintTooLong);
    assert_eq!(fault(&[0x80; 11], true), Fault::VarintTooLong);
    assert_eq!(
        fault(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2], true),
        Fault::VarintTooLong
    );
    assert!(matches!(fault(&[0x80, 0x80], false), Fault::Truncated { .. }));
}

#[test]
fn a_record_that_lies_about_its_length_or_headers_is_refused() {
    let body = body_of(&[(0, Some(b"k".to_vec()), None, vec![])]);
    let mut longer = body.clone();
    longer[0] += 2;
    longer.push(0);
    assert_eq!(
        Records::new(&longer, 1).next().unwrap().unwrap_err().fault,
        Fault::Invalid("a record does not fill its declared length")
    );
    let mut out = vec![];
    put_varint(&mut out, 10);
    out.extend([0, 0, 0, 1, 1]);
    put_varint(&mut out, i32::MAX);
    let error = Records::new(&out, 1).next().unwrap().unwrap_err();
    assert!(matches!(error.fault, Fault::CountTooLarge { .. }), "{error}");
    let null_header_key = [0x10, 0, 0, 0, 1, 1, 2, 1, 1];
    let error = Records::new(&null_header_key, 1).next().unwrap().unwrap_err();
    assert_eq!(error.fault, Fault::UnexpectedNull);
}

#[test]
fn offset_deltas_must_count_up_from_zero() {
    let mut builder = BatchBuilder::new();
    builder.append_at(0, 5, (None, None), &[]);
    builder.append_at(2, 9, (None, None), &[]);
    let batch = builder.build().unwrap();
    let body = BatchView::parse(&batch).unwrap().body().to_vec();
    assert!(
        Records::new(&body, 2).all(|record| record.is_ok()),
        "fine in a compacted log"
    );
    assert!(validate(&body, 2).is_err(), "not fine from a producer");
}

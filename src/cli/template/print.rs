//! Writes consumed records with a template.

use super::{NumberCoding, NumberField, TextCoding, TextField, TimeCoding, Token};
use crate::cli::{clock, encode};
use crate::client::record::{Consumed, Header};
use std::io::Write;

/// Appends the record to `out`. `index` is the number of the record in this run, from 1.
pub fn record(tokens: &[Token], record: &Consumed, index: u64, out: &mut Vec<u8>) {
    for token in tokens {
        match token {
            Token::Literal(bytes) => out.extend_from_slice(bytes),
            Token::Text(field, coding) => text(record_text(record, *field), *coding, out),
            Token::Number(field, coding) => number(record_number(record, *field, index), *coding, out),
            Token::Time(coding) => time(record.timestamp_ms, coding, out),
            Token::Headers(inner) => record.headers.iter().for_each(|one| header(inner, one, out)),
        }
    }
}

fn record_text(record: &Consumed, field: TextField) -> &[u8] {
    match field {
        TextField::Topic => record.topic.as_bytes(),
        TextField::Key => record.key.as_deref().unwrap_or_default(),
        TextField::Value => record.value.as_deref().unwrap_or_default(),
    }
}

fn record_number(record: &Consumed, field: NumberField, index: u64) -> i64 {
    match field {
        NumberField::Length(field) => record_text(record, field).len() as i64,
        NumberField::HeaderCount => record.headers.len() as i64,
        NumberField::Partition => i64::from(record.partition),
        NumberField::Offset => record.offset,
        NumberField::LeaderEpoch => i64::from(record.leader_epoch),
        NumberField::ProducerId => record.producer_id,
        NumberField::ProducerEpoch => i64::from(record.producer_epoch),
        NumberField::Index => index as i64,
    }
}

fn header(tokens: &[Token], header: &Header, out: &mut Vec<u8>) {
    let bytes = |field: TextField| match field {
        TextField::Value => header.value.as_deref().unwrap_or_default(),
        TextField::Key | TextField::Topic => &header.key[..],
    };
    for token in tokens {
        match token {
            Token::Literal(literal) => out.extend_from_slice(literal),
            Token::Text(field, coding) => text(bytes(*field), *coding, out),
            Token::Number(NumberField::Length(field), coding) => number(bytes(*field).len() as i64, *coding, out),
            // The grammar lets nothing else into a header template.
            Token::Number(..) | Token::Time(_) | Token::Headers(_) => {}
        }
    }
}

fn text(bytes: &[u8], coding: TextCoding, out: &mut Vec<u8>) {
    match coding {
        TextCoding::Plain => out.extend_from_slice(bytes),
        TextCoding::Hex => out.extend_from_slice(encode::hex(bytes).as_bytes()),
        TextCoding::Base64(true) => out.extend_from_slice(encode::base64(bytes).as_bytes()),
        TextCoding::Base64(false) => out.extend_from_slice(encode::base64(bytes).trim_end_matches('=').as_bytes()),
    }
}

fn number(value: i64, coding: NumberCoding, out: &mut Vec<u8>) {
    // Writing to a Vec cannot fail. Numbers too big for their width lose their upper part, as rpk does.
    let _ = match coding {
        NumberCoding::Ascii => write!(out, "{value}"),
        NumberCoding::Hex(digits) => {
            let all = format!("{value:016x}");
            out.write_all(&all.as_bytes()[16 - digits..])
        }
        NumberCoding::Big(bytes) => out.write_all(&value.to_be_bytes()[8 - bytes..]),
        NumberCoding::Little(bytes) => out.write_all(&value.to_le_bytes()[..bytes]),
    };
}

fn time(timestamp_ms: i64, coding: &TimeCoding, out: &mut Vec<u8>) {
    let text = match coding {
        TimeCoding::Millis => timestamp_ms.to_string(),
        TimeCoding::Seconds => timestamp_ms.div_euclid(1000).to_string(),
        TimeCoding::Iso => clock::rfc3339(timestamp_ms),
        // The pattern was tried when the template was parsed.
        TimeCoding::Strftime(pattern) => clock::strftime(pattern, timestamp_ms).unwrap_or_default(),
    };
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::template::parse;
    use bytes::Bytes;

    fn example() -> Consumed {
        let header = |key: &'static str, value: Option<&'static str>| Header {
            key: Bytes::from_static(key.as_bytes()),
            value: value.map(|value| Bytes::from_static(value.as_bytes())),
        };
        Consumed {
            topic: "logs".into(),
            partition: 3,
            offset: 4711,
            leader_epoch: 2,
            timestamp_ms: 1_795_255_323_004,
            is_append_time: false,
            producer_id: 9,
            producer_epoch: 1,
            key: Some(Bytes::from_static(b"\x00\xff")),
            value: Some(Bytes::from_static(b"hello")),
            headers: vec![header("a", Some("1")), header("a", None)],
        }
    }

    fn check(template: &str, expected: &[u8]) {
        let mut out = Vec::new();
        record(&parse(template).unwrap(), &example(), 1, &mut out);
        assert_eq!(out, expected, "{template}: {}", String::from_utf8_lossy(&out));
    }

    #[test]
    fn prints_every_field() {
        check("%t %p %o %k{hex} %v\\n", b"logs 3 4711 00ff hello\n");
        check("%T,%K,%V,%H,%e,%x,%y,%i", b"4,2,5,2,2,9,1,1");
        check("%k{base64} %k{base64raw}", b"AP8= AP8");
        check("%h{%k=%v(%V);}", b"a=1(1);a=(0);");
        check(
            "%d %d{s} %d{iso} %d{strftime[%F]}",
            b"1795255323004 1795255323 2026-11-21T10:02:03.004Z 2026-11-21",
        );
    }

    #[test]
    fn prints_numbers_in_every_coding() {
        check(
            "%o{hex64} %o{hex32} %o{hex16} %V{hex8} %V{hex4}",
            b"0000000000001267 00001267 1267 05 5",
        );
        check(
            "%o{big32}%o{little16}%V{byte}%V{be16}",
            b"\x00\x00\x12\x67\x67\x12\x05\x00\x05",
        );
    }
}

//! Records as JSON, one object each, so that `consume --format jsonl | produce --format jsonl` reproduces them exactly.
//!
//! Nulls are `null`, headers are an ordered list with duplicates, and bytes that are not UTF-8 are base64 with
//! `"key_encoding"` or `"value_encoding": "base64"` beside them.

use crate::cli::encode;
use crate::cli::template::read::Addressed;
use crate::client::record::{Consumed, Header, Record};
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize};

/// What `--help` says about the format.
pub const HELP: &str = "\
JSON records (--format jsonl, one object per line):
  {\"topic\":\"logs\",\"partition\":0,\"offset\":7,\"timestamp\":1795255323004,\"key\":\"k\",\"value\":\"text\",
   \"headers\":[{\"key\":\"trace\",\"value\":\"1\"}]}
  null is null; bytes that are not UTF-8 are base64, marked by \"key_encoding\":\"base64\" or
  \"value_encoding\":\"base64\"; timestamps are milliseconds; headers keep their order and duplicates
";

/// The marker beside base64 text.
const BASE64: &str = "base64";

#[derive(Serialize)]
struct Line<'a> {
    topic: &'a str,
    partition: i32,
    offset: i64,
    timestamp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp_type: Option<&'static str>,
    #[serde(flatten)]
    body: Body<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Body<'a> {
    Full(Full<'a>),
    Sizes(Sizes),
}

#[derive(Serialize)]
struct Full<'a> {
    key: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_encoding: Option<&'static str>,
    value: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_encoding: Option<&'static str>,
    headers: Vec<HeaderLine<'a>>,
}

#[derive(Serialize)]
struct Sizes {
    key_size: Option<usize>,
    value_size: Option<usize>,
    header_count: usize,
}

#[derive(Serialize)]
struct HeaderLine<'a> {
    key: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_encoding: Option<&'static str>,
    value: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_encoding: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Text<'a> {
    Plain(&'a str),
    Coded(String),
}

fn text(bytes: &[u8]) -> (Text<'_>, Option<&'static str>) {
    match std::str::from_utf8(bytes) {
        Ok(plain) => (Text::Plain(plain), None),
        Err(_) => (Text::Coded(encode::base64(bytes)), Some(BASE64)),
    }
}

fn nullable(bytes: Option<&Bytes>) -> (Option<Text<'_>>, Option<&'static str>) {
    match bytes.map(|bytes| text(bytes)) {
        None => (None, None),
        Some((text, encoding)) => (Some(text), encoding),
    }
}

/// Appends a record as one object without a line end; `pretty` indents it, `meta_only` gives sizes instead of contents.
pub fn write(record: &Consumed, meta_only: bool, pretty: bool, out: &mut Vec<u8>) {
    let body = if meta_only {
        Body::Sizes(Sizes {
            key_size: record.key.as_ref().map(Bytes::len),
            value_size: record.value.as_ref().map(Bytes::len),
            header_count: record.headers.len(),
        })
    } else {
        let (key, key_encoding) = nullable(record.key.as_ref());
        let (value, value_encoding) = nullable(record.value.as_ref());
        let headers = record.headers.iter().map(header_line).collect();
        Body::Full(Full {
            key,
            key_encoding,
            value,
            value_encoding,
            headers,
        })
    };
    let line = Line {
        topic: &record.topic,
        partition: record.partition,
        offset: record.offset,
        timestamp: record.timestamp_ms,
        timestamp_type: record.is_append_time.then_some("LogAppendTime"),
        body,
    };
    // Neither writing to a Vec nor these types can fail.
    let _ = if pretty {
        serde_json::to_writer_pretty(out, &line)
    } else {
        serde_json::to_writer(out, &line)
    };
}

fn header_line(header: &Header) -> HeaderLine<'_> {
    let (key, key_encoding) = text(&header.key);
    let (value, value_encoding) = nullable(header.value.as_ref());
    HeaderLine {
        key,
        key_encoding,
        value,
        value_encoding,
    }
}

/// A record as `produce` accepts it: what `consume` prints, or written by hand. Only `value` must be there.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Input {
    topic: Option<String>,
    partition: Option<i32>,
    #[serde(rename = "offset")]
    _offset: Option<i64>,
    timestamp: Option<i64>,
    #[serde(rename = "timestamp_type")]
    _timestamp_type: Option<String>,
    key: Option<String>,
    key_encoding: Option<Encoding>,
    #[serde(default, deserialize_with = "present")]
    value: Option<Option<String>>,
    value_encoding: Option<Encoding>,
    #[serde(default)]
    headers: Vec<InputHeader>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct InputHeader {
    key: String,
    key_encoding: Option<Encoding>,
    #[serde(default, deserialize_with = "present")]
    value: Option<Option<String>>,
    value_encoding: Option<Encoding>,
}

#[derive(Deserialize, Debug, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    Base64,
    Hex,
}

/// Tells `"value": null` from a missing value.
fn present<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(input).map(Some)
}

impl Input {
    /// The record with its address.
    ///
    /// # Errors
    /// A sentence about the field that cannot be used.
    pub fn into_record(self) -> Result<Addressed, String> {
        let Some(value) = self.value else {
            return Err("`value` is missing; a tombstone is written \"value\": null".to_string());
        };
        let headers = self
            .headers
            .into_iter()
            .map(InputHeader::into_header)
            .collect::<Result<_, String>>()?;
        Ok(Addressed {
            topic: self.topic,
            partition: self.partition,
            record: Record {
                key: decode("key", self.key, self.key_encoding)?,
                value: decode("value", value, self.value_encoding)?,
                headers,
                timestamp_ms: self.timestamp,
            },
        })
    }
}

impl InputHeader {
    fn into_header(self) -> Result<Header, String> {
        let Some(value) = self.value else {
            return Err(format!(
                "header `{}` has no `value`; a null is written \"value\": null",
                self.key
            ));
        };
        Ok(Header {
            key: decode("header key", Some(self.key), self.key_encoding)?.unwrap_or_default(),
            value: decode("header value", value, self.value_encoding)?,
        })
    }
}

fn decode(field: &str, text: Option<String>, encoding: Option<Encoding>) -> Result<Option<Bytes>, String> {
    let Some(text) = text else { return Ok(None) };
    let bytes = match encoding {
        None => Ok(text.into_bytes()),
        Some(Encoding::Base64) => encode::from_base64(text.as_bytes()),
        Some(Encoding::Hex) => encode::from_hex(text.as_bytes()),
    };
    bytes
        .map(|bytes| Some(Bytes::from(bytes)))
        .map_err(|reason| format!("{field}: {reason}"))
}

/// Parses one object.
///
/// # Errors
/// A sentence about what is not right in it.
pub fn read(text: &[u8]) -> Result<Addressed, String> {
    let input: Input = serde_json::from_slice(text).map_err(|error| {
        // The line is known to the caller, and is always 1 here.
        error.to_string().replace(" at line 1 column", " at column")
    })?;
    input.into_record()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn consumed(record: Record) -> Consumed {
        Consumed {
            topic: "t".into(),
            partition: 2,
            offset: 7,
            leader_epoch: 0,
            timestamp_ms: record.timestamp_ms.unwrap_or(5),
            is_append_time: false,
            producer_id: -1,
            producer_epoch: -1,
            key: record.key,
            value: record.value,
            headers: record.headers,
        }
    }

    fn print(record: &Consumed) -> String {
        let mut out = Vec::new();
        write(record, false, false, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn looks_as_documented() {
        let header = |key: &'static [u8], value: Option<&'static [u8]>| Header {
            key: Bytes::from_static(key),
            value: value.map(Bytes::from_static),
        };
        let mut record = consumed(Record::value("h\"i").with_key(&b"\xff"[..]));
        record.headers = vec![
            header(b"a", Some(b"1")),
            header(b"a", None),
            header(b"b", Some(b"\x80")),
        ];
        assert_eq!(
            print(&record),
            r#"{"topic":"t","partition":2,"offset":7,"timestamp":5,"key":"/w==","key_encoding":"base64","value":"h\"i","headers":[{"key":"a","value":"1"},{"key":"a","value":null},{"key":"b","value":"gA==","value_encoding":"base64"}]}"#
        );
        record.is_append_time = true;
        assert!(print(&record).contains(r#""timestamp_type":"LogAppendTime""#));
        let mut sizes = Vec::new();
        write(&record, true, false, &mut sizes);
        assert!(
            String::from_utf8(sizes)
                .unwrap()
                .ends_with(r#""key_size":1,"value_size":3,"header_count":3}"#)
        );
    }

    #[test]
    fn accepts_little_and_refuses_with_reasons() {
        let record = read(br#"{"value":"x"}"#).unwrap();
        assert_eq!(
            record,
            Addressed {
                record: Record::value("x"),
                ..Addressed::default()
            }
        );
        assert_eq!(read(br#"{"value":null}"#).unwrap().record.value, None);
        assert_eq!(
            read(br#"{"value":"6162","value_encoding":"hex"}"#)
                .unwrap()
                .record
                .value
                .as_deref(),
            Some(&b"ab"[..])
        );
        for (text, says) in [
            (r#"{"key":"k"}"#, "`value` is missing"),
            (r#"{"value":"x","vlaue":"y"}"#, "unknown field `vlaue`"),
            (r#"{"value":1}"#, "expected a string"),
            (r#"{"value":"!","value_encoding":"base64"}"#, "value: "),
            (r#"{"value":"x","value_encoding":"rot13"}"#, "unknown variant `rot13`"),
            (r#"{"value":"x","headers":[{"key":"h"}]}"#, "header `h` has no `value`"),
            (r#"{"value":"x"} y"#, "trailing"),
            ("hello", "at column 1"),
        ] {
            let message = read(text.as_bytes()).unwrap_err();
            assert!(message.contains(says), "{text}: {message}");
        }
    }

    fn bytes() -> impl Strategy<Value = Option<Bytes>> {
        let any_bytes = proptest::collection::vec(any::<u8>(), 0..30).prop_map(Bytes::from);
        let words = "[a-z\"\\\\\n\u{0}é]{0,12}".prop_map(|text: String| Bytes::from(text));
        proptest::option::of(prop_oneof![any_bytes, words])
    }

    proptest! {
        #[test]
        fn every_record_survives(
            key in bytes(), value in bytes(), timestamp_ms in -1..2_000_000_000_000i64,
            headers in proptest::collection::vec((bytes(), bytes()), 0..5),
        ) {
            let headers = headers.into_iter().map(|(key, value)| Header { key: key.unwrap_or_default(), value }).collect();
            let record = Record { key, value, headers, timestamp_ms: Some(timestamp_ms) };
            let line = print(&consumed(record.clone()));
            prop_assert!(!line.contains('\n'), "one line each");
            let back = read(line.as_bytes()).unwrap();
            prop_assert_eq!(back, Addressed { topic: Some("t".to_string()), partition: Some(2), record });
        }
    }
}

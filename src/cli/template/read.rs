//! Parses input into records with a template: the inverse of `print`.
//!
//! A text field ends where its length field (`%K`, `%V`, `%T` before it) says, or where the literal after it begins. Memory is
//! bounded by [`FIELD_LIMIT`].

use super::{NumberCoding, NumberField, TextCoding, TextField, TimeCoding, Token};
use crate::cli::{clock, encode};
use crate::client::record::{Header, Record};
use bytes::Bytes;
use std::io::BufRead;

/// Largest single field, in bytes of input.
pub const FIELD_LIMIT: usize = 256 << 20;
/// Most headers of one record.
const HEADER_LIMIT: i64 = 100_000;

/// A record with where it wants to go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addressed {
    /// Topic, if the input names one.
    pub topic: Option<String>,
    /// Partition, if the input names one.
    pub partition: Option<i32>,
    /// The record.
    pub record: Record,
}

/// Reads records from `input`, one template after the other.
#[derive(Debug)]
pub struct Reader<R> {
    tokens: Vec<Token>,
    input: R,
    count: u64,
}

/// The bytes of one scope (a record, or one header of it), with the lengths announced so far.
#[derive(Default)]
struct Scope {
    topic: Option<Vec<u8>>,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    lengths: [Option<usize>; 3],
}

/// Where a delimited field ends.
#[derive(Clone, Copy)]
struct End<'a> {
    literal: Option<&'a [u8]>,
    /// The end of the input will do too: nothing of the record is missing then but the last delimiter.
    or_input: bool,
}

impl<R: BufRead> Reader<R> {
    /// A reader for `template` over `input`.
    ///
    /// # Errors
    /// A sentence if input in that form could not be told apart.
    pub fn new(tokens: Vec<Token>, input: R) -> Result<Reader<R>, String> {
        check(&tokens, false)?;
        Ok(Reader {
            tokens,
            input,
            count: 0,
        })
    }

    /// The input, for a look at what is ready.
    pub fn input(&self) -> &R {
        &self.input
    }

    /// The next record, or `None` at the end of the input.
    ///
    /// # Errors
    /// A sentence naming the record's number and what was expected.
    pub fn next_record(&mut self) -> Result<Option<Addressed>, String> {
        if self.at_end()? {
            return Ok(None);
        }
        self.count += 1;
        let tokens = std::mem::take(&mut self.tokens);
        let result = self.parse(&tokens);
        self.tokens = tokens;
        result
            .map(Some)
            .map_err(|reason| format!("record {}: {reason}", self.count))
    }

    fn parse(&mut self, tokens: &[Token]) -> Result<Addressed, String> {
        let mut scope = Scope::default();
        let mut addressed = Addressed::default();
        let mut header_count = 0;
        for (position, token) in tokens.iter().enumerate() {
            let end = end_of(tokens, position);
            match token {
                Token::Literal(literal) => {
                    // A delimiter right after a delimited field was consumed with it.
                    let consumed = position
                        .checked_sub(1)
                        .is_some_and(|before| is_delimited(&tokens[before], &scope));
                    if !consumed {
                        self.expect(literal, position + 1 == tokens.len())?;
                    }
                }
                Token::Text(field, coding) => self.text(&mut scope, *field, *coding, end)?,
                Token::Time(coding) => addressed.record.timestamp_ms = Some(self.time(coding, end)?),
                Token::Number(field, coding) => {
                    let value = self.number(*coding)?;
                    match field {
                        NumberField::Length(field) => scope.announce(*field, value)?,
                        NumberField::HeaderCount => header_count = value,
                        NumberField::Partition => {
                            addressed.partition =
                                Some(i32::try_from(value).map_err(|_| format!("there is no partition {value}"))?);
                        }
                        // Facts about where a record came from say nothing about where it goes.
                        NumberField::Offset
                        | NumberField::LeaderEpoch
                        | NumberField::ProducerId
                        | NumberField::ProducerEpoch
                        | NumberField::Index => {}
                    }
                }
                Token::Headers(inner) => addressed.record.headers = self.headers(inner, header_count)?,
            }
        }
        let utf8 = |topic: Vec<u8>| String::from_utf8(topic).map_err(|_| "the topic name is not text".to_string());
        addressed.topic = scope.topic.map(utf8).transpose()?;
        addressed.record.key = scope.key.map(Bytes::from);
        addressed.record.value = scope.value.map(Bytes::from);
        Ok(addressed)
    }

    fn headers(&mut self, tokens: &[Token], count: i64) -> Result<Vec<Header>, String> {
        if !(0..=HEADER_LIMIT).contains(&count) {
            return Err(format!("a record cannot have {count} headers"));
        }
        let mut headers = Vec::new();
        for _ in 0..count {
            let mut scope = Scope::default();
            for (position, token) in tokens.iter().enumerate() {
                match token {
                    Token::Literal(literal) => {
                        let consumed = position
                            .checked_sub(1)
                            .is_some_and(|before| is_delimited(&tokens[before], &scope));
                        if !consumed {
                            self.expect(literal, false)?;
                        }
                    }
                    Token::Text(field, coding) => self.text(
                        &mut scope,
                        *field,
                        *coding,
                        End {
                            or_input: false,
                            ..end_of(tokens, position)
                        },
                    )?,
                    Token::Number(NumberField::Length(field), coding) => {
                        let value = self.number(*coding)?;
                        scope.announce(*field, value)?;
                    }
                    // The grammar lets nothing else into a header template.
                    Token::Number(..) | Token::Time(_) | Token::Headers(_) => {}
                }
            }
            headers.push(Header {
                key: Bytes::from(scope.key.unwrap_or_default()),
                value: scope.value.map(Bytes::from),
            });
        }
        Ok(headers)
    }

    fn text(&mut self, scope: &mut Scope, field: TextField, coding: TextCoding, end: End<'_>) -> Result<(), String> {
        let raw = match scope.lengths[field as usize] {
            Some(length) => self.exactly(encoded_length(length, coding))?,
            None => self.until(end)?,
        };
        let bytes = match coding {
            TextCoding::Plain => raw,
            TextCoding::Hex => encode::from_hex(&raw)?,
            TextCoding::Base64(_) => encode::from_base64(&raw)?,
        };
        *scope.slot(field) = Some(bytes);
        Ok(())
    }

    fn time(&mut self, coding: &TimeCoding, end: End<'_>) -> Result<i64, String> {
        match coding {
            TimeCoding::Millis => self.number(NumberCoding::Ascii),
            TimeCoding::Seconds => self
                .number(NumberCoding::Ascii)
                .map(|seconds| seconds.saturating_mul(1000)),
            TimeCoding::Iso | TimeCoding::Strftime(_) => {
                let raw = self.until(end)?;
                clock::parse_rfc3339(&String::from_utf8_lossy(&raw))
            }
        }
    }

    fn number(&mut self, coding: NumberCoding) -> Result<i64, String> {
        let bytes = match coding {
            NumberCoding::Ascii => return self.decimal(),
            NumberCoding::Hex(digits) => {
                let text = self.exactly(digits)?;
                let text = String::from_utf8_lossy(&text);
                return u64::from_str_radix(&text, 16)
                    .map(|value| value as i64)
                    .map_err(|_| format!("`{text}` is not hexadecimal"));
            }
            NumberCoding::Big(width) => self.exactly(width)?,
            NumberCoding::Little(width) => {
                let mut bytes = self.exactly(width)?;
                bytes.reverse();
                bytes
            }
        };
        Ok(bytes.iter().fold(0, |value, &byte| value << 8 | i64::from(byte)))
    }

    fn decimal(&mut self) -> Result<i64, String> {
        let mut digits = String::new();
        while let Some(&byte) = self.peek()?.first() {
            let sign = digits.is_empty() && byte == b'-';
            if !(sign || byte.is_ascii_digit()) || digits.len() > 20 {
                break;
            }
            digits.push(char::from(byte));
            self.input.consume(1);
        }
        digits.parse().map_err(|_| "expected a number".to_string())
    }

    fn at_end(&mut self) -> Result<bool, String> {
        Ok(self.peek()?.is_empty())
    }

    fn peek(&mut self) -> Result<&[u8], String> {
        loop {
            match self.input.fill_buf() {
                Ok(_) => break,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(format!("cannot read the input: {error}")),
            }
        }
        self.input
            .fill_buf()
            .map_err(|error| format!("cannot read the input: {error}"))
    }

    fn exactly(&mut self, length: usize) -> Result<Vec<u8>, String> {
        if length > FIELD_LIMIT {
            return Err(format!("a field of {length} bytes is too large"));
        }
        let mut bytes = Vec::new();
        while bytes.len() < length {
            let wanted = length - bytes.len();
            let ready = self.peek()?;
            if ready.is_empty() {
                return Err("the input ends in the middle of it".to_string());
            }
            let taken = ready.len().min(wanted);
            bytes.extend_from_slice(&ready[..taken]);
            self.input.consume(taken);
        }
        Ok(bytes)
    }

    /// Bytes up to the delimiter, which is consumed; without one all that is left.
    fn until(&mut self, end: End<'_>) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        let last = end.literal.and_then(<[u8]>::last).copied();
        loop {
            let ready = self.peek()?;
            if ready.is_empty() {
                return if end.or_input {
                    Ok(bytes)
                } else {
                    Err("the input ends in the middle of it".to_string())
                };
            }
            // Step to each place where the delimiter may end, then look back whether it does.
            let step = last
                .and_then(|last| ready.iter().position(|&byte| byte == last))
                .map_or(ready.len(), |at| at + 1);
            bytes.extend_from_slice(&ready[..step]);
            self.input.consume(step);
            if let Some(delimiter) = end.literal
                && bytes.ends_with(delimiter)
            {
                bytes.truncate(bytes.len() - delimiter.len());
                return Ok(bytes);
            }
            if bytes.len() > FIELD_LIMIT {
                return Err(format!("no delimiter within {FIELD_LIMIT} bytes"));
            }
        }
    }

    fn expect(&mut self, literal: &[u8], is_last: bool) -> Result<(), String> {
        // The last newline of a file is often missing.
        if is_last && self.at_end()? {
            return Ok(());
        }
        let found = self.exactly(literal.len())?;
        if found == literal {
            return Ok(());
        }
        Err(format!(
            "expected `{}`, found `{}`",
            literal.escape_ascii(),
            found.escape_ascii()
        ))
    }
}

impl Scope {
    fn announce(&mut self, field: TextField, length: i64) -> Result<(), String> {
        let length = usize::try_from(length).map_err(|_| format!("a length of {length} is impossible"))?;
        self.lengths[field as usize] = Some(length);
        Ok(())
    }

    fn slot(&mut self, field: TextField) -> &mut Option<Vec<u8>> {
        match field {
            TextField::Topic => &mut self.topic,
            TextField::Key => &mut self.key,
            TextField::Value => &mut self.value,
        }
    }
}

fn encoded_length(length: usize, coding: TextCoding) -> usize {
    match coding {
        TextCoding::Plain => length,
        TextCoding::Hex => length.saturating_mul(2),
        TextCoding::Base64(true) => length.div_ceil(3).saturating_mul(4),
        TextCoding::Base64(false) => length.saturating_mul(4).div_ceil(3),
    }
}

/// What ends the field at `position`: the literal after it, or the end of the input.
fn end_of(tokens: &[Token], position: usize) -> End<'_> {
    let literal = match tokens.get(position + 1) {
        Some(Token::Literal(literal)) => Some(&literal[..]),
        _ => None,
    };
    let after = position + 1 + usize::from(literal.is_some());
    End {
        literal,
        or_input: after >= tokens.len(),
    }
}

/// True if the field is read up to a delimiter rather than by length.
fn is_delimited(token: &Token, scope: &Scope) -> bool {
    match token {
        Token::Text(field, _) => scope.lengths[*field as usize].is_none(),
        Token::Time(TimeCoding::Iso | TimeCoding::Strftime(_)) => true,
        _ => false,
    }
}

/// Refuses templates whose input would be ambiguous.
fn check(tokens: &[Token], in_headers: bool) -> Result<(), String> {
    let mut announced = [false; 3];
    let mut header_count = false;
    for (position, token) in tokens.iter().enumerate() {
        let followed = matches!(tokens.get(position + 1), Some(Token::Literal(_)));
        let ends = followed || (position + 1 == tokens.len() && !in_headers);
        match token {
            Token::Number(NumberField::Length(field), _) => announced[*field as usize] = true,
            Token::Number(NumberField::HeaderCount, _) => header_count = true,
            Token::Text(field, _) if !announced[*field as usize] && !ends => {
                return Err(
                    "a field needs text after it to end it (`%k %v\\n`) or its length before it (`%K%k`)".to_string(),
                );
            }
            Token::Time(TimeCoding::Iso) if !ends => return Err("%d{iso} needs text after it to end it".to_string()),
            Token::Time(TimeCoding::Strftime(_)) => {
                return Err("timestamps are read as %d, %d{s} or %d{iso}".to_string());
            }
            Token::Headers(_) if !header_count => {
                return Err("%H must come before %h, to say how many headers there are: `%H %h{%k=%v }`".to_string());
            }
            Token::Headers(inner) => check(inner, true)?,
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::template::{parse, print};
    use crate::client::record::Consumed;
    use proptest::prelude::*;

    fn read(template: &str, input: &[u8]) -> Result<Vec<Addressed>, String> {
        let mut reader = Reader::new(parse(template)?, input)?;
        let mut records = Vec::new();
        while let Some(record) = reader.next_record()? {
            records.push(record);
        }
        Ok(records)
    }

    type Pair = (Option<Vec<u8>>, Option<Vec<u8>>);

    fn pairs(template: &str, input: &[u8]) -> Vec<Pair> {
        let plain = |bytes: Option<Bytes>| bytes.map(|bytes| bytes.to_vec());
        let records = read(template, input).unwrap();
        records
            .into_iter()
            .map(|one| (plain(one.record.key), plain(one.record.value)))
            .collect()
    }

    #[test]
    fn lines_and_delimiters() {
        let value = |text: &str| (None, Some(text.as_bytes().to_vec()));
        let pair = |key: &str, text: &str| (Some(key.as_bytes().to_vec()), Some(text.as_bytes().to_vec()));
        assert_eq!(pairs("%v\\n", b"a\n\nlast"), [value("a"), value(""), value("last")]);
        assert_eq!(
            pairs("%k=>%v;;", b"a=b=>c;d;;x=>y;;"),
            [pair("a=b", "c;d"), pair("x", "y")]
        );
        assert_eq!(pairs("%v", b"all\nof it"), [value("all\nof it")]);
        assert_eq!(pairs("%k{hex} %v{base64}\\n", b"6162 Y2Q=\n"), [pair("ab", "cd")]);
    }

    #[test]
    fn lengths_take_any_bytes() {
        let pair = |key: &[u8], text: &[u8]| (Some(key.to_vec()), Some(text.to_vec()));
        assert_eq!(
            pairs("%K{big16}%V{byte}%k%v", b"\x00\x01\x02k\n\n"),
            [pair(b"k", b"\n\n")]
        );
        assert_eq!(
            pairs("%K %k%V %v\\n", b"1 a2 b\n\n0 3 xyz\n"),
            [pair(b"a", b"b\n"), pair(b"", b"xyz")]
        );
        assert_eq!(pairs("%V{hex8}%v{hex}", b"026162"), [(None, Some(b"ab".to_vec()))]);
    }

    #[test]
    fn topic_partition_time_and_headers() {
        let records = read("%t/%p/%o/%d/%H/%h{%k=%v,}%v\\n", b"logs/3/99/1234/2/a=1,a=,text\n").unwrap();
        let one = &records[0];
        assert_eq!(
            (one.topic.as_deref(), one.partition, one.record.timestamp_ms),
            (Some("logs"), Some(3), Some(1234))
        );
        let header = |key: &'static [u8], value: &'static [u8]| Header {
            key: key.into(),
            value: Some(value.into()),
        };
        assert_eq!(one.record.headers, [header(b"a", b"1"), header(b"a", b"")]);
        assert_eq!(one.record.value.as_deref(), Some(&b"text"[..]));
        let time = read("%d{iso} %v\\n", b"1970-01-01T00:00:01Z x\n").unwrap();
        assert_eq!(time[0].record.timestamp_ms, Some(1000));
    }

    #[test]
    fn refuses_with_reasons() {
        for (template, input, says) in [
            ("%k%v\\n", "x", "to end it"),
            ("%h{%k=%v,}%v\\n", "x", "%H must come before"),
            ("%d{strftime[%F]} %v\\n", "x", "are read as"),
            ("%K %k:%v\\n", "2 ab;x\n", "record 1: expected `:`, found `;`"),
            ("%K %k", "9 ab", "ends in the middle"),
            ("%k %v\\n", "a b\nlonely", "record 2: the input ends in the middle"),
            ("%H %h{%k=%v,}", "1 a=b", "the input ends in the middle"),
            ("%K %k", "x", "expected a number"),
            ("%K %k", "-1 x", "impossible"),
            ("%V{big64}%v", "\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7fx", "too large"),
            ("%v{hex}\\n", "61\nzz\n", "record 2: `z` is not"),
            ("%H %h{%k %v\\n}", "99999999 x", "cannot have"),
        ] {
            let message = read(template, input.as_bytes()).unwrap_err();
            assert!(message.contains(says), "{template}: {message}");
        }
    }

    proptest! {
        /// With lengths, any record that was printed is read back as it was.
        #[test]
        fn what_is_printed_is_read_back(
            key in proptest::collection::vec(any::<u8>(), 0..40),
            value in proptest::collection::vec(any::<u8>(), 0..300),
            headers in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..9), proptest::collection::vec(any::<u8>(), 0..9)), 0..4),
            partition in 0..100i32, timestamp_ms in 0..2_000_000_000_000i64,
        ) {
            let headers: Vec<Header> = headers.into_iter().map(|(key, value)| Header { key: key.into(), value: Some(value.into()) }).collect();
            let record = Consumed {
                topic: "t".into(), partition, offset: 1, leader_epoch: 0, timestamp_ms, is_append_time: false,
                producer_id: -1, producer_epoch: -1, key: Some(key.into()), value: Some(value.into()), headers,
            };
            for template in [
                "%T{byte}%t%p{big32}%d %K{big32}%k%V{little64}%v%H{hex16}%h{%K{big16}%k%V{byte}%v}",
                "%t %p %d %k{hex} %v{base64} %H %h{%k{base64raw}:%v{hex},}\\n",
            ] {
                let tokens = parse(template).unwrap();
                let mut text = Vec::new();
                print::record(&tokens, &record, 1, &mut text);
                print::record(&tokens, &record, 2, &mut text);
                let back = read(template, &text).unwrap();
                prop_assert_eq!(back.len(), 2);
                for one in back {
                    prop_assert_eq!((one.topic.as_deref(), one.partition), (Some("t"), Some(partition)));
                    prop_assert_eq!(one.record.timestamp_ms, Some(timestamp_ms));
                    prop_assert_eq!((&one.record.key, &one.record.value, &one.record.headers), (&record.key, &record.value, &record.headers));
                }
            }
        }

        #[test]
        fn nothing_panics(template in "([%a-zA-Z{}\\\\\\[\\]0-9 é]|%[tkvTKVHpodh]|%h\\{%k=%v;\\}){0,12}", input in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(tokens) = parse(&template)
                && let Ok(mut reader) = Reader::new(tokens, &input[..])
            {
                // A template of literals only consumes nothing of a record, but always some input, so this ends.
                for _ in 0..200 {
                    if !matches!(reader.next_record(), Ok(Some(_))) {
                        break;
                    }
                }
            }
        }
    }
}

//! The percent language of `produce -f` and `consume -f`, after rpk's and kcat's: `%t %p %o %k{hex} %v\n`.
//!
//! This file holds the grammar; `print` writes records with it, `read` parses input with it. The same template does both.

pub mod print;
pub mod read;

/// What `--help` says about the language.
pub const HELP: &str = "\
Percent language:
  %t %k %v         topic, key, value; %h{...} repeats ... for each header, with its own %k and %v
  %T %K %V %H      length of topic, key, value in bytes; number of headers
  %p %o %e %d      partition, offset, leader epoch, timestamp
  %x %y %i         producer id, producer epoch, number of the record from 1
  %% %{ %}         these characters; \\n \\t \\r \\0 \\\\ \\xHH as usual
  %k{hex}          text as: hex, base64, base64raw (no padding)
  %V{big32}        numbers as: ascii (default), hex4 hex8 hex16 hex32 hex64 (digits of n bits),
                   byte, big16 big32 big64, little16 little32 little64 (binary)
  %d{iso}          timestamp as: ms (default), s, iso, strftime[%F %T]
";

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// These bytes.
    Literal(Vec<u8>),
    /// Topic, key or value.
    Text(TextField, TextCoding),
    /// A number about the record.
    Number(NumberField, NumberCoding),
    /// The timestamp.
    Time(TimeCoding),
    /// The inner template, once for each header.
    Headers(Vec<Token>),
}

/// Fields made of bytes. Inside `%h{..}` key and value are the header's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextField {
    /// `%t`
    Topic,
    /// `%k`
    Key,
    /// `%v`
    Value,
}

/// Fields made of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberField {
    /// `%T`, `%K`, `%V`: bytes of the field itself, before any encoding.
    Length(TextField),
    /// `%H`
    HeaderCount,
    /// `%p`
    Partition,
    /// `%o`
    Offset,
    /// `%e`
    LeaderEpoch,
    /// `%x`
    ProducerId,
    /// `%y`
    ProducerEpoch,
    /// `%i`
    Index,
}

/// How bytes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextCoding {
    /// As they are.
    Plain,
    /// Lower-case hexadecimal.
    Hex,
    /// Base64; `true` with padding.
    Base64(bool),
}

/// How numbers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberCoding {
    /// Decimal digits.
    Ascii,
    /// This many hexadecimal digits, padded with zeros.
    Hex(usize),
    /// This many bytes, most significant first.
    Big(usize),
    /// This many bytes, least significant first.
    Little(usize),
}

/// How timestamps are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimeCoding {
    /// Milliseconds since the epoch.
    Millis,
    /// Whole seconds since the epoch.
    Seconds,
    /// RFC 3339 in UTC.
    Iso,
    /// A strftime pattern.
    Strftime(String),
}

/// Parses a template.
///
/// # Errors
/// A sentence naming the position and what is expected there.
pub fn parse(text: &str) -> Result<Vec<Token>, String> {
    let mut parser = Parser { text, at: 0 };
    let tokens = parser.tokens(false)?;
    match tokens.is_empty() {
        true => Err("the format is empty: try '%v\\n'".to_string()),
        false => Ok(tokens),
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    /// Tokens up to the end, or inside a header template up to its end too (the caller cuts it out).
    fn tokens(&mut self, in_headers: bool) -> Result<Vec<Token>, String> {
        let mut tokens = Vec::new();
        while let Some(letter) = self.next() {
            match letter {
                '%' => self.verb(in_headers, &mut tokens)?,
                '\\' => {
                    let byte = self.escape()?;
                    push_literal(&mut tokens, &[byte]);
                }
                other => push_literal(&mut tokens, other.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        Ok(tokens)
    }

    fn next(&mut self) -> Option<char> {
        let letter = self.text[self.at..].chars().next()?;
        self.at += letter.len_utf8();
        Some(letter)
    }

    fn wrong<T>(&self, what: &str) -> Result<T, String> {
        Err(format!(
            "format `{}`, position {}: {what}",
            self.text.escape_default(),
            self.at
        ))
    }

    fn escape(&mut self) -> Result<u8, String> {
        match self.next() {
            Some('n') => Ok(b'\n'),
            Some('t') => Ok(b'\t'),
            Some('r') => Ok(b'\r'),
            Some('0') => Ok(0),
            Some('\\') => Ok(b'\\'),
            Some('x') => {
                let digits = self
                    .text
                    .get(self.at..self.at + 2)
                    .and_then(|digits| u8::from_str_radix(digits, 16).ok());
                self.at += 2;
                digits.map_or_else(|| self.wrong("`\\x` needs two hexadecimal digits"), Ok)
            }
            _ => self.wrong("after `\\` comes one of n t r 0 \\ or xHH"),
        }
    }

    fn verb(&mut self, in_headers: bool, tokens: &mut Vec<Token>) -> Result<(), String> {
        let Some(verb) = self.next() else {
            return self.wrong("`%` needs a letter; a percent sign itself is `%%`");
        };
        if in_headers && !"kvKV%{}".contains(verb) {
            return self.wrong("inside %h{..} there are only %k %v %K %V");
        }
        let token = match verb {
            '%' | '{' | '}' => {
                push_literal(tokens, verb.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            't' => Token::Text(TextField::Topic, self.text_coding()?),
            'k' => Token::Text(TextField::Key, self.text_coding()?),
            'v' => Token::Text(TextField::Value, self.text_coding()?),
            'd' => Token::Time(self.time_coding()?),
            'h' => Token::Headers(self.headers()?),
            'T' => self.number(NumberField::Length(TextField::Topic))?,
            'K' => self.number(NumberField::Length(TextField::Key))?,
            'V' => self.number(NumberField::Length(TextField::Value))?,
            'H' => self.number(NumberField::HeaderCount)?,
            'p' => self.number(NumberField::Partition)?,
            'o' => self.number(NumberField::Offset)?,
            'e' => self.number(NumberField::LeaderEpoch)?,
            'x' => self.number(NumberField::ProducerId)?,
            'y' => self.number(NumberField::ProducerEpoch)?,
            'i' => self.number(NumberField::Index)?,
            other => return self.wrong(&format!("unknown `%{other}`; see --help for the letters")),
        };
        tokens.push(token);
        Ok(())
    }

    /// The text between `{` and its matching `}`, if a brace follows. `%{` and `%}` do not count.
    fn braces(&mut self) -> Result<Option<&str>, String> {
        if !self.text[self.at..].starts_with('{') {
            return Ok(None);
        }
        let start = self.at + 1;
        let mut depth = 0;
        let mut after_percent = false;
        for (offset, letter) in self.text[self.at..].char_indices() {
            match letter {
                _ if after_percent => {}
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            after_percent = letter == '%' && !after_percent;
            if depth == 0 {
                let inner = &self.text[start..self.at + offset];
                self.at += offset + 1;
                return Ok(Some(inner));
            }
        }
        self.wrong("`}` is missing (a brace itself is `%{`)")
    }

    fn headers(&mut self) -> Result<Vec<Token>, String> {
        let text = self.text;
        let Some(inner) = self.braces()? else {
            return self.wrong("%h needs a template for one header: %h{%k=%v }");
        };
        let start = inner.as_ptr() as usize - text.as_ptr() as usize;
        let end = start + inner.len();
        let mut parser = Parser {
            text: &text[..end],
            at: start,
        };
        parser.tokens(true)
    }

    fn text_coding(&mut self) -> Result<TextCoding, String> {
        match self.braces()? {
            None | Some("") => Ok(TextCoding::Plain),
            Some("hex") => Ok(TextCoding::Hex),
            Some("base64") => Ok(TextCoding::Base64(true)),
            Some("base64raw") => Ok(TextCoding::Base64(false)),
            Some(_) => self.wrong("text can be written as {hex}, {base64} or {base64raw}"),
        }
    }

    fn time_coding(&mut self) -> Result<TimeCoding, String> {
        match self.braces()? {
            None | Some("" | "ms" | "millis") => Ok(TimeCoding::Millis),
            Some("s" | "unix") => Ok(TimeCoding::Seconds),
            Some("iso" | "rfc3339") => Ok(TimeCoding::Iso),
            Some(other) => match other.strip_prefix("strftime[").and_then(|rest| rest.strip_suffix(']')) {
                Some(pattern) => {
                    let pattern = pattern.to_string();
                    crate::cli::clock::strftime(&pattern, 0)?;
                    Ok(TimeCoding::Strftime(pattern))
                }
                None => self.wrong("a timestamp can be written as {ms}, {s}, {iso} or {strftime[..]}"),
            },
        }
    }

    fn number(&mut self, field: NumberField) -> Result<Token, String> {
        let Some(name) = self.braces()? else {
            return Ok(Token::Number(field, NumberCoding::Ascii));
        };
        let bits = name.trim_start_matches(|letter: char| letter.is_ascii_alphabetic());
        let (kind, bits) = (&name[..name.len() - bits.len()], bits.parse::<usize>().ok());
        let coding = match (kind, bits) {
            ("" | "ascii" | "number", None) => Some(NumberCoding::Ascii),
            ("hex", Some(bits @ (4 | 8 | 16 | 32 | 64))) => Some(NumberCoding::Hex(bits / 4)),
            ("byte", None) => Some(NumberCoding::Big(1)),
            ("big" | "be" | "b", Some(bits @ (8 | 16 | 32 | 64))) => Some(NumberCoding::Big(bits / 8)),
            ("little" | "le" | "l", Some(bits @ (8 | 16 | 32 | 64))) => Some(NumberCoding::Little(bits / 8)),
            _ => None,
        };
        match coding {
            Some(coding) => Ok(Token::Number(field, coding)),
            None => {
                self.wrong("numbers can be written as {ascii}, {hexN}, {byte}, {bigN} or {littleN}, N = 16, 32, 64")
            }
        }
    }
}

fn push_literal(tokens: &mut Vec<Token>, bytes: &[u8]) {
    match tokens.last_mut() {
        Some(Token::Literal(literal)) => literal.extend_from_slice(bytes),
        _ => tokens.push(Token::Literal(bytes.to_vec())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_grammar() {
        let tokens = parse("%t %p\\t%k{hex}%%%{\\x41%H%h{%k=%v{base64},%}}%d{iso}\\n").unwrap();
        assert_eq!(
            tokens,
            vec![
                Token::Text(TextField::Topic, TextCoding::Plain),
                Token::Literal(b" ".to_vec()),
                Token::Number(NumberField::Partition, NumberCoding::Ascii),
                Token::Literal(b"\t".to_vec()),
                Token::Text(TextField::Key, TextCoding::Hex),
                Token::Literal(b"%{A".to_vec()),
                Token::Number(NumberField::HeaderCount, NumberCoding::Ascii),
                Token::Headers(vec![
                    Token::Text(TextField::Key, TextCoding::Plain),
                    Token::Literal(b"=".to_vec()),
                    Token::Text(TextField::Value, TextCoding::Base64(true)),
                    Token::Literal(b",}".to_vec()),
                ]),
                Token::Time(TimeCoding::Iso),
                Token::Literal(b"\n".to_vec()),
            ]
        );
        let number = |name: &str| match parse(&format!("%V{{{name}}}")).unwrap().remove(0) {
            Token::Number(_, coding) => coding,
            other => panic!("{other:?}"),
        };
        assert_eq!(number("big32"), NumberCoding::Big(4));
        assert_eq!(number("be16"), NumberCoding::Big(2));
        assert_eq!(number("little64"), NumberCoding::Little(8));
        assert_eq!(number("hex8"), NumberCoding::Hex(2));
        assert_eq!(number("byte"), NumberCoding::Big(1));
        assert_eq!(number("ascii"), NumberCoding::Ascii);
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        for (text, says) in [
            ("", "empty"),
            ("%v%", "`%` needs a letter"),
            ("%q", "unknown `%q`"),
            ("%v{hexx}", "{hex}, {base64}"),
            ("%v{hex", "`}` is missing"),
            ("%V{big31}", "{bigN}"),
            ("%h", "%h{%k=%v }"),
            ("%h{%t}", "only %k %v %K %V"),
            ("%d{soon}", "{iso}"),
            ("%d{strftime[%Q]}", "%Y"),
            ("a\\z", "after `\\`"),
            ("\\xg0", "two hexadecimal digits"),
        ] {
            let message = parse(text).unwrap_err();
            assert!(message.contains(says), "{text}: {message}");
        }
    }
}

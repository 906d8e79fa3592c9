//! Bytes as text and back: base64 (RFC 4648), hexadecimal.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Standard base64 with padding.
pub fn base64(data: &[u8]) -> String {
    let mut text = String::with_capacity(data.len().div_ceil(3) * 4);
    for chunk in data.chunks(3) {
        let at = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for position in 0..4 {
            if position <= chunk.len() {
                text.push(char::from(ALPHABET[(bits >> (18 - 6 * position) & 63) as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

/// Decodes standard base64, padded or not, also in the URL alphabet.
///
/// # Errors
/// A sentence naming the first thing that is not base64.
pub fn from_base64(text: &[u8]) -> Result<Vec<u8>, String> {
    let body = text
        .strip_suffix(b"==")
        .or_else(|| text.strip_suffix(b"="))
        .unwrap_or(text);
    if body.len() % 4 == 1 || (body.len() != text.len() && !text.len().is_multiple_of(4)) {
        return Err("base64 text has an impossible length".to_string());
    }
    let mut data = Vec::with_capacity(body.len() / 4 * 3 + 2);
    for chunk in body.chunks(4) {
        let mut bits = 0u32;
        for &letter in chunk {
            bits = bits << 6 | sextet(letter)?;
        }
        bits <<= 6 * (4 - chunk.len() as u32);
        data.extend_from_slice(&bits.to_be_bytes()[1..chunk.len()]);
    }
    Ok(data)
}

fn sextet(letter: u8) -> Result<u32, String> {
    Ok(u32::from(match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return Err(format!("`{}` is not base64", char::from(letter).escape_default())),
    }))
}

/// A topic or cluster id as Kafka prints it: URL-safe base64 without padding.
pub fn kafka_uuid(id: &[u8; 16]) -> String {
    base64(id).trim_end_matches('=').replace('+', "-").replace('/', "_")
}

/// Lower-case hexadecimal.
pub fn hex(data: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(data.len() * 2);
    for byte in data {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// Decodes hexadecimal of either case.
///
/// # Errors
/// A sentence naming the first thing that is not hexadecimal.
pub fn from_hex(text: &[u8]) -> Result<Vec<u8>, String> {
    if !text.len().is_multiple_of(2) {
        return Err("hexadecimal text has an odd number of digits".to_string());
    }
    text.chunks(2)
        .map(|pair| Ok(hex_digit(pair[0])? << 4 | hex_digit(pair[1])?))
        .collect()
}

fn hex_digit(letter: u8) -> Result<u8, String> {
    match letter {
        b'0'..=b'9' => Ok(letter - b'0'),
        b'a'..=b'f' => Ok(letter - b'a' + 10),
        b'A'..=b'F' => Ok(letter - b'A' + 10),
        _ => Err(format!(
            "`{}` is not a hexadecimal digit",
            char::from(letter).escape_default()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn base64_is_rfc_4648() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded);
            assert_eq!(from_base64(coded.as_bytes()).unwrap(), plain.as_bytes());
            assert_eq!(
                from_base64(coded.trim_end_matches('=').as_bytes()).unwrap(),
                plain.as_bytes(),
                "unpadded"
            );
        }
        assert_eq!(from_base64(b"-_8").unwrap(), from_base64(b"+/8=").unwrap());
        for bad in ["Z", "Zg=", "Zg=a", "Zm9v!", "Zm 9", "===="] {
            assert!(from_base64(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn hex_reads_both_cases() {
        assert_eq!(hex(&[0, 0xab, 0xff]), "00abff");
        assert_eq!(from_hex(b"00aBFf").unwrap(), [0, 0xab, 0xff]);
        assert!(from_hex(b"abc").unwrap_err().contains("odd"));
        assert!(from_hex(b"zz").unwrap_err().contains("`z`"));
    }

    proptest! {
        #[test]
        fn all_bytes_survive(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(&from_base64(base64(&data).as_bytes()).unwrap(), &data);
            prop_assert_eq!(&from_hex(hex(&data).as_bytes()).unwrap(), &data);
        }
    }
}

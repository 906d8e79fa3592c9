//! The few Kafka requests a load client needs, written by hand: big-endian fields, classic and compact forms.
//!
//! Must not know sockets. A reader never trusts a length from the wire: every read is checked against the bytes left.

/// Produce (flexible version 9: any broker since 2.4).
pub const PRODUCE: i16 = 0;
/// Fetch (version 11: the last with classic encoding, names instead of topic ids).
pub const FETCH: i16 = 1;
/// ListOffsets.
pub const LIST_OFFSETS: i16 = 2;
/// Metadata.
pub const METADATA: i16 = 3;
/// CreateTopics.
pub const CREATE_TOPICS: i16 = 19;
/// DeleteTopics.
pub const DELETE_TOPICS: i16 = 20;
/// InitProducerId.
pub const INIT_PRODUCER_ID: i16 = 22;
/// DescribeConfigs.
pub const DESCRIBE_CONFIGS: i16 = 32;
/// Version of Produce that `load` sends and `floor` answers.
pub const PRODUCE_VERSION: i16 = 9;
/// `client.id` of every request.
pub const CLIENT_ID: &str = "ringlog-load";

/// Appends Kafka fields to a byte vector.
#[derive(Default)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    /// Starts a request frame: length to be set by [`Writer::finish`], then request header v1, or v2 when `flexible`.
    pub fn request(api: i16, version: i16, correlation: i32, flexible: bool) -> Writer {
        let mut w = Writer::default();
        w.i32(0).i16(api).i16(version).i32(correlation).string(CLIENT_ID);
        if flexible {
            w.tags();
        }
        w
    }

    /// Sets the frame length and returns the frame.
    pub fn finish(mut self) -> Vec<u8> {
        let len = (self.0.len() - 4) as u32;
        self.0[..4].copy_from_slice(&len.to_be_bytes());
        self.0
    }

    /// One byte.
    pub fn i8(&mut self, v: i8) -> &mut Self {
        self.0.push(v as u8);
        self
    }

    /// Two bytes.
    pub fn i16(&mut self, v: i16) -> &mut Self {
        self.0.extend_from_slice(&v.to_be_bytes());
        self
    }

    /// Four bytes.
    pub fn i32(&mut self, v: i32) -> &mut Self {
        self.0.extend_from_slice(&v.to_be_bytes());
        self
    }

    /// Eight bytes.
    pub fn i64(&mut self, v: i64) -> &mut Self {
        self.0.extend_from_slice(&v.to_be_bytes());
        self
    }

    /// Unsigned varint (lengths of compact forms).
    pub fn uvarint(&mut self, mut v: u64) -> &mut Self {
        while v >= 0x80 {
            self.0.push(v as u8 | 0x80);
            v >>= 7;
        }
        self.0.push(v as u8);
        self
    }

    /// Zigzag varint (fields of a record).
    pub fn varint(&mut self, v: i64) -> &mut Self {
        self.uvarint(((v << 1) ^ (v >> 63)) as u64)
    }

    /// Classic string; names longer than 32,767 bytes do not occur.
    pub fn string(&mut self, s: &str) -> &mut Self {
        self.i16(s.len() as i16);
        self.0.extend_from_slice(s.as_bytes());
        self
    }

    /// Compact string.
    pub fn compact_string(&mut self, s: &str) -> &mut Self {
        self.uvarint(s.len() as u64 + 1);
        self.0.extend_from_slice(s.as_bytes());
        self
    }

    /// Empty tag section.
    pub fn tags(&mut self) -> &mut Self {
        self.uvarint(0)
    }
}

/// Where reading stopped and what was missing.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "malformed Kafka bytes: {}", self.0)
    }
}

impl std::error::Error for Malformed {}

impl From<Malformed> for std::io::Error {
    fn from(e: Malformed) -> Self {
        std::io::Error::new(std::io::ErrorKind::InvalidData, e)
    }
}

/// Reads Kafka fields from a slice.
#[derive(Clone, Copy)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// The next `n` bytes.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], Malformed> {
        let (head, tail) = self
            .0
            .split_at_checked(n)
            .ok_or(Malformed("shorter than a field it declares"))?;
        self.0 = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, tail) = self
            .0
            .split_first_chunk::<N>()
            .ok_or(Malformed("shorter than its fields"))?;
        self.0 = tail;
        Ok(*head)
    }

    /// One byte.
    pub fn i8(&mut self) -> Result<i8, Malformed> {
        Ok(self.array::<1>()?[0] as i8)
    }

    /// Two bytes.
    pub fn i16(&mut self) -> Result<i16, Malformed> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    /// Four bytes.
    pub fn i32(&mut self) -> Result<i32, Malformed> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    /// Eight bytes.
    pub fn i64(&mut self) -> Result<i64, Malformed> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    /// Unsigned varint of at most 10 bytes.
    pub fn uvarint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.array::<1>()?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed("varint longer than 10 bytes"))
    }

    /// Zigzag varint.
    pub fn varint(&mut self) -> Result<i64, Malformed> {
        let raw = self.uvarint()?;
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    /// Classic nullable string; null reads as empty.
    pub fn string(&mut self) -> Result<&'a str, Malformed> {
        let len = self.i16()?;
        let bytes = self.take(len.max(0) as usize)?;
        std::str::from_utf8(bytes).map_err(|_| Malformed("string is not UTF-8"))
    }

    /// Compact nullable bytes; null reads as empty.
    pub fn compact_bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let len = self.uvarint()?.saturating_sub(1);
        self.take(usize::try_from(len).map_err(|_| Malformed("length beyond the address space"))?)
    }

    /// Count of a classic array; null reads as 0.
    pub fn count(&mut self) -> Result<usize, Malformed> {
        Ok(self.i32()?.max(0) as usize)
    }

    /// Count of a compact array; null reads as 0.
    pub fn compact_count(&mut self) -> Result<usize, Malformed> {
        Ok(self.uvarint()?.saturating_sub(1) as usize)
    }

    /// Skips a tag section.
    pub fn tags(&mut self) -> Result<(), Malformed> {
        for _ in 0..self.uvarint()? {
            self.uvarint()?;
            let len = self.uvarint()? as usize;
            self.take(len)?;
        }
        Ok(())
    }
}

/// The one partition answered in a Produce reply.
#[derive(Debug, PartialEq, Eq)]
pub struct ProduceAck {
    /// Correlation id of the request.
    pub correlation: i32,
    /// Partition index.
    pub partition: i32,
    /// Kafka error code, 0 = acknowledged.
    pub error: i16,
    /// Offset of the first record, -1 when unknown.
    pub base_offset: i64,
}

/// Reads a Produce v9 reply (without the length) to a request with one topic and one partition.
///
/// # Errors
/// [`Malformed`] when bytes are missing or more than one partition is answered.
pub fn read_produce_ack(frame: &[u8]) -> Result<ProduceAck, Malformed> {
    let mut r = Reader(frame);
    let correlation = r.i32()?;
    r.tags()?;
    if r.compact_count()? != 1 {
        return Err(Malformed("Produce reply does not hold exactly one topic"));
    }
    r.compact_bytes()?;
    if r.compact_count()? != 1 {
        return Err(Malformed("Produce reply does not hold exactly one partition"));
    }
    Ok(ProduceAck {
        correlation,
        partition: r.i32()?,
        error: r.i16()?,
        base_offset: r.i64()?,
    })
}

/// Name of a Kafka error code, for people.
pub fn error_name(code: i16) -> String {
    let name = match code {
        0 => "NONE",
        -1 => "UNKNOWN_SERVER_ERROR",
        1 => "OFFSET_OUT_OF_RANGE",
        2 => "CORRUPT_MESSAGE",
        3 => "UNKNOWN_TOPIC_OR_PARTITION",
        5 => "LEADER_NOT_AVAILABLE",
        6 => "NOT_LEADER_OR_FOLLOWER",
        7 => "REQUEST_TIMED_OUT",
        10 => "MESSAGE_TOO_LARGE",
        19 => "NOT_ENOUGH_REPLICAS",
        35 => "UNSUPPORTED_VERSION",
        36 => "TOPIC_ALREADY_EXISTS",
        42 => "INVALID_REQUEST",
        45 => "OUT_OF_ORDER_SEQUENCE_NUMBER",
        46 => "DUPLICATE_SEQUENCE_NUMBER",
        56 => "KAFKA_STORAGE_ERROR",
        59 => "UNKNOWN_PRODUCER_ID",
        87 => "INVALID_RECORD",
        other => return format!("error {other}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_come_back() {
        for value in [0, 1, -1, 63, 64, -65, 1 << 20, i64::MAX, i64::MIN] {
            let mut w = Writer::default();
            w.varint(value);
            let mut r = Reader(&w.0);
            assert_eq!(r.varint(), Ok(value));
            assert!(r.0.is_empty());
        }
    }

    #[test]
    fn a_length_beyond_the_bytes_is_refused() {
        let mut w = Writer::default();
        w.uvarint(u64::MAX);
        assert!(Reader(&w.0).compact_bytes().is_err());
        assert!(Reader(&[0x7f, 0xff, b'a']).string().is_err());
    }
}

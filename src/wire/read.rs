//! The bounds-checked reader every decoder uses.
//!
//! Reads never panic, never allocate and never go past the input; a failed read names the byte it failed at. Must not know
//! messages or versions.

use crate::base::ids::TopicId;
use crate::wire::error::{DecodeError, Fault};
use crate::wire::guard::{Budget, MAX_TAGS};

/// A position in borrowed input.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    input: &'a [u8],
    rest: &'a [u8],
    budget: Budget,
}

/// What a fallible read gives.
pub type Read<T> = Result<T, DecodeError>;

macro_rules! fixed {
    ($($(#[$doc:meta])* $name:ident: $type:ty;)*) => {
        $(
            $(#[$doc])*
            ///
            /// # Errors
            /// When the input ends before it.
            #[inline]
            pub fn $name(&mut self) -> Read<$type> {
                Ok(<$type>::from_be_bytes(self.array()?))
            }
        )*
    };
}

impl<'a> Reader<'a> {
    /// A reader at the start of `input` with the default budget.
    pub fn new(input: &'a [u8]) -> Self {
        Reader::with_budget(input, Budget::default())
    }

    /// A reader whose arrays may take `budget` in memory.
    pub fn with_budget(input: &'a [u8], budget: Budget) -> Self {
        Reader {
            input,
            rest: input,
            budget,
        }
    }

    /// Bytes read so far.
    pub fn position(&self) -> usize {
        self.input.len() - self.rest.len()
    }

    /// Bytes not yet read.
    pub fn left(&self) -> usize {
        self.rest.len()
    }

    /// What is not yet read.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// What was read since position `start`.
    pub fn since(&self, start: usize) -> &'a [u8] {
        self.input.get(start..self.position()).unwrap_or_default()
    }

    /// An error at the current position.
    pub fn fail<T>(&self, fault: Fault) -> Read<T> {
        Err(DecodeError::new(self.position(), fault))
    }

    /// Requires that nothing is left.
    ///
    /// # Errors
    /// [`Fault::TrailingBytes`].
    pub fn finish(&self) -> Read<()> {
        match self.left() {
            0 => Ok(()),
            left => self.fail(Fault::TrailingBytes(left)),
        }
    }

    /// The next `len` bytes.
    ///
    /// # Errors
    /// When fewer are left.
    #[inline]
    pub fn take(&mut self, len: usize) -> Read<&'a [u8]> {
        match self.rest.split_at_checked(len) {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(bytes)
            }
            None => self.fail(Fault::Truncated {
                needed: len,
                left: self.left(),
            }),
        }
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        match self.rest.split_first_chunk::<N>() {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(*bytes)
            }
            None => self.fail(Fault::Truncated {
                needed: N,
                left: self.left(),
            }),
        }
    }

    fixed! {
        /// One signed byte.
        i8: i8;
        /// One byte.
        u8: u8;
        /// Two bytes, big-endian.
        i16: i16;
        /// Four bytes, big-endian.
        i32: i32;
        /// Eight bytes, big-endian.
        i64: i64;
    }

    /// A boolean: any byte but 0 is true, as in Kafka.
    ///
    /// # Errors
    /// When the input ends before it.
    pub fn bool(&mut self) -> Read<bool> {
        Ok(self.u8()? != 0)
    }

    /// A 16-byte topic id.
    ///
    /// # Errors
    /// When the input ends before it.
    pub fn topic_id(&mut self) -> Read<TopicId> {
        Ok(TopicId(self.array()?))
    }

    /// An unsigned variable-length integer of at most 32 bits (5 bytes).
    ///
    /// # Errors
    /// Input ends, or [`Fault::VarintTooLong`].
    #[inline]
    pub fn uvarint(&mut self) -> Read<u32> {
        let value = self.base128(5)?;
        u32::try_from(value).or_else(|_| self.fail(Fault::VarintTooLong))
    }

    /// A zigzag integer of 32 bits (at most 5 bytes).
    ///
    /// # Errors
    /// Input ends, or [`Fault::VarintTooLong`].
    #[inline]
    pub fn varint(&mut self) -> Read<i32> {
        let value = self.uvarint()?;
        Ok((value >> 1) as i32 ^ -((value & 1) as i32))
    }

    /// A zigzag integer of 64 bits (at most 10 bytes).
    ///
    /// # Errors
    /// Input ends, or [`Fault::VarintTooLong`].
    #[inline]
    pub fn varlong(&mut self) -> Read<i64> {
        let value = self.base128(10)?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// Most integers have one byte.
    #[inline]
    fn base128(&mut self, max_bytes: usize) -> Read<u64> {
        match self.rest {
            [byte @ 0..0x80, rest @ ..] => {
                self.rest = rest;
                Ok(u64::from(*byte))
            }
            _ => self.base128_long(max_bytes),
        }
    }

    fn base128_long(&mut self, max_bytes: usize) -> Read<u64> {
        let mut value = 0u64;
        for (i, &byte) in self.rest.iter().take(max_bytes).enumerate() {
            let bits = u64::from(byte & 0x7f);
            if i == 9 && bits > 1 {
                return self.fail(Fault::VarintTooLong);
            }
            value |= bits << (7 * i);
            if byte & 0x80 == 0 {
                self.rest = self.rest.get(i + 1..).unwrap_or_default();
                return Ok(value);
            }
        }
        if self.left() >= max_bytes {
            return self.fail(Fault::VarintTooLong);
        }
        self.fail(Fault::Truncated {
            needed: self.left() + 1,
            left: self.left(),
        })
    }

    /// Length of a string, byte field or record set (`None` = null): i16 or i32 by `wide`, or compact.
    #[inline]
    fn length(&mut self, compact: bool, wide: bool) -> Read<Option<usize>> {
        if compact {
            return Ok(self.uvarint()?.checked_sub(1).map(|len| len as usize));
        }
        let start = self.position();
        let declared = if wide { self.i32()? } else { i32::from(self.i16()?) };
        match declared {
            -1 => Ok(None),
            len if len >= 0 => Ok(Some(len as usize)),
            len => Err(DecodeError::new(start, Fault::NegativeLength(len.into()))),
        }
    }

    /// A nullable string, borrowed.
    ///
    /// # Errors
    /// Bad length, input ends, or not UTF-8.
    pub fn nullable_str(&mut self, compact: bool) -> Read<Option<&'a str>> {
        let Some(len) = self.length(compact, false)? else {
            return Ok(None);
        };
        if len > i16::MAX as usize {
            return self.fail(Fault::Invalid("a string is longer than 32767 bytes"));
        }
        let start = self.position();
        match std::str::from_utf8(self.take(len)?) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(DecodeError::new(start, Fault::NotUtf8)),
        }
    }

    /// A string that cannot be null, borrowed.
    ///
    /// # Errors
    /// As [`nullable_str`](Self::nullable_str), or null.
    pub fn str(&mut self, compact: bool) -> Read<&'a str> {
        let start = self.position();
        self.nullable_str(compact)?
            .ok_or(DecodeError::new(start, Fault::UnexpectedNull))
    }

    /// Nullable bytes (a record set), borrowed.
    ///
    /// # Errors
    /// Bad length, or input ends.
    #[inline]
    pub fn nullable_bytes(&mut self, compact: bool) -> Read<Option<&'a [u8]>> {
        match self.length(compact, true)? {
            Some(len) => self.take(len).map(Some),
            None => Ok(None),
        }
    }

    /// Element count of an array (`None` = null), not larger than the rest of the input can hold when each element takes at
    /// least `wire_size` bytes, and charged to the budget at `memory_size` each.
    ///
    /// # Errors
    /// Bad count, [`Fault::CountTooLarge`] or [`Fault::OverBudget`].
    pub fn nullable_count(&mut self, compact: bool, wire_size: usize, memory_size: usize) -> Read<Option<usize>> {
        let start = self.position();
        let Some(count) = self.length(compact, true)? else {
            return Ok(None);
        };
        let left = self.left();
        match self.budget.admit(count, wire_size, memory_size, left) {
            Ok(()) => Ok(Some(count)),
            Err(fault) => Err(DecodeError::new(start, fault)),
        }
    }

    /// As [`nullable_count`](Self::nullable_count), for arrays that cannot be null.
    ///
    /// # Errors
    /// As there, or null.
    pub fn count(&mut self, compact: bool, wire_size: usize, memory_size: usize) -> Read<usize> {
        let start = self.position();
        self.nullable_count(compact, wire_size, memory_size)?
            .ok_or(DecodeError::new(start, Fault::UnexpectedNull))
    }

    /// Charges memory for something decoded that is not an array element.
    ///
    /// # Errors
    /// [`Fault::OverBudget`].
    pub fn charge(&mut self, bytes: usize) -> Read<()> {
        let charged = self.budget.charge(bytes);
        charged.or_else(|fault| self.fail(fault))
    }

    /// A section of tagged fields (KIP-482): `known` is given the tag and a reader over exactly the field's bytes, and tells
    /// whether it knew the tag. Unknown fields are skipped.
    ///
    /// # Errors
    /// Bad lengths, more than [`MAX_TAGS`] fields, a known field that does not fill its size.
    pub fn tags(&mut self, mut known: impl FnMut(u32, &mut Reader<'a>) -> Read<bool>) -> Read<()> {
        let count = self.uvarint()?;
        if count > MAX_TAGS {
            return self.fail(Fault::TooManyTags(count));
        }
        for _ in 0..count {
            let tag = self.uvarint()?;
            let size = self.uvarint()? as usize;
            let start = self.position();
            self.take(size)?;
            let mut field = Reader {
                input: self.input.get(..self.position()).unwrap_or_default(),
                rest: self.since(start),
                budget: self.budget,
            };
            if known(tag, &mut field)? && field.left() > 0 {
                return field.fail(Fault::TagSize);
            }
            self.budget = field.budget;
        }
        Ok(())
    }

    /// Steps over a section of tagged fields.
    ///
    /// # Errors
    /// As [`tags`](Self::tags).
    #[inline]
    pub fn skip_tags(&mut self) -> Read<()> {
        if let [0, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(());
        }
        self.tags(|_, _| Ok(false))
    }
}

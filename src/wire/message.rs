//! One description per message gives its struct, decoder, encoder and smallest wire size.
//!
//! [`message!`] lists the fields in wire order with the versions that have them, as Kafka's message schemas do. Decoding is
//! bounded by the input and a memory budget (see [`guard`](crate::wire::guard)); a field absent from a version gets its
//! default; encoding leaves out what a version does not know. Must not know any particular message.

use crate::base::ids::TopicId;
use crate::wire::api::ApiKey;
use crate::wire::error::{ErrorCode, Fault};
use crate::wire::guard::Budget;
use crate::wire::header;
use crate::wire::read::{Read, Reader};
use crate::wire::write;
use bytes::{BufMut, Bytes, BytesMut};
use std::ops::RangeBounds;

/// The version of a message, and what follows from it for one field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Version {
    /// As in the request header.
    pub number: i16,
    /// Compact lengths and tagged fields (KIP-482).
    pub flexible: bool,
    /// Whether the field at hand may be null.
    pub nullable: bool,
}

impl Version {
    /// Version `number` of `api`'s messages.
    pub const fn of(api: ApiKey, number: i16) -> Version {
        Version {
            number,
            flexible: api.is_flexible(number),
            nullable: false,
        }
    }

    /// Version `number` of data that is no API's message.
    pub const fn data(number: i16, flexible_from: i16) -> Version {
        Version {
            number,
            flexible: number >= flexible_from,
            nullable: false,
        }
    }

    /// Version `number` of data that has no flexible version.
    pub const fn plain(number: i16) -> Version {
        Version::data(number, i16::MAX)
    }

    /// Whether this version lies in `range`.
    pub fn within(self, range: impl RangeBounds<i16>) -> bool {
        range.contains(&self.number)
    }

    /// The same version for a field that may or may not be null.
    pub fn nullable(self, nullable: bool) -> Version {
        Version { nullable, ..self }
    }
}

/// Something with a form on the wire in every version.
pub trait Wire: Sized {
    /// Reads it.
    ///
    /// # Errors
    /// When the bytes are not one.
    fn read(reader: &mut Reader<'_>, version: Version) -> Read<Self>;
    /// Writes it.
    fn write(&self, out: &mut BytesMut, version: Version);
    /// Bytes that the shortest one takes.
    fn min_size(version: Version) -> usize;
}

/// Something that may be null on the wire.
pub trait Nullable: Wire {
    /// Reads it or null.
    ///
    /// # Errors
    /// When the bytes are neither.
    fn read_nullable(reader: &mut Reader<'_>, version: Version) -> Read<Option<Self>>;
    /// Writes it or null.
    fn write_nullable(this: Option<&Self>, out: &mut BytesMut, version: Version);
    /// What stands on the wire for "nothing" in versions without null.
    fn nothing() -> Self;
}

macro_rules! fixed {
    ($($type:ty, $size:literal, $read:ident, |$value:ident, $out:ident| $write:expr;)*) => {
        $(
            impl Wire for $type {
                fn read(reader: &mut Reader<'_>, _: Version) -> Read<Self> {
                    reader.$read()
                }
                fn write(&self, $out: &mut BytesMut, _: Version) {
                    let $value = self;
                    $write
                }
                fn min_size(_: Version) -> usize {
                    $size
                }
            }
        )*
    };
}

fixed! {
    i8, 1, i8, |value, out| out.put_i8(*value);
    i16, 2, i16, |value, out| out.put_i16(*value);
    i32, 4, i32, |value, out| out.put_i32(*value);
    i64, 8, i64, |value, out| out.put_i64(*value);
    bool, 1, bool, |value, out| out.put_u8(u8::from(*value));
    TopicId, 16, topic_id, |value, out| write::put_topic_id(out, *value);
}

impl Wire for f64 {
    fn read(reader: &mut Reader<'_>, _: Version) -> Read<Self> {
        Ok(f64::from_bits(reader.i64()? as u64))
    }
    fn write(&self, out: &mut BytesMut, _: Version) {
        out.put_f64(*self);
    }
    fn min_size(_: Version) -> usize {
        8
    }
}

impl Wire for ErrorCode {
    /// A number this build does not know reads as UNKNOWN_SERVER_ERROR, as clients treat it.
    fn read(reader: &mut Reader<'_>, _: Version) -> Read<Self> {
        Ok(ErrorCode::from_code(reader.i16()?).unwrap_or(ErrorCode::UnknownServerError))
    }
    fn write(&self, out: &mut BytesMut, _: Version) {
        out.put_i16(self.code());
    }
    fn min_size(_: Version) -> usize {
        2
    }
}

/// Bytes of an empty string.
const fn empty_str_len(version: Version) -> usize {
    if version.flexible { 1 } else { 2 }
}

/// Bytes of an empty array.
const fn empty_array_len(version: Version) -> usize {
    if version.flexible { 1 } else { 4 }
}

impl Wire for String {
    fn read(reader: &mut Reader<'_>, version: Version) -> Read<Self> {
        let text = reader.str(version.flexible)?;
        reader.charge(text.len())?;
        Ok(text.to_owned())
    }
    fn write(&self, out: &mut BytesMut, version: Version) {
        write::put_str(out, self, version.flexible);
    }
    fn min_size(version: Version) -> usize {
        empty_str_len(version)
    }
}

impl Nullable for String {
    fn read_nullable(reader: &mut Reader<'_>, version: Version) -> Read<Option<Self>> {
        let text = reader.nullable_str(version.flexible)?;
        reader.charge(text.map_or(0, str::len))?;
        Ok(text.map(str::to_owned))
    }
    fn write_nullable(this: Option<&Self>, out: &mut BytesMut, version: Version) {
        write::put_nullable_str(out, this.map(String::as_str), version.flexible);
    }
    fn nothing() -> Self {
        String::new()
    }
}

/// Opaque bytes that outlive the request they came in, so they are copied out of it: a slice would keep a receive buffer of
/// the reactor from being lent again.
impl Wire for Bytes {
    fn read(reader: &mut Reader<'_>, version: Version) -> Read<Self> {
        match Bytes::read_nullable(reader, version)? {
            Some(bytes) => Ok(bytes),
            None => reader.fail(Fault::UnexpectedNull),
        }
    }
    fn write(&self, out: &mut BytesMut, version: Version) {
        write::put_count(out, Some(self.len()), version.flexible);
        out.put_slice(self);
    }
    fn min_size(version: Version) -> usize {
        empty_array_len(version)
    }
}

impl Nullable for Bytes {
    fn read_nullable(reader: &mut Reader<'_>, version: Version) -> Read<Option<Self>> {
        let bytes = reader.nullable_bytes(version.flexible)?;
        reader.charge(bytes.map_or(0, <[u8]>::len))?;
        Ok(bytes.map(Bytes::copy_from_slice))
    }
    fn write_nullable(this: Option<&Self>, out: &mut BytesMut, version: Version) {
        match this {
            Some(bytes) => bytes.write(out, version),
            None => write::put_count(out, None, version.flexible),
        }
    }
    fn nothing() -> Self {
        Bytes::new()
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn read(reader: &mut Reader<'_>, version: Version) -> Read<Self> {
        let count = reader.count(version.flexible, T::min_size(version), size_of::<T>())?;
        read_elements(reader, count, version)
    }
    fn write(&self, out: &mut BytesMut, version: Version) {
        write::put_count(out, Some(self.len()), version.flexible);
        for element in self {
            element.write(out, version.nullable(false));
        }
    }
    fn min_size(version: Version) -> usize {
        empty_array_len(version)
    }
}

impl<T: Wire> Nullable for Vec<T> {
    fn read_nullable(reader: &mut Reader<'_>, version: Version) -> Read<Option<Self>> {
        match reader.nullable_count(version.flexible, T::min_size(version), size_of::<T>())? {
            Some(count) => read_elements(reader, count, version).map(Some),
            None => Ok(None),
        }
    }
    fn write_nullable(this: Option<&Self>, out: &mut BytesMut, version: Version) {
        match this {
            Some(elements) => elements.write(out, version),
            None => write::put_count(out, None, version.flexible),
        }
    }
    fn nothing() -> Self {
        Vec::new()
    }
}

/// `count` is proven to fit into the input and the budget.
fn read_elements<T: Wire>(reader: &mut Reader<'_>, count: usize, version: Version) -> Read<Vec<T>> {
    let mut elements = Vec::with_capacity(count);
    for _ in 0..count {
        elements.push(T::read(reader, version.nullable(false))?);
    }
    Ok(elements)
}

impl<T: Nullable> Wire for Option<T> {
    fn read(reader: &mut Reader<'_>, version: Version) -> Read<Self> {
        match T::read_nullable(reader, version)? {
            None if !version.nullable => reader.fail(Fault::UnexpectedNull),
            value => Ok(value),
        }
    }
    fn write(&self, out: &mut BytesMut, version: Version) {
        match self {
            None if !version.nullable => T::nothing().write(out, version),
            value => T::write_nullable(value.as_ref(), out, version),
        }
    }
    fn min_size(version: Version) -> usize {
        T::min_size(version).min(1 + usize::from(!version.flexible))
    }
}

/// The end of a struct without tagged fields of its own, for messages that are not described with [`message!`].
///
/// # Errors
/// As [`Reader::skip_tags`].
pub fn read_end(reader: &mut Reader<'_>, version: Version) -> Read<()> {
    match version.flexible {
        true => reader.skip_tags(),
        false => Ok(()),
    }
}

/// Writes what [`read_end`] reads.
pub fn write_end(out: &mut BytesMut, version: Version) {
    if version.flexible {
        out.put_u8(0);
    }
}

/// Writes one tagged field: tag, size, content.
pub fn put_tag<T: Wire>(out: &mut BytesMut, tag: u32, value: &T, version: Version) {
    let mut content = BytesMut::new();
    value.write(&mut content, version);
    write::put_uvarint(out, tag);
    write::put_uvarint(out, content.len() as u32);
    out.put_slice(&content);
}

/// Describes a struct of the protocol:
///
/// ```text
/// message! {
///     /// Doc.
///     pub struct Name {
///         /// Doc.
///         field: Type [versions] = default;
///         /// Doc; null allowed in some versions.
///         other: Option<Type> [versions] null [versions] = None;
///     }
///     tags {
///         /// Doc; written only when it is not the default.
///         0 => tagged: Type [versions] = default;
///     }
/// }
/// ```
macro_rules! message {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[$field_meta:meta])* $field:ident : $type:ty [$range:expr] $(null [$null:expr])? = $default:expr;)*
        }
        $(tags {
            $($(#[$tag_meta:meta])* $tag:literal => $tagged:ident : $tag_type:ty [$tag_range:expr] $(null [$tag_null:expr])? = $tag_default:expr;)*
        })?
    ) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Debug)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $type,)*
            $($($(#[$tag_meta])* pub $tagged: $tag_type,)*)?
        }

        impl Default for $name {
            fn default() -> Self {
                $name {
                    $($field: $default,)*
                    $($($tagged: $tag_default,)*)?
                }
            }
        }

        impl $crate::wire::message::Wire for $name {
            #[allow(unused_mut, unused_variables, clippy::field_reassign_with_default)]
            fn read(
                reader: &mut $crate::wire::read::Reader<'_>,
                version: $crate::wire::message::Version,
            ) -> $crate::wire::read::Read<Self> {
                let mut this = $name::default();
                $(
                    if version.within($range) {
                        let version = version.nullable(false $(|| version.within($null))?);
                        this.$field = $crate::wire::message::Wire::read(reader, version)?;
                    }
                )*
                if version.flexible {
                    reader.tags(|tag, reader| {
                        $($(
                            if tag == $tag && version.within($tag_range) {
                                let version = version.nullable(false $(|| version.within($tag_null))?);
                                this.$tagged = $crate::wire::message::Wire::read(reader, version)?;
                                return Ok(true);
                            }
                        )*)?
                        Ok(false)
                    })?;
                }
                Ok(this)
            }

            #[allow(unused_mut, unused_variables)]
            fn write(&self, out: &mut bytes::BytesMut, version: $crate::wire::message::Version) {
                $(
                    if version.within($range) {
                        let version = version.nullable(false $(|| version.within($null))?);
                        $crate::wire::message::Wire::write(&self.$field, out, version);
                    }
                )*
                if version.flexible {
                    let mut count = 0u32;
                    $($(
                        let $tagged = version.within($tag_range) && self.$tagged != $tag_default;
                        count += u32::from($tagged);
                    )*)?
                    $crate::wire::write::put_uvarint(out, count);
                    $($(
                        if $tagged {
                            let version = version.nullable(false $(|| version.within($tag_null))?);
                            $crate::wire::message::put_tag(out, $tag, &self.$tagged, version);
                        }
                    )*)?
                }
            }

            #[allow(unused_mut)]
            fn min_size(version: $crate::wire::message::Version) -> usize {
                let mut size = usize::from(version.flexible);
                $(
                    if version.within($range) {
                        size += <$type as $crate::wire::message::Wire>::min_size(version);
                    }
                )*
                size
            }
        }
    };
}
pub(crate) use message;

/// Request and response of one API, in all its versions.
pub trait Api {
    /// Which API.
    const KEY: ApiKey;
    /// What a client asks.
    type Request: Wire;
    /// What the broker answers.
    type Response: Wire;

    /// Decodes the request at the start of a body, within the default memory budget.
    ///
    /// # Errors
    /// When the version is not served, or the body does not begin with a request.
    fn decode(version: i16, body: &[u8]) -> Read<Self::Request> {
        decode_first(Self::KEY, version, &mut Reader::new(body))
    }

    /// As [`decode`](Self::decode), and how many bytes are left behind the request.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    fn decode_counting(version: i16, body: &[u8]) -> Read<(Self::Request, usize)> {
        let mut reader = Reader::new(body);
        let request = decode_first(Self::KEY, version, &mut reader)?;
        Ok((request, reader.left()))
    }

    /// Decodes a request body within `budget`.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    fn decode_within(version: i16, body: &[u8], budget: Budget) -> Read<Self::Request> {
        decode_first(Self::KEY, version, &mut Reader::with_budget(body, budget))
    }

    /// Writes a response body.
    fn encode(response: &Self::Response, version: i16, out: &mut BytesMut) {
        response.write(out, Version::of(Self::KEY, version));
    }

    /// Writes a request body, as a client does.
    fn encode_request(request: &Self::Request, version: i16, out: &mut BytesMut) {
        request.write(out, Version::of(Self::KEY, version));
    }

    /// Decodes a whole response body, as a client does.
    ///
    /// # Errors
    /// When the version is not served, or the body is not exactly one response.
    fn decode_response(version: i16, body: &[u8]) -> Read<Self::Response> {
        decode_whole(Self::KEY, version, Reader::new(body))
    }
}

fn decode_whole<T: Wire>(key: ApiKey, version: i16, mut reader: Reader<'_>) -> Read<T> {
    let message = decode_first(key, version, &mut reader)?;
    reader.finish()?;
    Ok(message)
}

/// Requests may be followed by more bytes, which Kafka leaves unread (`RequestContext.parseRequest`): librdkafka 2.16
/// sends three of them after every Metadata 13 that asks for all topics.
fn decode_first<T: Wire>(key: ApiKey, version: i16, reader: &mut Reader<'_>) -> Read<T> {
    if !key.serves(version) {
        return reader.fail(Fault::Unsupported {
            key: key.code(),
            version,
        });
    }
    T::read(reader, Version::of(key, version))
}

/// A whole response: length, header, body.
pub fn response_frame<A: Api>(response: &A::Response, version: i16, correlation_id: i32) -> Bytes {
    let mut out = BytesMut::with_capacity(256);
    write::framed(&mut out, |out| {
        header::put_response_header(out, A::KEY, version, correlation_id);
        A::encode(response, version, out);
    });
    out.freeze()
}

/// A whole request: length, header, body.
pub fn request_frame<A: Api>(
    request: &A::Request,
    version: i16,
    correlation_id: i32,
    client_id: Option<&str>,
) -> Bytes {
    let mut out = BytesMut::with_capacity(256);
    write::framed(&mut out, |out| {
        header::put_request_header(out, A::KEY, version, correlation_id, client_id);
        A::encode_request(request, version, out);
    });
    out.freeze()
}

/// Names an API and its two messages.
macro_rules! api {
    ($(#[$meta:meta])* $api:ident: $request:ty => $response:ty) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug)]
        pub struct $api;

        impl $crate::wire::message::Api for $api {
            const KEY: $crate::wire::api::ApiKey = $crate::wire::api::ApiKey::$api;
            type Request = $request;
            type Response = $response;
        }
    };
}
pub(crate) use api;

/// Lets a struct be null: one byte, -1 for null and 1 for present (KIP-893).
macro_rules! nullable_struct {
    ($name:ident) => {
        impl $crate::wire::message::Nullable for $name {
            fn read_nullable(
                reader: &mut $crate::wire::read::Reader<'_>,
                version: $crate::wire::message::Version,
            ) -> $crate::wire::read::Read<Option<Self>> {
                if reader.i8()? < 0 {
                    return Ok(None);
                }
                $crate::wire::message::Wire::read(reader, version.nullable(false)).map(Some)
            }
            fn write_nullable(this: Option<&Self>, out: &mut bytes::BytesMut, version: $crate::wire::message::Version) {
                use bytes::BufMut;
                match this {
                    Some(value) => {
                        out.put_i8(1);
                        $crate::wire::message::Wire::write(value, out, version.nullable(false));
                    }
                    None => out.put_i8(-1),
                }
            }
            fn nothing() -> Self {
                Self::default()
            }
        }
    };
}
pub(crate) use nullable_struct;

//! FindCoordinator: which broker coordinates a group.

use crate::wire::error::ErrorCode;
use crate::wire::message::{Version, Wire, api, message, read_end, write_end};
use crate::wire::read::{Read, Reader};
use bytes::BytesMut;

api! {
    /// Key 10, v0 to v6.
    FindCoordinator: FindCoordinatorRequest => FindCoordinatorResponse
}

/// What a coordinator is asked for (class `FindCoordinatorRequest.CoordinatorType`).
pub mod key_type {
    /// A group; the only one before v1.
    pub const GROUP: i8 = 0;
    /// A transactional id.
    pub const TRANSACTION: i8 = 1;
    /// A partition of a share group, from v6.
    pub const SHARE: i8 = 2;
}

/// Whose coordinators are wanted.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct FindCoordinatorRequest {
    /// See [`key_type`].
    pub key_type: i8,
    /// Group ids or transactional ids; exactly one before v4 (KIP-699).
    pub keys: Vec<String>,
}

/// First version that asks for several keys.
const BATCHED: i16 = 4;

impl Wire for FindCoordinatorRequest {
    fn read(reader: &mut Reader<'_>, version: Version) -> Read<Self> {
        let mut this = FindCoordinatorRequest::default();
        if !version.within(BATCHED..) {
            this.keys = vec![String::read(reader, version)?];
        }
        if version.within(1..) {
            this.key_type = reader.i8()?;
        }
        if version.within(BATCHED..) {
            this.keys = Wire::read(reader, version)?;
        }
        read_end(reader, version)?;
        Ok(this)
    }

    /// Before v4 only the first key is written.
    fn write(&self, out: &mut BytesMut, version: Version) {
        if !version.within(BATCHED..) {
            self.keys.first().cloned().unwrap_or_default().write(out, version);
        }
        if version.within(1..) {
            self.key_type.write(out, version);
        }
        if version.within(BATCHED..) {
            self.keys.write(out, version);
        }
        write_end(out, version);
    }

    fn min_size(_: Version) -> usize {
        2
    }
}

/// The coordinators.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct FindCoordinatorResponse {
    /// How long the client is throttled, milliseconds; from v1.
    pub throttle_time_ms: i32,
    /// Per key asked for; exactly one before v4.
    pub coordinators: Vec<Coordinator>,
}

message! {
    /// The coordinator of one key.
    pub struct Coordinator {
        /// Key asked for, on the wire from v4.
        key: String [..] = String::new();
        /// Broker id, -1 on errors.
        node_id: i32 [..] = -1;
        /// Host that clients can reach, empty on errors.
        host: String [..] = String::new();
        /// Port, -1 on errors.
        port: i32 [..] = -1;
        /// `None` when found.
        error: ErrorCode [..] = ErrorCode::None;
        /// For people, from v1.
        error_message: Option<String> [..] null [..] = None;
    }
}

impl Coordinator {
    /// Before v4 the fields stand in another order, and without the key.
    fn read_single(reader: &mut Reader<'_>, version: Version) -> Read<Self> {
        let mut this = Coordinator {
            error: Wire::read(reader, version)?,
            ..Coordinator::default()
        };
        if version.within(1..) {
            this.error_message = Wire::read(reader, version.nullable(true))?;
        }
        this.node_id = reader.i32()?;
        this.host = Wire::read(reader, version)?;
        this.port = reader.i32()?;
        Ok(this)
    }

    fn write_single(&self, out: &mut BytesMut, version: Version) {
        self.error.write(out, version);
        if version.within(1..) {
            self.error_message.write(out, version.nullable(true));
        }
        self.node_id.write(out, version);
        self.host.write(out, version);
        self.port.write(out, version);
    }
}

impl Wire for FindCoordinatorResponse {
    fn read(reader: &mut Reader<'_>, version: Version) -> Read<Self> {
        let mut this = FindCoordinatorResponse::default();
        if version.within(1..) {
            this.throttle_time_ms = reader.i32()?;
        }
        this.coordinators = match version.within(BATCHED..) {
            true => Wire::read(reader, version)?,
            false => vec![Coordinator::read_single(reader, version)?],
        };
        read_end(reader, version)?;
        Ok(this)
    }

    /// Before v4 only the first coordinator is written.
    fn write(&self, out: &mut BytesMut, version: Version) {
        if version.within(1..) {
            self.throttle_time_ms.write(out, version);
        }
        match (version.within(BATCHED..), self.coordinators.first()) {
            (true, _) => self.coordinators.write(out, version),
            (false, Some(coordinator)) => coordinator.write_single(out, version),
            (false, None) => Coordinator::default().write_single(out, version),
        }
        write_end(out, version);
    }

    fn min_size(_: Version) -> usize {
        6
    }
}

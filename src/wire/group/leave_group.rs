//! LeaveGroup: members leave, or are removed by an administrator.

use crate::wire::error::ErrorCode;
use crate::wire::message::{Version, Wire, api, message, read_end, write_end};
use crate::wire::read::{Read, Reader};
use bytes::BytesMut;

api! {
    /// Key 13, v0 to v5.
    LeaveGroup: LeaveGroupRequest => LeaveGroupResponse
}

/// First version that names several members (KIP-345).
const BATCHED: i16 = 3;

/// Who leaves.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct LeaveGroupRequest {
    /// Group.
    pub group_id: String,
    /// Members; exactly one before v3.
    pub members: Vec<LeavingMember>,
}

message! {
    /// One member that leaves.
    pub struct LeavingMember {
        /// Member; may be empty when the instance id is given.
        member_id: String [..] = String::new();
        /// Static members, from v3.
        group_instance_id: Option<String> [3..] null [3..] = None;
        /// Why, for people; from v5 (KIP-800).
        reason: Option<String> [5..] null [5..] = None;
    }
}

impl Wire for LeaveGroupRequest {
    fn read(reader: &mut Reader<'_>, version: Version) -> Read<Self> {
        let group_id = Wire::read(reader, version)?;
        let members = match version.within(BATCHED..) {
            true => Wire::read(reader, version)?,
            false => vec![LeavingMember::read(reader, version)?],
        };
        read_end(reader, version)?;
        Ok(LeaveGroupRequest { group_id, members })
    }

    /// Before v3 only the first member is written.
    fn write(&self, out: &mut BytesMut, version: Version) {
        self.group_id.write(out, version);
        match (version.within(BATCHED..), self.members.first()) {
            (true, _) => self.members.write(out, version),
            (false, Some(member)) => member.write(out, version),
            (false, None) => LeavingMember::default().write(out, version),
        }
        write_end(out, version);
    }

    fn min_size(version: Version) -> usize {
        2 * String::min_size(version)
    }
}

/// How it went.
#[derive(Clone, PartialEq, Debug)]
pub struct LeaveGroupResponse {
    /// How long the client is throttled, milliseconds; from v1.
    pub throttle_time_ms: i32,
    /// About the whole request. Before v3, which has no members, the first error of a member stands here.
    pub error: ErrorCode,
    /// Per member, on the wire from v3.
    pub members: Vec<LeftMember>,
}

message! {
    /// How it went for one member.
    pub struct LeftMember {
        /// As in the request.
        member_id: String [..] = String::new();
        /// As in the request.
        group_instance_id: Option<String> [..] null [..] = None;
        /// `None` when it has left.
        error: ErrorCode [..] = ErrorCode::None;
    }
}

impl Default for LeaveGroupResponse {
    fn default() -> Self {
        LeaveGroupResponse {
            throttle_time_ms: 0,
            error: ErrorCode::None,
            members: Vec::new(),
        }
    }
}

impl LeaveGroupResponse {
    fn first_error(&self) -> ErrorCode {
        let members = self.members.iter().map(|member| member.error);
        let mut errors = std::iter::once(self.error).chain(members);
        errors.find(|error| error.is_error()).unwrap_or(ErrorCode::None)
    }
}

impl Wire for LeaveGroupResponse {
    fn read(reader: &mut Reader<'_>, version: Version) -> Read<Self> {
        let mut this = LeaveGroupResponse::default();
        if version.within(1..) {
            this.throttle_time_ms = reader.i32()?;
        }
        this.error = Wire::read(reader, version)?;
        if version.within(BATCHED..) {
            this.members = Wire::read(reader, version)?;
        }
        read_end(reader, version)?;
        Ok(this)
    }

    fn write(&self, out: &mut BytesMut, version: Version) {
        if version.within(1..) {
            self.throttle_time_ms.write(out, version);
        }
        match version.within(BATCHED..) {
            true => {
                self.error.write(out, version);
                self.members.write(out, version);
            }
            false => self.first_error().write(out, version),
        }
        write_end(out, version);
    }

    fn min_size(_: Version) -> usize {
        2
    }
}

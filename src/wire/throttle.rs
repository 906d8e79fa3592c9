//! Where answers say how long a client is throttled.
//!
//! One place for all of them, so that an API's handler need not know of quotas. `tests/golden/main.rs` checks each against
//! Kafka's bytes.

use crate::wire::api::ApiKey;

/// Offset of `throttle_time_ms` in the body of a response; `None` for versions without it, for ApiVersions (never throttled),
/// and for Produce and Fetch, which write it themselves.
pub const fn place(api: ApiKey, version: i16) -> Option<usize> {
    let from = match api {
        ApiKey::Produce | ApiKey::Fetch | ApiKey::ApiVersions => return None,
        // Behind the error of the request as a whole.
        ApiKey::OffsetDelete => return Some(2),
        ApiKey::Metadata | ApiKey::OffsetCommit | ApiKey::OffsetFetch => 3,
        ApiKey::ListOffsets | ApiKey::JoinGroup | ApiKey::OffsetForLeaderEpoch => 2,
        ApiKey::FindCoordinator
        | ApiKey::Heartbeat
        | ApiKey::LeaveGroup
        | ApiKey::SyncGroup
        | ApiKey::DescribeGroups
        | ApiKey::ListGroups
        | ApiKey::DeleteTopics => 1,
        _ => 0,
    };
    if version >= from { Some(0) } else { None }
}

//! The rate at which a client may create and delete partitions (KIP-599).

use super::call::Call;
use super::state::Shared;
use crate::controller::request::Outcome;
use crate::wire::error::ErrorCode;

/// Counts a change of so many partitions. A client that is above its rate is told to wait; from version `strict_from` on its
/// clients know THROTTLING_QUOTA_EXCEEDED, and the change is refused with what is returned.
pub(super) fn admit(call: &mut Call, shared: &mut Shared, strict_from: i16, partitions: u64) -> Option<Outcome> {
    let strict = call.meta.version >= strict_from;
    let now = call.cx.now;
    let wait_ns = shared
        .throttles
        .on_mutation(now, call.client_id, (partitions, strict), call.cx.metrics);
    call.throttle(wait_ns);
    (strict && wait_ns > 0).then(|| {
        let message = "The quota controller_mutation_rate is used up: try again after the throttle time.";
        Outcome::refused(ErrorCode::ThrottlingQuotaExceeded, message)
    })
}

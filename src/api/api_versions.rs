//! ApiVersions (key 18): what is served. Versions we do not know are answered before they come here (KIP-511).

use super::call::{Call, Step, decode};
use crate::wire::control::api_versions::{ApiVersions, ApiVersionsResponse};
use crate::wire::error::ErrorCode;

/// Features do not change while a cluster lives.
const FEATURES_EPOCH: i64 = 1;

pub(super) fn start<S>(call: &mut Call, body: &[u8]) -> Step<S> {
    let request = decode!(ApiVersions, call, body);
    let error = if request.is_valid(call.meta.version) {
        ErrorCode::None
    } else {
        ErrorCode::InvalidRequest
    };
    let version = call.meta.version;
    call.answer::<ApiVersions, S>(&ApiVersionsResponse {
        error,
        ..ApiVersionsResponse::advertised().with_features(version, FEATURES_EPOCH)
    })
}

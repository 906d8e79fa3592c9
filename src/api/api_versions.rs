//! ApiVersions (key 18): what is served. Versions we do not know are answered before they come here (KIP-511).

use super::call::{Call, Step, decode};
use crate::wire::control::api_versions::{ApiVersions, ApiVersionsResponse};
use crate::wire::error::ErrorCode;

pub(super) fn start<S>(call: &mut Call, body: &[u8]) -> Step<S> {
    let request = decode!(ApiVersions, call, body);
    let error = if request.is_valid(call.meta.version) {
        ErrorCode::None
    } else {
        ErrorCode::InvalidRequest
    };
    call.answer::<ApiVersions, S>(&ApiVersionsResponse {
        error,
        ..ApiVersionsResponse::advertised()
    })
}

//! DescribeAcls, CreateAcls, DeleteAcls (keys 29-31): without an authorizer they answer SECURITY_DISABLED.

use super::call::{Call, Step, decode};
use crate::wire::api::ApiKey;
use crate::wire::control::acls::{
    AclResult, CreateAcls, CreateAclsResponse, DeleteAcls, DeleteAclsFilterResult, DeleteAclsResponse, DescribeAcls,
    DescribeAclsResponse,
};
use crate::wire::error::ErrorCode;

const ERROR: ErrorCode = ErrorCode::SecurityDisabled;
const MESSAGE: &str = "No Authorizer is configured.";

pub(super) fn start<S>(call: &mut Call, body: &[u8]) -> Step<S> {
    let message = || Some(MESSAGE.to_string());
    match call.meta.api {
        ApiKey::CreateAcls => {
            let request = decode!(CreateAcls, call, body);
            let result = |_| AclResult {
                error: ERROR,
                error_message: message(),
            };
            let results = request.creations.iter().map(result).collect();
            call.answer::<CreateAcls, S>(&CreateAclsResponse {
                results,
                ..Default::default()
            })
        }
        ApiKey::DeleteAcls => {
            let request = decode!(DeleteAcls, call, body);
            let result = |_| DeleteAclsFilterResult {
                error: ERROR,
                error_message: message(),
                ..Default::default()
            };
            let filter_results = request.filters.iter().map(result).collect();
            call.answer::<DeleteAcls, S>(&DeleteAclsResponse {
                filter_results,
                ..Default::default()
            })
        }
        _ => {
            decode!(DescribeAcls, call, body);
            let response = DescribeAclsResponse {
                error: ERROR,
                error_message: message(),
                ..Default::default()
            };
            call.answer::<DescribeAcls, S>(&response)
        }
    }
}

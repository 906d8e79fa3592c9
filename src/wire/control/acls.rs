//! DescribeAcls, CreateAcls, DeleteAcls: what is needed to say that no authoriser is configured (SECURITY_DISABLED).

use crate::wire::error::ErrorCode;
use crate::wire::message::{api, message};

/// The pattern type of a literal resource name.
const LITERAL: i8 = 3;

api! {
    /// Key 29, v1 to v3.
    DescribeAcls: AclFilter => DescribeAclsResponse
}

api! {
    /// Key 30, v1 to v3.
    CreateAcls: CreateAclsRequest => CreateAclsResponse
}

api! {
    /// Key 31, v1 to v3.
    DeleteAcls: DeleteAclsRequest => DeleteAclsResponse
}

message! {
    /// Which ACLs: the DescribeAcls request, and one filter of DeleteAcls.
    pub struct AclFilter {
        /// Kind of resource.
        resource_type: i8 [..] = 0;
        /// Null = any.
        resource_name: Option<String> [..] null [..] = None;
        /// Kind of resource name.
        pattern_type: i8 [1..] = LITERAL;
        /// Null = any.
        principal: Option<String> [..] null [..] = None;
        /// Null = any.
        host: Option<String> [..] null [..] = None;
        /// Operation.
        operation: i8 [..] = 0;
        /// Allow or deny.
        permission_type: i8 [..] = 0;
    }
}

message! {
    /// ACLs found.
    pub struct DescribeAclsResponse {
        /// How long the client is throttled, milliseconds.
        throttle_time_ms: i32 [..] = 0;
        /// `None` when fine.
        error: ErrorCode [..] = ErrorCode::None;
        /// For people.
        error_message: Option<String> [..] null [..] = None;
        /// Per resource.
        resources: Vec<AclResource> [..] = Vec::new();
    }
}

message! {
    /// ACLs of one resource.
    pub struct AclResource {
        /// Kind of resource.
        resource_type: i8 [..] = 0;
        /// Name.
        resource_name: String [..] = String::new();
        /// Kind of name.
        pattern_type: i8 [1..] = LITERAL;
        /// The ACLs.
        acls: Vec<AclDescription> [..] = Vec::new();
    }
}

message! {
    /// One ACL of a known resource.
    pub struct AclDescription {
        /// Who.
        principal: String [..] = String::new();
        /// From where.
        host: String [..] = String::new();
        /// What.
        operation: i8 [..] = 0;
        /// Allow or deny.
        permission_type: i8 [..] = 0;
    }
}

message! {
    /// ACLs to create.
    pub struct CreateAclsRequest {
        /// Which.
        creations: Vec<AclCreation> [..] = Vec::new();
    }
}

message! {
    /// One ACL to create.
    pub struct AclCreation {
        /// Kind of resource.
        resource_type: i8 [..] = 0;
        /// Name.
        resource_name: String [..] = String::new();
        /// Kind of name.
        pattern_type: i8 [1..] = LITERAL;
        /// Who.
        principal: String [..] = String::new();
        /// From where.
        host: String [..] = String::new();
        /// What.
        operation: i8 [..] = 0;
        /// Allow or deny.
        permission_type: i8 [..] = 0;
    }
}

message! {
    /// How it went.
    pub struct CreateAclsResponse {
        /// How long the client is throttled, milliseconds.
        throttle_time_ms: i32 [..] = 0;
        /// Per ACL.
        results: Vec<AclResult> [..] = Vec::new();
    }
}

message! {
    /// One ACL.
    pub struct AclResult {
        /// `None` on success.
        error: ErrorCode [..] = ErrorCode::None;
        /// For people.
        error_message: Option<String> [..] null [..] = None;
    }
}

message! {
    /// ACLs to delete.
    pub struct DeleteAclsRequest {
        /// Filters.
        filters: Vec<AclFilter> [..] = Vec::new();
    }
}

message! {
    /// How it went.
    pub struct DeleteAclsResponse {
        /// How long the client is throttled, milliseconds.
        throttle_time_ms: i32 [..] = 0;
        /// Per filter.
        filter_results: Vec<DeleteAclsFilterResult> [..] = Vec::new();
    }
}

message! {
    /// What one filter deleted.
    pub struct DeleteAclsFilterResult {
        /// `None` on success.
        error: ErrorCode [..] = ErrorCode::None;
        /// For people.
        error_message: Option<String> [..] null [..] = None;
        /// ACLs deleted.
        matching_acls: Vec<DeletedAcl> [..] = Vec::new();
    }
}

message! {
    /// One ACL deleted.
    pub struct DeletedAcl {
        /// `None` on success.
        error: ErrorCode [..] = ErrorCode::None;
        /// For people.
        error_message: Option<String> [..] null [..] = None;
        /// Kind of resource.
        resource_type: i8 [..] = 0;
        /// Name.
        resource_name: String [..] = String::new();
        /// Kind of name.
        pattern_type: i8 [1..] = LITERAL;
        /// Who.
        principal: String [..] = String::new();
        /// From where.
        host: String [..] = String::new();
        /// What.
        operation: i8 [..] = 0;
        /// Allow or deny.
        permission_type: i8 [..] = 0;
    }
}

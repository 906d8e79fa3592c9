//! DescribeClientQuotas and AlterClientQuotas (KIP-546).

use crate::wire::error::ErrorCode;
use crate::wire::message::{api, message};

api! {
    /// Key 48, v0 and v1.
    DescribeClientQuotas: DescribeClientQuotasRequest => DescribeClientQuotasResponse
}

api! {
    /// Key 49, v0 and v1.
    AlterClientQuotas: AlterClientQuotasRequest => AlterClientQuotasResponse
}

/// `match_type`: the entity of exactly this name.
pub const MATCH_EXACT: i8 = 0;
/// `match_type`: the default entity.
pub const MATCH_DEFAULT: i8 = 1;
/// `match_type`: any entity of the type, named or default.
pub const MATCH_ANY: i8 = 2;

message! {
    /// Which entities.
    pub struct DescribeClientQuotasRequest {
        /// Conditions, all of which have to hold.
        components: Vec<QuotaComponent> [..] = Vec::new();
        /// Whether entities with further types are left out.
        strict: bool [..] = false;
    }
}

message! {
    /// One condition.
    pub struct QuotaComponent {
        /// `user`, `client-id` or `ip`.
        entity_type: String [..] = String::new();
        /// 0 = the name, 1 = the default, 2 = any.
        match_type: i8 [..] = 0;
        /// The name, null unless it is to be matched.
        name: Option<String> [..] null [..] = None;
    }
}

message! {
    /// Their quotas.
    pub struct DescribeClientQuotasResponse {
        /// How long the client is throttled, milliseconds.
        throttle_time_ms: i32 [..] = 0;
        /// `None` on success.
        error: ErrorCode [..] = ErrorCode::None;
        /// For people.
        error_message: Option<String> [..] null [..] = None;
        /// Per entity; null on errors.
        entries: Option<Vec<QuotaEntry>> [..] null [..] = None;
    }
}

message! {
    /// One entity.
    pub struct QuotaEntry {
        /// What it is.
        entity: Vec<QuotaEntity> [..] = Vec::new();
        /// Its quotas.
        values: Vec<QuotaValue> [..] = Vec::new();
    }
}

message! {
    /// One part of an entity.
    pub struct QuotaEntity {
        /// `user`, `client-id` or `ip`.
        entity_type: String [..] = String::new();
        /// Its name, null = the default.
        name: Option<String> [..] null [..] = None;
    }
}

message! {
    /// One quota.
    pub struct QuotaValue {
        /// `producer_byte_rate` and the like.
        key: String [..] = String::new();
        /// How much.
        value: f64 [..] = 0.0;
    }
}

message! {
    /// Changes.
    pub struct AlterClientQuotasRequest {
        /// Per entity.
        entries: Vec<AlterQuotaEntry> [..] = Vec::new();
        /// Only check.
        validate_only: bool [..] = false;
    }
}

message! {
    /// Changes of one entity.
    pub struct AlterQuotaEntry {
        /// What it is.
        entity: Vec<QuotaEntity> [..] = Vec::new();
        /// Changes.
        ops: Vec<QuotaOp> [..] = Vec::new();
    }
}

message! {
    /// One change.
    pub struct QuotaOp {
        /// `producer_byte_rate` and the like.
        key: String [..] = String::new();
        /// How much.
        value: f64 [..] = 0.0;
        /// Remove it.
        remove: bool [..] = false;
    }
}

message! {
    /// How it went.
    pub struct AlterClientQuotasResponse {
        /// How long the client is throttled, milliseconds.
        throttle_time_ms: i32 [..] = 0;
        /// Per entity.
        entries: Vec<AlteredQuotaEntry> [..] = Vec::new();
    }
}

message! {
    /// One entity.
    pub struct AlteredQuotaEntry {
        /// `None` on success.
        error: ErrorCode [..] = ErrorCode::None;
        /// For people.
        error_message: Option<String> [..] null [..] = None;
        /// What it is.
        entity: Vec<QuotaEntity> [..] = Vec::new();
    }
}

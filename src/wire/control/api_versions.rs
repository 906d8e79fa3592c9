//! ApiVersions: which versions of which APIs a client may use (KIP-511).

use crate::wire::api::APIS;
use crate::wire::error::ErrorCode;
use crate::wire::message::{api, message, response_frame};
use bytes::Bytes;

api! {
    /// Key 18, v0 to v4.
    ApiVersions: ApiVersionsRequest => ApiVersionsResponse
}

message! {
    /// Who asks.
    pub struct ApiVersionsRequest {
        /// Name of the client library, from v3; see [`ApiVersionsRequest::is_valid`].
        client_software_name: String [3..] = String::new();
        /// Its version, from v3.
        client_software_version: String [3..] = String::new();
    }
}

impl ApiVersionsRequest {
    /// Whether name and version are alphanumeric with `.` and `-` inside, as KIP-511 asks from v3 on; otherwise the answer is
    /// INVALID_REQUEST.
    pub fn is_valid(&self, version: i16) -> bool {
        let valid = |text: &str| {
            let ends = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
            ends(text.bytes().next())
                && ends(text.bytes().last())
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-')
        };
        version < 3 || (valid(&self.client_software_name) && valid(&self.client_software_version))
    }
}

message! {
    /// What is served.
    pub struct ApiVersionsResponse {
        /// `None`, UNSUPPORTED_VERSION in a [`fallback`], or INVALID_REQUEST.
        error: ErrorCode [..] = ErrorCode::None;
        /// Ranges, never empty.
        api_keys: Vec<ApiVersion> [..] = Vec::new();
        /// How long the client is throttled, milliseconds; from v1.
        throttle_time_ms: i32 [1..] = 0;
    }
    tags {
        /// Features the broker could enable (KIP-584), from v3.
        0 => supported_features: Vec<SupportedFeature> [3..] = Vec::<SupportedFeature>::new();
        /// Epoch of the finalized features, -1 = unknown.
        1 => finalized_features_epoch: i64 [3..] = -1;
        /// Features the cluster has enabled.
        2 => finalized_features: Vec<FinalizedFeature> [3..] = Vec::<FinalizedFeature>::new();
        /// Left over from the days of ZooKeeper.
        3 => zk_migration_ready: bool [3..] = false;
    }
}

message! {
    /// Versions of one API.
    pub struct ApiVersion {
        /// Key.
        api_key: i16 [..] = 0;
        /// Lowest version.
        min_version: i16 [..] = 0;
        /// Highest version.
        max_version: i16 [..] = 0;
    }
}

message! {
    /// Levels of a feature that the broker could enable.
    pub struct SupportedFeature {
        /// Name.
        name: String [3..] = String::new();
        /// Lowest level; clients before 4.0 cannot read 0 (KAFKA-17011).
        min_version: i16 [3..] = 0;
        /// Highest level.
        max_version: i16 [3..] = 0;
    }
}

message! {
    /// Level of a feature that the cluster has enabled.
    pub struct FinalizedFeature {
        /// Name.
        name: String [3..] = String::new();
        /// Highest level.
        max_version_level: i16 [3..] = 0;
        /// Lowest level.
        min_version_level: i16 [3..] = 0;
    }
}

impl ApiVersionsResponse {
    /// All that is advertised, without features. See [`with_features`](Self::with_features).
    pub fn advertised() -> Self {
        let ranges = APIS.iter().map(|range| ApiVersion {
            api_key: range.key.code(),
            min_version: range.min,
            max_version: range.max,
        });
        ApiVersionsResponse {
            api_keys: ranges.collect(),
            ..ApiVersionsResponse::default()
        }
    }

    /// Adds the features: `group.version` 1 is enabled, which says that consumer groups of the new protocol work (KIP-848).
    /// `epoch` grows whenever a feature changes.
    pub fn with_features(mut self, version: i16, epoch: i64) -> Self {
        // Clients of before 4.0 cannot read a lowest level of 0 (KAFKA-17011).
        if version > 3 {
            self.supported_features.push(SupportedFeature {
                name: GROUP_VERSION.to_string(),
                min_version: 0,
                max_version: 1,
            });
        }
        self.finalized_features_epoch = epoch;
        self.finalized_features.push(FinalizedFeature {
            name: GROUP_VERSION.to_string(),
            max_version_level: 1,
            min_version_level: 1,
        });
        self
    }
}

/// The feature that stands for groups of the new protocol.
const GROUP_VERSION: &str = "group.version";

/// The whole answer to an ApiVersions request of a version not served: a v0 body with UNSUPPORTED_VERSION and all ranges, so
/// that the client can ask again (KIP-511).
pub fn fallback(correlation_id: i32) -> Bytes {
    let response = ApiVersionsResponse {
        error: ErrorCode::UnsupportedVersion,
        ..ApiVersionsResponse::advertised()
    };
    response_frame::<ApiVersions>(&response, 0, correlation_id)
}

//! DescribeUserScramCredentials and AlterUserScramCredentials (KIP-554).

use crate::wire::error::ErrorCode;
use crate::wire::message::{api, message};
use bytes::Bytes;

api! {
    /// Key 50, v0.
    DescribeUserScramCredentials: DescribeUserScramCredentialsRequest => DescribeUserScramCredentialsResponse
}

api! {
    /// Key 51, v0.
    AlterUserScramCredentials: AlterUserScramCredentialsRequest => AlterUserScramCredentialsResponse
}

message! {
    /// Which users.
    pub struct DescribeUserScramCredentialsRequest {
        /// Users, null = all.
        users: Option<Vec<ScramUser>> [..] null [..] = None;
    }
}

message! {
    /// One user.
    pub struct ScramUser {
        /// Name.
        name: String [..] = String::new();
    }
}

message! {
    /// Their credentials, without any secret.
    pub struct DescribeUserScramCredentialsResponse {
        /// How long the client is throttled, milliseconds.
        throttle_time_ms: i32 [..] = 0;
        /// `None` on success.
        error: ErrorCode [..] = ErrorCode::None;
        /// For people.
        error_message: Option<String> [..] null [..] = None;
        /// Per user.
        results: Vec<DescribedScramUser> [..] = Vec::new();
    }
}

message! {
    /// One user.
    pub struct DescribedScramUser {
        /// Name.
        user: String [..] = String::new();
        /// `None` on success.
        error: ErrorCode [..] = ErrorCode::None;
        /// For people.
        error_message: Option<String> [..] null [..] = None;
        /// Per mechanism.
        credentials: Vec<ScramCredentialInfo> [..] = Vec::new();
    }
}

message! {
    /// One credential.
    pub struct ScramCredentialInfo {
        /// 1 = SCRAM-SHA-256, 2 = SCRAM-SHA-512.
        mechanism: i8 [..] = 0;
        /// Rounds of hashing.
        iterations: i32 [..] = 0;
    }
}

message! {
    /// Changes.
    pub struct AlterUserScramCredentialsRequest {
        /// Credentials to remove.
        deletions: Vec<ScramDeletion> [..] = Vec::new();
        /// Credentials to set.
        upsertions: Vec<ScramUpsertion> [..] = Vec::new();
    }
}

message! {
    /// One to remove.
    pub struct ScramDeletion {
        /// User.
        name: String [..] = String::new();
        /// 1 = SCRAM-SHA-256, 2 = SCRAM-SHA-512.
        mechanism: i8 [..] = 0;
    }
}

message! {
    /// One to set.
    pub struct ScramUpsertion {
        /// User.
        name: String [..] = String::new();
        /// 1 = SCRAM-SHA-256, 2 = SCRAM-SHA-512.
        mechanism: i8 [..] = 0;
        /// Rounds of hashing.
        iterations: i32 [..] = 0;
        /// Random bytes.
        salt: Bytes [..] = Bytes::new();
        /// The password, salted and hashed by the client.
        salted_password: Bytes [..] = Bytes::new();
    }
}

message! {
    /// How it went.
    pub struct AlterUserScramCredentialsResponse {
        /// How long the client is throttled, milliseconds.
        throttle_time_ms: i32 [..] = 0;
        /// Per user.
        results: Vec<AlteredScramUser> [..] = Vec::new();
    }
}

message! {
    /// One user.
    pub struct AlteredScramUser {
        /// Name.
        user: String [..] = String::new();
        /// `None` on success.
        error: ErrorCode [..] = ErrorCode::None;
        /// For people.
        error_message: Option<String> [..] null [..] = None;
    }
}

//! Fetch: the request, and a response writer that sends record bytes without copying them.
//!
//! Must not know sessions, logs or what is in a record set.

mod request;
mod response;

pub use request::{FetchRequest, FetchRequestPartition, FetchRequestTopic, ForgottenTopic, ReplicaState};
pub use response::{COALESCE_BELOW, FetchPartition, FetchResponse, FetchTopic};

/// First version that names topics by id (KIP-516).
pub const TOPIC_IDS_FROM: i16 = 13;

#[cfg(test)]
mod tests;

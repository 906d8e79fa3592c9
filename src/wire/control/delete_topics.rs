//! DeleteTopics, by name or (from v6) by id.

use crate::base::ids::TopicId;
use crate::wire::error::ErrorCode;
use crate::wire::message::{api, message};

api! {
    /// Key 20, v1 to v6.
    DeleteTopics: DeleteTopicsRequest => DeleteTopicsResponse
}

message! {
    /// Topics to delete; see [`DeleteTopicsRequest::wanted`].
    pub struct DeleteTopicsRequest {
        /// From v6.
        topics: Vec<DeleteTopicState> [6..] = Vec::new();
        /// To v5.
        topic_names: Vec<String> [..=5] = Vec::new();
        /// How long the client waits, milliseconds.
        timeout_ms: i32 [..] = 0;
    }
}

message! {
    /// One topic.
    pub struct DeleteTopicState {
        /// `None` = by id.
        name: Option<String> [6..] null [6..] = None;
        /// Zero = by name.
        topic_id: TopicId [6..] = TopicId::ZERO;
    }
}

impl DeleteTopicsRequest {
    /// The topics whatever the version: name, or id when the name is absent.
    pub fn wanted(&self) -> impl Iterator<Item = (Option<&str>, TopicId)> {
        let by_name = self.topic_names.iter().map(|name| (Some(name.as_str()), TopicId::ZERO));
        let by_either = self.topics.iter().map(|topic| (topic.name.as_deref(), topic.topic_id));
        by_name.chain(by_either)
    }
}

message! {
    /// How it went.
    pub struct DeleteTopicsResponse {
        /// How long the client is throttled, milliseconds; from v1.
        throttle_time_ms: i32 [1..] = 0;
        /// Per topic.
        responses: Vec<DeletableTopicResult> [..] = Vec::new();
    }
}

message! {
    /// One topic.
    pub struct DeletableTopicResult {
        /// Name; null from v6 when an unknown id was given.
        name: Option<String> [..] null [6..] = None;
        /// Id, from v6.
        topic_id: TopicId [6..] = TopicId::ZERO;
        /// `None` on success.
        error: ErrorCode [..] = ErrorCode::None;
        /// For people, from v5.
        error_message: Option<String> [5..] null [5..] = None;
    }
}

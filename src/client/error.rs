//! What can go wrong between us and a broker, each with its cause and, where there is one, its remedy.

use crate::client::address::Address;
use kafka_protocol::error::ResponseError;
use std::fmt;
use std::time::Duration;

/// A broker's answer that is an error: Kafka's code and the broker's own words, if it sent any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Kafka error code, never 0.
    pub code: i16,
    /// The broker's explanation.
    pub message: Option<String>,
}

impl Refusal {
    /// `None` for code 0.
    pub fn from_code(code: i16, message: Option<&str>) -> Option<Refusal> {
        let message = message.filter(|text| !text.is_empty()).map(str::to_string);
        (code != 0).then_some(Refusal { code, message })
    }

    /// One of Kafka's errors without words of the broker.
    pub(super) fn bare(error: ResponseError) -> Refusal {
        Refusal {
            code: error.code(),
            message: None,
        }
    }

    /// Kafka's name of the code, such as `UNKNOWN_TOPIC_OR_PARTITION`.
    pub fn name(&self) -> String {
        match ResponseError::try_from_code(self.code) {
            None => "NONE".to_string(),
            Some(ResponseError::Unknown(code)) => format!("error code {code}"),
            Some(known) => screaming_snake(&format!("{known:?}")),
        }
    }

    /// True if Kafka marks the code as one that may pass by itself.
    pub fn is_retriable(&self) -> bool {
        ResponseError::try_from_code(self.code).is_some_and(|error| error.is_retriable())
    }

    /// True for the codes that mean "that topic, partition, group or resource does not exist".
    pub fn is_not_found(&self) -> bool {
        matches!(
            ResponseError::try_from_code(self.code),
            Some(
                ResponseError::UnknownTopicOrPartition
                    | ResponseError::UnknownTopicId
                    | ResponseError::ResourceNotFound
                    | ResponseError::GroupIdNotFound
            )
        )
    }

    /// True for the broker's own time limit.
    pub fn is_timeout(&self) -> bool {
        self.code == ResponseError::RequestTimedOut.code()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())?;
        match &self.message {
            Some(message) => write!(f, ": {}", message.trim_end_matches('.')),
            None => Ok(()),
        }
    }
}

/// `UnknownTopicOrPartition` to `UNKNOWN_TOPIC_OR_PARTITION`.
fn screaming_snake(camel: &str) -> String {
    let mut name = String::with_capacity(camel.len() + 6);
    for letter in camel.chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

/// Anything that stops the client.
#[derive(Debug)]
pub enum ClientError {
    /// No bootstrap address could be connected to.
    Unreachable {
        /// Each address tried with the reason it failed.
        tried: Vec<(Address, String)>,
    },
    /// Bootstrap worked, but the address the broker advertises for a node does not.
    Advertised {
        /// Node id.
        node: i32,
        /// The address from its metadata.
        address: Address,
        /// The address that did answer.
        bootstrap: Address,
        /// Why the advertised one failed.
        cause: String,
    },
    /// Something answered that is not a Kafka broker, or a broken one.
    NotKafka {
        /// The peer.
        address: Address,
        /// What it did.
        cause: String,
    },
    /// The connection broke in the middle.
    Lost {
        /// The peer.
        address: Address,
        /// What happened.
        cause: String,
    },
    /// The time limit passed.
    Timeout {
        /// What was waited for.
        waited_for: String,
        /// The limit.
        limit: Duration,
    },
    /// The broker does not offer an API, or no version of it that we know.
    Unsupported {
        /// The peer.
        address: Address,
        /// API name.
        api: String,
        /// Versions the broker offers, if any.
        offered: Option<(i16, i16)>,
        /// Versions we know.
        known: (i16, i16),
    },
    /// The broker said no.
    Refused {
        /// What was asked, such as `create topic logs`.
        what: String,
        /// Its answer.
        refusal: Refusal,
    },
    /// Records that cannot be read.
    Records {
        /// Topic, partition and offset.
        place: String,
        /// What is wrong with them.
        cause: String,
    },
    /// The user asked to stop.
    Interrupted,
}

impl ClientError {
    /// A refusal with its context.
    pub fn refused(what: impl Into<String>, refusal: Refusal) -> ClientError {
        ClientError::Refused {
            what: what.into(),
            refusal,
        }
    }

    /// True if trying again, on a fresh connection, may help.
    pub fn may_pass(&self) -> bool {
        match self {
            ClientError::Refused { refusal, .. } => refusal.is_retriable(),
            ClientError::Lost { .. }
            | ClientError::Unreachable { .. }
            | ClientError::Advertised { .. }
            | ClientError::Timeout { .. } => true,
            _ => false,
        }
    }

    /// What the user can do about it.
    pub fn remedy(&self) -> Option<String> {
        match self {
            ClientError::Unreachable { .. } => {
                Some("check that a broker is running there; name another with --brokers host:port".to_string())
            }
            ClientError::Advertised { bootstrap, .. } => Some(format!(
                "{bootstrap} answers, so set the broker's advertised.listeners (ringlog start --advertise) to an address that \
                 this machine can reach"
            )),
            ClientError::NotKafka { .. } => {
                Some("is this the Kafka port (usually 9092), without TLS? HTTP and admin ports are others".to_string())
            }
            ClientError::Lost { .. } => Some("see the broker's log for the reason, then try again".to_string()),
            ClientError::Timeout { .. } => {
                Some("raise the limit with --timeout, or look at the broker's load".to_string())
            }
            ClientError::Unsupported { .. } => Some("this needs a newer broker".to_string()),
            ClientError::Refused { refusal, .. } => refusal_remedy(refusal).map(str::to_string),
            ClientError::Records { .. } | ClientError::Interrupted => None,
        }
    }
}

/// Remedies for the codes users of a command line meet.
fn refusal_remedy(refusal: &Refusal) -> Option<&'static str> {
    Some(match ResponseError::try_from_code(refusal.code)? {
        ResponseError::UnknownTopicOrPartition | ResponseError::UnknownTopicId => {
            "`ringlog topic list` shows what exists; `ringlog topic create` makes a topic"
        }
        ResponseError::TopicAlreadyExists => "pick another name, or pass --if-not-exists",
        ResponseError::MessageTooLarge => {
            "raise max.message.bytes of the topic: ringlog topic alter TOPIC --set max.message.bytes=N"
        }
        ResponseError::InvalidReplicationFactor => {
            "ask for no more replicas than there are brokers: ringlog cluster info"
        }
        ResponseError::InvalidConfig => "`ringlog topic describe TOPIC --all` lists the keys with their present values",
        ResponseError::InvalidPartitions => {
            "partitions can only be added; the present count is in `ringlog topic describe TOPIC`"
        }
        ResponseError::NotEnoughReplicas | ResponseError::NotEnoughReplicasAfterAppend => {
            "fewer replicas are in sync than min.insync.replicas asks for: see `ringlog topic describe TOPIC`"
        }
        ResponseError::OffsetOutOfRange => "`ringlog topic describe TOPIC` shows the offsets that exist",
        ResponseError::GroupIdNotFound => "`ringlog group list` shows what exists",
        ResponseError::NonEmptyGroup => "stop its members first: `ringlog group describe GROUP` names them",
        ResponseError::GroupSubscribedToTopic => {
            "members of the group read this topic: `ringlog group describe GROUP` names them"
        }
        ResponseError::UnknownMemberId
        | ResponseError::IllegalGeneration
        | ResponseError::RebalanceInProgress
        | ResponseError::StaleMemberEpoch => "the group has live members now: stop them, then try again",
        ResponseError::CoordinatorLoadInProgress | ResponseError::CoordinatorNotAvailable => {
            "the group's coordinator is still starting: try again in a moment"
        }
        ResponseError::TopicAuthorizationFailed
        | ResponseError::GroupAuthorizationFailed
        | ResponseError::ClusterAuthorizationFailed => {
            "the broker asks for a login or an ACL that this client does not have"
        }
        _ => return None,
    })
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::Unreachable { tried } => {
                f.write_str("cannot connect to ")?;
                for (position, (address, cause)) in tried.iter().enumerate() {
                    write!(f, "{}{address} ({cause})", if position == 0 { "" } else { ", " })?;
                }
                Ok(())
            }
            ClientError::Advertised {
                node, address, cause, ..
            } => {
                write!(f, "node {node} advertises {address}, which cannot be reached ({cause})")
            }
            ClientError::NotKafka { address, cause } => {
                write!(f, "{address} does not speak the Kafka protocol: {cause}")
            }
            ClientError::Lost { address, cause } => write!(f, "lost the connection to {address}: {cause}"),
            ClientError::Timeout { waited_for, limit } => {
                write!(f, "timed out after {} waiting for {waited_for}", seconds(*limit))
            }
            ClientError::Unsupported {
                address,
                api,
                offered: None,
                ..
            } => {
                write!(f, "the broker at {address} does not offer {api}")
            }
            ClientError::Unsupported {
                address,
                api,
                offered: Some((min, max)),
                known,
            } => write!(
                f,
                "the broker at {address} offers {api} in versions {min} to {max}, this client knows {} to {}",
                known.0, known.1
            ),
            ClientError::Refused { what, refusal } => write!(f, "{what}: {refusal}"),
            ClientError::Records { place, cause } => write!(f, "cannot read {place}: {cause}"),
            ClientError::Interrupted => f.write_str("interrupted"),
        }
    }
}

impl std::error::Error for ClientError {}

/// A duration in seconds without needless digits.
fn seconds(duration: Duration) -> String {
    format!("{} s", (duration.as_secs_f64() * 1000.0).round() / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_get_kafkas_names() {
        let refusal = |code| Refusal { code, message: None };
        assert_eq!(refusal(3).name(), "UNKNOWN_TOPIC_OR_PARTITION");
        assert_eq!(refusal(36).name(), "TOPIC_ALREADY_EXISTS");
        assert_eq!(refusal(-1).name(), "UNKNOWN_SERVER_ERROR");
        assert_eq!(refusal(9999).name(), "error code 9999");
        assert!(Refusal::from_code(0, Some("x")).is_none());
    }

    #[test]
    fn says_cause_and_remedy() {
        let refusal = Refusal {
            code: 3,
            message: Some("This server does not host this topic-partition.".to_string()),
        };
        let error = ClientError::refused("delete topic logs", refusal);
        assert_eq!(
            error.to_string(),
            "delete topic logs: UNKNOWN_TOPIC_OR_PARTITION: This server does not host this topic-partition"
        );
        assert!(error.remedy().unwrap().contains("topic list"));
    }
}

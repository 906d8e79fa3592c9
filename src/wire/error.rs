//! Error codes of the Kafka protocol, and the error for bytes that are no message.
//!
//! Codes, names and retriability are those of Apache Kafka 4.3 (class `Errors`): clients decide by the code, people read
//! the name. Must not know which request met which error.

use std::fmt;

macro_rules! error_codes {
    ($($(#[$attribute:meta])* $variant:ident = $code:literal, $name:literal, $retriable:literal, $meaning:literal;)*) => {
        /// An error code of the Kafka protocol; `as i16` gives the number on the wire.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
        #[repr(i16)]
        pub enum ErrorCode {
            $(
                #[doc = concat!($name, " (", stringify!($code), "): ", $meaning)]
                $(#[$attribute])*
                $variant = $code,
            )*
        }

        impl ErrorCode {
            /// Every code, in the order of the numbers.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$variant,)*];

            /// The code of a number from the wire; `None` for numbers that Kafka 4.3 does not define.
            pub const fn from_code(code: i16) -> Option<ErrorCode> {
                match code {
                    $($code => Some(ErrorCode::$variant),)*
                    _ => None,
                }
            }

            /// Kafka's name, as tools and documents show it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(ErrorCode::$variant => $name,)*
                }
            }

            /// Whether Kafka's clients try again after this error.
            pub const fn is_retriable(self) -> bool {
                match self {
                    $(ErrorCode::$variant => $retriable,)*
                }
            }

            /// One sentence for people; the default text of an `error_message` field.
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(ErrorCode::$variant => $meaning,)*
                }
            }
        }
    };
}

error_codes! {
    UnknownServerError = -1, "UNKNOWN_SERVER_ERROR", false, "The broker failed unexpectedly; its log says why.";
    #[default]
    None = 0, "NONE", false, "No error.";
    OffsetOutOfRange = 1, "OFFSET_OUT_OF_RANGE", false, "The offset lies outside the log of this partition.";
    CorruptMessage = 2, "CORRUPT_MESSAGE", true, "The batch is damaged: wrong checksum, length or structure.";
    UnknownTopicOrPartition = 3, "UNKNOWN_TOPIC_OR_PARTITION", true, "This broker does not know the topic or partition.";
    InvalidFetchSize = 4, "INVALID_FETCH_SIZE", false, "The fetch size is not valid.";
    LeaderNotAvailable = 5, "LEADER_NOT_AVAILABLE", true, "The partition has no leader at the moment.";
    NotLeaderOrFollower = 6, "NOT_LEADER_OR_FOLLOWER", true, "This broker neither leads nor follows the partition.";
    RequestTimedOut = 7, "REQUEST_TIMED_OUT", true, "The request timed out.";
    BrokerNotAvailable = 8, "BROKER_NOT_AVAILABLE", false, "The broker is not available.";
    ReplicaNotAvailable = 9, "REPLICA_NOT_AVAILABLE", true, "The replica is not available for the partition.";
    MessageTooLarge = 10, "MESSAGE_TOO_LARGE", false, "The batch is larger than the topic's max.message.bytes.";
    StaleControllerEpoch = 11, "STALE_CONTROLLER_EPOCH", false, "The controller moved to another broker.";
    OffsetMetadataTooLarge = 12, "OFFSET_METADATA_TOO_LARGE", false, "The offset commit carries too much metadata.";
    NetworkException = 13, "NETWORK_EXCEPTION", true, "The connection broke before the answer came.";
    CoordinatorLoadInProgress = 14, "COORDINATOR_LOAD_IN_PROGRESS", true, "The coordinator is still loading.";
    CoordinatorNotAvailable = 15, "COORDINATOR_NOT_AVAILABLE", true, "The coordinator is not available.";
    NotCoordinator = 16, "NOT_COORDINATOR", true, "This broker is not the coordinator.";
    InvalidTopicException = 17, "INVALID_TOPIC_EXCEPTION", false, "The topic name is illegal or not allowed for this operation.";
    RecordListTooLarge = 18, "RECORD_LIST_TOO_LARGE", false, "The batch is larger than a segment.";
    NotEnoughReplicas = 19, "NOT_ENOUGH_REPLICAS", true, "Fewer replicas are in sync than min.insync.replicas asks for; nothing was written.";
    NotEnoughReplicasAfterAppend = 20, "NOT_ENOUGH_REPLICAS_AFTER_APPEND", true, "The batch was written, but to fewer in-sync replicas than required.";
    InvalidRequiredAcks = 21, "INVALID_REQUIRED_ACKS", false, "acks must be -1, 0 or 1.";
    IllegalGeneration = 22, "ILLEGAL_GENERATION", false, "The group generation is not the current one.";
    InconsistentGroupProtocol = 23, "INCONSISTENT_GROUP_PROTOCOL", false, "The member's protocols do not match those of the group.";
    InvalidGroupId = 24, "INVALID_GROUP_ID", false, "The group id is not valid.";
    UnknownMemberId = 25, "UNKNOWN_MEMBER_ID", false, "The coordinator does not know this member.";
    InvalidSessionTimeout = 26, "INVALID_SESSION_TIMEOUT", false, "The session timeout lies outside the allowed range.";
    RebalanceInProgress = 27, "REBALANCE_IN_PROGRESS", false, "The group is rebalancing: join again.";
    InvalidCommitOffsetSize = 28, "INVALID_COMMIT_OFFSET_SIZE", false, "The committed offset data has an invalid size.";
    TopicAuthorizationFailed = 29, "TOPIC_AUTHORIZATION_FAILED", false, "Not authorised for the topic.";
    GroupAuthorizationFailed = 30, "GROUP_AUTHORIZATION_FAILED", false, "Not authorised for the group.";
    ClusterAuthorizationFailed = 31, "CLUSTER_AUTHORIZATION_FAILED", false, "Not authorised for the cluster.";
    InvalidTimestamp = 32, "INVALID_TIMESTAMP", false, "A record timestamp lies outside the accepted range.";
    UnsupportedSaslMechanism = 33, "UNSUPPORTED_SASL_MECHANISM", false, "The SASL mechanism is not enabled.";
    IllegalSaslState = 34, "ILLEGAL_SASL_STATE", false, "The request does not fit the SASL state of the connection.";
    UnsupportedVersion = 35, "UNSUPPORTED_VERSION", false, "The version of the API is not supported.";
    TopicAlreadyExists = 36, "TOPIC_ALREADY_EXISTS", false, "A topic with this name exists already.";
    InvalidPartitions = 37, "INVALID_PARTITIONS", false, "The number of partitions is not valid.";
    InvalidReplicationFactor = 38, "INVALID_REPLICATION_FACTOR", false, "The replication factor is below 1 or above the number of brokers.";
    InvalidReplicaAssignment = 39, "INVALID_REPLICA_ASSIGNMENT", false, "The replica assignment is not valid.";
    InvalidConfig = 40, "INVALID_CONFIG", false, "A configuration name or value is not valid.";
    NotController = 41, "NOT_CONTROLLER", true, "This broker is not the controller.";
    InvalidRequest = 42, "INVALID_REQUEST", false, "The request contradicts itself or the rules of its API.";
    UnsupportedForMessageFormat = 43, "UNSUPPORTED_FOR_MESSAGE_FORMAT", false, "The message format does not support the request.";
    PolicyViolation = 44, "POLICY_VIOLATION", false, "The request violates a policy.";
    OutOfOrderSequenceNumber = 45, "OUT_OF_ORDER_SEQUENCE_NUMBER", false, "The sequence number is not the next one.";
    DuplicateSequenceNumber = 46, "DUPLICATE_SEQUENCE_NUMBER", false, "The sequence number was seen before.";
    InvalidProducerEpoch = 47, "INVALID_PRODUCER_EPOCH", false, "The producer epoch is older than the current one.";
    InvalidTxnState = 48, "INVALID_TXN_STATE", false, "The operation does not fit the state of the transaction.";
    InvalidProducerIdMapping = 49, "INVALID_PRODUCER_ID_MAPPING", false, "The producer id is not the one assigned to the transactional id.";
    InvalidTransactionTimeout = 50, "INVALID_TRANSACTION_TIMEOUT", false, "The transaction timeout is above the broker's maximum.";
    ConcurrentTransactions = 51, "CONCURRENT_TRANSACTIONS", true, "Another operation on the same transaction is under way.";
    TransactionCoordinatorFenced = 52, "TRANSACTION_COORDINATOR_FENCED", false, "The transaction coordinator has been replaced.";
    TransactionalIdAuthorizationFailed = 53, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", false, "Not authorised for the transactional id.";
    SecurityDisabled = 54, "SECURITY_DISABLED", false, "No authoriser is configured, so there are no ACLs.";
    OperationNotAttempted = 55, "OPERATION_NOT_ATTEMPTED", false, "The operation was not tried because of another failure in the request.";
    KafkaStorageError = 56, "KAFKA_STORAGE_ERROR", true, "A disk error prevents access to the log.";
    LogDirNotFound = 57, "LOG_DIR_NOT_FOUND", false, "The log directory is not configured.";
    SaslAuthenticationFailed = 58, "SASL_AUTHENTICATION_FAILED", false, "SASL authentication failed.";
    UnknownProducerId = 59, "UNKNOWN_PRODUCER_ID", false, "The partition has no state for this producer id.";
    ReassignmentInProgress = 60, "REASSIGNMENT_IN_PROGRESS", false, "A reassignment of the partition is under way.";
    DelegationTokenAuthDisabled = 61, "DELEGATION_TOKEN_AUTH_DISABLED", false, "Delegation tokens are disabled.";
    DelegationTokenNotFound = 62, "DELEGATION_TOKEN_NOT_FOUND", false, "The delegation token does not exist.";
    DelegationTokenOwnerMismatch = 63, "DELEGATION_TOKEN_OWNER_MISMATCH", false, "The principal is not the owner or renewer of the token.";
    DelegationTokenRequestNotAllowed = 64, "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED", false, "Delegation tokens cannot be requested over this connection.";
    DelegationTokenAuthorizationFailed = 65, "DELEGATION_TOKEN_AUTHORIZATION_FAILED", false, "Not authorised for the delegation token.";
    DelegationTokenExpired = 66, "DELEGATION_TOKEN_EXPIRED", false, "The delegation token has expired.";
    InvalidPrincipalType = 67, "INVALID_PRINCIPAL_TYPE", false, "The principal type is not supported.";
    NonEmptyGroup = 68, "NON_EMPTY_GROUP", false, "The group still has members.";
    GroupIdNotFound = 69, "GROUP_ID_NOT_FOUND", false, "The group does not exist.";
    FetchSessionIdNotFound = 70, "FETCH_SESSION_ID_NOT_FOUND", true, "The fetch session does not exist.";
    InvalidFetchSessionEpoch = 71, "INVALID_FETCH_SESSION_EPOCH", true, "The fetch session epoch is not the expected one.";
    ListenerNotFound = 72, "LISTENER_NOT_FOUND", true, "The leader has no listener of the name used here.";
    TopicDeletionDisabled = 73, "TOPIC_DELETION_DISABLED", false, "Topic deletion is disabled.";
    FencedLeaderEpoch = 74, "FENCED_LEADER_EPOCH", true, "The client's leader epoch is older than the broker's.";
    UnknownLeaderEpoch = 75, "UNKNOWN_LEADER_EPOCH", true, "The client's leader epoch is newer than the broker's.";
    UnsupportedCompressionType = 76, "UNSUPPORTED_COMPRESSION_TYPE", false, "The client's request version does not support this compression.";
    StaleBrokerEpoch = 77, "STALE_BROKER_EPOCH", false, "The broker epoch has changed.";
    OffsetNotAvailable = 78, "OFFSET_NOT_AVAILABLE", true, "The leader cannot give offsets yet: its high watermark is still behind.";
    MemberIdRequired = 79, "MEMBER_ID_REQUIRED", false, "The member must join again with the member id given here.";
    PreferredLeaderNotAvailable = 80, "PREFERRED_LEADER_NOT_AVAILABLE", true, "The preferred leader is not available.";
    GroupMaxSizeReached = 81, "GROUP_MAX_SIZE_REACHED", false, "The group has reached its maximum size.";
    FencedInstanceId = 82, "FENCED_INSTANCE_ID", false, "Another member with this instance id has taken over.";
    EligibleLeadersNotAvailable = 83, "ELIGIBLE_LEADERS_NOT_AVAILABLE", true, "No eligible leader is available.";
    ElectionNotNeeded = 84, "ELECTION_NOT_NEEDED", true, "The partition has the wanted leader already.";
    NoReassignmentInProgress = 85, "NO_REASSIGNMENT_IN_PROGRESS", false, "No reassignment is under way.";
    GroupSubscribedToTopic = 86, "GROUP_SUBSCRIBED_TO_TOPIC", false, "The group is subscribed to the topic, so its offsets cannot be deleted.";
    InvalidRecord = 87, "INVALID_RECORD", false, "The batch or a record in it breaks a rule; it is refused as a whole.";
    UnstableOffsetCommit = 88, "UNSTABLE_OFFSET_COMMIT", true, "Offsets of an unfinished transaction are pending.";
    ThrottlingQuotaExceeded = 89, "THROTTLING_QUOTA_EXCEEDED", true, "A quota is exceeded.";
    ProducerFenced = 90, "PRODUCER_FENCED", false, "A newer producer with the same transactional id exists.";
    ResourceNotFound = 91, "RESOURCE_NOT_FOUND", false, "The resource does not exist.";
    DuplicateResource = 92, "DUPLICATE_RESOURCE", false, "A resource is named twice.";
    UnacceptableCredential = 93, "UNACCEPTABLE_CREDENTIAL", false, "The credential does not meet the requirements.";
    InconsistentVoterSet = 94, "INCONSISTENT_VOTER_SET", false, "Sender or receiver is not one of the expected voters.";
    InvalidUpdateVersion = 95, "INVALID_UPDATE_VERSION", false, "The update version is not valid.";
    FeatureUpdateFailed = 96, "FEATURE_UPDATE_FAILED", false, "The finalised features could not be updated.";
    PrincipalDeserializationFailure = 97, "PRINCIPAL_DESERIALIZATION_FAILURE", false, "The forwarded principal could not be read.";
    SnapshotNotFound = 98, "SNAPSHOT_NOT_FOUND", false, "The snapshot does not exist.";
    PositionOutOfRange = 99, "POSITION_OUT_OF_RANGE", false, "The position lies outside the snapshot.";
    UnknownTopicId = 100, "UNKNOWN_TOPIC_ID", true, "This broker does not know the topic id.";
    DuplicateBrokerRegistration = 101, "DUPLICATE_BROKER_REGISTRATION", false, "The broker id is in use.";
    BrokerIdNotRegistered = 102, "BROKER_ID_NOT_REGISTERED", false, "The broker id is not registered.";
    InconsistentTopicId = 103, "INCONSISTENT_TOPIC_ID", true, "The topic id is not the one of the log.";
    InconsistentClusterId = 104, "INCONSISTENT_CLUSTER_ID", false, "The cluster id is not the one of this cluster.";
    TransactionalIdNotFound = 105, "TRANSACTIONAL_ID_NOT_FOUND", false, "The transactional id does not exist.";
    FetchSessionTopicIdError = 106, "FETCH_SESSION_TOPIC_ID_ERROR", true, "The fetch session mixes topic names and topic ids.";
    IneligibleReplica = 107, "INELIGIBLE_REPLICA", false, "A replica in the new in-sync set is not eligible.";
    NewLeaderElected = 108, "NEW_LEADER_ELECTED", false, "The update was applied, but the leader has changed.";
    OffsetMovedToTieredStorage = 109, "OFFSET_MOVED_TO_TIERED_STORAGE", false, "The offset has moved to tiered storage.";
    FencedMemberEpoch = 110, "FENCED_MEMBER_EPOCH", false, "The member epoch is fenced: leave all partitions and join again.";
    UnreleasedInstanceId = 111, "UNRELEASED_INSTANCE_ID", false, "Another member still uses the instance id.";
    UnsupportedAssignor = 112, "UNSUPPORTED_ASSIGNOR", false, "The assignor is not supported.";
    StaleMemberEpoch = 113, "STALE_MEMBER_EPOCH", false, "The member epoch is stale: wait for the next heartbeat answer.";
    MismatchedEndpointType = 114, "MISMATCHED_ENDPOINT_TYPE", false, "The request went to an endpoint of the wrong type.";
    UnsupportedEndpointType = 115, "UNSUPPORTED_ENDPOINT_TYPE", false, "The endpoint type is not supported.";
    UnknownControllerId = 116, "UNKNOWN_CONTROLLER_ID", false, "The controller id is not known.";
    UnknownSubscriptionId = 117, "UNKNOWN_SUBSCRIPTION_ID", false, "The telemetry subscription id is outdated.";
    TelemetryTooLarge = 118, "TELEMETRY_TOO_LARGE", false, "The telemetry payload is too large.";
    InvalidRegistration = 119, "INVALID_REGISTRATION", false, "The controller refuses the broker registration.";
    TransactionAbortable = 120, "TRANSACTION_ABORTABLE", false, "The transaction failed; the client may abort it and go on.";
    InvalidRecordState = 121, "INVALID_RECORD_STATE", false, "The record's state does not allow the acknowledgement.";
    ShareSessionNotFound = 122, "SHARE_SESSION_NOT_FOUND", true, "The share session does not exist.";
    InvalidShareSessionEpoch = 123, "INVALID_SHARE_SESSION_EPOCH", true, "The share session epoch is not valid.";
    FencedStateEpoch = 124, "FENCED_STATE_EPOCH", false, "The share group state epoch is fenced.";
    InvalidVoterKey = 125, "INVALID_VOTER_KEY", false, "The voter key is not the replica's.";
    DuplicateVoter = 126, "DUPLICATE_VOTER", false, "The voter is in the set already.";
    VoterNotFound = 127, "VOTER_NOT_FOUND", false, "The voter is not in the set.";
    InvalidRegularExpression = 128, "INVALID_REGULAR_EXPRESSION", false, "The regular expression is not valid.";
    RebootstrapRequired = 129, "REBOOTSTRAP_REQUIRED", false, "The client's metadata is stale: bootstrap again.";
    StreamsInvalidTopology = 130, "STREAMS_INVALID_TOPOLOGY", false, "The streams topology is not valid.";
    StreamsInvalidTopologyEpoch = 131, "STREAMS_INVALID_TOPOLOGY_EPOCH", false, "The streams topology epoch is not valid.";
    StreamsTopologyFenced = 132, "STREAMS_TOPOLOGY_FENCED", false, "The streams topology epoch is outdated.";
    ShareSessionLimitReached = 133, "SHARE_SESSION_LIMIT_REACHED", true, "The number of share sessions has reached its limit.";
}

impl ErrorCode {
    /// The number on the wire.
    pub const fn code(self) -> i16 {
        self as i16
    }
    /// True for anything but [`ErrorCode::None`].
    pub const fn is_error(self) -> bool {
        !matches!(self, ErrorCode::None)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.code())
    }
}

impl std::error::Error for ErrorCode {}

/// An answer of refusal: the code for the client and a text that names cause and remedy.
pub type Refusal = (ErrorCode, String);

/// Bytes that are not the message they claim to be. The connection they came from is closed, nothing else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DecodeError {
    /// Where in the input the trouble was met, bytes from its start.
    pub at: usize,
    /// What was wrong.
    pub fault: Fault,
}

/// What can be wrong with bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The input ends inside a field.
    Truncated {
        /// Bytes the field needs.
        needed: usize,
        /// Bytes left.
        left: usize,
    },
    /// A length or count below the one that means null.
    NegativeLength(i64),
    /// Null where the message's version allows none.
    UnexpectedNull,
    /// More elements declared than the rest of the input can hold.
    CountTooLarge {
        /// Elements declared.
        count: u64,
        /// Bytes left.
        left: usize,
    },
    /// A variable-length integer with more bytes, or a larger value, than its type has.
    VarintTooLong,
    /// A string that is not UTF-8.
    NotUtf8,
    /// More tagged fields than [`MAX_TAGS`](crate::wire::guard::MAX_TAGS).
    TooManyTags(u32),
    /// A tagged field whose content is shorter than its declared size.
    TagSize,
    /// The decoded message would take more memory than its budget.
    OverBudget,
    /// Bytes are left over after the message.
    TrailingBytes(usize),
    /// A key or version that is not served.
    Unsupported {
        /// API key.
        key: i16,
        /// Version.
        version: i16,
    },
    /// A value that breaks a rule of the format.
    Invalid(&'static str),
}

impl DecodeError {
    /// An error at `at` bytes from the start of the input.
    pub const fn new(at: usize, fault: Fault) -> Self {
        DecodeError { at, fault }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}: ", self.at)?;
        match &self.fault {
            Fault::Truncated { needed, left } => write!(f, "a field needs {needed} bytes, {left} are left"),
            Fault::NegativeLength(length) => write!(f, "the length {length} is negative"),
            Fault::UnexpectedNull => write!(f, "null where this version allows none"),
            Fault::CountTooLarge { count, left } => write!(f, "{count} elements cannot fit into {left} bytes"),
            Fault::VarintTooLong => write!(f, "a variable-length integer does not fit its type"),
            Fault::NotUtf8 => write!(f, "a string is not UTF-8"),
            Fault::TooManyTags(count) => write!(f, "{count} tagged fields are too many"),
            Fault::TagSize => write!(f, "a tagged field does not fill its declared size"),
            Fault::OverBudget => write!(f, "the message would take more memory than allowed"),
            Fault::TrailingBytes(count) => write!(f, "{count} bytes are left over after the message"),
            Fault::Unsupported { key, version } => write!(f, "version {version} of API key {key} is not served"),
            Fault::Invalid(what) => write!(f, "{what}"),
        }
    }
}

impl std::error::Error for DecodeError {}

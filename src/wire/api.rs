//! Which APIs and versions are known and served, and what is advertised.
//!
//! The ranges are those of an Apache Kafka 4.3 broker listener; their minima are what KIP-896 kept for old clients, so none
//! is ever raised. Must not know what any API does.

/// An API of the Kafka protocol whose messages are known here; `as i16` gives the number on the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(i16)]
#[allow(missing_docs)] // the names are Kafka's
pub enum ApiKey {
    Produce = 0,
    Fetch = 1,
    ListOffsets = 2,
    Metadata = 3,
    OffsetCommit = 8,
    OffsetFetch = 9,
    FindCoordinator = 10,
    JoinGroup = 11,
    Heartbeat = 12,
    LeaveGroup = 13,
    SyncGroup = 14,
    DescribeGroups = 15,
    ListGroups = 16,
    ApiVersions = 18,
    CreateTopics = 19,
    DeleteTopics = 20,
    DeleteRecords = 21,
    InitProducerId = 22,
    OffsetForLeaderEpoch = 23,
    DescribeAcls = 29,
    CreateAcls = 30,
    DeleteAcls = 31,
    DescribeConfigs = 32,
    AlterConfigs = 33,
    AlterReplicaLogDirs = 34,
    DescribeLogDirs = 35,
    CreatePartitions = 37,
    DeleteGroups = 42,
    ElectLeaders = 43,
    IncrementalAlterConfigs = 44,
    AlterPartitionReassignments = 45,
    ListPartitionReassignments = 46,
    OffsetDelete = 47,
    DescribeClientQuotas = 48,
    AlterClientQuotas = 49,
    DescribeUserScramCredentials = 50,
    AlterUserScramCredentials = 51,
    DescribeCluster = 60,
    DescribeProducers = 61,
    DescribeTransactions = 65,
    ListTransactions = 66,
    ConsumerGroupHeartbeat = 68,
    ConsumerGroupDescribe = 69,
    ListConfigResources = 74,
    DescribeTopicPartitions = 75,
}

/// The versions of one API.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ApiRange {
    /// Which API.
    pub key: ApiKey,
    /// Lowest version advertised.
    pub min: i16,
    /// Highest version advertised and served.
    pub max: i16,
    /// First version with compact lengths and tagged fields (KIP-482); its requests carry header version 2.
    pub flexible_from: i16,
    /// Lowest version served; below it, down to `min`, a version is advertised only (Produce, KAFKA-18659).
    pub served_from: i16,
}

/// As `flexible_from`: no version is flexible.
const NEVER: i16 = i16::MAX;

const fn range(key: ApiKey, min: i16, max: i16, flexible_from: i16) -> ApiRange {
    ApiRange {
        key,
        min,
        max,
        flexible_from,
        served_from: min,
    }
}

/// All that is advertised, in the order of the keys.
///
/// Produce is advertised from 0 although only 3 and above are served: librdkafka before 2.11.1 switches compression off
/// otherwise (KAFKA-18659). Version 6 of InitProducerId is unstable (KIP-939) and not offered.
///
/// Kept out on purpose: delegation tokens (38-41), since there is no authentication that could give one; DescribeQuorum,
/// UpdateFeatures and UnregisterBroker (55, 57, 64), since there is no quorum, nothing to finalize and no second broker; client
/// telemetry (71, 72), since clients start to push as soon as they see it, and Kafka shows it only with a receiver configured.
pub const APIS: &[ApiRange] = &[
    ApiRange {
        served_from: 3,
        ..range(ApiKey::Produce, 0, 13, 9)
    },
    range(ApiKey::Fetch, 4, 18, 12),
    range(ApiKey::ListOffsets, 1, 11, 6),
    range(ApiKey::Metadata, 0, 13, 9),
    range(ApiKey::OffsetCommit, 2, 10, 8),
    range(ApiKey::OffsetFetch, 1, 10, 6),
    range(ApiKey::FindCoordinator, 0, 6, 3),
    range(ApiKey::JoinGroup, 0, 9, 6),
    range(ApiKey::Heartbeat, 0, 4, 4),
    range(ApiKey::LeaveGroup, 0, 5, 4),
    range(ApiKey::SyncGroup, 0, 5, 4),
    range(ApiKey::DescribeGroups, 0, 6, 5),
    range(ApiKey::ListGroups, 0, 5, 3),
    range(ApiKey::ApiVersions, 0, 4, 3),
    range(ApiKey::CreateTopics, 2, 7, 5),
    range(ApiKey::DeleteTopics, 1, 6, 4),
    range(ApiKey::DeleteRecords, 0, 2, 2),
    range(ApiKey::InitProducerId, 0, 5, 2),
    range(ApiKey::OffsetForLeaderEpoch, 2, 4, 4),
    range(ApiKey::DescribeAcls, 1, 3, 2),
    range(ApiKey::CreateAcls, 1, 3, 2),
    range(ApiKey::DeleteAcls, 1, 3, 2),
    range(ApiKey::DescribeConfigs, 1, 4, 4),
    range(ApiKey::AlterConfigs, 0, 2, 2),
    range(ApiKey::AlterReplicaLogDirs, 1, 2, 2),
    range(ApiKey::DescribeLogDirs, 1, 5, 2),
    range(ApiKey::CreatePartitions, 0, 3, 2),
    range(ApiKey::DeleteGroups, 0, 2, 2),
    range(ApiKey::ElectLeaders, 0, 2, 2),
    range(ApiKey::IncrementalAlterConfigs, 0, 1, 1),
    range(ApiKey::AlterPartitionReassignments, 0, 1, 0),
    range(ApiKey::ListPartitionReassignments, 0, 0, 0),
    range(ApiKey::OffsetDelete, 0, 0, NEVER),
    range(ApiKey::DescribeClientQuotas, 0, 1, 1),
    range(ApiKey::AlterClientQuotas, 0, 1, 1),
    range(ApiKey::DescribeUserScramCredentials, 0, 0, 0),
    range(ApiKey::AlterUserScramCredentials, 0, 0, 0),
    range(ApiKey::DescribeCluster, 0, 2, 0),
    range(ApiKey::DescribeProducers, 0, 0, 0),
    range(ApiKey::DescribeTransactions, 0, 0, 0),
    range(ApiKey::ListTransactions, 0, 2, 0),
    range(ApiKey::ConsumerGroupHeartbeat, 0, 1, 0),
    range(ApiKey::ConsumerGroupDescribe, 0, 1, 0),
    range(ApiKey::ListConfigResources, 0, 1, 0),
    range(ApiKey::DescribeTopicPartitions, 0, 0, 0),
];

/// Messages that are described in `src/wire` and that no handler answers yet: neither advertised nor served. A row moves to
/// its place in [`APIS`] with its handler.
pub const NOT_SERVED: &[ApiRange] = &[];

/// Row in [`APIS`] by key, behind its end the row in [`NOT_SERVED`], [`NO_ROW`] for keys unknown: every request asks for it.
const ROWS: [u8; 128] = {
    let mut rows = [NO_ROW; 128];
    let mut i = 0;
    while i < APIS.len() + NOT_SERVED.len() {
        rows[row(i).key as usize] = i as u8;
        i += 1;
    }
    rows
};

const fn row(at: usize) -> ApiRange {
    if at < APIS.len() {
        APIS[at]
    } else {
        NOT_SERVED[at - APIS.len()]
    }
}
const NO_ROW: u8 = u8::MAX;

/// What becomes of a request by its key and version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lookup {
    /// Decode it.
    Served(ApiKey),
    /// Close the connection without an answer, as Kafka does.
    Refused,
    /// ApiVersions of a version not served: answer with
    /// [`fallback`](crate::wire::control::api_versions::fallback) and read nothing behind the correlation id (KIP-511).
    ApiVersionsFallback,
}

/// Decides by the first four bytes of a request.
pub fn lookup(key: i16, version: i16) -> Lookup {
    match ApiKey::from_code(key) {
        Some(api) if api.serves(version) => Lookup::Served(api),
        Some(ApiKey::ApiVersions) => Lookup::ApiVersionsFallback,
        _ => Lookup::Refused,
    }
}

impl ApiKey {
    /// The API of a number on the wire, `None` when not served.
    pub fn from_code(key: i16) -> Option<ApiKey> {
        let row = *ROWS.get(usize::try_from(key).ok()?)?;
        Some(APIS.get(usize::from(row))?.key)
    }

    /// The number on the wire.
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// The versions of this API.
    #[inline]
    pub const fn range(self) -> ApiRange {
        // Every ApiKey has its row; a missing one fails a test, not a request.
        row(ROWS[self as usize] as usize)
    }

    /// Whether messages of this version can be decoded.
    #[inline]
    pub const fn serves(self, version: i16) -> bool {
        let range = self.range();
        range.served_from <= version && version <= range.max
    }

    /// Whether this version has compact lengths and tagged fields.
    #[inline]
    pub const fn is_flexible(self, version: i16) -> bool {
        version >= self.range().flexible_from
    }

    /// Whether the response header of this version carries tagged fields. ApiVersions never does, so that clients can read
    /// the answer before they know any version (KIP-511).
    pub const fn response_header_is_flexible(self, version: i16) -> bool {
        !matches!(self, ApiKey::ApiVersions) && self.is_flexible(version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_by_its_key_and_rows_are_sorted() {
        for row in APIS {
            assert_eq!(row.key.range(), *row);
            assert_eq!(ApiKey::from_code(row.key.code()), Some(row.key));
        }
        for row in NOT_SERVED {
            assert_eq!(row.key.range(), *row);
            assert_eq!(ApiKey::from_code(row.key.code()), None);
            assert_eq!(lookup(row.key.code(), row.min), Lookup::Refused);
        }
        assert!(APIS.is_sorted_by_key(|row| row.key));
    }

    #[test]
    fn unknown_keys_and_versions_are_refused() {
        assert_eq!(lookup(0, 2), Lookup::Refused);
        assert_eq!(lookup(0, 3), Lookup::Served(ApiKey::Produce));
        assert_eq!(lookup(0, 14), Lookup::Refused);
        assert_eq!(lookup(1, 3), Lookup::Refused);
        assert_eq!(lookup(22, 6), Lookup::Refused);
        assert_eq!(lookup(7, 0), Lookup::Refused);
        assert_eq!(lookup(-1, 0), Lookup::Refused);
        assert_eq!(lookup(3, -1), Lookup::Refused);
    }

    #[test]
    fn only_api_versions_falls_back() {
        assert_eq!(lookup(18, 5), Lookup::ApiVersionsFallback);
        assert_eq!(lookup(18, -1), Lookup::ApiVersionsFallback);
        assert_eq!(lookup(18, 4), Lookup::Served(ApiKey::ApiVersions));
    }
}

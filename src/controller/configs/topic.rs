//! All topic keys of Kafka 4.3 (`TopicConfig`, `LogConfig`), in Kafka's alphabetical order, plus ringlog's own.

use super::{ConfigKey, Kind, key};

const LONG_MAX: &str = "9223372036854775807";
const NO_TIERED: &str = "tiered storage is not available";

/// The table. Sorted by name.
pub const TOPIC_KEYS: &[ConfigKey] = &[
    key(
        "cleanup.policy",
        Kind::List(&["compact", "delete"]),
        "delete",
        "What happens to old segments: delete them by retention, compact them by key, both, or nothing when empty.",
    )
    .from(&[("log.cleanup.policy", 1)]),
    key(
        "compression.gzip.level",
        Kind::Int(-1, 9),
        "-1",
        "Level used when the broker recompresses to gzip.",
    )
    .only(&["-1"], "only the default level is available"),
    key(
        "compression.lz4.level",
        Kind::Int(1, 17),
        "9",
        "Level used when the broker recompresses to lz4.",
    )
    .only(&["9"], "only the default level is available"),
    key(
        "compression.type",
        Kind::Word(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]),
        "producer",
        "Codec that batches are stored with; producer keeps what the producer chose.",
    )
    .from(&[("compression.type", 1)]),
    key(
        "compression.zstd.level",
        Kind::Int(-131_072, 22),
        "3",
        "Level used when the broker recompresses to zstd.",
    )
    .only(&["3"], "only the default level is available"),
    key(
        "delete.retention.ms",
        Kind::Long(0, i64::MAX),
        "86400000",
        "How long tombstones of a compacted topic are kept.",
    )
    .from(&[("log.cleaner.delete.retention.ms", 1)]),
    key(
        "file.delete.delay.ms",
        Kind::Long(0, i64::MAX),
        "60000",
        "Time between the removal of a segment from the log and of its file.",
    )
    .from(&[("log.segment.delete.delay.ms", 1)]),
    key(
        "flush.messages",
        Kind::Long(1, i64::MAX),
        LONG_MAX,
        "Records between forced flushes; always honoured: every acknowledged record is flushed.",
    )
    .from(&[("log.flush.interval.messages", 1)]),
    key(
        "flush.ms",
        Kind::Long(0, i64::MAX),
        LONG_MAX,
        "Time between forced flushes; always honoured: every acknowledged record is flushed.",
    )
    .from(&[("log.flush.interval.ms", 1)]),
    key(
        "follower.replication.throttled.replicas",
        Kind::List(&[]),
        "",
        "Replicas whose replication is throttled on the follower side; no effect with one replica.",
    ),
    key(
        "index.interval.bytes",
        Kind::Int(0, i32::MAX),
        "4096",
        "Bytes of log per index entry; no effect, the index is as dense as it needs to be.",
    ),
    key(
        "leader.replication.throttled.replicas",
        Kind::List(&[]),
        "",
        "Replicas whose replication is throttled on the leader side; no effect with one replica.",
    ),
    key(
        "local.retention.bytes",
        Kind::Long(-2, i64::MAX),
        "-2",
        "Local part of retention.bytes with tiered storage.",
    )
    .only(&["-2"], NO_TIERED),
    key(
        "local.retention.ms",
        Kind::Long(-2, i64::MAX),
        "-2",
        "Local part of retention.ms with tiered storage.",
    )
    .only(&["-2"], NO_TIERED),
    key(
        "max.compaction.lag.ms",
        Kind::Long(1, i64::MAX),
        LONG_MAX,
        "Longest time a record of a compacted topic stays uncompacted.",
    )
    .from(&[("log.cleaner.max.compaction.lag.ms", 1)]),
    key(
        "max.message.bytes",
        Kind::Int(0, i32::MAX),
        "1048588",
        "Largest record batch as stored, in bytes.",
    )
    .from(&[("message.max.bytes", 1)]),
    key(
        "message.timestamp.after.max.ms",
        Kind::Long(0, i64::MAX),
        "3600000",
        "How far a record's timestamp may lie in the future (KIP-937).",
    )
    .from(&[("log.message.timestamp.after.max.ms", 1)]),
    key(
        "message.timestamp.before.max.ms",
        Kind::Long(0, i64::MAX),
        LONG_MAX,
        "How far a record's timestamp may lie in the past (KIP-937).",
    )
    .from(&[("log.message.timestamp.before.max.ms", 1)]),
    key(
        "message.timestamp.type",
        Kind::Word(&["CreateTime", "LogAppendTime"]),
        "CreateTime",
        "Whether records carry the producer's time or that of the append.",
    )
    .from(&[("log.message.timestamp.type", 1)]),
    key(
        "min.cleanable.dirty.ratio",
        Kind::Double(0.0, 1.0),
        "0.5",
        "Share of uncompacted bytes that starts compaction of a compacted topic.",
    )
    .from(&[("log.cleaner.min.cleanable.ratio", 1)]),
    key(
        "min.compaction.lag.ms",
        Kind::Long(0, i64::MAX),
        "0",
        "Shortest time a record of a compacted topic stays uncompacted.",
    )
    .from(&[("log.cleaner.min.compaction.lag.ms", 1)]),
    key(
        "min.insync.replicas",
        Kind::Int(1, i32::MAX),
        "1",
        "In-sync replicas that a produce with acks=all needs; never more than the partition has.",
    )
    .from(&[("min.insync.replicas", 1)]),
    key(
        "preallocate",
        Kind::Bool,
        "false",
        "Allocate segment files ahead of use; no effect, they always are.",
    ),
    key(
        "remote.log.copy.disable",
        Kind::Bool,
        "false",
        "Stops copying to tiered storage.",
    )
    .only(&["false"], NO_TIERED),
    key(
        "remote.log.delete.on.disable",
        Kind::Bool,
        "false",
        "Deletes tiered data when it is disabled.",
    )
    .only(&["false"], NO_TIERED),
    key("remote.storage.enable", Kind::Bool, "false", "Tiered storage.").only(&["false"], NO_TIERED),
    key(
        "retention.bytes",
        Kind::Long(i64::MIN, i64::MAX),
        "-1",
        "Size of a partition at which old segments are deleted; -1 is unlimited.",
    )
    .from(&[("log.retention.bytes", 1)]),
    key(
        "retention.ms",
        Kind::Long(-1, i64::MAX),
        "604800000",
        "Age of records at which segments are deleted; -1 is never.",
    )
    .from(&[
        ("log.retention.ms", 1),
        ("log.retention.minutes", 60_000),
        ("log.retention.hours", 3_600_000),
    ]),
    key(
        "segment.bytes",
        Kind::Int(1_048_576, i32::MAX),
        "1073741824",
        "Size at which a segment is closed and a new one begun.",
    )
    .from(&[("log.segment.bytes", 1)]),
    key(
        "segment.index.bytes",
        Kind::Int(4, i32::MAX),
        "10485760",
        "Size of the index file; no effect, it grows as needed.",
    ),
    key(
        "segment.jitter.ms",
        Kind::Long(0, i64::MAX),
        "0",
        "Random part of segment.ms.",
    )
    .only(&["0"], "jitter is not available"),
    key(
        "segment.ms",
        Kind::Long(1, i64::MAX),
        "604800000",
        "Age at which a segment is closed although it is not full.",
    )
    .from(&[("log.roll.ms", 1), ("log.roll.hours", 3_600_000)]),
    key(
        "unclean.leader.election.enable",
        Kind::Bool,
        "false",
        "Whether a replica outside the in-sync set may lead; no effect with one replica.",
    )
    .from(&[("unclean.leader.election.enable", 1)]),
    key(
        "write.caching",
        Kind::Bool,
        "false",
        "Acknowledge from memory, before the flush.",
    )
    .only(&["false"], "every acknowledgement waits for stable storage"),
];

/// A topic key by name.
pub fn topic_key(name: &str) -> Option<&'static ConfigKey> {
    TOPIC_KEYS
        .binary_search_by(|key| key.name.cmp(name))
        .ok()
        .map(|at| &TOPIC_KEYS[at])
}

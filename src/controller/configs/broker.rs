//! Broker keys that ringlog knows, by Kafka's names. The server reads static values; topic defaults may change while running.

use super::{ConfigKey, Kind, key};

const LONG_MAX: &str = "9223372036854775807";

/// The table. Sorted by name.
pub const BROKER_KEYS: &[ConfigKey] = &[
    key(
        "advertised.listeners",
        Kind::Text,
        "",
        "Addresses that clients are told to connect to.",
    ),
    key(
        "auto.create.topics.enable",
        Kind::Bool,
        "true",
        "Whether a client's Metadata request may create a topic.",
    ),
    key("broker.id", Kind::Int(-1, i32::MAX), "-1", "Old name of node.id."),
    key("broker.rack", Kind::Text, "", "Rack of this broker."),
    key(
        "compression.type",
        Kind::Word(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]),
        "producer",
        "Default of the topic key.",
    )
    .dynamic(),
    key(
        "connections.max.idle.ms",
        Kind::Long(-1, i64::MAX),
        "600000",
        "Idle time after which a connection is closed.",
    ),
    key(
        "default.replication.factor",
        Kind::Int(1, i32::MAX),
        "1",
        "Replication factor of topics created without one.",
    ),
    key(
        "delete.topic.enable",
        Kind::Bool,
        "true",
        "Whether topics may be deleted.",
    ),
    key(
        "fetch.max.bytes",
        Kind::Int(1024, i32::MAX),
        "57671680",
        "Largest answer to a fetch in bytes.",
    ),
    key(
        "follower.replication.throttled.rate",
        Kind::Long(0, i64::MAX),
        LONG_MAX,
        "Bytes a second that throttled replicas fetch; no effect with one replica.",
    )
    .dynamic(),
    key(
        "group.consumer.assignors",
        Kind::List(&["uniform", "range"]),
        "uniform,range",
        "How groups of the new protocol may be assigned; the first is the default.",
    ),
    key(
        "group.consumer.heartbeat.interval.ms",
        Kind::Int(1, i32::MAX),
        "5000",
        "Time between heartbeats of members of the new protocol.",
    ),
    key(
        "group.consumer.max.size",
        Kind::Int(1, i32::MAX),
        "2147483647",
        "Most members of one group of the new protocol.",
    ),
    key(
        "group.consumer.migration.policy",
        Kind::Word(&["disabled", "bidirectional", "upgrade", "downgrade"]),
        "bidirectional",
        "Which way groups with members may change between the classic and the new protocol.",
    ),
    key(
        "group.consumer.session.timeout.ms",
        Kind::Int(1, i32::MAX),
        "45000",
        "Time after which a member of the new protocol that is not heard of is given up.",
    ),
    key(
        "group.initial.rebalance.delay.ms",
        Kind::Int(0, i32::MAX),
        "3000",
        "Time a new group waits for members.",
    ),
    key(
        "group.max.session.timeout.ms",
        Kind::Int(1, i32::MAX),
        "1800000",
        "Longest session timeout that a member may ask for.",
    ),
    key(
        "group.max.size",
        Kind::Int(1, i32::MAX),
        "2147483647",
        "Most members of one group.",
    ),
    key(
        "group.min.session.timeout.ms",
        Kind::Int(1, i32::MAX),
        "6000",
        "Shortest session timeout that a member may ask for.",
    ),
    key(
        "leader.replication.throttled.rate",
        Kind::Long(0, i64::MAX),
        LONG_MAX,
        "Bytes a second that leaders give throttled replicas; no effect with one replica.",
    )
    .dynamic(),
    key(
        "listener.security.protocol.map",
        Kind::Text,
        "PLAINTEXT:PLAINTEXT",
        "Protocol of each listener name.",
    ),
    key(
        "listeners",
        Kind::Text,
        "PLAINTEXT://:9092",
        "Addresses that the broker listens on.",
    ),
    key(
        "log.cleaner.backoff.ms",
        Kind::Long(0, i64::MAX),
        "15000",
        "Time between two looks for something to compact.",
    ),
    key(
        "log.cleaner.dedupe.buffer.size",
        Kind::Long(1, i64::MAX),
        "134217728",
        "Memory for the keys of one compaction; never more than an eighth of the broker's memory.",
    ),
    key(
        "log.cleaner.delete.retention.ms",
        Kind::Long(0, i64::MAX),
        "86400000",
        "Default of delete.retention.ms.",
    )
    .dynamic(),
    key(
        "log.cleaner.enable",
        Kind::Bool,
        "true",
        "Whether topics are compacted whose cleanup.policy says so.",
    ),
    key(
        "log.cleaner.io.buffer.size",
        Kind::Int(0, i32::MAX),
        "524288",
        "Bytes that compaction reads and writes at a time.",
    ),
    key(
        "log.cleaner.io.max.bytes.per.second",
        Kind::Double(0.0, f64::MAX),
        "1.7976931348623157E308",
        "Bytes that compaction reads and writes per second at most, all together.",
    ),
    key(
        "log.cleaner.max.compaction.lag.ms",
        Kind::Long(1, i64::MAX),
        LONG_MAX,
        "Default of max.compaction.lag.ms.",
    )
    .dynamic(),
    key(
        "log.cleaner.min.cleanable.ratio",
        Kind::Double(0.0, 1.0),
        "0.5",
        "Default of min.cleanable.dirty.ratio.",
    )
    .dynamic(),
    key(
        "log.cleaner.min.compaction.lag.ms",
        Kind::Long(0, i64::MAX),
        "0",
        "Default of min.compaction.lag.ms.",
    )
    .dynamic(),
    key(
        "log.cleaner.threads",
        Kind::Int(0, i32::MAX),
        "1",
        "Compactions under way at a time.",
    )
    .only(&["1"], "one compaction runs at a time, off the request path"),
    key(
        "log.cleanup.policy",
        Kind::List(&["compact", "delete"]),
        "delete",
        "Default of cleanup.policy.",
    )
    .dynamic(),
    key("log.dirs", Kind::Text, "./ringlog-data", "The data directory."),
    key(
        "log.flush.interval.messages",
        Kind::Long(1, i64::MAX),
        LONG_MAX,
        "Default of flush.messages.",
    )
    .dynamic(),
    key(
        "log.flush.interval.ms",
        Kind::Long(0, i64::MAX),
        LONG_MAX,
        "Default of flush.ms.",
    )
    .dynamic(),
    key(
        "log.message.timestamp.after.max.ms",
        Kind::Long(0, i64::MAX),
        "3600000",
        "Default of message.timestamp.after.max.ms.",
    )
    .dynamic(),
    key(
        "log.message.timestamp.before.max.ms",
        Kind::Long(0, i64::MAX),
        LONG_MAX,
        "Default of message.timestamp.before.max.ms.",
    )
    .dynamic(),
    key(
        "log.message.timestamp.type",
        Kind::Word(&["CreateTime", "LogAppendTime"]),
        "CreateTime",
        "Default of message.timestamp.type.",
    )
    .dynamic(),
    key(
        "log.retention.bytes",
        Kind::Long(i64::MIN, i64::MAX),
        "-1",
        "Default of retention.bytes.",
    )
    .dynamic(),
    key(
        "log.retention.check.interval.ms",
        Kind::Long(1, i64::MAX),
        "300000",
        "Time between retention checks.",
    ),
    key(
        "log.retention.hours",
        Kind::Int(i32::MIN, i32::MAX),
        "168",
        "Default of retention.ms in hours, weaker than minutes and ms.",
    ),
    key(
        "log.retention.minutes",
        Kind::Int(-1, i32::MAX),
        "",
        "Default of retention.ms in minutes, weaker than ms.",
    ),
    key(
        "log.retention.ms",
        Kind::Long(-1, i64::MAX),
        "",
        "Default of retention.ms.",
    )
    .dynamic(),
    key(
        "log.roll.hours",
        Kind::Int(1, i32::MAX),
        "168",
        "Default of segment.ms in hours, weaker than log.roll.ms.",
    ),
    key("log.roll.ms", Kind::Long(1, i64::MAX), "", "Default of segment.ms.").dynamic(),
    key(
        "log.segment.bytes",
        Kind::Int(1_048_576, i32::MAX),
        "1073741824",
        "Default of segment.bytes.",
    )
    .dynamic(),
    key(
        "log.segment.delete.delay.ms",
        Kind::Long(0, i64::MAX),
        "60000",
        "Default of file.delete.delay.ms.",
    )
    .dynamic(),
    key(
        "max.connections",
        Kind::Int(0, i32::MAX),
        "2147483647",
        "Most connections to the node at a time; more are closed at once.",
    ),
    key(
        "max.connections.per.ip",
        Kind::Int(0, i32::MAX),
        "2147483647",
        "Most connections to the node at a time from one address; more are closed at once.",
    ),
    key(
        "max.incremental.fetch.session.cache.slots",
        Kind::Int(0, i32::MAX),
        "1000",
        "Most fetch sessions at a time (KIP-227).",
    ),
    key(
        "message.max.bytes",
        Kind::Int(0, i32::MAX),
        "1048588",
        "Default of max.message.bytes.",
    )
    .dynamic(),
    key(
        "min.insync.replicas",
        Kind::Int(1, i32::MAX),
        "1",
        "Default of the topic key.",
    )
    .dynamic(),
    key("node.id", Kind::Int(0, i32::MAX), "1", "This broker's id."),
    key(
        "num.partitions",
        Kind::Int(1, i32::MAX),
        "1",
        "Partitions of topics created without a count.",
    ),
    key(
        "offset.metadata.max.bytes",
        Kind::Int(0, i32::MAX),
        "4096",
        "Longest text that a committed offset may carry.",
    ),
    key(
        "offsets.retention.check.interval.ms",
        Kind::Long(1, i64::MAX),
        "600000",
        "Time between looks for expired offsets.",
    ),
    key(
        "offsets.retention.minutes",
        Kind::Int(1, i32::MAX),
        "10080",
        "How long offsets of an empty group are kept.",
    ),
    key(
        "offsets.topic.num.partitions",
        Kind::Int(1, i32::MAX),
        "50",
        "Partitions of __consumer_offsets when it is made.",
    ),
    key(
        "offsets.topic.segment.bytes",
        Kind::Int(1, i32::MAX),
        "104857600",
        "segment.bytes of __consumer_offsets when it is made.",
    ),
    key(
        "process.roles",
        Kind::List(&["broker", "controller"]),
        "broker,controller",
        "Roles of this process.",
    ),
    key(
        "producer.id.expiration.ms",
        Kind::Int(1, i32::MAX),
        "86400000",
        "Idle time after which a producer's state is dropped.",
    )
    .dynamic(),
    key(
        "quota.window.size.seconds",
        Kind::Int(1, i32::MAX),
        "1",
        "Seconds of its rate that a client with a quota may use at once.",
    ),
    key(
        "replica.alter.log.dirs.io.max.bytes.per.second",
        Kind::Long(0, i64::MAX),
        LONG_MAX,
        "Bytes a second that move between directories; no effect, there is one.",
    )
    .dynamic(),
    key(
        "sasl.enabled.mechanisms",
        Kind::List(&[]),
        "",
        "SASL mechanisms that are offered.",
    ),
    key(
        "socket.receive.buffer.bytes",
        Kind::Int(-1, i32::MAX),
        "102400",
        "SO_RCVBUF of client sockets; -1 is the system's.",
    ),
    key(
        "socket.request.max.bytes",
        Kind::Int(1, i32::MAX),
        "104857600",
        "Largest request in bytes.",
    ),
    key(
        "socket.send.buffer.bytes",
        Kind::Int(-1, i32::MAX),
        "102400",
        "SO_SNDBUF of client sockets; -1 is the system's.",
    ),
    key(
        "unclean.leader.election.enable",
        Kind::Bool,
        "false",
        "Default of the topic key.",
    )
    .dynamic(),
];

/// A broker key by name.
pub fn broker_key(name: &str) -> Option<&'static ConfigKey> {
    BROKER_KEYS
        .binary_search_by(|key| key.name.cmp(name))
        .ok()
        .map(|at| &BROKER_KEYS[at])
}

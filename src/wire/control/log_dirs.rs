//! DescribeLogDirs and AlterReplicaLogDirs: where partitions lie, how large they are, and moving them (KIP-113, KIP-827).

use crate::wire::error::ErrorCode;
use crate::wire::message::{api, message};

api! {
    /// Key 35, v1 to v5.
    DescribeLogDirs: DescribeLogDirsRequest => DescribeLogDirsResponse
}

api! {
    /// Key 34, v1 and v2.
    AlterReplicaLogDirs: AlterReplicaLogDirsRequest => AlterReplicaLogDirsResponse
}

message! {
    /// Which partitions.
    pub struct DescribeLogDirsRequest {
        /// Topics wanted, null = all.
        topics: Option<Vec<TopicPartitions>> [..] null [..] = None;
    }
}

message! {
    /// A topic with some of its partitions.
    pub struct TopicPartitions {
        /// Name.
        topic: String [..] = String::new();
        /// Indexes.
        partitions: Vec<i32> [..] = Vec::new();
    }
}

message! {
    /// The directories.
    pub struct DescribeLogDirsResponse {
        /// How long the client is throttled, milliseconds.
        throttle_time_ms: i32 [..] = 0;
        /// `None` on success; from v3.
        error: ErrorCode [3..] = ErrorCode::None;
        /// Per directory.
        results: Vec<LogDir> [..] = Vec::new();
    }
}

message! {
    /// One directory.
    pub struct LogDir {
        /// `None` on success.
        error: ErrorCode [..] = ErrorCode::None;
        /// Absolute path.
        log_dir: String [..] = String::new();
        /// What lies there.
        topics: Vec<LogDirTopic> [..] = Vec::new();
        /// Size of the file system, bytes; -1 = unknown; from v4.
        total_bytes: i64 [4..] = -1;
        /// Free bytes of it; -1 = unknown; from v4.
        usable_bytes: i64 [4..] = -1;
        /// Takes no new partitions; from v5 (KIP-1066).
        is_cordoned: bool [5..] = false;
    }
}

message! {
    /// One topic.
    pub struct LogDirTopic {
        /// Name.
        name: String [..] = String::new();
        /// Its partitions there.
        partitions: Vec<LogDirPartition> [..] = Vec::new();
    }
}

message! {
    /// One partition.
    pub struct LogDirPartition {
        /// Index.
        index: i32 [..] = 0;
        /// Bytes of its log.
        size: i64 [..] = 0;
        /// How far the log is behind the high watermark.
        offset_lag: i64 [..] = 0;
        /// On its way to this directory.
        is_future: bool [..] = false;
    }
}

message! {
    /// Partitions to move.
    pub struct AlterReplicaLogDirsRequest {
        /// Per directory.
        dirs: Vec<AlterReplicaLogDir> [..] = Vec::new();
    }
}

message! {
    /// What one directory is to hold.
    pub struct AlterReplicaLogDir {
        /// Absolute path.
        path: String [..] = String::new();
        /// Partitions.
        topics: Vec<TopicPartitions> [..] = Vec::new();
    }
}

message! {
    /// How it went.
    pub struct AlterReplicaLogDirsResponse {
        /// How long the client is throttled, milliseconds.
        throttle_time_ms: i32 [..] = 0;
        /// Per topic.
        results: Vec<AlterReplicaLogDirTopic> [..] = Vec::new();
    }
}

message! {
    /// One topic.
    pub struct AlterReplicaLogDirTopic {
        /// Name.
        topic: String [..] = String::new();
        /// Its partitions.
        partitions: Vec<AlterReplicaLogDirPartition> [..] = Vec::new();
    }
}

message! {
    /// One partition.
    pub struct AlterReplicaLogDirPartition {
        /// Index.
        index: i32 [..] = 0;
        /// `None` on success.
        error: ErrorCode [..] = ErrorCode::None;
    }
}

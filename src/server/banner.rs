//! The start block: everything an operator wants to know, once.

use super::config::units::{show_cpus, show_size};
use super::config::{Config, HostPort, LogFormat};
use super::file_system::FileSystem;
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What is told.
pub struct Facts<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// Kernel release.
    pub kernel: String,
    /// Where Kafka clients are accepted.
    pub listen: SocketAddr,
    /// What they are told.
    pub advertise: HostPort,
    /// Where the admin server is.
    pub admin: Option<SocketAddr>,
    /// Absolute data directory.
    pub data_dir: PathBuf,
    /// Its file system.
    pub file_system: FileSystem,
    /// Cluster id.
    pub cluster_id: String,
    /// Node id.
    pub node_id: i32,
    /// Topics and partitions recovered.
    pub topics: (usize, usize),
    /// Journal bytes replayed.
    pub replayed: u64,
    /// Since the process began to start.
    pub ready_in: Duration,
    /// Sentences of caution.
    pub notes: Vec<String>,
}

/// Writes the block to stderr, as text or as one JSON log line.
pub fn show(facts: &Facts) {
    match facts.config.log_format {
        LogFormat::Text => eprint!("{}", text(facts)),
        LogFormat::Json => json(facts),
    }
}

fn text(facts: &Facts) -> String {
    let config = facts.config;
    let mut out = format!(
        "ringlog {}  ready in {} ms\n",
        env!("CARGO_PKG_VERSION"),
        facts.ready_in.as_millis()
    );
    let mut line = |label: &str, value: String| {
        let _ = writeln!(out, "  {label:<11}{value}");
    };
    line("kafka", format!("{}, advertised as {}", facts.listen, facts.advertise));
    match facts.admin {
        Some(admin) => line("admin", format!("http://{admin}  (/metrics, /livez, /readyz?verbose)")),
        None => line("admin", "off".into()),
    }
    line("shards", shards(config));
    line("memory", memory(config));
    line("kernel", format!("Linux {}", facts.kernel));
    line("data", data(facts));
    line(
        "durability",
        "every acknowledged record is on stable storage (flushed before the ack)".into(),
    );
    line(
        "cluster",
        format!(
            "{}, node {}, {} topics, {} partitions",
            facts.cluster_id, facts.node_id, facts.topics.0, facts.topics.1
        ),
    );
    if facts.replayed > 0 {
        line("recovered", format!("{} of journal", show_size(facts.replayed)));
    }
    for note in &facts.notes {
        line("note", note.clone());
    }
    out
}

fn shards(config: &Config) -> String {
    let plural = if config.shards == 1 { "" } else { "s" };
    let used = &config.cpus[..config.cpus.len().min(usize::from(config.shards))];
    format!("{} shard{plural} on CPU {}", config.shards, show_cpus(used))
}

fn memory(config: &Config) -> String {
    let share = config.memory / u64::from(config.shards.max(1));
    format!(
        "{}, {} per shard ({})",
        show_size(config.memory),
        show_size(share),
        config.settings.origin("memory")
    )
}

fn data(facts: &Facts) -> String {
    let fs = &facts.file_system;
    format!(
        "{}  ({} on {}, {} of {} free)",
        facts.data_dir.display(),
        fs.kind,
        fs.source,
        show_size(fs.free),
        show_size(fs.size)
    )
}

fn json(facts: &Facts) {
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        ready_ms = facts.ready_in.as_millis() as u64,
        kafka = %facts.listen,
        advertised = %facts.advertise,
        admin = facts.admin.map(|admin| admin.to_string()).unwrap_or_else(|| "off".into()),
        shards = facts.config.shards,
        cpus = show_cpus(&facts.config.cpus),
        memory_bytes = facts.config.memory,
        kernel = facts.kernel,
        data_dir = %facts.data_dir.display(),
        file_system = facts.file_system.kind,
        device = facts.file_system.source,
        disk_free_bytes = facts.file_system.free,
        durability = "flush_before_ack",
        cluster_id = facts.cluster_id,
        node_id = facts.node_id,
        topics = facts.topics.0,
        partitions = facts.topics.1,
        replayed_bytes = facts.replayed,
        "ready"
    );
    for note in &facts.notes {
        tracing::warn!("{note}");
    }
}

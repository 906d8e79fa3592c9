//! The metrics page: which numbers, under which names.

use super::exposition::{Exposition, Seconds};
use super::{Phase, ShardView, Shared};
use crate::metrics::{MemoryKind, OTHER_API, ShardMetrics, Snapshot, Stage};
use crate::wire::api::ApiKey;
use std::ffi::CString;
use std::fmt::Display;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Renders the page. Shards that have never answered are left out.
pub(super) fn render(shared: &Shared, views: &[ShardView]) -> String {
    let mut out = Exposition::default();
    node(&mut out, shared);
    process(&mut out);
    let shards: Vec<(String, &Snapshot)> = views
        .iter()
        .filter_map(|view| Some((format!("shard=\"{}\"", view.id), view.snapshot.as_deref()?)))
        .collect();
    requests(&mut out, &shards);
    loops(&mut out, &shards);
    storage(&mut out, &shards);
    memory(&mut out, &shards);
    out.finished()
}

fn node(out: &mut Exposition, shared: &Shared) {
    out.family("ringlog_build_info", "gauge", "Version of this binary.");
    out.sample(
        "ringlog_build_info",
        concat!("version=\"", env!("CARGO_PKG_VERSION"), "\""),
        1,
    );
    out.family("ringlog_durability_info", "gauge", "When a record is acknowledged.");
    out.sample("ringlog_durability_info", "mode=\"flush_before_ack\"", 1);
    let uptime = shared.started.elapsed().as_nanos() as u64;
    out.single("ringlog_uptime_seconds", "gauge", "Time since start.", Seconds(uptime));
    let ready = u8::from(shared.status.phase() == Phase::Ready);
    out.single("ringlog_ready", "gauge", "1 while the broker serves.", ready);
    if let Some((free, size)) = disk_space(&shared.data_dir) {
        out.single(
            "ringlog_disk_free_bytes",
            "gauge",
            "Free bytes of the data directory's file system.",
            free,
        );
        out.single(
            "ringlog_disk_size_bytes",
            "gauge",
            "Size of the data directory's file system.",
            size,
        );
    }
}

/// Prometheus' usual process metrics, those that cost one read.
fn process(out: &mut Exposition) {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The command may contain spaces; the fields behind its closing bracket do not.
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .map_or(Vec::new(), |(_, rest)| rest.split_whitespace().collect());
    let number = |at: usize| fields.get(at).and_then(|text| text.parse::<u64>().ok());
    // SAFETY: plain queries of constants.
    let (ticks, page) = unsafe { (libc::sysconf(libc::_SC_CLK_TCK), libc::sysconf(libc::_SC_PAGESIZE)) };
    if let (Some(user), Some(system), true) = (number(11), number(12), ticks > 0) {
        let cpu = Seconds((user + system).saturating_mul(1_000_000_000 / ticks as u64));
        out.single("process_cpu_seconds_total", "counter", "CPU time used.", cpu);
    }
    if let Some(pages) = number(21) {
        let bytes = pages.saturating_mul(page.max(0) as u64);
        out.single("process_resident_memory_bytes", "gauge", "Resident memory.", bytes);
    }
    if let Ok(entries) = fs::read_dir("/proc/self/fd") {
        out.single("process_open_fds", "gauge", "Open file descriptors.", entries.count());
    }
}

/// A number that a shard has.
type Field<T> = fn(&ShardMetrics) -> T;

fn per_shard<T: Display>(
    out: &mut Exposition,
    shards: &[(String, &Snapshot)],
    name: &str,
    help: &str,
    field: Field<T>,
) {
    let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
    out.family(name, kind, help);
    for (label, metrics) in shards {
        out.sample(name, label, field(metrics));
    }
}

fn requests(out: &mut Exposition, shards: &[(String, &Snapshot)]) {
    let mut all = ShardMetrics::default();
    shards.iter().for_each(|(_, metrics)| all.merge(metrics));
    let apis: Vec<_> = all
        .apis()
        .map(|(key, api)| (format!("api=\"{}\"", api_name(key)), api))
        .collect();
    out.family(
        "ringlog_request_duration_seconds",
        "histogram",
        "From a request's last byte until its reply is sent.",
    );
    for (label, api) in &apis {
        out.latency("ringlog_request_duration_seconds", label, &api.duration);
    }
    out.family("ringlog_requests_total", "counter", "Requests answered.");
    for (label, api) in &apis {
        out.sample("ringlog_requests_total", label, api.requests);
    }
    out.family(
        "ringlog_request_errors_total",
        "counter",
        "Answers with at least one error code.",
    );
    for (label, api) in &apis {
        out.sample("ringlog_request_errors_total", label, api.errors);
    }
    out.family("ringlog_request_bytes_total", "counter", "Bytes of requests.");
    for (label, api) in &apis {
        out.sample("ringlog_request_bytes_total", label, api.request_bytes);
    }
    out.family("ringlog_response_bytes_total", "counter", "Bytes of replies.");
    for (label, api) in &apis {
        out.sample("ringlog_response_bytes_total", label, api.response_bytes);
    }
    out.family(
        "ringlog_request_stage_seconds",
        "histogram",
        "Time of a request in one stage inside the broker.",
    );
    for stage in Stage::ALL {
        let label = format!("api=\"{}\",stage=\"{}\"", api_name(stage.api()), stage.name());
        out.latency("ringlog_request_stage_seconds", &label, all.stage_latency(stage));
    }
}

/// Numbers that each shard counts: name, help, where they are.
type Rows = [(&'static str, &'static str, Field<u64>)];

const LOOPS: &Rows = &[
    (
        "ringlog_shard_rounds_total",
        "Rounds of the shard's loop with work.",
        |m| m.rounds,
    ),
    ("ringlog_shard_events_total", "Events handled.", |m| m.events),
    (
        "ringlog_shard_hop_requests_total",
        "Requests sent to another shard.",
        |m| m.hops,
    ),
    ("ringlog_connections", "Open client connections.", |m| m.connections),
    ("ringlog_connections_accepted_total", "Connections accepted.", |m| {
        m.accepted
    }),
    (
        "ringlog_connections_refused_total",
        "Connections refused or closed for breaking a limit.",
        |m| m.refused,
    ),
    (
        "ringlog_requests_trailing_bytes_total",
        "Bytes behind the end of requests: left unread, as Kafka does.",
        |m| m.request_trailing_bytes,
    ),
    ("ringlog_partitions", "Partitions owned.", |m| m.partitions),
    ("ringlog_groups", "Consumer groups coordinated.", |m| m.groups),
    (
        "ringlog_group_offsets",
        "Offsets that consumer groups have committed.",
        |m| m.group_offsets,
    ),
    (
        "ringlog_throttled_produces_total",
        "Produces of clients above producer_byte_rate.",
        |m| m.throttled[0],
    ),
    (
        "ringlog_throttled_fetches_total",
        "Fetches of clients above consumer_byte_rate.",
        |m| m.throttled[1],
    ),
    (
        "ringlog_throttled_requests_total",
        "Requests of clients above request_percentage or controller_mutation_rate.",
        |m| m.throttled[2],
    ),
    (
        "ringlog_throttled_connections_total",
        "Connections of addresses above connection_creation_rate.",
        |m| m.throttled[3],
    ),
    (
        "ringlog_backpressure_total",
        "Produces that waited or were refused: journal or memory full.",
        |m| m.backpressure,
    ),
];

const STORAGE: &Rows = &[
    (
        "ringlog_cleaner_runs_total",
        "Compactions of a stretch of a partition.",
        |m| m.cleaner_runs,
    ),
    ("ringlog_cleaner_read_bytes_total", "Bytes read by compaction.", |m| {
        m.cleaner_read_bytes
    }),
    (
        "ringlog_cleaner_written_bytes_total",
        "Bytes written by compaction.",
        |m| m.cleaner_written_bytes,
    ),
    (
        "ringlog_cleaner_max_dirty_percent",
        "Largest share of uncompacted bytes of any compacted partition.",
        |m| m.cleaner_dirty_percent,
    ),
    (
        "ringlog_disk_written_bytes_total",
        "Bytes written, journal and segments.",
        |m| m.disk_written_bytes,
    ),
    ("ringlog_journal_written_bytes_total", "Bytes of journal blocks.", |m| {
        m.journal_written_bytes
    }),
    ("ringlog_disk_read_bytes_total", "Bytes read from disk.", |m| {
        m.disk_read_bytes
    }),
    (
        "ringlog_acked_bytes_total",
        "Bytes of record batches acknowledged as durable.",
        |m| m.acked_bytes,
    ),
    ("ringlog_acked_records_total", "Records acknowledged as durable.", |m| {
        m.acked_records
    }),
    (
        "ringlog_fetched_bytes_total",
        "Bytes of record batches given to fetches.",
        |m| m.fetched_bytes,
    ),
    ("ringlog_cache_hits_total", "Reads answered from memory.", |m| {
        m.cache_hits
    }),
    ("ringlog_cache_misses_total", "Reads that went to disk.", |m| {
        m.cache_misses
    }),
    (
        "ringlog_journal_used_bytes",
        "Journal bytes not yet reclaimable.",
        |m| m.journal_used_bytes,
    ),
    ("ringlog_journal_size_bytes", "Size of all journal files.", |m| {
        m.journal_size_bytes
    }),
];

fn rows(out: &mut Exposition, shards: &[(String, &Snapshot)], rows: &Rows) {
    for (name, help, field) in rows {
        per_shard(out, shards, name, help, *field);
    }
}

fn loops(out: &mut Exposition, shards: &[(String, &Snapshot)]) {
    let busy: Field<Seconds> = |m| Seconds(m.busy_ns);
    per_shard(
        out,
        shards,
        "ringlog_shard_busy_seconds_total",
        "Time the shard worked, neither parked nor spinning.",
        busy,
    );
    let throttled: Field<Seconds> = |m| Seconds(m.throttled_ns);
    per_shard(
        out,
        shards,
        "ringlog_throttled_seconds_total",
        "Time that clients above their quotas had to wait.",
        throttled,
    );
    rows(out, shards, LOOPS);
    let help = "Events handled in one round of the shard's loop.";
    out.family("ringlog_shard_round_events", "histogram", help);
    for (label, metrics) in shards {
        out.sizes("ringlog_shard_round_events", label, &metrics.round_events);
    }
    let help = "Rounds that took longer than the stall limit.";
    out.family("ringlog_shard_stall_seconds", "histogram", help);
    for (label, metrics) in shards {
        out.latency("ringlog_shard_stall_seconds", label, &metrics.stalls);
    }
}

fn storage(out: &mut Exposition, shards: &[(String, &Snapshot)]) {
    let help = "Journal block writes, from submission until durable.";
    out.family("ringlog_flush_duration_seconds", "histogram", help);
    for (label, metrics) in shards {
        out.latency("ringlog_flush_duration_seconds", label, &metrics.flush);
    }
    let help = "Record batches per journal block.";
    out.family("ringlog_group_commit_batches", "histogram", help);
    for (label, metrics) in shards {
        out.sizes("ringlog_group_commit_batches", label, &metrics.group_batches);
    }
    out.family("ringlog_group_commit_bytes", "histogram", "Bytes per journal block.");
    for (label, metrics) in shards {
        out.sizes("ringlog_group_commit_bytes", label, &metrics.group_bytes);
    }
    rows(out, shards, STORAGE);
}

fn memory(out: &mut Exposition, shards: &[(String, &Snapshot)]) {
    out.family("ringlog_memory_bytes", "gauge", "Memory in use by purpose.");
    for (label, metrics) in shards {
        for kind in MemoryKind::ALL {
            out.sample(
                "ringlog_memory_bytes",
                &format!("{label},kind=\"{}\"", kind.name()),
                metrics.memory(kind),
            );
        }
    }
}

/// `Produce` to `produce`, `ListOffsets` to `list_offsets`.
fn api_name(key: i16) -> String {
    if key == OTHER_API {
        return "other".into();
    }
    let Some(api) = ApiKey::from_code(key) else {
        return format!("key_{key}");
    };
    let mut name = String::new();
    for letter in format!("{api:?}").chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

/// Bytes free to us and in all of the file system that holds `path`.
pub(super) fn disk_space(path: &Path) -> Option<(u64, u64)> {
    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    // SAFETY: statvfs is plain data for which zero is valid; the call fills it.
    let mut space: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are valid for the call.
    if unsafe { libc::statvfs(path.as_ptr(), &mut space) } != 0 {
        return None;
    }
    Some((space.f_bavail * space.f_frsize, space.f_blocks * space.f_frsize))
}

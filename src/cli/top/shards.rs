//! Load of shards, from the Prometheus page of ringlog's admin address.

use crate::cli::failure::{EXIT_CONNECT, Failure};
use crate::cli::output::{self, Align};
use crate::client::Address;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// Usual port of the admin address.
const ADMIN_PORT: u16 = 9644;
/// Largest page read, bytes.
const PAGE_MAX: u64 = 16 << 20;
/// Longest wait for an address that was only guessed.
const GUESS_PATIENCE: Duration = Duration::from_millis(500);
/// Share of flushes that the shown time covers.
const QUANTILE: f64 = 0.99;

/// Where the metrics are.
#[derive(Debug)]
pub(super) struct Admin {
    address: Address,
    timeout: Duration,
}

/// Counters of each shard, by number.
pub(super) type Counters = BTreeMap<u32, Counter>;

/// What one shard has counted since its start.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Counter {
    busy_seconds: f64,
    rounds: f64,
    acked_bytes: f64,
    batches: f64,
    blocks: f64,
    /// Flushes no longer than the bound (seconds), in order of bounds.
    flushes: Vec<(f64, f64)>,
}

/// Load between two looks.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct ShardLoad {
    shard: u32,
    /// Share of time with work, 0 to 100.
    busy_percent: f64,
    rounds_per_second: f64,
    acked_bytes_per_second: f64,
    /// Batches in one journal block; `None` if none was written.
    batches_per_block: Option<f64>,
    /// Upper bound of the bucket that holds the 99th percentile; `None` if nothing was flushed.
    flush_p99_ms: Option<f64>,
}

impl Admin {
    /// The page to read: as told, or a guess that answered.
    ///
    /// # Errors
    /// An address that cannot be read, or that was given and does not answer.
    pub fn find(told: Option<&str>, bootstrap: &Address, timeout: Duration) -> Result<Option<Admin>, Failure> {
        match told {
            Some("off" | "none") => Ok(None),
            Some(text) => {
                let with_port = if text.contains(':') {
                    text.to_string()
                } else {
                    format!("{text}:{ADMIN_PORT}")
                };
                let address =
                    Address::parse(&with_port).map_err(|reason| Failure::usage(format!("--admin: {reason}")))?;
                let admin = Admin { address, timeout };
                admin.read()?;
                Ok(Some(admin))
            }
            None => {
                let address = Address {
                    host: bootstrap.host.clone(),
                    port: ADMIN_PORT,
                };
                let guess = Admin {
                    address,
                    timeout: timeout.min(GUESS_PATIENCE),
                };
                let found = guess.read().is_ok_and(|counters| !counters.is_empty());
                Ok(found.then_some(Admin { timeout, ..guess }))
            }
        }
    }

    /// Reads the counters.
    ///
    /// # Errors
    /// Exit code 5, with what the admin address did.
    pub fn read(&self) -> Result<Counters, Failure> {
        let page = self.page().map_err(|cause| {
            Failure::Other(
                EXIT_CONNECT,
                format!("no metrics from {}: {cause}", self.address),
                Some("--admin names ringlog's admin address; --admin off leaves the shards out".to_string()),
            )
        })?;
        Ok(parse(&page))
    }

    fn page(&self) -> Result<String, String> {
        let words = |error: std::io::Error| error.to_string();
        let mut sockets = (self.address.host.as_str(), self.address.port)
            .to_socket_addrs()
            .map_err(|_| "no such host".to_string())?;
        let socket = sockets.next().ok_or("the name has no address")?;
        let mut stream = TcpStream::connect_timeout(&socket, self.timeout).map_err(words)?;
        stream.set_read_timeout(Some(self.timeout)).map_err(words)?;
        stream.set_write_timeout(Some(self.timeout)).map_err(words)?;
        // HTTP/1.0: the end of the page is the end of the connection.
        let request = format!("GET /metrics HTTP/1.0\r\nHost: {}\r\n\r\n", self.address);
        stream.write_all(request.as_bytes()).map_err(words)?;
        let mut answer = Vec::new();
        stream.take(PAGE_MAX).read_to_end(&mut answer).map_err(words)?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("it does not speak HTTP")?;
        let status = head.lines().next().unwrap_or_default();
        if status.split(' ').nth(1) != Some("200") {
            return Err(format!("it answers `{status}`"));
        }
        Ok(body.to_string())
    }
}

/// Picks the lines of shards out of the page.
fn parse(page: &str) -> Counters {
    let mut counters = Counters::new();
    for line in page.lines().filter(|line| line.starts_with("ringlog_")) {
        let Some((name, labels, value)) = sample(line) else {
            continue;
        };
        let Some(shard) = label(labels, "shard").and_then(|text| text.parse().ok()) else {
            continue;
        };
        let counter = counters.entry(shard).or_default();
        match name {
            "ringlog_shard_busy_seconds_total" => counter.busy_seconds = value,
            "ringlog_shard_rounds_total" => counter.rounds = value,
            "ringlog_acked_bytes_total" => counter.acked_bytes = value,
            "ringlog_group_commit_batches_sum" => counter.batches = value,
            "ringlog_group_commit_batches_count" => counter.blocks = value,
            "ringlog_flush_duration_seconds_bucket" => {
                let bound = label(labels, "le").and_then(|text| text.parse().ok());
                counter.flushes.push((bound.unwrap_or(f64::INFINITY), value));
            }
            _ => {}
        }
    }
    counters
}

/// `name{labels} value`.
fn sample(line: &str) -> Option<(&str, &str, f64)> {
    let (name, rest) = line.split_once('{')?;
    let (labels, value) = rest.rsplit_once('}')?;
    Some((name, labels, value.trim().parse().ok()?))
}

fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    labels.split(',').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (key.trim() == name).then(|| value.trim_matches('"'))
    })
}

/// Load between two looks; a shard that the first lacks, or that started anew, is counted from its start.
pub(super) fn between(before: &Counters, now: &Counters, seconds: f64) -> Vec<ShardLoad> {
    let load = |(shard, now): (&u32, &Counter)| {
        let before = before.get(shard).filter(|before| before.rounds <= now.rounds).cloned();
        let before = before.unwrap_or_default();
        let blocks = now.blocks - before.blocks;
        ShardLoad {
            shard: *shard,
            busy_percent: (now.busy_seconds - before.busy_seconds) / seconds * 100.0,
            rounds_per_second: (now.rounds - before.rounds) / seconds,
            acked_bytes_per_second: (now.acked_bytes - before.acked_bytes) / seconds,
            batches_per_block: (blocks > 0.0).then(|| (now.batches - before.batches) / blocks),
            flush_p99_ms: quantile(&before.flushes, &now.flushes).map(|seconds| seconds * 1000.0),
        }
    };
    now.iter().map(load).collect()
}

/// Bound of the first bucket that covers [`QUANTILE`] of what came between.
fn quantile(before: &[(f64, f64)], now: &[(f64, f64)]) -> Option<f64> {
    let earlier = |bound: f64| {
        before
            .iter()
            .find(|(other, _)| *other == bound)
            .map_or(0.0, |(_, count)| *count)
    };
    let grown: Vec<(f64, f64)> = now
        .iter()
        .map(|(bound, count)| (*bound, count - earlier(*bound)))
        .collect();
    let all = grown.last().map(|(_, count)| *count).filter(|count| *count > 0.0)?;
    let found = grown.iter().find(|(_, count)| *count >= all * QUANTILE);
    found.map(|(bound, _)| *bound).filter(|bound| bound.is_finite())
}

pub(super) fn table(shards: &[ShardLoad]) -> String {
    let headers = [
        ("SHARD", Align::Right),
        ("BUSY", Align::Right),
        ("ROUNDS/S", Align::Right),
        ("ACKED", Align::Right),
        ("BATCHES/BLOCK", Align::Right),
        ("FLUSH P99", Align::Right),
    ];
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_string());
    let cells = shards.iter().map(|shard| {
        vec![
            shard.shard.to_string(),
            format!("{:.1} %", shard.busy_percent),
            format!("{:.0}", shard.rounds_per_second),
            format!("{:.1} MB/s", shard.acked_bytes_per_second / 1e6),
            or_dash(shard.batches_per_block.map(|count| format!("{count:.1}"))),
            or_dash(shard.flush_p99_ms.map(|ms| format!("<= {ms:.2} ms"))),
        ]
    });
    output::columns(&headers, cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\
# TYPE ringlog_shard_busy_seconds_total counter
ringlog_shard_busy_seconds_total{shard=\"0\"} 1.5
ringlog_shard_rounds_total{shard=\"0\"} 200
ringlog_acked_bytes_total{shard=\"0\"} 4000
ringlog_group_commit_batches_sum{shard=\"0\"} 30
ringlog_group_commit_batches_count{shard=\"0\"} 10
ringlog_flush_duration_seconds_bucket{shard=\"0\",le=\"0.001\"} 98
ringlog_flush_duration_seconds_bucket{shard=\"0\",le=\"0.002\"} 100
ringlog_flush_duration_seconds_bucket{shard=\"0\",le=\"+Inf\"} 100
ringlog_uptime_seconds 5
";

    #[test]
    fn load_is_what_came_between_two_pages() {
        let before = parse(
            &PAGE
                .replace(" 1.5", " 1.0")
                .replace("} 200", "} 100")
                .replace("} 98", "} 0")
                .replace("} 100", "} 0"),
        );
        let now = parse(PAGE);
        let loads = between(&before, &now, 2.0);
        assert_eq!(loads.len(), 1);
        let load = &loads[0];
        assert_eq!((load.shard, load.busy_percent), (0, 25.0));
        assert_eq!(load.flush_p99_ms, Some(2.0));
        assert_eq!(load.batches_per_block, None, "no block between");
        let since_start = &between(&Counters::new(), &now, 2.0)[0];
        assert_eq!(since_start.batches_per_block, Some(3.0));
        assert_eq!(since_start.rounds_per_second, 100.0);
        assert!(parse("<html>{}</html>\nringlog_x{shard=\"a\"} 1\n").is_empty());
    }
}

//! The admin server as Prometheus and a health check meet it.

use super::*;
use crate::base::ids::ShardId;
use crate::metrics::{ShardMetrics, Stage};
use crate::reactor::{Mailbox, Note, Waker, mailbox};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};

fn start(shards: &[ShardHandle]) -> (Control, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let config = ControlConfig {
        admin: Some(listener),
        data_dir: PathBuf::from("/"),
        on_order: Box::new(|_| {}),
    };
    let control = Control::start(config).unwrap();
    control.set_shards(shards.to_vec());
    (control, address)
}

fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let status = text.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap();
    let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_string()).unwrap();
    (status, body)
}

/// A thread that answers notes as a shard does.
fn answering_shard(id: u16, metrics: ShardMetrics, stop: Arc<AtomicBool>) -> (ShardHandle, thread::JoinHandle<()>) {
    let (handle, inbox) = mailbox(ShardId(id), Arc::new(Waker::new().unwrap()));
    let answer = move |inbox: Mailbox, mut metrics: ShardMetrics| {
        while !stop.load(Ordering::Relaxed) {
            for note in inbox.take() {
                if let Note::Inspect(look) = note {
                    look(&mut metrics);
                }
            }
            thread::sleep(Duration::from_millis(1));
        }
    };
    (handle, thread::spawn(move || answer(inbox, metrics)))
}

#[test]
fn metrics_of_all_shards_are_shown_with_fine_buckets() {
    let stop = Arc::new(AtomicBool::new(false));
    let mut one = ShardMetrics::default();
    one.request(0, 120_000, 1000, 60, false);
    one.stage(Stage::ProduceFlush, 90_000);
    one.journal_block(4, 8192, 90_000);
    one.round_events.record(3);
    one.request_trailing_bytes = 9;
    let mut two = ShardMetrics::default();
    two.request(0, 130_000, 500, 60, true);
    two.hops = 7;
    let (first, first_thread) = answering_shard(0, one, stop.clone());
    let (second, second_thread) = answering_shard(1, two, stop.clone());
    let (_control, address) = start(&[first, second]);
    let (status, page) = get(address, "/metrics");
    stop.store(true, Ordering::Relaxed);
    first_thread.join().unwrap();
    second_thread.join().unwrap();
    assert_eq!(status, 200);
    for line in [
        "ringlog_request_duration_seconds_bucket{api=\"produce\",le=\"0.00015\"} 2",
        "ringlog_request_duration_seconds_bucket{api=\"produce\",le=\"0.0001\"} 0",
        "ringlog_request_errors_total{api=\"produce\"} 1",
        "ringlog_request_stage_seconds_count{api=\"produce\",stage=\"flush\"} 1",
        "ringlog_shard_hop_requests_total{shard=\"1\"} 7",
        "ringlog_shard_round_events_sum{shard=\"0\"} 3",
        "ringlog_requests_trailing_bytes_total{shard=\"0\"} 9",
        "ringlog_flush_duration_seconds_count{shard=\"0\"} 1",
        "ringlog_group_commit_batches_bucket{shard=\"0\",le=\"4\"} 1",
        "ringlog_durability_info{mode=\"flush_before_ack\"} 1",
    ] {
        assert!(page.lines().any(|l| l == line), "missing {line} in\n{page}");
    }
    for name in [
        "ringlog_disk_free_bytes",
        "process_resident_memory_bytes",
        "process_cpu_seconds_total",
    ] {
        assert!(page.lines().any(|l| l.starts_with(name)), "missing {name}");
    }
}

#[test]
fn readiness_follows_the_phase_and_liveness_does_not() {
    let (control, address) = start(&[]);
    assert_eq!(get(address, "/livez").0, 200);
    let (status, text) = get(address, "/readyz");
    assert_eq!((status, text.contains("recovering")), (503, true), "{text}");
    control.status().set(Phase::Ready);
    assert_eq!(get(address, "/readyz").1, "ready\n");
    let (status, text) = get(address, "/readyz?verbose");
    assert_eq!(status, 200);
    assert!(
        text.contains("[+] broker: ok") && text.contains("[+] disk: ok"),
        "{text}"
    );
    assert_eq!(get(address, "/v1/status/ready").1, "{\"status\":\"ready\"}\n");
    control.status().set(Phase::Failed("journal write failed".into()));
    control.status().set(Phase::Ready);
    let (status, text) = get(address, "/-/ready");
    assert_eq!(status, 503, "a failure is final");
    assert!(text.contains("journal write failed"), "{text}");
    assert_eq!(get(address, "/-/healthy").0, 200);
    assert_eq!(get(address, "/nothing").0, 404);
}

#[test]
fn a_shard_that_hangs_delays_no_scrape_for_long() {
    let (hanging, inbox) = mailbox(ShardId(0), Arc::new(Waker::new().unwrap()));
    let (_control, address) = start(&[hanging]);
    let before = Instant::now();
    for _ in 0..3 {
        assert_eq!(get(address, "/metrics").0, 200);
    }
    assert!(before.elapsed() < Duration::from_secs(5));
    assert_eq!(inbox.take().len(), 1, "it is not asked again before it answers");
}

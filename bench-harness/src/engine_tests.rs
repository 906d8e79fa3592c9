use super::*;
use crate::ledger::{ACKED_SOMEWHERE, UNKNOWN};
use crate::plan::{Arrival, schedule};
use crate::setup::{Setup, prepare};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// What the test server does before answering request number `n` of a connection; false = close instead.
type Before = fn(u64) -> bool;

fn serve(before: Before) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || answer(stream.unwrap(), before));
        }
    });
    at
}

fn answer(mut stream: TcpStream, before: Before) {
    stream.set_nodelay(true).unwrap();
    for n in 0.. {
        let mut len = [0; 4];
        if stream.read_exact(&mut len).is_err() {
            return;
        }
        let mut request = vec![0; u32::from_be_bytes(len) as usize];
        stream.read_exact(&mut request).unwrap();
        if !before(n) {
            return;
        }
        if let Some(reply) = crate::floor::reply_to(&request).unwrap() {
            stream.write_all(&reply).unwrap();
        }
    }
}

fn run(at: SocketAddr, connections: usize, drive: &Drive) -> (Tally, Ledger) {
    let shape = Shape {
        topic: "t".into(),
        acks: -1,
        timeout_ms: 1000,
        records: 2,
        record_bytes: 64,
        run_id: 5,
    };
    let setup = Setup {
        bootstrap: at,
        raw: true,
        partitions: 3,
        configs: &[],
        connections,
        idempotent: false,
    };
    let (conns, mut ledger) = prepare(&setup, &shape).unwrap();
    let tally = Engine::new(&shape, drive, conns, &mut ledger)
        .unwrap()
        .run(mono_ns())
        .unwrap();
    (tally, ledger)
}

fn open(rate: f64, seconds: f64) -> Pace {
    Pace::Open {
        due: schedule(rate, seconds, Arrival::Constant, 1),
    }
}

fn marks(ledger: &Ledger, mark: i64) -> u64 {
    ledger
        .lanes
        .iter()
        .flat_map(|l| &l.acks)
        .filter(|a| **a == mark)
        .count() as u64
}

#[test]
fn a_stall_counts_for_every_request_that_was_due_in_it() {
    let at = serve(|n| {
        if n == 100 {
            std::thread::sleep(Duration::from_millis(400));
        }
        true
    });
    for window in [1, usize::MAX] {
        let drive = Drive {
            pace: open(1000.0, 1.0),
            warmup_s: 0.0,
            seconds: 1.0,
            window,
            spin: false,
        };
        let (tally, ledger) = run(at, 1, &drive);
        assert_eq!((tally.due, tally.acked, tally.response.len()), (1000, 1000, 1000));
        assert_eq!(marks(&ledger, ACKED_SOMEWHERE), 1000);
        // 400 requests came due in the stall; a client that waited for its answers would report one slow request.
        let slow = tally.response.len() - tally.response.count_between(0, 100_000_000);
        assert!(
            (200..900).contains(&slow),
            "window {window}: {slow} requests over 100 ms"
        );
    }
}

#[test]
fn a_closed_loop_counts_every_request_once_and_covers_all_partitions() {
    let at = serve(|_| true);
    let drive = Drive {
        pace: Pace::Closed { depth: 3 },
        warmup_s: 0.1,
        seconds: 0.3,
        window: 3,
        spin: false,
    };
    let (tally, ledger) = run(at, 4, &drive);
    assert!(
        tally.acked > 10 && tally.acked == marks(&ledger, ACKED_SOMEWHERE),
        "{} acked",
        tally.acked
    );
    assert_eq!((tally.unanswered, tally.unsent, marks(&ledger, UNKNOWN)), (0, 0, 0));
    for partition in 0..3 {
        assert!(
            ledger
                .lanes
                .iter()
                .any(|l| l.partition == partition && !l.acks.is_empty())
        );
    }
}

#[test]
fn a_lost_connection_leaves_its_requests_unknown_and_ends_the_run() {
    let at = serve(|n| n < 50);
    let drive = Drive {
        pace: open(2000.0, 0.5),
        warmup_s: 0.0,
        seconds: 0.5,
        window: usize::MAX,
        spin: false,
    };
    let (tally, ledger) = run(at, 2, &drive);
    assert_eq!((tally.disconnects, tally.acked), (2, 100));
    assert_eq!(marks(&ledger, ACKED_SOMEWHERE), 100);
    assert_eq!(marks(&ledger, UNKNOWN), tally.unanswered);
    assert!(tally.unanswered > 0 && tally.unsent > 0);
}

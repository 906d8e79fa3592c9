//! From the start of a process to its first acknowledged record: what a user waits for after a start or a crash.

use crate::clock::{mono_ns, wall_ms};
use crate::control::Control;
use crate::payload::{Shape, Stamp, Template};
use crate::setup::make_topic;
use serde::Serialize;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const GIVE_UP_NS: u64 = 120_000_000_000;

/// Times since the process was started.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct FirstAck {
    /// First accepted connection, ms.
    pub connected_ms: f64,
    /// First acknowledged record, ms.
    pub acked_ms: f64,
    /// CPU that the broker did not use meanwhile, % of a core: how quiet the machine was.
    pub other_cpu_percent: f64,
}

/// Tries every millisecond until one record of `topic` is acknowledged; the topic is made when missing.
///
/// # Errors
/// When `alive` turns false, or after two minutes, with the last failure.
pub fn first_ack(
    at: SocketAddr,
    topic: &str,
    raw: bool,
    configs: &[(String, String)],
    start_ns: u64,
    mut alive: impl FnMut() -> bool,
) -> io::Result<FirstAck> {
    let since = |now: u64| (now - start_ns) as f64 / 1e6;
    let mut connected_ms = None;
    loop {
        let tried = TcpStream::connect(at).and_then(|stream| {
            drop(stream);
            connected_ms.get_or_insert(since(mono_ns()));
            acknowledge_one(at, topic, raw, configs)
        });
        let now = mono_ns();
        match tried {
            Ok(()) => {
                return Ok(FirstAck {
                    connected_ms: connected_ms.unwrap_or(0.0),
                    acked_ms: since(now),
                    other_cpu_percent: 0.0,
                });
            }
            Err(e) if !alive() => return Err(io::Error::other(format!("the broker ended before its first ack ({e})"))),
            Err(e) if now - start_ns > GIVE_UP_NS => return Err(e),
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

fn acknowledge_one(at: SocketAddr, topic: &str, raw: bool, configs: &[(String, String)]) -> io::Result<()> {
    if !raw {
        make_topic(at, topic, 6, configs)?;
    }
    let shape = Shape {
        topic: topic.to_owned(),
        acks: -1,
        timeout_ms: 5000,
        records: 1,
        record_bytes: 64,
        run_id: mono_ns(),
    };
    let template = Template::new(&shape);
    let mut frame = template.bytes().to_vec();
    let stamp = Stamp {
        correlation: 1,
        partition: 0,
        producer: 0,
        sequence: 0,
        intended_ns: mono_ns(),
        identity: None,
        wall_ms: wall_ms(),
    };
    template.patch(&mut frame, &stamp);
    Control::connect(at)?.produce_frame(&frame)
}

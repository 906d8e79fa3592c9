//! Idempotent producers of the rigs: several requests in flight, unacknowledged batches sent again after a reconnect with
//! the same sequence, every acknowledgement into the ledger.
//!
//! Invariants: a batch leaves `pending` only by an acknowledgement; per lane at most five batches are pending (the window
//! a broker must remember), and one until the first is acknowledged; after a reconnect everything pending is sent again, oldest first, before anything new.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::kafka::api::{self, Topic};
use crate::kafka::batch::{self, Producer};
use crate::kafka::conn::Conn;
use crate::ledger::{Ack, Ledger};
use crate::records::Name;
use crate::rng::Rng;

/// Requests in flight per connection, and pending batches per lane.
const WINDOW: usize = 5;
/// So many refusals of the same batch that a correct broker would never give, and the producer stops.
const PATIENCE: u32 = 40;

/// A partition the rigs write to, numbered through all topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lane {
    /// Topic name.
    pub topic: &'static str,
    /// Partition of it.
    pub partition: i32,
}

/// Topics of the load.
pub fn topics() -> Vec<Topic> {
    vec![
        Topic {
            name: "ledger.a",
            partitions: 5,
        },
        Topic {
            name: "ledger.b",
            partitions: 3,
        },
    ]
}

/// Configuration of the topics: small segments, so that rolls happen all the time.
pub fn topic_configs() -> Vec<(&'static str, &'static str)> {
    vec![("segment.bytes", "1048576"), ("retention.ms", "-1")]
}

/// All lanes of `topics` in order.
pub fn lanes(topics: &[Topic]) -> Vec<Lane> {
    let lane = |topic: &Topic, partition| Lane {
        topic: topic.name,
        partition,
    };
    topics
        .iter()
        .flat_map(|topic| (0..topic.partitions).map(move |p| lane(topic, p)))
        .collect()
}

/// What all producers of a run share.
pub struct World {
    /// Where they write.
    pub lanes: Vec<Lane>,
    /// Seed of all records.
    pub seed: u64,
    /// Where acknowledgements go.
    pub ledger: Ledger,
    /// The write-log sequence at this moment (0 when there is no power-cut disk).
    pub clock: Box<dyn Fn() -> u64 + Send + Sync>,
    /// The broker.
    pub addr: SocketAddr,
    /// Send nothing new; leave when everything is acknowledged.
    pub stop: AtomicBool,
    /// Leave at once.
    pub abandon: AtomicBool,
    /// Wait before each new request.
    pub pause: Duration,
    /// Identity of each producer, once the broker gave it.
    pub identities: Vec<OnceLock<Producer>>,
    /// The last reason why a producer had to reconnect, for progress lines and reports.
    pub last_trouble: Mutex<String>,
}

impl World {
    /// A batch of the rig: records `first_n..first_n + count` of `producer` to `lane`.
    pub fn batch(&self, producer: u32, lane: u32, first_n: u32, count: u32) -> Option<Vec<u8>> {
        let identity = self.identities.get(producer as usize)?.get()?;
        let record = |n| Name { producer, lane, n }.record(self.seed);
        let records: Vec<_> = (first_n..first_n + count).map(record).collect();
        Some(batch::encode(*identity, first_n as i32, &records))
    }

    /// Starts all producers.
    pub fn start(self: &Arc<Self>) -> Vec<std::thread::JoinHandle<()>> {
        let spawn = |index| {
            let world = self.clone();
            std::thread::spawn(move || Worker::new(world, index).run())
        };
        (0..self.identities.len() as u32).map(spawn).collect()
    }

    fn trouble(&self, error: &Error) {
        *self.last_trouble.lock().unwrap_or_else(PoisonError::into_inner) = error.to_string();
    }
}

struct Pending {
    first_n: u32,
    count: u32,
    bytes: Vec<u8>,
}

#[derive(Default)]
struct LaneState {
    next_n: u32,
    pending: VecDeque<Pending>,
    refusals: u32,
    acked: bool,
}

/// (lane, first_n) of each batch of a request.
type Parts = Vec<(usize, u32)>;

struct Worker {
    world: Arc<World>,
    index: u32,
    rng: Rng,
    lanes: Vec<LaneState>,
    conn: Option<Conn>,
    again: VecDeque<Parts>,
    in_flight: VecDeque<(i32, Parts)>,
    halted: bool,
}

impl Worker {
    fn new(world: Arc<World>, index: u32) -> Self {
        let lanes = world.lanes.iter().map(|_| LaneState::default()).collect();
        let rng = Rng::new(world.seed.wrapping_add(u64::from(index) << 32));
        Self {
            world,
            index,
            rng,
            lanes,
            conn: None,
            again: VecDeque::new(),
            in_flight: VecDeque::new(),
            halted: false,
        }
    }

    fn run(mut self) {
        while !self.halted && !self.world.abandon.load(Ordering::Acquire) {
            if self.stopping() && self.lanes.iter().all(|lane| lane.pending.is_empty()) {
                return;
            }
            if let Err(error) = self.turn() {
                self.world.trouble(&error);
                self.conn = None;
                std::thread::sleep(Duration::from_millis(5 + self.rng.below(20)));
            }
        }
    }

    fn stopping(&self) -> bool {
        self.world.stop.load(Ordering::Acquire)
    }

    /// Fills the window, then takes one answer.
    fn turn(&mut self) -> Result<()> {
        let mut conn = match self.conn.take() {
            Some(conn) => conn,
            None => self.connect()?,
        };
        while self.in_flight.len() < WINDOW {
            let fresh = self.again.is_empty();
            if fresh && self.stopping() {
                break;
            }
            let parts = self.again.pop_front().unwrap_or_else(|| self.new_parts());
            if parts.is_empty() {
                break;
            }
            let id = conn.send(api::PRODUCE, api::PRODUCE_VERSION, &self.body(&parts))?;
            self.in_flight.push_back((id, parts));
            if fresh && !self.world.pause.is_zero() {
                std::thread::sleep(self.world.pause);
            }
        }
        if let Some((sent, parts)) = self.in_flight.pop_front() {
            let (id, answer) = conn.receive()?;
            let sequence = (self.world.clock)();
            if id != sent {
                self.world
                    .ledger
                    .violation(format!("producer {}: answer {id} where {sent} was due", self.index));
                return Err(Error::new("answers out of order"));
            }
            self.settle(&parts, &answer, sequence)?;
        }
        self.conn = Some(conn);
        Ok(())
    }

    fn connect(&mut self) -> Result<Conn> {
        let mut conn = Conn::open(self.world.addr)?;
        let identity = &self.world.identities[self.index as usize];
        if identity.get().is_none() {
            let given = api::init_producer(&mut conn)?;
            if self.world.identities.iter().any(|other| other.get() == Some(&given)) {
                self.world
                    .ledger
                    .violation(format!("producer id {} was given twice", given.id));
            }
            let _ = identity.set(given);
        }
        self.in_flight.clear();
        self.again.clear();
        for depth in 0..WINDOW {
            let batch_at = |(lane, state): (usize, &LaneState)| state.pending.get(depth).map(|b| (lane, b.first_n));
            let parts: Parts = self.lanes.iter().enumerate().filter_map(batch_at).collect();
            if !parts.is_empty() {
                self.again.push_back(parts);
            }
        }
        Ok(conn)
    }

    /// One to three lanes with room in their window get a new batch of one to eight records.
    fn new_parts(&mut self) -> Parts {
        let mut parts = Parts::new();
        for _ in 0..1 + self.rng.below(3) {
            let lane = self.rng.below(self.lanes.len() as u64) as usize;
            let state = &mut self.lanes[lane];
            // A broker that knows nothing of a producer takes any first sequence, so nothing may overtake the first batch.
            let window = if state.acked { WINDOW } else { 1 };
            if state.pending.len() >= window || parts.iter().any(|(used, _)| *used == lane) {
                continue;
            }
            let (first_n, count) = (state.next_n, 1 + self.rng.below(8) as u32);
            if let Some(bytes) = self.world.batch(self.index, lane as u32, first_n, count) {
                state.next_n += count;
                state.pending.push_back(Pending { first_n, count, bytes });
                parts.push((lane, first_n));
            }
        }
        parts.sort_unstable(); // lanes of a topic next to each other
        parts
    }

    fn body(&self, parts: &Parts) -> Vec<u8> {
        let batch_of = |(lane, first_n): &(usize, u32)| {
            let batch = self.lanes[*lane].pending.iter().find(|b| b.first_n == *first_n)?;
            let Lane { topic, partition } = self.world.lanes[*lane];
            Some((topic, partition, batch.bytes.as_slice()))
        };
        let named: Vec<_> = parts.iter().filter_map(batch_of).collect();
        api::produce_body(&named)
    }

    /// Takes the answer to `parts`: acknowledgements into the ledger, anything else means connect and send again.
    fn settle(&mut self, parts: &Parts, answer: &[u8], sequence: u64) -> Result<()> {
        let results = api::produced(answer)?;
        let (mut acks, mut trouble) = (Vec::new(), None);
        for &(lane, first_n) in parts {
            let Lane { topic, partition } = self.world.lanes[lane];
            let result = results.iter().find(|r| r.topic == topic && r.partition == partition);
            let result = result.ok_or_else(|| Error::new(format!("no answer for {topic}-{partition}")))?;
            match result.code {
                0 => acks.extend(self.acknowledge(lane, first_n, result.base_offset, sequence)),
                code => trouble = Some(self.refused(lane, first_n, code)),
            }
        }
        self.world.ledger.add(&acks)?;
        trouble.map_or(Ok(()), Err)
    }

    fn acknowledge(&mut self, lane: usize, first_n: u32, base_offset: i64, sequence: u64) -> Option<Ack> {
        let state = &mut self.lanes[lane];
        (state.refusals, state.acked) = (0, true);
        let batch = state.pending.pop_front().filter(|batch| batch.first_n == first_n);
        let Some(batch) = batch else {
            let text = format!(
                "producer {} lane {lane}: record {first_n} acknowledged out of order",
                self.index
            );
            self.world.ledger.violation(text);
            self.halted = true;
            return None;
        };
        let crc = crc32c::crc32c(&batch.bytes);
        let (producer, lane) = (self.index, lane as u32);
        Some(Ack {
            producer,
            lane,
            first_n,
            count: batch.count,
            base_offset,
            sequence,
            crc,
        })
    }

    fn refused(&mut self, lane: usize, first_n: u32, code: i16) -> Error {
        let state = &mut self.lanes[lane];
        if !api::retriable(code) {
            state.refusals += 1;
        }
        if state.refusals > PATIENCE {
            let what = format!("producer {} lane {lane} record {first_n}: error {code}", self.index);
            self.world
                .ledger
                .violation(format!("{what}, {PATIENCE} times: no way forward for this producer"));
            self.halted = true;
        }
        Error::new(format!("produce: error {code} for lane {lane}"))
    }
}

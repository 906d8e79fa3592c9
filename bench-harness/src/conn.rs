//! One connection of the load engine: its buffers, what it has sent and what it waits for. Does no I/O itself.

use std::collections::VecDeque;
use std::net::{Shutdown, TcpStream};
use std::ops::Range;
use std::os::fd::AsRawFd;

/// Receive buffer, bytes: Produce answers are about 60 bytes each.
const INPUT_BYTES: usize = 16 << 10;

/// A request that waits for its answer.
#[derive(Clone, Copy, Debug)]
pub struct Flight {
    /// Correlation id sent.
    pub correlation: i32,
    /// When it should have been sent, ns.
    pub intended_ns: u64,
    /// When it was sent, ns.
    pub sent_ns: u64,
    /// Its lane in the ledger.
    pub lane: usize,
    /// Its batch number in that lane.
    pub batch: u32,
}

/// State of one connection.
pub struct Conn {
    stream: TcpStream,
    /// False once the connection is lost.
    pub open: bool,
    /// Intended times of requests that are due but not sent yet.
    pub queue: VecDeque<u64>,
    /// Requests sent and not answered, oldest first: Kafka answers in order.
    pub flights: VecDeque<Flight>,
    /// Copies of the template, patched in place.
    pub out: Vec<u8>,
    out_len: usize,
    out_sent: usize,
    /// Received bytes.
    pub input: Vec<u8>,
    input_from: usize,
    input_filled: usize,
    lanes: Vec<(u32, usize)>,
    next_lane: usize,
    correlation: i32,
    /// Kafka producer id and epoch of an idempotent producer.
    pub identity: Option<(i64, i16)>,
}

impl Conn {
    /// Takes a connected stream; `lanes` are the partitions it sends to in turn, each with its lane in the ledger.
    pub fn new(stream: TcpStream, lanes: Vec<(u32, usize)>, identity: Option<(i64, i16)>) -> Conn {
        assert!(!lanes.is_empty(), "a connection needs a partition to send to");
        Conn {
            stream,
            open: true,
            queue: VecDeque::new(),
            flights: VecDeque::new(),
            out: Vec::new(),
            out_len: 0,
            out_sent: 0,
            input: vec![0; INPUT_BYTES],
            input_from: 0,
            input_filled: 0,
            lanes,
            next_lane: 0,
            correlation: 0,
            identity,
        }
    }

    /// Descriptor for the ring.
    pub fn fd(&self) -> i32 {
        self.stream.as_raw_fd()
    }

    /// Whether a send is under way.
    pub fn is_sending(&self) -> bool {
        self.out_len > 0
    }

    /// Makes `out` hold `count` frames to send. Frames stay from send to send, so a large record is never copied again.
    pub fn prepare(&mut self, count: usize, frame: &[u8]) {
        while self.out.len() < count * frame.len() {
            self.out.extend_from_slice(frame);
        }
        self.out_len = count * frame.len();
        self.out_sent = 0;
    }

    /// Bytes of the current send that the socket has not taken.
    pub fn unsent(&self) -> &[u8] {
        &self.out[self.out_sent..self.out_len]
    }

    /// Notes `count` bytes as taken; true when the send is complete.
    pub fn sent(&mut self, count: usize) -> bool {
        self.out_sent += count;
        if self.out_sent >= self.out_len {
            self.out_len = 0;
        }
        self.out_len == 0
    }

    /// Partition for the next request and its lane.
    pub fn next_lane(&mut self) -> (u32, usize) {
        let lane = self.lanes[self.next_lane];
        self.next_lane = (self.next_lane + 1) % self.lanes.len();
        lane
    }

    /// Correlation id for the next request.
    pub fn next_correlation(&mut self) -> i32 {
        self.correlation = self.correlation.wrapping_add(1);
        self.correlation
    }

    /// Where the next bytes go.
    pub fn receive_space(&mut self) -> &mut [u8] {
        &mut self.input[self.input_filled..]
    }

    /// Notes `count` received bytes.
    pub fn received(&mut self, count: usize) {
        self.input_filled += count;
    }

    /// The next whole answer, without its length field.
    pub fn next_frame(&mut self) -> Option<Range<usize>> {
        let waiting = &self.input[self.input_from..self.input_filled];
        let len = u32::from_be_bytes(*waiting.first_chunk()?) as usize;
        if waiting.len() < len + 4 {
            return None;
        }
        let start = self.input_from + 4;
        self.input_from = start + len;
        Some(start..start + len)
    }

    /// Moves a partial answer to the front.
    pub fn compact(&mut self) {
        self.input.copy_within(self.input_from..self.input_filled, 0);
        self.input_filled -= self.input_from;
        self.input_from = 0;
    }

    /// Ends the connection.
    pub fn shut(&mut self) {
        self.open = false;
        self.queue.clear();
        // Already ended by the peer: nothing to do about an error.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

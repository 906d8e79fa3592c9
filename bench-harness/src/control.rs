//! Blocking Kafka client for what happens before and after a run: topics, producer ids, offsets, configs.

use crate::proto::{
    CREATE_TOPICS, DELETE_TOPICS, DESCRIBE_CONFIGS, INIT_PRODUCER_ID, LIST_OFFSETS, METADATA, Reader, Writer,
    error_name, read_produce_ack,
};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// Largest answer taken, bytes: Metadata of some 100,000 partitions, or a Fetch of many partitions.
const ANSWER_BYTES_MAX: usize = 256 << 20;
const IO_TIMEOUT: Duration = Duration::from_secs(60);
/// How long leaders may take to appear after a topic is made or a broker starts.
const LEADER_TIMEOUT: Duration = Duration::from_secs(60);

/// One connection, one request at a time.
pub struct Control {
    stream: TcpStream,
    correlation: i32,
}

/// Where the leader of a partition listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leader {
    /// Partition index.
    pub partition: u32,
    /// Address of its leader.
    pub at: SocketAddr,
}

impl Control {
    /// Connects.
    ///
    /// # Errors
    /// Connection refused and the like, with the address.
    pub fn connect(at: SocketAddr) -> io::Result<Control> {
        let stream = TcpStream::connect(at).map_err(|e| io::Error::new(e.kind(), format!("{at}: {e}")))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(IO_TIMEOUT))?;
        Ok(Control { stream, correlation: 0 })
    }

    /// Starts a request with the next correlation id; only classic headers are used here.
    pub fn request(&mut self, api: i16, version: i16) -> Writer {
        self.correlation += 1;
        Writer::request(api, version, self.correlation, false)
    }

    /// Sends a request without waiting.
    ///
    /// # Errors
    /// Socket errors.
    pub fn send(&mut self, request: Writer) -> io::Result<()> {
        self.stream.write_all(&request.finish())
    }

    /// Reads the next answer into `body`, without length and correlation id.
    ///
    /// # Errors
    /// Socket errors; an answer out of order or of impossible length.
    pub fn receive(&mut self, body: &mut Vec<u8>) -> io::Result<()> {
        let mut head = [0u8; 8];
        self.stream.read_exact(&mut head)?;
        let mut r = Reader(&head);
        let (len, correlation) = (r.i32()?, r.i32()?);
        let len = usize::try_from(len)
            .ok()
            .and_then(|l| l.checked_sub(4))
            .filter(|l| *l <= ANSWER_BYTES_MAX);
        let len = len.ok_or_else(|| io::Error::other("answer of impossible length"))?;
        if correlation != self.correlation {
            return Err(io::Error::other(format!(
                "answer {correlation} to request {}",
                self.correlation
            )));
        }
        body.resize(len, 0);
        self.stream.read_exact(body)
    }

    /// Sends a whole Produce frame made by [`crate::payload::Template`] and waits for its acknowledgement.
    ///
    /// # Errors
    /// Socket errors, malformed answers, and any Kafka error.
    pub fn produce_frame(&mut self, frame: &[u8]) -> io::Result<()> {
        self.stream.write_all(frame)?;
        let mut len = [0u8; 4];
        self.stream.read_exact(&mut len)?;
        let len = u32::from_be_bytes(len) as usize;
        if len > ANSWER_BYTES_MAX {
            return Err(io::Error::other("answer of impossible length"));
        }
        let mut body = vec![0; len];
        self.stream.read_exact(&mut body)?;
        match read_produce_ack(&body)?.error {
            0 => Ok(()),
            error => Err(io::Error::other(format!("Produce: {}", error_name(error)))),
        }
    }

    fn call(&mut self, request: Writer) -> io::Result<Vec<u8>> {
        self.send(request)?;
        let mut body = Vec::new();
        self.receive(&mut body)?;
        Ok(body)
    }

    /// Creates `topic` (replication factor 1) with `configs`; the error code, 0 or e.g. 36 = exists already.
    ///
    /// # Errors
    /// Socket errors and malformed answers.
    pub fn create_topic(&mut self, topic: &str, partitions: u32, configs: &[(String, String)]) -> io::Result<i16> {
        let mut w = self.request(CREATE_TOPICS, 4);
        w.i32(1)
            .string(topic)
            .i32(partitions as i32)
            .i16(1)
            .i32(0)
            .i32(configs.len() as i32);
        for (name, value) in configs {
            w.string(name).string(value);
        }
        w.i32(60_000).i8(0);
        let body = self.call(w)?;
        let mut r = Reader(&body);
        r.i32()?;
        r.count()?;
        r.string()?;
        Ok(r.i16()?)
    }

    /// Deletes `topic`; the error code.
    ///
    /// # Errors
    /// Socket errors and malformed answers.
    pub fn delete_topic(&mut self, topic: &str) -> io::Result<i16> {
        let mut w = self.request(DELETE_TOPICS, 3);
        w.i32(1).string(topic).i32(60_000);
        let body = self.call(w)?;
        let mut r = Reader(&body);
        r.i32()?;
        r.count()?;
        r.string()?;
        Ok(r.i16()?)
    }

    /// Leaders of the partitions of `topic`, by partition, and how many partitions there are, with or without one.
    ///
    /// # Errors
    /// Socket errors, malformed answers, an advertised address that does not resolve.
    pub fn leaders(&mut self, topic: &str) -> io::Result<(Vec<Leader>, usize)> {
        let mut w = self.request(METADATA, 4);
        w.i32(1).string(topic).i8(0);
        let body = self.call(w)?;
        let mut r = Reader(&body);
        r.i32()?;
        let mut brokers = Vec::new();
        for _ in 0..r.count()? {
            let (id, host, port) = (r.i32()?, r.string()?, r.i32()?);
            r.string()?;
            brokers.push((id, resolve(&format!("{host}:{port}"))?));
        }
        r.string()?;
        r.i32()?;
        let (mut leaders, mut known) = (Vec::new(), 0);
        for _ in 0..r.count()? {
            known += read_topic(&mut r, &brokers, &mut leaders)?;
        }
        leaders.sort_by_key(|l: &Leader| l.partition);
        Ok((leaders, known))
    }

    /// Waits until all partitions of `topic` have leaders, and are at least `partitions`.
    ///
    /// # Errors
    /// Those of [`Control::leaders`], or that a minute passed.
    pub fn await_leaders(&mut self, topic: &str, partitions: u32) -> io::Result<Vec<Leader>> {
        let start = Instant::now();
        loop {
            let (leaders, known) = self.leaders(topic)?;
            if leaders.len() == known && known >= partitions.max(1) as usize {
                return Ok(leaders);
            }
            if start.elapsed() > LEADER_TIMEOUT {
                let text = format!(
                    "topic {topic}: {} partitions have a leader, {known} exist, {partitions} expected",
                    leaders.len()
                );
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// A new producer id and epoch for an idempotent producer, retried while the broker is still starting.
    ///
    /// # Errors
    /// Socket errors, malformed answers, a Kafka error that stays for 20 s.
    pub fn init_producer_id(&mut self) -> io::Result<(i64, i16)> {
        let start = Instant::now();
        loop {
            let mut w = self.request(INIT_PRODUCER_ID, 1);
            w.i16(-1).i32(60_000);
            let body = self.call(w)?;
            let mut r = Reader(&body);
            r.i32()?;
            let (error, id, epoch) = (r.i16()?, r.i64()?, r.i16()?);
            if error == 0 {
                return Ok((id, epoch));
            }
            if start.elapsed() > Duration::from_secs(20) {
                return Err(io::Error::other(format!("InitProducerId: {}", error_name(error))));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Offset of each partition in `partitions` at `timestamp` (-1 latest, -2 earliest), in the order asked; asked again
    /// while the broker is still taking up its partitions after a restart.
    ///
    /// # Errors
    /// Socket errors, malformed answers, a Kafka error for any of them that stays for a minute.
    pub fn offsets(&mut self, topic: &str, partitions: &[u32], timestamp: i64) -> io::Result<Vec<i64>> {
        let start = Instant::now();
        loop {
            match self.offsets_now(topic, partitions, timestamp)? {
                Ok(offsets) => return Ok(offsets),
                Err(error) if !is_leader_unsettled(error) || start.elapsed() > LEADER_TIMEOUT => {
                    return Err(io::Error::other(format!(
                        "ListOffsets of {topic}: {}",
                        error_name(error)
                    )));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    fn offsets_now(&mut self, topic: &str, partitions: &[u32], timestamp: i64) -> io::Result<Result<Vec<i64>, i16>> {
        let mut w = self.request(LIST_OFFSETS, 1);
        w.i32(-1).i32(1).string(topic).i32(partitions.len() as i32);
        for partition in partitions {
            w.i32(*partition as i32).i64(timestamp);
        }
        let body = self.call(w)?;
        let mut r = Reader(&body);
        r.count()?;
        r.string()?;
        let mut found = std::collections::BTreeMap::new();
        for _ in 0..r.count()? {
            let (partition, error) = (r.i32()?, r.i16()?);
            r.i64()?;
            let offset = r.i64()?;
            if error != 0 {
                return Ok(Err(error));
            }
            found.insert(partition as u32, offset);
        }
        let missing = || io::Error::other("ListOffsets left a partition out");
        let all: io::Result<Vec<i64>> = partitions
            .iter()
            .map(|p| found.get(p).copied().ok_or_else(missing))
            .collect();
        all.map(Ok)
    }

    /// Value of one topic configuration as the broker reports it; `None` when it does not know the name.
    ///
    /// # Errors
    /// Socket errors and malformed answers.
    pub fn topic_config(&mut self, topic: &str, name: &str) -> io::Result<Option<String>> {
        let mut w = self.request(DESCRIBE_CONFIGS, 1);
        w.i32(1).i8(2).string(topic).i32(1).string(name).i8(0);
        let body = self.call(w)?;
        let mut r = Reader(&body);
        r.i32()?;
        r.count()?;
        r.i16()?;
        r.string()?;
        r.i8()?;
        r.string()?;
        for _ in 0..r.count()? {
            if r.string()? == name {
                return Ok(Some(r.string()?.to_owned()));
            }
            r.string()?;
            r.take(3)?;
            for _ in 0..r.count()? {
                r.string()?;
                r.string()?;
                r.i8()?;
            }
        }
        Ok(None)
    }
}

/// Whether a Kafka error only says that the broker has not taken up the partition yet (after a start or a creation).
pub fn is_leader_unsettled(error: i16) -> bool {
    matches!(error, 3 | 5 | 6)
}

fn read_topic(r: &mut Reader<'_>, brokers: &[(i32, SocketAddr)], leaders: &mut Vec<Leader>) -> io::Result<usize> {
    r.i16()?;
    r.string()?;
    r.i8()?;
    let partitions = r.count()?;
    for _ in 0..partitions {
        let (error, partition, leader) = (r.i16()?, r.i32()?, r.i32()?);
        for _ in 0..2 {
            let replicas = r.count()?;
            r.take(replicas.saturating_mul(4))?;
        }
        if let (0, Some((_, at))) = (error, brokers.iter().find(|(id, _)| *id == leader)) {
            leaders.push(Leader {
                partition: partition as u32,
                at: *at,
            });
        }
    }
    Ok(partitions)
}

/// First IPv4 (else first) address of `host:port`.
///
/// # Errors
/// When the name does not resolve.
pub fn resolve(address: &str) -> io::Result<SocketAddr> {
    let all: Vec<SocketAddr> = address
        .to_socket_addrs()
        .map_err(|e| io::Error::new(e.kind(), format!("{address}: {e}")))?
        .collect();
    let found = all.iter().find(|a| a.is_ipv4()).or(all.first()).copied();
    found.ok_or_else(|| io::Error::other(format!("{address}: resolves to nothing")))
}

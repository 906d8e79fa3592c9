//! One connection to one broker: frames, correlation ids, negotiated versions (KIP-35, KIP-511).
//!
//! Requests may be sent ahead; replies are read in the same order, as Kafka guarantees. Any error leaves the connection
//! unusable: its owner drops it. Knows nothing of topics or leaders.

use crate::client::Result;
use crate::client::address::Address;
use crate::client::error::ClientError;
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, ApiVersionsResponse, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Message, Request, StrBytes};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::marker::PhantomData;
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Largest reply accepted, in bytes: twice Kafka's default request limit (`socket.request.max.bytes`).
const MAX_FRAME_BYTES: usize = 200 << 20;
/// How often a blocked read looks at the interrupt flag and the deadline.
const POLL: Duration = Duration::from_millis(200);
/// Kafka's error code for "I do not know that version".
const UNSUPPORTED_VERSION: i16 = 35;

/// How to connect.
#[derive(Clone, Debug)]
pub struct Options {
    /// Addresses to begin with; the first that answers is used.
    pub bootstrap: Vec<Address>,
    /// Sent with every request; shows up in the broker's logs and metrics.
    pub client_id: String,
    /// Limit for connecting and for each reply (a long poll adds its own wait).
    pub timeout: Duration,
    /// Set from outside to make blocked calls return [`ClientError::Interrupted`].
    pub interrupt: Option<&'static AtomicBool>,
}

impl Options {
    /// Bootstrap addresses with the defaults: client id `ringlog`, 10 seconds.
    pub fn new(bootstrap: Vec<Address>) -> Options {
        Options {
            bootstrap,
            client_id: "ringlog".to_string(),
            timeout: Duration::from_secs(10),
            interrupt: None,
        }
    }

    /// True once the user asked to stop.
    pub fn is_interrupted(&self) -> bool {
        self.interrupt.is_some_and(|flag| flag.load(Ordering::Relaxed))
    }
}

/// A request whose reply has not been read yet.
#[must_use]
#[derive(Debug)]
pub struct Pending<R> {
    correlation_id: i32,
    version: i16,
    request: PhantomData<R>,
}

/// A connected socket with the broker's version table.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    address: Address,
    options: Options,
    versions: BTreeMap<i16, (i16, i16)>,
    next_correlation_id: i32,
}

impl Connection {
    /// Connects and negotiates versions.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`], [`ClientError::NotKafka`], [`ClientError::Timeout`], [`ClientError::Lost`].
    pub fn open(address: &Address, options: &Options) -> Result<Connection> {
        let mut connection = Connection::dial(address, options)?;
        match connection.negotiate(ApiVersionsRequest::VERSIONS.max) {
            Ok(()) => Ok(connection),
            // Brokers before KIP-511 close the connection on an unknown version instead of answering with the fallback.
            Err(ClientError::Lost { .. }) => {
                let mut connection = Connection::dial(address, options)?;
                connection.negotiate(0)?;
                Ok(connection)
            }
            Err(error) => Err(error),
        }
    }

    /// The address this connection was opened with.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The newest version of `R` that both sides know, at most `cap`.
    ///
    /// # Errors
    /// [`ClientError::Unsupported`] when there is none.
    pub fn version<R: Request>(&self, cap: i16) -> Result<i16> {
        let known = (R::VERSIONS.min, R::VERSIONS.max.min(cap));
        let offered = self.versions.get(&R::KEY).copied();
        let version = offered.map(|(min, max)| (min.max(known.0), max.min(known.1)));
        match version {
            Some((low, high)) if low <= high => Ok(high),
            _ => Err(ClientError::Unsupported {
                address: self.address.clone(),
                api: api_name(R::KEY),
                offered,
                known,
            }),
        }
    }

    /// True if the broker offers some version of `R` that we know.
    pub fn offers<R: Request>(&self) -> bool {
        self.version::<R>(i16::MAX).is_ok()
    }

    /// Number of APIs the broker offers.
    pub fn api_count(&self) -> usize {
        self.versions.len()
    }

    /// Sends a request and waits for its reply.
    ///
    /// # Errors
    /// [`ClientError::Lost`], [`ClientError::Timeout`], [`ClientError::NotKafka`], [`ClientError::Interrupted`].
    pub fn call<R: Request>(&mut self, version: i16, request: &R) -> Result<R::Response> {
        let pending = self.send(version, request)?;
        self.receive(pending, Duration::ZERO)
    }

    /// Sends a request without waiting.
    ///
    /// # Errors
    /// [`ClientError::Lost`], [`ClientError::Timeout`].
    pub fn send<R: Request>(&mut self, version: i16, request: &R) -> Result<Pending<R>> {
        let correlation_id = self.next_correlation_id;
        self.next_correlation_id = correlation_id.wrapping_add(1) & i32::MAX;
        let frame = self.encode(correlation_id, version, request)?;
        self.write(&frame)?;
        Ok(Pending {
            correlation_id,
            version,
            request: PhantomData,
        })
    }

    /// Reads the oldest outstanding reply, which must be that of `pending`. `grace` is added to the time limit.
    ///
    /// # Errors
    /// As [`Connection::call`].
    pub fn receive<R: Request>(&mut self, pending: Pending<R>, grace: Duration) -> Result<R::Response> {
        let mut body = self.read_reply(
            R::KEY,
            R::Response::header_version(pending.version),
            pending.correlation_id,
            grace,
        )?;
        R::Response::decode(&mut body, pending.version).map_err(|error| self.not_kafka(R::KEY, &error.to_string()))
    }

    fn dial(address: &Address, options: &Options) -> Result<Connection> {
        let unreachable = |cause: String| ClientError::Unreachable {
            tried: vec![(address.clone(), cause)],
        };
        let found = (address.host.as_str(), address.port).to_socket_addrs();
        let found = found.map_err(|_| unreachable("no such host".to_string()))?;
        let mut cause = "the name has no address".to_string();
        for socket in found {
            match TcpStream::connect_timeout(&socket, options.timeout) {
                Ok(stream) => {
                    stream
                        .set_nodelay(true)
                        .and_then(|()| stream.set_read_timeout(Some(POLL)))
                        .map_err(|e| unreachable(e.to_string()))?;
                    stream
                        .set_write_timeout(Some(options.timeout))
                        .map_err(|e| unreachable(e.to_string()))?;
                    return Ok(Connection {
                        stream,
                        address: address.clone(),
                        options: options.clone(),
                        versions: BTreeMap::new(),
                        next_correlation_id: 1,
                    });
                }
                Err(_) if options.is_interrupted() => return Err(ClientError::Interrupted),
                Err(error) => cause = io_cause(&error),
            }
        }
        Err(unreachable(cause))
    }

    /// Asks for the version table, stepping down as KIP-511 says when the broker knows only older ApiVersions.
    fn negotiate(&mut self, version: i16) -> Result<()> {
        let request = ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str("ringlog"))
            .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
        let pending = self.send(version, &request)?;
        let mut body = self.read_reply(ApiKey::ApiVersions as i16, 0, pending.correlation_id, Duration::ZERO)?;
        let code = body.get(..2).map(|code| i16::from_be_bytes([code[0], code[1]]));
        let response_version = if code == Some(UNSUPPORTED_VERSION) { 0 } else { version };
        let response = ApiVersionsResponse::decode(&mut body, response_version)
            .map_err(|error| self.not_kafka(ApiKey::ApiVersions as i16, &error.to_string()))?;
        let table: BTreeMap<i16, (i16, i16)> = response
            .api_keys
            .iter()
            .map(|api| (api.api_key, (api.min_version, api.max_version)))
            .collect();
        if response.error_code == UNSUPPORTED_VERSION && version > 0 {
            let offered = table.get(&(ApiKey::ApiVersions as i16)).map_or(0, |range| range.1);
            return self.negotiate(offered.clamp(0, version - 1));
        }
        if response.error_code != 0 {
            return Err(self.not_kafka(
                ApiKey::ApiVersions as i16,
                &format!("error code {}", response.error_code),
            ));
        }
        self.versions = table;
        Ok(())
    }

    fn encode<R: Request>(&self, correlation_id: i32, version: i16, request: &R) -> Result<Bytes> {
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(correlation_id)
            .with_client_id(Some(StrBytes::from_string(self.options.client_id.clone())));
        let mut frame = BytesMut::with_capacity(256);
        frame.put_i32(0);
        header
            .encode(&mut frame, R::header_version(version))
            .and_then(|()| request.encode(&mut frame, version))
            .map_err(|error| self.not_kafka(R::KEY, &format!("cannot encode version {version}: {error}")))?;
        let length = (frame.len() - 4) as u32;
        frame[..4].copy_from_slice(&length.to_be_bytes());
        Ok(frame.freeze())
    }

    fn read_reply(&mut self, key: i16, header_version: i16, correlation_id: i32, grace: Duration) -> Result<Bytes> {
        let limit = self.options.timeout + grace;
        let deadline = Instant::now() + limit;
        let mut prefix = [0u8; 4];
        self.read_exactly(&mut prefix, deadline, limit, key)?;
        let length = u32::from_be_bytes(prefix) as usize;
        if !(4..=MAX_FRAME_BYTES).contains(&length) {
            return Err(self.not_kafka(key, &format!("a reply of {length} bytes")));
        }
        let mut frame = Vec::new();
        self.read_frame(&mut frame, length, deadline, limit, key)?;
        let mut frame = Bytes::from(frame);
        let header = ResponseHeader::decode(&mut frame, header_version)
            .map_err(|error| self.not_kafka(key, &error.to_string()))?;
        if header.correlation_id != correlation_id {
            return Err(self.not_kafka(
                key,
                &format!("reply {} instead of {correlation_id}", header.correlation_id),
            ));
        }
        Ok(frame)
    }

    /// Grows with what really arrives, so that a lying length costs nothing.
    fn read_frame(
        &mut self,
        frame: &mut Vec<u8>,
        length: usize,
        deadline: Instant,
        limit: Duration,
        key: i16,
    ) -> Result<()> {
        while frame.len() < length {
            let start = frame.len();
            let step = (length - start).min((1 << 20).max(start));
            frame.resize(start + step, 0);
            self.read_exactly(&mut frame[start..], deadline, limit, key)?;
        }
        Ok(())
    }

    fn read_exactly(&mut self, mut space: &mut [u8], deadline: Instant, limit: Duration, key: i16) -> Result<()> {
        while !space.is_empty() {
            match self.stream.read(space) {
                Ok(0) => return Err(self.lost("the broker closed it".to_string())),
                Ok(count) => space = &mut space[count..],
                Err(error) if is_pause(error.kind()) => {
                    if self.options.is_interrupted() {
                        return Err(ClientError::Interrupted);
                    }
                    if Instant::now() >= deadline {
                        let waited_for = format!("{} from {}", api_name(key), self.address);
                        return Err(ClientError::Timeout { waited_for, limit });
                    }
                }
                Err(error) => return Err(self.lost(io_cause(&error))),
            }
        }
        Ok(())
    }

    fn write(&mut self, mut data: &[u8]) -> Result<()> {
        let deadline = Instant::now() + self.options.timeout;
        while !data.is_empty() {
            match self.stream.write(data) {
                Ok(0) => return Err(self.lost("the broker closed it".to_string())),
                Ok(count) => data = &data[count..],
                Err(error) if is_pause(error.kind()) => {
                    if Instant::now() >= deadline {
                        let waited_for = format!("{} to take a request", self.address);
                        return Err(ClientError::Timeout {
                            waited_for,
                            limit: self.options.timeout,
                        });
                    }
                }
                Err(error) => return Err(self.lost(io_cause(&error))),
            }
        }
        Ok(())
    }

    fn lost(&self, cause: String) -> ClientError {
        ClientError::Lost {
            address: self.address.clone(),
            cause,
        }
    }

    fn not_kafka(&self, key: i16, cause: &str) -> ClientError {
        ClientError::NotKafka {
            address: self.address.clone(),
            cause: format!("{}: {cause}", api_name(key)),
        }
    }
}

/// Kafka's name of an API key.
pub fn api_name(key: i16) -> String {
    ApiKey::try_from(key).map_or_else(|()| format!("API {key}"), |key| format!("{key:?}"))
}

fn is_pause(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

/// The cause in plain words, without the "(os error n)" tail.
fn io_cause(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused".to_string(),
        ErrorKind::ConnectionReset => "connection reset".to_string(),
        ErrorKind::TimedOut | ErrorKind::WouldBlock => "no answer in time".to_string(),
        _ => {
            let text = error.to_string();
            text.split(" (os error").next().unwrap_or(&text).to_lowercase()
        }
    }
}

//! One blocking connection: requests out, responses in, in order.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::wire::{Decoder, Encoder};
use crate::error::{Context, Error, Result};

/// Longest wait for a connection or for a response.
const TIMEOUT: Duration = Duration::from_secs(10);
/// No response of the rigs is larger.
const MAX_RESPONSE: usize = 64 << 20;

/// A connection to the broker.
pub struct Conn {
    stream: TcpStream,
    next: i32,
}

impl Conn {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens or answers in time.
    pub fn open(addr: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&addr, TIMEOUT).context("connect")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        Ok(Self { stream, next: 0 })
    }

    /// Sends a request with header version 1; returns its correlation id.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn send(&mut self, key: i16, version: i16, body: &[u8]) -> Result<i32> {
        let id = self.next;
        self.next = self.next.wrapping_add(1);
        let mut frame = Encoder::default();
        frame.i32(0).i16(key).i16(version).i32(id).string("powercut").raw(body);
        let length = (frame.0.len() - 4) as i32;
        frame.0[..4].copy_from_slice(&length.to_be_bytes());
        self.stream.write_all(&frame.0).context("send")?;
        Ok(id)
    }

    /// Receives the next response: correlation id and body.
    ///
    /// # Errors
    /// When the connection fails or nothing comes for ten seconds.
    pub fn receive(&mut self) -> Result<(i32, Vec<u8>)> {
        let mut head = [0; 8];
        self.stream.read_exact(&mut head).context("receive")?;
        let mut fields = Decoder(&head);
        let (length, id) = (fields.i32()?, fields.i32()?);
        let body = usize::try_from(length).ok().and_then(|length| length.checked_sub(4));
        let body = body.filter(|length| *length <= MAX_RESPONSE);
        let body = body.ok_or_else(|| Error::new(format!("response length {length}")))?;
        let mut bytes = vec![0; body];
        self.stream.read_exact(&mut bytes).context("receive")?;
        Ok((id, bytes))
    }

    /// Sends and waits for the answer; only with nothing else in flight.
    ///
    /// # Errors
    /// As [`Conn::send`] and [`Conn::receive`], or an answer to another request.
    pub fn call(&mut self, key: i16, version: i16, body: &[u8]) -> Result<Vec<u8>> {
        let sent = self.send(key, version, body)?;
        let (id, bytes) = self.receive()?;
        if id == sent {
            Ok(bytes)
        } else {
            Err(Error::new(format!("answer {id} to request {sent}")))
        }
    }
}

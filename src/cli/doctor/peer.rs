//! What answers at a port that does not speak plain Kafka: asked in TLS and in HTTP.

use crate::client::Address;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// Longest wait for an answer: a server that speaks the language answers at once.
const PATIENCE: Duration = Duration::from_secs(3);
/// TLS record types that a server answers a ClientHello with: alert and handshake.
const TLS_ANSWERS: [u8; 2] = [0x15, 0x16];

/// What a port turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    Tls,
    /// With what it says of itself, such as ` (nginx)`; may be empty.
    Http(String),
    /// Takes bytes, answers nothing.
    Silent,
    /// Closes the connection.
    Closes,
}

/// Asks in one language after the other, each on a connection of its own.
pub(super) fn identify(address: &Address, timeout: Duration) -> Peer {
    let timeout = timeout.min(PATIENCE);
    let mut silent = false;
    match answer(address, &client_hello(), timeout) {
        Some(bytes) if matches!(bytes[..], [kind, 3, ..] if TLS_ANSWERS.contains(&kind)) => return Peer::Tls,
        Some(bytes) if bytes.starts_with(b"HTTP/") => return Peer::Http(server(&bytes)),
        Some(_) => {}
        None => silent = true,
    }
    match answer(address, b"GET / HTTP/1.0\r\n\r\n", timeout) {
        Some(bytes) if bytes.starts_with(b"HTTP/") => Peer::Http(server(&bytes)),
        Some(_) if !silent => Peer::Closes,
        _ => Peer::Silent,
    }
}

/// The first bytes of the answer; empty if the connection was closed, `None` if nothing came in time.
fn answer(address: &Address, question: &[u8], timeout: Duration) -> Option<Vec<u8>> {
    let sockets = (address.host.as_str(), address.port).to_socket_addrs().ok()?;
    let mut stream = sockets
        .into_iter()
        .find_map(|socket| TcpStream::connect_timeout(&socket, timeout).ok())?;
    stream.set_read_timeout(Some(timeout)).ok()?;
    stream.set_write_timeout(Some(timeout)).ok()?;
    if stream.write_all(question).is_err() {
        return Some(Vec::new());
    }
    let mut space = [0; 1024];
    match stream.read(&mut space) {
        Ok(count) => Some(space.iter().take(count).copied().collect()),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
        Err(_) => Some(Vec::new()),
    }
}

/// The `Server` header, in brackets.
fn server(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer);
    let header = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("server").then(|| value.trim().to_string())
    });
    header.map_or_else(String::new, |name| {
        let name: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
        format!(" ({name})")
    })
}

/// A TLS 1.2 ClientHello (RFC 5246, 7.4.1.2) that any server answers, if only with an alert.
fn client_hello() -> Vec<u8> {
    let suites: [u16; 6] = [0xc02f, 0xc030, 0xc02b, 0x009c, 0x002f, 0x00ff];
    // supported_groups: x25519, secp256r1; ec_point_formats: uncompressed; signature_algorithms: ECDSA, RSA-PSS, RSA.
    let extensions: [u8; 32] = [
        0, 10, 0, 6, 0, 4, 0, 29, 0, 23, 0, 11, 0, 2, 1, 0, 0, 13, 0, 12, 0, 10, 4, 3, 8, 4, 4, 1, 5, 1, 6, 1,
    ];
    let mut body = vec![3, 3];
    // A fixed "random" will do: no handshake is ever finished with it.
    body.extend([0x5a; 32]);
    body.push(0);
    body.extend((suites.len() as u16 * 2).to_be_bytes());
    body.extend(suites.iter().flat_map(|suite| suite.to_be_bytes()));
    body.extend([1, 0]);
    body.extend((extensions.len() as u16).to_be_bytes());
    body.extend(extensions);
    let mut handshake = vec![1, 0];
    handshake.extend((body.len() as u16).to_be_bytes());
    handshake.extend(body);
    let mut record = vec![0x16, 3, 1];
    record.extend((handshake.len() as u16).to_be_bytes());
    record.extend(handshake);
    record
}

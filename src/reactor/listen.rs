//! Listening sockets: one per shard on the same address (`SO_REUSEPORT`); the kernel spreads the connections.

use std::io;
use std::mem::size_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;

/// Opens `count` listeners on `addr` and tells the address, whose port is the real one where 0 was asked.
///
/// # Errors
/// `EADDRINUSE` also when only another process shares the port by `SO_REUSEPORT`; otherwise those of bind and listen.
pub fn listen(addr: SocketAddr, count: usize) -> io::Result<(SocketAddr, Vec<OwnedFd>)> {
    // A socket without SO_REUSEPORT finds out whether someone else has the port: ours would be let in beside them.
    let found = socket(addr)?;
    bind(&found, addr)?;
    let addr = local_addr(&found)?;
    drop(found);
    let mut listeners = Vec::with_capacity(count);
    for _ in 0..count {
        let fd = socket(addr)?;
        set_option(&fd, libc::SOL_SOCKET, libc::SO_REUSEPORT)?;
        // Accepted sockets inherit it.
        set_option(&fd, libc::IPPROTO_TCP, libc::TCP_NODELAY)?;
        bind(&fd, addr)?;
        // SAFETY: no memory involved.
        check(unsafe { libc::listen(fd.as_raw_fd(), BACKLOG) })?;
        listeners.push(fd);
    }
    Ok((addr, listeners))
}

/// Who is at the other end of a connected socket; the unspecified address when it has gone already.
pub fn peer_of(fd: RawFd) -> IpAddr {
    // SAFETY: sockaddr_storage is plain data.
    let mut storage: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    let mut len = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    // SAFETY: storage has `len` bytes.
    if unsafe { libc::getpeername(fd, (&raw mut storage).cast(), &mut len) } != 0 {
        return IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    }
    match i32::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says which structure it is; the storage is large and aligned enough for any.
            let v4 = unsafe { &*(&raw const storage).cast::<libc::sockaddr_in>() };
            IpAddr::V4(Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr)))
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let v6 = unsafe { &*(&raw const storage).cast::<libc::sockaddr_in6>() };
            IpAddr::V6(Ipv6Addr::from(v6.sin6_addr.s6_addr)).to_canonical()
        }
        _ => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    }
}

fn socket(addr: SocketAddr) -> io::Result<OwnedFd> {
    let family = if addr.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    // SAFETY: no memory involved.
    let fd = check(unsafe { libc::socket(family, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) })?;
    // SAFETY: a fresh descriptor that nobody else owns.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    // A restart must not wait for the old connections' TIME_WAIT.
    set_option(&fd, libc::SOL_SOCKET, libc::SO_REUSEADDR)?;
    Ok(fd)
}

fn bind(fd: &OwnedFd, addr: SocketAddr) -> io::Result<()> {
    let result = match addr {
        SocketAddr::V4(v4) => {
            // SAFETY: plain data.
            let mut name: libc::sockaddr_in = unsafe { std::mem::zeroed() };
            name.sin_family = libc::AF_INET as _;
            name.sin_port = v4.port().to_be();
            name.sin_addr.s_addr = u32::from_ne_bytes(v4.ip().octets());
            // SAFETY: a name of the length given.
            unsafe {
                libc::bind(
                    fd.as_raw_fd(),
                    (&raw const name).cast(),
                    size_of::<libc::sockaddr_in>() as u32,
                )
            }
        }
        SocketAddr::V6(v6) => {
            // SAFETY: plain data.
            let mut name: libc::sockaddr_in6 = unsafe { std::mem::zeroed() };
            name.sin6_family = libc::AF_INET6 as _;
            name.sin6_port = v6.port().to_be();
            name.sin6_addr.s6_addr = v6.ip().octets();
            name.sin6_scope_id = v6.scope_id();
            // SAFETY: a name of the length given.
            unsafe {
                libc::bind(
                    fd.as_raw_fd(),
                    (&raw const name).cast(),
                    size_of::<libc::sockaddr_in6>() as u32,
                )
            }
        }
    };
    check(result).map(drop)
}

fn local_addr(fd: &OwnedFd) -> io::Result<SocketAddr> {
    TcpListener::from(fd.try_clone()?).local_addr()
}

fn set_option(fd: &OwnedFd, level: i32, name: i32) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: an int of the length given.
    check(unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            name,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as u32,
        )
    })
    .map(drop)
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    #[test]
    fn a_port_that_another_broker_has_is_refused() {
        let any: SocketAddr = "127.0.0.1:0".parse().expect("address");
        let (addr, _ours) = listen(any, 2).expect("listeners");
        assert_ne!(addr.port(), 0);
        let error = listen(addr, 1).expect_err("taken");
        assert_eq!(error.raw_os_error(), Some(libc::EADDRINUSE));
    }

    #[test]
    fn accepted_sockets_have_no_delay_and_know_their_peer() {
        let (addr, fds) = listen("[::1]:0".parse().expect("address"), 1).expect("listener");
        let _client = TcpStream::connect(addr).expect("connect");
        let listener = TcpListener::from(fds.into_iter().next().expect("one"));
        let (accepted, peer) = listener.accept().expect("accept");
        assert!(accepted.nodelay().expect("option"));
        assert_eq!(peer_of(accepted.as_raw_fd()), peer.ip());
    }
}

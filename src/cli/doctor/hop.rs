//! One hop of a client's way: the name, the port, the protocol; what can be wrong there, and the remedies.

use super::peer::{self, Peer};
use crate::client::{Address, ClientError, Cluster, Options};
use serde::Serialize;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// What was found at one step.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Step {
    /// `bootstrap` or `node N`.
    pub hop: String,
    /// `resolve`, `connect`, `versions`, `metadata`, `identity`.
    pub step: &'static str,
    pub ok: bool,
    pub address: String,
    /// What was found, or what went wrong.
    pub found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// Which way an address is known: the remedies differ.
#[derive(Clone, Debug)]
pub(super) enum Way {
    /// Given by the user.
    Bootstrap,
    /// Advertised by this node; the bootstrap host that told.
    Advertised { node: i32, bootstrap: Address },
}

impl Way {
    fn name(&self) -> String {
        match self {
            Way::Bootstrap => "bootstrap".to_string(),
            Way::Advertised { node, .. } => format!("node {node}"),
        }
    }
}

/// A step at `address`; failures carry a remedy.
pub(super) fn step(
    way: &Way,
    step: &'static str,
    address: impl ToString,
    result: Result<String, (String, String)>,
) -> Step {
    let (ok, found, remedy) = match result {
        Ok(found) => (true, found, None),
        Err((cause, remedy)) => (false, cause, Some(remedy)),
    };
    Step {
        hop: way.name(),
        step,
        ok,
        address: address.to_string(),
        found,
        remedy,
    }
}

/// True for names and addresses that mean "this machine" wherever they are read.
pub(super) fn is_loopback(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// True for a name without dots that is not an address: known to a Docker network or a hosts file only.
fn is_short_name(host: &str) -> bool {
    !host.contains('.') && host.parse::<IpAddr>().is_err() && !is_loopback(host)
}

/// Walks one address up to an open Kafka connection; steps done so far come back either way.
pub(super) fn walk(way: &Way, address: &Address, options: &Options, steps: &mut Vec<Step>) -> Option<Cluster> {
    let resolved = resolve(address);
    let shown = resolved.as_ref().map(|all| listed(all)).map_err(|cause| {
        let remedy = resolve_remedy(way, address);
        (cause.clone(), remedy)
    });
    steps.push(step(way, "resolve", address, shown));
    let reached = dial(way, address, &resolved.ok()?, options.timeout);
    let connected = reached.is_ok();
    steps.push(step(way, "connect", address, reached));
    if !connected {
        return None;
    }
    let mut options = options.clone();
    options.bootstrap = vec![address.clone()];
    let opened = Cluster::connect(options.clone()).and_then(|mut cluster| {
        let apis = cluster.any()?.api_count();
        Ok((cluster, apis))
    });
    match opened {
        Ok((cluster, apis)) => {
            steps.push(step(way, "versions", address, Ok(format!("Kafka, {apis} APIs"))));
            Some(cluster)
        }
        Err(error) => {
            let diagnosis = not_kafka(address, &error, options.timeout);
            steps.push(step(way, "versions", address, Err(diagnosis)));
            None
        }
    }
}

fn resolve(address: &Address) -> Result<Vec<SocketAddr>, String> {
    let found = (address.host.as_str(), address.port).to_socket_addrs();
    let found: Vec<SocketAddr> = found.map_err(|_| "no such host".to_string())?.collect();
    if found.is_empty() {
        return Err("the name has no address".to_string());
    }
    Ok(found)
}

fn listed(all: &[SocketAddr]) -> String {
    let mut ips: Vec<String> = all.iter().map(|socket| socket.ip().to_string()).collect();
    ips.dedup();
    ips.join(", ")
}

fn resolve_remedy(way: &Way, address: &Address) -> String {
    let name = &address.host;
    match way {
        Way::Bootstrap if is_short_name(name) => format!(
            "`{name}` has no dot: such names are known inside a Docker or Kubernetes network only; from outside use the \
             host's name with the published port"
        ),
        Way::Bootstrap => format!("check the spelling, then the DNS: getent hosts {name}"),
        Way::Advertised { .. } if is_short_name(name) => format!(
            "`{name}` is known inside the broker's Docker or Kubernetes network only: set advertised.listeners (ringlog start \
             --advertise HOST:PORT) to a name that clients can resolve"
        ),
        Way::Advertised { .. } => format!(
            "this machine cannot resolve `{name}`: set advertised.listeners (ringlog start --advertise HOST:PORT) to a name \
             that it can, or give it that name in DNS or /etc/hosts"
        ),
    }
}

/// Connects to the addresses of a name in turn.
fn dial(way: &Way, address: &Address, sockets: &[SocketAddr], timeout: Duration) -> Result<String, (String, String)> {
    let mut causes = Vec::new();
    for socket in sockets {
        let start = Instant::now();
        match TcpStream::connect_timeout(socket, timeout) {
            Ok(_) => {
                return Ok(format!(
                    "{} in {:.1} ms",
                    socket.ip(),
                    start.elapsed().as_secs_f64() * 1000.0
                ));
            }
            Err(error) => causes.push((socket.ip(), error)),
        }
    }
    let refused = causes
        .iter()
        .any(|(_, error)| error.kind() == std::io::ErrorKind::ConnectionRefused);
    let words = causes.iter().map(|(ip, error)| {
        let cause = match error.kind() {
            std::io::ErrorKind::ConnectionRefused => "connection refused".to_string(),
            std::io::ErrorKind::TimedOut | std::io::ErrorKind::WouldBlock => format!("no answer in {timeout:?}"),
            _ => error
                .to_string()
                .split(" (os error")
                .next()
                .unwrap_or_default()
                .to_lowercase(),
        };
        format!("{ip}: {cause}")
    });
    Err((words.collect::<Vec<_>>().join(", "), dial_remedy(way, address, refused)))
}

fn dial_remedy(way: &Way, address: &Address, refused: bool) -> String {
    if let Way::Advertised { node, bootstrap } = way {
        if is_loopback(&address.host) && !is_loopback(&bootstrap.host) {
            return loopback_remedy(*node, address);
        }
        return format!(
            "{bootstrap} answers but sends clients to {address}: set advertised.listeners of node {node} (ringlog start \
             --advertise HOST:PORT) to what clients can reach, and publish or open that port"
        );
    }
    if refused {
        format!(
            "nothing listens on port {} there: is the broker running, does it listen on that address (ringlog start --listen \
             0.0.0.0:{}), is the container's port published?",
            address.port, address.port
        )
    } else {
        "a firewall, a security group or a wrong address: packets are not answered".to_string()
    }
}

/// Why an advertised loopback address cannot work for anybody else.
pub(super) fn loopback_remedy(node: i32, address: &Address) -> String {
    format!(
        "node {node} advertises {address}, which is each client's own machine: set its advertised.listeners (ringlog start \
         --advertise HOST:PORT) to a name that clients reach it by"
    )
}

/// What answers instead of Kafka.
fn not_kafka(address: &Address, error: &ClientError, timeout: Duration) -> (String, String) {
    match peer::identify(address, timeout) {
        Peer::Tls => (
            "it speaks TLS".to_string(),
            "this is a TLS listener: use the plaintext port, or a client that is set to security.protocol=SSL".to_string(),
        ),
        Peer::Http(server) => (
            format!("it is an HTTP server{server}"),
            "this is an admin, metrics or console port: the Kafka port is usually 9092".to_string(),
        ),
        Peer::Silent => (
            error.to_string(),
            "it takes connections and says nothing: a proxy or port forward with nothing behind it, or a broker that is \
             still starting"
                .to_string(),
        ),
        Peer::Closes => (
            error.to_string(),
            "it takes connections and closes them: a port forward with nothing behind it, a broker that is stopping, or \
             something that is not Kafka"
                .to_string(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_only_some_machines_know_are_told_from_others() {
        for host in [
            "localhost",
            "LOCALHOST.",
            "127.0.0.1",
            "127.3.2.1",
            "::1",
            "db.localhost",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["broker", "10.0.0.1", "localhost.example"] {
            assert!(!is_loopback(host), "{host}");
        }
        assert!(is_short_name("kafka") && is_short_name("broker-1"));
        assert!(!is_short_name("kafka.example") && !is_short_name("10.0.0.1") && !is_short_name("localhost"));
    }
}

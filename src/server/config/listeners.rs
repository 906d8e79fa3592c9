//! `listeners`, `advertised.listeners` and plain `host:port`.

use std::fmt;

/// Kafka's usual port.
pub const KAFKA_PORT: u16 = 9092;

/// A host (name, address, or empty for "all addresses") and a port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostPort {
    /// Without brackets.
    pub host: String,
    /// 0 = any free port.
    pub port: u16,
}

impl HostPort {
    /// Parses `host:port`, `:port`, `port`, `host` (with `default_port`) or `[::1]:port`.
    ///
    /// # Errors
    /// A sentence that says what is accepted.
    pub fn parse(text: &str, default_port: u16) -> Result<HostPort, String> {
        let text = text.trim();
        let bad = |why: &str| format!("`{text}` is not host:port: {why}");
        let port_of = |port: &str| {
            port.parse::<u16>()
                .map_err(|_| bad("the port must be a number from 0 to 65535"))
        };
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, tail) = rest.split_once(']').ok_or_else(|| bad("`[` without `]`"))?;
            match tail.strip_prefix(':') {
                Some(port) => (host, port_of(port)?),
                None if tail.is_empty() => (host, default_port),
                None => return Err(bad("expected `:port` after `]`")),
            }
        } else if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            ("", port_of(text)?)
        } else {
            match text.rsplit_once(':') {
                Some((host, _)) if host.contains(':') => return Err(bad("write an IPv6 address as [::1]:9092")),
                Some((host, port)) => (host, port_of(port)?),
                None => (text, default_port),
            }
        };
        if host.contains(|c: char| c.is_whitespace() || c == '/' || c == ',') {
            return Err(bad("the host has a character that no host name has"));
        }
        let host = if host == "*" { "" } else { host };
        Ok(HostPort {
            host: host.to_string(),
            port,
        })
    }

    /// True when it stands for all addresses of the machine.
    pub fn is_any(&self) -> bool {
        matches!(self.host.as_str(), "" | "0.0.0.0" | "::")
    }

    /// True when only this machine can reach it.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost"
            || self
                .host
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.as_str() {
            "" => write!(f, "*:{}", self.port),
            host if host.contains(':') => write!(f, "[{host}]:{}", self.port),
            host => write!(f, "{host}:{}", self.port),
        }
    }
}

/// One entry of `listeners`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listener {
    /// Listener name, capitals.
    pub name: String,
    /// Address.
    pub address: HostPort,
}

/// Parses `NAME://host:port,NAME://host:port`; an entry without a name is `PLAINTEXT`.
///
/// # Errors
/// A sentence about the entry at fault.
pub fn parse(text: &str) -> Result<Vec<Listener>, String> {
    let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    entries
        .map(|entry| {
            let (name, address) = entry.split_once("://").unwrap_or(("PLAINTEXT", entry));
            Ok(Listener {
                name: name.trim().to_ascii_uppercase(),
                address: HostPort::parse(address, KAFKA_PORT)?,
            })
        })
        .collect()
}

/// The security protocol of a listener name: by `listener.security.protocol.map`, else the name itself.
pub fn protocol_of(name: &str, map: &str) -> String {
    map.split(',')
        .filter_map(|pair| pair.split_once(':'))
        .find(|(listener, _)| listener.trim().eq_ignore_ascii_case(name))
        .map_or_else(
            || name.to_string(),
            |(_, protocol)| protocol.trim().to_ascii_uppercase(),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_all_spellings() {
        let show = |text: &str| HostPort::parse(text, 9092).map(|a| a.to_string());
        assert_eq!(show("0.0.0.0:19092"), Ok("0.0.0.0:19092".into()));
        assert_eq!(show(":9093"), Ok("*:9093".into()));
        assert_eq!(show("9093"), Ok("*:9093".into()));
        assert_eq!(show("broker-1"), Ok("broker-1:9092".into()));
        assert_eq!(show("[::1]:1"), Ok("[::1]:1".into()));
        for bad in [
            "host:port",
            "host:70000",
            "::1:9092",
            "[::1:9092",
            "a b:1",
            "http://x:1",
        ] {
            assert!(show(bad).is_err(), "{bad}");
        }
        assert!(HostPort::parse("127.0.0.2:1", 1).is_ok_and(|a| a.is_loopback() && !a.is_any()));
    }

    #[test]
    fn listener_names_map_to_protocols() {
        let listeners = parse("PLAINTEXT://:9092, CONTROLLER://:9093").unwrap();
        assert_eq!(listeners.len(), 2);
        assert_eq!(listeners[1].name, "CONTROLLER");
        assert_eq!(protocol_of("HOST", "CONTROLLER:PLAINTEXT,HOST:SASL_SSL"), "SASL_SSL");
        assert_eq!(protocol_of("SSL", ""), "SSL");
    }
}

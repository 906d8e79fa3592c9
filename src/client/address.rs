//! Broker addresses as people write them: `host:port`, `host`, `[::1]:9092`, comma-separated lists.

use std::fmt;

/// The port meant when none is written.
pub const DEFAULT_PORT: u16 = 9092;

/// A host name or IP address with a port. Not resolved.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// Host name or IP address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl Address {
    /// Parses one address; a missing port means 9092.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Address, String> {
        let text = text.trim();
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(format!(
                "`{text}` is a URL: leave out `{scheme}://` and write host:port"
            ));
        }
        let (host, port) = split_port(text)?;
        if host.is_empty() {
            return Err(format!("`{text}` has no host: write host:port"));
        }
        let port = match port {
            None => DEFAULT_PORT,
            Some(digits) => match digits.parse::<u16>() {
                Ok(port) if port > 0 => port,
                _ => return Err(format!("`{text}`: the port must be a number from 1 to 65535")),
            },
        };
        Ok(Address {
            host: host.to_string(),
            port,
        })
    }

    /// Parses a comma-separated list of at least one address.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the text.
    pub fn parse_list(text: &str) -> Result<Vec<Address>, String> {
        let parts: Vec<&str> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
        if parts.is_empty() {
            return Err("no broker address given: write host:port[,host:port]".to_string());
        }
        parts.into_iter().map(Address::parse).collect()
    }
}

/// Splits off the port, leaving IPv6 addresses whole.
fn split_port(text: &str) -> Result<(&str, Option<&str>), String> {
    if let Some(rest) = text.strip_prefix('[') {
        let Some((host, tail)) = rest.split_once(']') else {
            return Err(format!("`{text}`: `]` is missing"));
        };
        return match tail.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if tail.is_empty() => Ok((host, None)),
            None => Err(format!("`{text}`: expected `:port` after `]`")),
        };
    }
    match text.rsplit_once(':') {
        Some((host, _)) if host.contains(':') => Ok((text, None)),
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((text, None)),
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (text, host, port) in [
            ("localhost", "localhost", 9092),
            ("10.0.0.1:19092", "10.0.0.1", 19092),
            (" broker-1.lan:9093 ", "broker-1.lan", 9093),
            ("[::1]:9092", "::1", 9092),
            ("[fe80::1]", "fe80::1", 9092),
            ("::1", "::1", 9092),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!((address.host.as_str(), address.port), (host, port), "{text}");
            assert_eq!(
                Address::parse(&address.to_string()).unwrap(),
                address,
                "{text} survives being printed"
            );
        }
    }

    #[test]
    fn names_what_is_wrong() {
        for (text, says) in [
            ("http://localhost:9092", "leave out `http://`"),
            ("localhost:kafka", "number from 1 to 65535"),
            ("localhost:0", "number from 1 to 65535"),
            ("localhost:99999", "number from 1 to 65535"),
            (":9092", "no host"),
            ("[::1", "`]` is missing"),
        ] {
            let message = Address::parse(text).unwrap_err();
            assert!(message.contains(says), "{text}: {message}");
        }
        assert!(Address::parse_list(" , ").unwrap_err().contains("no broker address"));
        assert_eq!(Address::parse_list("a:1, b:2,").unwrap().len(), 2);
    }
}

//! From settings to a checked [`Config`].

use super::listeners::{self, HostPort, Listener};
use super::settings::{Origin, Settings};
use super::{Config, Host, LogFormat, Problem, units};
use crate::controller::configs::broker::broker_key;
use crate::controller::configs::foreign::foreign_key;
use std::path::PathBuf;

/// Default of `admin`.
const ADMIN: &str = "127.0.0.1:9644";
/// Port of `admin` when only a host is given.
const ADMIN_PORT: u16 = 9644;
/// Default of `listeners`: without authentication, only this machine.
const LISTEN: &str = "PLAINTEXT://127.0.0.1:9092";
/// Most shards of a node.
const SHARDS_MAX: u16 = 256;
/// Least memory of a shard, bytes.
const SHARD_MEMORY_MIN: u64 = 64 << 20;
/// Most memory of a shard by default, bytes.
const SHARD_MEMORY_DEFAULT: u64 = 1 << 30;

/// Resolves all keys; `None` (with at least one problem) when something needed is missing.
pub(super) fn resolve(settings: Settings, host: &Host, problems: &mut Vec<Problem>) -> Option<Config> {
    let mut resolver = Resolver {
        settings: &settings,
        host,
        problems,
        notes: Vec::new(),
    };
    resolver.check_broker_keys();
    let (listen, advertise) = resolver.addresses();
    let data_dir = resolver.data_dir();
    let admin = resolver.admin();
    let cpus = resolver.cpus();
    let shards = resolver.shards(cpus.len());
    let memory = resolver.memory(shards);
    let log_format = resolver.log_format();
    let log_level = resolver.log_level();
    let node_id = resolver.node_id();
    resolver.note_ignored();
    let notes = std::mem::take(&mut resolver.notes);
    let text = |name: &str| settings.get(name).map(|setting| setting.value.clone());
    // With what has no effect: whoever asks is shown what was set.
    let is_kafkas = |name: &str| broker_key(name).is_some() || foreign_key(name).is_some();
    let broker = settings.iter().filter(|(name, _)| is_kafkas(name));
    let broker = broker
        .map(|(name, setting)| (name.to_string(), setting.value.clone()))
        .collect();
    Some(Config {
        data_dir: data_dir?,
        listen: listen?,
        advertise: advertise?,
        admin: admin?,
        node_id,
        rack: text("broker.rack").filter(|rack| !rack.is_empty()),
        cpus,
        shards,
        memory,
        log_format,
        log_level,
        broker,
        notes,
        settings,
    })
}

struct Resolver<'a> {
    settings: &'a Settings,
    host: &'a Host,
    problems: &'a mut Vec<Problem>,
    notes: Vec<String>,
}

impl Resolver<'_> {
    fn value(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(|setting| setting.value.as_str())
    }

    fn origin(&self, name: &str) -> Origin {
        self.settings.origin(name)
    }

    fn problem(&mut self, name: &str, cause: impl std::fmt::Display, remedy: Option<&str>) {
        let origin = self.origin(name);
        self.problems.push(Problem {
            cause: format!("{origin}: {name}: {cause}"),
            remedy: remedy.map(str::to_string),
            origin,
        });
    }

    /// Type, range and honoured values of every Kafka key that was set.
    fn check_broker_keys(&mut self) {
        let faults: Vec<(String, String)> = self
            .settings
            .iter()
            .filter_map(|(name, setting)| Some((name, broker_key(name)?.check(&setting.value).err()?)))
            .map(|(name, fault)| (name.to_string(), fault))
            .collect();
        for (name, fault) in faults {
            self.problem(&name, fault, None);
        }
    }

    fn addresses(&mut self) -> (Option<HostPort>, Option<HostPort>) {
        let listener = match self.client_listener("listeners", self.value("listeners").unwrap_or(LISTEN).to_string()) {
            Some(Some(listener)) => listener,
            Some(None) => {
                self.problem(
                    "listeners",
                    "no listener for clients is left",
                    Some("name one, such as PLAINTEXT://:9092"),
                );
                return (None, None);
            }
            None => return (None, None),
        };
        let listen = listener.address;
        let advertised = match self.value("advertised.listeners").filter(|text| !text.is_empty()) {
            None => None,
            Some(text) => match self.client_listener("advertised.listeners", text.to_string()) {
                None => return (None, None),
                Some(found) => found.map(|listener| listener.address),
            },
        };
        let advertise = advertised.unwrap_or_else(|| HostPort {
            host: if listen.is_any() {
                self.host.reachable_name()
            } else {
                listen.host.clone()
            },
            port: listen.port,
        });
        if advertise.is_any() {
            self.problem(
                "advertised.listeners",
                format!("clients cannot connect to {advertise}"),
                Some("name the host that clients reach this machine by, such as --advertise broker-1.example:9092"),
            );
            return (None, None);
        }
        if listen.is_any() && advertise.is_loopback() {
            self.notes.push(format!(
                "clients on other machines will be sent to {advertise}, which is this machine only: set --advertise HOST:PORT"
            ));
        }
        (Some(listen), Some(advertise))
    }

    /// The one listener for clients; `None` after a problem, `Some(None)` when there is none.
    fn client_listener(&mut self, name: &str, text: String) -> Option<Option<Listener>> {
        let all = match listeners::parse(&text) {
            Ok(all) => all,
            Err(cause) => {
                self.problem(
                    name,
                    cause,
                    Some("write NAME://host:port, for example PLAINTEXT://0.0.0.0:9092"),
                );
                return None;
            }
        };
        let mut clients: Vec<Listener> = all
            .into_iter()
            .filter(|listener| listener.name != "CONTROLLER")
            .collect();
        let map = self
            .value("listener.security.protocol.map")
            .unwrap_or_default()
            .to_string();
        if let Some(secured) = clients
            .iter()
            .find(|l| listeners::protocol_of(&l.name, &map) != "PLAINTEXT")
        {
            let protocol = listeners::protocol_of(&secured.name, &map);
            if protocol.contains("SSL") || protocol.contains("SASL") {
                let cause = format!(
                    "listener {} asks for {protocol}, but TLS and SASL are not available yet",
                    secured.name
                );
                self.problem(
                    name,
                    cause,
                    Some("use PLAINTEXT on a network where every client may do everything"),
                );
            } else {
                let cause = format!("listener {} has no protocol", secured.name);
                let remedy = format!(
                    "add {}:PLAINTEXT to listener.security.protocol.map, or name it PLAINTEXT",
                    secured.name
                );
                self.problem(name, cause, Some(&remedy));
            }
            return None;
        }
        if clients.len() > 1 {
            let names: Vec<&str> = clients.iter().map(|listener| listener.name.as_str()).collect();
            let cause = format!(
                "{} listeners for clients ({}), ringlog serves one",
                names.len(),
                names.join(", ")
            );
            self.problem(name, cause, Some("keep the one that clients use"));
            return None;
        }
        Some(clients.pop())
    }

    fn data_dir(&mut self) -> Option<PathBuf> {
        let text = self.value("log.dirs").unwrap_or("./ringlog-data").to_string();
        let mut all = text.split(',').map(str::trim).filter(|path| !path.is_empty());
        let first = all.next().map(PathBuf::from);
        if first.is_none() || all.next().is_some() {
            self.problem(
                "log.dirs",
                format!("`{text}` must be exactly one directory"),
                Some("join several disks by RAID 0 or LVM, or start one broker per disk"),
            );
            return None;
        }
        first
    }

    fn admin(&mut self) -> Option<Option<HostPort>> {
        let text = self.value("admin").unwrap_or(ADMIN).to_string();
        if matches!(text.as_str(), "off" | "none" | "") {
            return Some(None);
        }
        match HostPort::parse(&text, ADMIN_PORT) {
            Ok(address) => {
                if !address.is_loopback() {
                    self.notes.push(format!(
                        "the admin address {address} is open to the network and has no login"
                    ));
                }
                Some(Some(address))
            }
            Err(cause) => {
                self.problem("admin", cause, Some("write host:port, or off"));
                None
            }
        }
    }

    fn cpus(&mut self) -> Vec<usize> {
        let Some(text) = self.value("cpus").map(str::to_string) else {
            return self.host.default_cpus.clone();
        };
        let remedy = format!("this process may run on {}", units::show_cpus(&self.host.allowed_cpus));
        match units::parse_cpus(&text) {
            Ok(cpus) => {
                if let Some(foreign) = cpus.iter().find(|cpu| !self.host.allowed_cpus.contains(cpu)) {
                    self.problem(
                        "cpus",
                        format!("CPU {foreign} does not exist or is not allowed"),
                        Some(&remedy),
                    );
                }
                cpus
            }
            Err(cause) => {
                self.problem("cpus", cause, Some(&remedy));
                self.host.default_cpus.clone()
            }
        }
    }

    fn shards(&mut self, cpus: usize) -> u16 {
        let default = u16::try_from(cpus).unwrap_or(SHARDS_MAX).clamp(1, SHARDS_MAX);
        let Some(text) = self.value("shards").map(str::to_string) else {
            return default;
        };
        match text.parse::<u16>() {
            Ok(shards) if (1..=SHARDS_MAX).contains(&shards) => {
                if usize::from(shards) > cpus {
                    self.notes.push(format!(
                        "{shards} shards share {cpus} CPUs: fine for tests, slower than one per CPU"
                    ));
                }
                shards
            }
            _ => {
                self.problem(
                    "shards",
                    format!("`{text}` must be a number from 1 to {SHARDS_MAX}"),
                    None,
                );
                default
            }
        }
    }

    fn memory(&mut self, shards: u16) -> u64 {
        let shards = u64::from(shards);
        let least = shards * SHARD_MEMORY_MIN;
        let default = (self.host.memory / 4).min(shards * SHARD_MEMORY_DEFAULT).max(least);
        let Some(text) = self.value("memory").map(str::to_string) else {
            return default;
        };
        let limit = units::show_size(self.host.memory);
        match units::parse_size(&text) {
            Err(cause) => self.problem("memory", cause, None),
            Ok(bytes) if bytes < least => {
                let cause = format!("{} is too little for {shards} shards", units::show_size(bytes));
                let remedy = format!("give at least {}, or fewer --cpus", units::show_size(least));
                self.problem("memory", cause, Some(&remedy));
            }
            Ok(bytes) if bytes > self.host.memory => {
                let cause = format!(
                    "{} is more than this machine or cgroup has ({limit})",
                    units::show_size(bytes)
                );
                self.problem("memory", cause, Some("give less, or raise the cgroup's limit"));
            }
            Ok(bytes) => return bytes,
        }
        default
    }

    fn log_format(&mut self) -> LogFormat {
        match self.value("log.format") {
            None | Some("text") => LogFormat::Text,
            Some("json") => LogFormat::Json,
            Some(other) => {
                let cause = format!("`{other}` must be text or json");
                self.problem("log.format", cause, None);
                LogFormat::Text
            }
        }
    }

    fn log_level(&mut self) -> String {
        let level = self.value("log.level").unwrap_or("info").to_ascii_lowercase();
        if !["error", "warn", "info", "debug", "trace"].contains(&level.as_str()) {
            self.problem(
                "log.level",
                format!("`{level}` must be error, warn, info, debug or trace"),
                None,
            );
        }
        level
    }

    fn node_id(&mut self) -> i32 {
        // -1 is Kafka's "choose one for me".
        self.value("node.id")
            .and_then(|id| id.parse().ok())
            .filter(|id| *id >= 0)
            .unwrap_or(1)
    }

    /// One sentence per reason, so that a long server.properties does not flood the start block.
    fn note_ignored(&mut self) {
        let mut by_reason: Vec<(&'static str, Vec<String>)> = Vec::new();
        for (name, reason, origin) in &self.settings.ignored {
            let shown = format!("{name} ({origin})");
            match by_reason.iter_mut().find(|(known, _)| known == reason) {
                Some((_, names)) => names.push(shown),
                None => by_reason.push((reason, vec![shown])),
            }
        }
        for (reason, names) in by_reason {
            self.notes.push(format!("ignored, {reason}: {}", names.join(", ")));
        }
    }
}

//! Every key a configuration may name, and what becomes of it: used, ignored with the reason, or refused.
//!
//! Used are ringlog's own keys and those of the controller's registry; the rest of Kafka's broker keys is listed here, so that
//! an existing `server.properties` or compose environment starts, and a misspelt key does not pass.

use crate::controller::configs::broker::{BROKER_KEYS, broker_key};
use crate::controller::configs::foreign::{foreign_key, foreign_keys};

/// What becomes of a key.
#[derive(Clone, Copy, Debug)]
pub(super) enum Meaning {
    /// Taken.
    Used,
    /// Has no effect here; the reason.
    Ignored(&'static str),
    /// Ignoring it would mislead; the reason and the remedy.
    Refused(&'static str, &'static str),
}

/// A key that was found.
pub(super) struct Known {
    /// Canonical name.
    pub name: &'static str,
    /// What becomes of it.
    pub meaning: Meaning,
    /// Turns the value into the canonical key's.
    pub rewrite: fn(&str) -> String,
}

/// ringlog's own keys: name and one line of help.
pub(super) const OWN_KEYS: &[(&str, &str)] = &[
    (
        "admin",
        "address of the admin HTTP server (metrics, health), or off; default 127.0.0.1:9644",
    ),
    (
        "cpus",
        "CPUs of the shards, such as 0,2-3; default: one per physical core",
    ),
    ("log.format", "text or json"),
    ("log.level", "error, warn, info, debug or trace"),
    (
        "memory",
        "memory of all shards; default min(25 % of RAM or of the cgroup's limit, 1 GiB per shard)",
    ),
    ("shards", "number of shards; default: one per CPU"),
];

/// Other spellings: key, canonical key, whether the value is a plain address that needs a listener name.
const ALIASES: &[(&str, &str, bool)] = &[
    ("advertise", "advertised.listeners", true),
    ("broker.id", "node.id", false),
    ("data.dir", "log.dirs", false),
    ("listen", "listeners", true),
    ("log.dir", "log.dirs", false),
];

const NO_SECURITY: &str = "TLS, SASL and ACLs are not available yet";
const NO_SECURITY_REMEDY: &str =
    "remove the key and keep the listener on a network where every client may do everything";

/// Keys that would promise protection.
const SECURITY: &[&str] = &[
    "authorizer.class.name",
    "connection.failed.authentication.delay.ms",
    "connections.max.reauth.ms",
    "early.start.listeners",
    "principal.builder.class",
    "sasl.client.callback.handler.class",
    "sasl.enabled.mechanisms",
    "sasl.jaas.config",
    "sasl.kerberos.kinit.cmd",
    "sasl.kerberos.min.time.before.relogin",
    "sasl.kerberos.principal.to.local.rules",
    "sasl.kerberos.service.name",
    "sasl.login.callback.handler.class",
    "sasl.login.class",
    "sasl.mechanism.controller.protocol",
    "sasl.mechanism.inter.broker.protocol",
    "sasl.oauthbearer.expected.audience",
    "sasl.oauthbearer.expected.issuer",
    "sasl.oauthbearer.jwks.endpoint.url",
    "sasl.oauthbearer.token.endpoint.url",
    "sasl.server.callback.handler.class",
    "sasl.server.max.receive.size",
    "security.providers",
    "ssl.allow.dn.changes",
    "ssl.allow.san.changes",
    "ssl.cipher.suites",
    "ssl.client.auth",
    "ssl.enabled.protocols",
    "ssl.endpoint.identification.algorithm",
    "ssl.engine.factory.class",
    "ssl.key.password",
    "ssl.keymanager.algorithm",
    "ssl.keystore.certificate.chain",
    "ssl.keystore.key",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.keystore.type",
    "ssl.principal.mapping.rules",
    "ssl.protocol",
    "ssl.provider",
    "ssl.secure.random.implementation",
    "ssl.trustmanager.algorithm",
    "ssl.truststore.certificates",
    "ssl.truststore.location",
    "ssl.truststore.password",
    "ssl.truststore.type",
    "super.users",
];

/// Keys of Kafka without effect here, by reason.
const IGNORED: &[(&str, &[&str])] = &[
    (
        "shards replace thread pools",
        &[
            "background.threads",
            "num.io.threads",
            "num.network.threads",
            "num.recovery.threads.per.data.dir",
            "num.replica.alter.log.dirs.threads",
            "queued.max.request.bytes",
            "queued.max.requests",
        ],
    ),
    (
        "the kernel's automatic buffer sizes are used",
        &[
            "socket.listen.backlog.size",
            "socket.receive.buffer.bytes",
            "socket.send.buffer.bytes",
        ],
    ),
    (
        "a single node needs no quorum of controllers",
        &[
            "controller.listener.names",
            "controller.performance.always.log.threshold.ms",
            "controller.performance.sample.period.ms",
            "controller.quorum.append.linger.ms",
            "controller.quorum.auto.join.enable",
            "controller.quorum.bootstrap.servers",
            "controller.quorum.election.backoff.max.ms",
            "controller.quorum.election.timeout.ms",
            "controller.quorum.fetch.timeout.ms",
            "controller.quorum.request.timeout.ms",
            "controller.quorum.retry.backoff.ms",
            "controller.quorum.voters",
            "controller.quota.window.num",
            "controller.quota.window.size.seconds",
            "broker.heartbeat.interval.ms",
            "broker.session.timeout.ms",
            "initial.broker.registration.timeout.ms",
            "inter.broker.listener.name",
            "inter.broker.protocol.version",
            "log.message.format.version",
            "metadata.log.dir",
            "metadata.log.max.record.bytes.between.snapshots",
            "metadata.log.max.snapshot.interval.ms",
            "metadata.log.segment.bytes",
            "metadata.log.segment.ms",
            "metadata.max.idle.interval.ms",
            "metadata.max.retention.bytes",
            "metadata.max.retention.ms",
            "process.roles",
            "reserved.broker.max.id",
            "security.inter.broker.protocol",
            "server.max.startup.time.ms",
            "unstable.api.versions.enable",
            "unstable.feature.versions.enable",
            "zookeeper.connect",
            "zookeeper.connection.timeout.ms",
            "zookeeper.session.timeout.ms",
        ],
    ),
    (
        "a single node does not replicate",
        &[
            "auto.leader.rebalance.enable",
            "controlled.shutdown.enable",
            "controlled.shutdown.max.retries",
            "controlled.shutdown.retry.backoff.ms",
            "follower.fetch.last.tiered.offset.enable",
            "leader.imbalance.check.interval.seconds",
            "leader.imbalance.per.broker.percentage",
            "offsets.topic.replication.factor",
            "num.replica.fetchers",
            "replica.fetch.backoff.ms",
            "replica.fetch.max.bytes",
            "replica.fetch.min.bytes",
            "replica.fetch.response.max.bytes",
            "replica.fetch.wait.max.ms",
            "replica.high.watermark.checkpoint.interval.ms",
            "replica.lag.time.max.ms",
            "replica.selector.class",
            "replica.socket.receive.buffer.bytes",
            "replica.socket.timeout.ms",
            "request.timeout.ms",
        ],
    ),
    (
        "groups have no settings of their own yet, nor can a protocol be switched off",
        &[
            "group.consumer.assignment.interval.ms",
            "group.consumer.assignor.offload.enable",
            "group.consumer.max.assignment.interval.ms",
            "group.consumer.max.heartbeat.interval.ms",
            "group.consumer.max.session.timeout.ms",
            "group.consumer.min.assignment.interval.ms",
            "group.consumer.min.heartbeat.interval.ms",
            "group.consumer.min.session.timeout.ms",
            "group.consumer.regex.refresh.interval.ms",
            "group.coordinator.rebalance.protocols",
        ],
    ),
    (
        "share groups are not available yet",
        &[
            "group.share.enable",
            "share.coordinator.state.topic.min.isr",
            "share.coordinator.state.topic.num.partitions",
            "share.coordinator.state.topic.replication.factor",
        ],
    ),
    (
        "coordinators write as producers do, in the shard that owns the group",
        &[
            "group.coordinator.append.linger.ms",
            "group.coordinator.threads",
            "offsets.commit.required.acks",
            "offsets.commit.timeout.ms",
            "offsets.load.buffer.size",
            "offsets.topic.compression.codec",
        ],
    ),
    (
        "transactions are not available yet",
        &[
            "transaction.abort.timed.out.transaction.cleanup.interval.ms",
            "transaction.max.timeout.ms",
            "transaction.partition.verification.enable",
            "transaction.remove.expired.transaction.cleanup.interval.ms",
            "transaction.state.log.load.buffer.size",
            "transaction.state.log.min.isr",
            "transaction.state.log.num.partitions",
            "transaction.state.log.replication.factor",
            "transaction.state.log.segment.bytes",
            "transaction.two.phase.commit.enable",
            "transactional.id.expiration.ms",
        ],
    ),
    (
        "the table of keys has a fixed load",
        &["log.cleaner.io.buffer.load.factor"],
    ),
    (
        "every acknowledged record is flushed, and files are pre-allocated",
        &[
            "log.dir.failure.timeout.ms",
            "log.flush.offset.checkpoint.interval.ms",
            "log.flush.scheduler.interval.ms",
            "log.flush.start.offset.checkpoint.interval.ms",
            "log.index.interval.bytes",
            "log.index.size.max.bytes",
            "log.initial.task.delay.ms",
            "log.message.downconversion.enable",
            "log.message.timestamp.difference.max.ms",
            "log.preallocate",
            "log.roll.jitter.hours",
            "log.roll.jitter.ms",
            "producer.id.expiration.check.interval.ms",
        ],
    ),
    (
        "connection limits of this kind are not available yet",
        &[
            "connection.max.creation.rate",
            "max.connection.creation.rate",
            "max.connections.per.ip.overrides",
            "replication.quota.window.num",
            "replication.quota.window.size.seconds",
        ],
    ),
    (
        "metrics are at /metrics of the admin address",
        &[
            "auto.include.jmx.reporter",
            "kafka.metrics.polling.interval.secs",
            "kafka.metrics.reporters",
            "metric.reporters",
            "metrics.num.samples",
            "metrics.recording.level",
            "metrics.sample.window.ms",
            "telemetry.max.bytes",
            "confluent.support.metrics.enable",
        ],
    ),
    (
        "Java classes and policies cannot be loaded",
        &[
            "alter.config.policy.class.name",
            "config.providers",
            "create.topic.policy.class.name",
        ],
    ),
    (
        "tiered storage is not available",
        &[
            "remote.log.manager.task.interval.ms",
            "remote.log.storage.system.enable",
        ],
    ),
];

/// Finds a key in any accepted spelling; in TOML `_` and `-` may stand for `.`.
pub(super) fn lookup(key: &str) -> Option<Known> {
    exact(key).or_else(|| exact(&key.to_ascii_lowercase().replace(['_', '-'], ".")))
}

fn exact(key: &str) -> Option<Known> {
    fn same(value: &str) -> String {
        value.to_string()
    }
    fn plaintext(value: &str) -> String {
        if value.contains("://") {
            value.to_string()
        } else {
            format!("PLAINTEXT://{value}")
        }
    }
    let known = |name, meaning, rewrite| Some(Known { name, meaning, rewrite });
    if let Some((_, name, is_address)) = ALIASES.iter().find(|(alias, ..)| *alias == key) {
        return known(name, Meaning::Used, if *is_address { plaintext } else { same });
    }
    if let Some((name, _)) = OWN_KEYS.iter().find(|(name, _)| *name == key) {
        return known(name, Meaning::Used, same);
    }
    // Before the registry: it also names keys whose feature does not exist yet.
    for (reason, names) in IGNORED {
        if let Some(name) = names.iter().find(|name| **name == key) {
            return known(name, Meaning::Ignored(reason), same);
        }
    }
    if let Some(name) = SECURITY.iter().find(|name| **name == key) {
        return known(name, Meaning::Refused(NO_SECURITY, NO_SECURITY_REMEDY), same);
    }
    if key.starts_with("listener.name.") {
        return known(
            "listener.name.*",
            Meaning::Refused(NO_SECURITY, NO_SECURITY_REMEDY),
            same,
        );
    }
    if let Some(found) = broker_key(key) {
        return known(found.name, Meaning::Used, same);
    }
    foreign_key(key).and_then(|found| known(found.name, Meaning::Ignored(found.doc), same))
}

/// A remedy for an unknown key: the nearest known one, if any is near.
pub(super) fn suggest(key: &str) -> String {
    let key = key.to_ascii_lowercase().replace(['_', '-'], ".");
    match nearest(all_names(), &key) {
        Some(name) => format!("did you mean `{name}`?"),
        None => "remove it; keys are Kafka's broker keys, or one of listen, advertise, data.dir, cpus, shards, memory, admin, \
                 log.format, log.level"
            .into(),
    }
}

/// The name that was probably meant, if any is near.
pub fn nearest(names: impl Iterator<Item = &'static str>, unknown: &str) -> Option<&'static str> {
    names
        .map(|name| (strsim::normalized_damerau_levenshtein(unknown, name), name))
        .filter(|(score, _)| *score >= 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

fn all_names() -> impl Iterator<Item = &'static str> {
    let own = OWN_KEYS.iter().map(|(name, _)| *name);
    let aliases = ALIASES.iter().map(|(name, ..)| *name);
    let registry = BROKER_KEYS.iter().map(|key| key.name);
    let ignored = IGNORED.iter().flat_map(|(_, names)| names.iter().copied());
    own.chain(aliases)
        .chain(registry)
        .chain(ignored)
        .chain(SECURITY.iter().copied())
        .chain(foreign_keys().iter().map(|key| key.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_both_ignored_and_refused_and_aliases_point_somewhere() {
        for (_, names) in IGNORED {
            for name in *names {
                assert!(!SECURITY.contains(name), "{name}");
                assert!(ALIASES.iter().all(|(alias, ..)| alias != name), "{name}");
            }
        }
        for (_, name, _) in ALIASES {
            assert!(broker_key(name).is_some(), "{name}");
        }
    }

    #[test]
    fn spelling_mistakes_get_the_nearest_key() {
        assert_eq!(suggest("log.retention.hour"), "did you mean `log.retention.hours`?");
        assert_eq!(suggest("num_partition"), "did you mean `num.partitions`?");
        assert_eq!(suggest("memroy"), "did you mean `memory`?");
        assert!(suggest("colour.of.the.sky").contains("remove it"));
    }
}

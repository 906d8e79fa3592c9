//! `RINGLOG_*` and `KAFKA_*` variables.
//!
//! The rule of Apache Kafka's image: after the prefix, `___` is `-`, `__` is `_` and `_` is `.`; letters become small.

use super::Problem;
use super::settings::{Origin, Settings};

/// Variables of Kafka's start scripts and images, which say nothing about the broker.
const FOREIGN_KAFKA: &[&str] = &[
    "CLASSPATH",
    "CLUSTER_ID",
    "CONF_DIR",
    "DEBUG",
    "GC_LOG_OPTS",
    "HEAP_OPTS",
    "HOME",
    "JMX_HOSTNAME",
    "JMX_OPTS",
    "JMX_PORT",
    "JVM_PERFORMANCE_OPTS",
    "KRAFT_CLUSTER_ID",
    "LOG4J_LOGGERS",
    "LOG4J_OPTS",
    "LOG4J_ROOT_LOGLEVEL",
    "OPTS",
    "TOOLS_LOG4J_LOGLEVEL",
    "URL",
    "USER",
    "VERSION",
];

/// Variables of ringlog's other commands and of its tests.
const FOREIGN_RINGLOG: &[&str] = &["BROKERS", "CONFIG", "FORMAT", "LOG", "PROFILE", "TIMEOUT"];

/// Prefix of variables that only ringlog's own tests read.
const TEST_PREFIX: &str = "TEST_";

/// Adds all variables with one of our prefixes.
pub(super) fn read(variables: &[(String, String)], settings: &mut Settings, problems: &mut Vec<Problem>) {
    for (name, value) in variables {
        let (rest, foreign) = if let Some(rest) = name.strip_prefix("RINGLOG_") {
            (rest, FOREIGN_RINGLOG)
        } else if let Some(rest) = name.strip_prefix("KAFKA_") {
            (rest, FOREIGN_KAFKA)
        } else {
            continue;
        };
        if rest.is_empty() || foreign.contains(&rest) || rest.starts_with(TEST_PREFIX) || is_service_link(rest, value) {
            continue;
        }
        let origin = Origin::Environment(name.clone());
        settings.set(&key_of(rest), value.clone(), origin, problems);
    }
}

/// Kubernetes and old Docker inject `NAME_SERVICE_HOST`, `NAME_PORT_9092_TCP` and the like for a service called kafka or
/// ringlog; these are not settings.
fn is_service_link(rest: &str, value: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    rest == "SERVICE_HOST"
        || rest.starts_with("SERVICE_PORT")
        || (rest == "PORT" && value.contains("://"))
        || rest
            .strip_prefix("PORT_")
            .is_some_and(|tail| is_number(tail.split('_').next().unwrap_or("")))
}

/// `LOG__X___Y_MS` to `log_x-y.ms`.
fn key_of(rest: &str) -> String {
    let mut key = String::with_capacity(rest.len());
    let mut underscores = 0;
    for letter in rest.chars().chain(std::iter::once('\0')) {
        if letter == '_' && underscores < 3 {
            underscores += 1;
            continue;
        }
        match underscores {
            0 => {}
            1 => key.push('.'),
            2 => key.push('_'),
            _ => key.push('-'),
        }
        underscores = 0;
        if letter == '_' {
            underscores = 1;
        } else if letter != '\0' {
            key.push(letter.to_ascii_lowercase());
        }
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn underscores_follow_the_images_rule() {
        assert_eq!(key_of("LOG_RETENTION_MS"), "log.retention.ms");
        assert_eq!(key_of("A__B_C"), "a_b.c");
        assert_eq!(key_of("A___B"), "a-b");
    }

    #[test]
    fn service_links_are_not_settings() {
        assert!(is_service_link("PORT", "tcp://10.0.0.1:9092"));
        assert!(is_service_link("PORT_9092_TCP_ADDR", "10.0.0.1"));
        assert!(is_service_link("SERVICE_HOST", "10.0.0.1"));
        assert!(!is_service_link("ADVERTISED_LISTENERS", "PLAINTEXT://x:9092"));
    }
}

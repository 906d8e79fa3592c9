//! Kafka's broker keys that have no effect here: named and described, so that tools find every key that they know.
//!
//! The list is text, in `foreign.txt`: types and defaults are those of Kafka 4.3. A key that ringlog takes up is left out as
//! soon as its own table has it.

use super::broker::broker_key;
use super::{ConfigKey, Kind, key};
use std::sync::OnceLock;

const TEXT: &str = include_str!("foreign.txt");

/// The keys, sorted by name. `doc` is why they have no effect.
pub fn foreign_keys() -> &'static [ConfigKey] {
    static KEYS: OnceLock<Vec<ConfigKey>> = OnceLock::new();
    KEYS.get_or_init(|| parse(TEXT))
}

/// Such a key by name.
pub fn foreign_key(name: &str) -> Option<&'static ConfigKey> {
    let keys = foreign_keys();
    let at = keys.binary_search_by(|key| key.name.cmp(name)).ok()?;
    keys.get(at)
}

fn parse(text: &'static str) -> Vec<ConfigKey> {
    let mut reason = "";
    let mut keys = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        if let Some(text) = line.strip_prefix("= ") {
            reason = text;
            continue;
        }
        let mut words = line.split(' ');
        let (Some(name), Some(kind), Some(default)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        if broker_key(name).is_none() {
            let default = if default == "-" { "" } else { default };
            keys.push(key(name, kind_of(kind), default, reason).foreign());
        }
    }
    keys.sort_by_key(|key| key.name);
    keys
}

fn kind_of(word: &str) -> Kind {
    match word {
        "boolean" => Kind::Bool,
        "int" => Kind::Int(i32::MIN, i32::MAX),
        "short" => Kind::Short,
        "long" => Kind::Long(i64::MIN, i64::MAX),
        "double" => Kind::Double(f64::MIN, f64::MAX),
        "list" => Kind::List(&[]),
        "class" => Kind::Class,
        "password" => Kind::Password,
        _ => Kind::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_key_with_a_legal_default_and_a_reason() {
        let lines = TEXT
            .lines()
            .filter(|line| !line.starts_with(['#', '=']) && !line.is_empty());
        let (ours, theirs): (Vec<_>, Vec<_>) = lines
            .map(|line| line.split(' ').next().unwrap())
            .partition(|name| broker_key(name).is_some());
        assert_eq!(foreign_keys().len(), theirs.len(), "left out as our own: {ours:?}");
        assert!(foreign_keys().windows(2).all(|pair| pair[0].name < pair[1].name));
        for key in foreign_keys() {
            assert!(key.default.is_empty() || key.check(key.default).is_ok(), "{}", key.name);
            assert!(!key.doc.is_empty() && !key.dynamic, "{}", key.name);
        }
        let password = foreign_key("ssl.key.password").unwrap();
        assert!(password.kind.is_secret());
    }
}

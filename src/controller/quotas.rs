//! Client quotas: which there are, how they are changed, and which one counts for a client (KIP-13, KIP-546, KIP-599, KIP-612).
//!
//! Must not know how they are enforced.

use crate::controller::machine::Controller;
use crate::controller::record::MetaRecord;
use crate::controller::request::{ControllerReply, Outcome};
use crate::wire::error::ErrorCode;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Entities with quotas; metadata lies in memory and in one checkpoint.
const ENTITIES_MAX: usize = 20_000;
/// Longest name of an entity, bytes.
pub(super) const NAME_BYTES_MAX: usize = 1_024;

/// What is limited. The order is that of [`ALL`](QuotaKey::ALL).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum QuotaKey {
    /// Bytes of produce requests a second.
    Produce,
    /// Bytes of fetched records a second.
    Fetch,
    /// Share of one shard's time, percent.
    Request,
    /// Partitions created or deleted a second.
    Mutation,
    /// New connections a second.
    Connection,
}

impl QuotaKey {
    /// All of them.
    pub const ALL: [QuotaKey; 5] = [
        QuotaKey::Produce,
        QuotaKey::Fetch,
        QuotaKey::Request,
        QuotaKey::Mutation,
        QuotaKey::Connection,
    ];

    /// Kafka's name.
    pub fn name(self) -> &'static str {
        match self {
            QuotaKey::Produce => "producer_byte_rate",
            QuotaKey::Fetch => "consumer_byte_rate",
            QuotaKey::Request => "request_percentage",
            QuotaKey::Mutation => "controller_mutation_rate",
            QuotaKey::Connection => "connection_creation_rate",
        }
    }

    fn of(name: &str) -> Option<QuotaKey> {
        QuotaKey::ALL.into_iter().find(|key| key.name() == name)
    }

    /// Whole numbers only.
    fn is_whole(self) -> bool {
        matches!(self, QuotaKey::Produce | QuotaKey::Fetch | QuotaKey::Connection)
    }
}

/// One part of an entity.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Part {
    /// The entity does not speak of it.
    #[default]
    Absent,
    /// All that have no quota of their own.
    Default,
    /// This one.
    Named(String),
}

/// Whom a quota is for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct QuotaEntity {
    /// `user`.
    pub user: Part,
    /// `client-id`.
    pub client_id: Part,
    /// `ip`, never together with the others.
    pub ip: Part,
}

/// Types and names as on the wire; no name = the default.
pub type EntityParts = Vec<(String, Option<String>)>;
/// The quotas of an entity.
pub type QuotaValues = BTreeMap<QuotaKey, f64>;
/// All quotas.
pub type Quotas = BTreeMap<QuotaEntity, QuotaValues>;

/// A change of one entity's quotas.
#[derive(Clone, PartialEq, Debug)]
pub struct QuotaChange {
    /// Whom, unchecked.
    pub entity: EntityParts,
    /// Key and value, no value = remove; unchecked.
    pub ops: Vec<(String, Option<f64>)>,
}

/// Who shares one allowance.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Holder {
    /// User, if the quota is one of users.
    pub user: Option<String>,
    /// Client id (or address), if the quota is one of these.
    pub client: Option<String>,
}

impl QuotaEntity {
    /// From types and names.
    ///
    /// # Errors
    /// What is wrong with them (INVALID_REQUEST).
    pub fn from_parts(parts: &[(String, Option<String>)]) -> Result<QuotaEntity, String> {
        if parts.is_empty() {
            return Err("Invalid empty client quota entity".into());
        }
        let mut entity = QuotaEntity::default();
        for (kind, name) in parts {
            let slot = match kind.as_str() {
                "user" => &mut entity.user,
                "client-id" => &mut entity.client_id,
                "ip" => &mut entity.ip,
                other => return Err(format!("Unhandled client quota entity type: {}", other.escape_debug())),
            };
            if *slot != Part::Absent {
                return Err(format!("Entity type {kind} is there more than once"));
            }
            *slot = match name {
                Some(name) if name.is_empty() => return Err(format!("Empty {kind} not supported")),
                Some(name) if name.len() > NAME_BYTES_MAX => {
                    return Err(format!("A {kind} of more than {NAME_BYTES_MAX} bytes is not supported"));
                }
                Some(name) => Part::Named(name.clone()),
                None => Part::Default,
            };
        }
        if entity.ip != Part::Absent && (entity.user != Part::Absent || entity.client_id != Part::Absent) {
            return Err("Invalid quota entity combination: an ip stands alone".into());
        }
        if let Part::Named(ip) = &entity.ip {
            // Kafka resolves names once, when the quota is set; what they mean later is nobody's business then.
            let address: IpAddr = ip
                .parse()
                .map_err(|_| format!("{} is not a valid IP address", ip.escape_debug()))?;
            entity.ip = Part::Named(address.to_string());
        }
        Ok(entity)
    }

    /// Types and names, in the order user, client-id, ip.
    pub fn parts(&self) -> EntityParts {
        let all = [("user", &self.user), ("client-id", &self.client_id), ("ip", &self.ip)];
        let part = |(kind, part): (&str, &Part)| match part {
            Part::Absent => None,
            Part::Default => Some((kind.to_string(), None)),
            Part::Named(name) => Some((kind.to_string(), Some(name.clone()))),
        };
        all.into_iter().filter_map(part).collect()
    }

    fn check(&self, name: &str, value: Option<f64>) -> Result<QuotaKey, String> {
        let key = QuotaKey::of(name).filter(|key| (*key == QuotaKey::Connection) == (self.ip != Part::Absent));
        let key = key.ok_or_else(|| format!("Invalid configuration key {}", name.escape_debug()))?;
        let Some(value) = value else { return Ok(key) };
        if value.is_nan() || value <= 0.0 || value.is_infinite() {
            return Err(format!("Quota {name} must be greater than 0"));
        }
        if key.is_whole() && value.fract() != 0.0 {
            return Err(format!("{name} must be a whole number"));
        }
        if key == QuotaKey::Connection && value > f64::from(i32::MAX) {
            return Err(format!("Proposed value for {name} is too large for an INT."));
        }
        Ok(key)
    }
}

/// What counts for a client of `user` that calls itself `client_id`: the most specific entity that has the key, in Kafka's
/// order (user and client-id, user, client-id; named before default).
pub fn of_client(quotas: &Quotas, user: &str, client_id: &str, key: QuotaKey) -> Option<(Holder, f64)> {
    let users = [Part::Named(user.to_string()), Part::Default];
    let clients = [Part::Named(client_id.to_string()), Part::Default];
    let with_user = users.iter().flat_map(|user| {
        clients
            .iter()
            .chain([&Part::Absent])
            .map(move |client| (user.clone(), client.clone()))
    });
    let without = clients.iter().map(|client| (Part::Absent, client.clone()));
    for (user_part, client_part) in with_user.chain(without) {
        let holder = Holder {
            user: (user_part != Part::Absent).then(|| user.to_string()),
            client: (client_part != Part::Absent).then(|| client_id.to_string()),
        };
        let entity = QuotaEntity {
            user: user_part,
            client_id: client_part,
            ip: Part::Absent,
        };
        if let Some(rate) = quotas.get(&entity).and_then(|values| values.get(&key)) {
            return Some((holder, *rate));
        }
    }
    None
}

/// New connections a second that an address may make.
pub fn of_ip(quotas: &Quotas, ip: IpAddr) -> Option<(Holder, f64)> {
    let named = ip.to_canonical().to_string();
    let rate = [Part::Named(named.clone()), Part::Default]
        .into_iter()
        .find_map(|part| {
            let entity = QuotaEntity {
                ip: part,
                ..QuotaEntity::default()
            };
            quotas.get(&entity)?.get(&QuotaKey::Connection).copied()
        })?;
    let holder = Holder {
        user: None,
        client: Some(named),
    };
    Some((holder, rate))
}

impl Controller {
    pub(super) fn plan_quotas(
        &mut self,
        changes: Vec<QuotaChange>,
        validate_only: bool,
        records: &mut Vec<MetaRecord>,
    ) -> ControllerReply {
        let outcomes = changes.iter().map(|change| match self.changed_quotas(change) {
            Ok((entity, values)) => {
                if !validate_only {
                    let values = values
                        .iter()
                        .map(|(key, value)| (key.name().to_string(), value.to_bits()));
                    let record = MetaRecord::ClientQuota {
                        entity: entity.parts(),
                        values: values.collect(),
                    };
                    self.propose(record, records);
                }
                Outcome::fine()
            }
            Err(why) => Outcome::refused(ErrorCode::InvalidRequest, why),
        });
        ControllerReply::QuotasAltered(outcomes.collect())
    }

    fn changed_quotas(&self, change: &QuotaChange) -> Result<(QuotaEntity, QuotaValues), String> {
        let entity = QuotaEntity::from_parts(&change.entity)?;
        let all = &self.planned.image.quotas;
        if all.len() >= ENTITIES_MAX && !all.contains_key(&entity) {
            return Err(format!(
                "{ENTITIES_MAX} entities have quotas already: remove some, or use the default entity"
            ));
        }
        let mut values = all.get(&entity).cloned().unwrap_or_default();
        for (name, value) in &change.ops {
            let key = entity.check(name, *value)?;
            match value {
                Some(value) => values.insert(key, *value),
                None => values.remove(&key),
            };
        }
        Ok((entity, values))
    }
}

/// Applies a record's quotas. A key of a later version is left out: nothing here enforces it.
pub(super) fn replay(quotas: &mut Quotas, entity: &[(String, Option<String>)], values: &[(String, u64)]) {
    let Ok(entity) = QuotaEntity::from_parts(entity) else {
        return;
    };
    let values: QuotaValues = values
        .iter()
        .filter_map(|(name, bits)| Some((QuotaKey::of(name)?, f64::from_bits(*bits))))
        .collect();
    match values.is_empty() {
        true => quotas.remove(&entity),
        false => quotas.insert(entity, values),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entity(user: Part, client_id: Part) -> QuotaEntity {
        QuotaEntity {
            user,
            client_id,
            ip: Part::Absent,
        }
    }

    #[test]
    fn the_most_specific_entity_counts_in_kafkas_order() {
        let named = |name: &str| Part::Named(name.to_string());
        // From the weakest to the strongest; each new one takes over.
        let order = [
            (entity(Part::Absent, Part::Default), (false, true)),
            (entity(Part::Absent, named("c")), (false, true)),
            (entity(Part::Default, Part::Absent), (true, false)),
            (entity(Part::Default, Part::Default), (true, true)),
            (entity(Part::Default, named("c")), (true, true)),
            (entity(named("u"), Part::Absent), (true, false)),
            (entity(named("u"), Part::Default), (true, true)),
            (entity(named("u"), named("c")), (true, true)),
        ];
        let mut quotas = Quotas::new();
        assert_eq!(of_client(&quotas, "u", "c", QuotaKey::Produce), None);
        for (rate, (entity, (by_user, by_client))) in (1u8..).zip(order) {
            quotas.insert(entity, BTreeMap::from([(QuotaKey::Produce, f64::from(rate))]));
            let (holder, found) = of_client(&quotas, "u", "c", QuotaKey::Produce).unwrap();
            assert_eq!(found, f64::from(rate));
            assert_eq!((holder.user.is_some(), holder.client.is_some()), (by_user, by_client));
            assert_eq!(of_client(&quotas, "u", "c", QuotaKey::Fetch), None, "another key");
        }
    }

    #[test]
    fn addresses_have_a_quota_of_their_own_or_the_default() {
        let ip = |part| QuotaEntity {
            ip: part,
            ..QuotaEntity::default()
        };
        let rate = |rate| BTreeMap::from([(QuotaKey::Connection, rate)]);
        let mut quotas = Quotas::from([(ip(Part::Named("10.0.0.1".into())), rate(5.0))]);
        let found = |quotas: &Quotas, address: &str| of_ip(quotas, address.parse().unwrap()).map(|(_, rate)| rate);
        assert_eq!(found(&quotas, "10.0.0.1"), Some(5.0));
        assert_eq!(found(&quotas, "::ffff:10.0.0.1"), Some(5.0), "the same address");
        assert_eq!(found(&quotas, "10.0.0.2"), None);
        quotas.insert(ip(Part::Default), rate(2.0));
        assert_eq!(
            (found(&quotas, "10.0.0.2"), found(&quotas, "10.0.0.1")),
            (Some(2.0), Some(5.0))
        );
    }
}

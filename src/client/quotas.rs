//! Client quotas (KIP-546): read and changed by entity, which is a user, a client id, an address, or a pair of the first two.

use crate::client::Result;
use crate::client::admin::{PerTopic, with_controller};
use crate::client::cluster::Cluster;
use crate::client::error::{ClientError, Refusal};
use kafka_protocol::messages::alter_client_quotas_request::{EntityData, EntryData, OpData};
use kafka_protocol::messages::describe_client_quotas_request::ComponentData;
use kafka_protocol::messages::{AlterClientQuotasRequest, DescribeClientQuotasRequest};
use kafka_protocol::protocol::StrBytes;
use std::fmt;

/// Match types of DescribeClientQuotas.
const MATCH_EXACT: i8 = 0;
const MATCH_DEFAULT: i8 = 1;

/// Who is limited: parts of Kafka's types `user`, `client-id`, `ip` with a name, `None` = the default of that type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entity(pub Vec<(String, Option<String>)>);

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (kind, name)) in self.0.iter().enumerate() {
            let gap = if position == 0 { "" } else { "," };
            write!(f, "{gap}{kind}={}", name.as_deref().unwrap_or("<default>"))?;
        }
        Ok(())
    }
}

/// The limits of one entity.
#[derive(Clone, Debug, PartialEq)]
pub struct Quota {
    /// Who.
    pub entity: Entity,
    /// Key and value, such as `producer_byte_rate` in bytes a second.
    pub values: Vec<(String, f64)>,
}

/// A change of one key.
#[derive(Clone, Debug, PartialEq)]
pub enum QuotaChange {
    /// Limit to this.
    Set(String, f64),
    /// No limit of this kind.
    Remove(String),
}

fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_string())
}

/// Quotas of all entities that have the parts of `filter`; with `strict` only those that have no others.
///
/// # Errors
/// Connection errors, [`ClientError::Unsupported`], the broker's refusal.
pub fn describe(cluster: &mut Cluster, filter: &Entity, strict: bool) -> Result<Vec<Quota>> {
    let component = |(kind, name): &(String, Option<String>)| {
        ComponentData::default()
            .with_entity_type(text(kind))
            .with_match_type(if name.is_some() { MATCH_EXACT } else { MATCH_DEFAULT })
            .with_match(name.as_deref().map(text))
    };
    let request = DescribeClientQuotasRequest::default()
        .with_components(filter.0.iter().map(component).collect())
        .with_strict(strict);
    let response = cluster.call_any(&request)?;
    if let Some(refusal) = Refusal::from_code(response.error_code, response.error_message.as_deref()) {
        return Err(ClientError::refused("read quotas", refusal));
    }
    let quotas = response.entries.unwrap_or_default().into_iter().map(|entry| Quota {
        entity: Entity(
            entry
                .entity
                .into_iter()
                .map(|part| {
                    (
                        part.entity_type.to_string(),
                        part.entity_name.map(|name| name.to_string()),
                    )
                })
                .collect(),
        ),
        values: entry
            .values
            .into_iter()
            .map(|value| (value.key.to_string(), value.value))
            .collect(),
    });
    Ok(quotas.collect())
}

/// Changes limits of one entity; with `dry_run` the broker only checks.
///
/// # Errors
/// Connection errors, [`ClientError::Unsupported`].
pub fn alter(cluster: &mut Cluster, entity: &Entity, changes: &[QuotaChange], dry_run: bool) -> Result<PerTopic<()>> {
    let part = |(kind, name): &(String, Option<String>)| {
        EntityData::default()
            .with_entity_type(text(kind))
            .with_entity_name(name.as_deref().map(text))
    };
    let operation = |change: &QuotaChange| match change {
        QuotaChange::Set(key, value) => OpData::default().with_key(text(key)).with_value(*value),
        QuotaChange::Remove(key) => OpData::default().with_key(text(key)).with_remove(true),
    };
    let entry = EntryData::default()
        .with_entity(entity.0.iter().map(part).collect())
        .with_ops(changes.iter().map(operation).collect());
    let request = AlterClientQuotasRequest::default()
        .with_entries(vec![entry])
        .with_validate_only(dry_run);
    with_controller(cluster, |cluster| {
        let response = cluster.call_controller(&request)?;
        let outcome = response.entries.into_iter().map(|entry| {
            let refusal = Refusal::from_code(entry.error_code, entry.error_message.as_deref());
            (entity.to_string(), refusal.map_or(Ok(()), Err))
        });
        Ok(outcome.collect())
    })
}

//! Configs of topics, brokers and groups: read with sources and synonyms, changed key by key (KIP-226, KIP-339).
//!
//! A broker's own configs are asked of that broker. Refusals about one entity are values.

use crate::client::Result;
use crate::client::admin::{PerTopic, with_controller};
use crate::client::cluster::Cluster;
use crate::client::error::Refusal;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::{DescribeConfigsRequest, IncrementalAlterConfigsRequest};
use kafka_protocol::protocol::StrBytes;
use std::fmt;

/// First version of DescribeConfigs that explains keys (KIP-569).
const EXPLAINS: i16 = 3;

/// What has configs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entity {
    /// A topic by name.
    Topic(String),
    /// A broker by node id.
    Broker(i32),
    /// The defaults of all brokers.
    BrokerDefault,
    /// A group by name (KIP-848).
    Group(String),
}

impl Entity {
    /// Kafka's `ConfigResource` type.
    fn kind(&self) -> i8 {
        match self {
            Entity::Topic(_) => 2,
            Entity::Broker(_) | Entity::BrokerDefault => 4,
            Entity::Group(_) => 32,
        }
    }

    fn name(&self) -> StrBytes {
        StrBytes::from_string(match self {
            Entity::Topic(name) | Entity::Group(name) => name.clone(),
            Entity::Broker(id) => id.to_string(),
            Entity::BrokerDefault => String::new(),
        })
    }

    /// The name in outcomes of commands that change several.
    fn label(&self) -> String {
        match self {
            Entity::Topic(name) | Entity::Group(name) => name.clone(),
            Entity::Broker(_) | Entity::BrokerDefault => self.to_string(),
        }
    }
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Entity::Topic(name) => write!(f, "topic:{name}"),
            Entity::Broker(id) => write!(f, "broker:{id}"),
            Entity::BrokerDefault => f.write_str("broker-default"),
            Entity::Group(name) => write!(f, "group:{name}"),
        }
    }
}

/// One key of an entity's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Key.
    pub name: String,
    /// Value; `None` if unset or hidden.
    pub value: Option<String>,
    /// Where the value comes from.
    pub source: ConfigSource,
    /// True if the value is a secret and not shown.
    pub sensitive: bool,
    /// True if it cannot be changed at run time.
    pub read_only: bool,
    /// All values set on any level, the one in effect first.
    pub synonyms: Vec<Synonym>,
    /// The broker's explanation.
    pub documentation: Option<String>,
}

/// A value on one level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synonym {
    /// The key of that level, such as `log.retention.ms` for a topic's `retention.ms`.
    pub name: String,
    /// Its value there.
    pub value: Option<String>,
    /// The level.
    pub source: ConfigSource,
}

/// Where a config value comes from (Kafka's `ConfigSource`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigSource {
    /// Set on the topic.
    Topic,
    /// Set on this broker at run time.
    Broker,
    /// Set for all brokers at run time.
    AllBrokers,
    /// From the broker's configuration file or environment.
    Static,
    /// Built in.
    Default,
    /// Set on the group (KIP-848).
    Group,
    /// Anything else, by Kafka's number.
    Other(i8),
}

impl ConfigSource {
    fn from_code(code: i8) -> ConfigSource {
        match code {
            1 => ConfigSource::Topic,
            2 => ConfigSource::Broker,
            3 => ConfigSource::AllBrokers,
            4 => ConfigSource::Static,
            5 => ConfigSource::Default,
            8 => ConfigSource::Group,
            other => ConfigSource::Other(other),
        }
    }
}

impl fmt::Display for ConfigSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ConfigSource::Topic => "topic",
            ConfigSource::Broker => "broker, changed at run time",
            ConfigSource::AllBrokers => "all brokers, changed at run time",
            ConfigSource::Static => "broker configuration",
            ConfigSource::Default => "default",
            ConfigSource::Group => "group",
            ConfigSource::Other(code) => return write!(f, "source {code}"),
        })
    }
}

/// A change of one config key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigChange {
    /// Give the key this value.
    Set(String, String),
    /// Back to the default.
    Unset(String),
    /// Add these items to a list.
    Append(String, String),
    /// Take these items from a list.
    Subtract(String, String),
}

/// The changes in words.
pub fn words(changes: &[ConfigChange]) -> String {
    let word = |change: &ConfigChange| match change {
        ConfigChange::Set(key, value) => format!("{key}={value}"),
        ConfigChange::Unset(key) => format!("{key} back to default"),
        ConfigChange::Append(key, value) => format!("{key} with {value}"),
        ConfigChange::Subtract(key, value) => format!("{key} without {value}"),
    };
    changes.iter().map(word).collect::<Vec<_>>().join(", ")
}

fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_string())
}

/// Configs of each entity (`keys`: only these), by the entity's name in the order given.
///
/// # Errors
/// Connection errors, `ClientError::Unsupported`.
pub fn describe(
    cluster: &mut Cluster,
    entities: &[Entity],
    keys: Option<&[String]>,
) -> Result<PerTopic<Vec<ConfigEntry>>> {
    let (brokers, others): (Vec<&Entity>, Vec<&Entity>) =
        entities.iter().partition(|entity| matches!(entity, Entity::Broker(_)));
    let mut found = Vec::with_capacity(entities.len());
    for entity in brokers {
        if let Entity::Broker(id) = entity {
            let response = cluster.call_node_with(*id, |version| describe_request(&[entity], keys, version))?;
            found.extend(
                response
                    .results
                    .into_iter()
                    .map(|result| (entity.label(), entries(result))),
            );
        }
    }
    if !others.is_empty() {
        let version = cluster.any()?.version::<DescribeConfigsRequest>(i16::MAX)?;
        let response = cluster.call_any(&describe_request(&others, keys, version))?;
        for result in response.results {
            let is_it =
                |entity: &&&Entity| entity.kind() == result.resource_type && entity.name() == result.resource_name;
            let label = others.iter().find(is_it).map(|entity| entity.label());
            let label = label.unwrap_or_else(|| result.resource_name.to_string());
            found.push((label, entries(result)));
        }
    }
    Ok(found)
}

fn describe_request(entities: &[&Entity], keys: Option<&[String]>, version: i16) -> DescribeConfigsRequest {
    let keys = keys.map(|keys| keys.iter().map(|key| text(key)).collect::<Vec<_>>());
    let resource = |entity: &&Entity| {
        DescribeConfigsResource::default()
            .with_resource_type(entity.kind())
            .with_resource_name(entity.name())
            .with_configuration_keys(keys.clone())
    };
    DescribeConfigsRequest::default()
        .with_resources(entities.iter().map(resource).collect())
        .with_include_synonyms(true)
        .with_include_documentation(version >= EXPLAINS)
}

fn entries(result: DescribeConfigsResult) -> std::result::Result<Vec<ConfigEntry>, Refusal> {
    match Refusal::from_code(result.error_code, result.error_message.as_deref()) {
        Some(refusal) => Err(refusal),
        None => Ok(result.configs.into_iter().map(entry).collect()),
    }
}

fn entry(entry: DescribeConfigsResourceResult) -> ConfigEntry {
    let owned = |text: StrBytes| text.to_string();
    let synonym = |synonym: DescribeConfigsSynonym| Synonym {
        name: synonym.name.to_string(),
        value: synonym.value.map(owned),
        source: ConfigSource::from_code(synonym.source),
    };
    ConfigEntry {
        name: entry.name.to_string(),
        value: entry.value.map(owned),
        source: ConfigSource::from_code(entry.config_source),
        sensitive: entry.is_sensitive,
        read_only: entry.read_only,
        synonyms: entry.synonyms.into_iter().map(synonym).collect(),
        documentation: entry.documentation.map(owned).filter(|text| !text.is_empty()),
    }
}

/// Changes single keys of each entity, leaving the others alone; with `dry_run` the broker only checks.
///
/// # Errors
/// Connection errors, `ClientError::Unsupported`.
pub fn alter(
    cluster: &mut Cluster,
    entities: &[Entity],
    changes: &[ConfigChange],
    dry_run: bool,
) -> Result<PerTopic<()>> {
    let mut done = Vec::with_capacity(entities.len());
    let (brokers, others): (Vec<&Entity>, Vec<&Entity>) =
        entities.iter().partition(|entity| matches!(entity, Entity::Broker(_)));
    for entity in brokers {
        if let Entity::Broker(id) = entity {
            let response = cluster.call_node(*id, &alter_request(&[entity], changes, dry_run))?;
            done.extend(response.responses.into_iter().map(|result| {
                let refusal = Refusal::from_code(result.error_code, result.error_message.as_deref());
                (entity.label(), refusal.map_or(Ok(()), Err))
            }));
        }
    }
    if others.is_empty() {
        return Ok(done);
    }
    let request = alter_request(&others, changes, dry_run);
    done.extend(with_controller(cluster, |cluster| {
        let response = cluster.call_controller(&request)?;
        let outcome = response.responses.into_iter().map(|result| {
            let refusal = Refusal::from_code(result.error_code, result.error_message.as_deref());
            let is_default = result.resource_name.is_empty();
            let label = if is_default {
                Entity::BrokerDefault.label()
            } else {
                result.resource_name.to_string()
            };
            (label, refusal.map_or(Ok(()), Err))
        });
        Ok(outcome.collect())
    })?);
    Ok(done)
}

fn alter_request(entities: &[&Entity], changes: &[ConfigChange], dry_run: bool) -> IncrementalAlterConfigsRequest {
    let change = |change: &ConfigChange| {
        let (key, operation, value) = match change {
            ConfigChange::Set(key, value) => (key, 0, Some(value)),
            ConfigChange::Unset(key) => (key, 1, None),
            ConfigChange::Append(key, value) => (key, 2, Some(value)),
            ConfigChange::Subtract(key, value) => (key, 3, Some(value)),
        };
        AlterableConfig::default()
            .with_name(text(key))
            .with_config_operation(operation)
            .with_value(value.map(|value| text(value)))
    };
    let changes: Vec<AlterableConfig> = changes.iter().map(change).collect();
    let resource = |entity: &&Entity| {
        AlterConfigsResource::default()
            .with_resource_type(entity.kind())
            .with_resource_name(entity.name())
            .with_configs(changes.clone())
    };
    IncrementalAlterConfigsRequest::default()
        .with_validate_only(dry_run)
        .with_resources(entities.iter().map(resource).collect())
}

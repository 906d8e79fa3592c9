//! Plans for creating, deleting and growing topics (Kafka's `ReplicationControlManager`).

use crate::base::ids::ShardId;
use crate::base::ids::TopicId;
use crate::controller::configs::resolve;
use crate::controller::configs::topic::topic_key;
use crate::controller::image::{Image, OFFSETS_TOPIC, PartitionMeta, Topic};
use crate::controller::internal;
use crate::controller::machine::{Controller, REQUEST_PARTITIONS_MAX};
use crate::controller::names::{check_topic_name, collision_key};
use crate::controller::record::{MetaRecord, pairs};
use crate::controller::request::{ControllerReply, NewPartitions, NewTopic, Outcome, TopicRef};
use crate::wire::error::ErrorCode;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A refusal.
type Refused = (ErrorCode, String);

impl Controller {
    pub(super) fn plan_create(
        &mut self,
        topics: Vec<NewTopic>,
        validate_only: bool,
        records: &mut Vec<MetaRecord>,
    ) -> ControllerReply {
        let twice = named_twice(topics.iter().map(|topic| topic.name.as_str()));
        let mut left = REQUEST_PARTITIONS_MAX;
        let results = topics.into_iter().map(|topic| {
            if twice.contains(&topic.name) {
                return (
                    Outcome::refused(ErrorCode::InvalidRequest, "Duplicate topic name."),
                    None,
                );
            }
            match self.check_new(&topic, &mut left) {
                Ok((count, overrides)) => (
                    Outcome::fine(),
                    Some(self.create(topic.name, count, overrides, validate_only, records)),
                ),
                Err((error, message)) => (Outcome::refused(error, message), None),
            }
        });
        ControllerReply::Created(results.collect())
    }

    fn create(
        &mut self,
        name: String,
        count: usize,
        overrides: BTreeMap<String, String>,
        validate_only: bool,
        records: &mut Vec<MetaRecord>,
    ) -> Arc<Topic> {
        let shards = self.place(count);
        if validate_only {
            let partitions = shards
                .iter()
                .map(|shard| PartitionMeta {
                    shard: ShardId(*shard),
                    leader_epoch: 0,
                })
                .collect();
            let config = resolve::topic_config(&self.planned.image, &overrides);
            return Arc::new(Topic {
                id: TopicId::ZERO,
                name,
                partitions,
                overrides,
                config,
            });
        }
        let id = self.new_topic_id();
        let record = MetaRecord::TopicCreated {
            id: id.0,
            name,
            shards,
            overrides: pairs(&overrides),
        };
        self.propose(record, records);
        self.planned.image.topics[&id].clone()
    }

    fn check_new(&self, topic: &NewTopic, left: &mut usize) -> Result<(usize, BTreeMap<String, String>), Refused> {
        check_topic_name(&topic.name).map_err(|why| (ErrorCode::InvalidTopicException, why))?;
        if self.planned.image.names.contains_key(&topic.name) {
            return Err((
                ErrorCode::TopicAlreadyExists,
                format!("Topic '{}' already exists.", topic.name),
            ));
        }
        if let Some(other) = self.planned.collisions.get(&collision_key(&topic.name)) {
            return Err((
                ErrorCode::InvalidTopicException,
                format!("Topic '{}' collides with existing topic: {other}", topic.name),
            ));
        }
        let count = self.partition_count(topic)?;
        let overrides = match topic.name == OFFSETS_TOPIC {
            true => internal::overrides(&self.planned.image, &topic.configs)?,
            false => check_overrides(&topic.configs)?,
        };
        for (name, value) in &overrides {
            let Some(key) = topic_key(name) else { continue };
            self.check_batch_limit(key, value)
                .map_err(|why| (ErrorCode::InvalidConfig, why))?;
        }
        self.check_room(count, left)?;
        Ok((count, overrides))
    }

    /// How many partitions the topic gets, from its counts or its manual assignment.
    fn partition_count(&self, topic: &NewTopic) -> Result<usize, Refused> {
        let image = &self.planned.image;
        if !topic.assignments.is_empty() {
            if topic.replication_factor != -1 {
                return Err((
                    ErrorCode::InvalidRequest,
                    "A manual partition assignment was specified, but replication factor was not set to -1.".into(),
                ));
            }
            if topic.partitions != -1 {
                return Err((
                    ErrorCode::InvalidRequest,
                    "A manual partition assignment was specified, but numPartitions was not set to -1.".into(),
                ));
            }
            return check_assignments(image, &topic.assignments);
        }
        let factor = match topic.replication_factor {
            -1 => resolve::broker_int(image, "default.replication.factor"),
            given if given < 1 => {
                return Err((
                    ErrorCode::InvalidReplicationFactor,
                    "Replication factor must be larger than 0, or -1 to use the default value.".into(),
                ));
            }
            given => i64::from(given),
        };
        let brokers = image.brokers().len() as i64;
        if factor > brokers {
            let message = format!(
                "Unable to replicate the partition {factor} time(s): The target replication factor of {factor} cannot be reached because only {brokers} broker(s) are registered."
            );
            return Err((ErrorCode::InvalidReplicationFactor, message));
        }
        match topic.partitions {
            -1 if topic.name == OFFSETS_TOPIC => Ok(internal::partitions(image)),
            -1 => Ok(resolve::broker_int(image, "num.partitions").max(1) as usize),
            given if given < 1 => Err((
                ErrorCode::InvalidPartitions,
                "Number of partitions was set to an invalid non-positive value.".into(),
            )),
            given => Ok(given as usize),
        }
    }

    /// Refuses more partitions than one request or the node may have.
    fn check_room(&self, count: usize, left: &mut usize) -> Result<(), Refused> {
        if count > *left {
            return Err((
                ErrorCode::PolicyViolation,
                format!("One request may create at most {REQUEST_PARTITIONS_MAX} partitions: ask for fewer at a time."),
            ));
        }
        let max = self.config.partitions_max;
        if self.planned.partition_count.saturating_add(count) > max {
            return Err((
                ErrorCode::PolicyViolation,
                format!("This node holds at most {max} partitions: delete topics first."),
            ));
        }
        *left -= count;
        Ok(())
    }

    pub(super) fn plan_delete(&mut self, topics: Vec<TopicRef>, records: &mut Vec<MetaRecord>) -> ControllerReply {
        if !resolve::broker_bool(&self.planned.image, "delete.topic.enable") {
            let refused = |asked| {
                let text = "Topic deletion is disabled: set delete.topic.enable=true.";
                (Outcome::refused(ErrorCode::TopicDeletionDisabled, text), asked)
            };
            return ControllerReply::Deleted(topics.into_iter().map(refused).collect());
        }
        let found: Vec<_> = distinct(topics)
            .into_iter()
            .map(|(asked, times)| (find(&self.planned.image, &asked, times), asked))
            .collect();
        let found_by_id: BTreeSet<TopicId> = found
            .iter()
            .filter(|(_, asked)| asked.name.is_none())
            .filter_map(|(found, _)| Some(found.as_ref().ok()?.id))
            .collect();
        let also_by_name: BTreeSet<TopicId> = found
            .iter()
            .filter(|(_, asked)| asked.name.is_some())
            .filter_map(|(found, _)| Some(found.as_ref().ok()?.id).filter(|id| found_by_id.contains(id)))
            .collect();
        let results = found.into_iter().map(|(found, asked)| match found {
            Ok(found) if also_by_name.contains(&found.id) => {
                let text = "The provided topic name maps to an ID that was already supplied.";
                (Outcome::refused(ErrorCode::InvalidRequest, text), found)
            }
            Ok(found) => {
                self.propose(MetaRecord::TopicDeleted { id: found.id.0 }, records);
                (Outcome::fine(), found)
            }
            Err((error, message)) => (Outcome::refused(error, message), asked),
        });
        ControllerReply::Deleted(results.collect())
    }

    pub(super) fn plan_grow(
        &mut self,
        topics: Vec<NewPartitions>,
        validate_only: bool,
        records: &mut Vec<MetaRecord>,
    ) -> ControllerReply {
        let twice = named_twice(topics.iter().map(|topic| topic.name.as_str()));
        let mut left = REQUEST_PARTITIONS_MAX;
        let results = topics.into_iter().map(|asked| {
            if twice.contains(&asked.name) {
                return Outcome::refused(ErrorCode::InvalidRequest, "Duplicate topic name.");
            }
            match self.check_growth(&asked, &mut left) {
                Ok(_) if validate_only => Outcome::fine(),
                Ok((id, added)) => {
                    let shards = self.place(added);
                    self.propose(MetaRecord::PartitionsAdded { id: id.0, shards }, records);
                    Outcome::fine()
                }
                Err((error, message)) => Outcome::refused(error, message),
            }
        });
        ControllerReply::Grown(results.collect())
    }

    fn check_growth(&self, asked: &NewPartitions, left: &mut usize) -> Result<(TopicId, usize), Refused> {
        let image = &self.planned.image;
        let Some(topic) = image.topic(&asked.name) else {
            return Err((
                ErrorCode::UnknownTopicOrPartition,
                "This server does not host this topic-partition.".into(),
            ));
        };
        internal::check_growth(&topic.name)?;
        let now = topic.partitions.len();
        let wanted = usize::try_from(asked.count).unwrap_or(0);
        if wanted == now {
            return Err((
                ErrorCode::InvalidPartitions,
                format!("Topic already has {now} partition(s)."),
            ));
        }
        if wanted < now {
            return Err((
                ErrorCode::InvalidPartitions,
                format!(
                    "The topic {} currently has {now} partition(s); {} would not be an increase.",
                    asked.name, asked.count
                ),
            ));
        }
        let added = wanted - now;
        if let Some(assignments) = &asked.assignments {
            if assignments.len() != added {
                let message = format!(
                    "Attempted to add {added} additional partition(s), but only {} assignment(s) were specified.",
                    assignments.len()
                );
                return Err((ErrorCode::InvalidReplicaAssignment, message));
            }
            assignments
                .iter()
                .try_for_each(|brokers| check_replicas(image, brokers))?;
        }
        self.check_room(added, left)?;
        Ok((topic.id, added))
    }
}

/// Checks a manual assignment and returns its number of partitions.
fn check_assignments(image: &Image, assignments: &[(i32, Vec<i32>)]) -> Result<usize, Refused> {
    let mut seen = BTreeSet::new();
    for (partition, brokers) in assignments {
        if !seen.insert(*partition) {
            return Err((
                ErrorCode::InvalidReplicaAssignment,
                format!("Found multiple manual partition assignments for partition {partition}"),
            ));
        }
        check_replicas(image, brokers)?;
    }
    if seen
        .iter()
        .enumerate()
        .any(|(want, got)| want as i64 != i64::from(*got))
    {
        return Err((
            ErrorCode::InvalidReplicaAssignment,
            "partitions should be a consecutive 0-based integer sequence".into(),
        ));
    }
    Ok(assignments.len())
}

fn check_replicas(image: &Image, brokers: &[i32]) -> Result<(), Refused> {
    let refused = |message: String| Err((ErrorCode::InvalidReplicaAssignment, message));
    if brokers.is_empty() {
        return refused("The manual partition assignment includes an empty replica list.".into());
    }
    let mut seen = BTreeSet::new();
    for broker in brokers {
        if !seen.insert(broker) {
            return refused(format!(
                "The manual partition assignment includes the broker {broker} more than once."
            ));
        }
        if !image.brokers().iter().any(|known| known.id == *broker) {
            return refused(format!(
                "The manual partition assignment includes broker {broker}, but no such broker is registered."
            ));
        }
    }
    Ok(())
}

/// Checks given overrides.
pub(super) fn check_overrides(configs: &BTreeMap<String, Option<String>>) -> Result<BTreeMap<String, String>, Refused> {
    let mut overrides = BTreeMap::new();
    for (name, value) in configs {
        let Some(key) = topic_key(name) else {
            return Err((
                ErrorCode::InvalidConfig,
                format!("Unknown topic config name: {}", name.escape_debug()),
            ));
        };
        let Some(value) = value else {
            return Err((
                ErrorCode::InvalidConfig,
                format!("Null value not supported for topic configs: {name}"),
            ));
        };
        key.check(value).map_err(|why| (ErrorCode::InvalidConfig, why))?;
        overrides.insert(name.clone(), value.trim().to_string());
    }
    Ok(overrides)
}

/// The topic that a client means, which has named it this many times.
fn find(image: &Image, asked: &TopicRef, times: usize) -> Result<TopicRef, Refused> {
    let topic = match (&asked.name, asked.id.is_zero()) {
        (Some(_), false) => {
            return Err((
                ErrorCode::InvalidRequest,
                "You may not specify both topic name and topic id.".into(),
            ));
        }
        (None, true) => {
            return Err((
                ErrorCode::InvalidRequest,
                "Neither topic name nor id were specified.".into(),
            ));
        }
        (Some(_), true) if times > 1 => return Err((ErrorCode::InvalidRequest, "Duplicate topic name.".into())),
        (None, false) if times > 1 => return Err((ErrorCode::InvalidRequest, "Duplicate topic id.".into())),
        (Some(name), true) => image.topic(name).ok_or((
            ErrorCode::UnknownTopicOrPartition,
            "This server does not host this topic-partition.".to_string(),
        ))?,
        (None, false) => image.topics.get(&asked.id).ok_or((
            ErrorCode::UnknownTopicId,
            "This server does not host this topic ID.".to_string(),
        ))?,
    };
    Ok(TopicRef {
        name: Some(topic.name.clone()),
        id: topic.id,
    })
}

/// Names that occur more than once.
fn named_twice<'a>(names: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    names.filter(|name| !seen.insert(*name)).map(str::to_string).collect()
}

/// Each of what is asked for once, in the order it first came, and how many times it did.
fn distinct(topics: Vec<TopicRef>) -> Vec<(TopicRef, usize)> {
    let mut places: BTreeMap<(Option<String>, TopicId), usize> = BTreeMap::new();
    let mut found: Vec<(TopicRef, usize)> = Vec::with_capacity(topics.len());
    for topic in topics {
        let place = *places.entry((topic.name.clone(), topic.id)).or_insert(found.len());
        match found.get_mut(place) {
            Some((_, times)) => *times += 1,
            None => found.push((topic, 1)),
        }
    }
    found
}

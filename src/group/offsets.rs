//! Committed offsets by group, topic and partition.
//!
//! Readers are shown what is durable. Plans (what to delete, what has expired) look at what will be durable once all writes in
//! flight are: so a deletion never misses an offset that is on its way.

use crate::wire::group::records::{GroupRecord, OffsetCommitValue, OffsetKey};
use std::collections::BTreeMap;

/// One partition's offset.
#[derive(Debug, Default)]
pub(super) struct Slot {
    pub durable: Option<OffsetCommitValue>,
    flight: Option<Box<Flight>>,
}

/// Writes in flight for one partition.
#[derive(Debug)]
struct Flight {
    writes: u32,
    /// What the last of them makes of it.
    planned: Option<OffsetCommitValue>,
}

impl Slot {
    /// What it will be.
    fn planned(&self) -> Option<&OffsetCommitValue> {
        match &self.flight {
            Some(flight) => flight.planned.as_ref(),
            None => self.durable.as_ref(),
        }
    }
}

/// Offsets of one group.
type Topics = BTreeMap<String, BTreeMap<i32, Slot>>;

#[derive(Debug, Default)]
pub(super) struct Offsets {
    groups: BTreeMap<String, Topics>,
    count: usize,
    /// Of durable offsets and those on their way.
    bytes: usize,
}

impl Offsets {
    /// Durable offsets.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Memory that they take, bytes: names of groups and topics are counted for each offset, which is more than they take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// A group's offsets.
    pub fn of(&self, group: &str) -> Option<&Topics> {
        self.groups.get(group)
    }

    /// A durable record says so.
    pub fn set_durable(&mut self, key: &OffsetKey, value: Option<OffsetCommitValue>) {
        if value.is_none() && self.slot(key).is_none() {
            return;
        }
        let after = value.is_some();
        let slot = self.slot_or_new(key);
        let added = metadata_len(value.as_ref());
        let before = std::mem::replace(&mut slot.durable, value);
        self.bytes = self.bytes + added - metadata_len(before.as_ref());
        self.count = self.count + usize::from(after) - usize::from(before.is_some());
        self.prune(key);
    }

    /// These records are on their way to the log.
    pub fn planned(&mut self, records: &[GroupRecord]) {
        for record in records {
            let GroupRecord::OffsetCommit(key, value) = record else {
                continue;
            };
            let slot = self.slot_or_new(key);
            let writes = slot.flight.as_ref().map_or(0, |flight| flight.writes) + 1;
            slot.flight = Some(Box::new(Flight {
                writes,
                planned: value.clone(),
            }));
        }
    }

    /// These records are no longer on their way: the log has them, or never will.
    pub fn landed(&mut self, records: &[GroupRecord]) {
        for record in records {
            let GroupRecord::OffsetCommit(key, _) = record else {
                continue;
            };
            let Some(slot) = self.slot(key) else { continue };
            match &mut slot.flight {
                Some(flight) if flight.writes > 1 => flight.writes -= 1,
                flight => *flight = None,
            }
            self.prune(key);
        }
    }

    /// Records that remove a group's offsets, of those that `which` chooses.
    pub fn tombstones(
        &self,
        group: &str,
        which: impl Fn(&str, i32, &OffsetCommitValue) -> bool,
    ) -> impl Iterator<Item = GroupRecord> {
        let planned = self.planned_of(group);
        let chosen = planned.filter(move |(topic, partition, value)| which(topic, *partition, value));
        chosen.map(move |(topic, partition, _)| {
            let key = OffsetKey {
                group_id: group.to_string(),
                topic: topic.to_string(),
                partition,
            };
            GroupRecord::OffsetCommit(key, None)
        })
    }

    /// A group's offsets as they will be.
    pub fn planned_of(&self, group: &str) -> impl Iterator<Item = (&str, i32, &OffsetCommitValue)> {
        let topics = self.groups.get(group).into_iter().flatten();
        topics.flat_map(|(topic, slots)| {
            let known = slots
                .iter()
                .filter_map(|(partition, slot)| Some((*partition, slot.planned()?)));
            known.map(move |(partition, value)| (topic.as_str(), partition, value))
        })
    }

    /// Groups that have offsets, or will have.
    pub fn groups(&self) -> impl Iterator<Item = &String> {
        self.groups.keys()
    }

    fn slot(&mut self, key: &OffsetKey) -> Option<&mut Slot> {
        self.groups
            .get_mut(&key.group_id)?
            .get_mut(&key.topic)?
            .get_mut(&key.partition)
    }

    fn slot_or_new(&mut self, key: &OffsetKey) -> &mut Slot {
        let topics = self.groups.entry(key.group_id.clone()).or_default();
        let slots = topics.entry(key.topic.clone()).or_default();
        slots.entry(key.partition).or_insert_with(|| {
            self.bytes += slot_bytes(key);
            Slot::default()
        })
    }

    /// Drops a slot that holds nothing.
    fn prune(&mut self, key: &OffsetKey) {
        let Some(topics) = self.groups.get_mut(&key.group_id) else {
            return;
        };
        let Some(slots) = topics.get_mut(&key.topic) else {
            return;
        };
        let slot = slots.get(&key.partition);
        if slot.is_some_and(|slot| slot.durable.is_none() && slot.flight.is_none()) {
            slots.remove(&key.partition);
            self.bytes -= slot_bytes(key);
        }
        if slots.is_empty() {
            topics.remove(&key.topic);
        }
        if topics.is_empty() {
            self.groups.remove(&key.group_id);
        }
    }
}

/// Memory of one offset without its text, bytes.
fn slot_bytes(key: &OffsetKey) -> usize {
    size_of::<(i32, Slot)>() + key.group_id.len() + key.topic.len()
}

fn metadata_len(value: Option<&OffsetCommitValue>) -> usize {
    value.map_or(0, |value| value.metadata.len())
}

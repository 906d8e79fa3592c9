//! Assignors: from subscriptions and the last target to a new target. Plain functions; the same input gives the same target.

use super::Partitions;
use crate::base::ids::TopicId;
use std::collections::{BTreeMap, BTreeSet};

/// How the coordinator assigns (`group.consumer.assignors`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Assignor {
    /// Equal numbers of partitions, and as few moves as that allows.
    Uniform,
    /// Contiguous ranges per topic, static members first: partitions of the same number go together.
    Range,
}

impl Assignor {
    /// Kafka's name.
    pub const fn name(self) -> &'static str {
        match self {
            Assignor::Uniform => "uniform",
            Assignor::Range => "range",
        }
    }

    /// By Kafka's name.
    pub fn named(name: &str) -> Option<Assignor> {
        [Assignor::Uniform, Assignor::Range]
            .into_iter()
            .find(|assignor| assignor.name() == name)
    }

    /// Assigns every partition of `sizes` (partitions by topic) to one of the members that are subscribed to its topic.
    pub(super) fn assign(self, members: &[Spec], sizes: &BTreeMap<TopicId, i32>) -> Vec<Partitions> {
        match self {
            Assignor::Uniform => uniform(members, sizes),
            Assignor::Range => range(members, sizes),
        }
    }
}

/// A member as assignors see it.
pub(super) struct Spec<'a> {
    pub id: &'a str,
    pub instance_id: Option<&'a str>,
    /// Topics that it is subscribed to and that exist.
    pub topics: BTreeSet<TopicId>,
    /// Its target so far.
    pub last: Option<&'a Partitions>,
}

fn subscribers(members: &[Spec], topic: TopicId) -> Vec<usize> {
    let indexed = members.iter().enumerate();
    indexed
        .filter(|(_, member)| member.topics.contains(&topic))
        .map(|(index, _)| index)
        .collect()
}

fn range(members: &[Spec], sizes: &BTreeMap<TopicId, i32>) -> Vec<Partitions> {
    let mut assigned = vec![Partitions::new(); members.len()];
    for (topic, size) in sizes {
        let mut takers = subscribers(members, *topic);
        let rank = |index: &usize| {
            members
                .get(*index)
                .map(|m| (m.instance_id.is_none(), m.instance_id, m.id))
        };
        takers.sort_by_key(rank);
        let count = takers.len() as i32;
        let mut next = 0;
        for (place, taker) in (0..).zip(takers) {
            let quota = size / count + i32::from(place < size % count);
            if quota > 0
                && let Some(partitions) = assigned.get_mut(taker)
            {
                partitions.insert(*topic, (next..next + quota).collect());
            }
            next += quota;
        }
    }
    assigned
}

/// Who has how much while a uniform assignment is made.
struct Loads<'a> {
    members: &'a [Spec<'a>],
    assigned: Vec<Partitions>,
    loads: Vec<usize>,
}

impl Loads<'_> {
    fn load(&self, member: usize) -> usize {
        self.loads.get(member).copied().unwrap_or(0)
    }

    fn give(&mut self, member: usize, topic: TopicId, partition: i32) {
        if let (Some(assigned), Some(load)) = (self.assigned.get_mut(member), self.loads.get_mut(member)) {
            *load += usize::from(assigned.entry(topic).or_default().insert(partition));
        }
    }

    /// Takes the member's last partition of the topic away.
    fn take(&mut self, member: usize, topic: TopicId) -> Option<i32> {
        let assigned = self.assigned.get_mut(member)?;
        let partitions = assigned.get_mut(&topic)?;
        let partition = partitions.pop_last();
        if partitions.is_empty() {
            assigned.remove(&topic);
        }
        if let (Some(_), Some(load)) = (partition, self.loads.get_mut(member)) {
            *load -= 1;
        }
        partition
    }

    /// All keep what they had, where that is still theirs to have. Returns what nobody has.
    fn keep(&mut self, sizes: &BTreeMap<TopicId, i32>) -> BTreeMap<TopicId, BTreeSet<i32>> {
        let mut free: Partitions = sizes
            .iter()
            .map(|(topic, size)| (*topic, (0..*size).collect()))
            .collect();
        let members = self.members;
        for (index, member) in members.iter().enumerate() {
            for (topic, partitions) in member.last.into_iter().flatten() {
                let Some(free) = free.get_mut(topic).filter(|_| member.topics.contains(topic)) else {
                    continue;
                };
                let kept: Vec<i32> = partitions.iter().copied().filter(|p| free.remove(p)).collect();
                kept.into_iter()
                    .for_each(|partition| self.give(index, *topic, partition));
            }
        }
        free
    }

    /// Each free partition goes to the subscriber that has least.
    fn fill(&mut self, topic: TopicId, takers: &[usize], free: BTreeSet<i32>) {
        let mut queue: BTreeSet<(usize, usize)> = takers.iter().map(|taker| (self.load(*taker), *taker)).collect();
        for partition in free {
            let Some((load, taker)) = queue.pop_first() else { return };
            self.give(taker, topic, partition);
            queue.insert((load + 1, taker));
        }
    }

    /// Moves partitions of one topic from who has most to who has least, while that makes them more equal. True if any moved.
    fn level(&mut self, topic: TopicId, takers: &[usize]) -> bool {
        let mut queue: BTreeSet<(usize, usize)> = takers.iter().map(|taker| (self.load(*taker), *taker)).collect();
        let has = |taker: &&usize| self.assigned.get(**taker).is_some_and(|all| all.contains_key(&topic));
        let givers = takers.iter().filter(has);
        let mut givers: BTreeSet<(usize, usize)> = givers.map(|taker| (self.load(*taker), *taker)).collect();
        let mut moved = false;
        while let (Some((most, from)), Some((least, to))) = (givers.pop_last(), queue.first().copied()) {
            if most <= least + 1 {
                break;
            }
            let Some(partition) = self.take(from, topic) else {
                continue;
            };
            self.give(to, topic, partition);
            moved = true;
            queue.remove(&(most, from));
            queue.remove(&(least, to));
            queue.extend([(most - 1, from), (least + 1, to)]);
            givers.remove(&(least, to));
            givers.insert((least + 1, to));
            if self.assigned.get(from).is_some_and(|all| all.contains_key(&topic)) {
                givers.insert((most - 1, from));
            }
        }
        moved
    }
}

/// Each move of `level` makes the sum of squares of the loads smaller, so it comes to an end; where all have the same
/// subscription, with loads that differ by one at most.
fn uniform(members: &[Spec], sizes: &BTreeMap<TopicId, i32>) -> Vec<Partitions> {
    let mut loads = Loads {
        members,
        assigned: vec![Partitions::new(); members.len()],
        loads: vec![0; members.len()],
    };
    let mut free = loads.keep(sizes);
    let mut topics: Vec<(TopicId, Vec<usize>)> = sizes
        .keys()
        .map(|topic| (*topic, subscribers(members, *topic)))
        .collect();
    // Topics with few subscribers leave least choice.
    topics.sort_by_key(|(topic, takers)| (takers.len(), *topic));
    for (topic, takers) in &topics {
        loads.fill(*topic, takers, free.remove(topic).unwrap_or_default());
    }
    loop {
        let mut moved = false;
        for (topic, takers) in &topics {
            moved |= loads.level(*topic, takers);
        }
        if !moved {
            return loads.assigned;
        }
    }
}

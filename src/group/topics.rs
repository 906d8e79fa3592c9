//! What groups need to know of the cluster's topics: names, ids, and how many partitions there are.

use crate::base::ids::TopicId;
use std::collections::BTreeMap;

/// One topic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TopicSize {
    /// Identity: a topic made again is another.
    pub id: TopicId,
    /// How many partitions it has.
    pub partitions: i32,
}

/// All topics at one version.
#[derive(Clone, Debug, Default)]
pub struct Topics {
    /// Grows when anything here changes.
    version: u64,
    /// Grows when names come or go.
    names_version: u64,
    by_name: BTreeMap<String, TopicSize>,
    by_id: BTreeMap<TopicId, String>,
}

impl Topics {
    /// The next version; `None` when nothing has changed.
    pub fn next(&self, by_name: BTreeMap<String, TopicSize>) -> Option<Topics> {
        if self.version > 0 && self.by_name == by_name {
            return None;
        }
        let same_names = self.by_name.keys().eq(by_name.keys());
        Some(Topics {
            version: self.version + 1,
            names_version: self.names_version + u64::from(!same_names),
            by_id: by_name.iter().map(|(name, topic)| (topic.id, name.clone())).collect(),
            by_name,
        })
    }

    /// See [`Topics::next`].
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Stays while no name comes or goes.
    pub fn names_version(&self) -> u64 {
        self.names_version
    }

    /// A topic by name.
    pub fn get(&self, name: &str) -> Option<TopicSize> {
        self.by_name.get(name).copied()
    }

    /// A topic's name.
    pub fn name(&self, id: TopicId) -> Option<&str> {
        self.by_id.get(&id).map(String::as_str)
    }

    /// All ids with their names.
    pub fn ids(&self) -> impl Iterator<Item = (&TopicId, &str)> {
        self.by_id.iter().map(|(id, name)| (id, name.as_str()))
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// Changes with whatever makes these topics be assigned anew (KIP-1101), 0 when none exists. Not Kafka's function: a group
    /// that moves between the two is rebalanced once.
    pub fn hash<'a>(&self, names: impl Iterator<Item = &'a str>) -> i64 {
        let known = names.filter_map(|name| Some((name, self.get(name)?)));
        let mut hash = 0u64;
        for (name, topic) in known {
            let size = topic.partitions.to_be_bytes();
            let bytes = [name.as_bytes(), &topic.id.0, &size].into_iter().flatten();
            let start = hash ^ 0xcbf2_9ce4_8422_2325;
            hash = bytes.fold(start, |hash, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
            });
        }
        hash as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topics(list: &[(&str, u8, i32)]) -> BTreeMap<String, TopicSize> {
        let topic = |(name, id, partitions): &(&str, u8, i32)| {
            let size = TopicSize {
                id: TopicId([*id; 16]),
                partitions: *partitions,
            };
            (name.to_string(), size)
        };
        list.iter().map(topic).collect()
    }

    #[test]
    fn a_version_and_a_hash_change_with_what_is_assigned_and_with_nothing_else() {
        let first = Topics::default().next(topics(&[("a", 1, 3), ("b", 2, 1)])).unwrap();
        assert!(first.next(topics(&[("a", 1, 3), ("b", 2, 1)])).is_none());
        let hash = |topics: &Topics| topics.hash(["a", "gone"].into_iter());
        for (change, names_too, hashes_too) in [
            (topics(&[("a", 1, 4), ("b", 2, 1)]), false, true),
            (topics(&[("a", 9, 3), ("b", 2, 1)]), false, true),
            (topics(&[("a", 1, 3), ("b", 2, 2)]), false, false),
            (topics(&[("a", 1, 3), ("b", 2, 1), ("c", 3, 1)]), true, false),
        ] {
            let next = first.next(change).unwrap();
            assert!(next.version() > first.version());
            assert_eq!(next.names_version() > first.names_version(), names_too);
            assert_eq!(hash(&next) != hash(&first), hashes_too);
        }
        assert_eq!(first.hash(["gone"].into_iter()), 0);
    }
}

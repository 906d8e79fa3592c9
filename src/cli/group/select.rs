//! `TOPIC[:P,..]`: topics and partitions as people write them, and back.

use crate::cli::failure::Failure;
use crate::client::Cluster;
use crate::client::cluster::Scope;
use crate::client::offsets::{Partitions, PerPartition};
use crate::client::{ClientError, Refusal};
use std::collections::BTreeSet;

/// Most partitions that one range may name.
const RANGE_MAX: i32 = 100_000;

/// A topic, or some of its partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Selection {
    pub topic: String,
    /// `None` = all.
    pub partitions: Option<BTreeSet<i32>>,
}

/// Reads `logs`, `logs:0`, `logs:0,3-5`. Names of topics have no colon.
pub(super) fn parse(text: &str) -> Result<Selection, String> {
    let Some((topic, list)) = text.split_once(':') else {
        return Ok(Selection {
            topic: text.to_string(),
            partitions: None,
        });
    };
    let wrong = || format!("`{text}`: write TOPIC, TOPIC:0 or TOPIC:0,3-5");
    let number = |text: &str| text.trim().parse::<i32>().ok().filter(|number| *number >= 0);
    let mut partitions = BTreeSet::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (number(first).ok_or_else(wrong)?, number(last).ok_or_else(wrong)?);
        if first > last || last - first >= RANGE_MAX {
            return Err(wrong());
        }
        partitions.extend(first..=last);
    }
    if topic.is_empty() {
        return Err(wrong());
    }
    Ok(Selection {
        topic: topic.to_string(),
        partitions: Some(partitions),
    })
}

/// The partitions meant by `selections`; whole topics are looked up.
///
/// # Errors
/// A topic that does not exist, connection errors.
pub(super) fn resolve(cluster: &mut Cluster, selections: &[Selection]) -> Result<Partitions, Failure> {
    let whole: Vec<String> = selections
        .iter()
        .filter(|selection| selection.partitions.is_none())
        .map(|selection| selection.topic.clone())
        .collect();
    let mut wanted = Partitions::new();
    if !whole.is_empty() {
        for (name, topic) in cluster.metadata(Scope::Topics(&whole))?.topics {
            let topic = topic.map_err(|refusal| ClientError::refused(format!("topic {name}"), refusal))?;
            let indexes = topic.partitions.iter().map(|partition| partition.index);
            wanted.entry(name).or_default().extend(indexes);
        }
    }
    for selection in selections {
        if let Some(partitions) = &selection.partitions {
            wanted.entry(selection.topic.clone()).or_default().extend(partitions);
        }
    }
    Ok(wanted)
}

/// `logs:0-3,5 metrics:0`.
pub(super) fn shown(partitions: &Partitions) -> String {
    let topics = partitions
        .iter()
        .map(|(topic, indexes)| format!("{topic}:{}", ranges(indexes)));
    topics.collect::<Vec<_>>().join(" ")
}

fn ranges(indexes: &BTreeSet<i32>) -> String {
    let mut parts: Vec<(i32, i32)> = Vec::new();
    for &index in indexes {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == index => *last = index,
            _ => parts.push((index, index)),
        }
    }
    let part = |(first, last): (i32, i32)| {
        if first == last {
            first.to_string()
        } else {
            format!("{first}-{last}")
        }
    };
    parts.into_iter().map(part).collect::<Vec<_>>().join(",")
}

/// Per-partition results as `topic:partition` with what was done.
pub(super) fn outcomes(results: PerPartition<()>, done: &str) -> Vec<(String, Result<String, Refusal>)> {
    let named = |((topic, index), result): ((String, i32), Result<(), Refusal>)| {
        (format!("{topic}:{index}"), result.map(|()| done.to_string()))
    };
    results.into_iter().map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_read_as_they_are_shown() {
        let selection = parse("logs:0,3-5,1").unwrap();
        let partitions = Partitions::from([(selection.topic, selection.partitions.unwrap())]);
        assert_eq!(shown(&partitions), "logs:0-1,3-5");
        assert_eq!(parse("logs").unwrap().partitions, None);
        for bad in ["logs:", "logs:x", "logs:-1", "logs:5-3", ":0", "logs:0-99999999"] {
            assert!(parse(bad).unwrap_err().contains("TOPIC:0,3-5"), "{bad}");
        }
    }
}

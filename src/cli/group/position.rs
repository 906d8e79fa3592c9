//! How far groups are in their partitions.

use crate::client::group::{self, Committed};
use crate::client::offsets::{self, LATEST, Partitions, PerPartition};
use crate::client::{Cluster, Refusal, Result};
use serde::Serialize;
use std::collections::BTreeMap;

/// Where a group stands in one partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(in crate::cli) struct Position {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Next offset to read; `None` if nothing is committed.
    pub committed: Option<i64>,
    /// End of the log; `None` if it cannot be told.
    pub end: Option<i64>,
    /// Records between the two; negative if the log is shorter than what was committed.
    pub lag: Option<i64>,
    /// Why something is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Positions of several groups, the ends of all their partitions asked for at once.
///
/// # Errors
/// Connection errors; a topic that is gone shows in its position.
pub(in crate::cli) fn of_groups(cluster: &mut Cluster, groups: &[String]) -> Result<Vec<(String, Vec<Position>)>> {
    let mut committed = Vec::with_capacity(groups.len());
    let mut wanted = Partitions::new();
    for name in groups {
        let offsets = group::committed(cluster, name)?;
        include(&mut wanted, &offsets);
        committed.push((name.clone(), offsets));
    }
    let ends = offsets::list(cluster, &wanted, LATEST, false)?;
    let ends: BTreeMap<(String, i32), _> = ends
        .into_iter()
        .map(|(place, end)| (place, end.map(|found| found.offset)))
        .collect();
    let mut positions = Vec::with_capacity(committed.len());
    for (name, offsets) in committed {
        let rows = offsets.into_iter().map(|(place, offset)| {
            let end = ends.get(&place).cloned();
            position(place, Some(offset), end)
        });
        positions.push((name, rows.collect()));
    }
    Ok(positions)
}

/// Adds the partitions of `offsets`.
pub(super) fn include<T>(wanted: &mut Partitions, offsets: &PerPartition<T>) {
    for (topic, index) in offsets.keys() {
        wanted.entry(topic.clone()).or_default().insert(*index);
    }
}

/// Puts one position together.
pub(super) fn position(
    (topic, partition): (String, i32),
    committed: Option<std::result::Result<Committed, Refusal>>,
    end: Option<std::result::Result<i64, Refusal>>,
) -> Position {
    let refusals = [
        committed.as_ref().and_then(|found| found.as_ref().err()),
        end.as_ref().and_then(|found| found.as_ref().err()),
    ];
    let error = refusals.into_iter().flatten().next().map(Refusal::name);
    let committed = committed.and_then(std::result::Result::ok).map(|found| found.offset);
    let end = end.and_then(std::result::Result::ok);
    Position {
        topic,
        partition,
        committed,
        end,
        lag: committed.zip(end).map(|(committed, end)| end - committed),
        error,
    }
}

/// Sum of the lags that are known.
pub(in crate::cli) fn total<'a>(positions: impl IntoIterator<Item = &'a Position>) -> i64 {
    positions.into_iter().filter_map(|position| position.lag).sum()
}

/// A number, or `-`.
pub(in crate::cli) fn number(value: Option<i64>) -> String {
    value.map_or_else(|| "-".to_string(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_is_what_lies_between_and_unknown_without_either() {
        let committed = |offset| {
            Some(Ok(Committed {
                offset,
                metadata: String::new(),
            }))
        };
        let gone = Refusal { code: 3, message: None };
        let place = || ("t".to_string(), 0);
        assert_eq!(position(place(), committed(3), Some(Ok(10))).lag, Some(7));
        assert_eq!(position(place(), committed(12), Some(Ok(10))).lag, Some(-2));
        assert_eq!(position(place(), None, Some(Ok(10))).lag, None);
        let lost = position(place(), committed(3), Some(Err(gone)));
        assert_eq!(
            (lost.lag, lost.error.as_deref()),
            (None, Some("UNKNOWN_TOPIC_OR_PARTITION"))
        );
    }
}

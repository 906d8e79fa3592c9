//! Two looks at a broker and what lies between them.

use super::shards::{self, Admin, Counters, ShardLoad};
use crate::cli::failure::Failure;
use crate::cli::group::position;
use crate::cli::output::{self, Align};
use crate::client::cluster::Scope;
use crate::client::group;
use crate::client::offsets::{self, LATEST, Partitions};
use crate::client::{Address, Cluster};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Instant;

/// What one look sees.
pub(super) struct Look {
    at: Instant,
    /// Ends of the log by topic and partition.
    ends: BTreeMap<(String, i32), i64>,
    groups: Vec<GroupLook>,
    brokers: usize,
    /// Read a little later than the rest, so with a time of their own.
    shards: Option<(Instant, Counters)>,
}

struct GroupLook {
    name: String,
    positions: Vec<position::Position>,
}

/// What is shown.
#[derive(Debug, Serialize)]
pub(super) struct View {
    broker: String,
    brokers: usize,
    seconds: f64,
    pub topics: Vec<TopicRate>,
    pub groups: Vec<GroupRate>,
    /// `null` for brokers without ringlog's metrics.
    pub shards: Option<Vec<ShardLoad>>,
}

#[derive(Debug, Serialize)]
pub(super) struct TopicRate {
    topic: String,
    partitions: usize,
    in_per_second: f64,
    out_per_second: f64,
    end: i64,
}

#[derive(Debug, Serialize)]
pub(super) struct GroupRate {
    group: String,
    lag: i64,
    /// Change of the lag; negative = it catches up.
    lag_per_second: f64,
    out_per_second: f64,
    partitions: usize,
}

impl Look {
    /// Asks for everything once.
    ///
    /// # Errors
    /// Connection errors; an admin page that stopped answering.
    pub fn take(cluster: &mut Cluster, admin: Option<&Admin>) -> Result<Look, Failure> {
        let metadata = cluster.metadata(Scope::All)?;
        let mut wanted = Partitions::new();
        for (name, topic) in &metadata.topics {
            if let Ok(topic) = topic.as_ref()
                && !topic.internal
            {
                let indexes = topic.partitions.iter().map(|partition| partition.index);
                wanted.insert(name.clone(), indexes.collect());
            }
        }
        let ends = offsets::list(cluster, &wanted, LATEST, false)?;
        let at = Instant::now();
        let names: Vec<String> = group::list(cluster)?.into_iter().map(|group| group.name).collect();
        let groups = position::of_groups(cluster, &names)?;
        Ok(Look {
            at,
            ends: ends
                .into_iter()
                .filter_map(|(place, end)| Some((place, end.ok()?.offset)))
                .collect(),
            groups: groups
                .into_iter()
                .map(|(name, positions)| GroupLook { name, positions })
                .collect(),
            brokers: metadata.brokers.len(),
            shards: match admin {
                Some(admin) => Some((Instant::now(), admin.read()?)),
                None => None,
            },
        })
    }

    fn committed(&self) -> BTreeMap<(&str, &str, i32), i64> {
        let mut committed = BTreeMap::new();
        for group in &self.groups {
            for position in &group.positions {
                if let Some(offset) = position.committed {
                    committed.insert(
                        (group.name.as_str(), position.topic.as_str(), position.partition),
                        offset,
                    );
                }
            }
        }
        committed
    }
}

/// Growth between two looks, a second; a partition that one of them lacks, or that shrank, has none.
fn growth(before: Option<i64>, now: i64, seconds: f64) -> f64 {
    before.map_or(0.0, |before| (now - before).max(0) as f64 / seconds)
}

impl View {
    /// Rates between two looks.
    pub fn between(before: &Look, now: &Look, broker: &Address) -> View {
        let seconds = now.at.duration_since(before.at).as_secs_f64().max(1e-3);
        let (was, is) = (before.committed(), now.committed());
        let mut out_by_topic: BTreeMap<&str, f64> = BTreeMap::new();
        let mut out_by_group: BTreeMap<&str, f64> = BTreeMap::new();
        for (place, offset) in &is {
            let rate = growth(was.get(place).copied(), *offset, seconds);
            *out_by_topic.entry(place.1).or_default() += rate;
            *out_by_group.entry(place.0).or_default() += rate;
        }
        View {
            broker: broker.to_string(),
            brokers: now.brokers,
            seconds,
            topics: topics(before, now, seconds, &out_by_topic),
            groups: groups(before, now, seconds, &out_by_group),
            shards: before.shards.as_ref().zip(now.shards.as_ref()).map(|(before, now)| {
                let seconds = now.0.duration_since(before.0).as_secs_f64().max(1e-3);
                shards::between(&before.1, &now.1, seconds)
            }),
        }
    }
}

fn topics(before: &Look, now: &Look, seconds: f64, out: &BTreeMap<&str, f64>) -> Vec<TopicRate> {
    let mut topics: BTreeMap<&str, TopicRate> = BTreeMap::new();
    for (place, end) in &now.ends {
        let topic = topics.entry(&place.0).or_insert_with(|| TopicRate {
            topic: place.0.clone(),
            partitions: 0,
            in_per_second: 0.0,
            out_per_second: out.get(place.0.as_str()).copied().unwrap_or(0.0),
            end: 0,
        });
        topic.partitions += 1;
        topic.end += end;
        topic.in_per_second += growth(before.ends.get(place).copied(), *end, seconds);
    }
    let mut topics: Vec<TopicRate> = topics.into_values().collect();
    topics.sort_by(|left, right| right.in_per_second.total_cmp(&left.in_per_second));
    topics
}

fn groups(before: &Look, now: &Look, seconds: f64, out: &BTreeMap<&str, f64>) -> Vec<GroupRate> {
    let lag_before: BTreeMap<&str, i64> = before
        .groups
        .iter()
        .map(|group| (group.name.as_str(), position::total(&group.positions)))
        .collect();
    let rate = |group: &GroupLook| {
        let lag = position::total(&group.positions);
        let was = lag_before.get(group.name.as_str()).copied().unwrap_or(lag);
        GroupRate {
            group: group.name.clone(),
            lag,
            lag_per_second: (lag - was) as f64 / seconds,
            out_per_second: out.get(group.name.as_str()).copied().unwrap_or(0.0),
            partitions: group.positions.len(),
        }
    };
    let mut groups: Vec<GroupRate> = now.groups.iter().map(rate).collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.lag));
    groups
}

/// The tables; of topics and groups the first `rows`.
pub(super) fn table(view: &View, rows: usize) -> String {
    let total: f64 = view.topics.iter().map(|topic| topic.in_per_second).sum();
    let mut text = format!(
        "{}   {}   {}   {total:.0} records/s in   over {:.1} s\n",
        view.broker,
        output::count(view.brokers, "node"),
        output::count(view.topics.len(), "topic"),
        view.seconds
    );
    if let Some(shards) = &view.shards {
        text += &format!("\n{}", shards::table(shards));
    }
    if !view.topics.is_empty() {
        text += &format!("\n{}{}", topic_table(view, rows), more(view.topics.len(), rows));
    }
    if !view.groups.is_empty() {
        text += &format!("\n{}{}", group_table(view, rows), more(view.groups.len(), rows));
    }
    text
}

fn more(all: usize, rows: usize) -> String {
    match all.saturating_sub(rows) {
        0 => String::new(),
        hidden => format!("... and {hidden} more\n"),
    }
}

fn topic_table(view: &View, rows: usize) -> String {
    let headers = [
        ("TOPIC", Align::Left),
        ("PARTITIONS", Align::Right),
        ("IN/S", Align::Right),
        ("OUT/S", Align::Right),
        ("END", Align::Right),
    ];
    let cells = view.topics.iter().take(rows).map(|topic| {
        vec![
            topic.topic.clone(),
            topic.partitions.to_string(),
            format!("{:.0}", topic.in_per_second),
            format!("{:.0}", topic.out_per_second),
            topic.end.to_string(),
        ]
    });
    output::columns(&headers, cells)
}

fn group_table(view: &View, rows: usize) -> String {
    let headers = [
        ("GROUP", Align::Left),
        ("PARTITIONS", Align::Right),
        ("LAG", Align::Right),
        ("LAG/S", Align::Right),
        ("OUT/S", Align::Right),
    ];
    let cells = view.groups.iter().take(rows).map(|group| {
        vec![
            group.group.clone(),
            group.partitions.to_string(),
            group.lag.to_string(),
            format!("{:+.0}", group.lag_per_second),
            format!("{:.0}", group.out_per_second),
        ]
    });
    output::columns(&headers, cells)
}

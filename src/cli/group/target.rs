//! Where `ringlog group seek` goes: from what was asked to one offset per partition, kept inside what the log holds.

use crate::cli::failure::{EXIT_NOT_FOUND, Failure};
use crate::client::offsets::{self, EARLIEST, LATEST, Partitions, PerPartition};
use crate::client::{ClientError, Cluster};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Read;

/// Largest plan file read, bytes.
const FILE_MAX: u64 = 64 << 20;

/// What was asked for.
#[derive(Clone, Debug)]
pub(super) enum Target {
    Time(i64),
    Offset(i64),
    Earliest,
    Latest,
    Shift(i64),
    Given(BTreeMap<(String, i32), i64>),
}

/// One partition of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Move {
    pub topic: String,
    pub partition: i32,
    /// Committed now.
    pub from: Option<i64>,
    /// To be committed.
    pub to: i64,
    /// What the log holds.
    pub start: i64,
    /// The next offset to come.
    pub end: i64,
    /// What was asked for, if the log does not hold it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<i64>,
}

/// The plan: one move per partition of `wanted`.
///
/// # Errors
/// A partition that does not exist, a shift from nothing, connection errors.
pub(super) fn plan(
    cluster: &mut Cluster,
    target: &Target,
    wanted: &Partitions,
    committed: &BTreeMap<(String, i32), i64>,
) -> Result<Vec<Move>, Failure> {
    let starts = known(offsets::list(cluster, wanted, EARLIEST, false)?)?;
    let ends = known(offsets::list(cluster, wanted, LATEST, false)?)?;
    let by_time = match target {
        Target::Time(time_ms) => known(offsets::list(cluster, wanted, *time_ms, false)?)?,
        _ => BTreeMap::new(),
    };
    let mut moves = Vec::with_capacity(starts.len());
    for (place, start) in starts {
        let end = ends.get(&place).copied().unwrap_or(start);
        let from = committed.get(&place).copied();
        let asked = match target {
            // No record is that young: go where the next one will be.
            Target::Time(_) => by_time
                .get(&place)
                .copied()
                .filter(|offset| *offset >= 0)
                .unwrap_or(end),
            Target::Offset(offset) => *offset,
            Target::Earliest => start,
            Target::Latest => end,
            Target::Shift(by) => from.ok_or_else(|| nothing_to_shift(&place))?.saturating_add(*by),
            Target::Given(offsets) => offsets.get(&place).copied().unwrap_or(end),
        };
        let to = asked.clamp(start, end.max(start));
        let (topic, partition) = place;
        moves.push(Move {
            topic,
            partition,
            from,
            to,
            start,
            end,
            asked: (asked != to).then_some(asked),
        });
    }
    Ok(moves)
}

fn nothing_to_shift((topic, partition): &(String, i32)) -> Failure {
    Failure::Other(
        1,
        format!("{topic} partition {partition}: nothing is committed, so there is nothing to shift from"),
        Some("name an offset: --to-offset, --to-earliest, --to-latest or --to-time".to_string()),
    )
}

fn known(found: PerPartition<offsets::FoundOffset>) -> Result<BTreeMap<(String, i32), i64>, Failure> {
    let mut offsets = BTreeMap::new();
    for ((topic, partition), found) in found {
        let found = found
            .map_err(|refusal| ClientError::refused(format!("offsets of {topic} partition {partition}"), refusal))?;
        offsets.insert((topic, partition), found.offset);
    }
    Ok(offsets)
}

/// A line of a plan file in JSON: our own plans say `to`, other outputs `committed`, people `offset`.
#[derive(Deserialize)]
struct Line {
    topic: String,
    partition: i32,
    #[serde(alias = "to", alias = "committed")]
    offset: i64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Document {
    Lines(Vec<Line>),
    Plan { partitions: Vec<Line> },
}

/// Reads the offsets of a plan file, `-` = standard input.
///
/// # Errors
/// A file that cannot be read, a line that is not one.
pub(super) fn read(path: &str) -> Result<BTreeMap<(String, i32), i64>, Failure> {
    let mut text = String::new();
    let size = if path == "-" {
        std::io::stdin().lock().take(FILE_MAX).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(FILE_MAX).read_to_string(&mut text))
    };
    size.map_err(|error| Failure::Other(EXIT_NOT_FOUND, format!("cannot read {path}: {error}"), None))?;
    parse(&text).map_err(|reason| Failure::usage(format!("{path}: {reason}")))
}

/// Reads `topic,partition,offset` lines, a JSON array of such objects, or a plan as `seek --format json` prints it.
fn parse(text: &str) -> Result<BTreeMap<(String, i32), i64>, String> {
    let lines = if text.trim_start().starts_with(['[', '{']) {
        match serde_json::from_str(text).map_err(|error| format!("not a plan in JSON: {error}"))? {
            Document::Lines(lines) => lines,
            Document::Plan { partitions } => partitions,
        }
    } else {
        let lines = text.lines().enumerate();
        lines
            .filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
            .map(|(number, line)| csv(line).ok_or_else(|| format!("line {}: write topic,partition,offset", number + 1)))
            .collect::<Result<Vec<Line>, String>>()?
    };
    let mut offsets = BTreeMap::new();
    for line in lines {
        if line.partition < 0 || line.offset < 0 {
            return Err(format!(
                "{} partition {}: a number is negative",
                line.topic, line.partition
            ));
        }
        let place = (line.topic, line.partition);
        if offsets.insert(place.clone(), line.offset).is_some() {
            return Err(format!("{} partition {} is there twice", place.0, place.1));
        }
    }
    if offsets.is_empty() {
        return Err("it names no partition".to_string());
    }
    Ok(offsets)
}

fn csv(line: &str) -> Option<Line> {
    let mut fields = line.split(',').map(|field| field.trim().trim_matches('"'));
    let line = Line {
        topic: fields.next().filter(|topic| !topic.is_empty())?.to_string(),
        partition: fields.next()?.parse().ok()?,
        offset: fields.next()?.parse().ok()?,
    };
    fields.next().is_none().then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_come_as_csv_or_json() {
        let expected = BTreeMap::from([(("logs".to_string(), 0), 5), (("logs".to_string(), 1), 7)]);
        for text in [
            "logs,0,5\nlogs,1,7\n",
            "# comment\n\"logs\",0,5\n\nlogs, 1, 7",
            r#"[{"topic":"logs","partition":0,"offset":5},{"topic":"logs","partition":1,"to":7}]"#,
            r#"{"group":"g","partitions":[{"topic":"logs","partition":0,"from":9,"to":5,"start":0,"end":9},
                {"topic":"logs","partition":1,"from":null,"to":7,"start":0,"end":9}]}"#,
        ] {
            assert_eq!(parse(text).as_ref(), Ok(&expected), "{text}");
        }
        for (bad, says) in [
            ("logs,0", "line 1"),
            ("logs,0,5,6", "line 1"),
            ("logs,0,-5", "negative"),
            ("logs,0,5\nlogs,0,6", "twice"),
            ("", "no partition"),
            ("[1]", "not a plan"),
        ] {
            assert!(parse(bad).unwrap_err().contains(says), "{bad}: {:?}", parse(bad));
        }
    }
}

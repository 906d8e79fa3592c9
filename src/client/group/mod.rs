//! Consumer groups as an administrator sees them: which exist, who is in them, what they committed.
//!
//! Each group has a coordinator (FindCoordinator); it is remembered until it says that it is not, or breaks. Answers that
//! mean "still starting" or "moved" are waited out for a while. Refusals about one group are values.

mod describe;
mod offsets;

pub use describe::{Group, Listed, Member, describe, list};
pub use offsets::{Committed, commit, committed, delete, delete_offsets};

use crate::client::Result;
use crate::client::cluster::Cluster;
use crate::client::error::{ClientError, Refusal};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse, GroupId};
use kafka_protocol::protocol::{Request, StrBytes};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long a coordinator may take to load or to be made.
const SETTLE_LIMIT: Duration = Duration::from_secs(10);
/// Pause between two questions.
const SETTLE_PAUSE: Duration = Duration::from_millis(100);
/// FindCoordinator's key type for groups.
const KEY_GROUP: i8 = 0;
/// First version of FindCoordinator that takes many keys (KIP-699).
const MANY_KEYS: i16 = 4;

/// Outcome for each group.
pub type PerGroup<T> = Vec<(String, std::result::Result<T, Refusal>)>;

fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_string())
}

fn group_id(name: &str) -> GroupId {
    GroupId(text(name))
}

/// True for answers that pass by themselves or when another node is asked.
fn is_moving(refusal: &Refusal) -> bool {
    matches!(
        ResponseError::try_from_code(refusal.code),
        Some(
            ResponseError::CoordinatorLoadInProgress
                | ResponseError::CoordinatorNotAvailable
                | ResponseError::NotCoordinator
        )
    )
}

/// A limit on waiting for coordinators.
struct Patience {
    until: Instant,
}

impl Patience {
    fn new(cluster: &Cluster) -> Patience {
        Patience {
            until: Instant::now() + SETTLE_LIMIT.min(cluster.options().timeout),
        }
    }

    /// Waits a little; `false` when the time is over.
    fn pause(&self, cluster: &Cluster) -> Result<bool> {
        if cluster.options().is_interrupted() {
            return Err(ClientError::Interrupted);
        }
        let goes_on = Instant::now() < self.until;
        if goes_on {
            std::thread::sleep(SETTLE_PAUSE);
        }
        Ok(goes_on)
    }
}

/// The coordinator of each group, from memory or asked for.
fn locate(cluster: &mut Cluster, groups: &[String]) -> Result<BTreeMap<String, std::result::Result<i32, Refusal>>> {
    let mut found = BTreeMap::new();
    let mut open = Vec::new();
    for group in groups {
        match cluster.coordinators.get(group) {
            Some(&node) => drop(found.insert(group.clone(), Ok(node))),
            None => open.push(group.clone()),
        }
    }
    if open.is_empty() {
        return Ok(found);
    }
    let version = cluster.any()?.version::<FindCoordinatorRequest>(i16::MAX)?;
    let at_once = if version >= MANY_KEYS { open.len() } else { 1 };
    for names in open.chunks(at_once) {
        let response = cluster.call_any(&coordinator_request(names, version))?;
        found.extend(coordinators(response, names, version));
    }
    for (group, node) in &found {
        if let Ok(node) = node {
            cluster.coordinators.insert(group.clone(), *node);
        }
    }
    Ok(found)
}

fn coordinator_request(names: &[String], version: i16) -> FindCoordinatorRequest {
    let request = FindCoordinatorRequest::default().with_key_type(KEY_GROUP);
    if version >= MANY_KEYS {
        request.with_coordinator_keys(names.iter().map(|name| text(name)).collect())
    } else {
        request.with_key(names.first().map(|name| text(name)).unwrap_or_default())
    }
}

fn coordinators(
    response: FindCoordinatorResponse,
    names: &[String],
    version: i16,
) -> Vec<(String, std::result::Result<i32, Refusal>)> {
    if version < MANY_KEYS {
        let refusal = Refusal::from_code(response.error_code, response.error_message.as_deref());
        let node = refusal.map_or(Ok(response.node_id.0), Err);
        return names.iter().map(|name| (name.clone(), node.clone())).collect();
    }
    let answers = response.coordinators.into_iter().map(|answer| {
        let refusal = Refusal::from_code(answer.error_code, answer.error_message.as_deref());
        (answer.key.to_string(), refusal.map_or(Ok(answer.node_id.0), Err))
    });
    answers.collect()
}

/// Asks the coordinator of one group, again while it says (`code` of the answer) that it is starting or another one now.
fn ask<R: Request>(
    cluster: &mut Cluster,
    group: &str,
    make: impl Fn(i16) -> R,
    code: impl Fn(&R::Response) -> i16,
) -> Result<R::Response> {
    let patience = Patience::new(cluster);
    let names = [group.to_string()];
    loop {
        let refusal = match locate(cluster, &names)?.remove(group) {
            Some(Ok(node)) => {
                let response = cluster.call_node_with(node, &make);
                if response.is_err() {
                    cluster.coordinators.remove(group);
                }
                let response = response?;
                match Refusal::from_code(code(&response), None) {
                    Some(refusal) if is_moving(&refusal) => refusal,
                    _ => return Ok(response),
                }
            }
            Some(Err(refusal)) => refusal,
            None => Refusal::bare(ResponseError::CoordinatorNotAvailable),
        };
        cluster.coordinators.remove(group);
        if !is_moving(&refusal) || !patience.pause(cluster)? {
            return Err(ClientError::refused(
                format!("ask the coordinator of group {group}"),
                refusal,
            ));
        }
    }
}

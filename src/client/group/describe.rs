//! Which groups there are and who is in them, of both protocols (classic, and KIP-848 where the broker has it).

use super::{Patience, PerGroup, group_id, is_moving, locate};
use crate::client::Result;
use crate::client::cluster::{Cluster, Scope};
use crate::client::error::{ClientError, Refusal};
use crate::client::offsets::Partitions;
use crate::wire::group::consumer_protocol::{ConsumerAssignment, ConsumerSubscription};
use crate::wire::guard::Budget;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::consumer_group_describe_response::{
    Assignment, DescribedGroup as NewGroup, Member as NewMember,
};
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::{ConsumerGroupDescribeRequest, DescribeGroupsRequest, ListGroupsRequest};
use std::collections::BTreeMap;

/// Protocol type of groups that share partitions of topics.
const CONSUMER: &str = "consumer";

/// A group as its coordinator lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Name.
    pub name: String,
    /// `consumer`, `connect`, ...; empty for a group that only ever committed offsets.
    pub protocol_type: String,
    /// `Stable`, `Empty`, ...; `None` before ListGroups v4.
    pub state: Option<String>,
    /// `classic` or `consumer`; `None` before ListGroups v5 (KIP-848).
    pub kind: Option<String>,
    /// Node id of its coordinator.
    pub coordinator: i32,
}

/// A group with its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Name.
    pub name: String,
    /// `classic` or `consumer` (KIP-848).
    pub kind: &'static str,
    /// `Stable`, `Empty`, `PreparingRebalance`, ...
    pub state: String,
    /// `consumer`, `connect`, ...; empty for a group that only ever committed offsets.
    pub protocol_type: String,
    /// The assignor in use, if the members have agreed on one.
    pub assignor: Option<String>,
    /// Group epoch; new protocol only.
    pub epoch: Option<i32>,
    /// Node id of its coordinator.
    pub coordinator: i32,
    /// Present members.
    pub members: Vec<Member>,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Member id.
    pub id: String,
    /// `group.instance.id` of a static member.
    pub instance: Option<String>,
    /// Client id.
    pub client_id: String,
    /// Address it connects from.
    pub host: String,
    /// Member epoch; new protocol only.
    pub epoch: Option<i32>,
    /// Topics (or a pattern) it asked for, if they can be read.
    pub subscription: Vec<String>,
    /// Partitions it has, if they can be read.
    pub assignment: Partitions,
}

/// All groups of all brokers, by name.
///
/// # Errors
/// Connection errors; a coordinator that stays unavailable.
pub fn list(cluster: &mut Cluster) -> Result<Vec<Listed>> {
    let brokers = cluster.metadata(Scope::Brokers)?.brokers;
    let mut groups = BTreeMap::new();
    for broker in brokers {
        let patience = Patience::new(cluster);
        let response = loop {
            let response = cluster.call_node(broker.id, &ListGroupsRequest::default())?;
            match Refusal::from_code(response.error_code, None) {
                None => break response,
                Some(refusal) if is_moving(&refusal) && patience.pause(cluster)? => {}
                Some(refusal) => {
                    return Err(ClientError::refused(
                        format!("list groups of node {}", broker.id),
                        refusal,
                    ));
                }
            }
        };
        for group in response.groups {
            let told = |value: &str| (!value.is_empty()).then(|| value.to_string());
            let name = group.group_id.to_string();
            cluster.coordinators.insert(name.clone(), broker.id);
            let listed = Listed {
                name: name.clone(),
                protocol_type: group.protocol_type.to_string(),
                state: told(&group.group_state),
                kind: told(&group.group_type).map(|kind| kind.to_lowercase()),
                coordinator: broker.id,
            };
            groups.insert(name, listed);
        }
    }
    Ok(groups.into_values().collect())
}

/// Describes groups of either protocol; a group that does not exist is a refusal.
///
/// # Errors
/// Connection errors, [`ClientError::Unsupported`].
pub fn describe(cluster: &mut Cluster, groups: &[String]) -> Result<PerGroup<Group>> {
    let patience = Patience::new(cluster);
    let mut found: BTreeMap<String, std::result::Result<Group, Refusal>> = BTreeMap::new();
    let mut open = groups.to_vec();
    loop {
        let mut by_node: BTreeMap<i32, Vec<String>> = BTreeMap::new();
        for (group, node) in locate(cluster, &open)? {
            match node {
                Ok(node) => by_node.entry(node).or_default().push(group),
                Err(refusal) => drop(found.insert(group, Err(refusal))),
            }
        }
        for (node, names) in by_node {
            found.extend(describe_on(cluster, node, &names)?);
        }
        open.retain(|group| matches!(found.get(group), Some(Err(refusal)) if is_moving(refusal)));
        for group in &open {
            cluster.coordinators.remove(group);
        }
        if open.is_empty() || !patience.pause(cluster)? {
            break;
        }
    }
    let answer = |group: &String| Some((group.clone(), found.remove(group)?));
    Ok(groups.iter().filter_map(answer).collect())
}

/// Asks one coordinator, first for groups of the new protocol if it knows that.
fn describe_on(cluster: &mut Cluster, node: i32, names: &[String]) -> Result<PerGroup<Group>> {
    let mut described = Vec::with_capacity(names.len());
    let mut classic = names.to_vec();
    if cluster.node(node)?.offers::<ConsumerGroupDescribeRequest>() {
        let request =
            ConsumerGroupDescribeRequest::default().with_group_ids(names.iter().map(|name| group_id(name)).collect());
        for group in cluster.call_node(node, &request)?.groups {
            let refusal = Refusal::from_code(group.error_code, group.error_message.as_deref());
            if refusal.as_ref().is_some_and(may_be_classic) {
                continue;
            }
            let name = group.group_id.to_string();
            classic.retain(|candidate| *candidate != name);
            described.push((name, refusal.map_or_else(|| Ok(new_group(group, node)), Err)));
        }
    }
    if classic.is_empty() {
        return Ok(described);
    }
    let request = DescribeGroupsRequest::default().with_groups(classic.iter().map(|name| group_id(name)).collect());
    for group in cluster.call_node(node, &request)?.groups {
        let refusal = Refusal::from_code(group.error_code, group.error_message.as_deref()).or_else(|| absent(&group));
        let name = group.group_id.to_string();
        described.push((name, refusal.map_or_else(|| Ok(classic_group(group, node)), Err)));
    }
    Ok(described)
}

/// True for what a coordinator answers to the new question about a group that is not of the new protocol.
fn may_be_classic(refusal: &Refusal) -> bool {
    matches!(
        ResponseError::try_from_code(refusal.code),
        Some(ResponseError::GroupIdNotFound | ResponseError::UnsupportedVersion)
    )
}

/// Before DescribeGroups v6 a group that does not exist is a dead one.
fn absent(group: &DescribedGroup) -> Option<Refusal> {
    let is_dead = &*group.group_state == "Dead" && group.members.is_empty();
    is_dead.then(|| Refusal::bare(ResponseError::GroupIdNotFound))
}

fn told(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_string())
}

/// Java brokers print addresses as `/127.0.0.1`.
fn host(value: &str) -> String {
    value.trim_start_matches('/').to_string()
}

fn classic_group(group: DescribedGroup, node: i32) -> Group {
    let is_consumer = &*group.protocol_type == CONSUMER;
    Group {
        name: group.group_id.to_string(),
        kind: "classic",
        state: group.group_state.to_string(),
        protocol_type: group.protocol_type.to_string(),
        assignor: told(&group.protocol_data),
        epoch: None,
        coordinator: node,
        members: group
            .members
            .into_iter()
            .map(|member| classic_member(member, is_consumer))
            .collect(),
    }
}

fn classic_member(member: DescribedGroupMember, is_consumer: bool) -> Member {
    let assignment = ConsumerAssignment::decode(&member.member_assignment, Budget::default()).ok();
    let subscription = ConsumerSubscription::decode(&member.member_metadata, Budget::default()).ok();
    let mut partitions = Partitions::new();
    for topic in assignment
        .filter(|_| is_consumer)
        .into_iter()
        .flat_map(|assignment| assignment.assigned_partitions)
    {
        partitions.entry(topic.topic).or_default().extend(topic.partitions);
    }
    Member {
        id: member.member_id.to_string(),
        instance: member.group_instance_id.map(|id| id.to_string()),
        client_id: member.client_id.to_string(),
        host: host(&member.client_host),
        epoch: None,
        subscription: subscription
            .filter(|_| is_consumer)
            .map(|subscription| subscription.topics)
            .unwrap_or_default(),
        assignment: partitions,
    }
}

fn new_group(group: NewGroup, node: i32) -> Group {
    Group {
        name: group.group_id.to_string(),
        kind: "consumer",
        state: group.group_state.to_string(),
        protocol_type: CONSUMER.to_string(),
        assignor: told(&group.assignor_name),
        epoch: Some(group.group_epoch),
        coordinator: node,
        members: group.members.into_iter().map(new_member).collect(),
    }
}

fn new_member(member: NewMember) -> Member {
    let topics = member.subscribed_topic_names.iter().map(|topic| topic.to_string());
    let pattern = member.subscribed_topic_regex.as_deref().and_then(told);
    Member {
        id: member.member_id.to_string(),
        instance: member.instance_id.map(|id| id.to_string()),
        client_id: member.client_id.to_string(),
        host: host(&member.client_host),
        epoch: Some(member.member_epoch),
        subscription: topics.chain(pattern.map(|pattern| format!("/{pattern}/"))).collect(),
        assignment: assigned(member.assignment),
    }
}

fn assigned(assignment: Assignment) -> Partitions {
    let topics = assignment.topic_partitions.into_iter();
    topics
        .map(|topic| (topic.topic_name.to_string(), topic.partitions.into_iter().collect()))
        .collect()
}

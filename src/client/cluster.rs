//! The cluster as a client sees it: bootstrap, brokers, leaders, one connection per broker.
//!
//! Metadata is fetched when it is needed and thrown away when a broker contradicts it. Knows no records.

use crate::client::Result;
use crate::client::address::Address;
use crate::client::conn::{Connection, Options};
use crate::client::error::{ClientError, Refusal};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::{MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::{Request, StrBytes};
use std::collections::BTreeMap;
use uuid::Uuid;

/// One broker of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Node id.
    pub id: i32,
    /// Advertised address.
    pub address: Address,
    /// Rack, if configured.
    pub rack: Option<String>,
}

/// One partition as metadata shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Index within the topic.
    pub index: i32,
    /// Node id of the leader; `None` while there is none.
    pub leader: Option<i32>,
    /// Leader epoch, -1 if the broker does not say.
    pub leader_epoch: i32,
    /// Node ids of all replicas.
    pub replicas: Vec<i32>,
    /// Node ids of the in-sync replicas.
    pub in_sync: Vec<i32>,
}

/// One topic as metadata shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Name.
    pub name: String,
    /// Topic id (KIP-516); nil if the broker has none.
    pub id: Uuid,
    /// True for `__consumer_offsets` and its like.
    pub internal: bool,
    /// Partitions by index.
    pub partitions: Vec<Partition>,
}

/// Brokers and topics at one moment.
#[derive(Clone, Debug, Default)]
pub struct Metadata {
    /// Cluster id, if the broker says.
    pub cluster_id: Option<String>,
    /// Node id that takes administrative requests.
    pub controller: Option<i32>,
    /// All live brokers by id.
    pub brokers: Vec<Broker>,
    /// The topics asked for, by name, or why one cannot be shown.
    pub topics: Vec<(String, std::result::Result<Topic, Refusal>)>,
}

/// Which topics to ask metadata for.
#[derive(Clone, Copy, Debug)]
pub enum Scope<'a> {
    /// Every topic.
    All,
    /// None: only the brokers.
    Brokers,
    /// These names.
    Topics(&'a [String]),
    /// These names, made on the way if the broker allows it (`auto.create.topics.enable`).
    CreateTopics(&'a [String]),
}

/// Connections to a cluster.
#[derive(Debug)]
pub struct Cluster {
    options: Options,
    bootstrap: Address,
    seed: Option<Connection>,
    brokers: BTreeMap<i32, Broker>,
    controller: Option<i32>,
    connections: BTreeMap<i32, Connection>,
    /// Node that coordinated a group when last asked; dropped when it says otherwise.
    pub(super) coordinators: BTreeMap<String, i32>,
}

impl Cluster {
    /// Connects to the first bootstrap address that answers.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`] naming every address tried, or what the first living one did wrong.
    pub fn connect(options: Options) -> Result<Cluster> {
        let (seed, bootstrap) = open_seed(&options)?;
        Ok(Cluster {
            options,
            bootstrap,
            seed: Some(seed),
            brokers: BTreeMap::new(),
            controller: None,
            connections: BTreeMap::new(),
            coordinators: BTreeMap::new(),
        })
    }

    /// The options this cluster was connected with.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The bootstrap address in use.
    pub fn bootstrap(&self) -> &Address {
        &self.bootstrap
    }

    /// Fetches metadata and remembers brokers and controller.
    ///
    /// # Errors
    /// Connection errors; topics that do not exist are `Err` inside the result.
    pub fn metadata(&mut self, scope: Scope<'_>) -> Result<Metadata> {
        let connection = self.any()?;
        let version = connection.version::<MetadataRequest>(i16::MAX)?;
        let response = connection.call(version, &metadata_request(scope, version));
        let response = self.keep_or_drop(response)?;
        if let Some(refusal) = Refusal::from_code(response.error_code, None) {
            return Err(ClientError::refused("read metadata", refusal));
        }
        let metadata = read_metadata(response);
        self.remember(&metadata);
        Ok(metadata)
    }

    /// Metadata of one topic.
    ///
    /// # Errors
    /// [`ClientError::Refused`] if it does not exist; connection errors.
    pub fn topic(&mut self, name: &str) -> Result<Topic> {
        let names = [name.to_string()];
        let metadata = self.metadata(Scope::Topics(&names))?;
        match metadata.topics.into_iter().next() {
            Some((_, Ok(topic))) => Ok(topic),
            Some((name, Err(refusal))) => Err(ClientError::refused(format!("topic {name}"), refusal)),
            None => Err(ClientError::refused(
                format!("topic {name}"),
                Refusal { code: 3, message: None },
            )),
        }
    }

    /// The connection to a node, opened if need be.
    ///
    /// # Errors
    /// [`ClientError::Advertised`] if the node's address does not answer.
    pub fn node(&mut self, id: i32) -> Result<&mut Connection> {
        let connection = match self.connections.remove(&id) {
            Some(connection) => connection,
            None => self.open_node(id)?,
        };
        Ok(self.connections.entry(id).or_insert(connection))
    }

    /// Forgets the connection to a node, so that the next use opens a new one.
    pub fn drop_node(&mut self, id: i32) {
        self.connections.remove(&id);
    }

    /// Any living connection.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`] if no bootstrap address answers any more.
    pub fn any(&mut self) -> Result<&mut Connection> {
        if let Some(&id) = self.connections.keys().next() {
            return self.node(id);
        }
        let seed = match self.seed.take() {
            Some(seed) => seed,
            None => {
                let (seed, bootstrap) = open_seed(&self.options)?;
                self.bootstrap = bootstrap;
                seed
            }
        };
        Ok(self.seed.insert(seed))
    }

    /// Sends a request to any broker.
    ///
    /// # Errors
    /// Connection errors, [`ClientError::Unsupported`].
    pub fn call_any<R: Request>(&mut self, request: &R) -> Result<R::Response> {
        let connection = self.any()?;
        let version = connection.version::<R>(i16::MAX)?;
        let response = connection.call(version, request);
        self.keep_or_drop(response)
    }

    /// Sends a request to the node that takes administrative requests.
    ///
    /// # Errors
    /// Connection errors, [`ClientError::Unsupported`].
    pub fn call_controller<R: Request>(&mut self, request: &R) -> Result<R::Response> {
        if self.controller.is_none() {
            self.metadata(Scope::Brokers)?;
        }
        match self.controller {
            Some(id) => self.call_node(id, request),
            None => self.call_any(request),
        }
    }

    /// Forgets who the controller is (it said it is not).
    pub fn forget_controller(&mut self) {
        self.controller = None;
    }

    /// Sends a request to one node.
    ///
    /// # Errors
    /// Connection errors, [`ClientError::Unsupported`].
    pub fn call_node<R: Request>(&mut self, id: i32, request: &R) -> Result<R::Response> {
        let connection = self.node(id)?;
        let version = connection.version::<R>(i16::MAX)?;
        let response = connection.call(version, request);
        if response.is_err() {
            self.drop_node(id);
        }
        response
    }

    /// As [`Cluster::call_node`], for requests whose contents depend on the version.
    ///
    /// # Errors
    /// Connection errors, [`ClientError::Unsupported`].
    pub fn call_node_with<R: Request>(&mut self, id: i32, make: impl FnOnce(i16) -> R) -> Result<R::Response> {
        let version = self.node(id)?.version::<R>(i16::MAX)?;
        self.call_node(id, &make(version))
    }

    fn open_node(&mut self, id: i32) -> Result<Connection> {
        if !self.brokers.contains_key(&id) {
            self.metadata(Scope::Brokers)?;
        }
        let Some(broker) = self.brokers.get(&id) else {
            let cause = format!("it names node {id} but does not list its address");
            return Err(ClientError::NotKafka {
                address: self.bootstrap.clone(),
                cause,
            });
        };
        // The bootstrap connection already leads there: no need for a second one.
        if let Some(seed) = self.seed.take_if(|seed| *seed.address() == broker.address) {
            return Ok(seed);
        }
        Connection::open(&broker.address, &self.options).map_err(|error| match error {
            ClientError::Unreachable { tried } => ClientError::Advertised {
                node: id,
                address: broker.address.clone(),
                bootstrap: self.bootstrap.clone(),
                cause: tried.into_iter().next().map_or_else(String::new, |(_, cause)| cause),
            },
            other => other,
        })
    }

    /// After an error on "any" connection none of them can be trusted.
    fn keep_or_drop<T>(&mut self, result: Result<T>) -> Result<T> {
        if result.is_err() {
            self.seed = None;
            self.connections.clear();
        }
        result
    }

    fn remember(&mut self, metadata: &Metadata) {
        self.controller = metadata.controller;
        let fresh: BTreeMap<i32, Broker> = metadata
            .brokers
            .iter()
            .map(|broker| (broker.id, broker.clone()))
            .collect();
        self.connections.retain(|id, connection| {
            fresh
                .get(id)
                .is_some_and(|broker| broker.address == *connection.address())
        });
        self.brokers = fresh;
    }
}

fn open_seed(options: &Options) -> Result<(Connection, Address)> {
    let mut tried = Vec::new();
    let mut first_other = None;
    for address in &options.bootstrap {
        match Connection::open(address, options) {
            Ok(connection) => return Ok((connection, address.clone())),
            Err(ClientError::Interrupted) => return Err(ClientError::Interrupted),
            Err(ClientError::Unreachable { tried: mut more }) => tried.append(&mut more),
            Err(other) => {
                tried.push((address.clone(), other.to_string()));
                first_other.get_or_insert(other);
            }
        }
    }
    Err(first_other.unwrap_or(ClientError::Unreachable { tried }))
}

fn metadata_request(scope: Scope<'_>, version: i16) -> MetadataRequest {
    let (names, create): (Option<&[String]>, bool) = match scope {
        Scope::All => (None, false),
        Scope::Brokers => (Some(&[]), false),
        Scope::Topics(names) => (Some(names), false),
        Scope::CreateTopics(names) => (Some(names), true),
    };
    let topics = names.map(|names| {
        let topic = |name: &String| {
            MetadataRequestTopic::default().with_name(Some(TopicName(StrBytes::from_string(name.clone()))))
        };
        names.iter().map(topic).collect()
    });
    // Version 0 has no null: there the empty list means all topics.
    let topics = if version == 0 && topics.is_none() {
        Some(Vec::new())
    } else {
        topics
    };
    // Before version 4 the flag does not exist and the broker may always create.
    MetadataRequest::default()
        .with_topics(topics)
        .with_allow_auto_topic_creation(create || version < 4)
}

fn read_metadata(response: MetadataResponse) -> Metadata {
    let mut brokers: Vec<Broker> = response
        .brokers
        .into_iter()
        .map(|broker| Broker {
            id: broker.node_id.0,
            address: Address {
                host: broker.host.to_string(),
                port: u16::try_from(broker.port).unwrap_or(0),
            },
            rack: broker.rack.map(|rack| rack.to_string()),
        })
        .collect();
    brokers.sort_by_key(|broker| broker.id);
    let mut topics: Vec<_> = response.topics.into_iter().map(read_topic).collect();
    topics.sort_by(|left, right| left.0.cmp(&right.0));
    Metadata {
        cluster_id: response.cluster_id.map(|id| id.to_string()),
        controller: (response.controller_id.0 >= 0).then_some(response.controller_id.0),
        brokers,
        topics,
    }
}

fn read_topic(topic: MetadataResponseTopic) -> (String, std::result::Result<Topic, Refusal>) {
    let name = topic.name.map(|name| name.to_string()).unwrap_or_default();
    if let Some(refusal) = Refusal::from_code(topic.error_code, None) {
        return (name, Err(refusal));
    }
    let mut partitions: Vec<Partition> = topic
        .partitions
        .into_iter()
        .map(|partition| Partition {
            index: partition.partition_index,
            leader: (partition.leader_id.0 >= 0).then_some(partition.leader_id.0),
            leader_epoch: partition.leader_epoch,
            replicas: partition.replica_nodes.iter().map(|node| node.0).collect(),
            in_sync: partition.isr_nodes.iter().map(|node| node.0).collect(),
        })
        .collect();
    partitions.sort_by_key(|partition| partition.index);
    (
        name.clone(),
        Ok(Topic {
            name,
            id: topic.topic_id,
            internal: topic.is_internal,
            partitions,
        }),
    )
}

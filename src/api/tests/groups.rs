//! Groups through production shards on a simulated disk: one member's walk, several shards, kills.

use crate::base::ids::{ConnId, Now};
use crate::shard::event::Event;
use crate::sim::disk::SimDisk;
use crate::sim::io::IoFaults;
use crate::sim::node::{Node, NodeConfig};
use crate::sim::prng::Prng;
use crate::wire::control::create_partitions::{CreatePartitions, CreatePartitionsRequest, CreatePartitionsTopic};
use crate::wire::control::create_topics::{CreatableTopic, CreateTopics, CreateTopicsRequest};
use crate::wire::control::delete_topics::{DeleteTopics, DeleteTopicsRequest};
use crate::wire::control::metadata::{Metadata, MetadataRequest};
use crate::wire::error::ErrorCode;
use crate::wire::group::delete_groups::{DeleteGroups, DeleteGroupsRequest};
use crate::wire::group::describe_groups::{DescribeGroups, DescribeGroupsRequest};
use crate::wire::group::find_coordinator::{FindCoordinator, FindCoordinatorRequest};
use crate::wire::group::heartbeat::{Heartbeat, HeartbeatRequest};
use crate::wire::group::join_group::{JoinGroup, JoinGroupProtocol, JoinGroupRequest};
use crate::wire::group::list_groups::{ListGroups, ListGroupsRequest};
use crate::wire::group::offset_commit::{
    OffsetCommit, OffsetCommitPartition, OffsetCommitRequest, OffsetCommitResponse, OffsetCommitTopic,
};
use crate::wire::group::offset_delete::{OffsetDelete, OffsetDeleteRequest, OffsetDeleteTopic};
use crate::wire::group::offset_fetch::{
    OffsetFetch, OffsetFetchGroup, OffsetFetchGroupResult, OffsetFetchRequest, OffsetFetchTopic,
};
use crate::wire::group::sync_group::{SyncGroup, SyncGroupAssignment, SyncGroupRequest};
use crate::wire::header;
use crate::wire::message::{Api, request_frame};
use crate::wire::read::Reader;
use bytes::Bytes;

/// A node of production shards, and a client that waits for each answer.
struct Cluster {
    config: NodeConfig,
    disk: SimDisk,
    node: Node,
    now: Now,
    /// Shard and connection.
    link: (usize, ConnId),
    correlation: i32,
}

impl Cluster {
    fn start(shards: u16) -> Cluster {
        let mut config = NodeConfig::draw(&mut Prng::new(1));
        config.shards = shards;
        config.coordinators = 5;
        let mut disk = SimDisk::new(1 << 30);
        let now = Now {
            mono_ns: 1_000_000,
            wall_ms: 1_800_000_000_000,
        };
        let mut node = Node::start(&config, &mut disk, &IoFaults::default(), now, &mut Prng::new(2)).unwrap();
        let conn = node.connect(0, 0, now, &mut disk);
        let mut cluster = Cluster {
            config,
            disk,
            node,
            now,
            link: (0, conn),
            correlation: 0,
        };
        cluster.create("t", 2);
        cluster
    }

    /// Kills the node and starts it again on what the disk holds.
    fn kill(mut self, seed: u64) -> Cluster {
        let mut chance = Prng::new(seed);
        self.node.crash(&mut self.disk, true, &mut chance);
        let faults = IoFaults::default();
        self.node = Node::start(&self.config, &mut self.disk, &faults, self.now, &mut chance).unwrap();
        self.connect(0);
        self
    }

    fn connect(&mut self, shard: usize) {
        self.link = (shard, self.node.connect(shard, 0, self.now, &mut self.disk));
    }

    /// Moves to what happens next.
    fn advance(&mut self) {
        let next = self.node.next_time(self.now.mono_ns) + 1_000;
        self.now.wall_ms += ((next - self.now.mono_ns) / 1_000_000) as i64;
        self.now.mono_ns = next;
        self.node.run(self.now, &mut self.disk);
        assert_eq!(self.node.fatal(), None);
    }

    fn send<A: Api>(&mut self, version: i16, request: &A::Request) {
        self.correlation += 1;
        let frame = request_frame::<A>(request, version, self.correlation, Some("test"));
        self.node.nets[self.link.0].send(self.link.1, &frame);
    }

    fn receive<A: Api>(&mut self, version: i16) -> A::Response {
        let (shard, conn) = self.link;
        for _ in 0..10_000 {
            if let Some(reply) = self.node.nets[shard].take_reply(conn) {
                return open::<A>(version, &reply);
            }
            assert!(self.node.nets[shard].is_open(conn), "the connection was closed");
            self.advance();
        }
        panic!("no answer to {:?}", A::KEY);
    }

    fn ask<A: Api>(&mut self, version: i16, request: &A::Request) -> A::Response {
        self.send::<A>(version, request);
        self.receive::<A>(version)
    }

    fn create(&mut self, name: &str, partitions: i32) {
        let topic = CreatableTopic {
            name: name.into(),
            num_partitions: partitions,
            replication_factor: 1,
            ..CreatableTopic::default()
        };
        let request = CreateTopicsRequest {
            topics: vec![topic],
            ..CreateTopicsRequest::default()
        };
        assert_eq!(self.ask::<CreateTopics>(7, &request).topics[0].error, ErrorCode::None);
    }

    fn find(&mut self) {
        let request = FindCoordinatorRequest {
            key_type: 0,
            keys: vec!["g".into()],
        };
        assert_eq!(
            self.ask::<FindCoordinator>(4, &request).coordinators[0].error,
            ErrorCode::None
        );
    }

    /// Retries while coordinators load.
    fn settled<T>(&mut self, mut ask: impl FnMut(&mut Cluster) -> (ErrorCode, T)) -> (ErrorCode, T) {
        loop {
            let (error, answer) = ask(self);
            if error != ErrorCode::CoordinatorLoadInProgress {
                return (error, answer);
            }
            self.advance();
        }
    }

    fn commit(&mut self, group: &str, offset: i64) -> ErrorCode {
        let request = commit_of(group, "t", &[(0, offset)]);
        self.settled(|c| (c.ask::<OffsetCommit>(9, &request).topics[0].partitions[0].error, ()))
            .0
    }

    fn fetch(&mut self, version: i16, groups: &[&str]) -> Vec<OffsetFetchGroupResult> {
        let groups = groups.iter().map(|group| OffsetFetchGroup {
            group_id: group.to_string(),
            ..OffsetFetchGroup::default()
        });
        let request = OffsetFetchRequest {
            groups: groups.collect(),
            require_stable: true,
        };
        let fetch = |c: &mut Cluster| {
            let groups = c.ask::<OffsetFetch>(version, &request).groups;
            let errors = groups.iter().map(|group| group.error);
            let error = errors.max_by_key(|error| *error as i16).unwrap_or_default();
            (error, groups)
        };
        self.settled(fetch).1
    }

    /// The offset of partition 0 of topic "t".
    fn offset(&mut self, group: &str) -> i64 {
        let groups = self.fetch(8, &[group]);
        let topic = groups[0].topics.first();
        topic.map_or(-1, |topic| topic.partitions[0].offset)
    }

    fn join(&mut self, member: &str) -> (String, i32) {
        let request = JoinGroupRequest {
            group_id: "g".into(),
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 60_000,
            member_id: member.into(),
            protocol_type: "consumer".into(),
            protocols: vec![JoinGroupProtocol {
                name: "range".into(),
                metadata: Bytes::from_static(b"\0\x01\0\0\0\x01\0\x01t\xff\xff\xff\xff\0\0\0\0"),
            }],
            ..JoinGroupRequest::default()
        };
        let response = self.ask::<JoinGroup>(9, &request);
        assert_eq!(response.error == ErrorCode::None, !member.is_empty(), "{response:?}");
        (response.member_id, response.generation_id)
    }

    fn sync(&mut self, member: &str, generation: i32) -> Bytes {
        let request = SyncGroupRequest {
            group_id: "g".into(),
            generation_id: generation,
            member_id: member.into(),
            protocol_type: Some("consumer".into()),
            protocol_name: Some("range".into()),
            assignments: vec![SyncGroupAssignment {
                member_id: member.into(),
                assignment: Bytes::from_static(b"all"),
            }],
            ..SyncGroupRequest::default()
        };
        let response = self.ask::<SyncGroup>(5, &request);
        assert_eq!(response.error, ErrorCode::None);
        response.assignment
    }

    fn heartbeat(&mut self, member: &str, generation: i32) -> ErrorCode {
        let request = HeartbeatRequest {
            group_id: "g".into(),
            generation_id: generation,
            member_id: member.into(),
            group_instance_id: None,
        };
        self.ask::<Heartbeat>(4, &request).error
    }
}

fn commit_of(group: &str, topic: &str, offsets: &[(i32, i64)]) -> OffsetCommitRequest {
    let partition = |(index, offset): &(i32, i64)| OffsetCommitPartition {
        index: *index,
        offset: *offset,
        leader_epoch: 0,
        metadata: Some("m".into()),
    };
    OffsetCommitRequest {
        group_id: group.into(),
        topics: vec![OffsetCommitTopic {
            name: topic.into(),
            partitions: offsets.iter().map(partition).collect(),
            ..OffsetCommitTopic::default()
        }],
        ..OffsetCommitRequest::default()
    }
}

fn open<A: Api>(version: i16, reply: &Bytes) -> A::Response {
    let mut reader = Reader::new(reply);
    header::read_response_header(&mut reader, A::KEY, version).unwrap();
    A::decode_response(version, &reply.slice(reader.position()..)).unwrap()
}

fn errors(response: &OffsetCommitResponse) -> Vec<(i32, ErrorCode)> {
    let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
    partitions.map(|partition| (partition.index, partition.error)).collect()
}

#[test]
fn one_member_walks_from_find_coordinator_to_its_offset_also_over_a_kill() {
    for shards in [1, 2] {
        let mut c = Cluster::start(shards);
        c.find();
        let (id, _) = c.join("");
        let (id, generation) = c.join(&id);
        assert_eq!(generation, 1);
        assert_eq!(c.sync(&id, 1), "all");
        assert_eq!(c.heartbeat(&id, 1), ErrorCode::None);
        let mut request = commit_of("g", "t", &[(0, 7), (1, 8)]);
        (request.member_id, request.generation_or_member_epoch) = (id.clone(), 1);
        let response = c.ask::<OffsetCommit>(9, &request);
        assert_eq!(errors(&response), [(0, ErrorCode::None), (1, ErrorCode::None)]);

        let mut c = c.kill(3);
        for shard in 0..shards {
            c.connect(shard.into());
            let group = c.fetch(8, &["g"]).remove(0);
            let found: Vec<_> = group.topics[0].partitions.iter().map(|p| (p.index, p.offset)).collect();
            assert_eq!(found, [(0, 7), (1, 8)]);
            assert_eq!(c.heartbeat(&id, 1), ErrorCode::None, "the group is what it was");
            assert_eq!(c.heartbeat(&id, 2), ErrorCode::IllegalGeneration);
        }
    }
}

#[test]
fn groups_spread_over_shards_are_asked_for_together() {
    let mut c = Cluster::start(2);
    c.find();
    let names: Vec<String> = (0..20).map(|n| format!("group-{n}")).collect();
    for (n, name) in names.iter().enumerate() {
        c.connect(n % 2);
        assert_eq!(c.commit(name, n as i64), ErrorCode::None);
    }
    let asked: Vec<&str> = names.iter().map(String::as_str).collect();
    let offsets: Vec<i64> = c
        .fetch(8, &asked)
        .iter()
        .map(|g| g.topics[0].partitions[0].offset)
        .collect();
    assert_eq!(offsets, (0..20).collect::<Vec<i64>>());

    let mut listed: Vec<String> = c
        .ask::<ListGroups>(5, &ListGroupsRequest::default())
        .groups
        .into_iter()
        .map(|group| group.group_id)
        .collect();
    listed.sort();
    let mut sorted = names.clone();
    sorted.sort();
    assert_eq!(listed, sorted);

    let request = DescribeGroupsRequest {
        groups: [&names[..], &["nobody".to_string()]].concat(),
        include_authorized_operations: true,
    };
    let described = c.ask::<DescribeGroups>(6, &request).groups;
    let found: Vec<_> = described
        .iter()
        .map(|group| (group.group_id.clone(), group.state.as_str()))
        .collect();
    let mut expected: Vec<_> = names.iter().map(|name| (name.clone(), "Empty")).collect();
    expected.push(("nobody".into(), "Dead"));
    assert_eq!(found, expected, "in the order asked");
    assert_eq!(described[0].authorized_operations, 0b1101_0100_1000);

    let request = DeleteGroupsRequest {
        groups: vec![names[0].clone(), "nobody".into(), names[1].clone(), names[0].clone()],
    };
    let results = c.ask::<DeleteGroups>(2, &request).results;
    let found: Vec<_> = results
        .iter()
        .map(|result| (result.group_id.as_str(), result.error))
        .collect();
    let expected = [
        ("group-0", ErrorCode::None),
        ("nobody", ErrorCode::GroupIdNotFound),
        ("group-1", ErrorCode::None),
    ];
    assert_eq!(found, expected);
    assert_eq!(c.offset("group-0"), -1);
    let mut c = c.kill(5);
    assert_eq!(
        (c.offset("group-0"), c.offset("group-2")),
        (-1, 2),
        "deleted is deleted, kept is kept"
    );
}

#[test]
fn item_70_partitions_that_do_not_exist_fail_one_by_one() {
    let mut c = Cluster::start(2);
    c.find();
    let mut request = commit_of("g", "t", &[(5, 1), (0, 7)]);
    request.topics.extend(commit_of("g", "nowhere", &[(0, 1)]).topics);
    let response = c.ask::<OffsetCommit>(9, &request);
    let unknown = ErrorCode::UnknownTopicOrPartition;
    assert_eq!(errors(&response), [(5, unknown), (0, ErrorCode::None), (0, unknown)]);
    assert_eq!(c.offset("g"), 7);
}

#[test]
fn topics_may_be_named_by_id_and_an_unknown_id_is_told() {
    let mut c = Cluster::start(2);
    c.find();
    let metadata = c.ask::<Metadata>(12, &MetadataRequest::default());
    let id = metadata
        .topics
        .iter()
        .find(|topic| topic.name.as_deref() == Some("t"))
        .unwrap()
        .topic_id;
    let mut request = commit_of("g", "", &[(0, 7)]);
    request.topics[0].topic_id = id;
    let mut strange = request.topics[0].clone();
    strange.topic_id = crate::base::ids::TopicId([7; 16]);
    request.topics.push(strange.clone());
    let response = c.ask::<OffsetCommit>(10, &request);
    assert_eq!(
        errors(&response),
        [(0, ErrorCode::None), (0, ErrorCode::UnknownTopicId)]
    );
    assert_eq!(
        (response.topics[0].topic_id, response.topics[1].topic_id),
        (id, strange.topic_id)
    );

    let topic = |topic_id| OffsetFetchTopic {
        topic_id,
        partitions: vec![0],
        ..OffsetFetchTopic::default()
    };
    let request = OffsetFetchRequest {
        groups: vec![OffsetFetchGroup {
            group_id: "g".into(),
            topics: Some(vec![topic(strange.topic_id), topic(id)]),
            ..OffsetFetchGroup::default()
        }],
        require_stable: false,
    };
    let group = c.ask::<OffsetFetch>(10, &request).groups.remove(0);
    let found: Vec<_> = group
        .topics
        .iter()
        .map(|t| (t.topic_id, t.partitions[0].offset, t.partitions[0].error))
        .collect();
    assert!(found.contains(&(id, 7, ErrorCode::None)), "{found:?}");
    assert!(
        found.contains(&(strange.topic_id, -1, ErrorCode::UnknownTopicId)),
        "{found:?}"
    );
    let all = c.fetch(10, &["g"]).remove(0);
    assert_eq!(
        (all.topics.len(), all.topics[0].topic_id),
        (1, id),
        "all topics come with their ids"
    );
}

#[test]
fn item_86_a_topic_that_is_made_anew_does_not_begin_with_offsets_of_old() {
    let mut c = Cluster::start(2);
    c.find();
    assert_eq!(c.commit("g", 7), ErrorCode::None);
    let request = DeleteTopicsRequest {
        topic_names: vec!["t".into()],
        ..DeleteTopicsRequest::default()
    };
    assert_eq!(c.ask::<DeleteTopics>(5, &request).responses[0].error, ErrorCode::None);
    c.create("t", 2);
    assert_eq!(c.offset("g"), -1);
    let mut c = c.kill(9);
    assert_eq!(c.offset("g"), -1);
}

#[test]
fn before_anybody_looks_for_a_coordinator_there_is_none() {
    let mut c = Cluster::start(1);
    let request = commit_of("g", "t", &[(0, 7)]);
    let response = c.ask::<OffsetCommit>(9, &request);
    assert_eq!(errors(&response), [(0, ErrorCode::NotCoordinator)]);
    let groups = c.fetch(8, &["g"]);
    assert_eq!(groups[0].error, ErrorCode::NotCoordinator);
    let request = OffsetFetchRequest {
        groups: vec![OffsetFetchGroup {
            group_id: "g".into(),
            topics: Some(vec![OffsetFetchTopic {
                name: "t".into(),
                partitions: vec![0, 1],
                ..OffsetFetchTopic::default()
            }]),
            ..OffsetFetchGroup::default()
        }],
        require_stable: false,
    };
    let group = c.ask::<OffsetFetch>(1, &request).groups.remove(0);
    let found: Vec<_> = group.topics[0].partitions.iter().map(|p| p.error).collect();
    assert_eq!(
        found,
        [ErrorCode::NotCoordinator; 2],
        "v1 has room for it in partitions only"
    );
    assert_eq!(c.ask::<ListGroups>(5, &ListGroupsRequest::default()).groups, []);
}

#[test]
fn item_62_and_17_the_internal_topic_is_made_on_first_need_and_shown_as_internal() {
    let mut c = Cluster::start(2);
    c.find();
    let metadata = c.ask::<Metadata>(12, &MetadataRequest::default());
    let topic = metadata
        .topics
        .iter()
        .find(|topic| topic.name.as_deref() == Some("__consumer_offsets"))
        .unwrap();
    assert_eq!((topic.is_internal, topic.partitions.len()), (true, 5));
    c.find();
    let request = CreatePartitionsRequest {
        topics: vec![CreatePartitionsTopic {
            name: "__consumer_offsets".into(),
            count: 60,
            ..CreatePartitionsTopic::default()
        }],
        ..CreatePartitionsRequest::default()
    };
    let result = c.ask::<CreatePartitions>(3, &request).results.remove(0);
    assert_eq!(
        result.error,
        ErrorCode::InvalidPartitions,
        "groups would change their coordinators"
    );
}

#[test]
fn item_62_other_kinds_of_coordinators_are_refused_and_say_why() {
    let mut c = Cluster::start(1);
    for (version, kind, error) in [
        (6, 1, ErrorCode::UnsupportedVersion),
        (6, 2, ErrorCode::InvalidRequest),
        (4, 2, ErrorCode::InvalidRequest),
        (4, 9, ErrorCode::InvalidRequest),
    ] {
        let request = FindCoordinatorRequest {
            key_type: kind,
            keys: vec!["k".into()],
        };
        let found = c.ask::<FindCoordinator>(version, &request).coordinators.remove(0);
        assert_eq!((found.error, found.node_id, found.key.as_str()), (error, -1, "k"));
        assert!(found.error_message.is_some());
    }
    let request = FindCoordinatorRequest {
        key_type: 0,
        keys: vec!["a".into(), "b".into()],
    };
    let found = c.ask::<FindCoordinator>(4, &request).coordinators;
    let keys: Vec<_> = found.iter().map(|f| (f.key.as_str(), f.node_id, f.port)).collect();
    assert_eq!(
        keys,
        [("a", 1, 9092), ("b", 1, 9092)],
        "item 89: every entry carries its key"
    );
}

#[test]
fn offsets_are_deleted_one_by_one_where_nobody_is_subscribed() {
    let mut c = Cluster::start(2);
    c.find();
    assert_eq!(c.commit("g", 7), ErrorCode::None);
    let topic = |name: &str, partitions: &[i32]| OffsetDeleteTopic {
        name: name.into(),
        partitions: partitions.to_vec(),
    };
    let request = OffsetDeleteRequest {
        group_id: "g".into(),
        topics: vec![topic("t", &[0, 9]), topic("nowhere", &[0])],
    };
    let response = c.ask::<OffsetDelete>(0, &request);
    let found: Vec<_> = response
        .topics
        .iter()
        .flat_map(|t| &t.partitions)
        .map(|p| (p.index, p.error))
        .collect();
    let unknown = ErrorCode::UnknownTopicOrPartition;
    assert_eq!(
        (response.error, found),
        (ErrorCode::None, vec![(9, unknown), (0, ErrorCode::None), (0, unknown)])
    );
    assert_eq!(c.offset("g"), -1);
    let request = OffsetDeleteRequest {
        group_id: "nobody".into(),
        topics: vec![topic("t", &[0])],
    };
    assert_eq!(c.ask::<OffsetDelete>(0, &request).error, ErrorCode::GroupIdNotFound);
}

#[test]
fn a_broker_that_stops_answers_members_that_wait_for_others() {
    let mut c = Cluster::start(1);
    c.find();
    let (id, _) = c.join("");
    let (id, _) = c.join(&id);
    c.sync(&id, 1);
    // Another member joins and waits for the first.
    let (other, _) = c.join("");
    let request = JoinGroupRequest {
        group_id: "g".into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        member_id: other,
        protocol_type: "consumer".into(),
        protocols: vec![JoinGroupProtocol {
            name: "range".into(),
            metadata: Bytes::new(),
        }],
        ..JoinGroupRequest::default()
    };
    c.send::<JoinGroup>(9, &request);
    for _ in 0..20 {
        c.advance();
    }
    assert_eq!(c.node.nets[0].take_reply(c.link.1), None);
    c.node.signal(0, c.now, Event::Drain, &mut c.disk);
    assert_eq!(c.receive::<JoinGroup>(9).error, ErrorCode::CoordinatorNotAvailable);
}

#[test]
fn a_commit_that_the_disk_does_not_make_durable_is_answered_after_five_seconds() {
    let mut c = Cluster::start(1);
    c.find();
    assert_eq!(c.commit("g", 7), ErrorCode::None);
    c.node.set_faults(&IoFaults {
        stalled_until_ns: c.now.mono_ns + 60_000_000_000,
        ..IoFaults::default()
    });
    let start = c.now.mono_ns;
    assert_eq!(c.commit("g", 8), ErrorCode::CoordinatorNotAvailable);
    let waited_ms = (c.now.mono_ns - start) / 1_000_000;
    assert!((5_000..5_200).contains(&waited_ms), "{waited_ms} ms");
    assert_eq!(c.offset("g"), 7, "what is not durable is not shown");
}

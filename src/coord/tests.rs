//! The host against an owner that the test plays.

use super::host::{CoordCx, CoordHost};
use super::log;
use super::request::CoordRequest;
use crate::base::ids::{Now, PartitionId, ShardId, TopicId};
use crate::base::slab::SlabKey;
use crate::controller::image::{Image, OFFSETS_TOPIC};
use crate::controller::machine::{Controller, ControllerConfig};
use crate::controller::request::{ControllerRequest, NewTopic, TopicRef};
use crate::group::request::{Caller, GroupAnswer, GroupRequest};
use crate::partition::request::{
    Desk, FetchResult, ListOffsetResult, OwnerReply, OwnerRequest, ProduceResult, ReplyTo,
};
use crate::wire::batch::BatchBuilder;
use crate::wire::error::ErrorCode;
use crate::wire::group::heartbeat::HeartbeatRequest;
use crate::wire::group::join_group::JoinGroupRequest;
use crate::wire::group::list_groups::ListGroupsRequest;
use crate::wire::group::offset_commit::{OffsetCommitPartition, OffsetCommitRequest, OffsetCommitTopic};
use crate::wire::group::offset_fetch::OffsetFetchGroup;
use crate::wire::group::records::{GroupRecord, OffsetCommitValue, OffsetKey};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

struct Rig {
    host: CoordHost,
    controller: Controller,
    now: Now,
    requests: VecDeque<(ShardId, ReplyTo, OwnerRequest)>,
    answers: VecDeque<(ReplyTo, GroupAnswer)>,
}

const ASKER: ReplyTo = ReplyTo {
    shard: ShardId(0),
    desk: Desk::Edge,
    op: SlabKey {
        index: 9,
        generation: 9,
    },
    part: 0,
};

impl Rig {
    fn new() -> Rig {
        Rig::with_memory(1 << 20)
    }

    fn with_memory(memory_max: usize) -> Rig {
        Rig::with(memory_max, &[])
    }

    fn with(memory_max: usize, settings: &[(&str, &str)]) -> Rig {
        let one = [("offsets.topic.num.partitions", "1")];
        let pairs = one.iter().chain(settings);
        let config = ControllerConfig {
            static_configs: pairs.map(|(k, v)| (k.to_string(), v.to_string())).collect(),
            ..ControllerConfig::default()
        };
        let mut rig = Rig {
            host: CoordHost::new(1, memory_max),
            controller: Controller::new(Image::default(), config),
            now: Now {
                mono_ns: 1,
                wall_ms: 1_700_000_000_000,
            },
            requests: VecDeque::new(),
            answers: VecDeque::new(),
        };
        rig.create(OFFSETS_TOPIC);
        rig
    }

    fn call(&mut self, call: impl FnOnce(&mut CoordHost, &mut CoordCx)) {
        let mut cx = CoordCx {
            now: self.now,
            shard: ShardId(0),
            requests: &mut self.requests,
            answers: &mut self.answers,
        };
        call(&mut self.host, &mut cx);
    }

    fn plan(&mut self, request: ControllerRequest) {
        let planned = self.controller.plan(request);
        planned.records.iter().for_each(|record| self.controller.replay(record));
        let image = self.controller.image();
        self.call(|host, cx| host.apply_image(cx, &image));
    }

    fn create(&mut self, name: &str) {
        let topic = NewTopic {
            name: name.into(),
            partitions: -1,
            replication_factor: -1,
            assignments: vec![],
            configs: BTreeMap::new(),
        };
        self.plan(ControllerRequest::CreateTopics {
            topics: vec![topic],
            validate_only: false,
        });
    }

    fn delete(&mut self, name: &str) {
        let topic = TopicRef {
            name: Some(name.into()),
            id: TopicId::ZERO,
        };
        self.plan(ControllerRequest::DeleteTopics { topics: vec![topic] });
    }

    fn image(&self) -> Arc<Image> {
        self.controller.image()
    }

    fn tick(&mut self) {
        self.call(|host, cx| host.on_tick(cx));
    }

    /// The next question to the owner.
    fn question(&mut self) -> (ReplyTo, OwnerRequest) {
        let (shard, reply, request) = self.requests.pop_front().expect("a question to the owner");
        assert_eq!((shard, reply.desk), (ShardId(0), Desk::Coordinator));
        (reply, request)
    }

    fn owner(&mut self, to: ReplyTo, answer: OwnerReply) {
        self.call(|host, cx| host.on_owner_reply(cx, to, answer));
    }

    fn ask(&mut self, request: GroupRequest) {
        let topic = self
            .image()
            .topic(OFFSETS_TOPIC)
            .map_or(TopicId([9; 16]), |topic| topic.id);
        let id = PartitionId { topic, partition: 0 };
        self.call(|host, cx| host.on_request(cx, ASKER, CoordRequest::Group(id, request)));
    }

    fn answer(&mut self) -> Option<GroupAnswer> {
        self.answers.pop_front().map(|(to, answer)| {
            assert_eq!(to, ASKER);
            answer
        })
    }

    /// Loads from these batches.
    fn load(&mut self, batches: Vec<Bytes>, end: i64) {
        self.tick();
        let (to, request) = self.question();
        assert!(matches!(request, OwnerRequest::ListOffset(part) if part.timestamp == -2));
        self.owner(to, OwnerReply::ListOffset(start_at(0)));
        self.tick();
        let (to, _) = self.question();
        self.owner(to, OwnerReply::Fetch(vec![fetched(batches, end)]));
    }

    fn commit(&mut self, offset: i64) {
        let partition = OffsetCommitPartition {
            offset,
            ..OffsetCommitPartition::default()
        };
        self.ask(GroupRequest::Commit(
            8,
            OffsetCommitRequest {
                group_id: "g".into(),
                topics: vec![OffsetCommitTopic {
                    name: "t".into(),
                    partitions: vec![partition],
                    ..OffsetCommitTopic::default()
                }],
                ..OffsetCommitRequest::default()
            },
        ));
    }

    fn offset(&mut self) -> Option<i64> {
        self.ask(GroupRequest::Fetch(OffsetFetchGroup {
            group_id: "g".into(),
            ..OffsetFetchGroup::default()
        }));
        match self.answer() {
            Some(GroupAnswer::Fetch(group)) => Some(group.topics.first()?.partitions.first()?.offset),
            other => panic!("{other:?}"),
        }
    }
}

fn start_at(offset: i64) -> ListOffsetResult {
    ListOffsetResult {
        error: ErrorCode::None,
        timestamp: -1,
        offset,
        leader_epoch: 0,
    }
}

fn fetched(batches: Vec<Bytes>, high_watermark: i64) -> FetchResult {
    FetchResult {
        error: ErrorCode::None,
        high_watermark,
        last_stable_offset: high_watermark,
        log_start_offset: 0,
        batches,
        aborted: None,
        diverging_epoch: None,
    }
}

fn appended(error: ErrorCode) -> OwnerReply {
    OwnerReply::Produce(ProduceResult {
        error,
        ..ProduceResult::refused(error, "")
    })
}

fn record(partition: i32, offset: i64) -> GroupRecord {
    let key = OffsetKey {
        group_id: "g".into(),
        topic: "t".into(),
        partition,
    };
    let value = OffsetCommitValue {
        offset,
        ..OffsetCommitValue::default()
    };
    GroupRecord::OffsetCommit(key, Some(value))
}

#[test]
fn records_are_batches_of_bounded_size_and_come_back_in_order() {
    let records: Vec<_> = (0..20_000).map(|n| record(n, i64::from(n))).collect();
    let batches = log::encode(&records, 1);
    assert!(batches.len() > 1 && batches.iter().all(|batch| batch.len() < 1 << 20));
    let mut found = Vec::new();
    for batch in &batches {
        log::decode(batch, |record| found.push(record)).unwrap();
    }
    assert_eq!(found, records);
}

#[test]
fn a_record_that_nobody_understands_does_not_hide_the_others() {
    let (key, value) = record(0, 5).encode();
    let mut builder = BatchBuilder::new().at(10, 0);
    builder.append(1, Some(&[0, 99, 1]), Some(&[1]), &[]);
    builder.append(1, None, Some(&[1]), &[]);
    builder.append(1, Some(&key), Some(&[0, 9, 9]), &[]);
    builder.append(1, Some(&key), value.as_deref(), &[]);
    let mut found = Vec::new();
    let end = log::decode(&builder.build().unwrap(), |record| found.push(record));
    assert_eq!((end, found), (Ok(14), vec![record(0, 5)]));
    assert!(log::decode(b"no batch", |_| {}).is_err());
}

#[test]
fn a_coordinator_serves_nobody_before_its_log_is_replayed() {
    let mut rig = Rig::new();
    let heartbeat = || {
        GroupRequest::Heartbeat(HeartbeatRequest {
            group_id: "g".into(),
            ..HeartbeatRequest::default()
        })
    };
    rig.commit(1);
    let Some(GroupAnswer::Commit(topics)) = rig.answer() else {
        panic!()
    };
    assert_eq!(topics[0].partitions[0].error, ErrorCode::CoordinatorLoadInProgress);
    rig.ask(heartbeat());
    assert_eq!(
        rig.answer(),
        Some(GroupAnswer::Heartbeat(ErrorCode::None)),
        "members are believed to be alive"
    );
    rig.call(|host, cx| host.on_request(cx, ASKER, CoordRequest::List(ListGroupsRequest::default())));
    assert_eq!(
        rig.answer(),
        Some(GroupAnswer::List(Err(ErrorCode::CoordinatorLoadInProgress)))
    );

    rig.load(log::encode(&[record(0, 5)], 1), 1);
    assert_eq!(rig.offset(), Some(5));
    rig.ask(heartbeat());
    assert_eq!(rig.answer(), Some(GroupAnswer::Heartbeat(ErrorCode::UnknownMemberId)));
}

#[test]
fn a_log_that_cannot_be_read_is_tried_again_from_where_it_failed() {
    let mut rig = Rig::new();
    rig.tick();
    let (to, _) = rig.question();
    rig.owner(to, OwnerReply::ListOffset(start_at(7)));
    rig.tick();
    let (to, request) = rig.question();
    assert!(matches!(&request, OwnerRequest::Fetch(parts) if parts.parts[0].fetch_offset == 7));
    let mut broken = fetched(Vec::new(), -1);
    broken.error = ErrorCode::KafkaStorageError;
    rig.owner(to, OwnerReply::Fetch(vec![broken]));
    rig.tick();
    assert!(rig.requests.is_empty(), "after a pause");
    rig.now.mono_ns = rig.host.next_deadline().unwrap();
    rig.tick();
    let (to, request) = rig.question();
    assert!(matches!(&request, OwnerRequest::Fetch(parts) if parts.parts[0].fetch_offset == 7));
    rig.owner(to, OwnerReply::Fetch(vec![fetched(Vec::new(), 7)]));
    assert_eq!(rig.offset(), None);
}

#[test]
fn an_answer_waits_for_the_batch_and_tells_its_refusal() {
    let mut rig = Rig::new();
    rig.load(Vec::new(), 0);
    rig.commit(5);
    assert_eq!((rig.answer(), rig.offset()), (None, None));
    let (to, request) = rig.question();
    let OwnerRequest::Produce(part) = request else {
        panic!("{request:?}")
    };
    let mut written = Vec::new();
    log::decode(&part.records, |record| written.push(record.group_id().to_string())).unwrap();
    assert_eq!(written, ["g"]);
    rig.owner(to, appended(ErrorCode::None));
    assert!(matches!(rig.answer(), Some(GroupAnswer::Commit(_))));
    assert_eq!(rig.offset(), Some(5));

    rig.commit(6);
    let (to, _) = rig.question();
    rig.owner(to, appended(ErrorCode::KafkaStorageError));
    let Some(GroupAnswer::Commit(topics)) = rig.answer() else {
        panic!()
    };
    assert_eq!(topics[0].partitions[0].error, ErrorCode::NotCoordinator);
    assert_eq!(rig.offset(), Some(5));
}

#[test]
fn a_coordinator_whose_topic_is_deleted_answers_what_waits_and_knows_nothing_of_its_successor() {
    let mut rig = Rig::new();
    rig.load(Vec::new(), 0);
    rig.commit(5);
    let (to, _) = rig.question();
    rig.delete(OFFSETS_TOPIC);
    rig.owner(to, appended(ErrorCode::UnknownTopicOrPartition));
    let Some(GroupAnswer::Commit(topics)) = rig.answer() else {
        panic!()
    };
    assert_eq!(topics[0].partitions[0].error, ErrorCode::NotCoordinator);
    rig.commit(6);
    let Some(GroupAnswer::Commit(topics)) = rig.answer() else {
        panic!()
    };
    assert_eq!(topics[0].partitions[0].error, ErrorCode::NotCoordinator);
    rig.create(OFFSETS_TOPIC);
    rig.load(Vec::new(), 0);
    assert_eq!(rig.offset(), None);
}

#[test]
fn offsets_of_a_deleted_topic_go_with_it() {
    let mut rig = Rig::new();
    rig.create("t");
    rig.load(log::encode(&[record(0, 5)], 1), 1);
    rig.delete("t");
    let (to, request) = rig.question();
    let OwnerRequest::Produce(part) = request else {
        panic!("{request:?}")
    };
    let mut removed = 0;
    log::decode(&part.records, |record| {
        removed += usize::from(record.value_version().is_none())
    })
    .unwrap();
    assert_eq!(removed, 1);
    rig.owner(to, appended(ErrorCode::None));
    assert_eq!(rig.offset(), None);
}

#[test]
fn without_memory_groups_that_are_there_go_on_and_new_ones_are_refused() {
    let mut rig = Rig::with_memory(0);
    rig.load(Vec::new(), 0);
    rig.commit(5);
    let (to, _) = rig.question();
    rig.owner(to, appended(ErrorCode::None));
    assert!(matches!(rig.answer(), Some(GroupAnswer::Commit(_))));
    assert!(rig.host.bytes() > 0);

    rig.commit(6);
    let (to, _) = rig.question();
    rig.owner(to, appended(ErrorCode::None));
    let Some(GroupAnswer::Commit(topics)) = rig.answer() else {
        panic!()
    };
    assert_eq!(topics[0].partitions[0].error, ErrorCode::None);
    rig.ask(GroupRequest::Join(
        Caller {
            client_id: "c".into(),
            client_host: "/127.0.0.1".into(),
            version: 9,
        },
        JoinGroupRequest {
            group_id: "new".into(),
            ..JoinGroupRequest::default()
        },
    ));
    let Some(GroupAnswer::Join(response)) = rig.answer() else {
        panic!()
    };
    assert_eq!(response.error, ErrorCode::GroupMaxSizeReached);
    rig.ask(GroupRequest::Delete(vec!["g".into()]));
    let (to, _) = rig.question();
    rig.owner(to, appended(ErrorCode::None));
    assert_eq!(rig.host.bytes(), 0, "what is deleted takes no memory");
}

impl Rig {
    /// A member of "g" joins, as version 3 does.
    fn join(&mut self, session_timeout_ms: i32) -> Option<ErrorCode> {
        let caller = Caller {
            client_id: "c".into(),
            client_host: "/127.0.0.1".into(),
            version: 3,
        };
        let request = JoinGroupRequest {
            group_id: "g".into(),
            session_timeout_ms,
            rebalance_timeout_ms: 60_000,
            protocol_type: "consumer".into(),
            protocols: vec![Default::default()],
            ..JoinGroupRequest::default()
        };
        self.ask(GroupRequest::Join(caller, request));
        match self.answer() {
            None => None,
            Some(GroupAnswer::Join(response)) => Some(response.error),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn settings_of_the_broker_reach_the_groups() {
    let mut rig = Rig::with(
        1 << 20,
        &[
            ("group.initial.rebalance.delay.ms", "70"),
            ("group.min.session.timeout.ms", "10"),
            ("group.max.session.timeout.ms", "20"),
            ("group.max.size", "1"),
            ("offset.metadata.max.bytes", "2"),
            ("offsets.retention.minutes", "1"),
            ("offsets.retention.check.interval.ms", "90000"),
        ],
    );
    rig.load(Vec::new(), 0);
    assert_eq!(rig.join(9), Some(ErrorCode::InvalidSessionTimeout));
    assert_eq!(rig.join(21), Some(ErrorCode::InvalidSessionTimeout));
    assert_eq!(rig.join(20), None, "it waits for others");
    assert_eq!(rig.host.next_deadline(), Some(rig.now.mono_ns + 70_000_000));
    assert_eq!(rig.join(20), Some(ErrorCode::GroupMaxSizeReached));

    let mut rig = Rig::with(
        1 << 20,
        &[
            ("offset.metadata.max.bytes", "2"),
            ("offsets.retention.minutes", "1"),
            ("offsets.retention.check.interval.ms", "90000"),
        ],
    );
    rig.load(Vec::new(), 0);
    let partition = |index, text: &str| OffsetCommitPartition {
        index,
        offset: 5,
        metadata: Some(text.into()),
        ..OffsetCommitPartition::default()
    };
    let request = OffsetCommitRequest {
        group_id: "g".into(),
        topics: vec![OffsetCommitTopic {
            name: "t".into(),
            partitions: vec![partition(0, "12"), partition(1, "123")],
            ..OffsetCommitTopic::default()
        }],
        ..OffsetCommitRequest::default()
    };
    rig.ask(GroupRequest::Commit(8, request));
    let (to, _) = rig.question();
    rig.owner(to, appended(ErrorCode::None));
    let Some(GroupAnswer::Commit(topics)) = rig.answer() else {
        panic!()
    };
    let errors: Vec<_> = topics[0].partitions.iter().map(|p| p.error).collect();
    assert_eq!(errors, [ErrorCode::None, ErrorCode::OffsetMetadataTooLarge]);
    assert_eq!(rig.host.next_deadline(), Some(rig.now.mono_ns + 90_000_000_000));
    rig.now.mono_ns += 90_000_000_000;
    rig.now.wall_ms += 90_000;
    rig.tick();
    let (to, _) = rig.question();
    rig.owner(to, appended(ErrorCode::None));
    assert_eq!(rig.host.sizes(), (0, 0), "expired after a minute");
}

//! Produce (key 0): one record batch per partition to its owner, answered when all are on stable storage.
//!
//! Records travel as slices of the received frame; the owner verifies and copies them. Partitions fail one by one, except
//! that acks=0 has no answer to say so: any failure closes the connection (KafkaApis.handleProduceRequest).

use super::call::{Call, Numbering, Step, malformed, place};
use super::state::Shared;
use crate::controller::image::{Image, Topic};
use crate::partition::request::{OwnerRequest, ProducePart, ProduceResult};
use crate::wire::error::ErrorCode;
use crate::wire::produce::{
    NodeEndpoint, ProducePartition, ProducePartitionResponse, ProduceRequest, ProduceResponse, ProduceTopic,
    ProduceTopicResponse, RecordError, TopicRef,
};
use bytes::Bytes;
use std::sync::Arc;

/// Topics or partitions in one request. The answer takes more memory than the smallest partition takes on the wire, so a
/// frame of nothing but empty partitions must not be followed to its end.
const PARTS_MAX: usize = 100_000;

/// Least wait for durability. Kafka's `timeout.ms` bounds the wait for replicas, its own append being done at once; ours goes
/// through the disk, so a client that allows next to nothing still gets what one slow flush takes.
const TIMEOUT_MS_MIN: i32 = 100;
/// Least time between two looks for overdue produces, nanoseconds.
const CHECK_PAUSE_NS: u64 = 50_000_000;

/// A produce that waits for owners: the answer as far as it is known.
pub(crate) struct ProduceOp {
    response: ProduceResponse,
    numbering: Numbering,
    remaining: usize,
    wants_ack: bool,
    /// Monotonic time at which the client is told that it took too long, nanoseconds.
    deadline_ns: u64,
}

/// When to look for produces (and commits of groups) that have waited too long. One time for all of them: nothing is armed for a single request.
#[derive(Default)]
pub(crate) struct Overdue {
    check_ns: Option<u64>,
    checked_ns: u64,
}

impl Overdue {
    /// Monotonic time of the next look, nanoseconds.
    pub fn next_check(&self) -> Option<u64> {
        self.check_ns
    }
    /// A produce waits, at most until its deadline.
    pub fn note(&mut self, op: &ProduceOp) {
        if op.wants_ack {
            self.note_until(op.deadline_ns);
        }
    }
    /// Something else waits for durability until then.
    pub fn note_until(&mut self, deadline_ns: u64) {
        let at = deadline_ns.max(self.checked_ns + CHECK_PAUSE_NS);
        self.check_ns = Some(self.check_ns.map_or(at, |earlier| earlier.min(at)));
    }
    /// True when it is time to look; then all that may go on waiting has to be noted again.
    pub fn begin_check(&mut self, now_ns: u64) -> bool {
        let due = self.check_ns.is_some_and(|at| at <= now_ns);
        if due {
            *self = Overdue {
                check_ns: None,
                checked_ns: now_ns,
            };
        }
        due
    }
}

impl ProduceOp {
    /// True when the client has waited long enough for its acknowledgement.
    pub fn is_overdue(&self, now_ns: u64) -> bool {
        self.wants_ack && self.deadline_ns <= now_ns
    }
}

/// A request being started.
struct Source<'a> {
    frame: &'a Bytes,
    request: &'a ProduceRequest<'a>,
    /// What is wrong with the request as a whole; every partition that is there answers it.
    refusal: Option<Refusal>,
}

/// Error and text of a partition that is not asked for.
type Refusal = (ErrorCode, &'static str);

pub(super) fn start(call: &mut Call, shared: &mut Shared, frame: &Bytes, body: &[u8]) -> Step<ProduceOp> {
    let request = match ProduceRequest::decode(call.meta.version, body) {
        Ok(request) => request,
        Err(error) => return malformed(call.meta, &error),
    };
    call.cx.metrics.request_trailing_bytes += request.trailing_bytes as u64;
    if request.topic_count().max(request.partition_count()) > PARTS_MAX {
        return Step::Close(format!("a produce of more than {PARTS_MAX} partitions"));
    }
    let source = Source {
        frame,
        request: &request,
        refusal: refuse_all(&request),
    };
    let mut op = ProduceOp {
        response: ProduceResponse::default(),
        numbering: Numbering::default(),
        remaining: 0,
        wants_ack: request.acks != 0,
        deadline_ns: call.cx.now.mono_ns + request.timeout_ms.max(TIMEOUT_MS_MIN) as u64 * 1_000_000,
    };
    op.response.topics.reserve_exact(request.topic_count());
    for asked in request.topics() {
        start_topic(call, &source, &asked, &mut op);
    }
    if op.remaining > 0 {
        shared.overdue.note(&op);
    }
    proceed(call, op, true)
}

fn start_topic(call: &mut Call, source: &Source, asked: &ProduceTopic, op: &mut ProduceOp) {
    let topic = find(call.cx.newest, asked.topic).map_err(|error| (error, ""));
    let mut answer = ProduceTopicResponse {
        partitions: Vec::with_capacity(asked.partition_count()),
        ..Default::default()
    };
    match asked.topic {
        TopicRef::Name(name) => answer.name = name.to_string(),
        TopicRef::Id(id) => answer.topic_id = id,
    }
    let first = op.numbering.add_topic(asked.partition_count());
    for (part, partition) in (first..).zip(asked.partitions()) {
        let sent = topic.as_ref().map_err(|refusal| *refusal);
        let mut result = ProducePartitionResponse {
            index: partition.index,
            ..Default::default()
        };
        match sent.and_then(|topic| send(call, source, topic, &partition, part)) {
            Ok(()) => {
                op.remaining += 1;
                // What it answers if the owner does not in time.
                result.error = ErrorCode::RequestTimedOut;
            }
            Err((error, message)) => {
                result.error = error;
                result.error_message = (!message.is_empty()).then(|| message.to_string());
            }
        }
        answer.partitions.push(result);
    }
    op.response.topics.push(answer);
}

/// An owner answered for one partition.
pub(super) fn finish(call: &mut Call, mut op: ProduceOp, part: u32, result: ProduceResult) -> Step<ProduceOp> {
    let not_leader = result.error == ErrorCode::NotLeaderOrFollower;
    let (topic, index) = op.numbering.find(part);
    let topic = op.response.topics.get_mut(topic);
    if let Some(partition) = topic.and_then(|topic| topic.partitions.get_mut(index)) {
        partition.error = result.error;
        partition.base_offset = result.base_offset;
        partition.log_append_time_ms = result.log_append_time_ms;
        partition.log_start_offset = result.log_start_offset;
        partition.error_message = result.error_message;
        let at_fault = |(batch_index, message)| RecordError {
            batch_index,
            message: Some(message),
        };
        partition.record_errors = result.record_errors.into_iter().map(at_fault).collect();
    }
    if not_leader {
        name_leaders(call.cx.newest, &mut op.response);
    }
    op.remaining = op.remaining.saturating_sub(1);
    proceed(call, op, false)
}

/// The deadline has passed: partitions without an answer are answered with REQUEST_TIMED_OUT. Their records may become durable
/// later, as in Kafka; the owner's late reply finds a dead key.
pub(super) fn expire(call: &mut Call, mut op: ProduceOp) -> Step<ProduceOp> {
    let partitions = op.response.topics.iter_mut().flat_map(|topic| &mut topic.partitions);
    for partition in partitions.filter(|p| p.error == ErrorCode::RequestTimedOut) {
        partition.error_message = Some("the disk did not make the records durable within the request's timeout".into());
    }
    op.remaining = 0;
    proceed(call, op, false)
}

fn proceed(call: &mut Call, mut op: ProduceOp, starting: bool) -> Step<ProduceOp> {
    if op.remaining > 0 {
        return match starting && !op.wants_ack {
            true => Step::WaitSilent(op),
            false => Step::Wait(op),
        };
    }
    if op.wants_ack {
        call.note(
            op.response
                .topics
                .iter()
                .flat_map(|topic| &topic.partitions)
                .map(|p| p.error),
        );
        op.response.throttle_time_ms = call.meta.throttle_ms;
        return Step::Reply(
            call.encoder
                .frame(call.meta, |out| op.response.encode(call.meta.version, out)),
        );
    }
    let failed = op
        .response
        .topics
        .iter()
        .flat_map(|topic| &topic.partitions)
        .find(|p| p.error != ErrorCode::None);
    match failed {
        None => Step::Done,
        Some(partition) => Step::Close(format!("produce with acks=0 failed with {}", partition.error.name())),
    }
}

/// What is wrong with the request as a whole.
fn refuse_all(request: &ProduceRequest) -> Option<Refusal> {
    if !matches!(request.acks, -1..=1) {
        return Some((ErrorCode::InvalidRequiredAcks, ""));
    }
    if request.transactional_id.is_some() {
        return Some((
            ErrorCode::InvalidTxnState,
            "transactions are not available: remove transactional.id",
        ));
    }
    None
}

fn find(image: &Image, topic: TopicRef) -> Result<Arc<Topic>, ErrorCode> {
    match topic {
        TopicRef::Name(name) => image.topic(name).cloned().ok_or(ErrorCode::UnknownTopicOrPartition),
        TopicRef::Id(id) => image.topics.get(&id).cloned().ok_or(ErrorCode::UnknownTopicId),
    }
}

/// Sends one partition's batch to its owner.
fn send(
    call: &mut Call,
    source: &Source,
    topic: &Topic,
    partition: &ProducePartition,
    part: u32,
) -> Result<(), Refusal> {
    let (frame, request) = (source.frame, source.request);
    let (id, owner) = place(topic, partition.index).map_err(|error| (error, ""))?;
    if let Some(refusal) = source.refusal {
        return Err(refusal);
    }
    // Kafka lets a client that calls itself `__admin_client` through; what it put there would pass for committed offsets.
    if topic.is_internal() {
        return Err((
            ErrorCode::InvalidTopicException,
            "the topic is internal: only the broker writes to it",
        ));
    }
    let Some(records) = partition.records.filter(|records| !records.is_empty()) else {
        return Err((
            ErrorCode::InvalidRecord,
            "a produce request must have exactly one record batch per partition",
        ));
    };
    let part_request = ProducePart {
        partition: id,
        records: frame.slice_ref(records),
        version: request.version,
        wants_ack: request.acks != 0,
    };
    call.ask(owner, part, OwnerRequest::Produce(part_request));
    Ok(())
}

/// Tells a client that asked the wrong broker who leads (KIP-951).
fn name_leaders(image: &Image, response: &mut ProduceResponse) {
    for answer in &mut response.topics {
        let by_id = (!answer.topic_id.is_zero())
            .then(|| image.topics.get(&answer.topic_id))
            .flatten();
        let Some(topic) = by_id.or_else(|| image.topic(&answer.name)) else {
            continue;
        };
        for partition in answer
            .partitions
            .iter_mut()
            .filter(|p| p.error == ErrorCode::NotLeaderOrFollower)
        {
            let Some(meta) = usize::try_from(partition.index)
                .ok()
                .and_then(|at| topic.partitions.get(at))
            else {
                continue;
            };
            partition.current_leader.leader_id = image.leader(meta);
            partition.current_leader.leader_epoch = meta.leader_epoch;
        }
    }
    response.node_endpoints = node_endpoints(image);
}

/// Where all brokers are.
pub(super) fn node_endpoints(image: &Image) -> Vec<NodeEndpoint> {
    let endpoint = |broker: crate::controller::image::Broker| NodeEndpoint {
        node_id: broker.id,
        host: broker.host,
        port: i32::from(broker.port),
        rack: broker.rack,
    };
    image.brokers().into_iter().map(endpoint).collect()
}

//! Produce on the owner: check, stamp offsets, stage. The answer waits for the journal.
//!
//! The rules are Kafka's (`LogValidator`, `ProducerAppendInfo`). A retry is recognised before anything else, so that a topic's
//! new limits do not refuse what is in the log; a later batch of a producer is never accepted while its first was refused for
//! the same cause.

use crate::base::slab::SlabKey;
use crate::controller::image::{TimestampType, TopicConfig};
use crate::log::frame::FrameKind;
use crate::log::journal::NewFrame;
use crate::partition::durable::{AckKind, PendingAck};
use crate::partition::producers::{Appended, BatchId, Verdict};
use crate::partition::records;
use crate::partition::request::{
    DeleteRecordsPart, DeleteRecordsResult, OwnerReply, ProducePart, ProduceResult, ReplyTo,
};
use crate::partition::store::{Store, StoreCx};
use crate::wire::batch::{self, BatchInfo, BatchView};
use crate::wire::compress::Compression;
use crate::wire::error::ErrorCode;
use crate::wire::record::Records;
use bytes::Bytes;

type Refusal = Box<ProduceResult>;

/// What the batch's own checks refused.
fn refused(refusal: crate::wire::error::Refusal) -> Refusal {
    refuse(refusal.0, refusal.1)
}

fn refuse(error: ErrorCode, message: impl Into<String>) -> Refusal {
    Box::new(ProduceResult::refused(error, message))
}

impl Store {
    /// Checks and stages one batch; answers at once on errors, else when durable.
    pub(crate) fn produce(&mut self, cx: &mut StoreCx, reply: ReplyTo, part: ProducePart) {
        let wants_ack = part.wants_ack;
        match self.append(cx, &part) {
            Ok((result, Wait::For(lsn))) if wants_ack => {
                self.acks.push_back(PendingAck {
                    staged_ns: cx.now.mono_ns,
                    lsn,
                    reply,
                    kind: AckKind::Produce(result),
                });
            }
            Ok((result, _)) => cx.replies.push_back((reply, OwnerReply::Produce(result))),
            Err(refusal) => cx.replies.push_back((reply, OwnerReply::Produce(*refusal))),
        }
    }

    fn append(&mut self, cx: &mut StoreCx, request: &ProducePart) -> Result<(ProduceResult, Wait), Refusal> {
        if let Some(why) = &self.fatal {
            return Err(refuse(ErrorCode::KafkaStorageError, why.clone()));
        }
        let key = self.by_id.get(&request.partition).copied();
        let key = key.ok_or_else(|| {
            refuse(
                ErrorCode::UnknownTopicOrPartition,
                "this broker does not host the partition",
            )
        })?;
        let Some(part) = self.parts.get(key) else {
            return Err(refuse(
                ErrorCode::UnknownTopicOrPartition,
                "this broker does not host the partition",
            ));
        };
        let view = BatchView::parse(&request.records).map_err(refused)?;
        let info = view.verify().map_err(refused)?;
        check_batch(&info, request.version)?;
        let id = BatchId::of(&info);
        match id.map_or(Verdict::Append, |id| part.producers.check(&id)) {
            Verdict::Append => {}
            Verdict::Duplicate(found) => return Ok(self.duplicate(key, found)),
            Verdict::OutOfOrder(why) => return Err(refuse(ErrorCode::OutOfOrderSequenceNumber, why)),
            Verdict::StaleEpoch(newer) => {
                return Err(refuse(
                    ErrorCode::InvalidProducerEpoch,
                    format!("a producer with epoch {newer} has taken over"),
                ));
            }
        }
        let config = part.topic.config.clone();
        self.check_size(&config, request.records.len())?;
        let body = view
            .decompressed(records::expansion_limit(view.body().len()))
            .map_err(undecipherable)?;
        let max_timestamp = check_records(&config, &info, &body, cx.now.wall_ms)?;
        let recompressed = recompress(&config, &info, &body)?;
        let records = recompressed.as_ref().unwrap_or(&request.records);
        self.check_size(&config, records.len())?;
        self.check_service(key, id)?;
        let info = BatchInfo { max_timestamp, ..info };
        Ok(self.stage_batch(cx, key, records, &info, id))
    }

    /// A retry of a batch that is in the log: the original's offsets, once the original is durable.
    fn duplicate(&self, key: SlabKey, found: Appended) -> (ProduceResult, Wait) {
        let part = self.parts.get(key);
        let durable = part.is_none_or(|p| found.last_offset < p.high_watermark);
        let result = ProduceResult {
            error: ErrorCode::None,
            base_offset: found.base_offset,
            log_append_time_ms: found.append_time_ms,
            log_start_offset: part.map_or(-1, |p| p.log_start),
            record_errors: Vec::new(),
            error_message: None,
        };
        (
            result,
            if durable {
                Wait::No
            } else {
                Wait::For(self.journal.newest_lsn())
            },
        )
    }

    fn check_size(&self, config: &TopicConfig, len: usize) -> Result<(), Refusal> {
        let (topic_max, journal_max) = (config.max_message_bytes as usize, self.journal.payload_max());
        if len > topic_max {
            return Err(refuse(
                ErrorCode::MessageTooLarge,
                format!("the batch has {len} bytes, the topic takes {topic_max} (max.message.bytes)"),
            ));
        }
        if len > journal_max {
            return Err(refuse(
                ErrorCode::MessageTooLarge,
                format!("the batch has {len} bytes, a journal file of this broker takes {journal_max}"),
            ));
        }
        Ok(())
    }

    /// Conditions that pass by themselves: retriable errors.
    fn check_service(&mut self, key: SlabKey, id: Option<BatchId>) -> Result<(), Refusal> {
        let Some(part) = self.parts.get_mut(key) else {
            return Ok(());
        };
        let blocked = self.blocked.as_ref().map(|blocked| &blocked.why);
        let why = part.fenced.as_ref().or(blocked).or(self.disk_low.as_ref());
        let Some(why) = why else { return Ok(()) };
        let refusal = refuse(ErrorCode::KafkaStorageError, why.clone());
        if let Some(id) = id {
            part.producers.note_refused(&id);
        }
        Err(refusal)
    }

    fn stage_batch(
        &mut self,
        cx: &mut StoreCx,
        key: SlabKey,
        records: &Bytes,
        info: &BatchInfo,
        id: Option<BatchId>,
    ) -> (ProduceResult, Wait) {
        let Some(part) = self.parts.get_mut(key) else {
            return (
                ProduceResult::refused(ErrorCode::UnknownTopicOrPartition, "the partition is gone"),
                Wait::No,
            );
        };
        let base_offset = part.log_end;
        let last_offset = base_offset + i64::from(info.last_offset_delta);
        let append_time = match part.topic.config.timestamp_type {
            TimestampType::LogAppendTime => cx.now.wall_ms,
            TimestampType::CreateTime => -1,
        };
        let epoch = part.leader_epoch;
        let new = NewFrame {
            kind: FrameKind::Batch,
            owner: Some(key),
            partition: part.id,
            leader_epoch: epoch,
            base_offset,
            last_offset,
            max_timestamp: if append_time >= 0 {
                append_time
            } else {
                info.max_timestamp
            },
            prev_crc: part.last_crc,
        };
        let frame = self.journal.stage(new, records, |copy| {
            batch::patch_base_offset_and_epoch(copy, base_offset, epoch);
            let sent = BatchInfo::peek(copy);
            if append_time >= 0 {
                batch::patch_log_append_time(copy, append_time);
            } else if sent.is_some_and(|sent| !has_right_times(&sent, info)) {
                batch::patch_create_time(copy, info.max_timestamp);
            }
            BatchInfo::peek(copy).map_or(0, |stored| stored.crc)
        });
        part.last_crc = frame.header_crc;
        part.log_end = last_offset + 1;
        part.note_epoch(epoch, base_offset);
        if let Some(id) = id {
            if part.producers.is_full() {
                part.producers
                    .expire(cx.now.wall_ms, self.config.producer_expiration_ms, part.high_watermark);
            }
            part.producers.append(&id, base_offset, append_time, cx.now.wall_ms);
        }
        self.accepted_bytes += records.len() as u64;
        let result = ProduceResult {
            error: ErrorCode::None,
            base_offset,
            log_append_time_ms: append_time,
            log_start_offset: part.log_start,
            record_errors: Vec::new(),
            error_message: None,
        };
        (result, Wait::For(self.journal.newest_lsn()))
    }

    /// DeleteRecords: a journal frame moves the log start; the answer waits for it.
    pub(crate) fn delete_records(&mut self, cx: &mut StoreCx, reply: ReplyTo, request: DeleteRecordsPart) {
        let refused = |error| {
            OwnerReply::DeleteRecords(DeleteRecordsResult {
                error,
                low_watermark: -1,
            })
        };
        let Some(key) = self.by_id.get(&request.partition).copied() else {
            return cx
                .replies
                .push_back((reply, refused(ErrorCode::UnknownTopicOrPartition)));
        };
        let Some(part) = self.parts.get(key) else {
            return cx
                .replies
                .push_back((reply, refused(ErrorCode::UnknownTopicOrPartition)));
        };
        if self.fatal.is_some() {
            return cx.replies.push_back((reply, refused(ErrorCode::KafkaStorageError)));
        }
        let before = if request.before_offset == -1 {
            part.high_watermark
        } else {
            request.before_offset
        };
        if before < 0 || before > part.high_watermark {
            return cx.replies.push_back((reply, refused(ErrorCode::OffsetOutOfRange)));
        }
        if before <= part.log_start {
            let result = DeleteRecordsResult {
                error: ErrorCode::None,
                low_watermark: part.log_start,
            };
            return cx.replies.push_back((reply, OwnerReply::DeleteRecords(result)));
        }
        let lsn = self.stage_log_start(key, before);
        self.acks.push_back(PendingAck {
            staged_ns: cx.now.mono_ns,
            lsn,
            reply,
            kind: AckKind::LogStart(before),
        });
    }

    /// Stages the frame that moves a partition's log start; it takes effect when durable.
    pub(crate) fn stage_log_start(&mut self, key: SlabKey, log_start: i64) -> u64 {
        if let Some(part) = self.parts.get(key) {
            let new = NewFrame {
                kind: FrameKind::LogStart,
                owner: Some(key),
                partition: part.id,
                leader_epoch: part.leader_epoch,
                base_offset: log_start,
                last_offset: log_start,
                max_timestamp: -1,
                prev_crc: 0,
            };
            self.journal.stage(new, &[], |_| 0);
        }
        self.journal.newest_lsn()
    }
}

/// Whether an answer waits for the journal.
enum Wait {
    No,
    For(u64),
}

/// Rules that need the batch header only.
fn check_batch(info: &BatchInfo, version: i16) -> Result<(), Refusal> {
    if info.compression() == Compression::Zstd && version < 7 {
        return Err(refuse(
            ErrorCode::UnsupportedCompressionType,
            "zstd needs Produce version 7 or newer (KIP-110)",
        ));
    }
    if info.base_offset != 0 {
        let text = format!(
            "the batch begins at offset {}, a producer counts from 0",
            info.base_offset
        );
        return Err(refuse(ErrorCode::InvalidRecord, text));
    }
    if info.is_transactional() {
        return Err(refuse(ErrorCode::InvalidTxnState, "transactions are not supported yet"));
    }
    Ok(())
}

/// A batch whose checksum is right and whose records cannot be decompressed: the client made it so, and would again.
fn undecipherable((error, why): crate::wire::error::Refusal) -> Refusal {
    match error {
        ErrorCode::CorruptMessage => refuse(ErrorCode::InvalidRecord, why),
        error => refuse(error, why),
    }
}

/// The batch in the topic's own codec, when `compression.type` names another than the producer's; `body` = its records.
fn recompress(config: &TopicConfig, info: &BatchInfo, body: &[u8]) -> Result<Option<Bytes>, Refusal> {
    let Some(codec) = config
        .compression
        .and_then(|id| Compression::of_attributes(i16::from(id)))
    else {
        return Ok(None);
    };
    if codec == info.compression() {
        return Ok(None);
    }
    let stored = batch::repack(info, codec, body).map_err(refused)?;
    Ok(Some(Bytes::from(stored)))
}

/// The header of a CreateTime batch as it was sent says what its records say.
fn has_right_times(sent: &BatchInfo, found: &BatchInfo) -> bool {
    sent.max_timestamp == found.max_timestamp && sent.timestamp_type() == batch::TimestampType::CreateTime
}

/// Looks at every record, as Kafka does: what is acknowledged can be read, and what the header says of times is true. Returns the
/// largest time, -1 without any. `body` = the records, decompressed.
fn check_records(config: &TopicConfig, info: &BatchInfo, body: &[u8], now_ms: i64) -> Result<i64, Refusal> {
    let rules = Rules::new(config, info, now_ms);
    let mut max_timestamp = NO_TIMESTAMP;
    let mut faults = Vec::new();
    for (index, record) in Records::new(body, info.record_count).enumerate() {
        let record = record.map_err(|fault| refuse(ErrorCode::InvalidRecord, fault.to_string()))?;
        if record.offset_delta as usize != index {
            let text = format!("record {index} has offset delta {}", record.offset_delta);
            return Err(refuse(ErrorCode::InvalidRecord, text));
        }
        let timestamp = info.base_timestamp.saturating_add(record.timestamp_delta);
        max_timestamp = max_timestamp.max(timestamp);
        if let Some((error, text)) = rules.fault(timestamp, record.key.is_some()) {
            faults.push((error, index as i32, text));
        }
    }
    if faults.is_empty() {
        return Ok(max_timestamp);
    }
    let error = match faults.iter().all(|(error, ..)| *error == ErrorCode::InvalidTimestamp) {
        true => ErrorCode::InvalidTimestamp,
        false => ErrorCode::InvalidRecord,
    };
    let record_errors = faults.into_iter().map(|(_, index, text)| (index, text)).collect();
    Err(refuse_records(error, "one or more records are refused", record_errors))
}

/// The time of a record without one.
const NO_TIMESTAMP: i64 = -1;

/// What a topic asks of each record.
struct Rules {
    needs_key: bool,
    /// CreateTime: the times allowed, both inclusive.
    times: Option<(i64, i64)>,
    /// The client claims to be the broker.
    claims_append_time: bool,
}

impl Rules {
    fn new(config: &TopicConfig, info: &BatchInfo, now_ms: i64) -> Rules {
        let create_time = config.timestamp_type == TimestampType::CreateTime;
        let earliest = now_ms.saturating_sub(config.timestamp_before_max_ms);
        let latest = now_ms.saturating_add(config.timestamp_after_max_ms);
        Rules {
            needs_key: config.cleanup_compact,
            times: create_time.then_some((earliest, latest)),
            claims_append_time: info.timestamp_type() == batch::TimestampType::LogAppendTime,
        }
    }

    /// What is wrong with a record (`LogValidator.validateRecord`).
    #[inline]
    fn fault(&self, timestamp: i64, has_key: bool) -> Option<(ErrorCode, String)> {
        if self.needs_key && !has_key {
            let text = "Compacted topic cannot accept message without key.".to_string();
            return Some((ErrorCode::InvalidRecord, text));
        }
        match self.times {
            Some((earliest, latest)) if timestamp != NO_TIMESTAMP => {
                (timestamp < earliest || timestamp > latest).then(|| {
                    let text = format!("Timestamp {timestamp} of message is out of range [{earliest}, {latest}].");
                    (ErrorCode::InvalidTimestamp, text)
                })
            }
            _ if self.claims_append_time => {
                let text = "Producer should not set timestamp type to LogAppendTime.".to_string();
                Some((ErrorCode::InvalidTimestamp, text))
            }
            _ => None,
        }
    }
}

fn refuse_records(error: ErrorCode, message: &str, record_errors: Vec<(i32, String)>) -> Refusal {
    Box::new(ProduceResult {
        record_errors,
        ..ProduceResult::refused(error, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::batch::{BatchBuilder, LOG_APPEND_TIME};

    fn check(config: &TopicConfig, builder: &BatchBuilder) -> Result<i64, (ErrorCode, Vec<i32>)> {
        let batch = builder.build().expect("builds");
        let view = BatchView::parse(&batch).expect("parses");
        check_records(config, &view.info(), view.body(), 1_000_000).map_err(|refusal| {
            let indexes = refusal.record_errors.iter().map(|(index, _)| *index);
            (refusal.error, indexes.collect())
        })
    }

    #[test]
    fn a_compacted_topic_names_the_records_without_key_28() {
        let compacted = TopicConfig {
            cleanup_compact: true,
            ..TopicConfig::default()
        };
        let mut builder = BatchBuilder::new();
        builder
            .append(5, Some(b"k"), None, &[])
            .append(5, None, Some(b"v"), &[]);
        builder.append(5, Some(b""), None, &[]).append(5, None, None, &[]);
        assert_eq!(check(&compacted, &builder), Err((ErrorCode::InvalidRecord, vec![1, 3])));
        assert_eq!(check(&TopicConfig::default(), &builder), Ok(5));
        // A time out of range in the same batch: the batch as a whole is invalid, each fault is named.
        builder.append(i64::MAX, Some(b"k"), None, &[]);
        assert_eq!(
            check(&compacted, &builder),
            Err((ErrorCode::InvalidRecord, vec![1, 3, 4]))
        );
    }

    #[test]
    fn the_largest_time_is_that_of_a_record_29() {
        let mut builder = BatchBuilder::new();
        builder
            .append(70, None, None, &[])
            .append(90, None, None, &[])
            .append(-1, None, None, &[]);
        assert_eq!(check(&TopicConfig::default(), &builder), Ok(90));
        let mut timeless = BatchBuilder::new();
        timeless.append(-1, None, None, &[]);
        assert_eq!(check(&TopicConfig::default(), &timeless), Ok(-1));
        let claimed = timeless.attributes(LOG_APPEND_TIME);
        assert_eq!(
            check(&TopicConfig::default(), &claimed),
            Err((ErrorCode::InvalidTimestamp, vec![0]))
        );
    }
}

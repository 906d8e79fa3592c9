//! Produce on the owner: check, stamp offsets, stage. The answer waits for the journal.
//!
//! Order of checks follows Kafka (`LogValidator`, `ProducerAppendInfo`); a later batch of a producer is never accepted while its
//! first was refused for the same cause (PROTOCOL 85).

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
        let recompressed = recompress(&config, &info, &view)?;
        let records = recompressed.as_ref().unwrap_or(&request.records);
        check_content(&config, &info, records, cx.now.wall_ms)?;
        self.check_size(&config, records.len())?;
        self.check_service(key, id)?;
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
        let why = part
            .fenced
            .as_ref()
            .or(self.disk_full.as_ref())
            .or(self.disk_low.as_ref());
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
            if append_time >= 0 {
                batch::patch_log_append_time(copy, append_time);
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
    if info.is_transactional() {
        return Err(refuse(ErrorCode::InvalidTxnState, "transactions are not supported yet"));
    }
    Ok(())
}

/// The batch in the topic's own codec, when `compression.type` names another than the producer's.
fn recompress(config: &TopicConfig, info: &BatchInfo, view: &BatchView) -> Result<Option<Bytes>, Refusal> {
    let Some(codec) = config
        .compression
        .and_then(|id| Compression::of_attributes(i16::from(id)))
    else {
        return Ok(None);
    };
    if codec == info.compression() {
        return Ok(None);
    }
    let limit = records::expansion_limit(view.body().len());
    let stored = batch::recompress(view, codec, limit).map_err(refused)?;
    Ok(Some(Bytes::from(stored)))
}

/// Rules that look at records: keys on compacted topics, timestamps out of range.
fn check_content(config: &TopicConfig, info: &BatchInfo, batch: &Bytes, now_ms: i64) -> Result<(), Refusal> {
    let create_time = config.timestamp_type == TimestampType::CreateTime;
    let latest = now_ms.saturating_add(config.timestamp_after_max_ms);
    let earliest = now_ms.saturating_sub(config.timestamp_before_max_ms);
    let check_times = create_time && (info.max_timestamp > latest || config.timestamp_before_max_ms != i64::MAX);
    if !check_times && !config.cleanup_compact {
        return Ok(());
    }
    let mut without_key = Vec::new();
    let mut out_of_time = Vec::new();
    records::walk(batch, |record| {
        if config.cleanup_compact && record.key.is_none() {
            without_key.push((
                record.index,
                "Compacted topic cannot accept message without key.".to_string(),
            ));
        }
        if check_times && (record.timestamp > latest || record.timestamp < earliest) {
            let text = format!(
                "Timestamp {} of message is out of range [{earliest}, {latest}].",
                record.timestamp
            );
            out_of_time.push((record.index, text));
        }
        true
    })
    .map_err(|why| refuse(ErrorCode::CorruptMessage, why))?;
    if !without_key.is_empty() {
        return Err(refuse_records(
            ErrorCode::InvalidRecord,
            "One or more records have been rejected: no key",
            without_key,
        ));
    }
    if !out_of_time.is_empty() {
        return Err(refuse_records(
            ErrorCode::InvalidTimestamp,
            "One or more records have been rejected: timestamp out of range",
            out_of_time,
        ));
    }
    Ok(())
}

fn refuse_records(error: ErrorCode, message: &str, record_errors: Vec<(i32, String)>) -> Refusal {
    Box::new(ProduceResult {
        record_errors,
        ..ProduceResult::refused(error, message)
    })
}

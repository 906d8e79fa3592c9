//! A whole data directory: what the shards' checkpoints and journals say, and whether the segments agree.

use super::segments::{self, Contents, identity_from_path};
use super::{Report, Row, files};
use crate::base::ids::{FileId, PartitionId};
use crate::cli::failure::{EXIT_NOT_FOUND, Failure};
use crate::controller::image::Image;
use crate::controller::machine::{Controller, ControllerConfig};
use crate::controller::quotas::{QuotaEntity, QuotaValues};
use crate::controller::record::{MetaRecord, decode_snapshot};
use crate::controller::scram::{Mechanism, ScramCredential};
use crate::log::checkpoint::SegmentCheckpoint;
use crate::log::recovery::{JournalFile, Recovered, RecoveredPartition, recover};
use crate::server::data_dir::{self, FORMAT_FILE};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// Inspects everything below `directory`.
pub(super) fn inspect(directory: &Path, verify: bool) -> Result<Report, Failure> {
    let mut report = Report::default();
    let _lock = refuse_running(directory)?;
    let format = data_dir::read_format(directory)
        .map_err(|refusal| Failure::Other(1, refusal.cause, Some(refusal.remedy)))?
        .ok_or_else(|| {
            let cause = format!(
                "{} is no ringlog data directory: it has no {FORMAT_FILE}",
                directory.display()
            );
            Failure::Other(EXIT_NOT_FOUND, cause, None)
        })?;
    report.cluster_id = Some(format.cluster_id);
    report.node_id = Some(format.node_id);
    let mut states = Vec::new();
    for shard in 0u16.. {
        let relative = format!("shards/{shard}");
        if !directory.join(&relative).is_dir() {
            break;
        }
        states.extend(inspect_shard(directory, (shard, &relative), &mut report.files)?);
        report.shards += 1;
    }
    if report.shards == 0 {
        report
            .files
            .push(Row::new("shards/0", "directory", 0).note("no shard has been started yet"));
    }
    let image = match states.first().map(|state| metadata(state, states.len())) {
        Some(Ok(image)) => Some(image),
        Some(Err(fault)) => {
            report.files.push(Row::new("shards/0", "metadata", 0).damaged(fault));
            None
        }
        None => None,
    };
    if let Some(image) = &image {
        report.topics = image.topics.len();
        report.partitions = image.topics.values().map(|topic| topic.partitions.len()).sum();
        report.quotas = image.quotas.iter().map(quota_text).collect();
        report.scram = image.scram.iter().flat_map(scram_texts).collect();
    }
    let mut named = BTreeSet::new();
    for state in &states {
        inspect_partitions(directory, state, image.as_ref(), verify, &mut named, &mut report.files)?;
    }
    let rest = Rest {
        directory,
        image: image.as_ref(),
        named,
        ends: log_ends(&states),
        verify,
    };
    rest.inspect(&mut report.files)?;
    Ok(report)
}

/// `user=ann,client-id=* producer_byte_rate=1024`; a star is the default.
fn quota_text((entity, values): (&QuotaEntity, &QuotaValues)) -> String {
    let parts = entity.parts();
    let part = |(kind, name): &(String, Option<String>)| format!("{kind}={}", name.as_deref().unwrap_or("*"));
    let entity: Vec<String> = parts.iter().map(part).collect();
    let values: Vec<String> = values
        .iter()
        .map(|(key, value)| format!("{}={value}", key.name()))
        .collect();
    format!("{} {}", entity.join(","), values.join(","))
}

/// `ann SCRAM-SHA-256 4096 iterations`: nothing that helps to log in.
fn scram_texts((user, credentials): (&String, &BTreeMap<Mechanism, ScramCredential>)) -> Vec<String> {
    let text = |(mechanism, credential): (&Mechanism, &ScramCredential)| {
        format!("{user} {} {} iterations", mechanism.name(), credential.iterations)
    };
    credentials.iter().map(text).collect()
}

/// Shares the lock file, so that no broker starts meanwhile; refuses when one runs.
fn refuse_running(directory: &Path) -> Result<Option<File>, Failure> {
    let file = match File::open(directory.join("lock")) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(Failure::failed(format!(
                "cannot open the lock of {}: {error}",
                directory.display()
            )));
        }
    };
    // SAFETY: no memory involved; the descriptor is open.
    if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_SH | libc::LOCK_NB) } != 0 {
        let cause = format!("a broker runs on {}", directory.display());
        return Err(Failure::Other(
            1,
            cause,
            Some("stop it first; its files change while it runs".into()),
        ));
    }
    Ok(Some(file))
}

fn inspect_shard(
    directory: &Path,
    (shard, relative): (u16, &str),
    rows: &mut Vec<Row>,
) -> Result<Option<Recovered>, Failure> {
    let path = directory.join(relative);
    let mut copies = [None, None];
    for (copy, name) in copies.iter_mut().zip(["checkpoint.a", "checkpoint.b"]) {
        if path.join(name).exists() {
            let content = files::read(&path.join(name))?;
            rows.push(files::checkpoint(&format!("{relative}/{name}"), &content).0);
            *copy = Some(content);
        }
    }
    let mut journal = Vec::new();
    for (seq, name) in journal_names(&path)? {
        let content = files::read(&path.join(&name))?;
        rows.push(files::journal(&format!("{relative}/{name}"), &content));
        let file = FileId(seq);
        journal.push(JournalFile { file, seq, content });
    }
    match recover(shard, [copies[0].as_deref(), copies[1].as_deref()], journal) {
        Ok(state) => Ok(Some(state)),
        Err(damage) => {
            rows.push(Row::new(relative, "shard", 0).damaged(damage.to_string()));
            Ok(None)
        }
    }
}

fn journal_names(path: &Path) -> Result<Vec<(u64, String)>, Failure> {
    let mut names: Vec<(u64, String)> = Vec::new();
    for name in list(path)? {
        if let Some(seq) = crate::server::recovery::journal_seq(&name) {
            names.push((seq, name));
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Names in a directory, sorted; none when it does not exist.
fn list(path: &Path) -> Result<Vec<String>, Failure> {
    let fail = |error: io::Error| Failure::failed(format!("cannot list {}: {error}", path.display()));
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(fail(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry.map_err(fail)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// The metadata that a start would have.
fn metadata(first: &Recovered, shards: usize) -> Result<Image, String> {
    let image = match first.image.as_slice() {
        [] => Image::default(),
        bytes => decode_snapshot(bytes).map_err(|error| error.to_string())?,
    };
    let config = ControllerConfig {
        shard_count: u16::try_from(shards).unwrap_or(u16::MAX),
        ..ControllerConfig::default()
    };
    let mut controller = Controller::new(image, config);
    for record in &first.meta_records {
        controller.replay(&MetaRecord::decode(record).map_err(|error| error.to_string())?);
    }
    Ok(Image::clone(&controller.image()))
}

fn inspect_partitions(
    directory: &Path,
    state: &Recovered,
    image: Option<&Image>,
    verify: bool,
    named: &mut BTreeSet<PathBuf>,
    rows: &mut Vec<Row>,
) -> Result<(), Failure> {
    for (id, found) in &state.partitions {
        // Files of a deleted topic may be gone already.
        let is_deleted = image.is_some_and(|image| image.owner(*id).is_none());
        if let (false, Some(why)) = (is_deleted, &found.broken) {
            rows.push(Row::new(label(*id, image), "partition", 0).damaged(why.clone()));
        }
        for segment in &found.base.segments {
            let path = directory.join(&segment.path(*id).0);
            named.insert(path.clone());
            named.insert(directory.join(&segment.index_path(*id).0));
            let is_gone = is_deleted || segment.end_offset <= found.log_start;
            rows.push(inspect_segment(directory, &path, *id, segment, is_gone, verify)?);
        }
    }
    Ok(())
}

fn label(id: PartitionId, image: Option<&Image>) -> String {
    let name = image
        .and_then(|image| image.topics.get(&id.topic))
        .map(|topic| topic.name.clone());
    format!("{}-{}", name.unwrap_or_else(|| id.topic.to_string()), id.partition)
}

/// A segment against what the checkpoint says of it.
fn inspect_segment(
    directory: &Path,
    path: &Path,
    id: PartitionId,
    saved: &SegmentCheckpoint,
    is_gone: bool,
    verify: bool,
) -> Result<Row, Failure> {
    let name = path.strip_prefix(directory).unwrap_or(path).display().to_string();
    let fail = |error: io::Error| Failure::failed(format!("cannot read {}: {error}", path.display()));
    let sealed = if saved.sealed { "sealed" } else { "active" };
    let promised = format!("{sealed}, offsets {} to {}", saved.base_offset, saved.end_offset - 1);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let row = Row::new(name, "segment", 0).content(promised);
            // An empty one is created again, a deleted one may go before the checkpoint knows.
            return Ok(match is_gone || saved.size == 0 {
                true => row.note("already deleted"),
                false => row.damaged("the file is missing"),
            });
        }
        Err(error) => return Err(fail(error)),
    };
    let size = file.metadata().map_err(fail)?.len();
    let row = Row::new(name, "segment", size).content(promised);
    if size < saved.size {
        return Ok(row.damaged(format!("it should have {} bytes", saved.size)));
    }
    if !verify {
        return Ok(row);
    }
    let (contents, end) = segments::walk(&file, id, saved.size).map_err(fail)?;
    if let Some((at, fault)) = end {
        return Ok(row.damaged(format!("at byte {at}: {fault}")));
    }
    if contents.base_offset.is_some() && contents.end_offset != saved.end_offset {
        return Ok(row.damaged(format!("its frames end at offset {}", contents.end_offset)));
    }
    Ok(row.content(format!("{sealed}, {}", segments::describe(&contents))))
}

/// Where the logs end that a start would have.
fn log_ends(states: &[Recovered]) -> BTreeMap<PartitionId, i64> {
    let partitions = states.iter().flat_map(|state| &state.partitions);
    let end = |found: &RecoveredPartition| match found.frames.last() {
        Some(last) => last.frame.last_offset + 1,
        None => found.base.flushed_end,
    };
    partitions.map(|(id, found)| (*id, end(found))).collect()
}

/// Segments that no checkpoint names yet (or any more), and all index files.
struct Rest<'a> {
    directory: &'a Path,
    image: Option<&'a Image>,
    named: BTreeSet<PathBuf>,
    ends: BTreeMap<PartitionId, i64>,
    verify: bool,
}

impl Rest<'_> {
    fn inspect(&self, rows: &mut Vec<Row>) -> Result<(), Failure> {
        let topics = self.directory.join("topics");
        for topic in list(&topics)? {
            for partition in list(&topics.join(&topic))? {
                for name in list(&topics.join(&topic).join(&partition))? {
                    let path = topics.join(&topic).join(&partition).join(&name);
                    let shown = path.strip_prefix(self.directory).unwrap_or(&path).display().to_string();
                    if name.ends_with(".idx") {
                        rows.push(files::index(&path, &shown)?);
                    } else if name.ends_with(".seg") && !self.named.contains(&path) {
                        rows.push(self.unnamed(&path, &shown)?);
                    }
                }
            }
        }
        Ok(())
    }

    /// A segment that is newer than the checkpoint, or was left behind: a start does not read it, the journal has its records.
    fn unnamed(&self, path: &Path, shown: &str) -> Result<Row, Failure> {
        let fail = |error: io::Error| Failure::failed(format!("cannot read {}: {error}", path.display()));
        let file = File::open(path).map_err(fail)?;
        let size = file.metadata().map_err(fail)?.len();
        let row = Row::new(shown, "segment", size);
        let known = identity_from_path(path).map(|(id, _)| id);
        let known = known.filter(|id| self.image.is_none_or(|image| image.owner(*id).is_some()));
        let Some(id) = known else {
            return Ok(row.content("of a deleted topic"));
        };
        if !self.verify {
            return Ok(row.content("newer than the checkpoint: the journal still has its records"));
        }
        // Its frames end where a crash cut them off; only what is intact counts.
        let (contents, _) = segments::walk(&file, id, size).map_err(fail)?;
        Ok(judge_unnamed(row, &contents, self.ends.get(&id).copied().unwrap_or(0)))
    }
}

/// What goes to a segment is durable in the journal before, so no segment holds more than the journal gives back.
fn judge_unnamed(row: Row, contents: &Contents, log_end: i64) -> Row {
    let row = row.content(format!("newer than the checkpoint: {}", segments::describe(contents)));
    match contents.base_offset {
        Some(_) if contents.end_offset > log_end => row.damaged(format!(
            "the journal ends at offset {log_end}: acknowledged records are only here, and a start would not read them"
        )),
        _ => row,
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;
    use crate::controller::quotas::{Part, QuotaKey};

    #[test]
    fn a_segment_with_records_that_the_journal_lost_is_damage() {
        let contents = Contents {
            batches: 2,
            base_offset: Some(100),
            end_offset: 120,
            valid_bytes: 4096,
        };
        let judged = |log_end| judge_unnamed(Row::new("x.seg", "segment", 4096), &contents, log_end);
        assert_eq!(judged(120).state, State::Ok);
        assert!(judged(120).content.contains("2 batches, offsets 100 to 119"));
        assert_eq!(judged(119).state, State::Damaged);
        let empty = judge_unnamed(Row::new("x.seg", "segment", 4096), &Contents::default(), 0);
        assert_eq!(empty.state, State::Ok);
    }

    #[test]
    fn quotas_and_credentials_are_listed_without_secrets() {
        let entity = QuotaEntity {
            user: Part::Named("ann".into()),
            client_id: Part::Default,
            ip: Part::Absent,
        };
        let values = QuotaValues::from([(QuotaKey::Produce, 1024.0), (QuotaKey::Request, 12.5)]);
        let text = quota_text((&entity, &values));
        assert_eq!(
            text,
            "user=ann,client-id=* producer_byte_rate=1024,request_percentage=12.5"
        );
        let credential = ScramCredential {
            iterations: 4096,
            salt: b"salt".to_vec(),
            stored_key: b"stored".to_vec(),
            server_key: b"server".to_vec(),
        };
        let texts = scram_texts((&"ann".to_string(), &BTreeMap::from([(Mechanism::Sha256, credential)])));
        assert_eq!(texts, ["ann SCRAM-SHA-256 4096 iterations"]);
    }
}

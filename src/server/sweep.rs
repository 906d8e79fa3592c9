//! At start: removes segment and index files that nothing needs any more: those that a failed flush or a crash left behind.
//!
//! Which these are is decidable once a shard is recovered, and only then. From a partition's flushed end on every record is in
//! memory and in the journal, and goes into new segments, whose creation replaces a file of that name; below it every record is
//! in a segment that the checkpoint names. So a file that the checkpoint does not name is never read again. Nor is a directory of a
//! topic that the metadata does not know: a kill came between a deletion and the removal of its files. Where the checkpoint
//! might not be the newest (a copy of it is damaged), says nothing of a partition, or where the metadata does not give the
//! partition to this shard, nothing is touched: after damage such files may be all that is left.

use super::recovery::RecoveredShard;
use crate::base::ids::{PartitionId, ShardId};
use crate::controller::image::Image;
use crate::jobs::UNFINISHED;
use crate::log::recovery::RecoveredPartition;
use crate::log::segment::{parse_file_name, partition_directory};
use std::collections::BTreeSet;
use std::path::Path;
use std::{fs, io};

/// Removes what no partition needs; how many files that were. A file that cannot be removed stays, with a line in the log.
pub fn sweep(data_dir: &Path, shards: &[RecoveredShard], image: &Image) -> usize {
    let mut removed = 0;
    for (number, shard) in (0..)
        .map(ShardId)
        .zip(shards)
        .filter(|(_, shard)| shard.checkpoint_sound)
    {
        for (id, found) in &shard.state.partitions {
            let is_known = found.base.flushed_end > 0 && found.broken.is_none();
            if !is_known || image.owner(*id) != Some(number) {
                continue;
            }
            match sweep_partition(data_dir, *id, found) {
                Ok(count) => removed += count,
                Err(error) => tracing::warn!("looking for unused files of {}: {error}", partition_directory(*id).0),
            }
        }
    }
    let all_sound = shards.iter().all(|shard| shard.checkpoint_sound);
    if all_sound && let Err(error) = sweep_topics(&data_dir.join("topics"), image, &mut removed) {
        tracing::warn!("looking for files of deleted topics: {error}");
    }
    if removed > 0 {
        tracing::info!(
            files = removed,
            "removed segment files that an earlier failure or crash had left behind"
        );
    }
    removed
}

/// Removes the directories of topics that are gone.
fn sweep_topics(directory: &Path, image: &Image, removed: &mut usize) -> io::Result<()> {
    let known: BTreeSet<String> = image.topics.values().map(|topic| topic.id.to_string()).collect();
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_ours = name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_ours && !known.contains(&name) {
            fs::remove_dir_all(entry.path())?;
            *removed += 1;
        }
    }
    Ok(())
}

fn sweep_partition(data_dir: &Path, id: PartitionId, found: &RecoveredPartition) -> io::Result<usize> {
    let entries = match fs::read_dir(data_dir.join(partition_directory(id).0)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let segments = found.base.segments.iter();
    let named: BTreeSet<(i64, Option<u64>)> = segments
        .map(|segment| (segment.base_offset, segment.compacted.then_some(segment.life)))
        .collect();
    let mut removed = 0;
    for entry in entries {
        let entry = entry?;
        if is_rubbish(&entry.file_name().to_string_lossy(), &named) {
            fs::remove_file(entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// A segment or index file that is not named, or one that compaction left unfinished: its name never comes again.
fn is_rubbish(name: &str, named: &BTreeSet<(i64, Option<u64>)>) -> bool {
    let unfinished = name.strip_suffix(UNFINISHED).and_then(parse_file_name);
    let is_unfinished = unfinished.is_some_and(|(_, life)| life.is_some());
    is_unfinished || parse_file_name(name).is_some_and(|which| !named.contains(&which))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::TopicId;
    use crate::controller::machine::{Controller, ControllerConfig};
    use crate::controller::record::MetaRecord;
    use crate::log::checkpoint::{PartitionCheckpoint, SegmentCheckpoint};
    use crate::log::recovery::Recovered;
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    const TOPIC: TopicId = TopicId([7; 16]);
    const FILES: [&str; 11] = [
        "00000000000000000000.seg",
        "00000000000000000000.idx",
        "00000000000000000100.seg",
        "00000000000000000250.seg",
        "00000000000000000250.idx",
        "00000000000000000300.seg",
        "00000000000000000300.seg.new",
        "notes.seg",
        "00000000000000000100-00000000000000aa.seg",
        "00000000000000000100-00000000000000bb.seg",
        "00000000000000000100-00000000000000cc.seg.new",
    ];

    /// A data directory with one partition, whose checkpoint names the segments 0 and 100, the latter as compacted in life aa, and the
    /// files above.
    struct Planted(PathBuf);

    impl Planted {
        fn new(name: &str) -> Planted {
            let path = std::env::temp_dir().join(format!("ringlog-sweep-{}-{name}", std::process::id()));
            let planted = Planted(path);
            fs::create_dir_all(planted.directory()).unwrap();
            for name in FILES {
                fs::write(planted.directory().join(name), b"x").unwrap();
            }
            planted
        }
        fn directory(&self) -> PathBuf {
            let id = PartitionId {
                topic: TOPIC,
                partition: 0,
            };
            self.0.join(partition_directory(id).0)
        }
        fn left(&self) -> Vec<String> {
            let names = fs::read_dir(self.directory()).unwrap();
            let mut names: Vec<_> = names
                .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
                .collect();
            names.sort();
            names
        }
    }

    impl Drop for Planted {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn shard() -> RecoveredShard {
        let segment = |base_offset, compacted| SegmentCheckpoint {
            base_offset,
            end_offset: base_offset + 100,
            size: 4096,
            life: 0xaa,
            compacted,
            ..Default::default()
        };
        let found = RecoveredPartition {
            base: PartitionCheckpoint {
                topic: TOPIC.0,
                flushed_end: 200,
                segments: vec![segment(0, false), segment(100, true)],
                ..Default::default()
            },
            ..Default::default()
        };
        let id = PartitionId {
            topic: TOPIC,
            partition: 0,
        };
        RecoveredShard {
            state: Recovered {
                partitions: BTreeMap::from([(id, found)]),
                ..Default::default()
            },
            files: Vec::new(),
            journal_file: None,
            checkpoint_sound: true,
        }
    }

    fn image(topic: TopicId) -> Image {
        let mut controller = Controller::new(Image::default(), ControllerConfig::default());
        controller.replay(&MetaRecord::TopicCreated {
            id: topic.0,
            name: "t".into(),
            shards: vec![0],
            overrides: Vec::new(),
        });
        Image::clone(&controller.image())
    }

    #[test]
    fn files_that_the_checkpoint_does_not_name_go_and_all_else_stays() {
        let planted = Planted::new("orphans");
        assert_eq!(sweep(&planted.0, &[shard()], &image(TOPIC)), 6);
        let left = [FILES[1], FILES[0], FILES[8], FILES[6], FILES[7]];
        assert_eq!(planted.left(), left);
        assert_eq!(sweep(&planted.0, &[shard()], &image(TOPIC)), 0);
    }

    #[test]
    fn a_deleted_topic_leaves_nothing_behind() {
        let planted = Planted::new("deleted");
        let other = image(TopicId([8; 16]));
        let mut doubtful = shard();
        doubtful.checkpoint_sound = false;
        assert_eq!(
            sweep(&planted.0, &[shard(), doubtful], &other),
            0,
            "the metadata may not be the newest"
        );
        assert_eq!(planted.left().len(), FILES.len());
        assert_eq!(sweep(&planted.0, &[shard()], &other), 1);
        assert!(!planted.directory().exists());
    }

    #[test]
    fn nothing_goes_where_the_checkpoint_may_not_tell_all() {
        let planted = Planted::new("doubt");
        let id = PartitionId {
            topic: TOPIC,
            partition: 0,
        };
        let changed = |change: fn(&mut RecoveredShard, PartitionId)| {
            let mut shard = shard();
            change(&mut shard, id);
            shard
        };
        let doubtful = [
            changed(|shard, _| shard.checkpoint_sound = false),
            changed(|shard, id| shard.state.partitions.get_mut(&id).unwrap().base = PartitionCheckpoint::default()),
            changed(|shard, id| shard.state.partitions.get_mut(&id).unwrap().broken = Some("gap".into())),
        ];
        for shard in doubtful {
            assert_eq!(sweep(&planted.0, &[shard], &image(TOPIC)), 0);
        }
        assert_eq!(planted.left().len(), FILES.len());
    }
}

//! Every job, crashed at every step, with three kinds of loss: the outcome is complete or absent.

use super::mem::{Cut, MemFiles};
use super::{Files, UNFINISHED, block_on_ready, run};
use crate::base::buf::BLOCK;
use crate::base::effect::{FilePath, Job, JobResult};
use crate::base::ids::FileId;
use bytes::Bytes;

const CUTS: [Cut; 3] = [Cut::LosesAll, Cut::KeepsAll, Cut::KeepsNames];

fn path(text: &str) -> FilePath {
    FilePath(text.to_owned())
}

fn write(name: &str, content: &'static [u8]) -> Job {
    Job::WriteFile {
        path: path(name),
        content: Bytes::from_static(content),
    }
}

/// Runs `before` fully, then `job` with ever more steps until it finishes, and shows `verify` the disk after each kind of cut:
/// (disk, whether the job reported success).
fn crash_everywhere(before: &[Job], job: &Job, verify: impl Fn(&MemFiles, bool)) {
    for steps in 0.. {
        let start = MemFiles::new(u32::MAX);
        for job in before {
            let result = block_on_ready(run(job, &start));
            assert!(!matches!(result, JobResult::Failed { .. }), "{job:?}: {result:?}");
        }
        let files = start.continued(steps);
        let result = block_on_ready(run(job, &files));
        let done = !matches!(result, JobResult::Failed { .. });
        for cut in CUTS {
            verify(&files.restarted(cut), done);
        }
        if done {
            assert!(steps > 2, "the crash points are counted");
            return;
        }
        assert!(files.stopped(), "fails only for want of steps: {result:?}");
    }
}

#[test]
fn write_file_is_the_old_or_the_new_content_after_any_crash() {
    crash_everywhere(
        &[write("shards/0/checkpoint.a", b"old")],
        &write("shards/0/checkpoint.a", b"new!"),
        |disk, done| {
            let content = disk.content("shards/0/checkpoint.a").expect("never absent");
            if done {
                assert_eq!(content, b"new!");
            } else {
                assert!(content == b"old" || content == b"new!", "{content:?}");
            }
        },
    );
}

#[test]
fn write_file_makes_its_directories_durable() {
    crash_everywhere(&[], &write("shards/3/checkpoint.b", b"first"), |disk, done| match disk
        .content("shards/3/checkpoint.b")
    {
        Some(content) => assert_eq!(content, b"first"),
        None => assert!(!done, "acknowledged, then lost"),
    });
}

#[test]
fn a_directory_that_another_job_has_not_flushed_yet_is_flushed_again() {
    // Another job made the directory and was stopped before it flushed the parent.
    let files = MemFiles::new(1);
    assert!(matches!(
        block_on_ready(run(&write("a/b", b"x"), &files)),
        JobResult::Failed { .. }
    ));
    assert!(files.has_dir("a"));
    let files = files.continued(u32::MAX);
    assert_eq!(block_on_ready(run(&write("a/c", b"y"), &files)), JobResult::Done);
    assert_eq!(
        files.restarted(Cut::LosesAll).content("a/c").as_deref(),
        Some(&b"y"[..])
    );
}

fn segment(name: &str) -> Job {
    Job::CreateSegment {
        file: FileId(7),
        path: path(name),
        bytes: 8 * BLOCK as u64,
        keep_free: 0,
    }
}

/// What `Effect::Sync` does for the shard.
fn sync(files: &MemFiles, file: FileId) {
    let handle = files.bound(file).expect("bound");
    assert_eq!(block_on_ready(files.flush(&handle)), Ok(()));
}

#[test]
fn a_segment_that_is_synced_survives_once_its_names_are_flushed() {
    let names = ["topics/t/0/a.seg", "topics/t/1/a.seg", "topics/u/0/a.seg"];
    let flush = Job::FlushNames {
        directories: ["topics/t/0", "topics/t/1", "topics/u/0"].map(path).to_vec(),
    };
    for steps in 0.. {
        let files = MemFiles::new(u32::MAX);
        for name in names {
            assert_eq!(block_on_ready(run(&segment(name), &files)), JobResult::Done);
            sync(&files, FileId(7));
        }
        let files = files.continued(steps);
        let done = block_on_ready(run(&flush, &files)) == JobResult::Done;
        for name in names {
            match files.restarted(Cut::LosesAll).content(name) {
                Some(content) => assert_eq!(content.len(), 8 * BLOCK),
                None => assert!(!done, "{name}: acknowledged, then lost"),
            }
        }
        if done {
            assert_eq!(
                steps, 7,
                "each of data directory, topics, two topics, three partitions once"
            );
            return;
        }
    }
}

#[test]
fn names_of_a_deleted_partition_need_no_flush() {
    let files = MemFiles::new(u32::MAX);
    assert_eq!(
        block_on_ready(run(&segment("topics/t/0/a.seg"), &files)),
        JobResult::Done
    );
    let directories = vec![path("topics/gone/0"), path("topics/t/0")];
    assert_eq!(
        block_on_ready(run(&Job::FlushNames { directories }, &files)),
        JobResult::Done
    );
    assert_eq!(files.restarted(Cut::LosesAll).names(), ["topics/t/0/a.seg"]);
}

#[test]
fn a_segment_replaces_one_of_its_name_as_a_whole() {
    let name = "topics/t/0/a.seg";
    crash_everywhere(&[write(name, b"old")], &segment(name), |disk, _| {
        let content = disk.content(name).expect("the old or the new one");
        assert!(
            content == b"old" || content.iter().all(|byte| *byte == 0),
            "{content:?}"
        );
    });
}

#[test]
fn a_journal_file_is_absent_or_fully_written_and_locked_when_handed_over() {
    let bytes = 3 * (1 << 20) / 2;
    let job = Job::PrepareJournal {
        file: FileId(1),
        path: path("shards/0/journal-1.jnl"),
        bytes,
        keep_free: 0,
    };
    crash_everywhere(&[], &job, |disk, done| match disk.content("shards/0/journal-1.jnl") {
        Some(content) => assert_eq!(content.len(), bytes as usize),
        None => assert!(!done, "acknowledged, then lost"),
    });
    let files = MemFiles::new(u32::MAX);
    assert_eq!(block_on_ready(run(&job, &files)), JobResult::Done);
    assert!(files.locked("shards/0/journal-1.jnl"));
}

#[test]
fn a_full_disk_is_reported_and_leaves_nothing_behind() {
    let files = MemFiles::new(u32::MAX);
    let job = Job::CreateSegment {
        file: FileId(7),
        path: path("topics/t/0/0.seg"),
        bytes: 1 << 40,
        keep_free: 0,
    };
    match block_on_ready(run(&job, &files)) {
        JobResult::Failed { errno, what } => {
            assert_eq!(errno, 28);
            assert!(what.contains("allocate topics/t/0/0.seg"), "{what}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(files.names(), Vec::<String>::new());
}

#[test]
fn what_is_to_stay_free_stays_free() {
    let files = MemFiles::new(u32::MAX);
    let JobResult::Space { free, .. } = block_on_ready(run(&Job::DiskSpace, &files)) else {
        panic!("space is told")
    };
    let create = |name: &str, bytes, keep_free| Job::CreateSegment {
        file: FileId(bytes),
        path: path(name),
        bytes,
        keep_free,
    };
    let refused = block_on_ready(run(&create("t/0.seg", free - 4096, 8192), &files));
    assert!(matches!(refused, JobResult::Failed { errno: 28, .. }), "{refused:?}");
    assert_eq!(
        block_on_ready(run(&create("t/1.seg", free - 8192, 8192), &files)),
        JobResult::Done
    );
    let extend = Job::Extend {
        file: FileId(free - 8192),
        path: path("t/1.seg"),
        to: free - 4096,
        more: 4096,
        keep_free: 8192,
    };
    assert!(matches!(
        block_on_ready(run(&extend, &files)),
        JobResult::Failed { errno: 28, .. }
    ));
}

#[test]
fn extend_and_truncate_work_on_the_bound_file_only() {
    let files = MemFiles::new(u32::MAX);
    let seg = path("t/0.seg");
    let extend = |to| Job::Extend {
        file: FileId(7),
        path: seg.clone(),
        to,
        more: 0,
        keep_free: 0,
    };
    assert!(matches!(
        block_on_ready(run(&extend(4096), &files)),
        JobResult::Failed { errno: 9, .. }
    ));
    let create = Job::CreateSegment {
        file: FileId(7),
        path: seg.clone(),
        bytes: 4096,
        keep_free: 0,
    };
    assert_eq!(block_on_ready(run(&create, &files)), JobResult::Done);
    assert_eq!(block_on_ready(run(&extend(3 * 4096), &files)), JobResult::Done);
    let directories = vec![path("t")];
    assert_eq!(
        block_on_ready(run(&Job::FlushNames { directories }, &files)),
        JobResult::Done
    );
    sync(&files, FileId(7));
    assert_eq!(
        files.restarted(Cut::LosesAll).content("t/0.seg").map(|c| c.len()),
        Some(3 * 4096)
    );
    let truncate = Job::Truncate {
        file: FileId(7),
        path: seg.clone(),
        to: 4096,
    };
    assert_eq!(block_on_ready(run(&truncate, &files)), JobResult::Done);
    assert_eq!(
        files.restarted(Cut::LosesAll).content("t/0.seg").map(|c| c.len()),
        Some(4096)
    );
}

#[test]
fn delete_tolerates_what_is_missing_and_survives_the_cut() {
    let files = MemFiles::new(u32::MAX);
    for name in ["topics/t/0/a.seg", "topics/t/0/a.idx", "topics/t/1/b.seg"] {
        assert_eq!(block_on_ready(run(&write(name, b"x"), &files)), JobResult::Done);
    }
    let job = Job::DeleteFiles {
        files: vec![
            path("topics/t/0/a.seg"),
            path("topics/t/0/gone.seg"),
            path("topics/t/0/a.idx"),
        ],
        directories: vec![path("topics/t/0"), path("topics/t")],
    };
    assert_eq!(block_on_ready(run(&job, &files)), JobResult::Done);
    let after = files.restarted(Cut::LosesAll);
    assert_eq!(
        after.names(),
        ["topics/t/1/b.seg"],
        "the other partition stays, and so does its topic"
    );
    assert!(!after.has_dir("topics/t/0"));
    assert!(after.has_dir("topics/t"));
    // The directory comes back for a new partition of the same name.
    assert_eq!(
        block_on_ready(run(&write("topics/t/0/c.seg", b"y"), &files)),
        JobResult::Done
    );
    assert_eq!(
        files.restarted(Cut::LosesAll).content("topics/t/0/c.seg").as_deref(),
        Some(&b"y"[..])
    );
}

#[test]
fn read_file_tells_missing_from_empty() {
    let files = MemFiles::new(u32::MAX);
    let read = Job::ReadFile { path: path("meta") };
    assert!(matches!(
        block_on_ready(run(&read, &files)),
        JobResult::Failed { errno: 2, .. }
    ));
    assert_eq!(block_on_ready(run(&write("meta", b""), &files)), JobResult::Done);
    assert_eq!(block_on_ready(run(&read, &files)), JobResult::Content(Bytes::new()));
    assert_eq!(block_on_ready(run(&write("meta", b"hello"), &files)), JobResult::Done);
    assert_eq!(
        block_on_ready(run(&read, &files)),
        JobResult::Content(Bytes::from_static(b"hello"))
    );
    assert!(files.names().iter().all(|name| !name.ends_with(UNFINISHED)));
}

#[test]
fn disk_space_is_told() {
    let files = MemFiles::new(u32::MAX);
    assert!(
        matches!(block_on_ready(run(&Job::DiskSpace, &files)), JobResult::Space { free, total } if free == total && free > 0)
    );
}

/// Compaction of two segments with the values 1 and 2 of the same key.
mod compaction {
    use super::*;
    use crate::base::compaction::{Compaction, SourceSegment};
    use crate::base::ids::{PartitionId, TopicId};
    use crate::log::frame::{Frame, FrameKind, encode_header, pad_len, payload_crc, write_pad};
    use crate::log::segment::{compacted_paths, read_stretch};
    use crate::wire::batch::BatchBuilder;

    const PART: PartitionId = PartitionId {
        topic: TopicId([7; 16]),
        partition: 0,
    };
    const OLD: [&str; 2] = ["topics/07/0/0.seg", "topics/07/0/1.seg"];

    fn directory() -> String {
        crate::log::segment::partition_directory(PART).0
    }

    fn old(name: &str) -> String {
        name.replace("topics/07/0", &directory())
    }

    /// A segment with one batch of one record at `offset`.
    fn content(offset: i64, value: &[u8]) -> Bytes {
        let mut builder = BatchBuilder::new().at(offset, 0);
        builder.append(5, Some(b"key"), Some(value), &[]);
        let batch = builder.build().expect("builds");
        let frame = Frame {
            kind: FrameKind::Batch,
            partition: PART,
            leader_epoch: 0,
            base_offset: offset,
            last_offset: offset,
            max_timestamp: 5,
            payload_len: batch.len() as u32,
            payload_crc: payload_crc(FrameKind::Batch, &batch),
            prev_crc: 0,
            header_crc: 0,
        };
        let mut bytes = [&encode_header(&frame, &batch).0[..], &batch].concat();
        let used = bytes.len();
        bytes.resize(used + pad_len(used), 0);
        write_pad(&mut bytes[used..], PART, offset + 1);
        bytes.into()
    }

    fn before() -> Vec<Job> {
        let contents = [content(0, b"1"), content(1, b"2")];
        let files = OLD.iter().zip(contents);
        files
            .map(|(name, content)| Job::WriteFile {
                path: path(&old(name)),
                content,
            })
            .collect()
    }

    fn job(keep_free: u64) -> Job {
        let source = |offset: i64, name: &str| SourceSegment {
            path: path(&old(name)),
            base_offset: offset,
            end_offset: offset + 1,
            size: BLOCK as u64,
        };
        let sources = vec![source(0, OLD[0]), source(1, OLD[1])];
        Job::Compact(Box::new(Compaction {
            partition: PART,
            dirty: sources.clone(),
            map_from: 0,
            map_to: 2,
            sources,
            life: 9,
            map_bytes: 1 << 16,
            chunk_bytes: BLOCK,
            segment_bytes: 1 << 20,
            now_ms: 0,
            delete_retention_ms: 0,
            producers: Vec::new(),
            keep_free,
            bytes_per_second: 0,
        }))
    }

    /// Offsets and values in the new segment.
    fn records(bytes: Vec<u8>) -> Vec<(i64, Vec<u8>)> {
        let stretch = read_stretch(PART, &Bytes::from(bytes), 0, 0, Some(0));
        assert_eq!(stretch.fault, None);
        let found = stretch.frames.iter().map(|stored| {
            let last = stored.batch.len() - 2; // the value's last byte, then the number of headers
            (stored.frame.last_offset, vec![stored.batch[last]])
        });
        found.collect()
    }

    #[test]
    fn a_crash_leaves_the_old_segments_and_success_the_new_one_too() {
        let [new, index] = compacted_paths(PART, 0, 9).map(|path| path.0);
        crash_everywhere(&before(), &job(0), |disk, done| {
            for (name, content) in OLD.iter().zip([content(0, b"1"), content(1, b"2")]) {
                assert_eq!(disk.content(&old(name)).as_deref(), Some(&content[..]), "untouched");
            }
            if done {
                let made = disk.content(&new).expect("durable before success is told");
                assert_eq!(records(made), [(1, b"2".to_vec())]);
            }
            // An index is a cache: torn or absent, but only ever under its own name.
            let known = [&new, &index].map(|name| [name.clone(), format!("{name}{UNFINISHED}")]);
            let known: Vec<String> = known.into_iter().flatten().chain(OLD.map(old)).collect();
            assert!(
                disk.names().iter().all(|name| known.contains(name)),
                "{:?}",
                disk.names()
            );
        });
    }

    #[test]
    fn what_it_made_in_vain_is_removed() {
        let untouched: Vec<String> = OLD.map(old).to_vec();
        let files = MemFiles::new(u32::MAX);
        before().iter().for_each(|job| drop(block_on_ready(run(job, &files))));
        let full = block_on_ready(run(&job(1 << 40), &files));
        assert!(matches!(full, JobResult::Failed { errno: 28, .. }), "{full:?}");
        files.stopping.set(true);
        let stopped = block_on_ready(run(&job(0), &files));
        assert!(matches!(stopped, JobResult::Failed { errno: 125, .. }), "{stopped:?}");
        files.stopping.set(false);
        let handle = block_on_ready(files.open(&path(&untouched[1]))).expect("is there");
        let mut rotten = content(1, b"2").to_vec();
        rotten[90] ^= 1;
        assert_eq!(block_on_ready(files.write_at(&handle, 0, rotten.into())), Ok(()));
        match block_on_ready(run(&job(0), &files)) {
            JobResult::Failed { errno: 117, what } => assert!(what.contains(&untouched[1]), "{what}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(files.names(), untouched);
    }
}

//! Jobs on a real disk.

use super::*;
use crate::base::effect::{FilePath, Job, JobResult};
use crate::base::ids::{FileId, JobKey, ShardId};
use crate::reactor::{JobRequest, Mailbox, Note, ShardHandle, Waker, mailbox};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

type Answer = (JobResult, Option<(FileId, Arc<OwnedFd>)>);

struct Plane {
    background: Background,
    handle: ShardHandle,
    mailbox: Mailbox,
    dir: PathBuf,
    next: u64,
    answers: BTreeMap<u64, Answer>,
}

impl Drop for Plane {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

impl Plane {
    fn new() -> Plane {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "background-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("target/test-data")
            .join(name);
        std::fs::create_dir_all(&dir).expect("folder");
        let config = BackgroundConfig {
            data_dir: dir.clone(),
            cpu: None,
        };
        let background = start(config).expect("background plane");
        let (handle, mailbox) = mailbox(ShardId(0), Arc::new(Waker::new().expect("eventfd")));
        Plane {
            background,
            handle,
            mailbox,
            dir,
            next: 0,
            answers: BTreeMap::new(),
        }
    }

    fn submit(&mut self, job: Job, file: Option<Arc<OwnedFd>>) -> u64 {
        self.next += 1;
        self.background.runner().submit(JobRequest {
            reply: self.handle.clone(),
            key: JobKey(self.next),
            job,
            file,
        });
        self.next
    }

    fn answer(&mut self, key: u64) -> Answer {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(answer) = self.answers.remove(&key) {
                return answer;
            }
            for note in self.mailbox.take() {
                let Note::JobDone { key, result, file } = note else {
                    panic!("only jobs are answered here")
                };
                self.answers.insert(key.0, (result, file));
            }
            assert!(Instant::now() < until, "no answer");
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    fn run(&mut self, job: Job) -> Answer {
        let key = self.submit(job, None);
        self.answer(key)
    }

    fn names(&self, dir: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.join(dir)).expect("directory");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

fn path(text: &str) -> FilePath {
    FilePath(text.into())
}

fn opened(answer: Answer, id: u64) -> Arc<OwnedFd> {
    let (result, file) = answer;
    assert_eq!(result, JobResult::Done);
    let (bound, fd) = file.expect("an open file");
    assert_eq!(bound, FileId(id));
    // SAFETY: no memory involved.
    let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) };
    assert_ne!(flags & libc::O_DIRECT, 0, "direct mode is part of what is handed over");
    fd
}

#[test]
fn a_small_file_is_written_read_and_replaced() {
    let mut plane = Plane::new();
    let read = Job::ReadFile {
        path: path("shards/0/checkpoint.a"),
    };
    assert!(matches!(plane.run(read.clone()).0, JobResult::Failed { errno: 2, .. }));
    for content in [&b"first"[..], &[7; 10_000], b"", b"last"] {
        let content = Bytes::copy_from_slice(content);
        let write = Job::WriteFile {
            path: path("shards/0/checkpoint.a"),
            content: content.clone(),
        };
        assert_eq!(plane.run(write).0, JobResult::Done);
        assert_eq!(plane.run(read.clone()).0, JobResult::Content(content));
        assert_eq!(plane.names("shards/0"), ["checkpoint.a"]);
    }
}

#[test]
fn a_segment_lives_from_creation_to_deletion() {
    let mut plane = Plane::new();
    let name = "topics/abc/0/00000000000000000000.seg";
    let create = Job::CreateSegment {
        file: FileId(5),
        path: path(name),
        bytes: 1 << 20,
        keep_free: 0,
    };
    let fd = opened(plane.run(create), 5);
    let on_disk = plane.dir.join(name);
    assert_eq!(std::fs::metadata(&on_disk).expect("segment").len(), 1 << 20);
    let extend = Job::Extend {
        file: FileId(5),
        path: path(name),
        to: 3 << 20,
        more: 0,
        keep_free: 0,
    };
    let key = plane.submit(extend, Some(fd.clone()));
    assert_eq!(plane.answer(key).0, JobResult::Done);
    assert_eq!(std::fs::metadata(&on_disk).expect("segment").len(), 3 << 20);
    let truncate = Job::Truncate {
        file: FileId(5),
        path: path(name),
        to: 8192,
    };
    let key = plane.submit(truncate, Some(fd.clone()));
    assert_eq!(plane.answer(key).0, JobResult::Done);
    assert_eq!(std::fs::metadata(&on_disk).expect("segment").len(), 8192);
    let again = opened(
        plane.run(Job::Open {
            file: FileId(6),
            path: path(name),
        }),
        6,
    );
    let delete = Job::DeleteFiles {
        files: vec![path(name), path("topics/abc/0/missing.idx")],
        directories: vec![path("topics/abc/0"), path("topics/abc")],
    };
    assert_eq!(plane.run(delete).0, JobResult::Done);
    assert_eq!(plane.names("topics"), Vec::<String>::new());
    assert_eq!(
        File::from(again.try_clone().expect("clone"))
            .metadata()
            .expect("open file")
            .len(),
        8192,
        "readers go on"
    );
    plane.background.runner().retire(fd);
}

#[test]
fn a_journal_file_is_written_with_zeros_and_locked() {
    let mut plane = Plane::new();
    let bytes = (5 << 20) + 4096;
    let prepare = Job::PrepareJournal {
        file: FileId(1),
        path: path("shards/0/journal-1.jnl"),
        bytes,
        keep_free: 0,
    };
    let fd = opened(plane.run(prepare), 1);
    let on_disk = File::open(plane.dir.join("shards/0/journal-1.jnl")).expect("journal");
    assert_eq!(on_disk.metadata().expect("metadata").len(), bytes);
    assert!(on_disk.try_lock().is_err(), "locked as long as the shard has it open");
    let mut end = [1; 4096];
    on_disk
        .read_exact_at(&mut end, bytes - 4096)
        .expect("written to its end");
    assert_eq!(end, [0; 4096]);
    drop(fd);
    assert!(on_disk.try_lock().is_ok());
}

#[test]
fn many_jobs_at_once_are_all_answered_and_those_of_one_path_in_order() {
    let mut plane = Plane::new();
    let segments: Vec<u64> = (0..200)
        .map(|n| {
            let create = Job::CreateSegment {
                file: FileId(n),
                path: path(&format!("topics/t/{n}/0.seg")),
                bytes: 64 << 10,
                keep_free: 0,
            };
            plane.submit(create, None)
        })
        .collect();
    let writes: Vec<u64> = (0..20u8)
        .map(|n| {
            let write = Job::WriteFile {
                path: path("shards/0/checkpoint.a"),
                content: Bytes::from(vec![n; 100]),
            };
            plane.submit(write, None)
        })
        .collect();
    for (n, key) in segments.into_iter().enumerate() {
        let answer = plane.answer(key);
        opened(answer, n as u64);
    }
    for key in writes {
        assert_eq!(plane.answer(key).0, JobResult::Done);
    }
    let read = plane.run(Job::ReadFile {
        path: path("shards/0/checkpoint.a"),
    });
    assert_eq!(read.0, JobResult::Content(Bytes::from(vec![19; 100])));
    assert_eq!(plane.names("topics/t").len(), 200);
}

#[test]
fn space_that_cannot_be_had_is_enospc_and_leaves_nothing() {
    let mut plane = Plane::new();
    let JobResult::Space { free, total } = plane.run(Job::DiskSpace).0 else {
        panic!("space is told")
    };
    assert!(free > 0 && free < total);
    let create = Job::CreateSegment {
        file: FileId(1),
        path: path("t/0.seg"),
        bytes: (total + (1 << 30)) & !4095,
        keep_free: 0,
    };
    match plane.run(create).0 {
        // Beyond what one file may have (EFBIG) on a huge file system.
        JobResult::Failed { errno, what } => {
            assert!(errno == libc::ENOSPC || errno == libc::EFBIG, "{errno}");
            assert!(what.starts_with("allocate t/0.seg"), "{what}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(plane.names("t"), Vec::<String>::new());
}

#[test]
fn idle_costs_nothing_and_a_job_after_a_pause_is_prompt() {
    let mut plane = Plane::new();
    for _ in 0..3 {
        plane.run(Job::DiskSpace);
        std::thread::sleep(Duration::from_millis(30));
    }
    let thread = thread_named("background").expect("thread");
    let (before, began) = (switches(&thread), Instant::now());
    std::thread::sleep(Duration::from_millis(300));
    let switched = switches(&thread) - before;
    assert!(
        switched <= 2,
        "{switched} wake-ups in {:?} without work",
        began.elapsed()
    );
    plane.run(Job::DiskSpace);
}

#[test]
fn a_file_system_in_memory_is_refused_with_the_remedy() {
    let dir = PathBuf::from(format!("/dev/shm/ringlog-test-{}", std::process::id()));
    if std::fs::create_dir_all(&dir).is_err() {
        return;
    }
    let refused = start(BackgroundConfig {
        data_dir: dir.clone(),
        cpu: None,
    });
    let _ = std::fs::remove_dir_all(&dir);
    let refusal = refused.err().expect("tmpfs is refused");
    assert!(refusal.remedy.contains("ext4 or xfs"), "{refusal}");
}

#[test]
fn a_data_directory_that_is_not_there_is_refused() {
    let refused = start(BackgroundConfig {
        data_dir: "/nowhere/at/all".into(),
        cpu: None,
    });
    assert!(
        refused
            .err()
            .is_some_and(|refusal| refusal.cause.contains("/nowhere/at/all"))
    );
}

/// Folders in /proc of all threads of this name.
fn thread_named(name: &str) -> Option<Vec<PathBuf>> {
    let tasks = std::fs::read_dir("/proc/self/task").ok()?;
    let named = |path: &PathBuf| std::fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.trim() == name);
    Some(
        tasks
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(named)
            .collect(),
    )
}

/// Fewest voluntary context switches of these threads: other tests have background threads too.
fn switches(threads: &[PathBuf]) -> u64 {
    let of = |path: &PathBuf| {
        let status = std::fs::read_to_string(path.join("status")).ok()?;
        let line = status
            .lines()
            .find(|line| line.starts_with("voluntary_ctxt_switches"))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    threads.iter().filter_map(of).min().unwrap_or(0)
}

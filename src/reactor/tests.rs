//! The reactor with a toy machine, real sockets, real files, real threads.

use super::toy::{JOURNAL, Toy};
use super::*;
use crate::base::buf::BLOCK;
use crate::base::effect::{FilePath, Job, JobResult};
use crate::base::ids::{FileId, ShardId};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const JOURNAL_BYTES: u64 = 16 << 20;

/// A folder that goes away with the test, below the build folder: temporary folders are often on tmpfs.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "reactor-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("target/test-data")
            .join(name);
        std::fs::create_dir_all(&path).expect("folder");
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A background plane that answers at once.
#[derive(Default)]
struct InlineJobs {
    retired: AtomicUsize,
    open_next: std::sync::Mutex<Option<Arc<OwnedFd>>>,
}

impl JobRunner for InlineJobs {
    fn submit(&self, request: JobRequest) {
        let file = match &request.job {
            Job::Open { file, .. } => self.open_next.lock().expect("lock").take().map(|open| (*file, open)),
            _ => None,
        };
        let result = match (&request.job, &request.file) {
            (Job::Truncate { .. }, Some(_)) | (Job::Open { .. }, _) => JobResult::Done,
            (Job::Truncate { .. }, None) => JobResult::Failed {
                errno: 9,
                what: "no file".into(),
            },
            _ => JobResult::Space { free: 1, total: 2 },
        };
        request.reply.post(Note::JobDone {
            key: request.key,
            result,
            file,
        });
    }
    fn retire(&self, file: Arc<OwnedFd>) {
        self.retired.fetch_add(1, Ordering::Relaxed);
        drop(file);
    }
}

fn journal_file(folder: &Folder, shard: usize) -> (PathBuf, File) {
    let path = folder.0.join(format!("journal-{shard}"));
    std::fs::write(&path, vec![0; JOURNAL_BYTES as usize]).expect("journal");
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_DIRECT)
        .open(&path)
        .expect("O_DIRECT");
    (path, file)
}

struct Node {
    addr: SocketAddr,
    handles: Vec<ShardHandle>,
    threads: Vec<JoinHandle<(Exit, Toy)>>,
    journals: Vec<PathBuf>,
    jobs: Arc<InlineJobs>,
    _folder: Folder,
}

fn start(shards: u16, tuning: &Tuning, make: impl Fn(u16, Clock) -> Toy) -> Node {
    start_behind(Gate::new(1000, 1000, 1000), shards, tuning, make)
}

fn start_behind(gate: Arc<Gate>, shards: u16, tuning: &Tuning, make: impl Fn(u16, Clock) -> Toy) -> Node {
    let next = AtomicUsize::new(0);
    start_with(gate, shards, tuning, make, |folder| {
        journal_file(folder, next.fetch_add(1, Ordering::Relaxed)).1
    })
}

fn start_with(
    gate: Arc<Gate>,
    shards: u16,
    tuning: &Tuning,
    make: impl Fn(u16, Clock) -> Toy,
    journal: impl Fn(&Folder) -> File,
) -> Node {
    let folder = Folder::new();
    let jobs = Arc::new(InlineJobs::default());
    let (addr, listeners) = listen("127.0.0.1:0".parse().expect("address"), shards as usize).expect("listen");
    let clock = Clock::start();
    let mut node = Node {
        addr,
        handles: Vec::new(),
        threads: Vec::new(),
        journals: Vec::new(),
        jobs: jobs.clone(),
        _folder: folder,
    };
    let ports = mesh(shards, 4).expect("mesh");
    for (index, (port, listener)) in ports.into_iter().zip(listeners).enumerate() {
        let file = journal(&node._folder);
        let (handle, mailbox) = mailbox(ShardId(index as u16), port.waker());
        let config = ReactorConfig {
            tuning: tuning.clone(),
            clock,
            listeners: vec![listener],
            gate: gate.clone(),
            files: vec![(JOURNAL, Arc::new(file.into()))],
            port,
            mailbox,
            jobs: jobs.clone(),
        };
        let toy = make(index as u16, clock);
        node.handles.push(handle);
        node.journals.push(node._folder.0.join(format!("journal-{index}")));
        node.threads
            .push(std::thread::spawn(move || run_shard(config, toy).expect("ring")));
    }
    node
}

impl Node {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.addr).expect("connect");
        stream.set_nodelay(true).expect("option");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("option");
        stream
    }

    fn end(self, note: fn() -> Note) -> Vec<(Exit, Toy)> {
        self.handles.iter().for_each(|handle| handle.post(note()));
        self.threads
            .into_iter()
            .map(|thread| thread.join().expect("shard"))
            .collect()
    }
}

fn frame(to: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32 + 1).to_be_bytes().to_vec();
    bytes.push(to);
    bytes.extend_from_slice(payload);
    bytes
}

fn answer(stream: &mut TcpStream) -> Vec<u8> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).expect("head of an answer");
    let mut payload = vec![0; u32::from_be_bytes(head) as usize];
    stream.read_exact(&mut payload).expect("payload of an answer");
    payload
}

fn payload(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..len).map(next).collect()
}

#[test]
fn an_echo_is_on_disk_when_it_arrives() {
    let node = start(1, &Tuning::default(), |id, _| Toy::new(id, JOURNAL_BYTES));
    let mut stream = node.connect();
    for n in 0..20u64 {
        let sent = payload(n, 100 + n as usize * 997);
        stream.write_all(&frame(0, &sent)).expect("write");
        assert_eq!(answer(&mut stream), sent);
        let disk = std::fs::read(&node.journals[0]).expect("journal");
        assert!(
            disk.windows(sent.len()).step_by(BLOCK).any(|window| window == sent),
            "acknowledged but not on disk"
        );
    }
    let ended = node.end(|| Note::Drain);
    assert_eq!(ended[0].0, Exit::Drained);
}

/// Many clients, each with several frames under way, spread over the shards; checks every byte that comes back.
fn exchange(shards: u16, clients: usize, frames: usize, size: usize, tuning: &Tuning) -> Vec<(Exit, Toy)> {
    let node = start(shards, tuning, |id, _| Toy::new(id, JOURNAL_BYTES));
    let threads: Vec<_> = (0..clients)
        .map(|client| {
            let (mut stream, mut writer) = (node.connect(), None);
            writer.replace(stream.try_clone().expect("clone"));
            std::thread::spawn(move || {
                let mut writer = writer.expect("writer");
                let sent = move |n: usize| payload((client * 1000 + n) as u64, 1 + (n * 7919) % size);
                let send = std::thread::spawn(move || {
                    for n in 0..frames {
                        let to = ((client + n) % shards as usize) as u8;
                        writer.write_all(&frame(to, &sent(n))).expect("write");
                    }
                });
                for n in 0..frames {
                    assert_eq!(answer(&mut stream), sent(n), "client {client} frame {n}");
                }
                send.join().expect("sender");
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().expect("client"));
    node.end(|| Note::Drain)
}

#[test]
fn many_connections_with_small_frames() {
    let mut ended = exchange(1, 64, 50, 2000, &Tuning::default());
    let (exit, toy) = &mut ended[0];
    assert_eq!(*exit, Exit::Drained);
    let metrics = toy.metrics();
    assert_eq!(metrics.accepted, 64);
    assert!(metrics.busy_ns > 0 && metrics.rounds > 0 && metrics.events > 64 * 3);
}

#[test]
fn large_frames_go_around_the_ring_buffers_and_short_sends_go_on() {
    exchange(1, 4, 12, 3 << 20, &Tuning::default());
}

#[test]
fn shards_exchange_messages_through_queues_of_four() {
    for shards in [2, 4] {
        let mut ended = exchange(shards, 16, 60, 3000, &Tuning::default());
        let hops: u64 = ended.iter_mut().map(|(_, toy)| toy.metrics().hops).sum();
        assert!(hops > 0, "connections are spread over shards, frames too");
    }
}

#[test]
fn shards_exchange_messages_while_they_spin() {
    let tuning = Tuning {
        spin_max: Duration::from_micros(50),
        ..Tuning::default()
    };
    exchange(2, 8, 60, 300, &tuning);
}

#[test]
fn receives_wait_for_buffers_and_go_on_when_they_come_back() {
    let tuning = Tuning {
        recv_buffers: 2,
        recv_buffer_bytes: 4096,
        submissions: 4,
        completions: 8,
        events_per_round: 3,
        ..Tuning::default()
    };
    exchange(1, 24, 40, 900, &tuning);
    exchange(2, 24, 40, 900, &tuning);
}

#[test]
fn a_connection_that_breaks_in_the_middle_harms_nobody() {
    let node = start(1, &Tuning::default(), |id, _| Toy::new(id, JOURNAL_BYTES));
    let mut good = node.connect();
    for n in 0..50u64 {
        let mut bad = node.connect();
        let whole = frame(0, &payload(n, 200_000));
        bad.write_all(&whole[..if n % 3 == 0 { 2 } else { 100_000 }])
            .expect("write");
        if n % 2 == 0 {
            // Unread answers and pending bytes at once: the kernel resets the connection.
            bad.write_all(&whole[..1000]).expect("write");
        }
        bad.shutdown(if n % 5 == 0 { Shutdown::Write } else { Shutdown::Both })
            .expect("shutdown");
        drop(bad);
        good.write_all(&frame(0, b"still there?")).expect("write");
        assert_eq!(answer(&mut good), b"still there?");
    }
    let (give, take) = mpsc::channel();
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let give = give.clone();
        node.handles[0].snapshot(move |metrics| drop(give.send(metrics)));
        let metrics = take.recv().expect("snapshot");
        if metrics.connections == 1 {
            assert_eq!(metrics.accepted, 51);
            break;
        }
        assert!(Instant::now() < until, "{} connections left", metrics.connections);
        std::thread::sleep(Duration::from_millis(10));
    }
    node.end(|| Note::Stop);
}

#[test]
fn more_connections_than_allowed_are_closed_at_once() {
    // The limit is the node's: two shards share it however the kernel spreads the connections.
    let node = start_behind(Gate::new(2, 1000, 1000), 2, &Tuning::default(), |id, _| {
        Toy::new(id, JOURNAL_BYTES)
    });
    let mut open: Vec<TcpStream> = (0..2).map(|_| node.connect()).collect();
    for stream in &mut open {
        stream.write_all(&frame(0, b"hi")).expect("write");
        assert_eq!(answer(stream), b"hi");
    }
    let mut third = node.connect();
    assert_eq!(third.read(&mut [0; 1]).expect("end of stream"), 0);
    drop(open.pop());
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let mut next = node.connect();
        let _ = next.write_all(&frame(0, b"hi"));
        if matches!(next.read(&mut [0; 1]), Ok(1)) {
            break;
        }
        assert!(
            Instant::now() < until,
            "the place of the closed connection is free again"
        );
    }
    let ended = node.end(|| Note::Stop);
    let refused = ended.into_iter().map(|(_, mut toy)| toy.metrics().refused);
    assert!(refused.sum::<u64>() >= 1);
}

#[test]
fn reads_and_flushes_reach_the_file_and_end_at_its_end() {
    let node = start(1, &Tuning::default(), |id, _| {
        let mut toy = Toy::new(id, JOURNAL_BYTES);
        toy.paranoid = true;
        toy
    });
    let mut stream = node.connect();
    // The last block of the file: the read behind it finds the end.
    for _ in 0..JOURNAL_BYTES / (1 << 20) {
        stream.write_all(&frame(0, &payload(1, 1 << 20))).expect("write");
        answer(&mut stream);
    }
    std::thread::sleep(Duration::from_millis(100));
    let ended = node.end(|| Note::Drain);
    let toy = &ended[0].1;
    assert_eq!(toy.synced, 16);
    assert_eq!(toy.reads.len(), 16);
    let last = toy.reads.last().expect("reads").as_ref().expect("read");
    assert_eq!(last.len(), BLOCK, "short at the end of the file");
    assert!(
        toy.reads
            .iter()
            .all(|read| read.as_ref().is_ok_and(|data| !data.is_empty()))
    );
}

#[test]
fn a_failed_journal_write_is_told_and_nothing_is_acknowledged() {
    let tuning = Tuning::default();
    let read_only = |folder: &Folder| {
        let (path, _) = journal_file(folder, 0);
        OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_DIRECT)
            .open(path)
            .expect("open")
    };
    let node = start_with(
        Gate::new(9, 9, 9),
        1,
        &tuning,
        |id, _| Toy::new(id, JOURNAL_BYTES),
        read_only,
    );
    let mut stream = node.connect();
    stream.write_all(&frame(0, b"lost")).expect("write");
    assert!(
        matches!(stream.read(&mut [0; 1]), Ok(0) | Err(_)),
        "the toy closes the connection on a failed write"
    );
    node.end(|| Note::Drain);
}

#[test]
fn a_file_from_a_job_is_known_from_then_on_and_closed_elsewhere() {
    let node = start_with(
        Gate::new(9, 9, 9),
        1,
        &Tuning::default(),
        |id, _| Toy::opening(id, JOURNAL_BYTES),
        |folder| {
            let other = folder.0.join("other");
            File::create(other).expect("unused")
        },
    );
    let (_, journal) = journal_file(&node._folder, 1);
    *node.jobs.open_next.lock().expect("lock") = Some(Arc::new(journal.into()));
    let mut stream = node.connect();
    stream.write_all(&frame(0, b"through the new file")).expect("write");
    assert_eq!(answer(&mut stream), b"through the new file");
    let jobs = node.jobs.clone();
    node.end(|| Note::Drain);
    assert_eq!(jobs.retired.load(Ordering::Relaxed), 1, "the old journal");
}

#[test]
fn jobs_are_answered_and_files_handed_over() {
    let seg = FilePath("t/0.seg".into());
    let node = start(1, &Tuning::default(), |id, _| {
        Toy::new(id, JOURNAL_BYTES).with_jobs(vec![
            Job::DiskSpace,
            Job::Truncate {
                file: JOURNAL,
                path: seg.clone(),
                to: 0,
            },
            Job::Truncate {
                file: FileId(99),
                path: seg.clone(),
                to: 0,
            },
        ])
    });
    let mut stream = node.connect();
    stream.write_all(&frame(0, b"hi")).expect("write");
    answer(&mut stream);
    let ended = node.end(|| Note::Drain);
    let [space, truncated, missing] = &ended[0].1.jobs_done[..] else {
        panic!("three jobs: {:?}", ended[0].1.jobs_done)
    };
    assert_eq!(*space, JobResult::Space { free: 1, total: 2 });
    assert_eq!(*truncated, JobResult::Done);
    assert!(matches!(missing, JobResult::Failed { errno: 9, .. }));
}

#[test]
fn a_deadline_ticks_once_and_an_idle_shard_sleeps() {
    let node = start(1, &Tuning::default(), |id, clock| {
        let mut toy = Toy::new(id, JOURNAL_BYTES);
        toy.deadline = Some(clock.mono_ns() + 30_000_000);
        toy
    });
    std::thread::sleep(Duration::from_millis(300));
    let mut ended = node.end(|| Note::Stop);
    let (exit, toy) = &mut ended[0];
    assert_eq!(*exit, Exit::Stopped);
    assert_eq!(toy.ticks, 1);
    assert_eq!(toy.metrics().events, 1, "nothing else happened");
}

#[test]
fn a_fatal_machine_ends_its_shard_with_the_reason() {
    let mut node = start(1, &Tuning::default(), |id, _| Toy::new(id, JOURNAL_BYTES));
    let mut stream = node.connect();
    stream.write_all(&frame(0, b"boom")).expect("write");
    let (exit, _) = node.threads.remove(0).join().expect("shard");
    assert_eq!(exit, Exit::Fatal("boom".into()));
    assert!(
        matches!(stream.read(&mut [0; 1]), Ok(0) | Err(_)),
        "the socket is closed, nothing is acknowledged"
    );
}

#[test]
fn draining_refuses_new_connections_and_finishes_old_requests() {
    let node = start(2, &Tuning::default(), |id, _| Toy::new(id, JOURNAL_BYTES));
    let mut stream = node.connect();
    for n in 0..50u64 {
        stream
            .write_all(&frame((n % 2) as u8, &payload(n, 5000)))
            .expect("write");
        answer(&mut stream);
    }
    let began = Instant::now();
    let ended = node.end(|| Note::Drain);
    assert!(ended.iter().all(|(exit, _)| *exit == Exit::Drained));
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "nothing was left that could hold it up"
    );
}

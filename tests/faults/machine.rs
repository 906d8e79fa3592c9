//! Machines that lack what a broker needs, and too few file descriptors.

use super::support::node::{Node, start_command};
use super::support::{self, Run, Scratch, eventually, signal};
use super::{Conn, LANES, Name, SMALL, TOPIC, api, batch, connect, produce, read, refused};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::time::Duration;

/// Starts with something changed in the process before the program begins.
fn start_after(data: &Path, prepare: impl FnMut() -> std::io::Result<()> + Send + Sync + 'static) -> Result<Node, Run> {
    let mut command = start_command(data, &SMALL);
    // SAFETY: between fork and exec only system calls are made.
    unsafe { command.pre_exec(prepare) };
    Node::try_start(command)
}

fn limit(resource: libc::__rlimit_resource_t, value: u64) -> std::io::Result<()> {
    let limit = libc::rlimit {
        rlim_cur: value,
        rlim_max: value,
    };
    // SAFETY: the structure is valid for the call.
    match unsafe { libc::setrlimit(resource, &limit) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

#[test]
fn sixty_four_descriptors_are_refused() {
    let scratch = Scratch::new();
    let run = start_after(&scratch.0.join("data"), || limit(libc::RLIMIT_NOFILE, 64));
    let run = run.map(drop).expect_err("refused");
    refused(
        "64 descriptors",
        &run,
        &["only 64 file descriptors", "ulimit -n", "LimitNOFILE"],
    );
}

#[test]
fn however_many_clients_come_the_log_can_be_written() {
    let scratch = Scratch::new();
    let node = start_after(&scratch.0.join("data"), || limit(libc::RLIMIT_NOFILE, 256));
    let node = node.unwrap_or_else(|run| panic!("{}", run.err));
    let mut conn = connect(&node);
    api::create_topics(
        &mut conn,
        &[api::Topic {
            name: TOPIC,
            partitions: LANES,
        }],
        &[("segment.bytes", "1048576")],
    )
    .unwrap();
    produce(&mut conn, 0, 0, 100);
    let crowd: Vec<_> = (0..400)
        .filter_map(|_| std::net::TcpStream::connect(&node.kafka).ok())
        .collect();
    assert!(crowd.len() > 300, "{} connected", crowd.len());
    node.wait_for_text("the other file descriptors are needed for files");
    node.wait_for_text("LimitNOFILE");
    // Segments, checkpoints and index files need descriptors meanwhile.
    produce(&mut conn, 0, 100, 20_000);
    assert_eq!(read(&mut conn, 0), (20_000, None));
    drop(crowd);
    eventually("new clients are served again", || {
        Conn::open(node.kafka.parse().unwrap())
            .and_then(|mut conn| api::metadata(&mut conn))
            .is_ok()
    });
    let log = node.log.lock().unwrap().clone();
    assert!(!log.contains("\"ERROR\""), "{log}");
}

/// A seccomp filter that answers `io_uring_setup` with an errno, as container profiles do.
fn forbid_io_uring(errno: i32) -> std::io::Result<()> {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let mut program = [
        step(LOAD, 0, 0, 0),
        step(EQUAL, 0, 1, libc::SYS_io_uring_setup as u32),
        step(RETURN, 0, 0, libc::SECCOMP_RET_ERRNO | errno as u32),
        step(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let filter = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: the filter and its program are valid for the calls.
    let done = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) == 0
    };
    if done {
        Ok(())
    } else {
        Err(std::io::Error::last_os_error())
    }
}

#[test]
fn a_machine_without_io_uring_is_refused_with_the_way_out() {
    let scratch = Scratch::new();
    let attempt = |errno| {
        let run = start_after(&scratch.0.join("data"), move || forbid_io_uring(errno));
        run.map(drop).expect_err("refused")
    };
    refused("EPERM", &attempt(libc::EPERM), &["io_uring", "seccomp"]);
    refused(
        "ENOSYS",
        &attempt(libc::ENOSYS),
        &["io_uring", "ENOSYS", "CONFIG_IO_URING"],
    );
    refused("ENOMEM", &attempt(libc::ENOMEM), &["locked", "LimitMEMLOCK"]);
}

#[test]
fn too_little_lockable_memory_is_refused() {
    // The privileged are not bound by the limit.
    let become_nobody = || {
        limit(libc::RLIMIT_MEMLOCK, 64 << 10)?;
        // SAFETY: no memory involved.
        let ok = unsafe { libc::geteuid() != 0 || (libc::setgid(65534) == 0 && libc::setuid(65534) == 0) };
        if ok {
            Ok(())
        } else {
            Err(std::io::Error::last_os_error())
        }
    };
    let run = start_after(Path::new("/nowhere/that/matters"), become_nobody);
    let run = run.map(drop).expect_err("refused");
    refused(
        "memlock",
        &run,
        &[
            "65536 bytes of memory may be locked",
            "ulimit -l",
            "LimitMEMLOCK=infinity",
        ],
    );
}

#[test]
fn a_kill_in_the_middle_of_a_start_leaves_a_directory_that_starts() {
    let scratch = Scratch::new();
    let data = scratch.0.join("data");
    for round in 0..12u64 {
        let mut command = start_command(&data, &SMALL);
        let mut child = support::spawn(&mut command);
        std::thread::sleep(Duration::from_millis(3 * round));
        signal(child.id() as libc::pid_t, libc::SIGKILL);
        child.wait().unwrap();
    }
    assert_eq!(Node::start(&data, &SMALL).terminate(), 0);
}

#[test]
fn checkpoints_that_cannot_be_written_are_tried_again_without_a_flood() {
    let scratch = Scratch::new();
    let data = scratch.0.join("data");
    let node = Node::start(&data, &SMALL);
    let mut conn = connect(&node);
    let topic = api::Topic {
        name: TOPIC,
        partitions: LANES,
    };
    api::create_topics(&mut conn, &[topic], &[("retention.ms", "-1")]).unwrap();
    eventually("the first checkpoints are there", || {
        data.join("shards/0/checkpoint.a").exists() && data.join("shards/0/checkpoint.b").exists()
    });
    let blocks = ["a", "b"].map(|slot| data.join(format!("shards/0/checkpoint.{slot}.new")));
    blocks.iter().for_each(|path| std::fs::create_dir(path).unwrap());
    let failed = "writing a checkpoint failed";
    produce(&mut conn, 0, 0, 16_000);
    node.wait_for_text(failed);
    std::thread::sleep(Duration::from_secs(3));
    let count = node.log.lock().unwrap().matches(failed).count();
    assert!((2..=6).contains(&count), "{count} lines within about three seconds");
    // The journal takes more as long as it has room; then produce waits, and reads go on.
    eventually("produce waits", || send(&mut conn, 1, 500) == 7);
    node.wait_for_text("the journal is full");
    assert_eq!(read(&mut conn, 0), (16_000, None));
    blocks.iter().for_each(|path| std::fs::remove_dir(path).unwrap());
    node.wait_for_text("the journal has room again");
    // More than the journal holds: it is recycled again.
    produce(&mut conn, 0, 16_000, 60_000);
    node.kill();
    let node = Node::start(&data, &SMALL);
    let mut conn = connect(&node);
    assert_eq!(read(&mut conn, 0), (60_000, None));
}

/// Sends some batches to a lane with a timeout, in milliseconds; the last one's error code.
fn send(conn: &mut Conn, lane: i32, timeout_ms: i32) -> i16 {
    let mut code = 0;
    for _ in 0..50 {
        let records: Vec<_> = (0..500)
            .map(|n| {
                Name {
                    producer: 0,
                    lane: lane as u32,
                    n,
                }
                .record(1)
            })
            .collect();
        let bytes = batch::encode(batch::Producer { id: -1, epoch: -1 }, -1, &records);
        let mut body = api::produce_body(&[(TOPIC, lane, &bytes)]);
        body[4..8].copy_from_slice(&timeout_ms.to_be_bytes());
        let answer = conn.call(api::PRODUCE, api::PRODUCE_VERSION, &body).unwrap();
        code = api::produced(&answer).unwrap()[0].code;
        if code != 0 {
            break;
        }
    }
    code
}

//! Helpers of the black-box tests: run the `ringlog` binary, and have a broker to run it against.

#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod fake;

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long anything may take before the test fails instead of hanging.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The binary under test.
pub fn ringlog() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringlog"));
    command.env_remove("RINGLOG_BROKERS");
    command
}

/// A broker for one test: the one in `RINGLOG_TEST_BROKER` (host:port).
pub struct Broker {
    address: String,
}

impl Broker {
    /// The broker to test against, or `None` (with a word about it) if there is none.
    pub fn get() -> Option<Broker> {
        match std::env::var("RINGLOG_TEST_BROKER") {
            Ok(address) => Some(Broker { address }),
            Err(_) => {
                eprintln!("skipped: set RINGLOG_TEST_BROKER=host:port");
                None
            }
        }
    }

    /// `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Runs `ringlog ARGS` against this broker with `input` on stdin.
    pub fn run_with(&self, args: &[&str], input: &[u8]) -> Run {
        run(ringlog().args(args).args(["--brokers", &self.address]), input)
    }

    /// Runs `ringlog ARGS` against this broker.
    pub fn run(&self, args: &[&str]) -> Run {
        self.run_with(args, b"")
    }

    /// Runs a command that must succeed and returns what it printed.
    pub fn ok(&self, args: &[&str]) -> String {
        self.run(args).ok()
    }

    /// A new topic with a name of its own.
    pub fn topic(&self, partitions: u32, configs: &[&str]) -> String {
        let name = unique("topic");
        let partitions = partitions.to_string();
        let mut args = vec!["topic", "create", &name, "-p", &partitions];
        args.extend(configs.iter().flat_map(|config| ["--set", config]));
        self.ok(&args);
        name
    }
}

/// A name that no other test uses, not even of another run against the same broker.
pub fn unique(prefix: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let time = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_millis();
    format!(
        "{prefix}-{}-{time}-{}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    )
}

/// A directory of its own below the build directory (not a tmpfs), removed when dropped.
pub struct Scratch(pub PathBuf);

impl Scratch {
    /// Makes the directory.
    pub fn new() -> Scratch {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(unique("scratch"));
        std::fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What a finished command left behind.
pub struct Run {
    pub code: i32,
    pub out: Vec<u8>,
    pub err: String,
}

impl Run {
    fn new(output: Output) -> Run {
        Run {
            code: output.status.code().unwrap_or(-1),
            out: output.stdout,
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Stdout as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }

    /// Asserts success and returns stdout.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "failed:\n{}{}", self.text(), self.err);
        self.text()
    }

    /// Asserts the exit code and that stderr names the cause.
    #[track_caller]
    pub fn fails(self, code: i32, says: &str) {
        assert_eq!(self.code, code, "stdout:\n{}stderr:\n{}", self.text(), self.err);
        assert!(self.err.contains(says), "stderr does not say `{says}`:\n{}", self.err);
    }
}

/// Runs a command to its end with `input` on stdin; kills it when it takes too long.
#[track_caller]
pub fn run(command: &mut Command, input: &[u8]) -> Run {
    let mut child = spawn(command);
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        // The command may have ended without reading it all.
        let _ = stdin.write_all(&input);
    });
    let run = finish(child);
    writer.join().unwrap();
    run
}

/// Starts a command with pipes on all ends.
#[track_caller]
pub fn spawn(command: &mut Command) -> Child {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits for the end of a command; kills it when it takes too long.
#[track_caller]
pub fn finish(child: Child) -> Run {
    let pid = child.id() as libc::pid_t;
    let (sender, receiver) = std::sync::mpsc::channel();
    let waiter = std::thread::spawn(move || {
        let output = child.wait_with_output();
        let _ = sender.send(());
        output
    });
    if receiver.recv_timeout(PATIENCE).is_err() {
        signal(pid, libc::SIGKILL);
        let run = Run::new(waiter.join().unwrap().unwrap());
        panic!(
            "still running after {PATIENCE:?}\nstdout:\n{}stderr:\n{}",
            run.text(),
            run.err
        );
    }
    Run::new(waiter.join().unwrap().unwrap())
}

/// Sends a signal to a process that the test started.
pub fn signal(pid: libc::pid_t, signal: libc::c_int) {
    // SAFETY: kill() has no memory effects; the pid is that of our own child, not yet waited for.
    unsafe { libc::kill(pid, signal) };
}

/// Tries until it holds.
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

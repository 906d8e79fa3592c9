//! Helpers of the black-box tests: run the `ringlog` binary, and have a broker to run it against.

#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod fake;
pub mod node;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long anything may take before the test fails instead of hanging.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The binary under test.
pub fn ringlog() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringlog"));
    command.env_remove("RINGLOG_BROKERS");
    command
}

/// A broker for one test: one of its own, or the one in `RINGLOG_TEST_BROKER` (host:port), such as a real Kafka.
pub struct Broker {
    address: String,
    own: Option<OwnBroker>,
}

/// A `ringlog start` that ends with the test.
struct OwnBroker {
    process: Child,
    /// What it printed so far, for the day it does not start.
    log: Arc<Mutex<String>>,
    /// Taken out when another process goes on with it.
    data: Option<Scratch>,
}

impl Broker {
    /// The broker to test against, ready to serve.
    #[track_caller]
    pub fn get() -> Broker {
        if let Ok(address) = std::env::var("RINGLOG_TEST_BROKER") {
            return Broker { address, own: None };
        }
        // The free port may be taken by someone else before the broker binds it.
        let mut said = String::new();
        for _ in 0..3 {
            match OwnBroker::start() {
                Ok((address, own)) => {
                    return Broker {
                        address,
                        own: Some(own),
                    };
                }
                Err(log) => said = log,
            }
        }
        panic!("the broker does not start:\n{said}");
    }

    /// Kills the broker as a crash would (SIGKILL) and starts it again on the same data and port. `false` if it is not ours.
    #[track_caller]
    pub fn crash_and_restart(&mut self) -> bool {
        let Some(mut own) = self.own.take() else { return false };
        own.process.kill().unwrap();
        own.process.wait().unwrap();
        let data = own.data.take().unwrap();
        match OwnBroker::launch(&self.address, data) {
            Ok(own) => self.own = Some(own),
            Err(log) => panic!("the broker does not start again:\n{log}"),
        }
        true
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

impl OwnBroker {
    /// Starts a broker on fresh data and a free port. `Err` = what it said before it ended.
    fn start() -> Result<(String, OwnBroker), String> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let own = OwnBroker::launch(&address, Scratch::new())?;
        Ok((address, own))
    }

    /// Two shards, so that requests cross between them.
    fn launch(address: &str, data: Scratch) -> Result<OwnBroker, String> {
        let mut command = ringlog();
        for (key, _) in std::env::vars().filter(|(key, _)| key.starts_with("RINGLOG_") || key.starts_with("KAFKA_")) {
            command.env_remove(key);
        }
        command.args([
            "start", "--listen", address, "--admin", "off", "--shards", "2", "--memory", "256MiB",
        ]);
        // Tests do not wait for members that never come.
        command.env("KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS", "0");
        command.env("KAFKA_GROUP_CONSUMER_HEARTBEAT_INTERVAL_MS", "200");
        command
            .arg("--data-dir")
            .arg(data.0.join("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        collect(process.stdout.take().unwrap(), Arc::clone(&log));
        collect(process.stderr.take().unwrap(), Arc::clone(&log));
        let mut own = OwnBroker {
            process,
            log,
            data: Some(data),
        };
        let start = Instant::now();
        while !own.log.lock().unwrap().contains("ready in") {
            let has_ended = own.process.try_wait().unwrap().is_some();
            if has_ended || start.elapsed() > PATIENCE {
                return Err(own.log.lock().unwrap().clone());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(own)
    }
}

impl Drop for OwnBroker {
    fn drop(&mut self) {
        if self.data.is_none() {
            return;
        }
        signal(self.process.id() as libc::pid_t, libc::SIGTERM);
        let start = Instant::now();
        let mut end = None;
        while end.is_none() && start.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(5));
            end = self.process.try_wait().unwrap_or(None);
        }
        if end.is_none() {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
        let was_clean = end.is_some_and(|status| status.success());
        if !was_clean && !std::thread::panicking() {
            panic!(
                "the broker did not end cleanly ({end:?}):\n{}",
                self.log.lock().unwrap()
            );
        }
    }
}

/// Gathers what a process prints.
fn collect(mut pipe: impl Read + Send + 'static, log: Arc<Mutex<String>>) {
    std::thread::spawn(move || {
        let mut piece = [0; 4096];
        while let Ok(count @ 1..) = pipe.read(&mut piece) {
            log.lock().unwrap().push_str(&String::from_utf8_lossy(&piece[..count]));
        }
    });
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

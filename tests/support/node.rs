//! A broker process as its operator meets it.

use super::{PATIENCE, Run, finish, ringlog, run, signal, spawn};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Files below a directory with a given ending.
pub fn files_with(directory: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_with(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// `ringlog start` on `data` with ports of its own.
pub fn start_command(data: &Path, args: &[&str]) -> Command {
    let mut command = ringlog();
    command.args([
        "start",
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
        "--log-format",
        "json",
    ]);
    command
        .env("RINGLOG_MEMORY", "512MiB")
        .arg("--data-dir")
        .arg(data)
        .args(args);
    command
}

/// A broker process of one test; killed when dropped.
pub struct Node {
    child: Option<Child>,
    /// Where Kafka clients connect, `host:port`.
    pub kafka: String,
    admin: String,
    /// Its start block.
    pub ready: Value,
    /// What it said before and after that.
    pub log: Arc<Mutex<String>>,
}

impl Node {
    /// Starts on `data` with ports of its own and waits until it serves.
    pub fn start(data: &Path, args: &[&str]) -> Node {
        Node::try_start(start_command(data, args))
            .unwrap_or_else(|run| panic!("the broker did not start:\n{}", run.err))
    }

    /// Waits until the broker of `command` serves. `Err` = it ended before.
    pub fn try_start(mut command: Command) -> Result<Node, Run> {
        let mut child = spawn(&mut command);
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut seen = String::new();
        let ready = lines.by_ref().map_while(Result::ok).find_map(|line| {
            seen.push_str(&line);
            seen.push('\n');
            serde_json::from_str::<Value>(&line)
                .ok()
                .filter(|line| line["message"] == "ready")
        });
        let Some(ready) = ready else {
            let mut run = finish(child);
            run.err = seen + &run.err;
            return Err(run);
        };
        // Its later lines must not fill the pipe.
        let log = Arc::new(Mutex::new(seen));
        let later = log.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                later.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        let text = |key: &str| ready[key].as_str().unwrap().to_string();
        Ok(Node {
            child: Some(child),
            kafka: text("kafka"),
            admin: text("admin"),
            ready,
            log,
        })
    }

    pub fn pid(&self) -> libc::pid_t {
        self.child.as_ref().unwrap().id() as libc::pid_t
    }

    pub fn client(&self, args: &[&str], input: &[u8]) -> Run {
        run(ringlog().args(args).args(["--brokers", &self.kafka]), input)
    }

    /// All values of a topic, sorted.
    pub fn values(&self, topic: &str) -> Vec<String> {
        let text = self.client(&["consume", topic, "-o", "start", "-e"], b"").ok();
        let mut values: Vec<String> = text.lines().map(String::from).collect();
        values.sort();
        values
    }

    pub fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.admin).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    /// Waits until it has said `count` lines with this message.
    pub fn wait_for_lines(&self, message: &str, count: usize) -> Vec<Value> {
        let until = Instant::now() + PATIENCE;
        loop {
            let log = self.log.lock().unwrap().clone();
            let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let found: Vec<Value> = lines.filter(|line| line["message"] == message).collect();
            if found.len() >= count {
                return found;
            }
            assert!(Instant::now() < until, "no {message:?} in\n{log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until it has said this.
    pub fn wait_for_text(&self, text: &str) {
        let until = Instant::now() + PATIENCE;
        while !self.log.lock().unwrap().contains(text) {
            assert!(Instant::now() < until, "no {text:?} in\n{}", self.log.lock().unwrap());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn kill(mut self) {
        signal(self.pid(), libc::SIGKILL);
        self.child.take().unwrap().wait().unwrap();
    }

    /// Ends it by SIGTERM; its exit code.
    pub fn terminate(mut self) -> i32 {
        signal(self.pid(), libc::SIGTERM);
        finish(self.child.take().unwrap()).code
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

//! The broker under test as a child process: started, killed, and never left behind.

use std::fs::{File, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::error::{Context, Error, Result};
use crate::kafka::api;
use crate::kafka::conn::Conn;

/// Longest time from start to the first answer.
const READY: Duration = Duration::from_secs(30);

/// How to start the broker.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The `ringlog` program.
    pub binary: PathBuf,
    /// Further arguments of `ringlog start`.
    pub extra: Vec<String>,
    /// Where it listens.
    pub addr: SocketAddr,
    /// Where its output goes.
    pub log: PathBuf,
}

/// A free port on loopback.
///
/// # Errors
/// When there is none.
pub fn free_addr() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("looking for a free port")?;
    Ok(listener.local_addr()?)
}

/// A running broker; killed when dropped.
pub struct Broker {
    child: Child,
}

impl Spec {
    /// Starts the broker on `data_dir`; does not wait.
    ///
    /// # Errors
    /// When the program cannot be run.
    pub fn spawn(&self, data_dir: &Path) -> Result<Broker> {
        let log: File = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .context("broker log")?;
        let mut command = Command::new(&self.binary);
        command
            .arg("start")
            .arg("--data-dir")
            .arg(data_dir)
            .arg("--listen")
            .arg(self.addr.to_string());
        command
            .args(&self.extra)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        // SAFETY: between fork and exec only async-signal-safe calls are made. The broker gets SIGKILL when the thread
        // that started it ends, and its own process group so that Ctrl-C reaches the rig first.
        unsafe {
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                libc::setpgid(0, 0);
                Ok(())
            });
        }
        let child = command
            .spawn()
            .context(&format!("starting {}", self.binary.display()))?;
        Ok(Broker { child })
    }

    /// Starts the broker and waits until it answers Metadata; returns it with the topics it has and the time it took.
    ///
    /// # Errors
    /// When it ends or says nothing for 30 s; the message carries the end of its output.
    pub fn start(&self, data_dir: &Path) -> Result<(Broker, Vec<String>, Duration)> {
        let began = Instant::now();
        let mut broker = self.spawn(data_dir)?;
        while began.elapsed() < READY {
            if let Some(status) = broker.child.try_wait()? {
                return Err(Error::new(format!(
                    "the broker ended at start ({status}): {}",
                    self.tail()
                )));
            }
            if let Ok(topics) = Conn::open(self.addr).and_then(|mut conn| api::metadata(&mut conn)) {
                let names = topics.into_iter().map(|(name, _)| name).collect();
                return Ok((broker, names, began.elapsed()));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Err(Error::new(format!(
            "the broker did not answer for {} s: {}",
            READY.as_secs(),
            self.tail()
        )))
    }

    /// The last lines of the broker's output, on one line.
    pub fn tail(&self) -> String {
        let text = std::fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let text = text.unwrap_or_default();
        let lines: Vec<_> = text.lines().rev().take(6).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
    }
}

impl Broker {
    /// kill -9, and waits until the process is gone.
    pub fn kill(mut self) {
        self.end();
    }

    /// True when the process has ended by itself.
    pub fn ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)) | Err(_))
    }

    /// SIGTERM; waits up to `patience` for the exit and says whether it was clean.
    pub fn terminate(mut self, patience: Duration) -> bool {
        // SAFETY: the child is ours and not yet waited for, so its id is still its own.
        unsafe { libc::kill(self.child.id() as libc::pid_t, libc::SIGTERM) };
        let began = Instant::now();
        while began.elapsed() < patience {
            if let Ok(Some(status)) = self.child.try_wait() {
                return status.success();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.end();
    }
}

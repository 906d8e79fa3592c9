//! What a service manager is told (sd_notify): ready, how far a start has come, stopping, and that the shards are alive.
//!
//! Silent without `NOTIFY_SOCKET`. The watchdog is fed only while every shard answers: a shard that stands still stops all its
//! clients, and a restart is then better than waiting.

use super::{Phase, Shared};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often the phase is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A start that goes on asks for this much more time, microseconds; said once a second.
const EXTEND_US: u64 = 20_000_000;

/// The socket of the service manager.
pub(super) struct Notifier {
    socket: UnixDatagram,
    address: SocketAddr,
    /// How often it wants to hear of us, if it does.
    watchdog: Option<Duration>,
}

impl Notifier {
    /// From the environment of the service manager; nothing if there is none, or if it means another process.
    pub fn from_environment() -> Option<Notifier> {
        let variable = |name: &str| std::env::var(name).ok();
        let own = std::process::id().to_string();
        let watchdog = variable("WATCHDOG_USEC")
            .filter(|_| variable("WATCHDOG_PID").is_none_or(|pid| pid == own))
            .and_then(|text| text.parse().ok())
            .map(Duration::from_micros);
        match Notifier::new(&variable("NOTIFY_SOCKET")?, watchdog) {
            Ok(notifier) => Some(notifier),
            Err(error) => {
                tracing::warn!(%error, "the service manager's NOTIFY_SOCKET cannot be used; it is told nothing");
                None
            }
        }
    }

    /// `path` begins with `@` for an abstract socket.
    ///
    /// # Errors
    /// The path is no address of a socket.
    pub fn new(path: &str, watchdog: Option<Duration>) -> io::Result<Notifier> {
        let address = match path.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name.as_bytes())?,
            None => SocketAddr::from_pathname(path)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Notifier {
            socket,
            address,
            watchdog: watchdog.filter(|every| !every.is_zero()),
        })
    }

    /// Tells for ever.
    pub async fn run(self, shared: Arc<Shared>) {
        let (mut told, mut next) = (None, Instant::now());
        loop {
            let phase = shared.status.phase();
            let is_new = told.as_ref() != Some(&phase);
            if is_new || (Instant::now() >= next && matches!(phase, Phase::Recovering(_))) {
                self.say(&news(&phase, shared.lock_shards().len()));
                next = Instant::now() + Duration::from_secs(1);
                told = Some(phase.clone());
            }
            if let Some(every) = self.watchdog
                && Instant::now() >= next
            {
                // Half of the interval: one that is late is not yet one that is missing.
                next = Instant::now() + (every / 2).min(Duration::from_secs(1));
                let shards = shared.collect().await;
                if shards.iter().all(|shard| shard.silent < every / 2) {
                    self.say("WATCHDOG=1");
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn say(&self, text: &str) {
        // A manager that does not listen is not our trouble.
        let _ = self.socket.send_to_addr(text.as_bytes(), &self.address);
    }
}

fn news(phase: &Phase, shards: usize) -> String {
    match phase {
        Phase::Recovering(text) => format!("STATUS={text}\nEXTEND_TIMEOUT_USEC={EXTEND_US}"),
        Phase::Ready => format!("READY=1\nSTATUS=serving, shards: {shards}"),
        Phase::Draining => "STOPPING=1\nSTATUS=draining".to_string(),
        Phase::Failed(why) => format!("STATUS=failed: {why}"),
    }
}

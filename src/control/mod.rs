//! The control plane: admin HTTP (metrics, health), signals and the service manager, on one thread of its own with a tokio current-thread runtime.
//!
//! Invariants: it never makes a shard wait; a shard is asked for a copy of its counters by a note and, when it does not
//! answer in time, its last copy is shown. Must not know configuration files, the Kafka protocol, or what a shard is made of.

mod exposition;
mod http;
mod metrics;
mod notify;
mod signals;
mod status;

#[cfg(test)]
mod tests;

pub use status::{Phase, Status};

use crate::metrics::Snapshot;
use crate::reactor::ShardHandle;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{io, thread};

/// How long a request for metrics waits for the shards.
const SNAPSHOT_WAIT: Duration = Duration::from_millis(250);

/// What the operator asked for by a signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// TERM or INT: finish, flush, leave.
    Drain,
    /// A second one: leave at once.
    Stop,
    /// HUP: take over what can be changed while running.
    Reload,
}

/// What the control plane is given.
pub struct ControlConfig {
    /// Bound admin socket, `None` when switched off.
    pub admin: Option<TcpListener>,
    /// For the free space of its file system.
    pub data_dir: PathBuf,
    /// Called on the control thread for each order; must not block.
    pub on_order: Box<dyn Fn(Order) + Send + Sync>,
}

/// The control plane as the rest of the broker sees it.
#[derive(Clone)]
pub struct Control {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub started: Instant,
    pub data_dir: PathBuf,
    pub status: Status,
    on_order: Box<dyn Fn(Order) + Send + Sync>,
    shards: Mutex<Vec<Shard>>,
}

/// A shard as seen from here.
struct Shard {
    handle: ShardHandle,
    /// Its newest copy and when it came.
    last: Option<(Instant, Arc<Snapshot>)>,
    /// When it was first asked without having answered since.
    asked: Option<Instant>,
}

/// What is known of one shard.
pub(crate) struct ShardView {
    pub id: u16,
    pub snapshot: Option<Arc<Snapshot>>,
    /// For how long it has not answered.
    pub silent: Duration,
}

impl Control {
    /// Starts the thread. Signals are handled from here on.
    ///
    /// # Errors
    /// When the thread or its runtime cannot be started.
    pub fn start(config: ControlConfig) -> io::Result<Control> {
        let shared = Arc::new(Shared {
            started: Instant::now(),
            data_dir: config.data_dir,
            status: Status::default(),
            on_order: config.on_order,
            shards: Mutex::new(Vec::new()),
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let admin = match config.admin {
            None => None,
            Some(listener) => {
                listener.set_nonblocking(true)?;
                let _inside = runtime.enter();
                Some(tokio::net::TcpListener::from_std(listener)?)
            }
        };
        let signals = {
            let _inside = runtime.enter();
            signals::Signals::install()?
        };
        let control = Control { shared: shared.clone() };
        thread::Builder::new().name("control".into()).spawn(move || {
            runtime.block_on(async move {
                tokio::spawn(signals.run(shared.clone()));
                if let Some(notifier) = notify::Notifier::from_environment() {
                    tokio::spawn(notifier.run(shared.clone()));
                }
                if let Some(listener) = admin {
                    http::serve(listener, shared.clone()).await;
                }
                // Signals go on without an admin server.
                std::future::pending::<()>().await;
            });
        })?;
        Ok(control)
    }

    /// The shards to ask from now on.
    pub fn set_shards(&self, handles: Vec<ShardHandle>) {
        let shards = handles.into_iter().map(|handle| Shard {
            handle,
            last: None,
            asked: None,
        });
        *self.shared.lock_shards() = shards.collect();
    }

    /// What is told to health checks.
    pub fn status(&self) -> &Status {
        &self.shared.status
    }
}

impl Shared {
    fn lock_shards(&self) -> std::sync::MutexGuard<'_, Vec<Shard>> {
        self.shards.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks all shards for a copy of their counters and waits for them, but not long.
    pub async fn collect(self: &Arc<Shared>) -> Vec<ShardView> {
        let (sender, mut answers) = tokio::sync::mpsc::unbounded_channel();
        let mut waiting = 0;
        for (index, shard) in self.lock_shards().iter_mut().enumerate() {
            // One question at a time: a shard that hangs must not collect notes.
            if shard
                .asked
                .is_some_and(|asked| asked.elapsed() < Duration::from_secs(5))
            {
                continue;
            }
            shard.asked.get_or_insert_with(Instant::now);
            waiting += 1;
            let (shared, sender) = (self.clone(), sender.clone());
            shard.handle.snapshot(move |snapshot| {
                shared.remember(index, snapshot);
                let _ = sender.send(());
            });
        }
        drop(sender);
        let all = async {
            while waiting > 0 && answers.recv().await.is_some() {
                waiting -= 1;
            }
        };
        let _ = tokio::time::timeout(SNAPSHOT_WAIT, all).await;
        self.view()
    }

    fn remember(&self, index: usize, snapshot: Snapshot) {
        if let Some(shard) = self.lock_shards().get_mut(index) {
            shard.last = Some((Instant::now(), Arc::new(snapshot)));
            shard.asked = None;
        }
    }

    fn view(&self) -> Vec<ShardView> {
        let shards = self.lock_shards();
        let view = shards.iter().map(|shard| ShardView {
            id: shard.handle.shard().0,
            snapshot: shard.last.as_ref().map(|(_, snapshot)| snapshot.clone()),
            silent: shard.asked.map_or(Duration::ZERO, |asked| asked.elapsed()),
        });
        view.collect()
    }

    fn order(&self, order: Order) {
        (self.on_order)(order);
    }
}

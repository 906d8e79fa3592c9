//! From a configuration to a running broker, and from there to its end.
//!
//! Order: machine, data directory, control plane, recovery, background plane, shards, ready. A drain ends the shards together
//! (see `drain`); a shard that must not go on ends all and the process exits with an error.

use super::config::{Config, Host, HostPort};
use super::data_dir::DataDir;
use super::drain::Drain;
use super::file_system::{self, FileSystem};
use super::node_shard::NodeShard;
use super::recovery::{self, RecoveredShard};
use super::sizes::Sizes;
use super::sweep::sweep;
use super::{banner, cluster_id, limits, reshard, shard_dirs};
use crate::background::{self, Background, BackgroundConfig};
use crate::base::ids::ShardId;
use crate::control::{Control, ControlConfig, Order, Phase};
use crate::controller::machine::{Controller, ControllerConfig};
use crate::reactor::{self, Clock, Exit, Gate, MeshPort, Note, ReactorConfig, Refusal, ShardHandle, mailbox, mesh};
use crate::shard::event::ShardMessage;
use crate::shard::shard::Shard;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Messages that may wait between two shards before the sender keeps them.
const MESH_CAPACITY: usize = 1024;
/// How long shards may take to set up their rings.
const START_MAX: Duration = Duration::from_secs(30);
/// How long a drain may take before it is cut short.
const DRAIN_MAX: Duration = Duration::from_secs(30);

/// Decides about a signal before the broker does; true = dealt with.
pub type OrderHook = Box<dyn Fn(Order) -> bool + Send + Sync>;

/// How a broker ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Asked to, everything finished.
    Drained,
    /// Asked to end at once, or the drain took too long.
    Stopped,
    /// It had to: why.
    Failed(String),
}

/// Ends a broker, from any thread.
#[derive(Clone)]
pub struct Stopper {
    handles: Arc<OnceLock<Vec<ShardHandle>>>,
    /// A drain was asked for; counts from then.
    drain_asked: Arc<AtomicBool>,
}

impl Stopper {
    /// Finishes what was accepted, then ends.
    pub fn drain(&self) {
        if !self.drain_asked.swap(true, Ordering::SeqCst) {
            self.post(|| Note::Drain);
        }
    }
    /// Ends at once; what was acknowledged is on disk already.
    pub fn stop(&self) {
        self.post(|| Note::Stop);
    }
    fn post(&self, note: impl Fn() -> Note) {
        for handle in self.handles.get().into_iter().flatten() {
            handle.post(note());
        }
    }
    /// True while there is nothing to end yet.
    fn is_early(&self) -> bool {
        self.handles.get().is_none()
    }
}

/// A running broker.
pub struct Broker {
    /// Where Kafka clients are accepted.
    pub address: SocketAddr,
    /// Where the admin server is, if it is on.
    pub admin: Option<SocketAddr>,
    stopper: Stopper,
    control: Control,
    endings: mpsc::Receiver<(u16, Result<Exit, Refusal>)>,
    threads: Vec<JoinHandle<()>>,
    background: Option<Background>,
    _data_dir: DataDir,
}

/// Shown by the start block.
struct Found {
    kernel: String,
    notes: Vec<String>,
    descriptors: u64,
    data_dir: DataDir,
    file_system: FileSystem,
}

impl Found {
    fn sizes<'a>(&self, config: &'a Config, seed: u64) -> Sizes<'a> {
        Sizes {
            config,
            disk_bytes: self.file_system.size,
            descriptors: self.descriptors,
            seed,
        }
    }
}

impl Broker {
    /// Starts a broker; it serves when this returns. `begun` is when the process began to.
    ///
    /// # Errors
    /// A refusal with its remedy.
    pub fn start(config: &Config, host: &Host, begun: Instant, hook: OrderHook) -> Result<Broker, Refusal> {
        let found = examine(config)?;
        let stopper = Stopper {
            handles: Arc::default(),
            drain_asked: Arc::default(),
        };
        let (control, admin) = start_control(config, &found, &stopper, hook)?;
        control.status().set(Phase::Recovering("reading the journal".into()));
        let clock = Clock::start();
        let shards = recover(config, &found)?;
        let replayed = shards.iter().map(|shard| shard.state.replayed_bytes).sum();
        let (address, listeners) = bind_kafka(config)?;
        let advertise = advertised(config, address);
        let seed = cluster_id::random_u64().map_err(|error| plain("random numbers cannot be had", &error))?;
        let controller_config = ControllerConfig {
            batch_bytes_max: batch_bytes_max(&found.sizes(config, seed), &shards)?,
            ..controller_config(config, &found, &advertise, seed)
        };
        let controller = recovery::recover_controller(&shards[0].state, controller_config)?;
        let image = controller.image();
        sweep(&found.data_dir.path, &shards, &image);
        let topics = (
            image.topics.len(),
            image.topics.values().map(|topic| topic.partitions.len()).sum(),
        );
        let background = background::start(BackgroundConfig {
            data_dir: found.data_dir.path.clone(),
            cpu: spare_cpu(config, host),
        })?;
        let sizes = found.sizes(config, seed);
        let crew = Crew {
            gate: sizes.gate(),
            sizes,
            clock,
            background: &background,
            stopper: &stopper,
        };
        let (endings, threads) = crew.start(shards, controller, listeners)?;
        control.set_shards(stopper.handles.get().cloned().unwrap_or_default());
        control.status().set(Phase::Ready);
        let notes = [&config.notes, &found.notes, &found.file_system.notes]
            .map(Clone::clone)
            .concat();
        banner::show(&banner::Facts {
            config,
            kernel: found.kernel,
            listen: address,
            advertise,
            admin,
            data_dir: found.data_dir.path.clone(),
            file_system: found.file_system,
            cluster_id: found.data_dir.cluster_id.clone(),
            node_id: found.data_dir.node_id,
            topics,
            replayed,
            ready_in: begun.elapsed(),
            notes,
        });
        Ok(Broker {
            address,
            admin,
            stopper,
            control,
            endings,
            threads,
            background: Some(background),
            _data_dir: found.data_dir,
        })
    }

    /// What ends it.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Waits until it has ended.
    pub fn wait(mut self) -> Outcome {
        let mut outcome = Outcome::Drained;
        let mut left = self.threads.len();
        let mut asked_at: Option<Instant> = None;
        while left > 0 {
            if self.stopper.drain_asked.load(Ordering::SeqCst) && asked_at.is_none() {
                asked_at = Some(Instant::now());
                self.control.status().set(Phase::Draining);
                tracing::info!("draining");
            }
            if asked_at.is_some_and(|at| at.elapsed() > DRAIN_MAX) {
                tracing::warn!("the drain takes longer than {} s, stopping now", DRAIN_MAX.as_secs());
                self.stopper.stop();
            }
            match self.endings.recv_timeout(Duration::from_millis(200)) {
                Ok((shard, ending)) => {
                    left -= 1;
                    self.on_ending(shard, ending, &mut outcome);
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    outcome = Outcome::Failed("a shard's thread ended without a word".into());
                    break;
                }
            }
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        drop(self.background.take());
        outcome
    }

    fn on_ending(&self, shard: u16, ending: Result<Exit, Refusal>, outcome: &mut Outcome) {
        let why = match ending {
            Ok(Exit::Drained) => return,
            Ok(Exit::Stopped) => {
                if *outcome == Outcome::Drained {
                    *outcome = Outcome::Stopped;
                }
                return;
            }
            Ok(Exit::Fatal(why)) => why,
            Err(refusal) => refusal.to_string(),
        };
        tracing::error!(shard, "the broker no longer acknowledges and ends: {why}");
        self.control
            .status()
            .set(Phase::Failed(format!("shard {shard}: {why}")));
        *outcome = Outcome::Failed(format!("shard {shard}: {why}"));
        self.stopper.stop();
    }
}

/// Looks at the machine and takes the data directory.
fn examine(config: &Config) -> Result<Found, Refusal> {
    let support = reactor::probe()?;
    let limits = limits::prepare()?;
    let node_id = config.settings.get("node.id").map(|_| config.node_id);
    let data_dir = DataDir::open(&config.data_dir, node_id)?;
    let file_system = file_system::examine(&data_dir.path)?;
    Ok(Found {
        kernel: support.kernel,
        notes: limits.notes,
        descriptors: limits.descriptors,
        data_dir,
        file_system,
    })
}

fn start_control(
    config: &Config,
    found: &Found,
    stopper: &Stopper,
    hook: OrderHook,
) -> Result<(Control, Option<SocketAddr>), Refusal> {
    let admin = config.admin.as_ref().map(bind_admin).transpose()?;
    let address = admin.as_ref().and_then(|listener| listener.local_addr().ok());
    let stopper = stopper.clone();
    let on_order = move |order: Order| {
        if hook(order) {
            return;
        }
        match order {
            // Nothing was accepted yet, so there is nothing to finish.
            Order::Drain | Order::Stop if stopper.is_early() => std::process::exit(0),
            Order::Drain => stopper.drain(),
            Order::Stop => stopper.stop(),
            Order::Reload => {}
        }
    };
    let control = Control::start(ControlConfig {
        admin,
        data_dir: found.data_dir.path.clone(),
        on_order: Box::new(on_order),
    });
    let control = control.map_err(|error| plain("the control thread cannot be started", &error))?;
    Ok((control, address))
}

/// Recovers all shards; when their number has changed, rewrites them first.
fn recover(config: &Config, found: &Found) -> Result<Vec<RecoveredShard>, Refusal> {
    let path = &found.data_dir.path;
    let on_disk = shard_dirs::open(path, config.shards)?;
    let shards = recover_all(path, on_disk)?;
    if on_disk == config.shards {
        return Ok(shards);
    }
    tracing::info!(
        "{} was written by {on_disk} shards, now there are {}: moving partitions",
        path.display(),
        config.shards
    );
    let sizes = found.sizes(config, 0);
    let journal_file = sizes.shard(ShardId(0), None).store.journal.file_bytes;
    let controller = controller_config(config, found, &config.advertise, 0);
    reshard::reshard(path, shards, controller, journal_file)?;
    recover_all(path, config.shards)
}

/// Recovers shards at the same time, as the machine allows.
fn recover_all(path: &Path, count: u16) -> Result<Vec<RecoveredShard>, Refusal> {
    thread::scope(|scope| {
        let workers: Vec<_> = (0..count)
            .map(|shard| scope.spawn(move || recovery::recover_shard(path, shard)))
            .collect();
        let join = |worker: thread::ScopedJoinHandle<'_, Result<RecoveredShard, Refusal>>| {
            worker.join().unwrap_or_else(|_| {
                Err(Refusal {
                    cause: "recovery ended by a panic".into(),
                    remedy: "report it with the output above".into(),
                })
            })
        };
        workers.into_iter().map(join).collect()
    })
}

fn controller_config(config: &Config, found: &Found, advertise: &HostPort, seed: u64) -> ControllerConfig {
    ControllerConfig {
        cluster_id: found.data_dir.cluster_id.clone(),
        node_id: found.data_dir.node_id,
        advertised_host: advertise.host.clone(),
        advertised_port: advertise.port,
        rack: config.rack.clone(),
        data_dir: std::path::absolute(&found.data_dir.path)
            .unwrap_or_else(|_| found.data_dir.path.clone())
            .to_string_lossy()
            .into_owned(),
        shard_count: config.shards,
        static_configs: config.broker.clone(),
        seed,
        ..ControllerConfig::default()
    }
}

/// Largest batch that the journals of all shards can hold, bytes.
fn batch_bytes_max(sizes: &Sizes, shards: &[RecoveredShard]) -> Result<u64, Refusal> {
    let of = |(number, shard): (u16, &RecoveredShard)| {
        let config = sizes.shard(ShardId(number), shard.journal_file);
        config.store.journal.payload_max()
    };
    let limit = (0u16..).zip(shards).map(of).min().unwrap_or(u64::MAX);
    let asked = sizes.config.broker.get("message.max.bytes");
    match asked.and_then(|text| text.trim().parse::<u64>().ok()) {
        Some(asked) if asked > limit => Err(Refusal {
            cause: format!("message.max.bytes is {asked}, but a journal file holds batches of at most {limit} bytes"),
            remedy: format!(
                "set message.max.bytes to {limit} or less; a new data directory with more memory has larger files"
            ),
        }),
        _ => Ok(limit),
    }
}

fn advertised(config: &Config, bound: SocketAddr) -> HostPort {
    let mut advertise = config.advertise.clone();
    if advertise.port == 0 {
        advertise.port = bound.port();
    }
    advertise
}

/// A CPU for the background plane that no shard uses.
fn spare_cpu(config: &Config, host: &Host) -> Option<usize> {
    let used = &config.cpus[..config.cpus.len().min(usize::from(config.shards))];
    host.allowed_cpus.iter().rev().copied().find(|cpu| !used.contains(cpu))
}

/// What starting the shards needs.
struct Crew<'a> {
    sizes: Sizes<'a>,
    gate: Arc<Gate>,
    clock: Clock,
    background: &'a Background,
    stopper: &'a Stopper,
}

/// How shards tell that they ended.
type Endings = mpsc::Receiver<(u16, Result<Exit, Refusal>)>;

impl Crew<'_> {
    fn start(
        &self,
        shards: Vec<RecoveredShard>,
        controller: Controller,
        listeners: Vec<OwnedFd>,
    ) -> Result<(Endings, Vec<JoinHandle<()>>), Refusal> {
        let count = self.sizes.config.shards;
        let ports =
            mesh::<ShardMessage>(count, MESH_CAPACITY).map_err(|error| plain("no wake-up descriptors", &error))?;
        let drain = Drain::new(count);
        let image = controller.image();
        let mut controller = Some(controller);
        let mut ready = Vec::new();
        let mut handles = Vec::new();
        for (((recovered, port), listener), number) in shards.into_iter().zip(ports).zip(listeners).zip(0u16..) {
            let shard_config = self.sizes.shard(ShardId(number), recovered.journal_file);
            let shard = Shard::new(
                shard_config,
                recovered.state,
                image.clone(),
                controller.take(),
                self.clock.now(),
            );
            let shard = shard.map_err(|damage| Refusal {
                cause: format!("the log is damaged: {damage}"),
                remedy: "run `ringlog inspect` on the data directory, and restore it from a backup".into(),
            })?;
            let machine = NodeShard::new(shard, number, drain.clone());
            let (reactor_config, handle) = self.reactor(number, port, recovered.files, listener);
            handles.push(handle);
            ready.push((number, reactor_config, machine));
        }
        drain.set_handles(handles.clone());
        let (sender, endings) = mpsc::channel();
        let mut threads = Vec::new();
        for (number, reactor_config, machine) in ready {
            threads.push(self.spawn(number, reactor_config, machine, sender.clone())?);
        }
        wait_for_all(&handles, &endings)?;
        let _ = self.stopper.handles.set(handles);
        Ok((endings, threads))
    }

    fn reactor(
        &self,
        number: u16,
        port: MeshPort<ShardMessage>,
        files: Vec<(crate::base::ids::FileId, Arc<OwnedFd>)>,
        listener: OwnedFd,
    ) -> (ReactorConfig, ShardHandle) {
        let (handle, inbox) = mailbox(ShardId(number), port.waker());
        let config = ReactorConfig {
            tuning: self.sizes.tuning(),
            clock: self.clock,
            listeners: vec![listener],
            gate: self.gate.clone(),
            files,
            port,
            mailbox: inbox,
            jobs: self.background.runner(),
        };
        (config, handle)
    }

    fn spawn(
        &self,
        number: u16,
        config: ReactorConfig,
        machine: NodeShard,
        sender: mpsc::Sender<(u16, Result<Exit, Refusal>)>,
    ) -> Result<JoinHandle<()>, Refusal> {
        let cpus = &self.sizes.config.cpus;
        let cpu = cpus[usize::from(number) % cpus.len()];
        let body = move || {
            if !core_affinity::set_for_current(core_affinity::CoreId { id: cpu }) {
                tracing::warn!(shard = number, cpu, "the shard could not be pinned to its CPU");
            }
            let ending = reactor::run_shard(config, machine).map(|(exit, _)| exit);
            let _ = sender.send((number, ending));
        };
        let thread = thread::Builder::new().name(format!("shard-{number}")).spawn(body);
        thread.map_err(|error| plain("a shard's thread cannot be started", &error))
    }
}

/// Returns when every shard's loop runs.
fn wait_for_all(handles: &[ShardHandle], endings: &Endings) -> Result<(), Refusal> {
    let running = Arc::new(Mutex::new(0));
    let (sender, started) = mpsc::channel();
    for handle in handles {
        let (running, sender) = (running.clone(), sender.clone());
        handle.post(Note::Inspect(Box::new(move |_| {
            *running.lock().unwrap_or_else(PoisonError::into_inner) += 1;
            let _ = sender.send(());
        })));
    }
    let until = Instant::now() + START_MAX;
    let mut left = handles.len();
    while left > 0 {
        if let Ok((shard, ending)) = endings.try_recv() {
            return Err(match ending {
                Err(refusal) => refusal,
                Ok(exit) => Refusal {
                    cause: format!("shard {shard} ended at its start: {exit:?}"),
                    remedy: "see the log above".into(),
                },
            });
        }
        match started.recv_timeout(Duration::from_millis(20)) {
            Ok(()) => left -= 1,
            Err(_) if Instant::now() >= until => {
                return Err(Refusal {
                    cause: format!("{left} shards did not start within {} s", START_MAX.as_secs()),
                    remedy: "check the machine's load and `dmesg`".into(),
                });
            }
            Err(_) => {}
        }
    }
    Ok(())
}

fn bind_admin(address: &HostPort) -> Result<TcpListener, Refusal> {
    let mut last = None;
    for candidate in candidates(address, "admin")? {
        match TcpListener::bind(candidate) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = Some(error),
        }
    }
    Err(bind_refusal(address, "--admin", last))
}

fn bind_kafka(config: &Config) -> Result<(SocketAddr, Vec<OwnedFd>), Refusal> {
    let mut last = None;
    for candidate in candidates(&config.listen, "listen")? {
        match reactor::listen(candidate, usize::from(config.shards)) {
            Ok(bound) => return Ok(bound),
            Err(error) => last = Some(error),
        }
    }
    Err(bind_refusal(&config.listen, "--listen", last))
}

/// Addresses to try: both families at once for "all addresses", else what the name resolves to, IPv4 first.
fn candidates(address: &HostPort, what: &str) -> Result<Vec<SocketAddr>, Refusal> {
    if address.host.is_empty() {
        let port = address.port;
        return Ok(vec![
            SocketAddr::from(([0u16; 8], port)),
            SocketAddr::from(([0u8; 4], port)),
        ]);
    }
    let refuse = |cause: String| Refusal {
        cause,
        remedy: format!("give an address of this machine with --{what}"),
    };
    let found = (address.host.as_str(), address.port).to_socket_addrs();
    let mut found: Vec<SocketAddr> = found
        .map_err(|error| refuse(format!("cannot resolve {}: {error}", address.host)))?
        .collect();
    found.sort_by_key(SocketAddr::is_ipv6);
    Ok(found)
}

fn bind_refusal(address: &HostPort, flag: &str, error: Option<std::io::Error>) -> Refusal {
    let Some(error) = error else {
        return Refusal {
            cause: format!("{} resolves to no address", address.host),
            remedy: format!("give an address of this machine with {flag}"),
        };
    };
    let remedy = match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            format!(
                "another program listens there: stop it (`ss -ltnp` shows which), or choose another port with {flag}"
            )
        }
        std::io::ErrorKind::AddrNotAvailable => format!("give an address of this machine with {flag}"),
        std::io::ErrorKind::PermissionDenied => format!("choose a port of 1024 or above with {flag}"),
        _ => format!("choose another address with {flag}"),
    };
    Refusal {
        cause: format!("cannot listen on {address}: {error}"),
        remedy,
    }
}

fn plain(what: &str, error: &std::io::Error) -> Refusal {
    Refusal {
        cause: format!("{what}: {error}"),
        remedy: "check the limits of this user and container (`ulimit -a`)".into(),
    }
}

//! The brokers under comparison: how each is prepared, started, killed and started again.

use super::first_ack::{FirstAck, first_ack};
use crate::clock::mono_ns;
use crate::sampler::{Target, Usage};
use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Side {
    /// The bare ring loop: durable, no log behind it.
    Floor,
    /// ringlog: durable.
    Ringlog,
    /// Kafka with its defaults: acknowledges from the page cache.
    Kafka,
    /// Kafka with `flush.messages=1` on every topic: durable.
    KafkaFlush,
}

impl Side {
    /// Key in the result file.
    pub fn key(self) -> &'static str {
        match self {
            Side::Floor => "floor",
            Side::Ringlog => "ringlog",
            Side::Kafka => "kafka",
            Side::KafkaFlush => "kafka-flush",
        }
    }

    /// Class of its marks in a page.
    pub fn color(self) -> &'static str {
        match self {
            Side::Floor => "floor",
            Side::Ringlog => "ringlog",
            Side::Kafka => "kafka",
            Side::KafkaFlush => "kafkaflush",
        }
    }

    /// Heading in the table: names what an acknowledgement is worth.
    pub fn title(self) -> &'static str {
        match self {
            Side::Floor => "floor (durable)",
            Side::Ringlog => "ringlog (durable)",
            Side::Kafka => "Kafka default (not flushed)",
            Side::KafkaFlush => "Kafka flush.messages=1 (durable)",
        }
    }

    /// Whether it runs in a JVM and needs warming up.
    pub fn is_jvm(self) -> bool {
        matches!(self, Side::Kafka | Side::KafkaFlush)
    }

    /// Topic settings this side is measured with.
    pub fn topic_configs(self) -> Vec<(String, String)> {
        match self {
            Side::KafkaFlush => vec![("flush.messages".into(), "1".into())],
            _ => Vec::new(),
        }
    }
}

/// Where everything is.
#[derive(Clone, Debug)]
pub struct Rig {
    /// Folder of `floor` and `load`.
    pub bin: PathBuf,
    /// The `ringlog` program.
    pub ringlog: PathBuf,
    /// Folder of Kafka's jars.
    pub kafka_libs: PathBuf,
    /// Folder on the disk to measure; everything below it is deleted again.
    pub work: PathBuf,
    /// First of four ports used.
    pub port: u16,
    /// CPU list of the broker (taskset form).
    pub broker_cpus: String,
    /// CPU of the load client.
    pub load_cpu: usize,
    /// Heap of the JVM, e.g. `1g`.
    pub kafka_heap: String,
    /// Memory of ringlog, e.g. `8GiB`; its default if not given.
    pub ringlog_memory: Option<String>,
}

/// A running broker; killed when dropped.
pub struct Broker {
    child: Child,
    side: Side,
    rig: Rig,
    /// Where it listens.
    pub at: SocketAddr,
}

impl Rig {
    /// Folder with the data of `side`.
    pub fn data(&self, side: Side) -> PathBuf {
        self.work.join(side.key())
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Deletes old data and makes what a first start needs (Kafka: a formatted folder).
    ///
    /// # Errors
    /// File errors; a format tool that fails.
    pub fn wipe(&self, side: Side) -> io::Result<()> {
        let data = self.data(side);
        if data.exists() {
            fs::remove_dir_all(&data)?;
        }
        fs::create_dir_all(&data)?;
        if side.is_jvm() {
            self.format_kafka(&data)?;
        }
        // SAFETY: no arguments, no failure. Old dirty pages must not be written on the next side's time.
        unsafe { libc::sync() };
        Ok(())
    }

    fn format_kafka(&self, data: &Path) -> io::Result<()> {
        let port = self.port;
        let text = format!(
            "process.roles=broker,controller\nnode.id=1\n\
             controller.quorum.bootstrap.servers=127.0.0.1:{controller}\n\
             listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
             controller.listener.names=CONTROLLER\n\
             listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n\
             log.dirs={logs}\n\
             offsets.topic.replication.factor=1\ntransaction.state.log.replication.factor=1\n\
             transaction.state.log.min.isr=1\nshare.coordinator.state.topic.replication.factor=1\n\
             share.coordinator.state.topic.min.isr=1\ngroup.initial.rebalance.delay.ms=0\n",
            controller = port + 1,
            logs = data.join("logs").display(),
        );
        fs::write(data.join("server.properties"), text)?;
        fs::write(data.join("log4j2.properties"), LOG4J2)?;
        let mut id = self.java(data);
        let id = id
            .args(["kafka.tools.StorageTool", "random-uuid"])
            .stderr(Stdio::null())
            .output()?;
        let id = String::from_utf8_lossy(&id.stdout)
            .lines()
            .last()
            .unwrap_or_default()
            .trim()
            .to_owned();
        let mut format = self.java(data);
        format.args(["kafka.tools.StorageTool", "format", "--standalone", "-t", &id, "-c"]);
        let done = format.arg(data.join("server.properties")).output()?;
        if done.status.success() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&done.stderr).into_owned();
        Err(io::Error::other(format!(
            "Kafka's StorageTool failed; are its jars in {}? {text}",
            self.kafka_libs.display()
        )))
    }

    fn java(&self, data: &Path) -> Command {
        let mut command = Command::new("java");
        command
            .arg(format!(
                "-Dlog4j2.configurationFile={}",
                data.join("log4j2.properties").display()
            ))
            .arg("-cp")
            .arg(format!("{}/*", self.kafka_libs.display()));
        command
    }

    /// The start command, without `taskset`.
    fn command(&self, side: Side) -> Command {
        let (data, at) = (self.data(side), self.address());
        match side {
            Side::Floor => {
                let mut c = Command::new(self.bin.join("floor"));
                c.args([
                    "--listen",
                    &at.to_string(),
                    "--cpu",
                    &self.broker_cpus,
                    "--data-mib",
                    "2048",
                    "--data",
                ]);
                c.arg(data.join("log"));
                c
            }
            Side::Ringlog => {
                let mut c = Command::new(&self.ringlog);
                c.args(["start", "--listen", &at.to_string(), "--cpus", &self.broker_cpus]);
                c.args(["--admin", &format!("127.0.0.1:{}", self.port + 2), "--data-dir"])
                    .arg(data.join("data"));
                c.args(self.ringlog_memory.iter().flat_map(|size| ["--memory", size]));
                c
            }
            Side::Kafka | Side::KafkaFlush => {
                let heap = &self.kafka_heap;
                // The performance options of Kafka's own kafka-run-class.sh.
                let mut c = Command::new("java");
                c.args([format!("-Xms{heap}"), format!("-Xmx{heap}")]).args([
                    "-server",
                    "-XX:+UseG1GC",
                    "-XX:MaxGCPauseMillis=20",
                    "-XX:InitiatingHeapOccupancyPercent=35",
                    "-XX:+ExplicitGCInvokesConcurrent",
                    "-Djava.awt.headless=true",
                ]);
                c.arg(format!(
                    "-Dlog4j2.configurationFile={}",
                    data.join("log4j2.properties").display()
                ));
                c.arg("-cp")
                    .arg(format!("{}/*", self.kafka_libs.display()))
                    .arg("kafka.Kafka");
                c.arg(data.join("server.properties"));
                c
            }
        }
    }

    /// Starts `side` on its data and waits for the first acknowledged record of `topic` (made when missing).
    ///
    /// # Errors
    /// When it does not start, ends, or acknowledges nothing within two minutes.
    pub fn start(&self, side: Side, topic: &str) -> io::Result<(Broker, FirstAck)> {
        let plain = self.command(side);
        let mut command = Command::new("taskset");
        command
            .args(["-c", &self.broker_cpus])
            .arg(plain.get_program())
            .args(plain.get_args());
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.work.join(format!("{}.log", side.key())))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let (start_ns, before) = (mono_ns(), Target::default().sample());
        let child = command
            .spawn()
            .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", side.key())))?;
        let mut broker = Broker {
            child,
            side,
            rig: self.clone(),
            at: self.address(),
        };
        let ack = first_ack(
            broker.at,
            topic,
            side == Side::Floor,
            &side.topic_configs(),
            start_ns,
            || broker.is_alive(),
        );
        let mut ack = ack.map_err(|e| {
            let log = self.work.join(format!("{}.log", side.key()));
            io::Error::new(e.kind(), format!("{}: {e}; see {}", side.key(), log.display()))
        })?;
        let pid = Some(broker.pid());
        let after = Target { pid, disk: None }.sample();
        ack.other_cpu_percent = Usage::between(&before, &after).other_percent(0.0);
        Ok((broker, ack))
    }
}

impl Broker {
    /// Process id (taskset becomes the broker).
    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Which side it is.
    pub fn side(&self) -> Side {
        self.side
    }

    fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// `kill -9`, waits for the end, and starts again on the same data.
    ///
    /// # Errors
    /// Those of [`Rig::start`].
    pub fn kill_and_restart(mut self, topic: &str) -> io::Result<(Broker, FirstAck)> {
        self.child.kill()?;
        self.child.wait()?;
        self.rig.start(self.side, topic)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Ended already: nothing left to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const LOG4J2: &str = "rootLogger.level=warn\nrootLogger.appenderRef.c.ref=c\nappender.c.type=Console\n\
                      appender.c.name=c\nappender.c.layout.type=PatternLayout\n\
                      appender.c.layout.pattern=[%d] %p %m (%c)%n\n";

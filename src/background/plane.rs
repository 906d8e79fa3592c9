//! The thread: takes requests, runs them in queues with shares, answers.

use super::files::{JobFiles, Root, try_direct};
use super::queue::{Queue, Work};
use crate::base::effect::{Job, JobResult};
use crate::jobs;
use crate::reactor::{JobRequest, JobRunner, Note, Refusal};
use glommio::timer::sleep;
use glommio::{
    GlommioError, Latency, LocalExecutor, LocalExecutorBuilder, Placement, PoolPlacement, Shares, TaskQueueHandle,
};
use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::fs::File;
use std::future::poll_fn;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::task::{Poll, Waker};
use std::thread::JoinHandle;
use std::time::Duration;

/// While there is work, the executor wakes at least this often.
const HEARTBEAT: Duration = Duration::from_millis(5);
/// Registered memory and ring size of the executor: small, jobs are few and the limit on locked memory may be low.
const IO_MEMORY: usize = 1 << 20;
const RING_DEPTH: usize = 128;
/// Threads for calls that the ring does not do, such as the fsync of a directory. Many at once share one file-system commit; one
/// thread would pay for a commit each, eight seconds for a thousand new partitions on a busy disk.
const HELPERS: usize = 16;
/// Priority where the thread has no CPU of its own (nice value).
const NICE: i32 = 5;
/// A deleted file's blocks are freed in steps of this many bytes, with a pause after each.
const FREE_STEP: u64 = 256 << 20;
const FREE_PAUSE: Duration = Duration::from_millis(20);

/// What the plane is given.
#[derive(Clone, Debug)]
pub struct BackgroundConfig {
    /// The data directory; paths of jobs are below it.
    pub data_dir: PathBuf,
    /// A CPU that no shard uses, if there is one.
    pub cpu: Option<usize>,
}

/// The running plane. Dropping it waits for the jobs under way and drops those that wait.
pub struct Background {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
}

impl Background {
    /// What shards submit their jobs to.
    pub fn runner(&self) -> Arc<dyn JobRunner> {
        self.queue.clone()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the background thread panicked");
        }
    }
}

/// Starts the plane.
///
/// # Errors
/// A refusal with its remedy when the executor cannot start, most likely for want of lockable memory, or when the data
/// directory (which must exist) takes no direct I/O.
pub fn start(config: BackgroundConfig) -> Result<Background, Refusal> {
    let queue = Arc::new(Queue::default());
    let (give, take) = mpsc::channel();
    let thread = {
        let queue = queue.clone();
        std::thread::Builder::new().name("bg-helper".into()).spawn(move || {
            let executor = executor(&config).and_then(|executor| {
                executor.run(try_direct(config.data_dir.clone()))?;
                Ok(executor)
            });
            let executor = match executor {
                Ok(executor) => executor,
                Err(refusal) => {
                    let _ = give.send(Err(refusal));
                    return;
                }
            };
            // The helper threads exist by now and keep the first name.
            // SAFETY: a string that ends in a zero byte.
            unsafe { libc::prctl(libc::PR_SET_NAME, c"background".as_ptr()) };
            let _ = give.send(Ok(()));
            let root = Root::new(config.data_dir, queue.stopping.clone());
            executor.run(serve(queue, Rc::new(root)));
        })
    };
    let thread = thread.map_err(|error| Refusal {
        cause: format!("the background thread cannot be started: {error}"),
        remedy: "raise the limit of processes (`ulimit -u`, or TasksMax in the systemd unit)".into(),
    })?;
    let started = take.recv().unwrap_or_else(|_| {
        Err(Refusal {
            cause: "the background thread ended at its start".into(),
            remedy: "see the log for the panic and report it".into(),
        })
    });
    started?;
    Ok(Background {
        queue,
        thread: Some(thread),
    })
}

fn executor(config: &BackgroundConfig) -> Result<LocalExecutor, Refusal> {
    let placement = config.cpu.map_or(Placement::Unbound, Placement::Fixed);
    if config.cpu.is_none() {
        // SAFETY: no memory involved. Zero means this thread. Without effect at worst.
        unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
    }
    LocalExecutorBuilder::new(placement)
        .name("background")
        .io_memory(IO_MEMORY)
        .ring_depth(RING_DEPTH)
        .blocking_thread_pool_placement(PoolPlacement::Unbound(HELPERS))
        .make()
        .map_err(explain)
}

fn explain(error: GlommioError<()>) -> Refusal {
    let text = error.to_string();
    if text.to_lowercase().contains("memlock") {
        return Refusal {
            cause: "less than 512 KiB of memory may be locked (`ulimit -l`), too little for the background plane"
                .into(),
            remedy: "raise the limit: `ulimit -l unlimited`, or LimitMEMLOCK=infinity in the systemd unit".into(),
        };
    }
    let remedy = match &error {
        GlommioError::BuilderError(_) => "name a CPU that exists and that this process may use",
        _ => "check that io_uring is allowed and that file descriptors are left (`ulimit -n`)",
    };
    Refusal {
        cause: format!("the background executor cannot start: {text}"),
        remedy: remedy.into(),
    }
}

/// Kinds of work, each with its shares of the executor and its bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Class {
    /// Short, and somebody waits: opens, reads, checkpoints.
    Prompt,
    /// Segments and journal files ahead of their use.
    Prepare,
    /// Deletion.
    Retention,
    /// Compaction: `log.cleaner.threads` is 1.
    Clean,
}

impl Class {
    const ALL: [Class; 4] = [Class::Prompt, Class::Prepare, Class::Retention, Class::Clean];

    fn of(work: &Work) -> Class {
        match work {
            Work::Job(request) => match &request.job {
                Job::CreateSegment { .. } | Job::Extend { .. } | Job::PrepareJournal { .. } => Class::Prepare,
                Job::DeleteFiles { .. } | Job::Truncate { .. } => Class::Retention,
                Job::Compact(_) => Class::Clean,
                Job::Open { .. }
                | Job::WriteFile { .. }
                | Job::ReadFile { .. }
                | Job::FlushNames { .. }
                | Job::DiskSpace => Class::Prompt,
            },
            Work::Retire(_) => Class::Retention,
        }
    }
    fn shares(self) -> usize {
        match self {
            Class::Prompt => 1000,
            Class::Prepare => 500,
            Class::Retention => 200,
            Class::Clean => 100,
        }
    }
    /// Jobs under way at once. Flushes of many small jobs share one file-system commit, so some width pays.
    fn width(self) -> usize {
        match self {
            Class::Prompt => 16,
            Class::Prepare => 32,
            Class::Retention => 2,
            Class::Clean => 1,
        }
    }
}

/// What is under way and what waits its turn.
#[derive(Default)]
struct Desk {
    waiting: VecDeque<Work>,
    running: [usize; Class::ALL.len()],
    busy_paths: BTreeSet<String>,
    /// A job has ended since the last look.
    ended: bool,
    /// The heartbeat task is there.
    beating: bool,
    waker: Option<Waker>,
}

impl Desk {
    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.running.iter().all(|count| *count == 0)
    }

    /// The oldest work that may start now.
    fn next(&mut self) -> Option<(Class, Work)> {
        let position = self.waiting.iter().position(|work| {
            let class = Class::of(work);
            self.running[class as usize] < class.width()
                && !work.path().is_some_and(|path| self.busy_paths.contains(path))
        })?;
        let work = self.waiting.remove(position)?;
        let class = Class::of(&work);
        self.running[class as usize] += 1;
        self.busy_paths.extend(work.path().map(str::to_owned));
        Some((class, work))
    }

    fn end(&mut self, class: Class, path: Option<String>) {
        self.running[class as usize] -= 1;
        if let Some(path) = path {
            self.busy_paths.remove(&path);
        }
        self.ended = true;
        self.waker.take().into_iter().for_each(Waker::wake);
    }
}

/// The root task: hands out work until the queue is closed and everything under way has ended.
async fn serve(queue: Arc<Queue>, root: Rc<Root>) {
    let handles = Class::ALL.map(|class| {
        let shares = Shares::Static(class.shares());
        glommio::executor().create_task_queue(shares, Latency::NotImportant, &format!("{class:?}"))
    });
    let desk = Rc::new(RefCell::new(Desk::default()));
    loop {
        // Nothing is under way, so the whole executor may sleep.
        if !queue.sleep() {
            break;
        }
        if !std::mem::replace(&mut desk.borrow_mut().beating, true) {
            glommio::spawn_local(heartbeat(desk.clone())).detach();
        }
        loop {
            next_change(&queue, &desk).await;
            start_all(&desk, &handles, &root);
            if desk.borrow().is_idle() {
                break;
            }
        }
    }
    // No task is left behind when the executor ends.
    while desk.borrow().beating {
        sleep(HEARTBEAT).await;
    }
}

/// Ready when work has come or a job has ended.
async fn next_change(queue: &Queue, desk: &RefCell<Desk>) {
    poll_fn(|context| {
        let mut desk = desk.borrow_mut();
        let more = queue.poll_take(&mut desk.waiting, context.waker()).is_ready();
        if std::mem::take(&mut desk.ended) || more {
            return Poll::Ready(());
        }
        desk.waker = Some(context.waker().clone());
        Poll::Pending
    })
    .await;
}

/// Keeps the executor from sleeping long while there is work.
async fn heartbeat(desk: Rc<RefCell<Desk>>) {
    while !desk.borrow().is_idle() {
        sleep(HEARTBEAT).await;
        let waker = desk.borrow_mut().waker.take();
        waker.into_iter().for_each(Waker::wake);
    }
    desk.borrow_mut().beating = false;
}

fn start_all(desk: &Rc<RefCell<Desk>>, handles: &[TaskQueueHandle; Class::ALL.len()], root: &Rc<Root>) {
    loop {
        let Some((class, work)) = desk.borrow_mut().next() else {
            return;
        };
        let path = work.path().map(str::to_owned);
        let (ending, root) = (desk.clone(), root.clone());
        let task = async move {
            perform(work, root).await;
            ending.borrow_mut().end(class, path);
        };
        match glommio::spawn_local_into(task, handles[class as usize]) {
            Ok(task) => drop(task.detach()),
            Err(error) => panic!("a task queue of our own has gone: {error}"),
        }
    }
}

async fn perform(work: Work, root: Rc<Root>) {
    match work {
        Work::Job(request) => run_job(request, root).await,
        Work::Retire(file) => free_in_steps(file).await,
    }
}

async fn run_job(request: JobRequest, root: Rc<Root>) {
    let given = match (&request.job, request.file) {
        (Job::Extend { file, .. } | Job::Truncate { file, .. }, Some(open)) => Some((*file, open)),
        _ => None,
    };
    let files = JobFiles::new(root, given);
    let mut result = jobs::run(&request.job, &files).await;
    let file = files.close_all().await;
    let opens = matches!(
        request.job,
        Job::CreateSegment { .. } | Job::Open { .. } | Job::PrepareJournal { .. }
    );
    if opens && result == JobResult::Done && file.is_none() {
        result = JobResult::Failed {
            errno: libc::EMFILE,
            what: "hand over an open file".into(),
        };
    }
    if let JobResult::Failed { errno, what } = &result
        && *errno == libc::EOPNOTSUPP
    {
        tracing::error!(
            what,
            "the file system has no direct I/O: put the data directory on ext4 or xfs, not on tmpfs"
        );
    }
    request.reply.post(Note::JobDone {
        key: request.key,
        result,
        file,
    });
}

/// Closes a file. When it has no name any more and nobody else has it open, its blocks are freed piece by piece first, since
/// the file system would otherwise free them all in one go, with its journal locked.
async fn free_in_steps(file: Arc<OwnedFd>) {
    let Ok(fd) = Arc::try_unwrap(file) else { return };
    let file = File::from(fd);
    while let Some(rest) = unnamed_bytes(&file).filter(|bytes| *bytes > FREE_STEP) {
        if file.set_len(rest - FREE_STEP).is_err() {
            break;
        }
        sleep(FREE_PAUSE).await;
    }
    glommio::executor().spawn_blocking(move || drop(file)).await;
}

/// Size of a file that has no name any more.
fn unnamed_bytes(file: &File) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    let metadata = file.metadata().ok()?;
    (metadata.nlink() == 0).then_some(metadata.len())
}

//! A stand-in broker, just large enough for the rigs: it proves that they pass what is right and find what is wrong.
//!
//! One journal file, pre-written and opened with direct I/O; one block write with RWF_DSYNC per request before the answer
//! leaves; recovery reads the blocks back. Planted faults make it wrong in known ways. Run as `powercut start`, so that
//! the rigs start it as they start ringlog.

mod journal;
mod server;
mod state;

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::error::{Context, Result};

/// What the stand-in does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Fault {
    /// Nothing.
    None,
    /// Acknowledges what is written and not flushed.
    NoFlush,
    /// Appends a batch that was sent again.
    NoDedup,
    /// Forgets the sequences of producers when it restarts.
    ForgetProducers,
    /// Recovers the header of a block without looking at its checksum.
    NoChecksum,
}

/// SIGTERM: all that was acknowledged is durable already.
extern "C" fn leave(_signal: libc::c_int) {
    // SAFETY: _exit may be called at any time.
    unsafe { libc::_exit(0) }
}

impl Fault {
    /// As it is written on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::NoFlush => "no-flush",
            Self::NoDedup => "no-dedup",
            Self::ForgetProducers => "forget-producers",
            Self::NoChecksum => "no-checksum",
        }
    }
}

/// Serves `data_dir` at `listen` until the process is killed.
///
/// # Errors
/// When the data directory or the address cannot be used.
pub fn serve(data_dir: &Path, listen: SocketAddr, fault: Fault) -> Result<()> {
    // SAFETY: the handler only calls _exit, which is async-signal-safe.
    unsafe { libc::signal(libc::SIGTERM, leave as extern "C" fn(libc::c_int) as libc::sighandler_t) };
    std::fs::create_dir_all(data_dir).context("data directory")?;
    let (journal, entries) = journal::Journal::open(&data_dir.join("journal"), fault)?;
    let mut state = state::State::new(fault);
    for entry in &entries {
        state.replay(entry)?;
    }
    let shared = Arc::new(Mutex::new((state, journal)));
    let listener = TcpListener::bind(listen).context("listen")?;
    for stream in listener.incoming() {
        let (stream, shared) = (stream.context("accept")?, shared.clone());
        std::thread::spawn(move || server::connection(stream, &shared));
    }
    Ok(())
}

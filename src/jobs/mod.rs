//! Background jobs: multi-step work on files, written over the small [`Files`] trait so that the background plane runs them
//! on a real disk and tests run them on a model disk that can crash at every step.
//!
//! Invariants: a job ends in exactly one `JobResult`; every job but `DeleteFiles` is atomic, because its outcome gets its name
//! only after it is complete and flushed (RELIABILITY mode 10: temporary, flush, rename, flush the directory).
//! Must not know: executors, threads, real files, clocks.

mod compact;
mod files;
mod ready;
mod run;

#[cfg(test)]
pub(crate) mod mem;
#[cfg(test)]
mod tests;

pub use files::{Errno, FileResult, Files};
pub use ready::block_on_ready;
pub use run::{UNFINISHED, run};

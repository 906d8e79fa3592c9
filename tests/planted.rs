//! Does the simulator find bugs? Each planted bug (`src/base/planted.rs`) has to be found within [`SEEDS_MAX`] seeds.
//!
//! A seed counts only when it passes without the bug, so nothing is found by a fault that was there before. A panic of the
//! production code's own assertions counts as found, and the table says so.
//!
//! `cargo test --test planted -- --nocapture` prints the table; `RINGLOG_PLANTED=TailRewrite` tries one bug. Release builds have none.

#![cfg(debug_assertions)]
#![allow(clippy::unwrap_used)]

use ringlog::base::planted::{ALL, Planted, plant};
use ringlog::sim::world::{Limits, run};
use std::cell::{Cell, RefCell};
use std::panic;
use std::sync::Mutex;
use std::sync::Once;
use std::thread;
use std::time::{Duration, Instant};

/// Seeds within which a bug has to be found.
const SEEDS_MAX: u64 = 10_000;
/// Seeds that have to pass without a bug.
const CONTROL: u64 = 60;

thread_local! {
    /// The run of a seed is under way in this thread: a panic is noted instead of printed.
    static RUNNING: Cell<bool> = const { Cell::new(false) };
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

fn note_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| match RUNNING.get() {
            true => PANIC.set(info.to_string()),
            false => print(info),
        }));
    });
}

/// Runs one seed; the error says who complained and what about.
fn try_seed(seed: u64, bug: Option<Planted>) -> Result<(), String> {
    plant(bug);
    RUNNING.set(true);
    let outcome = panic::catch_unwind(|| run(seed, Limits::default()));
    RUNNING.set(false);
    plant(None);
    match outcome {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(why)) => Err(format!("checker: {why}")),
        Err(_) => Err(PANIC.take().replace('\n', " ")),
    }
}

struct Found {
    seed: u64,
    what: String,
    took: Duration,
}

/// The first seed that fails with the bug and passes without it.
fn find(bug: Planted) -> Option<Found> {
    let begin = Instant::now();
    (0..SEEDS_MAX).find_map(|seed| {
        let what = try_seed(seed, Some(bug)).err()?;
        let took = begin.elapsed();
        try_seed(seed, None).is_ok().then_some(Found { seed, what, took })
    })
}

#[test]
fn every_planted_bug_is_found() {
    note_panics();
    let wanted = std::env::var("RINGLOG_PLANTED").ok();
    let bugs = ALL
        .iter()
        .filter(|b| wanted.as_ref().is_none_or(|w| *w == format!("{b:?}")));
    let bugs: Vec<Planted> = bugs.rev().copied().collect();
    assert!(!bugs.is_empty(), "no bug is called {wanted:?}");
    let queue = Mutex::new(bugs);
    let missed = Mutex::new(Vec::new());
    let next = || queue.lock().unwrap().pop();
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(bug) = next() {
                    let Some(Found { seed, what, took }) = find(bug) else {
                        missed.lock().unwrap().push(bug);
                        continue;
                    };
                    let name = format!("{bug:?}");
                    let what: String = what.chars().take(160).collect();
                    println!("{name:24} seed {seed:5} ({:5.1} s)  {what}", took.as_secs_f64());
                }
            });
        }
    });
    let missed = missed.into_inner().unwrap();
    assert!(missed.is_empty(), "not found in {SEEDS_MAX} seeds: {missed:?}");
}

#[test]
fn without_a_bug_the_same_seeds_pass() {
    note_panics();
    for seed in 0..CONTROL {
        assert_eq!(try_seed(seed, None), Ok(()), "seed {seed}");
    }
}

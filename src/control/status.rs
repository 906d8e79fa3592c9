//! What health checks are told: one phase, set by boot.

use std::sync::{Mutex, PoisonError};

/// Where the broker is in its life.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Reading the log; the text says how far.
    Recovering(String),
    /// Serving.
    Ready,
    /// Finishing what was accepted.
    Draining,
    /// No longer acknowledging; the text says why.
    Failed(String),
}

/// The phase, shared between boot and the control thread.
#[derive(Debug)]
pub struct Status {
    phase: Mutex<Phase>,
}

impl Default for Status {
    fn default() -> Self {
        Status {
            phase: Mutex::new(Phase::Recovering("starting".into())),
        }
    }
}

impl Status {
    /// Enters a phase; a failure is final.
    pub fn set(&self, phase: Phase) {
        let mut current = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*current, Phase::Failed(_)) {
            *current = phase;
        }
    }

    /// The phase now.
    pub fn phase(&self) -> Phase {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

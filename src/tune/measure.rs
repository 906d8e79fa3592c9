//! What one item is worth on this machine: the durable write without it, with it, with it, without it; then all as before.
//!
//! A-B-B-A, so that a disk that slowly warms up or fills does not look like an effect.

use crate::tune::apply::{Changed, Journal, apply, undo};
use crate::tune::probe::{DurableMode, Latency, Probe};
use crate::tune::rule::Finding;
use crate::tune::sysroot::Sysroot;
use serde::Serialize;
use std::io;
use std::time::Duration;

/// Four measurements of one item.
#[derive(Debug, Serialize)]
pub struct Measured {
    /// The finding's name.
    pub item: String,
    /// As the machine was: first and last.
    pub before: [Latency; 2],
    /// As it is wanted: the two between.
    pub after: [Latency; 2],
}

/// Measures `finding` with writes of `bytes`; the old values are back when it returns, also after an error.
///
/// # Errors
/// The kernel refuses a value, the journal or the probe file cannot be written.
pub fn measure(
    root: &Sysroot,
    journal: &mut Journal,
    finding: &Finding,
    probe: &Probe,
    bytes: usize,
    time: Duration,
) -> io::Result<Measured> {
    let look = || probe.durable(DurableMode::Dsync, bytes, time);
    let first = look()?;
    let set = apply(root, journal, std::slice::from_ref(finding))?;
    let between = || -> io::Result<[Latency; 2]> {
        let refused = set.iter().find_map(|change| match &change.outcome {
            Changed::Refused(reason) => Some(format!("{}: {reason}", change.path)),
            _ => None,
        });
        match refused {
            Some(reason) => Err(io::Error::other(reason)),
            None => Ok([look()?, look()?]),
        }
    };
    let after = between();
    undo(root, journal, std::slice::from_ref(&finding.item))?;
    Ok(Measured {
        item: finding.item.clone(),
        before: [first, look()?],
        after: after?,
    })
}

//! Host tuning: what the machine is set to, what a broker wants, the exact writes between the two, and the way back.
//!
//! Invariants: reading changes nothing and needs no root; nothing is written without `apply`; the old value is on the disk
//! before the new one is set; what cannot be known is "n/a" with the reason and never an error. Everything is read and written
//! below a [`Sysroot`], so every rule is tested on a made-up tree. Must not know how findings are printed.

mod apply;
mod export;
mod host;
mod measure;
mod probe;
mod rule;
mod rules;
mod sysroot;
#[cfg(test)]
mod tests;

pub use apply::{Change, Changed, Entry, Journal, JournalError, apply, undo};
pub use export::{Form, export, shell};
pub use host::{Host, Profile, Scope};
pub use measure::{Measured, measure};
pub use probe::{DurableMode, Latency, Probe, Rates};
pub use rule::{Finding, Persist, Rule, Status, Write};
pub use sysroot::Sysroot;

/// All findings, in the order of the rules.
pub fn check(host: &Host) -> Vec<Finding> {
    rules::ALL.iter().flat_map(|rule| rule.check(host)).collect()
}

/// The rule of an item: by its own name (`disk.scheduler`) or that of a finding (`disk.vda.scheduler`).
pub fn rule(name: &str) -> Option<&'static Rule> {
    rules::ALL.iter().copied().find(|rule| rule.matches(name))
}

/// The names of all rules.
pub fn names() -> impl Iterator<Item = &'static str> {
    rules::ALL.iter().map(|rule| rule.name)
}

/// The findings that `items` name (all of them if none is given).
pub fn select(findings: Vec<Finding>, items: &[String]) -> Vec<Finding> {
    let wanted = |finding: &Finding| items.is_empty() || items.iter().any(|item| finding.is(item));
    findings.into_iter().filter(wanted).collect()
}

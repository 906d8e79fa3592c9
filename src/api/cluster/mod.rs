//! What administrators ask of the cluster as a whole: directories, leaders, quotas, credentials, what there is.
//!
//! With one node much of it has one answer: every leader is the preferred one, nothing moves, no transaction is open.

pub(super) mod leaders;
pub(super) mod log_dirs;
pub(super) mod quotas;
pub(super) mod resources;
pub(super) mod scram;
pub(super) mod transactions;

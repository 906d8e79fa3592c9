//! From a frame to an operation: header, version, refusal; the table of operations in flight; replies as bytes.
//!
//! Must not know: what an API does, topics, sockets.

pub mod admit;
pub mod ops;
pub mod reply;

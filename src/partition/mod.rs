//! Partitions: the owner's side of a produce, fetch, offset or truncation request.

pub mod request;

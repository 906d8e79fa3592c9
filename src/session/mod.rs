//! Sessions: one client connection each, from bytes to whole frames and from replies to ordered sends.
//!
//! Invariants: frames leave a session in the order they came; replies leave in the order of their requests; memory for a
//! frame grows with the bytes that arrive, never with the length it declares; when a bound is reached the session stops
//! receiving, so that the client's TCP slows down. Must not know: APIs, topics, what a frame says beyond its length.

pub mod inbox;
pub mod limits;
pub mod slots;
pub mod table;

mod conn;
#[cfg(test)]
mod tests;

pub use conn::Session;
pub use slots::Reply;

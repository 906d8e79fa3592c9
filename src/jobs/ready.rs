//! Polling for futures that never wait, such as those over a model disk.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// The output of a future that is ready at its first poll.
///
/// # Panics
/// When it waits: it is driven by something that needs an executor, a bug of the caller.
pub fn block_on_ready<F: Future>(future: F) -> F::Output {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("future waits, but there is no executor"),
    }
}

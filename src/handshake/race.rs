//! The first of two futures.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

/// The output of the future that is ready first; the other one is dropped. At each poll `preferred` is
/// polled first.
pub(super) async fn race<T>(preferred: impl Future<Output = T>, other: impl Future<Output = T>) -> T {
    let (mut preferred, mut other) = (pin!(preferred), pin!(other));
    poll_fn(|cx| match preferred.as_mut().poll(cx) {
        Poll::Pending => other.as_mut().poll(cx),
        ready => ready,
    })
    .await
}

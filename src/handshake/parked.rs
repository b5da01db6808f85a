//! What came of running a call on a fiber, and the fibers that wait.

use super::{Batcher, HandshakeError};
use crate::error::Error;
use crate::fiber::{self, contained};
use crate::provider::answer::{Answer, Ask, Reply};
use std::cell::Cell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

pub(super) type Fiber<R> = fiber::Parked<Ask, Reply, R>;

/// What came of running a call until it ended or had to wait.
#[must_use]
pub enum Step<K: 'static, R: 'static> {
    /// It returned this.
    Done(R),
    /// It waits for a batch, until [`Batcher::turn`] names its key.
    Parked(Parked<K, R>),
    /// A callback of rustls in it called [`wait`](super::wait()): poll its future, or refuse by resuming.
    Awaits(Awaiting<K, R>),
    /// It panicked, or there was no stack for it. What it owned is gone.
    Failed(HandshakeError),
}

/// A call that waits for a batch.
///
/// Dropping it withdraws its operation and gives the call up: it runs to its end, without waiting again.
pub struct Parked<K: 'static, R: 'static> {
    // Dropped in this order.
    waiting: Waiting<K>,
    fiber: Fiber<R>,
    key: K,
}

impl<K: Copy, R> Parked<K, R> {
    pub(super) fn new(waiting: Waiting<K>, fiber: Fiber<R>, key: K) -> Self {
        Self { waiting, fiber, key }
    }

    /// Runs the call on, if its batch has run; else it stays parked.
    pub fn resume(self) -> Step<K, R> {
        let Some(answer) = self.waiting.slot.answer.take() else { return Step::Parked(self) };
        self.waiting.batcher.resume(self.key, self.fiber, Reply::Answer(answer))
    }

    pub(super) fn is_answered(&self) -> bool {
        self.waiting.slot.has_left.get()
    }

    /// Ready when the batch has run.
    pub(super) fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        if self.is_answered() {
            return Poll::Ready(());
        }
        self.waiting.slot.waker.set(Some(cx.waker().clone()));
        Poll::Pending
    }
}

/// A request that is queued or answered: withdrawn when dropped.
pub(super) struct Waiting<K> {
    slot: Rc<Slot>,
    batcher: Batcher<K>,
}

impl<K> Waiting<K> {
    pub(super) fn new(slot: Rc<Slot>, batcher: Batcher<K>) -> Self {
        Self { slot, batcher }
    }
}

impl<K> Drop for Waiting<K> {
    fn drop(&mut self) {
        if !self.slot.has_left.get() {
            // Nobody is to be woken for that.
            self.slot.waker.take();
            self.batcher.withdraw(&self.slot);
        }
    }
}

/// Where the answer to one request is put.
#[derive(Default)]
pub(super) struct Slot {
    /// Whether the request is not queued any more. Then there was an answer.
    has_left: Cell<bool>,
    answer: Cell<Option<Answer>>,
    waker: Cell<Option<Waker>>,
}

impl Slot {
    pub(super) fn answer(&self, answer: Answer) {
        self.answer.set(Some(answer));
    }

    /// The request has left the queue. One without an answer was lost on its way, to a panic.
    pub(super) fn leave(&self) {
        let answer = self.answer.take().unwrap_or(Err(Error::Cancelled));
        self.answer.set(Some(answer));
        self.has_left.set(true);
        if let Some(waker) = self.waker.take() {
            // It may be anybody's, and others are to be woken, too.
            let _woken = contained(|| waker.wake());
        }
    }
}

/// A call that waits for a future, which one of its callbacks has given to [`wait`](super::wait()).
///
/// An event loop without wakers resumes it at once: then `wait` fails with
/// [`NotAwaited::NotOnEngine`](super::NotAwaited::NotOnEngine), and the callback has to do without. Dropping
/// it drops the future and gives the call up: it runs to its end, without waiting again.
pub struct Awaiting<K: 'static, R: 'static> {
    // Dropped in this order.
    future: Pin<Box<dyn Future<Output = Result<(), HandshakeError>> + Send>>,
    fiber: Fiber<R>,
    key: K,
    batcher: Batcher<K>,
}

impl<K: Copy, R> Awaiting<K, R> {
    pub(super) fn new(
        future: Pin<Box<dyn Future<Output = ()> + Send>>,
        fiber: Fiber<R>,
        key: K,
        batcher: Batcher<K>,
    ) -> Self {
        Self { future: Box::pin(unpanicking(future)), fiber, key, batcher }
    }

    /// Polls the future: ready when the call can be resumed.
    ///
    /// # Errors
    /// [`HandshakeError::Panicked`] when the future panics: drop the call.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), HandshakeError>> {
        self.future.as_mut().poll(cx)
    }

    /// Runs the call on; `wait` fails if its future was not ready.
    pub fn resume(self) -> Step<K, R> {
        drop(self.future);
        self.batcher.resume(self.key, self.fiber, Reply::Awaited)
    }
}

/// Awaits `future`, and makes an error of its panic.
pub(crate) async fn unpanicking<F>(mut future: Pin<Box<F>>) -> Result<F::Output, HandshakeError>
where
    F: Future + ?Sized,
{
    poll_fn(|cx| match contained(|| future.as_mut().poll(cx)) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(panic.into())),
    })
    .await
}

impl<K, R> fmt::Debug for Parked<K, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parked(..)")
    }
}

impl<K, R> fmt::Debug for Awaiting<K, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Awaiting(..)")
    }
}

impl<K, R> fmt::Debug for Step<K, R> {
    /// Names the step only: results may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Done(_) => "Done(..)",
            Self::Parked(_) => "Parked(..)",
            Self::Awaits(_) => "Awaits(..)",
            Self::Failed(_) => "Failed(..)",
        })
    }
}

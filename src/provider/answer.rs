//! Where rustls' operations wait for their answers: the only place that parks a fiber.
//!
//! What is asked reaches whoever started or resumed the fiber, as the `Step::Parked` that this call returns:
//! `see_to` in `handshake/batcher.rs`. It queues the request; the batch that the queue lets go is run by the
//! engine of the thread, or by its event loop, which resumes the fiber with the reply.

use super::unaccelerated;
use crate::error::Error;
use crate::fiber::{self, NotParked, is_unlocked};
use crate::ops::{Request, Response};
use std::pin::Pin;

/// What a fiber asks of its engine.
pub(crate) enum Ask {
    /// An operation that may wait for company.
    InBatch(Request),
    /// A verification that is answered before anything else runs on the thread.
    AtOnce(Request),
    /// A future of the application's, to be polled in the runtime of the handshake.
    Await {
        future: Pin<Box<dyn Future<Output = ()> + Send>>,
        /// Whether it is there to give a signature.
        for_signature: bool,
    },
}

/// What the engine replies.
pub(crate) enum Reply {
    /// To a request.
    Answer(Answer),
    /// To a future: it is ready, or nobody polls it.
    Awaited,
}

/// The result of an operation.
pub(crate) type Answer = Result<Response, Error>;

/// Parks the fiber of an engine until there is a reply.
///
/// # Errors
/// The caller is on no fiber, or its handshake is given up.
pub(crate) fn park(ask: Ask) -> Result<Reply, NotParked<()>> {
    fiber::park(ask).map_err(|e| match e {
        NotParked::NotOnFiber(_) => NotParked::NotOnFiber(()),
        NotParked::Cancelled => NotParked::Cancelled,
    })
}

/// The answer to a request: from a batch if the caller runs on a fiber, else at once. It is also made at once
/// when the engine has no place for it or its handshake is given up: rustls would blame the peer for an error
/// of ours.
pub(super) fn answer(request: impl Fn() -> Result<Request, Error>) -> Answer {
    let request_for_batch = request()?;
    if !is_on_engine() {
        unaccelerated::count_off_engine();
        return request_for_batch.run_scalar();
    }
    match ask(Ask::InBatch(request_for_batch)) {
        None | Some(Err(Error::QueueFull | Error::Cancelled)) => request()?.run_scalar(),
        Some(answer) => answer,
    }
}

/// The verdict on a signature. `None` when there is no fiber to park, no request because lanes do not serve
/// the key, or no verdict: a full queue, a batch that panicked and a handshake that was given up are no
/// reason to call a signature invalid, which is all that rustls lets us say.
pub(super) fn verdict(request: impl FnOnce() -> Option<Request>) -> Option<Result<(), Error>> {
    if !is_on_engine() {
        return None;
    }
    let request = request()?;
    // Whoever called rustls' verifier may hold a lock.
    match ask(if is_unlocked() { Ask::InBatch(request) } else { Ask::AtOnce(request) })? {
        Ok(Response::Verified) => Some(Ok(())),
        Ok(other) => unreachable!("a verification is answered with {other:?}"),
        Err(Error::InvalidSignature) => Some(Err(Error::InvalidSignature)),
        Err(_) => None,
    }
}

/// Whether [`ask`] finds an engine.
pub(crate) fn is_on_engine() -> bool {
    fiber::on_fiber::<Ask, Reply>()
}

/// Parks until an operation is answered. `None` when its handshake is given up.
fn ask(ask: Ask) -> Option<Answer> {
    match park(ask).ok()? {
        Reply::Answer(answer) => Some(answer),
        Reply::Awaited => unreachable!("an operation is answered"),
    }
}

//! Awaiting in the middle of a call of rustls.

use super::HandshakeError;
use crate::fiber::{NotParked, contained};
use crate::provider::answer::{Ask, Reply, park};
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

/// Waits for `future` in a callback of rustls: a certificate resolver, a verifier, a signer.
///
/// rustls calls these synchronously, so that elsewhere they would have to block a thread. On an engine the handshake is
/// parked until the future is ready; other handshakes run meanwhile. The future is polled by the task that awaits
/// [`accept`](super::TlsAcceptor::accept) or [`connect`](super::TlsConnector::connect), so that its sockets and timers are
/// those of that task's runtime. It is dropped with that future, and when the handshake's time is up. While it waits, its
/// fiber counts towards [`max_parked`](super::EngineConfig::max_parked).
///
/// As at an `await`, nothing may be held meanwhile that another handshake of the thread may wait for: no lock, no borrow.
///
/// ```
/// use rustls::server::{ClientHello, ResolvesServerCert};
/// use rustls::sign::CertifiedKey;
/// use rustls_multibuffer::handshake::wait;
/// use std::sync::Arc;
/// # async fn look_up(name: Option<String>) -> Option<Arc<CertifiedKey>> { None }
///
/// #[derive(Debug)]
/// struct OnDemand;
///
/// impl ResolvesServerCert for OnDemand {
///     fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
///         let name = hello.server_name().map(str::to_owned);
///         wait(look_up(name)).ok()?
///     }
/// }
/// ```
///
/// # Errors
/// [`NotAwaited::NotOnEngine`] at once where no engine's handshake can be parked; nothing was polled.
/// [`NotAwaited::GivenUp`] when the handshake is: the callback is to return as soon as it can.
pub fn wait<F>(future: F) -> Result<F::Output, NotAwaited>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let output = Arc::new(Mutex::new(None));
    let slot = output.clone();
    let fill = async move {
        let ready = future.await;
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(ready);
    };
    match park(Ask::Await(Box::pin(fill))) {
        Err(NotParked::NotOnFiber(_)) => Err(NotAwaited::NotOnEngine),
        Err(NotParked::Cancelled) => Err(NotAwaited::GivenUp),
        Ok(_) => output.lock().unwrap_or_else(PoisonError::into_inner).take().ok_or(NotAwaited::GivenUp),
    }
}

/// Why [`wait`] gave no output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotAwaited {
    /// The caller was not called by a handshake that runs on an engine.
    NotOnEngine,
    /// The handshake was dropped, took too long, or lost its engine.
    GivenUp,
}

impl fmt::Display for NotAwaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotOnEngine => "only a handshake that runs on an engine can wait here",
            Self::GivenUp => "the handshake was given up",
        })
    }
}

impl std::error::Error for NotAwaited {}

/// Polls a future that a fiber waits for. Its panic ends the handshake only.
pub(super) async fn awaited(
    mut future: Pin<Box<dyn Future<Output = ()> + Send>>,
) -> Result<Reply, HandshakeError> {
    let polled = poll_fn(|cx| match contained(|| future.as_mut().poll(cx)) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => std::task::Poll::Ready(Err(panic)),
    });
    polled.await?;
    Ok(Reply::Awaited)
}

//! Awaiting in the middle of a call of rustls.

use crate::fiber::NotParked;
use crate::provider::answer::{Ask, park};
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

/// Waits for `future` in a callback of rustls: a certificate resolver, a verifier, a signer.
///
/// rustls calls these synchronously, so that elsewhere they would have to block a thread. On an engine the
/// handshake is parked until the future is ready; other handshakes run meanwhile. The future is polled
/// where the handshake is, in the runtime in which [`accept`](super::TlsAcceptor::accept),
/// [`connect`](super::TlsConnector::connect) or [`run`](super::Engine::run) was called: its sockets and
/// timers work. It is dropped with the handshake, and when the handshake's time is up. While it waits, its
/// fiber counts towards [`max_parked`](super::EngineConfig::max_parked).
///
/// As at an `await`, nothing may be held meanwhile that another handshake of the thread may wait for: no
/// lock, no borrow.
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
/// [`NotAwaited::NotOnEngine`] at once where no engine's handshake can be parked, and on a
/// [`Batcher`](super::Batcher) whose event loop polls no futures; nothing was polled.
/// [`NotAwaited::GivenUp`] when the handshake is: the callback is to return as soon as it can.
pub fn wait<F>(future: F) -> Result<F::Output, NotAwaited>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    wait_asking(future, false)
}

/// [`wait`], for a signature that is made elsewhere: the handshake has not forgotten to ask for one.
pub(crate) fn wait_for_signature<F>(future: F) -> Result<F::Output, NotAwaited>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    wait_asking(future, true)
}

fn wait_asking<F>(future: F, for_signature: bool) -> Result<F::Output, NotAwaited>
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
    match park(Ask::Await { future: Box::pin(fill), for_signature }) {
        Err(NotParked::NotOnFiber(_)) => Err(NotAwaited::NotOnEngine),
        Err(NotParked::Cancelled) => Err(NotAwaited::GivenUp),
        // Resumed before the future was ready: whoever runs the handshake awaits nothing.
        Ok(_) => output.lock().unwrap_or_else(PoisonError::into_inner).take().ok_or(NotAwaited::NotOnEngine),
    }
}

/// Why [`wait`] gave no output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotAwaited {
    /// The caller was not called by a handshake that runs on an engine, or on a
    /// [`Batcher`](super::Batcher) that awaits.
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

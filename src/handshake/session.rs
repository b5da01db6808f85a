//! What an acceptor or connector needs of an engine; sealed, because only the engines of this crate keep
//! its promises.

use super::HandshakeError;
use super::asked::Asked;
use super::gate::Gate;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// An engine that handshakes can run on: [`Engine`](super::Engine) or [`LocalEngine`](super::LocalEngine).
pub trait HandshakeEngine: Clone + 'static {
    #[doc(hidden)]
    type Session: Session + 'static;

    #[doc(hidden)]
    fn begin(&self) -> Self::Session;
}

/// One future's relation to its engine, which it keeps open.
pub trait Session {
    fn gate(&self) -> &Gate;

    /// Why no future can run on the engine, whatever its state is.
    fn unusable(&self) -> Option<HandshakeError> {
        None
    }

    /// What the future has asked for so far.
    fn asked(&self) -> &Asked;

    /// Ready when the future has taken too long since the session began.
    fn timeout(&self) -> impl Future<Output = ()>;

    /// Ready after `time`, the same in every call.
    fn pause(&self, time: Duration) -> impl Future<Output = ()>;

    /// Polls `future` on fibers until it is ready. Dropping what is returned ends the fiber and drops
    /// `future`.
    fn run<F>(&self, future: Pin<Box<F>>) -> impl Future<Output = Result<F::Output, HandshakeError>>
    where
        F: Future<Output: Send> + Send + 'static;
}

//! What an acceptor or connector needs of an engine; sealed, because only the engines of this crate keep its promises.

use super::HandshakeError;
use super::gate::Gate;
use super::work::{Finished, Work};
use std::future::Future;
use std::time::Duration;

/// An engine that handshakes can run on: [`Engine`](super::Engine) or [`LocalEngine`](super::LocalEngine).
pub trait HandshakeEngine: Clone + 'static {
    #[doc(hidden)]
    type Session: Session + 'static;

    #[doc(hidden)]
    fn begin(&self) -> Self::Session;
}

/// One handshake's relation to its engine, which it keeps open.
pub trait Session {
    fn gate(&self) -> &Gate;

    /// Ready when the handshake has taken too long since the session began.
    fn timeout(&self) -> impl Future<Output = ()>;

    /// Ready after `time`, the same in every call.
    fn pause(&self, time: Duration) -> impl Future<Output = ()>;

    /// Runs a call into rustls on a fiber. Dropping the future ends the fiber.
    fn run(&self, work: Work) -> impl Future<Output = Result<Finished, HandshakeError>>;
}

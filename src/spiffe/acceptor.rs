//! Accepting mTLS connections as an identity that rotates.

use super::connection::Connection;
use super::party::Party;
use super::{Authorizer, Identity, LivePolicy, Snapshot, TlsOptions};
use crate::handshake::{HandshakeEngine, TlsAcceptor};
use rustls::ServerConfig;
use std::future::Future;
use std::{fmt, io};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::server::TlsStream;

/// Accepts mTLS connections as an [`Identity`], with handshakes that run on an engine.
///
/// Each handshake uses the generation that is current when it begins. There is no default authorizer; leaving
/// it out does not compile:
///
/// ```compile_fail,E0061
/// # use rustls_multibuffer::{handshake::Engine, spiffe::{Acceptor, Identity}};
/// fn acceptor(engine: Engine, identity: &Identity) -> Acceptor<Engine> {
///     Acceptor::new(engine, identity)
/// }
/// ```
///
/// ```
/// # use rustls_multibuffer::{handshake::Engine, spiffe::{Acceptor, Authorizer, Identity, TrustDomain}};
/// fn acceptor(engine: Engine, identity: &Identity, domain: TrustDomain) -> Acceptor<Engine> {
///     Acceptor::new(engine, identity, Authorizer::trust_domain(domain))
/// }
/// ```
#[derive(Clone)]
pub struct Acceptor<E>(Party<E, ServerConfig>);

impl<E> Acceptor<E> {
    /// An acceptor that presents `identity` and lets in the clients that `authorizer` permits.
    pub fn new(engine: E, identity: &Identity, authorizer: Authorizer) -> Self {
        Self::with_tls(engine, identity, authorizer, TlsOptions::default())
    }

    /// The same with other TLS settings.
    pub fn with_tls(engine: E, identity: &Identity, authorizer: Authorizer, options: TlsOptions) -> Self {
        Self(Party::new(engine, identity, authorizer, options, Snapshot::server_config))
    }

    /// The same with another policy for live connections.
    #[must_use]
    pub fn live_policy(mut self, live: LivePolicy) -> Self {
        self.0.live = live;
        self
    }

    /// The same with its handshakes on another engine. Both share the configuration of each generation and
    /// the sessions that are resumed. One that only serves to make others needs no engine itself: `()` will
    /// do.
    #[must_use]
    pub fn on<F: HandshakeEngine>(&self, engine: F) -> Acceptor<F> {
        Acceptor(self.0.on(engine))
    }

    /// The identity that it presents.
    pub fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// The engine that its handshakes run on.
    pub fn engine(&self) -> &E {
        &self.0.engine
    }
}

impl<E: HandshakeEngine> Acceptor<E> {
    /// Runs the server's side of an mTLS handshake over `io`, with the generation that is current now.
    ///
    /// Dropping the future cancels the handshake.
    ///
    /// # Errors
    /// Those of [`TlsAcceptor::accept`]. [`PeerError::of`](super::PeerError::of) finds out why the client's
    /// certificate was refused, and [`Unavailable::of`](super::Unavailable::of) why there is no identity to
    /// present; then nothing was sent.
    pub fn accept<IO>(
        &self,
        io: IO,
    ) -> impl Future<Output = io::Result<(TlsStream<IO>, Connection)>> + use<E, IO>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.0.handshake(
            |engine, config| TlsAcceptor::new(engine, config).accept(io),
            |stream: &TlsStream<IO>| stream.get_ref().1,
        )
    }
}

impl<E> fmt::Debug for Acceptor<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").field("authorizer", &self.0.authorizer).finish_non_exhaustive()
    }
}

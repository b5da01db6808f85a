//! Making mTLS connections as an identity that rotates.

use super::connection::Connection;
use super::party::Party;
use super::{Authorizer, Identity, LivePolicy, Snapshot, TlsOptions};
use crate::handshake::{HandshakeEngine, TlsConnector};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::future::Future;
use std::{fmt, io};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::client::TlsStream;

/// Makes mTLS connections as an [`Identity`], with handshakes that run on an engine.
///
/// Each handshake uses the generation that is current when it begins. Servers are told apart by their SPIFFE
/// IDs: for servers that different peers may answer for, make a connector each. There is no default
/// authorizer; leaving it out does not compile:
///
/// ```compile_fail,E0061
/// # use rustls_multibuffer::{handshake::Engine, spiffe::{Connector, Identity}};
/// fn connector(engine: Engine, identity: &Identity) -> Connector<Engine> {
///     Connector::new(engine, identity)
/// }
/// ```
///
/// ```
/// # use rustls_multibuffer::{handshake::Engine, spiffe::{Authorizer, Connector, Identity, SpiffeId}};
/// fn connector(engine: Engine, identity: &Identity, server: SpiffeId) -> Connector<Engine> {
///     Connector::new(engine, identity, Authorizer::exactly(server))
/// }
/// ```
#[derive(Clone)]
pub struct Connector<E>(Party<E, ClientConfig>);

impl<E> Connector<E> {
    /// A connector that presents `identity` and talks to the servers that `authorizer` permits.
    pub fn new(engine: E, identity: &Identity, authorizer: Authorizer) -> Self {
        Self::with_tls(engine, identity, authorizer, TlsOptions::default())
    }

    /// The same with other TLS settings.
    pub fn with_tls(engine: E, identity: &Identity, authorizer: Authorizer, options: TlsOptions) -> Self {
        Self(Party::new(engine, identity, authorizer, options, Snapshot::client_config))
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
    pub fn on<F: HandshakeEngine>(&self, engine: F) -> Connector<F> {
        Connector(self.0.on(engine))
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

impl<E: HandshakeEngine> Connector<E> {
    /// Runs the client's side of an mTLS handshake over `io`, with the generation that is current now.
    ///
    /// `name` is sent as the server name if it is a DNS name, and sessions are found by it; nobody is
    /// verified by it. Dropping the future cancels the handshake.
    ///
    /// # Errors
    /// Those of [`TlsConnector::connect`]. [`PeerError::of`](super::PeerError::of) finds out why the server's
    /// certificate was refused, and [`Unavailable::of`](super::Unavailable::of) why there is no identity to
    /// present; then nothing was sent.
    pub fn connect<IO>(
        &self,
        name: ServerName<'static>,
        io: IO,
    ) -> impl Future<Output = io::Result<(TlsStream<IO>, Connection)>> + use<E, IO>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.0.handshake(
            |engine, config| TlsConnector::new(engine, config).connect(name, io),
            |stream: &TlsStream<IO>| stream.get_ref().1,
        )
    }
}

impl<E> fmt::Debug for Connector<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("authorizer", &self.0.authorizer).finish_non_exhaustive()
    }
}

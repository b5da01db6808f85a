//! The client's side.

use super::connection::{Connection, Context, count_failure, in_words};
use super::endpoint::Endpoint;
use super::metric::Side;
use super::{Authorizer, Identity, LivePolicy, TlsOptions};
use crate::handshake::{HandshakeEngine, TlsConnector};
use rustls::ClientConfig;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::ServerName;
use std::future::Future;
use std::{fmt, io};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::client::TlsStream;

/// Makes mTLS connections as an [`Identity`], with handshakes that run on an engine.
///
/// Each handshake uses the generation that is current when it begins. Servers are told apart by their SPIFFE IDs: for servers that different
/// peers may answer for, make a connector each. There is no default authorizer; leaving it out does not compile:
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
pub struct Connector<E> {
    engine: E,
    endpoint: Endpoint<ClientConfig>,
    authorizer: Authorizer,
    algorithms: WebPkiSupportedAlgorithms,
    live: LivePolicy,
}

impl<E: HandshakeEngine> Connector<E> {
    /// A connector that presents `identity` and talks to the servers that `authorizer` permits.
    pub fn new(engine: E, identity: &Identity, authorizer: Authorizer) -> Self {
        Self::with_tls(engine, identity, authorizer, TlsOptions::default())
    }

    /// The same with other TLS settings.
    pub fn with_tls(engine: E, identity: &Identity, authorizer: Authorizer, options: TlsOptions) -> Self {
        let algorithms = options.provider.signature_verification_algorithms;
        let permits = authorizer.clone();
        let endpoint =
            Endpoint::new(identity, move |snapshot| snapshot.connectors_config(&permits, &options));
        Self { engine, endpoint, authorizer, algorithms, live: LivePolicy::keep() }
    }

    /// The same with another policy for live connections.
    #[must_use]
    pub fn live_policy(mut self, live: LivePolicy) -> Self {
        self.live = live;
        self
    }

    /// The identity that it presents.
    pub fn identity(&self) -> &Identity {
        self.endpoint.identity()
    }

    /// The engine.
    pub fn engine(&self) -> &E {
        &self.engine
    }

    /// Runs the client's side of an mTLS handshake over `io`, with the generation that is current now.
    ///
    /// `name` is sent as the server name if it is a DNS name, and sessions are found by it; nobody is verified by it.
    /// Dropping the future cancels the handshake.
    ///
    /// # Errors
    /// Those of [`TlsConnector::connect`]. [`PeerError::of`](super::PeerError::of) finds out why the server's certificate was refused, and
    /// [`Unavailable::of`](super::Unavailable::of) why there is no identity to present; then nothing was sent.
    pub fn connect<IO>(
        &self,
        name: ServerName<'static>,
        io: IO,
    ) -> impl Future<Output = io::Result<(TlsStream<IO>, Connection)>> + use<E, IO>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let store = self.identity().store().clone();
        let begun = self.endpoint.current().map(|ready| {
            let handshake = TlsConnector::new(self.engine.clone(), ready.config).begin();
            (handshake, self.context(ready.snapshot))
        });
        async move {
            let result = async {
                let (handshake, context) = begun?;
                let stream = handshake.run(name, io).await.map_err(in_words)?;
                let connection = context.admit(stream.get_ref().1)?;
                Ok((stream, connection))
            }
            .await;
            count_failure(&result, &store, Side::Client);
            result
        }
    }

    fn context(&self, snapshot: std::sync::Arc<super::Snapshot>) -> Context {
        Context {
            snapshot,
            store: self.identity().store().clone(),
            authorizer: self.authorizer.clone(),
            live: self.live,
            algorithms: self.algorithms,
            side: Side::Client,
        }
    }
}

impl<E: Clone> Clone for Connector<E> {
    fn clone(&self) -> Self {
        Self {
            engine: self.engine.clone(),
            endpoint: self.endpoint.clone(),
            authorizer: self.authorizer.clone(),
            algorithms: self.algorithms,
            live: self.live,
        }
    }
}

impl<E> fmt::Debug for Connector<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("authorizer", &self.authorizer).finish_non_exhaustive()
    }
}

//! The server's side.

use super::connection::{Connection, Context, count_failure, in_words};
use super::endpoint::Endpoint;
use super::metric::Side;
use super::{Authorizer, Identity, LivePolicy, TlsOptions};
use crate::handshake::{HandshakeEngine, TlsAcceptor};
use rustls::ServerConfig;
use rustls::crypto::WebPkiSupportedAlgorithms;
use std::future::Future;
use std::{fmt, io};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::server::TlsStream;

/// Accepts mTLS connections as an [`Identity`], with handshakes that run on an engine.
///
/// Each handshake uses the generation that is current when it begins. There is no default authorizer; leaving it out does
/// not compile:
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
pub struct Acceptor<E> {
    engine: E,
    endpoint: Endpoint<ServerConfig>,
    authorizer: Authorizer,
    algorithms: WebPkiSupportedAlgorithms,
    live: LivePolicy,
}

impl<E: HandshakeEngine> Acceptor<E> {
    /// An acceptor that presents `identity` and lets in the clients that `authorizer` permits.
    pub fn new(engine: E, identity: &Identity, authorizer: Authorizer) -> Self {
        Self::with_tls(engine, identity, authorizer, TlsOptions::default())
    }

    /// The same with other TLS settings.
    pub fn with_tls(engine: E, identity: &Identity, authorizer: Authorizer, options: TlsOptions) -> Self {
        let algorithms = options.provider.signature_verification_algorithms;
        let permits = authorizer.clone();
        let endpoint = Endpoint::new(identity, move |snapshot| snapshot.acceptors_config(&permits, &options));
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

    /// Runs the server's side of an mTLS handshake over `io`, with the generation that is current now.
    ///
    /// Dropping the future cancels the handshake.
    ///
    /// # Errors
    /// Those of [`TlsAcceptor::accept`]. [`PeerError::of`](super::PeerError::of) finds out why the client's certificate was refused, and
    /// [`Unavailable::of`](super::Unavailable::of) why there is no identity to present; then nothing was sent.
    pub fn accept<IO>(
        &self,
        io: IO,
    ) -> impl Future<Output = io::Result<(TlsStream<IO>, Connection)>> + use<E, IO>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let store = self.identity().store().clone();
        let begun = self.endpoint.current().map(|ready| {
            let handshake = TlsAcceptor::new(self.engine.clone(), ready.config).begin();
            (handshake, self.context(ready.snapshot))
        });
        async move {
            let result = async {
                let (handshake, context) = begun?;
                let stream = handshake.run(io).await.map_err(in_words)?;
                let connection = context.admit(stream.get_ref().1)?;
                Ok((stream, connection))
            }
            .await;
            count_failure(&result, &store, Side::Server);
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
            side: Side::Server,
        }
    }
}

impl<E: Clone> Clone for Acceptor<E> {
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

impl<E> fmt::Debug for Acceptor<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").field("authorizer", &self.authorizer).finish_non_exhaustive()
    }
}

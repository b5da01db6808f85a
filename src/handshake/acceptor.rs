//! Accepting TLS connections on an engine.

use super::alert::{Watched, complete};
use super::session::HandshakeEngine;
use rustls::ServerConfig;
use std::future::Future;
use std::sync::Arc;
use std::{fmt, io};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::server::TlsStream;

/// Accepts TLS connections like [`tokio_rustls::TlsAcceptor`], with handshakes that run on an engine.
///
/// The streams that come out are tokio-rustls' own. For whatever else tokio-rustls offers, such as its
/// `LazyConfigAcceptor` or `accept_with`, use that on [`Engine::run`](super::Engine::run).
#[derive(Clone)]
pub struct TlsAcceptor<E> {
    engine: E,
    stock: tokio_rustls::TlsAcceptor,
}

impl<E: HandshakeEngine> TlsAcceptor<E> {
    /// An acceptor for `config`, whose operations are batched if its keys come from
    /// [`provider`](crate::provider): with any other provider it works, and batches nothing.
    pub fn new(engine: E, config: Arc<ServerConfig>) -> Self {
        Self { engine, stock: config.into() }
    }

    /// The rustls configuration.
    pub fn config(&self) -> &Arc<ServerConfig> {
        self.stock.config()
    }

    /// The engine that handshakes run on.
    pub fn engine(&self) -> &E {
        &self.engine
    }

    /// Runs the server's side of a TLS handshake over `io`; its time begins now.
    ///
    /// The future keeps the engine open. Dropping it cancels the handshake.
    ///
    /// # Errors
    /// Those of `io`; [`io::ErrorKind::InvalidData`] with a [`rustls::Error`] inside when the handshake
    /// fails, after the peer was sent the alert; [`HandshakeError`](super::HandshakeError) when the engine
    /// gives it up.
    pub fn accept<IO>(&self, io: IO) -> impl Future<Output = io::Result<TlsStream<IO>>> + use<E, IO>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let stock = self.stock.clone();
        let handshake = async move {
            let mut io = Watched::new(io);
            let finished = match stock.accept(&mut io).await {
                Ok(stream) => stream.into_inner().1,
                Err(error) => return Err(io.failed(error)),
            };
            // tokio-rustls finds a connection that has nothing left to do, all of it flushed, and wraps it
            // without waiting.
            let wrapped = stock.accept_with(io.into_inner(), |fresh| *fresh = finished);
            wrapped.into_fallible().await.map(Box::new).map_err(|(error, io)| Watched::new(io).failed(error))
        };
        complete(self.engine.begin(), Box::pin(handshake), |counts, asked, stream| {
            counts.judge(asked, true, stream.get_ref().1);
        })
    }
}

impl<E> fmt::Debug for TlsAcceptor<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsAcceptor")
    }
}

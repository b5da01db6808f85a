//! The server's side.

use super::drive::{complete, supervise};
use super::session::{HandshakeEngine, Session};
use rustls::{Connection, ServerConfig, ServerConnection};
use std::future::Future;
use std::sync::Arc;
use std::{fmt, io};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::server::TlsStream;

/// Accepts TLS connections like [`tokio_rustls::TlsAcceptor`], with handshakes that run on an engine.
///
/// The streams that come out are tokio-rustls' own.
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

    /// The engine.
    pub fn engine(&self) -> &E {
        &self.engine
    }

    /// Runs the server's side of a TLS handshake over `io`.
    ///
    /// The future keeps the engine open. Dropping it cancels the handshake.
    ///
    /// # Errors
    /// Those of `io`; [`io::ErrorKind::InvalidData`] with a [`rustls::Error`] inside when the handshake fails, after the
    /// peer was sent the alert; [`HandshakeError`](super::HandshakeError) when the engine gives it up.
    pub fn accept<IO>(&self, io: IO) -> impl Future<Output = io::Result<TlsStream<IO>>> + use<E, IO>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        self.begin().run(io)
    }

    /// A handshake whose time runs already.
    pub(crate) fn begin(&self) -> Begun<E::Session> {
        Begun { session: self.engine.begin(), stock: self.stock.clone() }
    }
}

/// The server's side of a handshake that has not been given its socket yet.
pub(crate) struct Begun<S> {
    session: S,
    stock: tokio_rustls::TlsAcceptor,
}

impl<S: Session> Begun<S> {
    /// [`TlsAcceptor::accept`].
    pub(crate) async fn run<IO>(self, io: IO) -> io::Result<TlsStream<IO>>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let Self { session, stock } = &self;
        let handshake = || accept(session, stock.config().clone(), io);
        let (connection, io) = supervise(session, handshake).await?;
        let Connection::Server(finished) = *connection else { unreachable!("it was a server") };
        // tokio-rustls finds a connection that has nothing left to do, all of it flushed, and wraps it without waiting.
        stock.accept_with(io, |fresh| *fresh = finished).await
    }
}

async fn accept<S, IO>(
    session: &S,
    config: Arc<ServerConfig>,
    mut io: IO,
) -> io::Result<(Box<Connection>, IO)>
where
    S: Session,
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let server = ServerConnection::new(config).map_err(io::Error::other)?;
    let connection = complete(session, Box::new(server.into()), &mut io).await?;
    Ok((connection, io))
}

impl<E> fmt::Debug for TlsAcceptor<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsAcceptor")
    }
}

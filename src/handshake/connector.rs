//! The client's side.

use super::drive::{complete, supervise};
use super::session::{HandshakeEngine, Session};
use super::work::{Finished, Work};
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, Connection, RootCertStore};
use std::future::Future;
use std::sync::{Arc, LazyLock};
use std::{fmt, io};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::client::TlsStream;

/// Makes TLS connections like [`tokio_rustls::TlsConnector`], with handshakes that run on an engine.
///
/// The streams that come out are tokio-rustls' own. Early data is neither offered nor sent, even if the
/// configuration enables it.
#[derive(Clone)]
pub struct TlsConnector<E> {
    engine: E,
    config: Arc<ClientConfig>,
}

impl<E: HandshakeEngine> TlsConnector<E> {
    /// A connector for `config`, whose operations are batched if its keys come from
    /// [`provider`](crate::provider): with any other provider it works, and batches nothing.
    pub fn new(engine: E, mut config: Arc<ClientConfig>) -> Self {
        if config.enable_early_data {
            // A server would wait for what is never sent, and count it as accepted.
            Arc::make_mut(&mut config).enable_early_data = false;
        }
        Self { engine, config }
    }

    /// The rustls configuration, without early data.
    pub fn config(&self) -> &Arc<ClientConfig> {
        &self.config
    }

    /// The engine.
    pub fn engine(&self) -> &E {
        &self.engine
    }

    /// Runs the client's side of a TLS handshake with `name` over `io`.
    ///
    /// The future keeps the engine open. Dropping it cancels the handshake.
    ///
    /// # Errors
    /// Those of `io`; [`io::ErrorKind::InvalidData`] with a [`rustls::Error`] inside when the handshake fails, after the
    /// peer was sent the alert; [`HandshakeError`](super::HandshakeError) when the engine gives it up.
    pub fn connect<IO>(
        &self,
        name: ServerName<'static>,
        io: IO,
    ) -> impl Future<Output = io::Result<TlsStream<IO>>> + use<E, IO>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        self.begin().run(name, io)
    }

    /// A handshake whose time runs already.
    pub(crate) fn begin(&self) -> Begun<E::Session> {
        Begun { session: self.engine.begin(), config: self.config.clone() }
    }
}

/// The client's side of a handshake that has not been given its socket yet.
pub(crate) struct Begun<S> {
    session: S,
    config: Arc<ClientConfig>,
}

impl<S: Session> Begun<S> {
    /// [`TlsConnector::connect`].
    pub(crate) async fn run<IO>(self, name: ServerName<'static>, io: IO) -> io::Result<TlsStream<IO>>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let Self { session, config } = &self;
        let handshake = || connect(session, Work::Connect(config.clone(), name.clone()), io);
        let (connection, io) = supervise(session, handshake).await?;
        let Connection::Client(finished) = *connection else { unreachable!("it was a client") };
        // tokio-rustls finds a connection that has nothing left to do, all of it flushed, and wraps it without waiting.
        WRAPPER.connect_with(name, io, |fresh| *fresh = finished).await
    }
}

async fn connect<S, IO>(session: &S, start: Work, mut io: IO) -> io::Result<(Box<Connection>, IO)>
where
    S: Session,
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let Finished { connection, error } = session.run(start).await?;
    let connection = connection.ok_or_else(|| io::Error::other(error.expect("either of the two")))?;
    let connection = complete(session, connection, &mut io).await?;
    Ok((connection, io))
}

/// Turns a finished connection into a stream.
///
/// tokio-rustls first makes a connection of its own, which is thrown away. With this configuration that costs next to
/// nothing: TLS 1.2 alone needs no key share, and there is no session to look up.
static WRAPPER: LazyLock<tokio_rustls::TlsConnector> = LazyLock::new(|| {
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS12])
        .expect("aws-lc-rs has cipher suites for TLS 1.2")
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    Arc::new(config).into()
});

impl<E> fmt::Debug for TlsConnector<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsConnector")
    }
}

//! Making TLS connections on an engine.

use super::alert::{Watched, complete};
use super::session::HandshakeEngine;
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::future::Future;
use std::sync::{Arc, LazyLock};
use std::{fmt, io};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::client::TlsStream;

/// Makes TLS connections like [`tokio_rustls::TlsConnector`], with handshakes that run on an engine.
///
/// The streams that come out are tokio-rustls' own. Early data is neither offered nor sent, even if the
/// configuration enables it. For that, and for whatever else tokio-rustls offers, such as `connect_with` or
/// `with_alpn`, use it on [`Engine::run`](super::Engine::run).
#[derive(Clone)]
pub struct TlsConnector<E> {
    engine: E,
    stock: tokio_rustls::TlsConnector,
}

impl<E: HandshakeEngine> TlsConnector<E> {
    /// A connector for `config`, whose operations are batched if its keys come from
    /// [`provider`](crate::provider): with any other provider it works, and batches nothing.
    pub fn new(engine: E, mut config: Arc<ClientConfig>) -> Self {
        if config.enable_early_data {
            // A server would wait for what is never sent, and count it as accepted.
            Arc::make_mut(&mut config).enable_early_data = false;
        }
        Self { engine, stock: config.into() }
    }

    /// The rustls configuration, without early data.
    pub fn config(&self) -> &Arc<ClientConfig> {
        self.stock.config()
    }

    /// The engine that handshakes run on.
    pub fn engine(&self) -> &E {
        &self.engine
    }

    /// Runs the client's side of a TLS handshake with `name` over `io`; its time begins now.
    ///
    /// The future keeps the engine open. Dropping it cancels the handshake.
    ///
    /// # Errors
    /// Those of `io`; [`io::ErrorKind::InvalidData`] with a [`rustls::Error`] inside when the handshake
    /// fails, after the peer was sent the alert; [`HandshakeError`](super::HandshakeError) when the engine
    /// gives it up.
    pub fn connect<IO>(
        &self,
        name: ServerName<'static>,
        io: IO,
    ) -> impl Future<Output = io::Result<TlsStream<IO>>> + use<E, IO>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let stock = self.stock.clone();
        let handshake = async move {
            let mut io = Watched::new(io);
            // Called on a fiber, because it makes the key shares.
            let finished = match stock.connect(name.clone(), &mut io).await {
                Ok(stream) => stream.into_inner().1,
                Err(error) => return Err(io.failed(error)),
            };
            // tokio-rustls finds a connection that has nothing left to do, all of it flushed, and wraps it
            // without waiting.
            let wrapped = WRAPPER.connect_with(name, io.into_inner(), |fresh| *fresh = finished);
            wrapped.into_fallible().await.map(Box::new).map_err(|(error, io)| Watched::new(io).failed(error))
        };
        complete(self.engine.begin(), Box::pin(handshake), |counts, asked, stream| {
            counts.judge(asked, false, stream.get_ref().1);
        })
    }
}

/// Turns a finished connection into a stream.
///
/// tokio-rustls first makes a connection of its own, which is thrown away. With this configuration that
/// costs next to nothing: TLS 1.2 alone needs no key share, and there is no session to look up.
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

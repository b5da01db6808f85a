//! A client's side of either implementation.

use crate::batches::Batches;
use crate::sides::{ClientTls, Clients, Provider};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use rustls_multibuffer::handshake::{LocalEngine, TlsConnector};
use rustls_multibuffer::spiffe;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::client::TlsStream;

/// A connector for each identity.
pub(super) enum Connector {
    Stock(Rc<[tokio_rustls::TlsConnector]>),
    /// With one engine.
    Multibuffer(Rc<[TlsConnector<LocalEngine>]>),
    Rotating(spiffe::Connector<LocalEngine>),
}

impl Connector {
    pub(super) fn new(clients: &Clients) -> Self {
        let engine = || LocalEngine::new(clients.engine.clone());
        match &clients.tls {
            ClientTls::Fixed(Provider::Baseline, tls) => {
                Self::Stock(tls.iter().cloned().map(Into::into).collect())
            }
            ClientTls::Fixed(Provider::Multibuffer, tls) => {
                let engine = engine();
                let connector = |tls: &Arc<ClientConfig>| TlsConnector::new(engine.clone(), tls.clone());
                Self::Multibuffer(tls.iter().map(connector).collect())
            }
            ClientTls::Rotating { rotation, is_trusted } => {
                Self::Rotating(rotation.connector(engine(), *is_trusted))
            }
        }
    }

    pub(super) async fn connect<IO: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        &self,
        identity: usize,
        name: ServerName<'static>,
        io: IO,
    ) -> io::Result<TlsStream<IO>> {
        match self {
            Self::Stock(connectors) => connectors[identity % connectors.len()].connect(name, io).await,
            Self::Multibuffer(connectors) => connectors[identity % connectors.len()].connect(name, io).await,
            Self::Rotating(connector) => connector.connect(name, io).await.map(|(stream, _)| stream),
        }
    }

    /// What the engine has done, if there is one.
    pub(super) fn batches(&self) -> Batches {
        let mut batches = Batches::default();
        match self {
            Self::Stock(_) => {}
            Self::Multibuffer(connectors) => batches.add(&connectors[0].engine().stats().batches),
            Self::Rotating(connector) => batches.add(&connector.engine().stats().batches),
        }
        batches
    }
}

//! The clients: as light as possible, so that the proxies are what is measured.

use crate::application::{CHUNK, DOWNLOAD, PING, UPLOAD};
use crate::credulous::Credulous;
use crate::pki::Pki;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{CipherSuite, ClientConfig, SignatureScheme};
use rustls_multibuffer::handshake::{EngineConfig, LocalEngine, TlsConnector};
use rustls_multibuffer::provider::{default_provider, kx_group};
use std::cell::Cell;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{JoinSet, spawn_local};
use tokio_rustls::client::TlsStream;

/// Connections that carry bulk data at a time.
const STREAMS: u64 = 4;

#[derive(Clone)]
pub(crate) struct Load {
    connector: TlsConnector<LocalEngine>,
}

impl Load {
    pub(crate) fn new(pki: &Pki) -> Result<Self, Box<dyn Error>> {
        let mut provider = default_provider();
        provider.cipher_suites.retain(|suite| suite.suite() == CipherSuite::TLS13_AES_128_GCM_SHA256);
        provider.kx_groups = vec![kx_group::X25519];
        // That a proxy is the right one is not what is measured, and would only make the load heavier.
        let schemes = vec![SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::RSA_PSS_SHA256];
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Credulous(schemes)))
            .with_client_auth_cert(pki.chain.clone(), pki.key.clone_key())?;
        config.resumption = Resumption::disabled();
        let engine = LocalEngine::new(EngineConfig::default());
        Ok(Self { connector: TlsConnector::new(engine, Arc::new(config)) })
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("server.test").map_err(io::Error::other)?;
        self.connector.connect(name, stream).await
    }

    async fn ping(&self, address: SocketAddr) -> io::Result<()> {
        let mut stream = self.connect(address).await?;
        stream.write_u8(PING).await?;
        stream.flush().await?;
        if stream.read_u8().await? != PING {
            return Err(io::Error::other("another byte came back"));
        }
        stream.shutdown().await
    }

    /// New connections for that long: how many were good, in which time. None may fail.
    pub(crate) async fn connections(
        &self,
        address: SocketAddr,
        concurrency: usize,
        slot: Duration,
    ) -> io::Result<(u64, Duration)> {
        let (began, count) = (Instant::now(), Rc::new(Cell::new(0)));
        let mut clients = JoinSet::new();
        for _ in 0..concurrency {
            let (load, count) = (self.clone(), count.clone());
            clients.spawn_local(async move {
                while began.elapsed() < slot {
                    load.ping(address).await?;
                    count.set(count.get() + 1);
                }
                Ok::<_, io::Error>(())
            });
        }
        while let Some(client) = clients.join_next().await {
            client.map_err(io::Error::other)??;
        }
        Ok((count.get(), began.elapsed()))
    }

    /// Carries so many bytes up and as many down: how many these are together, and how long it took.
    pub(crate) async fn bulk(&self, address: SocketAddr, bytes: u64) -> io::Result<(u64, Duration)> {
        let mut took = Duration::ZERO;
        for direction in [UPLOAD, DOWNLOAD] {
            let mut streams = Vec::new();
            for _ in 0..STREAMS {
                streams.push(self.connect(address).await?);
            }
            let began = Instant::now();
            let share = bytes / STREAMS;
            let tasks: Vec<_> =
                streams.into_iter().map(|stream| spawn_local(transfer(stream, direction, share))).collect();
            for task in tasks {
                task.await.map_err(io::Error::other)??;
            }
            took += began.elapsed();
        }
        Ok((bytes / STREAMS * STREAMS * 2, took))
    }
}

async fn transfer(mut stream: TlsStream<TcpStream>, direction: u8, bytes: u64) -> io::Result<()> {
    stream.write_u8(direction).await?;
    stream.write_u64(bytes).await?;
    let (mut left, mut chunk) = (bytes, vec![0; CHUNK]);
    if direction == UPLOAD {
        while left > 0 {
            let n = left.min(CHUNK as u64);
            stream.write_all(&chunk[..n as usize]).await?;
            left -= n;
        }
        stream.flush().await?;
        stream.read_u8().await?;
    } else {
        stream.flush().await?;
        while left > 0 {
            let n = stream.read(&mut chunk).await?;
            if n == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            left = left.saturating_sub(n as u64);
        }
    }
    stream.shutdown().await
}

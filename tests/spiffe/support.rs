//! What every test needs: an engine, an identity, peers that present anything and believe everything.

use crate::ca::Ca;
use crate::credulous::Credulous;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig, SupportedProtocolVersion};
use rustls_multibuffer::handshake::{Engine, EngineConfig, HandshakeEngine};
use rustls_multibuffer::spiffe::{
    Acceptor, Connector, Identity, IdentityBuilder, Material, MemoryError, MemoryHandle, PeerError, Refusal,
    Svid, memory_source,
};
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

pub(crate) const HOME: &str = "home.test";
pub(crate) const SERVER: &str = "spiffe://home.test/server";
pub(crate) const CLIENT: &str = "spiffe://home.test/client";

/// How long anything may take that is not about time, on a machine that is busy with something else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Runs a test, which must not take forever.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(5 * PATIENCE, test).await.expect("the test hangs") })
}

pub(crate) fn engine(threads: usize) -> Engine {
    Engine::new(EngineConfig::default().threads(threads).pin(false)).unwrap()
}

pub(crate) fn name() -> ServerName<'static> {
    "workload.localhost".try_into().unwrap()
}

pub(crate) fn sockets() -> (DuplexStream, DuplexStream) {
    tokio::io::duplex(16 * 1024)
}

/// An identity in memory that has accepted `material`.
pub(crate) async fn identity(material: Material) -> (Identity, MemoryHandle) {
    identity_with(Identity::builder(), material).await
}

pub(crate) async fn identity_with(builder: IdentityBuilder, material: Material) -> (Identity, MemoryHandle) {
    let (source, handle) = memory_source();
    let identity = builder.start(source);
    handle.offer(material).await.unwrap();
    (identity, handle)
}

/// The reason why `material` is refused.
pub(crate) async fn refusal(handle: &MemoryHandle, material: Material) -> Refusal {
    match handle.offer(material).await {
        Err(MemoryError::Refused(why)) => why,
        other => panic!("{other:?}"),
    }
}

/// Our server's identity, with its authority.
pub(crate) async fn home() -> (Ca, Identity, MemoryHandle) {
    let ca = Ca::new(HOME);
    let (identity, handle) = identity(crate::ca::material(ca.svid(SERVER), [(HOME, vec![ca.root()])])).await;
    (ca, identity, handle)
}

/// A byte there and a byte back: only then does a client know that the server accepted it.
pub(crate) async fn echo_as_client(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    stream.write_all(b"x").await?;
    stream.flush().await?;
    let mut received = [0];
    stream.read_exact(&mut received).await?;
    assert_eq!(&received, b"x");
    Ok(())
}

pub(crate) async fn echo_as_server(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    let mut received = [0];
    stream.read_exact(&mut received).await?;
    stream.write_all(&received).await?;
    stream.flush().await
}

/// The reason inside a handshake's error.
#[track_caller]
pub(crate) fn peer_error<T>(result: io::Result<T>) -> PeerError {
    reason(&result.err().expect("must fail"))
}

/// Why a peer was refused.
#[track_caller]
pub(crate) fn reason(error: &io::Error) -> PeerError {
    PeerError::of(error).unwrap_or_else(|| panic!("{error:?}")).clone()
}

/// A stock client connects; true if its session was resumed.
pub(crate) async fn connects(
    acceptor: &Acceptor<impl HandshakeEngine>,
    stock: &TlsConnector,
) -> Result<bool, PeerError> {
    let (here, there) = sockets();
    let server = async {
        let (stream, _) = acceptor.accept(here).await?;
        let is_resumed = stream.get_ref().1.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
        echo_as_server(stream).await?;
        Ok::<_, io::Error>(is_resumed)
    };
    let client = async { echo_as_client(stock.connect(name(), there).await?).await };
    let (server, client) = tokio::join!(server, client);
    assert_eq!(server.is_ok(), client.is_ok());
    server.map_err(|e| reason(&e))
}

/// We connect to a stock server; true if our session was resumed.
pub(crate) async fn reaches(
    connector: &Connector<impl HandshakeEngine>,
    stock: &TlsAcceptor,
) -> Result<bool, PeerError> {
    let (here, there) = sockets();
    let client = async {
        let (stream, _) = connector.connect(name(), here).await?;
        let is_resumed = stream.get_ref().1.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
        echo_as_client(stream).await?;
        Ok::<_, io::Error>(is_resumed)
    };
    let server = async { echo_as_server(stock.accept(there).await?).await };
    let (client, server) = tokio::join!(client, server);
    assert_eq!(client.is_ok(), server.is_ok());
    client.map_err(|e| reason(&e))
}

/// Waits until `condition` holds.
#[track_caller]
pub(crate) fn until(mut condition: impl FnMut() -> bool) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let give_up = Instant::now() + PATIENCE;
        while !condition() {
            assert!(Instant::now() < give_up, "{caller}: it does not come true");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// Certificates count whole seconds.
pub(crate) fn whole_seconds(time: SystemTime) -> SystemTime {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs())
}

/// A stock client that presents `svid`.
pub(crate) fn stock_client(svid: &Svid) -> ClientConfig {
    stock_client_with(Some(svid), rustls::DEFAULT_VERSIONS)
}

/// A stock client with some protocol versions, and perhaps a certificate.
pub(crate) fn stock_client_with(
    svid: Option<&Svid>,
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Credulous::default()));
    match svid {
        Some(svid) => {
            builder.with_client_auth_cert(svid.chain.clone(), svid.key.expose().clone_key()).unwrap()
        }
        None => builder.with_no_client_auth(),
    }
}

/// A stock server that presents `svid`.
pub(crate) fn stock_server(svid: &Svid) -> ServerConfig {
    ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(Arc::new(Credulous::default()))
        .with_single_cert(svid.chain.clone(), svid.key.expose().clone_key())
        .unwrap()
}

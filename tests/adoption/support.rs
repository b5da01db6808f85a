//! An authority, certificates, configurations, engines, and clients as anybody has them.

use crate::issuer::{authority, key, leaf};
use rcgen::{CertifiedIssuer, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_multibuffer::handshake::{Engine, EngineConfig, EngineStats, Op};
use rustls_multibuffer::provider::default_provider;
use std::future::Future;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

static AUTHORITY: LazyLock<CertifiedIssuer<'static, KeyPair>> =
    LazyLock::new(|| CertifiedIssuer::self_signed(authority("adoption.test"), key()).unwrap());

pub(crate) fn roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(AUTHORITY.der().clone()).unwrap();
    roots
}

/// A P-256 certificate for `name`, and its key.
pub(crate) fn issue(name: &str) -> Identity {
    let key = key();
    let certificate = leaf(name, []).signed_by(&key, &*AUTHORITY).unwrap();
    (vec![certificate.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
}

/// Our server for `localhost`.
pub(crate) fn server_config(alpn: &str) -> Arc<ServerConfig> {
    let (chain, key) = issue("localhost");
    let config = ServerConfig::builder_with_provider(default_provider().into());
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let mut config = config.with_single_cert(chain, key).unwrap();
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    Arc::new(config)
}

/// Our client.
pub(crate) fn client_config() -> ClientConfig {
    let config = ClientConfig::builder_with_provider(default_provider().into());
    let config = config.with_safe_default_protocol_versions().unwrap();
    config.with_root_certificates(roots()).with_no_client_auth()
}

pub(crate) fn engine() -> Engine {
    Engine::new(EngineConfig::default().threads(1).handshake_timeout(2 * PATIENCE)).unwrap()
}

/// How long anything may take that is not about time, on a machine that is busy with something else.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs a test, which must not take forever, on a runtime whose tasks move between threads.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let result =
        runtime.block_on(async { tokio::time::timeout(PATIENCE, test).await.expect("the test hangs") });
    runtime.shutdown_background();
    result
}

/// A listener of `localhost`, and its port.
pub(crate) async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// What `issue` gives.
type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// A stock client's connection, for `name`, with a certificate if it has one.
pub(crate) async fn connect_as(
    port: u16,
    name: &'static str,
    identity: Option<Identity>,
) -> io::Result<TlsStream<TcpStream>> {
    let provider = aws_lc_rs::default_provider();
    let config = ClientConfig::builder_with_provider(provider.into());
    let config = config.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots());
    let config = match identity {
        Some((chain, key)) => config.with_client_auth_cert(chain, key).unwrap(),
        None => config.with_no_client_auth(),
    };
    let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    TlsConnector::from(Arc::new(config)).connect(name.try_into().unwrap(), socket).await
}

/// What an HTTP/1.1 server answers to a stock client.
pub(crate) async fn get(port: u16) -> String {
    let mut stream = connect_as(port, "localhost", None).await.unwrap();
    let request = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\nhi") && stream.read_buf(&mut answer).await.unwrap() > 0 {}
    String::from_utf8(answer).unwrap()
}

/// Signatures that the engine was asked for: one for each handshake of a server.
pub(crate) fn signatures(stats: &EngineStats) -> u64 {
    stats.batches.of(Op::P256Sign).requests()
}

/// Key shares that the engine was asked for: one for each handshake of a client.
pub(crate) fn key_shares(stats: &EngineStats) -> u64 {
    stats.batches.of(Op::X25519Keygen).requests()
}

/// Answers every HTTP/1.1 request with `hi`, as a stock server.
pub(crate) async fn serve_http(listener: TcpListener) {
    let (chain, key) = issue("localhost");
    let config = ServerConfig::builder_with_provider(aws_lc_rs::default_provider().into());
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config.with_single_cert(chain, key).unwrap()));
    while let Ok((socket, _)) = listener.accept().await {
        let handshake = acceptor.accept(socket);
        tokio::spawn(async move { answer(handshake.await.unwrap()).await });
    }
}

/// Reads requests and answers each with `hi`, until the client closes.
pub(crate) async fn answer<IO: AsyncRead + AsyncWrite + Unpin>(mut stream: IO) {
    let mut read = Vec::new();
    while stream.read_buf(&mut read).await.is_ok_and(|n| n > 0) {
        if read.ends_with(b"\r\n\r\n") {
            read.clear();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await.unwrap();
            stream.flush().await.unwrap();
        }
    }
}

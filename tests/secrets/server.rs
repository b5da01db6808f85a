//! The child as a TLS server: handshakes in an engine, with a client that is the parent.

use crate::owner::Parent;
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls_multibuffer::handshake::{Engine, EngineConfig, LocalEngine, TlsAcceptor};
use rustls_multibuffer::provider::default_provider;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;
use tokio_rustls::server::TlsStream;

/// Handshakes that end well, and all of them: the rest are given up by the server.
pub(crate) const GOOD: usize = 3;
pub(crate) const ALL: usize = 5;

/// Whoever parks waits for others a moment, so that there are batches.
fn config() -> EngineConfig {
    EngineConfig::default().threads(1).pin(false).break_even(1).gather(2).poll_delay(Duration::from_millis(2))
}

pub(crate) fn run(parent: &mut Parent) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        let server = Arc::new(server_config(parent));
        let stock = tokio_rustls::TlsAcceptor::from(server.clone());
        serve(parent, |socket| stock.accept(socket)).await;
        drop(stock);
        let ours = TlsAcceptor::new(LocalEngine::new(config()), server.clone());
        serve(parent, |socket| ours.accept(socket)).await;
        drop(ours);
        let ours = TlsAcceptor::new(Engine::new(config()).expect("threads"), server);
        serve(parent, |socket| ours.accept(socket)).await;
    });
}

/// The parent gives a certificate with its length in front, and its key.
fn server_config(parent: &mut Parent) -> ServerConfig {
    let identity = parent.secret();
    let (len, rest) = identity.split_first_chunk().expect("a length");
    let (certificate, key) = rest.split_at(u32::from_le_bytes(*len) as usize);
    // Keys are borrowed where their own memory is to be wiped: rustls' `PrivateKeyDer` wipes what it owns.
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key));
    let key = rustls_multibuffer::provider::sign::any_supported_type(&key).expect("a key");
    let chain = vec![CertificateDer::from(certificate.to_vec())];
    let certified = rustls::sign::CertifiedKey::new(chain, key);
    let resolver = rustls::sign::SingleCertAndKey::from(certified);
    ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver))
}

async fn serve<F>(parent: &mut Parent, accept: impl Fn(TcpStream) -> F)
where
    F: Future<Output = io::Result<TlsStream<TcpStream>>> + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    parent.say(&[&port.to_be_bytes()]);
    let mut running = Vec::new();
    for _ in 0..ALL {
        let (socket, _) = listener.accept().await.expect("a client");
        running.push(tokio::task::spawn_local(accept(socket)));
    }
    let mut streams = Vec::new();
    for handshake in running.drain(..GOOD) {
        let mut stream = handshake.await.expect("no panic").expect("a handshake");
        assert_eq!(stream.read_u8().await.expect("a byte"), 42);
        streams.push(stream);
    }
    // The others have sent their first flight, and wait for an answer that does not come.
    tokio::time::sleep(Duration::from_millis(100)).await;
    for handshake in running {
        handshake.abort();
        let _cancelled = handshake.await;
    }
    parent.look(&[]);
    drop(streams);
    parent.look(&[]);
}

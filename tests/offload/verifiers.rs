//! Peers about whom somebody else is asked.

use crate::support::{
    PKI, VERSIONS, assert_serves, client, config, for_each_engine, handshake, reason, run, sockets, tls_error,
};
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::SingleCertAndKey;
use rustls::{CertificateError, ClientConfig, ServerConfig};
use rustls_multibuffer::handshake::TlsConnector;
use rustls_multibuffer::offload::{AfterChain, BoxError, Error, Peer, PeerVerifier};
use rustls_multibuffer::provider::{batch_verifications, default_provider};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

/// A service on a Unix socket that reads a certificate, and says `y` if it is on the list.
struct PolicyService {
    socket: PathBuf,
    asked: Arc<AtomicUsize>,
}

impl PolicyService {
    fn start(name: &str, list: Vec<CertificateDer<'static>>) -> Arc<Self> {
        let socket = std::env::temp_dir().join(format!("offload-{}-{name}", std::process::id()));
        let (listener, asked) = (UnixListener::bind(&socket).unwrap(), Arc::new(AtomicUsize::new(0)));
        let count = asked.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Relaxed);
                let list = list.clone();
                tokio::spawn(async move {
                    let mut cert = Vec::new();
                    stream.read_to_end(&mut cert).await?;
                    stream.write_all(if list.iter().any(|c| c.as_ref() == cert) { b"y" } else { b"n" }).await
                });
            }
        });
        Arc::new(Self { socket, asked })
    }

    fn verifier(self: &Arc<Self>) -> impl PeerVerifier + use<> {
        let service = self.clone();
        move |peer: Peer| {
            let service = service.clone();
            async move {
                let mut stream = UnixStream::connect(&service.socket).await?;
                stream.write_all(&peer.chain[0]).await?;
                stream.shutdown().await?;
                match stream.read_u8().await? {
                    b'y' => Ok(()),
                    _ => Err("not on the list".into()),
                }
            }
        }
    }

    fn asked(&self) -> usize {
        self.asked.load(Relaxed)
    }
}

impl Drop for PolicyService {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.socket));
    }
}

fn server(ask: impl PeerVerifier) -> Arc<ServerConfig> {
    let provider = Arc::new(default_provider());
    let webpki = WebPkiClientVerifier::builder_with_provider(PKI.roots.clone(), provider.clone());
    let verifier = AfterChain::new(batch_verifications(webpki.build().unwrap()), ask);
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(Arc::new(verifier))
        .with_single_cert(PKI.p256.chain.clone(), PKI.p256.private_key())
        .unwrap();
    Arc::new(config)
}

fn client_as(identity: &crate::support::Identity, version: usize) -> Arc<ClientConfig> {
    let mut config = ClientConfig::clone(&client(VERSIONS[version]));
    let certified = identity.certified(identity.stock_key());
    config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(certified));
    Arc::new(config)
}

/// A client of the server of `PKI.p256`, with the version's index.
fn asking_client(ask: impl PeerVerifier) -> Arc<ClientConfig> {
    let provider = Arc::new(default_provider());
    let webpki = WebPkiServerVerifier::builder_with_provider(PKI.roots.clone(), provider.clone());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AfterChain::new(webpki.build().unwrap(), ask)))
        .with_no_client_auth();
    Arc::new(config)
}

#[track_caller]
fn assert_denied(error: rustls::Error, why: &str) {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::Other(other)) => {
            assert_eq!(other.0.to_string(), why)
        }
        error => panic!("{error:?}"),
    }
}

for_each_engine! {
    async fn a_server_asks_about_its_clients<E>() {
        let engine = E::start(config());
        let service = PolicyService::start(std::any::type_name::<E>(), PKI.other.chain.clone());
        let server = server(service.verifier());
        for version in [0, 1] {
            let asked = service.asked();
            assert_serves(handshake(&engine, &server, &client_as(&PKI.other, version)).await).await;
            assert_eq!(service.asked(), asked + 1);
            let (at_server, _) = handshake(&engine, &server, &client_as(&PKI.rsa, version)).await;
            assert_denied(tls_error(at_server), "not on the list");
            assert_eq!(service.asked(), asked + 2);
            // Nobody is asked about a stranger.
            let (at_server, _) = handshake(&engine, &server, &client_as(&PKI.stranger, version)).await;
            let error = tls_error(at_server);
            assert_eq!(error, rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer));
            assert_eq!(service.asked(), asked + 2);
        }
        // Without the service, nobody is let in.
        std::fs::remove_file(&service.socket).unwrap();
        let (at_server, _) = handshake(&engine, &server, &client_as(&PKI.other, 1)).await;
        let error = at_server.err().unwrap();
        assert!(error.to_string().contains("No such file"), "{error}");
    }

    async fn a_client_asks_about_its_servers<E>() {
        let engine = E::start(config());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(PKI.p256.chain.clone(), PKI.p256.private_key())
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
        for is_welcome in [true, false] {
            let client = asking_client(move |peer: Peer| async move {
                tokio::task::yield_now().await;
                assert_eq!(peer.chain, PKI.p256.chain);
                assert_eq!(peer.server_name, Some(ServerName::try_from("localhost")?));
                if is_welcome { Ok(()) } else { Err::<_, BoxError>("it has been sold".into()) }
            });
            let (at_server, at_client) = sockets().await;
            let connector = TlsConnector::new(engine.clone(), client);
            let name = "localhost".try_into().unwrap();
            let ends = tokio::join!(acceptor.accept(at_server), connector.connect(name, at_client));
            if is_welcome {
                assert_serves(ends).await;
            } else {
                assert_denied(tls_error(ends.1), "it has been sold");
            }
        }
    }
}

#[test]
fn off_an_engine_nobody_is_let_in() {
    run(async {
        let acceptor = tokio_rustls::TlsAcceptor::from(server(|_| async { unreachable!() }));
        for version in [0, 1] {
            let (at_server, at_client) = sockets().await;
            let connector = tokio_rustls::TlsConnector::from(client_as(&PKI.other, version));
            let name = "localhost".try_into().unwrap();
            let (at_server, _) = tokio::join!(acceptor.accept(at_server), connector.connect(name, at_client));
            assert!(matches!(reason(at_server), Error::NotOnEngine));
        }
    });
}

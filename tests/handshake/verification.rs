//! Signatures of peers: verified in batches, with the verdicts and errors of stock rustls.

use crate::pki::{Identity, Keys, PKI, Setup};
use crate::support::{
    TestEngine, assert_all_returned, assert_serves, config, connect, for_each_engine, localhost, sockets,
    tls_error,
};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{CertificateError, ClientConfig, Error};
use rustls_multibuffer::handshake::{EngineStats, Op, OpStats, TlsAcceptor, TlsConnector};
use std::sync::Arc;
use std::time::Duration;

fn of(stats: &EngineStats, op: Op) -> OpStats {
    stats.batches.of(op).clone()
}

for_each_engine! {
    async fn chains_and_handshakes_are_verified_in_batches<E>() {
        let engine = E::start(config().threads(1).gather(8).max_wait(Duration::from_secs(3600)));
        for setup in [Setup::MTLS13, Setup::MTLS12] {
            let (server, client) =
                (setup.server_as(Keys::Ours, &PKI.all_rsa), setup.client_as(Keys::Ours, &PKI.all_rsa));
            let acceptor = TlsAcceptor::new(engine.clone(), Arc::new(server));
            let connector = TlsConnector::new(engine.clone(), Arc::new(client));
            let pairs = (0..32).map(|_| {
                let (acceptor, connector) = (acceptor.clone(), connector.clone());
                tokio::task::spawn_local(async move {
                    connect(|io| acceptor.accept(io), |io| connector.connect(localhost(), io)).await
                })
            });
            for pair in pairs.collect::<Vec<_>>() {
                pair.await.unwrap();
            }
        }
        assert_all_returned(&engine).await;
        let stats = engine.stats();
        assert_eq!((stats.succeeded, stats.failed), (2 * 2 * 32, 0));
        assert_eq!(of(&stats, Op::RsaSign2048).requests(), 2 * 2 * 32, "one for each side");
        let verified = of(&stats, Op::RsaVerify2048);
        assert_eq!(verified.requests(), 2 * 2 * 2 * 32, "a certificate and a handshake for each side");
        assert!(verified.fills[8] > 0, "{verified:?}");
    }

    async fn bad_signatures_of_clients_give_stock_errors<E>() {
        let engine = E::start(config());
        for (setup, forgery) in [Setup::MTLS13, Setup::MTLS12].into_iter().flat_map(Forgery::with) {
            let client = || forgery.client(setup);
            let acceptor = TlsAcceptor::new(engine.clone(), Arc::new(setup.server(Keys::Ours)));
            let ours = refusal(|io| acceptor.accept(io), client()).await;
            let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(setup.server(Keys::Stock)));
            let stock = refusal(|io| acceptor.accept(io), client()).await;
            assert_eq!(ours, stock, "{setup:?}, {forgery:?}");
            assert_eq!(ours, CertificateError::BadSignature.into());
        }
        let stats = engine.stats();
        assert_eq!((stats.succeeded, stats.failed), (0, 4));
        assert!(of(&stats, Op::RsaVerify2048).requests() >= 4, "the forgeries were looked at in batches");
        assert_serves(&engine).await;
        assert_all_returned(&engine).await;
    }

    async fn bad_signatures_of_servers_give_stock_errors<E>() {
        let engine = E::start(config());
        for (setup, forgery) in Setup::ALL.into_iter().flat_map(Forgery::with) {
            let server = Arc::new(forgery.server(setup));
            let (ours, stock) =
                (connection_to(&engine, setup, &server).await, stock_connection_to(setup, &server).await);
            assert_eq!(ours, stock, "{setup:?}, {forgery:?}");
            assert_eq!(ours, CertificateError::BadSignature.into());
        }
        assert_eq!(engine.stats().failed, 8);
        assert_all_returned(&engine).await;
    }
}

/// What a liar does.
#[derive(Clone, Copy, Debug)]
enum Forgery {
    /// Shows a certificate that its issuer never signed.
    Certificate,
    /// Shows a good certificate and signs with another key.
    Handshake,
}

impl Forgery {
    fn with(setup: Setup) -> [(Setup, Self); 2] {
        [(setup, Self::Certificate), (setup, Self::Handshake)]
    }

    fn identity(self) -> Identity {
        let mut chain = PKI.all_rsa.chain.clone();
        let key = match self {
            Self::Handshake => PKI.client.key(),
            Self::Certificate => {
                // The last byte belongs to the issuer's signature.
                let mut der = chain[0].to_vec();
                *der.last_mut().unwrap() ^= 1;
                chain[0] = der.into();
                PKI.all_rsa.key()
            }
        };
        Identity { chain, key }
    }

    /// The identity, whose key rustls does not compare with its certificate.
    fn resolver(self) -> Arc<SingleCertAndKey> {
        let Identity { chain, key } = self.identity();
        let key = Keys::Stock.provider().key_provider.load_private_key(key).unwrap();
        Arc::new(CertifiedKey::new(chain, key).into())
    }

    fn client(self, setup: Setup) -> ClientConfig {
        let mut config = setup.client(Keys::Stock);
        config.client_auth_cert_resolver = self.resolver();
        config
    }

    fn server(self, setup: Setup) -> rustls::ServerConfig {
        let mut config = setup.server(Keys::Stock);
        config.cert_resolver = self.resolver();
        config
    }
}

/// Why `accept` refuses this client.
async fn refusal<S, F>(accept: impl FnOnce(tokio::net::TcpStream) -> F, client: ClientConfig) -> Error
where
    F: Future<Output = std::io::Result<S>>,
{
    let (server, stream) = sockets().await;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
    // In TLS 1.3 the client has finished before the server can look at its signature.
    let (server, _client) = tokio::join!(accept(server), connector.connect(localhost(), stream));
    tls_error(server)
}

/// Why our client refuses this server.
async fn connection_to<E: TestEngine>(engine: &E, setup: Setup, server: &Arc<rustls::ServerConfig>) -> Error {
    let connector = TlsConnector::new(engine.clone(), Arc::new(setup.client(Keys::Ours)));
    let acceptor = tokio_rustls::TlsAcceptor::from(server.clone());
    let (io, stream) = sockets().await;
    let (_server, client) = tokio::join!(acceptor.accept(io), connector.connect(localhost(), stream));
    tls_error(client)
}

/// Why a stock client refuses it.
async fn stock_connection_to(setup: Setup, server: &Arc<rustls::ServerConfig>) -> Error {
    let connector = tokio_rustls::TlsConnector::from(Arc::new(setup.client(Keys::Stock)));
    let acceptor = tokio_rustls::TlsAcceptor::from(server.clone());
    let (io, stream) = sockets().await;
    let (_server, client) = tokio::join!(acceptor.accept(io), connector.connect(localhost(), stream));
    tls_error(client)
}

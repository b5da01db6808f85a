//! Set-ups that work and batch less than they could: each is counted, and the log says what to change.

use crate::pki::{Keys, PKI, Setup};
use crate::support::{TestEngine, config, connect, for_each_engine, localhost};
use crate::warnings::warned;
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ServerConfig};
use rustls_multibuffer::handshake::{TlsAcceptor, TlsConnector, Unaccelerated};
use rustls_multibuffer::provider::{accelerate, operations_off_engine};
use std::sync::Arc;

#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

/// What an engine counts for one handshake.
async fn counted<E: TestEngine>(server: ServerConfig, client: ClientConfig) -> Unaccelerated {
    let engine = E::start(config());
    let acceptor = TlsAcceptor::new(engine.clone(), Arc::new(server));
    let connector = TlsConnector::new(engine.clone(), Arc::new(client));
    connect(|io| acceptor.accept(io), |io| connector.connect(localhost(), io)).await;
    engine.stats().unaccelerated
}

fn counts(of: Unaccelerated) -> [u64; 3] {
    [of.provider, of.key, of.verifier]
}

for_each_engine! {
    async fn nothing_is_counted_where_all_is_accelerated<E>() {
        for setup in Setup::ALL {
            let counted = counted::<E>(setup.server(Keys::Ours), setup.client(Keys::Ours)).await;
            assert_eq!(counts(counted), [0; 3]);
        }
    }

    async fn another_provider_on_an_engine_is_counted<E>() {
        for setup in Setup::ALL {
            let counted = counted::<E>(setup.server(Keys::Stock), setup.client(Keys::Stock)).await;
            assert_eq!(counts(counted), [2, 0, 0]);
        }
        assert_eq!(warned("provider::accelerate()"), 1);
    }

    async fn a_key_of_another_loader_is_counted<E>() {
        let stock = aws_lc_rs::sign::any_supported_type(&PKI.server.key()).unwrap();
        let key = CertifiedKey::new(PKI.server.chain.clone(), stock);
        for setup in [Setup::MTLS13, Setup::MTLS12] {
            let mut server = setup.server(Keys::Ours);
            server.cert_resolver = Arc::new(Always(Arc::new(key.clone())));
            assert_eq!(counts(counted::<E>(server, setup.client(Keys::Ours)).await), [0, 1, 0]);
        }
        assert_eq!(warned("not loaded by provider::sign"), 1);
    }

    async fn a_verifier_with_other_algorithms_is_counted<E>() {
        let verifier = WebPkiServerVerifier::builder_with_provider(PKI.roots.clone(), Keys::Stock.provider());
        let verifier = verifier.build().unwrap();
        for setup in [Setup::MTLS13, Setup::MTLS12] {
            let mut client = setup.client(Keys::Ours);
            client.dangerous().set_certificate_verifier(verifier.clone());
            assert_eq!(counts(counted::<E>(setup.server(Keys::Ours), client).await), [0, 0, 1]);
        }
        assert_eq!(warned("signature_verification_algorithms"), 1);
    }

    async fn an_accelerated_provider_lacks_nothing<E>() {
        let provider = Arc::new(accelerate(aws_lc_rs::default_provider()));
        let server = ServerConfig::builder_with_provider(provider.clone());
        let server = server.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let server = server.with_single_cert(PKI.server.chain.clone(), PKI.server.key()).unwrap();
        let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let client = client.unwrap().with_root_certificates(PKI.roots.clone()).with_no_client_auth();
        assert_eq!(counts(counted::<E>(server, client).await), [0; 3]);
    }
}

#[test]
fn the_provider_without_an_engine_is_counted() {
    crate::support::run(async {
        let before = operations_off_engine();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(Setup::TLS13.server(Keys::Ours)));
        let connector = tokio_rustls::TlsConnector::from(Arc::new(Setup::TLS13.client(Keys::Ours)));
        connect(|io| acceptor.accept(io), |io| connector.connect(localhost(), io)).await;
        // A key share and an agreement, a whole key exchange, and a signature; others run meanwhile.
        assert!(operations_off_engine() >= before + 4);
        assert_eq!(warned("runs on no engine"), 1);
    });
}

//! Certificates that are looked up, or issued, while the client waits.

use crate::support::{
    Ends, PKI, VERSIONS, assert_serves, client, config, for_each_engine, handshake, reach, reason, run,
    sockets, tls_error,
};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ServerConfig};
use rustls_multibuffer::handshake::TlsConnector;
use rustls_multibuffer::offload::{BoxError, CertRequest, CertResolver, ClientHello, Error, Resolver};
use rustls_multibuffer::provider::default_provider;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Barrier, Semaphore};

fn server(resolver: impl CertResolver) -> Arc<ServerConfig> {
    let config = ServerConfig::builder_with_provider(default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Resolver::new(resolver)));
    Arc::new(config)
}

fn client_asked(resolver: impl CertResolver<CertRequest>) -> Arc<ClientConfig> {
    let mut config = ClientConfig::clone(&client(VERSIONS[1]));
    config.client_auth_cert_resolver = Arc::new(Resolver::new(resolver));
    Arc::new(config)
}

/// A handshake of a client on the engine with a stock server that wants a certificate.
async fn connect<E: crate::support::TestEngine>(engine: &E, client: Arc<ClientConfig>) -> Ends {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(PKI.roots.clone(), provider.clone());
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.allow_unauthenticated().build().unwrap())
        .with_single_cert(PKI.p256.chain.clone(), PKI.p256.private_key())
        .unwrap();
    let (at_server, at_client) = sockets().await;
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
    let connector = TlsConnector::new(engine.clone(), client);
    let name = "localhost".try_into().unwrap();
    tokio::join!(acceptor.accept(at_server), connector.connect(name, at_client))
}

for_each_engine! {
    async fn each_name_gets_its_certificate<E>() {
        // 200 names, of which 64 are asked for at a time. Somebody blocks a thread? Then 50 never meet.
        let engine = E::start(config());
        let meet = Arc::new(Barrier::new(50));
        let server = server(move |hello: ClientHello| {
            let meet = meet.clone();
            async move {
                meet.wait().await;
                tokio::time::sleep(Duration::from_millis(20)).await;
                let identity = PKI.issue(&hello.server_name.ok_or("no name")?);
                Ok(Some(Arc::new(identity.certified(identity.stock_key()))))
            }
        });
        let (at_a_time, started) = (Arc::new(Semaphore::new(64)), Instant::now());
        let all = (0..200).map(|i| {
            let (engine, server, at_a_time) = (engine.clone(), server.clone(), at_a_time.clone());
            tokio::task::spawn_local(async move {
                let _place = at_a_time.acquire().await.unwrap();
                reach(&engine, &server, &client(VERSIONS[i % 2]), &format!("n{i}.localhost")).await
            })
        });
        for one in all.collect::<Vec<_>>() {
            assert_serves(one.await.unwrap()).await;
        }
        println!("200 names, 20 ms each, 64 at a time: {:?}", started.elapsed());
    }

    async fn it_is_asked_with_all_that_the_client_says<E>() {
        let engine = E::start(config());
        let server = server(|hello: ClientHello| async move {
            assert_eq!(hello.server_name.as_deref(), Some("localhost"));
            assert_eq!(hello.alpn, [b"h2".to_vec(), b"http/1.1".to_vec()]);
            assert!(hello.signature_schemes.contains(&rustls::SignatureScheme::ECDSA_NISTP256_SHA256));
            assert!(hello.cipher_suites.contains(&rustls::CipherSuite::TLS13_AES_256_GCM_SHA384));
            assert!(hello.named_groups.contains(&rustls::NamedGroup::X25519));
            assert!(hello.certificate_authorities.is_empty());
            Ok(Some(Arc::new(PKI.p256.certified(PKI.p256.stock_key()))))
        });
        let mut client = ClientConfig::clone(&client(VERSIONS[1]));
        client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        assert_serves(handshake(&engine, &server, &Arc::new(client)).await).await;
    }

    async fn no_certificate_is_an_answer<E>() {
        let engine = E::start(config());
        let server = server(|_: ClientHello| async { Ok(None) });
        for version in VERSIONS {
            let (at_server, at_client) = handshake(&engine, &server, &client(version)).await;
            assert!(matches!(tls_error(at_server), rustls::Error::General(_)));
            let refused = rustls::Error::AlertReceived(rustls::AlertDescription::AccessDenied);
            assert_eq!(tls_error(at_client), refused);
        }
        let client = client_asked(|request: CertRequest| async move {
            assert_eq!(request.authorities.len(), 1);
            assert!(!request.signature_schemes.is_empty());
            Ok(None)
        });
        let ends = connect(&engine, client).await;
        assert!(ends.0.as_ref().unwrap().get_ref().1.peer_certificates().is_none());
        assert_serves(ends).await;
    }

    async fn an_error_is_found_in_the_handshakes<E>() {
        let engine = E::start(config());
        let server = server(|_: ClientHello| async { Err("the issuer is down".into()) });
        for version in VERSIONS {
            let (at_server, at_client) = handshake(&engine, &server, &client(version)).await;
            assert!(at_server.err().unwrap().to_string().contains("the issuer is down"));
            at_client.unwrap_err();
        }
        // A client does not go on without a certificate.
        let client = client_asked(|_: CertRequest| async { Err::<_, BoxError>("the agent is down".into()) });
        let (at_server, at_client) = connect(&engine, client).await;
        assert!(at_client.err().unwrap().to_string().contains("the agent is down"));
        at_server.unwrap_err();
    }

    async fn a_client_looks_its_certificate_up<E>() {
        let engine = E::start(config());
        let client = client_asked(|_: CertRequest| async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            Ok::<_, BoxError>(Some(Arc::new(PKI.other.certified(PKI.other.stock_key()))))
        });
        let ends = connect(&engine, client).await;
        assert_eq!(ends.0.as_ref().unwrap().get_ref().1.peer_certificates(), Some(&*PKI.other.chain));
        assert_serves(ends).await;
    }
}

#[test]
fn off_an_engine_a_resolver_fails_at_once() {
    run(async {
        let nobody_is_asked = |_| async { unreachable!() };
        let acceptor = tokio_rustls::TlsAcceptor::from(server(nobody_is_asked));
        for version in VERSIONS {
            let (at_server, at_client) = sockets().await;
            let connector = tokio_rustls::TlsConnector::from(client(version));
            let name = "localhost".try_into().unwrap();
            let (at_server, _) = tokio::join!(acceptor.accept(at_server), connector.connect(name, at_client));
            assert!(matches!(reason(at_server), Error::NotOnEngine));
        }
    });
}

//! Signatures that come from elsewhere, or do not.

use crate::support::{
    Conduct, PKI, TestSigner, VERSIONS, assert_serves, client, config, for_each_engine, handshake, patient,
    reason, run, server,
};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{SigningKey, SingleCertAndKey};
use rustls::{ClientConfig, SignatureAlgorithm, SignatureScheme};
use rustls_multibuffer::handshake::{EngineStats, Op, TlsConnector};
use rustls_multibuffer::offload::{BreakerState, Error, Key, Policy, signer_fn};
use rustls_multibuffer::provider::{default_provider, sign::any_supported_type};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Signatures made and verified in batches.
fn batched(stats: &EngineStats) -> (u64, u64) {
    let requests = |ops: &[Op]| ops.iter().map(|op| stats.batches.of(*op).requests()).sum();
    (
        requests(&[Op::RsaSign2048, Op::P256Sign]),
        requests(&[Op::RsaVerify2048, Op::P256Verify, Op::P256VerifyKnown]),
    )
}

/// The peer has heard nothing that it could complain of.
#[track_caller]
fn assert_cut_off<T>(result: io::Result<T>) {
    let kind = result.err().expect("must fail").kind();
    assert!(matches!(kind, io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset), "{kind:?}");
}

for_each_engine! {
    async fn handshakes_wait_for_signers<E>() {
        for identity in PKI.kinds() {
            let engine = E::start(config());
            let (signer, key) = identity.key_of(patient());
            let server = Arc::new(server(identity, &key));
            for version in VERSIONS {
                assert_serves(handshake(&engine, &server, &client(version)).await).await;
            }
            assert_eq!(signer.asked.load(Relaxed), 2);
            let stats = key.stats();
            let of_signer = &stats.signers[0];
            assert_eq!((of_signer.signed, of_signer.in_flight, of_signer.waiting), (2, 0, 0));
            assert_eq!(of_signer.latency.buckets.iter().sum::<u64>(), 2);
            assert!(of_signer.latency.sum >= Duration::from_millis(10), "{:?}", of_signer.latency);
            // They are verified in batches, and not taken for a key that was forgotten.
            assert_eq!(batched(&engine.stats()), (0, 2));
            assert_eq!(engine.stats().unaccelerated.key, 0);
        }
    }

    async fn clients_wait_for_signers<E>() {
        let engine = E::start(config());
        let (_, key) = PKI.other.key_of(patient());
        let provider = Arc::new(default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(PKI.roots.clone(), provider.clone());
        let server = rustls::ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(PKI.p256.chain.clone(), PKI.p256.private_key())
            .unwrap();
        let certified = PKI.other.certified(Arc::new(key.clone()));
        for version in VERSIONS {
            let mut client = ClientConfig::clone(&client(version));
            client.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(certified.clone()));
            let (acceptor, connector) = (
                tokio_rustls::TlsAcceptor::from(Arc::new(server.clone())),
                TlsConnector::new(engine.clone(), Arc::new(client)),
            );
            let (at_server, at_client) = crate::support::sockets().await;
            let name = "localhost".try_into().unwrap();
            let ends = tokio::join!(acceptor.accept(at_server), connector.connect(name, at_client));
            assert_serves(ends).await;
        }
        assert_eq!(key.stats().signers[0].signed, 2);
    }

    async fn a_signer_that_hangs_is_not_asked_any_more<E>() {
        let engine = E::start(config());
        let policy = Policy::default()
            .timeout(Duration::from_millis(30))
            .breaker_failures(3)
            .breaker_pause(Duration::from_millis(300));
        let (signer, key) = PKI.p256.key_of(policy);
        let key = key.with_fallback(any_supported_type(&PKI.p256.private_key()).unwrap()).unwrap();
        let (server, client) = (Arc::new(server(&PKI.p256, &key)), client(VERSIONS[1]));
        signer.set(Conduct::Hangs);
        // Until the breaker has opened, each handshake waits for the signer. Then only a probe does.
        while key.stats().signers[0].broken == 0 {
            assert_serves(handshake(&engine, &server, &client).await).await;
        }
        let stats = key.stats();
        let of_signer = &stats.signers[0];
        assert!(of_signer.opened >= 1 && of_signer.timeouts >= 3, "{stats:?}");
        assert_eq!(stats.fallbacks, of_signer.timeouts + of_signer.broken);
        assert_eq!(signer.asked.load(Relaxed) as u64, of_signer.timeouts);
        // The fallback's signatures are made in lanes.
        assert_eq!(batched(&engine.stats()).0, stats.fallbacks);
        signer.set(Conduct::Signs(Duration::ZERO));
        while key.stats().signers[0].signed == 0 {
            assert_serves(handshake(&engine, &server, &client).await).await;
        }
        let stats = key.stats();
        assert_eq!((stats.signers[0].breaker, stats.signers[0].in_flight), (BreakerState::Closed, 0));
        assert_eq!(stats.failed, 0);
    }

    async fn without_another_key_the_handshake_says_why<E>() {
        let engine = E::start(config());
        let limit = Duration::from_millis(30);
        let (signer, key) = PKI.p256.key_of(Policy::default().timeout(limit).breaker_failures(3));
        let server = Arc::new(server(&PKI.p256, &key));
        let conducts = [Conduct::Hangs, Conduct::Fails, Conduct::Panics, Conduct::Fails];
        for (conduct, version) in conducts.into_iter().zip([0, 1, 0, 1]) {
            signer.set(conduct);
            let (at_server, at_client) = handshake(&engine, &server, &client(VERSIONS[version])).await;
            assert_cut_off(at_client);
            let why = reason(at_server);
            let is_it = match conduct {
                _ if signer.asked.load(Relaxed) == 3 && key.stats().signers[0].broken == 1 => {
                    matches!(why, Error::BreakerOpen)
                }
                Conduct::Hangs => matches!(why, Error::TimedOut(after) if after == limit),
                Conduct::Fails => matches!(&why, Error::Failed(why) if why.to_string() == "no session"),
                _ => matches!(&why, Error::Panicked(message) if message == "the token is gone"),
            };
            assert!(is_it, "{conduct:?}: {why:?}");
        }
        let stats = key.stats();
        let of_signer = &stats.signers[0];
        assert_eq!((of_signer.timeouts, of_signer.errors, of_signer.panics, of_signer.broken), (1, 1, 1, 1));
        assert_eq!((stats.failed, of_signer.in_flight, of_signer.signed), (4, 0, 0));
        assert_eq!(of_signer.breaker, BreakerState::Open);
    }

    async fn a_wrong_signature_is_never_released<E>() {
        for identity in PKI.kinds() {
            let engine = E::start(config());
            let (signer, key) = identity.key_of(patient().breaker_failures(100));
            let server = Arc::new(server(identity, &key));
            for version in VERSIONS {
                for conduct in [Conduct::Errs, Conduct::Confuses] {
                    signer.set(conduct);
                    let (at_server, at_client) = handshake(&engine, &server, &client(version)).await;
                    assert!(matches!(reason(at_server), Error::WrongSignature));
                    // It has not come as far as the client, which would have another complaint.
                    assert_cut_off(at_client);
                }
            }
            assert_eq!((key.stats().signers[0].wrong, key.stats().signers[0].signed), (4, 0));
            signer.set(Conduct::Signs(Duration::ZERO));
            assert_serves(handshake(&engine, &server, &client(VERSIONS[1])).await).await;
        }
    }

    async fn another_signer_is_asked<E>() {
        let engine = E::start(config());
        let (first, second) = (TestSigner::new(&PKI.p256), TestSigner::new(&PKI.p256));
        let policy = Policy::default().timeout(Duration::from_millis(30)).breaker_failures(100);
        let key = Key::new(first.clone(), policy).unwrap().with_signer(second.clone()).unwrap();
        let server = Arc::new(server(&PKI.p256, &key));
        second.set(Conduct::Signs(Duration::ZERO));
        for conduct in [Conduct::Hangs, Conduct::Fails, Conduct::Panics, Conduct::Errs] {
            first.set(conduct);
            loop {
                let before = key.stats().signers[1].signed;
                let ends = handshake(&engine, &server, &client(VERSIONS[1])).await;
                // On a busy machine, even the second one may take too long.
                if key.stats().signers[1].signed > before {
                    assert_serves(ends).await;
                    break;
                }
            }
        }
        let stats = key.stats();
        let of_first = &stats.signers[0];
        let failures = [of_first.timeouts, of_first.errors, of_first.panics, of_first.wrong];
        assert!(failures.iter().all(|n| *n >= 1), "{failures:?}");
        assert_eq!((of_first.signed, stats.fallbacks), (0, 0));
        assert_eq!(stats.retries as usize, second.asked.load(Relaxed));
    }
}

#[test]
fn off_an_engine_a_key_fails_at_once() {
    run(async {
        let (signer, key) = PKI.p256.key_of(patient());
        let key = key.with_fallback(PKI.p256.stock_key()).unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server(&PKI.p256, &key)));
        for version in VERSIONS {
            let connector = tokio_rustls::TlsConnector::from(client(version));
            let (at_server, at_client) = crate::support::sockets().await;
            let name = "localhost".try_into().unwrap();
            let (at_server, _) = tokio::join!(acceptor.accept(at_server), connector.connect(name, at_client));
            let error = at_server.err().unwrap();
            assert!(error.to_string().contains("only a handshake that runs on an engine"), "{error}");
            assert!(matches!(reason::<()>(Err(error)), Error::NotOnEngine));
        }
        assert_eq!((signer.asked.load(Relaxed), key.stats().fallbacks), (0, 0));
    });
}

#[test]
fn a_key_is_one_key() {
    let signer = || TestSigner::new(&PKI.p256);
    let key = || Key::new(signer(), Policy::default()).unwrap();
    assert_eq!(key().algorithm(), SignatureAlgorithm::ECDSA);
    assert_eq!(key().public_key(), Some(PKI.p256.public_key()));
    assert!(key().choose_scheme(&[SignatureScheme::RSA_PSS_SHA256]).is_none());
    assert!(matches!(key().with_signer(TestSigner::new(&PKI.other)), Err(Error::OtherPublicKey)));
    assert!(matches!(key().with_fallback(PKI.other.stock_key()), Err(Error::OtherPublicKey)));
    let nonsense = signer_fn(b"no key".to_vec().into(), |_, message| async { Ok(message) });
    assert!(matches!(Key::new(nonsense, Policy::default()), Err(Error::PublicKey)));
    let shown = format!("{:?}", key());
    assert!(shown.contains("ECDSA") && shown.len() < 100, "{shown}");
}

#[test]
fn the_preferred_scheme_is_chosen() {
    let key = Key::new(TestSigner::new(&PKI.rsa), Policy::default()).unwrap();
    let offered = [SignatureScheme::RSA_PKCS1_SHA256, SignatureScheme::RSA_PSS_SHA256];
    assert_eq!(key.choose_scheme(&offered).unwrap().scheme(), SignatureScheme::RSA_PSS_SHA256);
}

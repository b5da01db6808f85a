//! What verifiers, resolvers and signers of the application may do, although their thread has other
//! handshakes.

use crate::pki::{Keys, PKI, Setup};
use crate::support::{
    TestEngine, assert_all_returned, assert_serves, config, connect, for_each_engine, given_up, localhost,
    sockets,
};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_multibuffer::handshake::{Engine, HandshakeError, TlsAcceptor, TlsConnector};
use rustls_multibuffer::provider::{batch_verifications, default_provider};
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

/// Remembers the verdicts on chains; if it is to, under a lock that it holds meanwhile.
#[derive(Debug)]
struct Remembering {
    inner: Arc<dyn ServerCertVerifier>,
    locks: bool,
    verdicts: Mutex<Vec<Result<(), Error>>>,
}

impl Remembering {
    fn new(inner: Arc<dyn ServerCertVerifier>, locks: bool) -> Arc<Self> {
        Arc::new(Self { inner, locks, verdicts: Mutex::default() })
    }
}

impl ServerCertVerifier for Remembering {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let held = self.locks.then(|| self.verdicts.lock().unwrap());
        let verdict = self.inner.verify_server_cert(end_entity, intermediates, name, ocsp_response, now);
        let mut verdicts = held.unwrap_or_else(|| self.verdicts.lock().unwrap());
        verdicts.push(verdict.as_ref().map(drop).map_err(Clone::clone));
        verdict
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let _held = self.locks.then(|| self.verdicts.lock().unwrap());
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let _held = self.locks.then(|| self.verdicts.lock().unwrap());
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

fn webpki() -> Arc<WebPkiServerVerifier> {
    let provider = Arc::new(default_provider());
    WebPkiServerVerifier::builder_with_provider(PKI.roots.clone(), provider).build().unwrap()
}

fn client_with(setup: Setup, verifier: Arc<dyn ServerCertVerifier>) -> ClientConfig {
    let mut config = setup.client(Keys::Ours);
    config.dangerous().set_certificate_verifier(verifier);
    config.resumption = rustls::client::Resumption::disabled();
    config
}

/// Resolves with the server's certificate after a callback.
#[derive(Debug)]
struct After(fn(), Arc<CertifiedKey>);

impl ResolvesServerCert for After {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        (self.0)();
        Some(self.1.clone())
    }
}

fn acceptor_after<E: TestEngine>(engine: &E, callback: fn()) -> TlsAcceptor<E> {
    let key =
        CertifiedKey::from_der(PKI.server.chain.clone(), PKI.server.key(), &default_provider()).unwrap();
    let mut server = Setup::TLS13.server(Keys::Ours);
    server.cert_resolver = Arc::new(After(callback, Arc::new(key)));
    TlsAcceptor::new(engine.clone(), Arc::new(server))
}

fn stock_client() -> tokio_rustls::TlsConnector {
    Arc::new(Setup::TLS13.client(Keys::Stock)).into()
}

/// Panics when it is dropped, unless that would end the process.
struct Payload;

impl Drop for Payload {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("dropping the payload");
        }
    }
}

for_each_engine! {
    async fn a_verifier_may_hold_a_lock<E>() {
        const AT_ONCE: usize = 16;
        let engine = E::start(config().threads(1).gather(8));
        for setup in [Setup::MTLS13, Setup::MTLS12] {
            let verifier = Remembering::new(webpki(), true);
            let connector = TlsConnector::new(engine.clone(), Arc::new(client_with(setup, verifier.clone())));
            let acceptor = TlsAcceptor::new(engine.clone(), Arc::new(setup.server(Keys::Ours)));
            let handshakes = (0..AT_ONCE).map(|_| {
                let (acceptor, connector) = (acceptor.clone(), connector.clone());
                tokio::task::spawn_local(async move {
                    connect(|io| acceptor.accept(io), |io| connector.connect(localhost(), io)).await
                })
            });
            for handshake in handshakes.collect::<Vec<_>>() {
                handshake.await.unwrap();
            }
            assert_eq!(*verifier.verdicts.lock().unwrap(), vec![Ok(()); AT_ONCE]);
        }
        // Of each client a certificate and a handshake; what the servers verify waits for batches.
        assert_eq!(engine.stats().verified_at_once, 2 * 2 * AT_ONCE as u64);
        assert_all_returned(&engine).await;
    }

    async fn no_verdict_is_made_up_when_a_handshake_is_given_up<E>() {
        let verifier = Remembering::new(batch_verifications(webpki()), false);
        // Each operation waits for so long: a key share, an agreement, and a certificate, during which the
        // time is up. On a busy machine it may be up before, until there is enough of it.
        for delay in (0..6).map(|attempt| Duration::from_millis(300 << attempt)) {
            let limited = config().threads(1).gather(8).poll_delay(delay).handshake_timeout(delay * 5 / 2);
            let engine = E::start(limited);
            let client = client_with(Setup::TLS13, verifier.clone());
            let connector = TlsConnector::new(engine.clone(), Arc::new(client));
            let (server, client) = sockets().await;
            let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(Setup::TLS13.server(Keys::Stock)));
            let server = tokio::task::spawn_local(async move { acceptor.accept(server).await.map(drop) });
            assert_eq!(given_up(connector.connect(localhost(), client).await), HandshakeError::TimedOut);
            server.abort();
            assert_all_returned(&engine).await;
            if !verifier.verdicts.lock().unwrap().is_empty() {
                break;
            }
        }
        assert_eq!(*verifier.verdicts.lock().unwrap(), [Ok(())]);
    }

    async fn a_payload_that_panics_ends_its_handshake_only<E>() {
        let engine = E::start(config());
        let bad = acceptor_after(&engine, || std::panic::panic_any(Payload));
        for _ in 0..4 {
            let (server, client) = sockets().await;
            let connector = stock_client();
            let (server, client) = tokio::join!(bad.accept(server), connector.connect(localhost(), client));
            assert!(matches!(given_up(server), HandshakeError::Panicked(_)));
            client.unwrap_err();
            assert_serves(&engine).await;
        }
        assert_all_returned(&engine).await;
    }

    async fn a_resolver_finds_the_callers_runtime<E>() {
        let engine = E::start(config());
        static SPAWNED: AtomicBool = AtomicBool::new(false);
        let acceptor = acceptor_after(&engine, || {
            let _timer = tokio::time::sleep(Duration::from_secs(1));
            drop(tokio::spawn(async { SPAWNED.store(true, Relaxed) }));
        });
        let connector = stock_client();
        connect(|io| acceptor.accept(io), |io| connector.connect(localhost(), io)).await;
        while !SPAWNED.load(Relaxed) {
            tokio::task::yield_now().await;
        }
    }

    async fn a_callback_that_blocks_is_counted<E>() {
        let engine = E::start(config());
        let acceptor = acceptor_after(&engine, || std::thread::sleep(Duration::from_millis(11)));
        let connector = stock_client();
        connect(|io| acceptor.accept(io), |io| connector.connect(localhost(), io)).await;
        assert!(engine.stats().long_calls > 0);
    }
}

/// Panics whenever somebody is woken.
struct PanickingWaker(AtomicBool);

impl Wake for PanickingWaker {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Relaxed);
        panic!("a waker that panics");
    }
}

/// The only thread of an engine goes on serving, whatever the tasks are that it has to wake.
#[test]
fn a_waker_that_panics_is_no_threads_end() {
    crate::support::run(async {
        let engine = <Engine as TestEngine>::start(config().threads(1));
        for _ in 0..3 {
            let woken = Arc::new(PanickingWaker(AtomicBool::new(false)));
            let waker = Waker::from(woken.clone());
            let connector = TlsConnector::new(engine.clone(), Arc::new(Setup::TLS13.client(Keys::Ours)));
            let (server, client) = tokio::io::duplex(4096);
            let mut connecting = pin!(connector.connect(localhost(), client));
            assert!(connecting.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            // It fails on the thread, which wakes whoever waits for it.
            drop(server);
            while !woken.0.load(Relaxed) {
                tokio::task::yield_now().await;
            }
            assert_serves(&engine).await;
        }
    });
}

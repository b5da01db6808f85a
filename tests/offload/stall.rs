//! Whoever shares the thread with a slow signer.

use crate::support::{PKI, VERSIONS, assert_serves, client, config, handshake, patient, run, server};
use rustls::SignatureScheme;
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::sign::{Signer, SigningKey, SingleCertAndKey};
use rustls::{ServerConfig, SignatureAlgorithm};
use rustls_multibuffer::handshake::{Engine, LocalEngine};
use rustls_multibuffer::offload::{Key, signer_fn};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const SIGNATURE: Duration = Duration::from_millis(50);

/// A task that wants to run every millisecond.
#[derive(Default)]
struct Pings {
    count: AtomicU64,
    gaps: Mutex<Vec<Duration>>,
}

impl Pings {
    fn start() -> Arc<Self> {
        let pings = Arc::new(Self::default());
        let runs = Arc::downgrade(&pings);
        tokio::spawn(async move {
            let mut last = Instant::now();
            while let Some(pings) = runs.upgrade() {
                pings.count.fetch_add(1, Relaxed);
                pings.gaps.lock().unwrap().push(last.elapsed());
                last = Instant::now();
                drop(pings);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        pings
    }

    fn count(&self) -> u64 {
        self.count.load(Relaxed)
    }

    fn print(&self, what: &str) {
        let mut gaps = self.gaps.lock().unwrap().clone();
        gaps.sort_unstable();
        println!(
            "{what}: a ping after {:?} (p99), at most {:?}",
            gaps[gaps.len() * 99 / 100],
            gaps[gaps.len() - 1]
        );
    }
}

/// How many pings there were while each signature was made.
type Seen = Arc<Mutex<Vec<u64>>>;

async fn with_an_engine<E: crate::support::TestEngine>() {
    let (engine, pings, seen) = (E::start(config()), Pings::start(), Seen::default());
    let signer = {
        let (pings, seen) = (pings.clone(), seen.clone());
        signer_fn(PKI.p256.public_key().into_owned(), move |scheme, message| {
            let (pings, seen) = (pings.clone(), seen.clone());
            async move {
                let before = pings.count();
                tokio::time::sleep(SIGNATURE).await;
                seen.lock().unwrap().push(pings.count() - before);
                Ok(PKI.p256.stock_key().choose_scheme(&[scheme]).ok_or("no scheme")?.sign(&message)?)
            }
        })
    };
    let key = Key::new(signer, patient()).unwrap();
    let (server, client) = (Arc::new(server(&PKI.p256, &key)), client(VERSIONS[1]));
    for _ in 0..20 {
        assert_serves(handshake(&engine, &server, &client).await).await;
    }
    pings.print(std::any::type_name::<E>());
    let seen = seen.lock().unwrap().clone();
    assert!(seen.len() == 20 && seen.iter().all(|pings| *pings > 0), "{seen:?}");
}

#[test]
fn others_run_on_while_a_signature_is_made() {
    run(with_an_engine::<LocalEngine>());
    run(with_an_engine::<Engine>());
}

/// What one does without an engine.
struct Blocking(Arc<Pings>, Seen);

impl std::fmt::Debug for Blocking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Blocking")
    }
}

impl SigningKey for Blocking {
    fn choose_scheme(&self, _: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        Some(Box::new(Self(self.0.clone(), self.1.clone())))
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        None
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl Signer for Blocking {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let before = self.0.count();
        std::thread::sleep(SIGNATURE);
        self.1.lock().unwrap().push(self.0.count() - before);
        PKI.p256.stock_key().choose_scheme(&[self.scheme()]).unwrap().sign(message)
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ECDSA_NISTP256_SHA256
    }
}

#[test]
fn with_a_signer_that_blocks_nobody_runs() {
    run(async {
        let (pings, seen) = (Pings::start(), Seen::default());
        let certified = PKI.p256.certified(Arc::new(Blocking(pings.clone(), seen.clone())));
        let server =
            ServerConfig::builder_with_provider(rustls::crypto::aws_lc_rs::default_provider().into())
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
        for _ in 0..5 {
            let connector = tokio_rustls::TlsConnector::from(client(VERSIONS[1]));
            let (at_server, at_client) = crate::support::sockets().await;
            let name = "localhost".try_into().unwrap();
            assert_serves(tokio::join!(acceptor.accept(at_server), connector.connect(name, at_client))).await;
        }
        pings.print("stock rustls, a signer that blocks");
        assert_eq!(*seen.lock().unwrap(), [0; 5]);
    });
}

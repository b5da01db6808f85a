//! What is not accelerated: counted, and said in the log.

use crate::error::KeyError;
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::sign::{Signer, SigningKey};
use rustls::{SignatureAlgorithm, SignatureScheme};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

static SIGNATURES: AtomicU64 = AtomicU64::new(0);
static OFF_ENGINE: AtomicU64 = AtomicU64::new(0);

/// Signatures that this process has made with keys for which there are no lanes, on whatever tier. They never
/// reach an engine's queues, so that no engine's statistics have them.
pub fn unaccelerated_signatures() -> u64 {
    SIGNATURES.load(Relaxed)
}

/// Signatures and key exchanges of this provider that the process has done on no engine, by aws-lc-rs:
/// there they are as fast as rustls' own, and no faster. Where share and agreement are made one after the
/// other, they count as two.
pub fn operations_off_engine() -> u64 {
    OFF_ENGINE.load(Relaxed)
}

/// Counts an operation that runs on no engine; the log says once what to change.
pub(super) fn count_off_engine() {
    if OFF_ENGINE.fetch_add(1, Relaxed) == 0 {
        log::warn!(
            "an operation of rustls-multibuffer's provider runs on no engine, so that nothing is batched: \
             accept and connect with its handshake::TlsAcceptor and TlsConnector, or give the handshake's \
             future to Engine::run (told once)"
        );
    }
}

/// The key with its signatures counted; the log says why it is not accelerated.
pub(super) fn counted(stock: Arc<dyn SigningKey>, why: KeyError) -> Arc<dyn SigningKey> {
    log::warn!("signatures with this {:?} key are not accelerated: {why}", stock.algorithm());
    Arc::new(Key(stock))
}

#[derive(Debug)]
struct Key(Arc<dyn SigningKey>);

impl SigningKey for Key {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let signer = self.0.choose_scheme(offered)?;
        Some(Box::new(Counted(signer)))
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        self.0.public_key()
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.0.algorithm()
    }
}

#[derive(Debug)]
struct Counted(Box<dyn Signer>);

impl Signer for Counted {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        SIGNATURES.fetch_add(1, Relaxed);
        self.0.sign(message)
    }

    fn scheme(&self) -> SignatureScheme {
        self.0.scheme()
    }
}

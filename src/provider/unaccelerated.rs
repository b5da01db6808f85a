//! Keys without lanes: served by aws-lc-rs, told once, and counted.

use crate::error::KeyError;
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::sign::{Signer, SigningKey};
use rustls::{SignatureAlgorithm, SignatureScheme};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

static SIGNATURES: AtomicU64 = AtomicU64::new(0);

/// Signatures that this process has made with keys for which there are no lanes, on whatever tier. They never
/// reach an engine's queues, so that no engine's statistics have them.
pub fn unaccelerated_signatures() -> u64 {
    SIGNATURES.load(Relaxed)
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

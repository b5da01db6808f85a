//! Ed25519 signing keys for rustls.

use crate::error::Error;
use crate::fiber::{self, NotParked};
use crate::ops::ed25519::{PrivateKey, SignRequest};
use crate::ops::{Request, Response};
use crate::provider::{Answer, rustls_error};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::sign::{Signer, SigningKey};
use rustls::{SignatureAlgorithm, SignatureScheme};

/// An Ed25519 key whose signatures are made in batches.
#[derive(Clone, Debug)]
pub(super) struct Ed25519Key {
    key: PrivateKey,
}

impl Ed25519Key {
    pub(super) fn new(key: PrivateKey) -> Self {
        Self { key }
    }
}

impl SigningKey for Ed25519Key {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        // The key has one scheme, so it is its own signer.
        offered.contains(&SignatureScheme::ED25519).then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(SubjectPublicKeyInfoDer::from(self.key.spki_der()))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ED25519
    }
}

impl Signer for Ed25519Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let request = Request::Ed25519Sign(SignRequest::new(&self.key, message));
        let signature = match fiber::park::<Request, Answer>(request) {
            Ok(Ok(Response::Signature(signature))) => Ok(signature),
            Ok(Ok(other)) => unreachable!("a signature is answered with {other:?}"),
            Ok(Err(e)) => Err(e),
            Err(NotParked::Cancelled) => Err(Error::Cancelled),
            Err(NotParked::NotOnFiber(_)) => self.key.sign(message),
        };
        signature.map_err(rustls_error)
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

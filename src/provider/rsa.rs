//! RSA signing keys for rustls.

use crate::error::Error;
use crate::fiber::{self, NotParked};
use crate::ops::rsa::{Padding, RsaPrivateKey, SignRequest};
use crate::ops::{Request, Response};
use crate::provider::{Answer, rustls_error};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::sign::{Signer, SigningKey};
use rustls::{SignatureAlgorithm, SignatureScheme};

/// What an RSA key can sign, in rustls' order of preference.
const SCHEMES: [(SignatureScheme, Padding); 6] = [
    (SignatureScheme::RSA_PSS_SHA512, Padding::PssSha512),
    (SignatureScheme::RSA_PSS_SHA384, Padding::PssSha384),
    (SignatureScheme::RSA_PSS_SHA256, Padding::PssSha256),
    (SignatureScheme::RSA_PKCS1_SHA512, Padding::Pkcs1Sha512),
    (SignatureScheme::RSA_PKCS1_SHA384, Padding::Pkcs1Sha384),
    (SignatureScheme::RSA_PKCS1_SHA256, Padding::Pkcs1Sha256),
];

/// An RSA key whose signatures are made in batches.
#[derive(Debug)]
pub(super) struct RsaSigningKey {
    key: RsaPrivateKey,
}

impl RsaSigningKey {
    pub(super) fn new(key: RsaPrivateKey) -> Self {
        Self { key }
    }
}

impl SigningKey for RsaSigningKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let (scheme, padding) = SCHEMES.into_iter().find(|(scheme, _)| offered.contains(scheme))?;
        Some(Box::new(RsaSigner { key: self.key.clone(), scheme, padding }))
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(SubjectPublicKeyInfoDer::from(self.key.spki_der()))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::RSA
    }
}

#[derive(Debug)]
struct RsaSigner {
    key: RsaPrivateKey,
    scheme: SignatureScheme,
    padding: Padding,
}

impl Signer for RsaSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        self.sign_in_batch(message)
            .unwrap_or_else(|| self.key.sign(self.padding, message))
            .map_err(rustls_error)
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}

impl RsaSigner {
    /// `None` when there is no fiber to park, or no lanes for the key.
    fn sign_in_batch(&self, message: &[u8]) -> Option<Result<Vec<u8>, Error>> {
        if !fiber::on_fiber::<Request, Answer>() {
            return None;
        }
        let request = Request::RsaSign(SignRequest::new(&self.key, self.padding, message)?);
        match fiber::park::<Request, Answer>(request) {
            Ok(Ok(Response::Signature(signature))) => Some(Ok(signature)),
            Ok(Ok(other)) => unreachable!("a signature is answered with {other:?}"),
            Ok(Err(e)) => Some(Err(e)),
            Err(NotParked::Cancelled) => Some(Err(Error::Cancelled)),
            Err(NotParked::NotOnFiber(_)) => None,
        }
    }
}

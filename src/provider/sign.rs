//! rustls' signing keys, whose signatures are made in batches.

use super::answer::answer;
use super::rustls_error;
use crate::error::{Error, KeyError};
use crate::ops::ecdsa::{self, EcdsaPrivateKey};
use crate::ops::ed25519;
use crate::ops::rsa::{self, Padding, RsaPrivateKey};
use crate::ops::{NistCurve, Request, Response};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::sign::{Signer, SigningKey};
use rustls::{SignatureAlgorithm, SignatureScheme};
use std::sync::Arc;

/// What an RSA key can sign, in rustls' order of preference.
const RSA: [(SignatureScheme, Padding); 6] = [
    (SignatureScheme::RSA_PSS_SHA512, Padding::PssSha512),
    (SignatureScheme::RSA_PSS_SHA384, Padding::PssSha384),
    (SignatureScheme::RSA_PSS_SHA256, Padding::PssSha256),
    (SignatureScheme::RSA_PKCS1_SHA512, Padding::Pkcs1Sha512),
    (SignatureScheme::RSA_PKCS1_SHA384, Padding::Pkcs1Sha384),
    (SignatureScheme::RSA_PKCS1_SHA256, Padding::Pkcs1Sha256),
];

/// A key whose signatures are made in batches.
#[derive(Clone, Debug)]
enum Key {
    Rsa(RsaPrivateKey),
    Ecdsa(EcdsaPrivateKey),
    Ed25519(ed25519::PrivateKey),
}

/// The signing key of an RSA key; [`KeyError::Size`] for one that lanes do not serve.
pub(super) fn rsa(key: RsaPrivateKey) -> Result<Arc<dyn SigningKey>, KeyError> {
    key.op().ok_or(KeyError::Size)?;
    Ok(Arc::new(Key::Rsa(key)))
}

/// The signing key of an ECDSA key.
pub(super) fn ecdsa(key: EcdsaPrivateKey) -> Result<Arc<dyn SigningKey>, KeyError> {
    Ok(Arc::new(Key::Ecdsa(key)))
}

/// The signing key of an Ed25519 key.
pub(super) fn ed25519(key: ed25519::PrivateKey) -> Result<Arc<dyn SigningKey>, KeyError> {
    Ok(Arc::new(Key::Ed25519(key)))
}

impl SigningKey for Key {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let scheme = match self {
            Self::Rsa(_) => RSA.into_iter().map(|(scheme, _)| scheme).find(|s| offered.contains(s))?,
            Self::Ecdsa(key) => *offered.iter().find(|s| **s == scheme_of(key.curve()))?,
            Self::Ed25519(_) => *offered.iter().find(|s| **s == SignatureScheme::ED25519)?,
        };
        Some(Box::new(BatchSigner { key: self.clone(), scheme }))
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(SubjectPublicKeyInfoDer::from(match self {
            Self::Rsa(key) => key.spki_der(),
            Self::Ecdsa(key) => key.spki_der(),
            Self::Ed25519(key) => key.spki_der(),
        }))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        match self {
            Self::Rsa(_) => SignatureAlgorithm::RSA,
            Self::Ecdsa(_) => SignatureAlgorithm::ECDSA,
            Self::Ed25519(_) => SignatureAlgorithm::ED25519,
        }
    }
}

/// The one scheme of a curve (RFC 8446 §4.2.3).
fn scheme_of(curve: NistCurve) -> SignatureScheme {
    match curve {
        NistCurve::P256 => SignatureScheme::ECDSA_NISTP256_SHA256,
        NistCurve::P384 => SignatureScheme::ECDSA_NISTP384_SHA384,
    }
}

#[derive(Debug)]
struct BatchSigner {
    key: Key,
    scheme: SignatureScheme,
}

impl BatchSigner {
    fn request(&self, message: &[u8]) -> Result<Request, Error> {
        Ok(match &self.key {
            Key::Rsa(key) => {
                let padding = RSA.into_iter().find(|(scheme, _)| *scheme == self.scheme);
                let request = padding.and_then(|(_, padding)| rsa::SignRequest::new(key, padding, message));
                // A combination that `choose_scheme` does not make.
                Request::RsaSign(request.ok_or(Error::Unsupported("no such signature"))?)
            }
            Key::Ecdsa(key) => Request::EcdsaSign(ecdsa::SignRequest::new(key, message)),
            Key::Ed25519(key) => Request::Ed25519Sign(ed25519::SignRequest::new(key, message)),
        })
    }
}

impl Signer for BatchSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        match answer(|| self.request(message)).map_err(rustls_error)? {
            Response::Signature(signature) => Ok(signature),
            other => unreachable!("a signature is answered with {other:?}"),
        }
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}

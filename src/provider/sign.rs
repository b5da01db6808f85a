//! Signing keys for rustls, whose signatures are made in batches.

use super::answer::answer;
use super::{rustls_error, unaccelerated};
use crate::arch::wiping_stack;
use crate::error::{Error, KeyError};
use crate::ops::ecdsa::{self, EcdsaPrivateKey};
use crate::ops::ed25519;
use crate::ops::envelope::{self, Algorithm};
use crate::ops::rsa::{self, Padding, RsaPrivateKey};
use crate::ops::{NistCurve, Request, Response};
use rustls::crypto::aws_lc_rs::sign as stock;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use rustls::sign::{Signer, SigningKey};
use rustls::{SignatureAlgorithm, SignatureScheme};
use std::sync::Arc;

/// A signing key for use in a rustls configuration: in lanes for RSA with 2048, 3072 or 4096 bits, for ECDSA
/// on P-256 and P-384, and for Ed25519, through aws-lc-rs for every other key that rustls' own provider
/// serves.
///
/// Whatever rustls' own provider takes is taken: what lanes do not serve, or what is encoded otherwise than
/// the standards say, is left to aws-lc-rs, which checks it in its own way; the log says why, and
/// [`unaccelerated_signatures`](super::unaccelerated_signatures) counts its signatures.
///
/// # Errors
/// A key that aws-lc-rs refuses as well gives [`rustls::Error::Other`] with an [`Error::Key`] inside, our
/// reason; one of a kind that is not imported here gives rustls' error.
pub fn any_supported_type(der: &PrivateKeyDer<'_>) -> Result<Arc<dyn SigningKey>, rustls::Error> {
    ours_or(import(der), || stock::any_supported_type(der))
}

/// An ECDSA key (PKCS#8 or SEC 1): in lanes on P-256 and P-384, through aws-lc-rs on P-521. Otherwise like
/// [`any_supported_type`].
///
/// # Errors
/// Those of [`any_supported_type`]; rustls' error for a key of another kind.
pub fn any_ecdsa_type(der: &PrivateKeyDer<'_>) -> Result<Arc<dyn SigningKey>, rustls::Error> {
    ours_or(import_of(der, SignatureAlgorithm::ECDSA), || stock::any_ecdsa_type(der))
}

/// An EdDSA key: an Ed25519 key, in lanes. Otherwise like [`any_supported_type`].
///
/// # Errors
/// Those of [`any_supported_type`]; rustls' error for a key of another kind.
pub fn any_eddsa_type(der: &PrivatePkcs8KeyDer<'_>) -> Result<Arc<dyn SigningKey>, rustls::Error> {
    let any = PrivateKeyDer::Pkcs8(der.secret_pkcs8_der().into());
    ours_or(import_of(&any, SignatureAlgorithm::ED25519), || stock::any_eddsa_type(der))
}

/// What lanes serve, or what rustls' own loader makes of the key.
fn ours_or(
    ours: Result<Arc<dyn SigningKey>, KeyError>,
    load: impl FnOnce() -> Result<Arc<dyn SigningKey>, rustls::Error>,
) -> Result<Arc<dyn SigningKey>, rustls::Error> {
    let why_not_ours = match ours {
        Ok(key) => return Ok(key),
        Err(e) => e,
    };
    match wiping_stack(load) {
        Ok(stock) => Ok(unaccelerated::counted(stock, why_not_ours)),
        Err(general) if why_not_ours == KeyError::Algorithm => Err(general),
        Err(_) => Err(rustls_error(why_not_ours.into())),
    }
}

fn import_of(der: &PrivateKeyDer<'_>, kind: SignatureAlgorithm) -> Result<Arc<dyn SigningKey>, KeyError> {
    import(der).and_then(|key| if key.algorithm() == kind { Ok(key) } else { Err(KeyError::Algorithm) })
}

/// The key, if lanes serve it.
pub(super) fn import(der: &PrivateKeyDer<'_>) -> Result<Arc<dyn SigningKey>, KeyError> {
    let key = match der {
        PrivateKeyDer::Pkcs8(key) => {
            let der = key.secret_pkcs8_der();
            match envelope::algorithm(der)? {
                Algorithm::Rsa => Key::Rsa(RsaPrivateKey::from_pkcs8_der(der)?),
                Algorithm::Ecdsa => Key::Ecdsa(EcdsaPrivateKey::from_pkcs8_der(der)?),
                Algorithm::Ed25519 => Key::Ed25519(ed25519::PrivateKey::from_pkcs8_der(der)?),
            }
        }
        PrivateKeyDer::Pkcs1(key) => Key::Rsa(RsaPrivateKey::from_pkcs1_der(key.secret_pkcs1_der())?),
        PrivateKeyDer::Sec1(key) => Key::Ecdsa(EcdsaPrivateKey::from_sec1_der(key.secret_sec1_der())?),
        _ => return Err(KeyError::Algorithm),
    };
    if let Key::Rsa(key) = &key {
        key.op().ok_or(KeyError::Size)?;
    }
    Ok(Arc::new(key))
}

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

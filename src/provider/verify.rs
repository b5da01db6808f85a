//! Verification algorithms for rustls: those of its aws-lc-rs provider, the ones that have lanes replaced by
//! ours.

use super::answer::verdict;
use crate::error::Error;
use crate::ops::rsa::{self, Padding};
use crate::ops::{Hash, NistCurve, Request, ecdsa, ed25519};
use rustls::SignatureScheme;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id};

type Algorithm = &'static dyn SignatureVerificationAlgorithm;

/// These algorithms in their order, the ones that have lanes replaced by ours. What is made is never freed.
pub(super) fn in_lanes(stock: WebPkiSupportedAlgorithms) -> WebPkiSupportedAlgorithms {
    let mapping = stock.mapping.iter().map(|(scheme, algorithms)| (*scheme, replaced(algorithms)));
    let mapping: Vec<(SignatureScheme, &'static [Algorithm])> = mapping.collect();
    WebPkiSupportedAlgorithms { all: replaced(stock.all), mapping: mapping.leak() }
}

fn replaced(stock: &[Algorithm]) -> &'static [Algorithm] {
    stock.iter().map(|algorithm| ours(*algorithm).unwrap_or(*algorithm)).collect::<Vec<_>>().leak()
}

/// Our algorithm in the place of `stock`, if there are lanes for it.
fn ours(stock: Algorithm) -> Option<Algorithm> {
    let is_it =
        |a: &&Parking| (a.public_key, a.signature) == (stock.public_key_alg_id(), stock.signature_alg_id());
    PARKING.iter().find(is_it).map(|a| a as Algorithm)
}

/// RSA signatures by keys of type rsaEncryption: PKCS#1 v1.5 has two identifiers for each hash, because RFC
/// 4055 §5 wants NULL parameters, and that their absence is accepted. ECDSA with P-256 and P-384. Ed25519.
static PARKING: [Parking; 16] = [
    rsa(alg_id::RSA_PSS_SHA256, Padding::PssSha256),
    rsa(alg_id::RSA_PSS_SHA384, Padding::PssSha384),
    rsa(alg_id::RSA_PSS_SHA512, Padding::PssSha512),
    rsa(alg_id::RSA_PKCS1_SHA256, Padding::Pkcs1Sha256),
    rsa(alg_id::RSA_PKCS1_SHA384, Padding::Pkcs1Sha384),
    rsa(alg_id::RSA_PKCS1_SHA512, Padding::Pkcs1Sha512),
    rsa(ABSENT_PARAMETERS_SHA256, Padding::Pkcs1Sha256),
    rsa(ABSENT_PARAMETERS_SHA384, Padding::Pkcs1Sha384),
    rsa(ABSENT_PARAMETERS_SHA512, Padding::Pkcs1Sha512),
    ecdsa(alg_id::ECDSA_P256, NistCurve::P256, alg_id::ECDSA_SHA256, Hash::Sha256),
    ecdsa(alg_id::ECDSA_P256, NistCurve::P256, alg_id::ECDSA_SHA384, Hash::Sha384),
    ecdsa(alg_id::ECDSA_P256, NistCurve::P256, alg_id::ECDSA_SHA512, Hash::Sha512),
    ecdsa(alg_id::ECDSA_P384, NistCurve::P384, alg_id::ECDSA_SHA256, Hash::Sha256),
    ecdsa(alg_id::ECDSA_P384, NistCurve::P384, alg_id::ECDSA_SHA384, Hash::Sha384),
    ecdsa(alg_id::ECDSA_P384, NistCurve::P384, alg_id::ECDSA_SHA512, Hash::Sha512),
    Parking { public_key: alg_id::ED25519, signature: alg_id::ED25519, kind: Kind::Ed25519 },
];

const fn rsa(signature: AlgorithmIdentifier, padding: Padding) -> Parking {
    Parking { public_key: alg_id::RSA_ENCRYPTION, signature, kind: Kind::Rsa(padding) }
}

const fn ecdsa(
    public_key: AlgorithmIdentifier,
    curve: NistCurve,
    signature: AlgorithmIdentifier,
    hash: Hash,
) -> Parking {
    Parking { public_key, signature, kind: Kind::Ecdsa(curve, hash) }
}

/// sha256WithRSAEncryption, 1.2.840.113549.1.1.11.
const ABSENT_PARAMETERS_SHA256: AlgorithmIdentifier =
    AlgorithmIdentifier::from_slice(&[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11]);
/// sha384WithRSAEncryption, 1.2.840.113549.1.1.12.
const ABSENT_PARAMETERS_SHA384: AlgorithmIdentifier =
    AlgorithmIdentifier::from_slice(&[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 12]);
/// sha512WithRSAEncryption, 1.2.840.113549.1.1.13.
const ABSENT_PARAMETERS_SHA512: AlgorithmIdentifier =
    AlgorithmIdentifier::from_slice(&[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 13]);

/// Verifies signatures: in batches on a fiber, elsewhere at once through aws-lc-rs.
#[derive(Debug)]
struct Parking {
    public_key: AlgorithmIdentifier,
    signature: AlgorithmIdentifier,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Rsa(Padding),
    Ecdsa(NistCurve, Hash),
    Ed25519,
}

impl Kind {
    /// `None` for a key that lanes do not serve.
    fn request(self, public_key: &[u8], message: &[u8], signature: &[u8]) -> Option<Request> {
        Some(match self {
            Self::Rsa(padding) => {
                Request::RsaVerify(rsa::VerifyRequest::new(public_key, padding, message, signature)?)
            }
            Self::Ecdsa(curve, hash) => {
                Request::EcdsaVerify(ecdsa::VerifyRequest::new(curve, hash, public_key, message, signature)?)
            }
            Self::Ed25519 => {
                Request::Ed25519Verify(ed25519::VerifyRequest::new(public_key, message, signature)?)
            }
        })
    }

    fn verify_at_once(self, public_key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), Error> {
        match self {
            Self::Rsa(padding) => rsa::verify(public_key, padding, message, signature),
            Self::Ecdsa(curve, hash) => ecdsa::verify(curve, hash, public_key, message, signature),
            Self::Ed25519 => ed25519::verify(public_key, message, signature),
        }
    }
}

impl SignatureVerificationAlgorithm for Parking {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        verdict(|| self.kind.request(public_key, message, signature))
            .unwrap_or_else(|| self.kind.verify_at_once(public_key, message, signature))
            .map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.public_key
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
    }
}

#[cfg(test)]
mod tests;

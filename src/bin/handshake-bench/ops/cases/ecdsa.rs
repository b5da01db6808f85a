//! ECDSA signatures and verifications as operations to measure.

use super::{Baseline, Case};
use aws_lc_rs::rand;
use aws_lc_rs::signature::{self as aws, KeyPair as _};
use ring::signature as other;
use rustls_multibuffer::internals::ops::ecdsa::{EcdsaPrivateKey, SignRequest, VerifyRequest};
use rustls_multibuffer::internals::ops::{NistCurve, Op, Request, Response, Runner};

/// The operations of this module. aws-lc-rs and ring treat every public key as one that they never saw; so do
/// `p256-verify` and `p384-verify`.
pub(super) const NAMES: [&str; 6] = [
    "p256-sign",
    "p256-verify",
    "p256-verify-known-key",
    "p384-sign",
    "p384-verify",
    "p384-verify-known-key",
];

/// As long as what a TLS 1.3 CertificateVerify signs (RFC 8446 §4.4.3).
const MESSAGE: [u8; 130] = [b' '; 130];

/// One key for each lane of the widest tier.
const KEYS: usize = 8;

/// What each library calls ECDSA on a curve.
#[derive(Clone, Copy)]
struct Algorithm {
    aws_signing: &'static aws::EcdsaSigningAlgorithm,
    aws_verification: &'static aws::EcdsaVerificationAlgorithm,
    other_signing: &'static other::EcdsaSigningAlgorithm,
    other_verification: &'static other::EcdsaVerificationAlgorithm,
}

const P256: Algorithm = Algorithm {
    aws_signing: &aws::ECDSA_P256_SHA256_ASN1_SIGNING,
    aws_verification: &aws::ECDSA_P256_SHA256_ASN1,
    other_signing: &other::ECDSA_P256_SHA256_ASN1_SIGNING,
    other_verification: &other::ECDSA_P256_SHA256_ASN1,
};

const P384: Algorithm = Algorithm {
    aws_signing: &aws::ECDSA_P384_SHA384_ASN1_SIGNING,
    aws_verification: &aws::ECDSA_P384_SHA384_ASN1,
    other_signing: &other::ECDSA_P384_SHA384_ASN1_SIGNING,
    other_verification: &other::ECDSA_P384_SHA384_ASN1,
};

/// Makes the keys for one of [`NAMES`].
pub(super) fn case(name: &str) -> Result<Box<dyn Case>, String> {
    let curve = if name.starts_with("p256") { P256 } else { P384 };
    let kind = match name.split_once('-') {
        Some((_, "sign")) => Kind::Sign,
        Some((_, "verify")) => Kind::Verify,
        _ => Kind::VerifyKnown,
    };
    let keys = (0..KEYS).map(|_| Signer::generate(curve)).collect::<Result<_, _>>()?;
    Ok(Box::new(Ecdsa { kind, curve, keys }))
}

/// One private key in every library, and a signature of it.
struct Signer {
    ours: EcdsaPrivateKey,
    aws: aws::EcdsaKeyPair,
    other: other::EcdsaKeyPair,
    signature: Vec<u8>,
}

impl Signer {
    fn generate(curve: Algorithm) -> Result<Self, String> {
        let aws = aws::EcdsaKeyPair::generate(curve.aws_signing).map_err(|e| e.to_string())?;
        let der = aws.to_pkcs8v1().map_err(|e| e.to_string())?;
        let ours = EcdsaPrivateKey::from_pkcs8_der(der.as_ref()).map_err(|e| e.to_string())?;
        let rng = ring::rand::SystemRandom::new();
        let other = other::EcdsaKeyPair::from_pkcs8(curve.other_signing, der.as_ref(), &rng);
        let other = other.map_err(|e| e.to_string())?;
        let signature = ours.sign(&MESSAGE).map_err(|e| e.to_string())?;
        Ok(Self { ours, aws, other, signature })
    }
}

/// Signatures made or verified with keys that take turns.
struct Ecdsa {
    kind: Kind,
    curve: Algorithm,
    keys: Vec<Signer>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sign,
    Verify,
    VerifyKnown,
}

impl Ecdsa {
    fn is_valid(&self, key: &Signer, signature: &[u8]) -> bool {
        let public = aws::UnparsedPublicKey::new(self.curve.aws_verification, key.aws.public_key().as_ref());
        public.verify(&MESSAGE, signature).is_ok()
    }
}

impl Case for Ecdsa {
    fn op(&self) -> Op {
        match (self.kind, self.keys[0].ours.curve()) {
            (Kind::VerifyKnown, NistCurve::P256) => Op::P256VerifyKnown,
            (Kind::VerifyKnown, _) => Op::P384VerifyKnown,
            _ => self.request(0).op(),
        }
    }

    /// Only lanes have tables of known keys.
    fn exists_on(&self, runner: &Runner) -> bool {
        self.kind != Kind::VerifyKnown || runner.capacity(self.op()) > 1
    }

    fn prepare(&self, runner: &mut Runner) {
        match self.kind {
            Kind::Sign => {}
            Kind::Verify => runner.forget_public_keys(),
            // Often enough, once; then nothing is done.
            Kind::VerifyKnown => {
                for input in 0..KEYS {
                    while self.request(input).op() != self.op() {
                        runner.run(&[&self.request(input), &self.request(input)], &mut Vec::new());
                    }
                }
            }
        }
    }

    fn request(&self, input: usize) -> Request {
        let key = &self.keys[input % KEYS];
        if self.kind == Kind::Sign {
            return Request::EcdsaSign(SignRequest::new(&key.ours, &MESSAGE));
        }
        let (curve, public) = (key.ours.curve(), key.ours.public_key());
        let request = VerifyRequest::new(curve, curve.hash(), public, &MESSAGE, &key.signature);
        Request::EcdsaVerify(request.expect("an uncompressed point of the curve"))
    }

    fn check(&self, input: usize, response: &Response) -> Result<(), String> {
        let key = &self.keys[input % KEYS];
        match response {
            Response::Verified if self.kind != Kind::Sign && self.is_valid(key, &key.signature) => Ok(()),
            Response::Signature(signature) if self.kind == Kind::Sign && self.is_valid(key, signature) => {
                Ok(())
            }
            _ => Err("aws-lc-rs disagrees".into()),
        }
    }

    fn run_baseline(&self, baseline: Baseline, input: usize) {
        let key = &self.keys[input % KEYS];
        let (public, signature) = (key.ours.public_key(), &key.signature);
        let done = match (baseline, self.kind != Kind::Sign) {
            (Baseline::AwsLcRs, true) => self.is_valid(key, signature),
            (Baseline::AwsLcRs, false) => key.aws.sign(&rand::SystemRandom::new(), &MESSAGE).is_ok(),
            (Baseline::Ring, true) => {
                let key = other::UnparsedPublicKey::new(self.curve.other_verification, public);
                key.verify(&MESSAGE, signature).is_ok()
            }
            (Baseline::Ring, false) => key.other.sign(&ring::rand::SystemRandom::new(), &MESSAGE).is_ok(),
        };
        assert!(done, "{} failed", baseline.name());
    }
}

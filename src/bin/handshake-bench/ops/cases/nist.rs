//! ECDSA and ECDH over the NIST curves as operations to measure.

use super::{Baseline, Case};
use aws_lc_rs::signature::KeyPair as _;
use aws_lc_rs::{agreement as aws, rand, signature as aws_sig};
use ring::agreement as other;
use ring::signature as other_sig;
use rustls_multibuffer::internals::ops::ecdsa::{EcdsaPrivateKey, SignRequest, VerifyRequest};
use rustls_multibuffer::internals::ops::kx::{AgreeRequest, KeyPair};
use rustls_multibuffer::internals::ops::{NistCurve, Op, Request, Response, Runner};

/// The operations of this module. aws-lc-rs and ring treat every public key as one that they never met; so do
/// `p256-verify` and `p384-verify`.
pub(super) const NAMES: [&str; 10] = [
    "p256-sign",
    "p256-verify",
    "p256-verify-known-key",
    "p256-ecdh",
    "p256-keygen",
    "p384-sign",
    "p384-verify",
    "p384-verify-known-key",
    "p384-ecdh",
    "p384-keygen",
];

/// As long as what a TLS 1.3 CertificateVerify signs (RFC 8446 §4.4.3).
const MESSAGE: [u8; 130] = [b' '; 130];

/// One key for each lane of the widest tier.
const KEYS: usize = 8;

/// Makes the keys for one of [`NAMES`].
pub(super) fn case(name: &str) -> Result<Box<dyn Case>, String> {
    let curve = if name.starts_with("p256") { Curve::P256 } else { Curve::P384 };
    Ok(match name.split_once('-') {
        Some((_, "sign")) => Box::new(Ecdsa::new(curve, Kind::Sign)?),
        Some((_, "verify")) => Box::new(Ecdsa::new(curve, Kind::Verify)?),
        Some((_, "verify-known-key")) => Box::new(Ecdsa::new(curve, Kind::VerifyKnown)?),
        Some((_, "ecdh")) => Box::new(Agree { keys: keys(|| Agreement::generate(curve))? }),
        _ => Box::new(Keygen { curve }),
    })
}

fn keys<T>(generate: impl Fn() -> Result<T, String>) -> Result<Vec<T>, String> {
    (0..KEYS).map(|_| generate()).collect()
}

/// A curve and what each library calls it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Curve {
    P256,
    P384,
}

impl Curve {
    fn ours(self) -> NistCurve {
        if self == Self::P256 { NistCurve::P256 } else { NistCurve::P384 }
    }

    fn aws(self) -> &'static aws::Algorithm {
        if self == Self::P256 { &aws::ECDH_P256 } else { &aws::ECDH_P384 }
    }

    fn other(self) -> &'static other::Algorithm {
        if self == Self::P256 { &other::ECDH_P256 } else { &other::ECDH_P384 }
    }

    fn aws_signing(self) -> &'static aws_sig::EcdsaSigningAlgorithm {
        match self {
            Self::P256 => &aws_sig::ECDSA_P256_SHA256_ASN1_SIGNING,
            Self::P384 => &aws_sig::ECDSA_P384_SHA384_ASN1_SIGNING,
        }
    }

    fn aws_verification(self) -> &'static aws_sig::EcdsaVerificationAlgorithm {
        match self {
            Self::P256 => &aws_sig::ECDSA_P256_SHA256_ASN1,
            Self::P384 => &aws_sig::ECDSA_P384_SHA384_ASN1,
        }
    }

    fn other_signing(self) -> &'static other_sig::EcdsaSigningAlgorithm {
        match self {
            Self::P256 => &other_sig::ECDSA_P256_SHA256_ASN1_SIGNING,
            Self::P384 => &other_sig::ECDSA_P384_SHA384_ASN1_SIGNING,
        }
    }

    fn other_verification(self) -> &'static other_sig::EcdsaVerificationAlgorithm {
        match self {
            Self::P256 => &other_sig::ECDSA_P256_SHA256_ASN1,
            Self::P384 => &other_sig::ECDSA_P384_SHA384_ASN1,
        }
    }
}

/// One private key in every library, and a signature of it.
struct Signer {
    curve: Curve,
    ours: EcdsaPrivateKey,
    aws: aws_sig::EcdsaKeyPair,
    other: other_sig::EcdsaKeyPair,
    signature: Vec<u8>,
}

impl Signer {
    fn generate(curve: Curve) -> Result<Self, String> {
        let aws = aws_sig::EcdsaKeyPair::generate(curve.aws_signing()).map_err(|e| e.to_string())?;
        let der = aws.to_pkcs8v1().map_err(|e| e.to_string())?;
        let ours = EcdsaPrivateKey::from_pkcs8_der(der.as_ref()).map_err(|e| e.to_string())?;
        let rng = ring::rand::SystemRandom::new();
        let other = other_sig::EcdsaKeyPair::from_pkcs8(curve.other_signing(), der.as_ref(), &rng);
        let other = other.map_err(|e| e.to_string())?;
        let signature = ours.sign(&MESSAGE).map_err(|e| e.to_string())?;
        Ok(Self { curve, ours, aws, other, signature })
    }

    fn is_valid(&self, signature: &[u8]) -> bool {
        let public = self.aws.public_key().as_ref();
        let key = aws_sig::UnparsedPublicKey::new(self.curve.aws_verification(), public);
        key.verify(&MESSAGE, signature).is_ok()
    }
}

/// Signatures made or verified with keys that take turns.
struct Ecdsa {
    kind: Kind,
    keys: Vec<Signer>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sign,
    Verify,
    VerifyKnown,
}

impl Ecdsa {
    fn new(curve: Curve, kind: Kind) -> Result<Self, String> {
        Ok(Self { kind, keys: keys(|| Signer::generate(curve))? })
    }
}

impl Case for Ecdsa {
    fn op(&self) -> Op {
        match (self.kind, self.keys[0].curve) {
            (Kind::VerifyKnown, Curve::P256) => Op::P256VerifyKnown,
            (Kind::VerifyKnown, Curve::P384) => Op::P384VerifyKnown,
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
            Response::Verified if self.kind != Kind::Sign && key.is_valid(&key.signature) => Ok(()),
            Response::Signature(signature) if self.kind == Kind::Sign && key.is_valid(signature) => Ok(()),
            _ => Err("aws-lc-rs disagrees".into()),
        }
    }

    fn run_baseline(&self, baseline: Baseline, input: usize) {
        let key = &self.keys[input % KEYS];
        let (public, signature) = (key.ours.public_key(), &key.signature);
        let done = match (baseline, self.kind != Kind::Sign) {
            (Baseline::AwsLcRs, true) => key.is_valid(signature),
            (Baseline::AwsLcRs, false) => key.aws.sign(&rand::SystemRandom::new(), &MESSAGE).is_ok(),
            (Baseline::Ring, true) => {
                let key = other_sig::UnparsedPublicKey::new(key.curve.other_verification(), public);
                key.verify(&MESSAGE, signature).is_ok()
            }
            (Baseline::Ring, false) => key.other.sign(&ring::rand::SystemRandom::new(), &MESSAGE).is_ok(),
        };
        assert!(done, "{} failed", baseline.name());
    }
}

/// Two parties: ours, whose private key also aws-lc-rs has, and a peer.
struct Agreement {
    curve: Curve,
    ours: KeyPair,
    aws: aws::PrivateKey,
    peer: Vec<u8>,
    /// What both share.
    secret: Vec<u8>,
}

impl Agreement {
    fn generate(curve: Curve) -> Result<Self, String> {
        let failed = |_| "aws-lc-rs could not make keys".to_owned();
        let ours = KeyPair::generate(curve.ours().into()).map_err(|e| e.to_string())?;
        let [aws, peer] = [(); 2].map(|()| aws::PrivateKey::generate(curve.aws()));
        let (aws, peer) = (aws.map_err(failed)?, peer.map_err(failed)?);
        let public = aws::UnparsedPublicKey::new(curve.aws(), ours.public.clone());
        let secret = aws::agree(&peer, public, (), |secret| Ok(secret.to_vec()));
        let peer = peer.compute_public_key().map_err(failed)?.as_ref().to_vec();
        let secret = secret.map_err(|()| "aws-lc-rs could not agree".to_owned())?;
        Ok(Self { curve, ours, aws, peer, secret })
    }
}

struct Agree {
    keys: Vec<Agreement>,
}

impl Case for Agree {
    fn op(&self) -> Op {
        self.request(0).op()
    }

    fn request(&self, input: usize) -> Request {
        let keys = &self.keys[input % KEYS];
        Request::Agree(AgreeRequest::new(&keys.ours.private, &keys.peer).expect("a point of the curve"))
    }

    fn check(&self, input: usize, response: &Response) -> Result<(), String> {
        match response {
            Response::SharedSecret(secret) if secret.expose() == self.keys[input % KEYS].secret => Ok(()),
            _ => Err("the response is not the secret that aws-lc-rs shares".into()),
        }
    }

    fn run_baseline(&self, baseline: Baseline, input: usize) {
        let keys = &self.keys[input % KEYS];
        let agreed = match baseline {
            Baseline::AwsLcRs => {
                let peer = aws::UnparsedPublicKey::new(keys.curve.aws(), &keys.peer);
                aws::agree(&keys.aws, peer, (), |secret| Ok(secret.to_vec())).is_ok()
            }
            Baseline::Ring => {
                // Its private keys serve once, so that a key pair is part of the operation.
                let rng = ring::rand::SystemRandom::new();
                let peer = other::UnparsedPublicKey::new(keys.curve.other(), &keys.peer);
                let key = other::EphemeralPrivateKey::generate(keys.curve.other(), &rng).expect("a key");
                other::agree_ephemeral(key, &peer, <[u8]>::to_vec).is_ok()
            }
        };
        assert!(agreed, "{} could not agree", baseline.name());
    }
}

/// Key shares have no inputs.
struct Keygen {
    curve: Curve,
}

impl Case for Keygen {
    fn op(&self) -> Op {
        self.request(0).op()
    }

    fn request(&self, _: usize) -> Request {
        Request::Keygen(self.curve.ours().into())
    }

    fn check(&self, _: usize, response: &Response) -> Result<(), String> {
        let Response::KeyPair(pair) = response else {
            return Err("the response is not a key pair".into());
        };
        // aws-lc-rs computes the public key anew.
        match pair.private.public_key() {
            Ok(public) if public == pair.public => Ok(()),
            _ => Err("the public key is not the private key's".into()),
        }
    }

    fn run_baseline(&self, baseline: Baseline, _: usize) {
        let made = match baseline {
            Baseline::AwsLcRs => {
                let key = aws::EphemeralPrivateKey::generate(self.curve.aws(), &rand::SystemRandom::new());
                key.and_then(|key| key.compute_public_key()).is_ok()
            }
            Baseline::Ring => {
                let rng = ring::rand::SystemRandom::new();
                let key = other::EphemeralPrivateKey::generate(self.curve.other(), &rng);
                key.and_then(|key| key.compute_public_key()).is_ok()
            }
        };
        assert!(made, "{} could not make a key pair", baseline.name());
    }
}

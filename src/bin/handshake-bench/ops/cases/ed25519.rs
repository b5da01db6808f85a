//! Ed25519 signatures and verifications as operations to measure.

use super::{Baseline, Case};
use aws_lc_rs::signature::{self as aws, KeyPair as _};
use ring::signature::{self as other, KeyPair as _};
use rustls_multibuffer::internals::ops::ed25519::{PrivateKey, SignRequest, VerifyRequest};
use rustls_multibuffer::internals::ops::{Op, Request, Response};

/// The operations of this module.
pub(super) const NAMES: [&str; 2] = ["ed25519-sign", "ed25519-verify"];

/// As long as what a TLS 1.3 CertificateVerify signs: 64 spaces, the context, a zero, a SHA-256 hash
/// (RFC 8446 §4.4.3).
const MESSAGE_LEN: usize = 130;

/// Makes the keys for one of [`NAMES`].
pub(super) fn case(name: &str) -> Result<Box<dyn Case>, String> {
    let keys = [Key::generate()?, Key::generate()?];
    Ok(if name == "ed25519-sign" { Box::new(Sign { keys }) } else { Box::new(Verify { keys }) })
}

/// One key in each library, and a signature of [`message`].
struct Key {
    ours: PrivateKey,
    aws: aws::Ed25519KeyPair,
    other: other::Ed25519KeyPair,
    signature: Vec<u8>,
}

impl Key {
    fn generate() -> Result<Self, String> {
        let rng = aws_lc_rs::rand::SystemRandom::new();
        let der = aws::Ed25519KeyPair::generate_pkcs8(&rng).map_err(|e| e.to_string())?;
        let der = der.as_ref();
        let aws = aws::Ed25519KeyPair::from_pkcs8(der).map_err(|e| e.to_string())?;
        Ok(Self {
            ours: PrivateKey::from_pkcs8_der(der).map_err(|e| e.to_string())?,
            other: other::Ed25519KeyPair::from_pkcs8(der).map_err(|e| e.to_string())?,
            signature: aws.sign(&message()).as_ref().to_vec(),
            aws,
        })
    }
}

fn message() -> [u8; MESSAGE_LEN] {
    [b' '; MESSAGE_LEN]
}

/// The two keys that take turns to sign.
struct Sign {
    keys: [Key; 2],
}

impl Case for Sign {
    fn op(&self) -> Op {
        Op::Ed25519Sign
    }

    fn request(&self, input: usize) -> Request {
        Request::Ed25519Sign(SignRequest::new(&self.keys[input % 2].ours, &message()))
    }

    fn check(&self, input: usize, response: &Response) -> Result<(), String> {
        match response {
            // Ed25519 is deterministic.
            Response::Signature(signature) if *signature == self.keys[input % 2].signature => Ok(()),
            _ => Err("the response is not the signature that aws-lc-rs makes".into()),
        }
    }

    fn run_baseline(&self, baseline: Baseline, input: usize) {
        let key = &self.keys[input % 2];
        let is_signed = match baseline {
            Baseline::AwsLcRs => key.aws.try_sign(&message()).is_ok(),
            Baseline::Ring => key.other.sign(&message()).as_ref().len() == key.signature.len(),
        };
        assert!(is_signed, "{} could not sign", baseline.name());
    }
}

/// The two keys that take turns to be verified with.
struct Verify {
    keys: [Key; 2],
}

impl Case for Verify {
    fn op(&self) -> Op {
        Op::Ed25519Verify
    }

    fn request(&self, input: usize) -> Request {
        let key = &self.keys[input % 2];
        let request = VerifyRequest::new(key.ours.public_key(), &message(), &key.signature);
        Request::Ed25519Verify(request.expect("a key of 32 bytes, a signature of 64"))
    }

    fn check(&self, _: usize, response: &Response) -> Result<(), String> {
        match response {
            Response::Verified => Ok(()),
            _ => Err("a good signature is not verified".into()),
        }
    }

    fn run_baseline(&self, baseline: Baseline, input: usize) {
        let key = &self.keys[input % 2];
        let is_verified = match baseline {
            Baseline::AwsLcRs => {
                let public = aws::UnparsedPublicKey::new(&aws::ED25519, key.aws.public_key());
                public.verify(&message(), &key.signature).is_ok()
            }
            Baseline::Ring => {
                let public = other::UnparsedPublicKey::new(&other::ED25519, key.other.public_key());
                public.verify(&message(), &key.signature).is_ok()
            }
        };
        assert!(is_verified, "{} could not verify", baseline.name());
    }
}

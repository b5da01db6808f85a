//! RSA signatures as operations to measure.

use super::{Baseline, Case};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature as aws;
use ring::signature as other;
use rustls_multibuffer::internals::ops::rsa::{Padding, RsaPrivateKey, SignRequest};
use rustls_multibuffer::internals::ops::{Op, Request, Response};

/// The operations of this module: with PSS, as in TLS 1.3, where nothing else is said.
pub(super) const NAMES: [&str; 6] = [
    "rsa2048-sign",
    "rsa3072-sign",
    "rsa4096-sign",
    "rsa2048-sign-pkcs1",
    "rsa3072-sign-pkcs1",
    "rsa4096-sign-pkcs1",
];

/// As long as what a TLS 1.3 CertificateVerify signs: 64 spaces, the context, a zero, a SHA-256 hash
/// (RFC 8446 §4.4.3).
const MESSAGE_LEN: usize = 130;
const MAX_SIGNATURE: usize = 512;

/// The two keys that take turns, and what they sign with.
struct RsaSign {
    op: Op,
    padding: Padding,
    aws_encoding: &'static dyn aws::RsaEncoding,
    aws_verify: &'static aws::RsaParameters,
    other_encoding: &'static dyn other::RsaEncoding,
    keys: [Key; 2],
}

/// One key in each library.
struct Key {
    ours: RsaPrivateKey,
    aws: aws::RsaKeyPair,
    other: other::RsaKeyPair,
}

/// Makes the keys for one of [`NAMES`].
pub(super) fn case(name: &str) -> Result<Box<dyn Case>, String> {
    let size = match &name[..7] {
        "rsa2048" => KeySize::Rsa2048,
        "rsa3072" => KeySize::Rsa3072,
        _ => KeySize::Rsa4096,
    };
    let keys = [Key::generate(size)?, Key::generate(size)?];
    let op = keys[0].ours.op().ok_or("the lanes do not serve this size")?;
    Ok(Box::new(if name.ends_with("-pkcs1") {
        RsaSign {
            op,
            padding: Padding::Pkcs1Sha256,
            aws_encoding: &aws::RSA_PKCS1_SHA256,
            aws_verify: &aws::RSA_PKCS1_2048_8192_SHA256,
            other_encoding: &other::RSA_PKCS1_SHA256,
            keys,
        }
    } else {
        RsaSign {
            op,
            padding: Padding::PssSha256,
            aws_encoding: &aws::RSA_PSS_SHA256,
            aws_verify: &aws::RSA_PSS_2048_8192_SHA256,
            other_encoding: &other::RSA_PSS_SHA256,
            keys,
        }
    }))
}

/// A new key, PKCS#8.
pub(super) fn generate(size: KeySize) -> Result<Vec<u8>, String> {
    let key = KeyPair::generate(size).map_err(|e| e.to_string())?;
    let der: Pkcs8V1Der<'_> = key.as_der().map_err(|e| e.to_string())?;
    Ok(der.as_ref().to_vec())
}

impl Key {
    fn generate(size: KeySize) -> Result<Self, String> {
        let der = generate(size)?;
        Ok(Self {
            ours: RsaPrivateKey::from_pkcs8_der(&der).map_err(|e| e.to_string())?,
            aws: aws::RsaKeyPair::from_pkcs8(&der).map_err(|e| e.to_string())?,
            other: other::RsaKeyPair::from_pkcs8(&der).map_err(|e| e.to_string())?,
        })
    }
}

impl RsaSign {
    fn key(&self, input: usize) -> &Key {
        &self.keys[input % self.keys.len()]
    }
}

/// A message of its own for each input.
fn message(input: usize) -> [u8; MESSAGE_LEN] {
    [b' '.wrapping_add(input as u8); MESSAGE_LEN]
}

impl Case for RsaSign {
    fn op(&self) -> Op {
        self.op
    }

    fn request(&self, input: usize) -> Request {
        let request = SignRequest::new(&self.key(input).ours, self.padding, &message(input));
        Request::RsaSign(request.expect("the lanes serve the size: checked when the case was made"))
    }

    fn check(&self, input: usize, response: &Response) -> Result<(), String> {
        let Response::Signature(signature) = response else {
            return Err("the response is not a signature".into());
        };
        let public = aws::KeyPair::public_key(&self.key(input).aws).as_ref();
        aws::UnparsedPublicKey::new(self.aws_verify, public)
            .verify(&message(input), signature)
            .map_err(|_| "aws-lc-rs refuses the signature".into())
    }

    fn run_baseline(&self, baseline: Baseline, input: usize) {
        let (key, message) = (self.key(input), message(input));
        let mut buffer = [0; MAX_SIGNATURE];
        let signed = match baseline {
            Baseline::AwsLcRs => {
                let out = &mut buffer[..key.aws.public_modulus_len()];
                let rng = aws_lc_rs::rand::SystemRandom::new();
                key.aws.sign(self.aws_encoding, &rng, &message, out).is_ok()
            }
            Baseline::Ring => {
                let out = &mut buffer[..key.other.public().modulus_len()];
                let rng = ring::rand::SystemRandom::new();
                key.other.sign(self.other_encoding, &rng, &message, out).is_ok()
            }
        };
        assert!(signed, "{} could not sign", baseline.name());
    }
}

//! Signatures and public keys of peers: lanes and aws-lc-rs give the same verdict on any bytes.

use super::{Bytes, tiers};
use rustls_multibuffer::Error;
use rustls_multibuffer::internals::ops::ecdsa::{self, VerifyRequest};
use rustls_multibuffer::internals::ops::rsa::{self, Padding};
use rustls_multibuffer::internals::ops::{NistCurve, Request, Response, Runner, ed25519};

/// What is signed.
pub(crate) const MESSAGE: &[u8] = b"message";

/// Verifies a signature of [`MESSAGE`] in full batches of every tier. The bytes: the kind of key (0 P-256, 1
/// P-384, 2 Ed25519, 3 RSA with PSS, 4 RSA with PKCS#1), the public key's length (two bytes, big-endian), it,
/// the signature.
///
/// The verdict; `None` where no lanes serve the key.
pub(crate) fn run(data: &[u8]) -> Option<Result<(), Error>> {
    let mut bytes = Bytes(data);
    let kind = bytes.below(5);
    let len = usize::from(u16::from_be_bytes(bytes.array())).min(bytes.0.len());
    let (key, signature) = bytes.0.split_at(len);
    let (expected, request) = match kind {
        0 | 1 => {
            let curve = [NistCurve::P256, NistCurve::P384][kind];
            let request = VerifyRequest::new(curve, curve.hash(), key, MESSAGE, signature);
            let expected = ecdsa::verify(curve, curve.hash(), key, MESSAGE, signature);
            (expected, request.map(Request::EcdsaVerify))
        }
        2 => {
            let request = ed25519::VerifyRequest::new(key, MESSAGE, signature);
            (ed25519::verify(key, MESSAGE, signature), request.map(Request::Ed25519Verify))
        }
        _ => {
            let padding = if kind == 3 { Padding::PssSha256 } else { Padding::Pkcs1Sha256 };
            let request = rsa::VerifyRequest::new(key, padding, MESSAGE, signature);
            (rsa::verify(key, padding, MESSAGE, signature), request.map(Request::RsaVerify))
        }
    };
    let request = request?;
    for tier in tiers() {
        let mut runner = Runner::new(tier);
        let mut results = Vec::new();
        runner.run(&vec![&request; runner.capacity(request.op())], &mut results);
        for result in results {
            let verdict = result.map(|response| assert_eq!(response, Response::Verified));
            assert_eq!(verdict, expected, "{} disagrees with aws-lc-rs", tier.kind());
        }
    }
    Some(expected)
}

//! Every operation, at any fill, in every tier, against aws-lc-rs.

use super::{Bytes, tiers};
use rustls_multibuffer::Error;
use rustls_multibuffer::internals::ops::kx::{self, Group};
use rustls_multibuffer::internals::ops::rsa::{Padding, RsaPrivateKey};
use rustls_multibuffer::internals::ops::{NistCurve, Op, Request, Response, Runner, ecdsa, ed25519, rsa};
use std::sync::LazyLock;

type Results = Vec<Result<Response, Error>>;

static RSA: LazyLock<[RsaPrivateKey; 3]> = LazyLock::new(|| {
    ["rsa2048.pkcs8", "rsa2048-e3.pkcs8", "rsa2048-equal-1.pkcs1"].map(|name| {
        let path = format!("{}/vendor-test-vectors/rsa-keys/{name}.pem", env!("CARGO_MANIFEST_DIR"));
        let path = path.replace("/fuzz/vendor", "/vendor");
        RsaPrivateKey::from_pem(&std::fs::read(path).expect("the key's file")).expect("a key")
    })
});

/// A private scalar of the curve, as an ECDSA key.
fn ecdsa_key(curve: NistCurve, bytes: &mut Bytes<'_>) -> ecdsa::EcdsaPrivateKey {
    let pair = ecdh_key(curve, bytes);
    let (len, oid): (usize, &[u8]) = match curve {
        NistCurve::P256 => (32, &[0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]),
        _ => (48, &[0xa0, 0x07, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22]),
    };
    let inner = [&[0x02, 0x01, 0x01, 0x04, len as u8][..], &pair.0, oid].concat();
    ecdsa::EcdsaPrivateKey::from_sec1_der(&[&[0x30, inner.len() as u8][..], &inner].concat()).expect("a key")
}

fn ecdh_key(curve: NistCurve, bytes: &mut Bytes<'_>) -> (Vec<u8>, kx::PrivateKey) {
    let wide: [u8; 48] = bytes.array();
    let mut scalar = match curve {
        NistCurve::P256 => wide[..32].to_vec(),
        _ => wide.to_vec(),
    };
    // From 1 to below the order.
    scalar[0] &= 0x7f;
    *scalar.last_mut().expect("not empty") |= 1;
    let key = kx::PrivateKey::from_bytes(curve.into(), &scalar).expect("below the order");
    (scalar, key)
}

fn request(kind: usize, bytes: &mut Bytes<'_>) -> Request {
    let curve = [NistCurve::P256, NistCurve::P384][kind % 2];
    let message: [u8; 8] = bytes.array();
    match kind {
        0 | 1 => Request::EcdsaSign(ecdsa::SignRequest::new(&ecdsa_key(curve, bytes), &message)),
        2 | 3 => {
            let peer = ecdh_key(curve, bytes).1.public_key().expect("a public key");
            Request::Agree(kx::AgreeRequest::new(&ecdh_key(curve, bytes).1, &peer).expect("a point"))
        }
        4 | 5 => Request::Keygen(curve.into()),
        6 => {
            let key = kx::PrivateKey::from_bytes(Group::X25519, &bytes.array::<32>()).expect("any 32 bytes");
            Request::Agree(kx::AgreeRequest::new(&key, &bytes.array::<32>()).expect("32 bytes"))
        }
        7 => Request::Keygen(Group::X25519),
        8 => {
            let key = ed25519::PrivateKey::from_bytes(&bytes.array()).expect("any bytes are a key");
            Request::Ed25519Sign(ed25519::SignRequest::new(&key, &message))
        }
        11..=13 => {
            let peer = exchange_peer(kind, bytes);
            let public = peer.public_key().expect("a public key");
            Request::Exchange(kx::PeerKey::new(peer.group(), &public).expect("a point"))
        }
        _ => {
            let padding = if kind == 9 { Padding::PssSha256 } else { Padding::Pkcs1Sha512 };
            let key = &RSA[bytes.below(RSA.len())];
            Request::RsaSign(rsa::SignRequest::new(key, padding, &message).expect("2048 bits"))
        }
    }
}

/// The private key of whom we exchange keys with.
fn exchange_peer(kind: usize, bytes: &mut Bytes<'_>) -> kx::PrivateKey {
    match kind {
        11 => kx::PrivateKey::from_bytes(Group::X25519, &bytes.array::<32>()).expect("any 32 bytes"),
        kind => ecdh_key([NistCurve::P256, NistCurve::P384][kind % 2], bytes).1,
    }
}

/// Operations that [`request`] knows.
const KINDS: usize = 14;

/// Runs one batch in each tier. The bytes: the operation, the fill, then keys and messages. `tamper` stands
/// between the lanes and the comparison.
pub(crate) fn run_with(data: &[u8], tamper: impl Fn(&mut Results)) {
    let mut bytes = Bytes(data);
    let (kind, fill, keys) = (bytes.below(KINDS), bytes.byte(), bytes);
    for tier in tiers() {
        // Below the break-even fill the scalar path would be compared with itself.
        let mut runner = Runner::new(tier).with_break_even(Some(1));
        let op: Op = request(kind, &mut Bytes(keys.0)).op();
        let fill = 1 + usize::from(fill) % runner.capacity(op);
        let mut bytes = Bytes(keys.0);
        let requests: Vec<_> = (0..fill).map(|_| request(kind, &mut bytes)).collect();
        let mut results = Vec::new();
        runner.run(&requests.iter().collect::<Vec<_>>(), &mut results);
        assert_eq!((results.len(), runner.counters().redone), (fill, 0));
        tamper(&mut results);
        let mut bytes = Bytes(keys.0);
        for (request, result) in requests.iter().zip(&results) {
            check(kind, request, result, &mut bytes);
        }
    }
}

/// Compares with aws-lc-rs. `bytes` are where the request's own began.
fn check(kind: usize, request: &Request, result: &Result<Response, Error>, bytes: &mut Bytes<'_>) {
    let mut copy = Bytes(bytes.0);
    let again = self::request_parts(kind, bytes);
    match (result, again) {
        (Ok(Response::Signature(signature)), Some((Verifier::Ecdsa(key), message))) => {
            let curve = key.curve();
            ecdsa::verify(curve, curve.hash(), key.public_key(), &message, signature).expect("it verifies");
        }
        (Ok(Response::Signature(signature)), Some((Verifier::Rsa(key, padding), message))) => {
            rsa::verify(key.public_key_der(), padding, &message, signature).expect("it verifies");
        }
        (Ok(Response::KeyPair(pair)), None) => {
            assert_eq!(pair.private.public_key().as_ref(), Ok(&pair.public));
        }
        (Ok(Response::Exchanged(exchanged)), None) => {
            let _message: [u8; 8] = copy.array();
            let peer = exchange_peer(kind, &mut copy);
            assert_eq!(peer.agree(&exchanged.public).as_ref(), Ok(&exchanged.secret));
        }
        // What has one answer only.
        (result, None) => assert_eq!(*result, request.run_scalar()),
        (result, Some(_)) => panic!("{result:?}"),
    }
}

enum Verifier {
    Ecdsa(ecdsa::EcdsaPrivateKey),
    Rsa(&'static RsaPrivateKey, Padding),
}

/// What verifies a request's signature, where it is random; takes the same bytes as [`request`].
fn request_parts(kind: usize, bytes: &mut Bytes<'_>) -> Option<(Verifier, [u8; 8])> {
    let mut copy = Bytes(bytes.0);
    request(kind, bytes);
    let message = copy.array();
    match kind {
        0 | 1 => {
            Some((Verifier::Ecdsa(ecdsa_key([NistCurve::P256, NistCurve::P384][kind], &mut copy)), message))
        }
        9 => Some((Verifier::Rsa(&RSA[copy.below(RSA.len())], Padding::PssSha256), message)),
        10 => Some((Verifier::Rsa(&RSA[copy.below(RSA.len())], Padding::Pkcs1Sha512), message)),
        _ => None,
    }
}

pub(crate) fn run(data: &[u8]) {
    run_with(data, |_| {});
}

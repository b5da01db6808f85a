//! Machine-checked: no operation with a secret has a branch or an address that depends on one, from the
//! request to the response, in the tiers that valgrind can run. The others: `traces`.
//!
//! Secret are private keys, random numbers (nonces, key shares, blinding factors) and all that is computed
//! from them, but for what [`disclose`](crate::arch::disclose) makes public. aws-lc's hashes and generator
//! are part of it.

use super::kx::{self, Group};
use super::rsa::{Padding, RsaPrivateKey, testing};
use super::{NistCurve, Request, Response, Runner, ecdsa, ed25519, rsa};
use crate::arch::memcheck::{assert_constant_time, is_running, mark_random_numbers, mark_secret, run};
use crate::arch::{Tier, TierKind};

const TEST: &str = "ops::constant_time::valgrind_sees_no_secret_branch_or_address";

/// Runs this very test in valgrind. Every operation is followed by a leak of its own, which must be found.
#[test]
#[ignore = "needs valgrind, x86-64 and a release build, which has no overflow checks to branch on"]
fn valgrind_sees_no_secret_branch_or_address() {
    if !is_running() {
        return run(TEST, &["--error-limit=no"]);
    }
    let requests = requests();
    mark_random_numbers();
    for kind in [TierKind::Portable, TierKind::Avx2Fma] {
        let Some(tier) = Tier::of_kind(kind) else { continue };
        let mut runner = Runner::new(tier).with_break_even(Some(1));
        for (request, secret) in &requests {
            // A request has all lanes, half of them, or one.
            let capacity = runner.capacity(request.op());
            for fill in [1, capacity / 2, capacity] {
                let what = format!("{} on {kind}, fill {fill}", request.op().name());
                assert_constant_time(&what, || secret.unwrap_or(0) ^ first_word(&mut runner, request, fill));
            }
        }
        assert_eq!(runner.counters().redone, 0, "lanes have done it");
        assert_eq!(runner.counters().scalar, 0, "lanes have done it");
    }
}

/// What comes out, as a secret: what is computed from secrets is undefined, be it public or not.
fn first_word(runner: &mut Runner, request: &Request, fill: usize) -> u64 {
    let mut results = Vec::new();
    runner.run(&vec![request; fill], &mut results);
    let word = |bytes: &[u8]| bytes.iter().fold(0, |word, byte| word ^ u64::from(*byte));
    match results.pop().expect("a result").expect("success") {
        Response::Signature(signature) => word(&signature),
        Response::SharedSecret(secret) => word(secret.expose()),
        Response::KeyPair(pair) => word(&pair.public),
        Response::Exchanged(exchanged) => word(&exchanged.public) ^ word(exchanged.secret.expose()),
        Response::Verified => unreachable!("no secret in it"),
    }
}

/// Bytes of a scalar below all orders, undefined.
fn scalar(len: usize) -> Vec<u8> {
    let mut random = crate::arch::testing::Random(len as u64);
    let mut bytes: Vec<u8> = (0..len).map(|_| random.word() as u8).collect();
    bytes[0] &= 0x7f;
    mark_secret(&bytes);
    bytes
}

/// Every operation with a secret; for ECDSA, whose results are made public, with a word of its key.
fn requests() -> Vec<(Request, Option<u64>)> {
    let mut requests = vec![rsa(), ed25519(), ecdsa(NistCurve::P256), ecdsa(NistCurve::P384)];
    for group in [Group::X25519, Group::P256, Group::P384] {
        requests.extend([agree(group), (Request::Keygen(group), None), (exchange(group), None)]);
    }
    requests
}

fn rsa() -> (Request, Option<u64>) {
    let key = RsaPrivateKey::from_pem(&testing::vendored("rsa-keys/rsa2048.pkcs1.pem")).expect("a key");
    key.mark_secret();
    (Request::RsaSign(rsa::SignRequest::new(&key, Padding::PssSha256, b"message").expect("2048 bits")), None)
}

fn ed25519() -> (Request, Option<u64>) {
    let key = ed25519::PrivateKey::from_bytes(&[7; 32]).expect("a key");
    key.mark_secret();
    (Request::Ed25519Sign(ed25519::SignRequest::new(&key, b"message")), None)
}

fn ecdsa(curve: NistCurve) -> (Request, Option<u64>) {
    let len = curve.scalar_len();
    let key = ecdsa::EcdsaPrivateKey::new(curve, &vec![5; len], None).expect("a key");
    let word = key.mark_secret();
    (Request::EcdsaSign(ecdsa::SignRequest::new(&key, b"message")), Some(word))
}

fn exchange(group: Group) -> Request {
    let peer = kx::KeyPair::generate(group).expect("random numbers").public;
    Request::Exchange(kx::PeerKey::new(group, &peer).expect("a public key"))
}

fn agree(group: Group) -> (Request, Option<u64>) {
    let key = kx::PrivateKey::from_bytes(group, &scalar(group.secret_len())).expect("below the order");
    let peer = kx::KeyPair::generate(group).expect("random numbers").public;
    (Request::Agree(kx::AgreeRequest::new(&key, &peer).expect("a public key")), None)
}

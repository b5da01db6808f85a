//! Every operation with a secret, for the emulator to hash the sequences of instruction and of data
//! addresses.
//!
//! A process computes with the secrets that the environment variable `TRACE_SECRETS` chooses, 0 to 3;
//! everything public, and what was allocated before, is the same in each. `.ci/traces` runs all four and
//! compares: this is the constant-time check for tiers that valgrind cannot run. The operations whose labels
//! begin with `leak` leak on purpose.

use super::rsa::{Padding, RsaPrivateKey, testing};
use super::{NistCurve, Op, Request, Runner, ecdsa, ed25519, kx, rsa, scalar};
use crate::arch::Tier;
use crate::arch::counting::counted;
use std::ffi::CString;
use std::hint::black_box;

/// Batches before the one that is traced: they make tables, draw blinding factors and bring the allocator
/// into its cycle.
const WARM_UP: usize = 3;

pub(super) fn secrets() -> u8 {
    let chosen = std::env::var("TRACE_SECRETS").expect("TRACE_SECRETS").parse().expect("a number");
    assert!(chosen < 4);
    chosen
}

/// `len` secret bytes for a lane, big-endian scalars of any curve among them: small ones, large ones, any
/// ones.
pub(super) fn secret_bytes(len: usize, lane: usize) -> Vec<u8> {
    let mut random = crate::arch::testing::Random(1000 * u64::from(secrets()) + lane as u64);
    let mut bytes: Vec<u8> = (0..len).map(|_| random.word() as u8).collect();
    match secrets() {
        0 => bytes[..len - 2].fill(0),
        1 => bytes[..len - 1].fill(0xff),
        _ => {}
    }
    // Below the orders of all curves.
    bytes[0] &= 0x7f;
    bytes
}

/// Traces the last of some runs of `work`.
pub(super) fn traced(label: &str, mut work: impl FnMut()) {
    (0..WARM_UP).for_each(|_| work());
    counted(&CString::new(label).expect("no zero"), work);
}

fn traced_batch(runner: &mut Runner, label: &str, requests: &[Request]) {
    let requests: Vec<_> = requests.iter().collect();
    let mut results = Vec::with_capacity(requests.len());
    traced(label, || {
        results.clear();
        runner.run(&requests, &mut results);
    });
    assert!(results.iter().all(Result::is_ok));
}

/// All lanes full, each with a secret of its own.
fn batch(runner: &mut Runner, request: impl Fn(usize) -> Request) {
    let op = request(0).op();
    let requests: Vec<_> = (0..runner.capacity(op)).map(request).collect();
    traced_batch(runner, op.name(), &requests);
}

/// The same, then with two lanes for each secret, and all lanes for one.
fn split_batches(runner: &mut Runner, request: impl Fn(usize) -> Request) {
    batch(runner, &request);
    let op = request(0).op();
    for fill in [runner.capacity(op) / 2, 1] {
        let requests: Vec<_> = (0..fill).map(&request).collect();
        traced_batch(runner, &split_label(op, runner.capacity(op) / fill), &requests);
    }
}

pub(super) fn split_label(op: Op, parts: usize) -> String {
    format!("{} in {parts} parts", op.name())
}

/// Four keys whose numbers all have the same length, so that their import allocates the same.
fn rsa_signatures(runner: &mut Runner) {
    let key = |i: usize| {
        let name = format!("rsa2048-equal-{}.pkcs1", (i + usize::from(secrets())) % 4 + 1);
        let text = testing::vendored(&format!("rsa-keys/{name}.pem"));
        RsaPrivateKey::from_pem(&text).expect("a good key")
    };
    let keys = [0, 1, 2, 3].map(key);
    for (label, padding) in [("rsa2048-pss", Padding::PssSha256), ("rsa2048-pkcs1", Padding::Pkcs1Sha256)] {
        let sign = |i: usize| rsa::SignRequest::new(&keys[i % 4], padding, b"message").expect("2048 bits");
        let requests: Vec<_> =
            (0..runner.capacity(sign(0).op())).map(|i| Request::RsaSign(sign(i))).collect();
        traced_batch(runner, label, &requests);
    }
}

fn curve25519(runner: &mut Runner) {
    let bytes = |lane| <[u8; 32]>::try_from(secret_bytes(32, lane)).expect("32 bytes");
    let key = |lane| kx::PrivateKey::from_bytes(kx::Group::X25519, &bytes(lane)).expect("any 32 bytes");
    let agree = |lane| kx::AgreeRequest::new(&key(lane), &[9; 32]).expect("32 bytes");
    batch(runner, |lane| Request::Agree(agree(lane)));
    split_batches(runner, |_| Request::Keygen(kx::Group::X25519));
    exchanges(runner, kx::Group::X25519, &[9; 32]);
    let key = |lane| ed25519::PrivateKey::from_bytes(&bytes(lane)).expect("any bytes are a key");
    let sign = |lane| Request::Ed25519Sign(ed25519::SignRequest::new(&key(lane), b"message"));
    split_batches(runner, sign);
}

fn ecdh(runner: &mut Runner, curve: NistCurve) {
    // The base point's double, say: its private key is public.
    let two: Vec<u8> =
        (1..=curve.scalar_len()).map(|i| if i == curve.scalar_len() { 2 } else { 0 }).collect();
    let group = kx::Group::from(curve);
    let peer = kx::PrivateKey::from_bytes(group, &two).and_then(|key| key.public_key().ok());
    let peer = peer.expect("2 is a scalar");
    let agree = |lane| {
        let key = kx::PrivateKey::from_bytes(group, &secret_bytes(curve.scalar_len(), lane));
        kx::AgreeRequest::new(&key.expect("below the order"), &peer).expect("a point")
    };
    batch(runner, |lane| Request::Agree(agree(lane)));
    split_batches(runner, |_| Request::Keygen(group));
    exchanges(runner, group, &peer);
}

/// Key pairs and their agreements in one batch.
fn exchanges(runner: &mut Runner, group: kx::Group, peer: &[u8]) {
    let request = Request::Exchange(kx::PeerKey::new(group, peer).expect("a public key"));
    let op = request.op();
    traced_batch(runner, &format!("{} with keygen", op.name()), &vec![request; runner.capacity(op)]);
}

/// What the check must find: a branch, and an address.
fn leaks() {
    let secret = secret_bytes(32, 0);
    let table = [0u8; 4096];
    traced("leak-branch", || {
        if black_box(secret[31]) & 1 == 1 {
            black_box(secret.iter().map(|byte| u32::from(*byte)).sum::<u32>());
        }
    });
    traced("leak-address", || _ = black_box(black_box(&table)[usize::from(secret[31]) << 4]));
}

#[test]
#[ignore = "prints hashes of traces, in the emulator, for .ci/traces to compare"]
fn trace_secret_operations() {
    // From here on the generator gives other numbers for other secrets, and is where it always is.
    let mut drawn = [0; 256];
    scalar::random(&mut drawn[..64 * (1 + usize::from(secrets()))]).expect("random numbers");
    let mut runner = Runner::new(Tier::detect());
    for curve in [NistCurve::P256, NistCurve::P384] {
        ecdh(&mut runner, curve);
    }
    ecdsa::traces::signatures(Tier::detect());
    curve25519(&mut runner);
    // Last, because what the import of other keys leaves of the heap differs: the next batch's tables would
    // lie elsewhere.
    rsa_signatures(&mut runner);
    leaks();
    eprintln!("#traced on {}", runner.tier().kind());
}

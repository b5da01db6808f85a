//! Whether the time of operations depends on their secrets, after O. Reparaz, J. Balasch, I. Verbauwhede,
//! "Dude, is my code constant time?", DATE 2017: full batches with one fixed secret against batches with
//! random ones, compared by Welch's t-test. A |t| above 5 that grows with the number of samples is a leak;
//! `leak_early_exit`, planted, shows what one looks like.
//!
//! It runs in the best tier of the machine, or in `MAX_TIER`. Leave the machine alone meanwhile.

use dudect_bencher::{BenchRng, Class, CtRunner, ctbench_main};
use rand::{Rng, RngExt};
use rustls_multibuffer::internals::ops::kx::{self, Group};
use rustls_multibuffer::internals::ops::rsa::{self, Padding, RsaPrivateKey};
use rustls_multibuffer::internals::ops::{NistCurve, Request, Runner, ecdsa, ed25519};
use rustls_multibuffer::{Tier, TierKind};
use std::cell::RefCell;

/// Batches of one run; `--continuous` adds runs.
const BATCHES: usize = 2000;

fn tier() -> Tier {
    let max = std::env::var("MAX_TIER").map_or(TierKind::Avx512Ifma, |name| name.parse().expect("a tier"));
    Tier::detect_up_to(max).tier
}

/// Measures full batches whose requests come from 48 bytes each: zeros on the left, random on the right. Both
/// kinds are made in the same way, in random order.
fn measure(ct: &mut CtRunner, rng: &mut BenchRng, request: impl Fn([u8; 48]) -> Request) {
    // The measured closure is called through a shared reference.
    let runner = RefCell::new(Runner::new(tier()));
    let capacity = runner.borrow().capacity(request([0; 48]).op());
    let results = RefCell::new(Vec::with_capacity(capacity));
    let run = |requests: &[&Request]| runner.borrow_mut().run(requests, &mut results.borrow_mut());
    for i in 0..BATCHES + 50 {
        let class = if rng.random::<bool>() { Class::Left } else { Class::Right };
        let requests: Vec<_> = (0..capacity)
            .map(|_| {
                let mut secret = [0; 48];
                rng.fill_bytes(&mut secret);
                if matches!(class, Class::Left) {
                    secret = [0; 48];
                }
                request(secret)
            })
            .collect();
        let requests: Vec<_> = requests.iter().collect();
        results.borrow_mut().clear();
        if i < 50 {
            // Tables are made, caches filled.
            run(&requests);
        } else {
            ct.run_one(class, || run(&requests));
        }
        assert!(results.borrow().iter().all(Result::is_ok));
    }
}

/// From 1 to below the order.
fn scalar(curve: NistCurve, secret: &[u8; 48]) -> Vec<u8> {
    let mut scalar = secret[..if curve == NistCurve::P256 { 32 } else { 48 }].to_vec();
    scalar[0] &= 0x7f;
    *scalar.last_mut().expect("not empty") |= 1;
    scalar[1] |= 1;
    scalar
}

fn bytes32(secret: &[u8; 48]) -> [u8; 32] {
    secret[..32].try_into().expect("32 bytes")
}

fn x25519(ct: &mut CtRunner, rng: &mut BenchRng) {
    measure(ct, rng, |secret| {
        let key = kx::PrivateKey::from_bytes(Group::X25519, &bytes32(&secret)).expect("any 32 bytes");
        Request::Agree(kx::AgreeRequest::new(&key, &[9; 32]).expect("32 bytes"))
    });
}

fn ed25519_sign(ct: &mut CtRunner, rng: &mut BenchRng) {
    measure(ct, rng, |secret| {
        let key = ed25519::PrivateKey::from_bytes(&bytes32(&secret)).expect("any bytes are a key");
        Request::Ed25519Sign(ed25519::SignRequest::new(&key, b"message"))
    });
}

fn agree(ct: &mut CtRunner, rng: &mut BenchRng, curve: NistCurve) {
    let peer = kx::KeyPair::generate(curve.into()).expect("random numbers").public;
    measure(ct, rng, |secret| {
        let key = kx::PrivateKey::from_bytes(curve.into(), &scalar(curve, &secret)).expect("below the order");
        Request::Agree(kx::AgreeRequest::new(&key, &peer).expect("a point"))
    });
}

fn p256_ecdh(ct: &mut CtRunner, rng: &mut BenchRng) {
    agree(ct, rng, NistCurve::P256);
}

fn p384_ecdh(ct: &mut CtRunner, rng: &mut BenchRng) {
    agree(ct, rng, NistCurve::P384);
}

fn ecdsa_sign(ct: &mut CtRunner, rng: &mut BenchRng, curve: NistCurve, oid: &[u8]) {
    measure(ct, rng, |secret| {
        let scalar = scalar(curve, &secret);
        // ECPrivateKey (RFC 5915).
        let inner = [&[2, 1, 1, 4, scalar.len() as u8][..], &scalar, oid].concat();
        let der = [&[0x30, inner.len() as u8][..], &inner].concat();
        let key = ecdsa::EcdsaPrivateKey::from_sec1_der(&der).expect("a key");
        Request::EcdsaSign(ecdsa::SignRequest::new(&key, b"message"))
    });
}

fn p256_sign(ct: &mut CtRunner, rng: &mut BenchRng) {
    ecdsa_sign(ct, rng, NistCurve::P256, &[0xa0, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7]);
}

fn p384_sign(ct: &mut CtRunner, rng: &mut BenchRng) {
    ecdsa_sign(ct, rng, NistCurve::P384, &[0xa0, 7, 6, 5, 0x2b, 0x81, 4, 0, 0x22]);
}

/// One key on the left, another one on the right: equally often, so that neither is better known to the
/// caches.
fn rsa2048_sign(ct: &mut CtRunner, rng: &mut BenchRng) {
    let [left, right] = [1, 2].map(|i| {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../vendor-test-vectors/rsa-keys");
        let text = std::fs::read(format!("{root}/rsa2048-equal-{i}.pkcs1.pem")).expect("the key's file");
        RsaPrivateKey::from_pem(&text).expect("a key")
    });
    measure(ct, rng, |secret| {
        let key = if secret == [0; 48] { &left } else { &right };
        Request::RsaSign(rsa::SignRequest::new(key, Padding::PssSha256, b"message").expect("2048 bits"))
    });
}

/// What a leak looks like: a comparison that ends at the first difference.
fn leak_early_exit(ct: &mut CtRunner, rng: &mut BenchRng) {
    for _ in 0..20 * BATCHES {
        let mut secret = vec![0; 4096];
        let class = if rng.random::<bool>() { Class::Left } else { Class::Right };
        if matches!(class, Class::Right) {
            rng.fill_bytes(&mut secret);
        }
        let secret = std::hint::black_box(secret);
        ct.run_one(class, || secret.iter().position(|byte| *byte != 0));
    }
}

ctbench_main!(
    rsa2048_sign,
    p256_sign,
    p384_sign,
    p256_ecdh,
    p384_ecdh,
    x25519,
    ed25519_sign,
    leak_early_exit
);

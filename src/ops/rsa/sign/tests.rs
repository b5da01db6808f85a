//! Whole signatures through the runner of every tier, and what happens when something fails.

use crate::arch::testing::with_tier;
use crate::arch::{Tier, TierKind};
use crate::error::Error;
use crate::ops::rsa::lanes::fault::FAULT;
use crate::ops::rsa::testing::{PADDINGS, key};
use crate::ops::rsa::{Padding, RsaPrivateKey, SignRequest};
use crate::ops::testing::{each_tier, run};
use crate::ops::{Request, Response, Runner, scalar};

fn request(key: &RsaPrivateKey, padding: Padding, message: &[u8]) -> Request {
    Request::RsaSign(SignRequest::new(key, padding, message).expect("lanes serve this key"))
}

fn verify(key: &RsaPrivateKey, padding: Padding, message: &[u8], response: &Result<Response, Error>) {
    let Ok(Response::Signature(signature)) = response else { panic!("{response:?}") };
    let e = key.public_exponent().to_be_bytes();
    let e = &e[key.public_exponent().leading_zeros() as usize / 8..];
    scalar::verify_components(padding, (&key.public_modulus(), e), message, signature)
        .expect("aws-lc-rs accepts it");
}

#[test]
fn every_padding_size_and_fill_verifies() {
    let keys = [
        vec![key("rsa2048.pkcs8"), key("rsa2048-e3.pkcs8")],
        vec![key("rsa3072.pkcs8")],
        vec![key("rsa4096.pkcs8")],
    ];
    each_tier(|tier| {
        let mut runner = Runner::new(tier).with_break_even(Some(1));
        for keys in &keys {
            for fill in 1..=runner.capacity(keys[0].op().unwrap()) {
                for padding in PADDINGS {
                    let signers: Vec<_> = (0..fill).map(|i| &keys[i % keys.len()]).collect();
                    let messages: Vec<_> = (0..fill).map(|i| vec![i as u8; 10 * i]).collect();
                    let batch: Vec<_> =
                        signers.iter().zip(&messages).map(|(key, m)| request(key, padding, m)).collect();
                    let results = run(&mut runner, &batch);
                    assert_eq!(results.len(), fill);
                    for ((key, message), result) in signers.iter().zip(&messages).zip(&results) {
                        verify(key, padding, message, result);
                    }
                }
            }
        }
        assert_eq!(runner.counters().redone, 0);
    });
}

#[test]
fn pss_salts_are_fresh_and_pkcs1_is_deterministic() {
    let key = key("rsa2048.pkcs8");
    each_tier(|tier| {
        let mut runner = Runner::new(tier).with_break_even(Some(1));
        let mut sign = |padding| run(&mut runner, &[request(&key, padding, b"twice")]).remove(0).unwrap();
        assert_ne!(sign(Padding::PssSha256), sign(Padding::PssSha256));
        let pkcs1 = sign(Padding::Pkcs1Sha384);
        assert_eq!(pkcs1, sign(Padding::Pkcs1Sha384));
        assert_eq!(pkcs1, Response::Signature(key.sign(Padding::Pkcs1Sha384, b"twice").unwrap()));
    });
}

/// Flips one bit of one CRT half of every signature: 10,000 faults in all, none of which may be released.
#[test]
#[cfg_attr(debug_assertions, ignore = "10,000 signatures: run in release")]
fn injected_faults_never_leave() {
    let Some(tier) = Tier::avx2_fma() else {
        with_tier(TierKind::Avx2Fma, None::<Tier>, |_| ());
        return;
    };
    let mut runner = Runner::new(tier);
    let key = key("rsa2048.pkcs8");
    let mut random = crate::arith::testing::Operands::new(99);
    let fill = runner.capacity(key.op().unwrap());
    let mut faults = 0;
    while faults < 10_000 {
        let (at, which) = (random.word(), random.word());
        FAULT.set(Some(Box::new(move |m1, m2| {
            let half = if which & 1 == 0 { m1 } else { m2 };
            let len = half.len();
            half[at as usize / 64 % len] ^= 1 << (at % 64);
        })));
        let message = at.to_le_bytes();
        let batch: Vec<_> = (0..fill).map(|_| request(&key, Padding::PssSha256, &message)).collect();
        for result in run(&mut runner, &batch) {
            verify(&key, Padding::PssSha256, &message, &result);
        }
        faults += fill;
    }
    FAULT.set(None);
    assert_eq!(runner.counters().redone as usize, faults, "every fault was noticed");
    assert_eq!(runner.counters().in_lanes, 0);
}

/// One poisoned lane: its request is recomputed, its neighbours come from their lanes.
#[test]
fn a_fault_concerns_its_own_lane() {
    let key = key("rsa2048.pkcs8");
    for kind in TierKind::DETECTABLE.iter().copied().chain([TierKind::Portable]) {
        if kind == TierKind::Scalar {
            continue;
        }
        with_tier(kind, Tier::of_kind(kind), |tier| {
            let mut runner = Runner::new(tier);
            let fill = runner.capacity(key.op().unwrap());
            for poisoned in 0..fill {
                let mut job = 0;
                FAULT.set(Some(Box::new(move |_, m2| {
                    if job == poisoned {
                        m2[3] ^= 1 << 17;
                    }
                    job += 1;
                })));
                let batch: Vec<_> = (0..fill).map(|_| request(&key, Padding::Pkcs1Sha256, b"m")).collect();
                for result in run(&mut runner, &batch) {
                    verify(&key, Padding::Pkcs1Sha256, b"m", &result);
                }
            }
            FAULT.set(None);
            assert_eq!(runner.counters().redone as usize, fill);
            assert_eq!(runner.counters().in_lanes as usize, fill * (fill - 1));
        });
    }
}

#[test]
fn a_failing_generator_fails_its_request_alone() {
    use super::sign_batch;
    use crate::ops::Counters;
    use crate::ops::rsa::lanes::Workspace;
    let Tier::Portable(kernel) = Tier::portable() else { unreachable!() };
    let key = key("rsa2048.pkcs8");
    let requests: Vec<_> =
        (0..2).map(|_| SignRequest::new(&key, Padding::PssSha256, b"m").expect("served")).collect();
    let mut calls = 0;
    let mut random = |out: &mut [u8]| {
        calls += 1;
        if calls == 1 { Err(Error::Random) } else { scalar::random(out) }
    };
    let (mut workspace, mut counters) = (Workspace::new(), Counters::default());
    let requests: Vec<_> = requests.iter().collect();
    let results = sign_batch(kernel, &mut workspace, &mut random, &requests, &mut counters);
    assert_eq!(results[0], Err(Error::Random));
    verify(&key, Padding::PssSha256, b"m", &results[1].clone().map(Response::Signature));
}

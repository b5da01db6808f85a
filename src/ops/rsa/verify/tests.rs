//! Verification through the runner of every tier: the same verdicts as aws-lc-rs, whatever the input.

mod wycheproof;

use super::*;
use crate::arch::Tier;
use crate::arith::testing::Operands;
use crate::ops::rsa::RsaPrivateKey;
use crate::ops::rsa::testing::{PADDINGS, key};
use crate::ops::testing::each_tier;
use crate::ops::{Request, Response, Runner};

/// A request, with the verdict of aws-lc-rs.
#[derive(Clone)]
struct Expected {
    request: Request,
    valid: bool,
}

impl Expected {
    fn new(public_key: &[u8], padding: Padding, message: &[u8], signature: &[u8]) -> Self {
        let request =
            VerifyRequest::new(public_key, padding, message, signature).expect("lanes serve this key");
        let valid = verify(public_key, padding, message, signature).is_ok();
        assert_eq!(request.run_scalar().is_ok(), valid);
        Self { request: Request::RsaVerify(request), valid }
    }
}

/// Runs `batch` and asserts that every verdict is as expected.
#[track_caller]
fn check(runner: &mut Runner, batch: &[Expected]) {
    let mut results = Vec::new();
    runner.run(&batch.iter().map(|e| &e.request).collect::<Vec<_>>(), &mut results);
    assert_eq!(results.len(), batch.len());
    for (result, expected) in results.iter().zip(batch) {
        let right = if expected.valid { Ok(Response::Verified) } else { Err(Error::InvalidSignature) };
        assert_eq!(result, &right, "{:?} at fill {}", runner.tier(), batch.len());
    }
}

/// Runs the cases in batches of every fill in turn: 1, 2, …, full, 1, 2, …
fn check_in_every_fill(runner: &mut Runner, cases: &[Expected]) {
    let (mut rest, mut fill) = (cases, 1);
    let capacity = runner.capacity(cases[0].request.op());
    while !rest.is_empty() {
        let (batch, others) = rest.split_at(fill.min(rest.len()));
        check(runner, batch);
        (rest, fill) = (others, fill % capacity + 1);
    }
}

fn keys() -> [Vec<RsaPrivateKey>; 3] {
    [
        vec![key("rsa2048.pkcs8"), key("rsa2048-e3.pkcs8")],
        vec![key("rsa3072.pkcs8")],
        vec![key("rsa4096.pkcs8")],
    ]
}

/// Good and bad signatures of every padding, by keys that take turns.
fn mixed(keys: &[RsaPrivateKey]) -> Vec<Expected> {
    let mut cases = Vec::new();
    for (i, padding) in PADDINGS.into_iter().enumerate() {
        for key in keys {
            let (public, message) = (key.public_key_der(), [i as u8; 100]);
            let good = key.sign(padding, &message).unwrap();
            let mut flipped = good.clone();
            flipped[17 * i] ^= 0x10;
            cases.push(Expected::new(public, padding, &message, &good));
            cases.push(Expected::new(public, padding, b"another message", &good));
            cases.push(Expected::new(public, PADDINGS[(i + 1) % 6], &message, &good));
            cases.push(Expected::new(public, padding, &message, &flipped));
            cases.push(Expected::new(public, padding, &message, &key.sign(padding, &message).unwrap()));
        }
    }
    assert_eq!(cases.iter().filter(|c| c.valid).count(), 2 * PADDINGS.len() * keys.len());
    cases
}

#[test]
fn every_padding_size_and_fill() {
    let cases = keys().map(|keys| mixed(&keys));
    each_tier(|tier| {
        let mut runner = Runner::new(tier);
        for cases in &cases {
            for first in 0..8 {
                check_in_every_fill(&mut runner, &cases[first..]);
            }
        }
        let counters = runner.counters();
        assert_eq!(counters.redone, 0);
        assert_eq!(counters.in_lanes == 0, tier == Tier::Scalar, "{counters:?}");
    });
}

/// A signature that is too short is refused at once, which says nothing about what others take.
#[test]
fn what_is_refused_is_not_measured() {
    each_tier(|tier| {
        let key = key("rsa2048.pkcs8");
        let refused = Expected::new(key.public_key_der(), PADDINGS[0], b"m", &[7; 3]);
        let mut runner = Runner::new(tier).measuring();
        for fill in (1..=runner.capacity(refused.request.op())).cycle().take(100) {
            check(&mut runner, &vec![refused.clone(); fill]);
        }
        assert!(runner.break_even().is_empty(), "{:?}", runner.break_even());
    });
}

/// One bad signature among good ones, and one good one among bad ones, in every lane.
#[test]
fn a_verdict_concerns_its_own_lane() {
    let key = key("rsa2048.pkcs8");
    let signature = key.sign(Padding::PssSha256, b"message").unwrap();
    let case = |message| Expected::new(key.public_key_der(), Padding::PssSha256, message, &signature);
    let (good, bad) = (case(b"message"), case(b"massage"));
    assert!(good.valid && !bad.valid);
    each_tier(|tier| {
        let mut runner = Runner::new(tier);
        let capacity = runner.capacity(Op::RsaVerify2048);
        for (odd_one, others) in [(&good, &bad), (&bad, &good)] {
            for at in 0..capacity {
                let mut batch = vec![others.clone(); capacity];
                batch[at] = odd_one.clone();
                check(&mut runner, &batch);
            }
        }
    });
}

/// What needs no exponentiation: signatures of other lengths, and numbers that are not below n.
#[test]
fn lengths_and_ranges() {
    let mut cases = Vec::new();
    for key in keys().concat() {
        let n = key.public_modulus();
        let good = key.sign(Padding::Pkcs1Sha256, b"message").unwrap();
        let mut minus_one = n.clone();
        *minus_one.last_mut().unwrap() -= 1;
        let mut one = vec![0; n.len()];
        *one.last_mut().unwrap() = 1;
        let signatures = [
            good.clone(),
            vec![],
            vec![0; n.len()],
            one,
            minus_one,
            n.clone(),
            vec![0xff; n.len()],
            good[1..].to_vec(),
            [&[0], &good[..]].concat(),
            [&good[..], &[0]].concat(),
            vec![7; 3 * n.len()],
        ];
        for padding in PADDINGS {
            let public = key.public_key_der();
            cases.push(signatures.each_ref().map(|s| Expected::new(public, padding, b"message", s)));
        }
    }
    each_tier(|tier| {
        let mut runner = Runner::new(tier);
        for cases in &cases {
            check_in_every_fill(&mut runner, cases);
            check_in_every_fill(&mut runner, &cases[1..]);
        }
    });
}

/// A bare RSAPublicKey with this modulus and exponent.
fn public_key(modulus: &[u8], e: u64) -> Vec<u8> {
    use pkcs1::UintRef;
    use pkcs1::der::Encode;
    let e = &e.to_be_bytes();
    let (modulus, public_exponent) = (UintRef::new(modulus).unwrap(), UintRef::new(e).unwrap());
    pkcs1::RsaPublicKey { modulus, public_exponent }.to_der().unwrap()
}

/// Numbers to the power of 3 with two zero bits below a valid encoding's padding are what forgers look for;
/// here moduli and signatures that meet the edges of the arithmetic, and every length of exponent.
#[test]
fn strange_keys_give_the_verdicts_of_aws_lc() {
    let mut random = Operands::new(2025);
    let mut cases = Vec::new();
    for len in [256, 384, 512] {
        let mut of_size = Vec::new();
        let mut least = vec![0; len];
        least[0] = 0x80;
        for mut modulus in [least, vec![0xff; len], vec![0xa5; len]] {
            modulus[len - 1] |= 1;
            for e in [3, 5, 17, 0x8001, 65537, 0xffff_ffff, 0x1_0000_0001, (1 << 33) - 1] {
                let signature: Vec<u8> = (0..len).map(|_| random.word() as u8 & 0x7f).collect();
                let public = public_key(&modulus, e);
                of_size.push(Expected::new(&public, Padding::PssSha256, b"message", &signature));
            }
        }
        cases.push(of_size);
    }
    each_tier(|tier| {
        let mut runner = Runner::new(tier);
        cases.iter().for_each(|cases| check_in_every_fill(&mut runner, cases));
    });
}

/// Every public exponent's run by itself, however many there are in a batch.
#[test]
fn exponents_share_a_batch() {
    let e3 = key("rsa2048-e3.pkcs8");
    let e65537 = key("rsa2048.pkcs8");
    let case = |key: &RsaPrivateKey| {
        let signature = key.sign(Padding::Pkcs1Sha256, b"message").unwrap();
        Expected::new(key.public_key_der(), Padding::Pkcs1Sha256, b"message", &signature)
    };
    let cases = [case(&e3), case(&e65537)];
    assert!(cases.iter().all(|c| c.valid));
    each_tier(|tier| {
        let mut runner = Runner::new(tier);
        let capacity = runner.capacity(Op::RsaVerify2048);
        // Every pattern of the two exponents in a full batch.
        for pattern in 0..1_usize << capacity {
            let batch: Vec<_> = (0..capacity).map(|lane| cases[pattern >> lane & 1].clone()).collect();
            check(&mut runner, &batch);
        }
    });
}

/// Below its break-even fill a batch, or those of it that share an exponent, is not run in lanes.
#[test]
fn small_groups_are_verified_one_by_one() {
    let key = key("rsa2048.pkcs8");
    let signature = key.sign(Padding::PssSha256, b"message").unwrap();
    let good = Expected::new(key.public_key_der(), Padding::PssSha256, b"message", &signature);
    let odd_one = public_key(&key.public_modulus(), 17);
    let odd_one = Expected::new(&odd_one, Padding::PssSha256, b"message", &signature);
    each_tier(|tier| {
        let mut runner = Runner::new(tier);
        let capacity = runner.capacity(Op::RsaVerify2048);
        for fill in 1..=capacity {
            let before = runner.counters();
            check(&mut runner, &vec![good.clone(); fill]);
            let (lanes, scalar) =
                (runner.counters().in_lanes - before.in_lanes, runner.counters().scalar - before.scalar);
            let in_lanes = runner.lanes_pay(Op::RsaVerify2048, fill);
            assert_eq!((lanes, scalar), if in_lanes { (fill as u64, 0) } else { (0, fill as u64) });
        }
        if runner.lanes_pay(Op::RsaVerify2048, capacity - 1) {
            let before = runner.counters();
            let mut batch = vec![good.clone(); capacity - 1];
            batch.insert(1, odd_one.clone());
            check(&mut runner, &batch);
            let lone = u64::from(!runner.lanes_pay(Op::RsaVerify2048, 1));
            assert_eq!(runner.counters().scalar - before.scalar, lone);
            assert_eq!(runner.counters().in_lanes - before.in_lanes, capacity as u64 - lone);
        }
    });
}

/// Keys that are seen again are not prepared again, and give the same verdicts.
#[test]
fn forgetting_keys_changes_no_verdict() {
    let cases = mixed(&[key("rsa2048.pkcs8")]);
    each_tier(|tier| {
        let mut runner = Runner::new(tier);
        for _ in 0..2 {
            check_in_every_fill(&mut runner, &cases);
            runner.forget_public_keys();
        }
    });
}

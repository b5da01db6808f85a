//! Whole signatures and verifications through the runner of every tier, at every fill.

mod wycheproof;

use super::{KEY_LEN, PrivateKey, SIGNATURE_LEN, SignRequest, VerifyRequest, verify};
use crate::arch::Tier;
use crate::arith::curve25519::{Combination, Combiner, order};
use crate::error::Error;
use crate::ops::testing::{Random, each_tier, from_hex, run};
use crate::ops::{Op, Request, Response, Runner, scalar};

fn random_bytes(random: &mut Random) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.as_chunks_mut::<8>().0.iter_mut().for_each(|chunk| *chunk = random.word().to_le_bytes());
    bytes
}

/// One case: a key, a message, a signature, and what aws-lc-rs says.
#[derive(Clone, Debug)]
struct Case {
    request: VerifyRequest,
    verdict: Result<(), Error>,
}

impl Case {
    fn new(key: &[u8], message: &[u8], signature: &[u8]) -> Self {
        let request = VerifyRequest::new(key, message, signature).unwrap();
        Self { request, verdict: verify(key, message, signature) }
    }
}

/// All cases at every fill, with their neighbours in the other lanes.
fn check_in_every_fill(cases: &[Case]) {
    each_tier(|tier| {
        let mut runner = Runner::new(tier);
        for fill in 1..=runner.capacity(Op::Ed25519Verify) {
            for batch in cases.chunks(fill) {
                let requests: Vec<_> =
                    batch.iter().map(|case| Request::Ed25519Verify(case.request.clone())).collect();
                for (case, result) in batch.iter().zip(run(&mut runner, &requests)) {
                    assert_eq!(result, case.verdict.clone().map(|()| Response::Verified), "{case:x?}");
                }
            }
        }
        let counters = runner.counters();
        assert!(tier == Tier::Scalar || counters.in_lanes > 0, "{counters:?}");
    });
}

/// RFC 8032 §7.1: private key, message, signature. The fourth is "TEST SHA(abc)".
const VECTORS: [[&str; 3]; 4] = [
    [
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155\
         5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ],
    [
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
         085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ],
    [
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac\
         18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ],
    [
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
         2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589\
         09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ],
];

#[test]
fn signs_the_vectors_of_the_rfc() {
    let vectors = VECTORS.map(|vector| vector.map(from_hex));
    each_tier(|tier| {
        let mut runner = Runner::new(tier);
        for fill in 1..=runner.capacity(Op::Ed25519Sign) {
            for first in 0..vectors.len() {
                let at = |lane: usize| &vectors[(first + lane) % vectors.len()];
                let request = |lane| {
                    let [key, message, _] = at(lane);
                    let key = PrivateKey::from_bytes(key[..].try_into().unwrap()).unwrap();
                    Request::Ed25519Sign(SignRequest::new(&key, message))
                };
                let requests: Vec<_> = (0..fill).map(request).collect();
                for (lane, result) in run(&mut runner, &requests).into_iter().enumerate() {
                    assert_eq!(result, Ok(Response::Signature(at(lane)[2].clone())));
                }
            }
        }
        assert_eq!(runner.counters().redone, 0);
    });
}

/// Messages of all lengths up to some blocks of the hash, and keys of their own in every lane.
#[test]
fn signatures_are_those_of_aws_lc_rs() {
    let mut random = Random(8032);
    let keys: Vec<_> = (0..7).map(|_| PrivateKey::from_bytes(&random_bytes(&mut random)).unwrap()).collect();
    each_tier(|tier| {
        let mut runner = Runner::new(tier);
        let capacity = runner.capacity(Op::Ed25519Sign);
        for round in 0..60 {
            let fill = round % capacity + 1;
            let input =
                |lane: usize| (&keys[(round + lane) % keys.len()], vec![round as u8; 7 * round + lane]);
            let inputs: Vec<_> = (0..fill).map(input).collect();
            let request = |(key, message): &(&PrivateKey, Vec<u8>)| {
                Request::Ed25519Sign(SignRequest::new(key, message))
            };
            let requests: Vec<_> = inputs.iter().map(request).collect();
            for ((key, message), result) in inputs.iter().zip(run(&mut runner, &requests)) {
                assert_eq!(result, key.sign(message).map(Response::Signature));
            }
        }
        assert_eq!(runner.counters().redone, 0);
    });
}

/// Good signatures, and each part of them spoiled.
#[test]
fn spoiled_signatures_are_refused() {
    let mut random = Random(1);
    let mut cases = Vec::new();
    for round in 0..8usize {
        let key = PrivateKey::from_bytes(&random_bytes(&mut random)).unwrap();
        let message = vec![1; 40 * round];
        let good = key.sign(&message).unwrap();
        cases.push(Case::new(key.public_key(), &message, &good));
        assert_eq!(cases.last().unwrap().verdict, Ok(()));
        for bit in [0, 7, 100, 255, 256, 300, 507, 511] {
            let mut signature = good.clone();
            signature[bit / 8] ^= 1 << (bit % 8);
            cases.push(Case::new(key.public_key(), &message, &signature));
        }
        let mut other = *key.public_key();
        other[round] ^= 4;
        cases.push(Case::new(&other, &message, &good));
        cases.push(Case::new(key.public_key(), b"another message", &good));
        cases.push(Case::new(key.public_key(), &message, &malleated(&good)));
    }
    assert_eq!(cases.iter().filter(|case| case.verdict.is_ok()).count(), 8);
    check_in_every_fill(&cases);
}

/// S + L for S, which satisfies the same equation.
fn malleated(signature: &[u8]) -> Vec<u8> {
    let s: &[u8; 32] = signature[32..].try_into().unwrap();
    let mut carry = 0;
    let limbs = order::from_bytes(s);
    let sum = std::array::from_fn(|i| {
        let (sum, out) = crate::arith::limbs::adc(limbs[i], ORDER[i], carry);
        carry = out;
        sum
    });
    [&signature[..32], &order::to_bytes(&sum)].concat()
}

const ORDER: order::Scalar = [0x5812_631a_5cf5_d3ed, 0x14de_f9de_a2f7_9cd6, 0, 1 << 60];

/// Bounds of S: L − 1 is looked at, L and more are not.
#[test]
fn s_is_below_the_order() {
    let key = PrivateKey::from_bytes(&[9; 32]).unwrap();
    let r = &key.sign(b"message").unwrap()[..32];
    let offset = |offset: i64| {
        let mut s = ORDER;
        s[0] = s[0].wrapping_add_signed(offset);
        Case::new(key.public_key(), b"message", &[r, &order::to_bytes(&s)].concat())
    };
    let highest = Case::new(key.public_key(), b"message", &[r, &[0xff; 32]].concat());
    let cases: Vec<_> = (-2..=2).map(offset).chain([highest]).collect();
    let lanes = |case: &Case| case.request.is_for_lanes();
    assert_eq!(cases.iter().map(lanes).collect::<Vec<_>>(), [true, true, false, false, false, false]);
    check_in_every_fill(&cases);
}

/// Every encoding of the points of small order, canonical or not.
fn small_order() -> Vec<[u8; KEY_LEN]> {
    let canonical = [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        // y = 0 and y = 1 with p added.
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];
    let both = canonical.iter().flat_map(|hex| {
        let low: [u8; KEY_LEN] = from_hex(hex).try_into().unwrap();
        let mut high = low;
        high[31] |= 0x80;
        [low, high]
    });
    both.collect()
}

/// Keys and nonce points of small order: with S = 0, which of them fit together depends on the hash.
#[test]
fn small_orders_are_judged_as_by_aws_lc_rs() {
    let points = small_order();
    let mut cases = Vec::new();
    for a in &points {
        for r in &points {
            for message in [b"1", b"2", b"3"] {
                cases.push(Case::new(a, message, &[&r[..], &[0; 32]].concat()));
            }
        }
    }
    let valid = cases.iter().filter(|case| case.verdict.is_ok()).count();
    assert!(valid > 20 && valid < cases.len() / 2, "{valid} of {}", cases.len());
    check_in_every_fill(&cases);
}

/// Keys that are a point of the large order plus one of small order: the hash decides.
#[test]
fn mixed_orders_are_judged_as_by_aws_lc_rs() {
    let Tier::Portable(portable) = Tier::portable() else { unreachable!() };
    let mut combiner = Combiner::new(portable);
    let mut random = Random(8);
    let mut cases = Vec::new();
    for torsion in &small_order()[..10] {
        for message in 0..12u8 {
            // A = a·B − i·T, R = r·B − j·T, S = r + k·a.
            let [a, r] = [(); 2].map(|()| {
                let bytes = random_bytes(&mut random);
                *order::reduce_hash(&[bytes, bytes].concat().try_into().unwrap())
            });
            let mut mixed = |s, i| combiner.run(&[Combination { s, h: [i, 0, 0, 0], a: torsion }]).remove(0);
            let (Ok(key), Ok(nonce)) = (mixed(a, 1), mixed(r, u64::from(message % 3))) else { continue };
            let mut hash = [0; 64];
            scalar::sha512(&[&nonce, &key, &[message]], &mut hash);
            let s = order::multiply_add(&a, &order::reduce_hash(&hash), &r);
            cases.push(Case::new(&key, &[message], &[nonce, order::to_bytes(&s)].concat()));
        }
    }
    let valid = cases.iter().filter(|case| case.verdict.is_ok()).count();
    assert!(cases.len() > 80 && valid > 10 && valid < cases.len() / 2, "{valid} of {}", cases.len());
    check_in_every_fill(&cases);
}

#[test]
fn other_lengths_are_not_taken() {
    let key = PrivateKey::from_bytes(&[1; 32]).unwrap();
    let signature = key.sign(b"message").unwrap();
    for len in [0, 31, 33, 44] {
        assert!(VerifyRequest::new(&vec![1; len], b"message", &signature).is_none());
    }
    for len in [0, SIGNATURE_LEN - 1, SIGNATURE_LEN + 1] {
        assert!(VerifyRequest::new(key.public_key(), b"message", &vec![1; len]).is_none());
        assert_eq!(verify(key.public_key(), b"message", &vec![1; len]), Err(Error::InvalidSignature));
    }
}

#[test]
fn secrets_are_not_printed() {
    let key = PrivateKey::from_bytes(&[0x77; 32]).unwrap();
    let request = Request::Ed25519Sign(SignRequest::new(&key, &[1]));
    assert_eq!(format!("{request:?}"), "Ed25519Sign(SignRequest { key: PrivateKey(..), message: [1] })");
}

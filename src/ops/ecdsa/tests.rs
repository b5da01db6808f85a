//! Signatures and verdicts of every tier, at every fill, against aws-lc-rs and the published vectors.

mod vectors;

use super::encode::encode;
use super::{EcdsaPrivateKey, SignRequest, VerifyRequest, known};
use crate::arch::prime::{P256, P384};
use crate::arch::{Portable, Tier, TierKind};
use crate::arith::weierstrass::{Curve, Kernel, Lanes};
use crate::error::{Error, KeyError};
use crate::ops::kinds::NistCurve;
use crate::ops::nist::MAX_LIMBS;
use crate::ops::testing::{Random, each_tier, from_hex, run};
use crate::ops::{Counters, Hash, Op, Request, Response, Runner};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384};

const CURVES: [NistCurve; 2] = [NistCurve::P256, NistCurve::P384];

fn key(curve: NistCurve) -> EcdsaPrivateKey {
    let algorithm = match curve {
        NistCurve::P256 => &PKCS_ECDSA_P256_SHA256,
        NistCurve::P384 => &PKCS_ECDSA_P384_SHA384,
    };
    EcdsaPrivateKey::from_pkcs8_der(&KeyPair::generate_for(algorithm).unwrap().serialize_der()).unwrap()
}

fn sign_op(curve: NistCurve) -> Op {
    SignRequest::new(&key(curve), b"").op()
}

fn signature(result: Result<Response, Error>) -> Vec<u8> {
    match result {
        Ok(Response::Signature(signature)) => signature,
        other => panic!("{other:?}"),
    }
}

#[test]
fn signatures_of_every_fill_verify() {
    each_tier(|tier| {
        let mut runner = Runner::new(tier);
        for curve in CURVES {
            let keys = [key(curve), key(curve)];
            for fill in 1..=runner.capacity(sign_op(curve)) {
                let message = |i: usize| vec![i as u8; 30 * i];
                let requests: Vec<_> = (0..fill)
                    .map(|i| Request::EcdsaSign(SignRequest::new(&keys[i % 2], &message(i))))
                    .collect();
                let results = run(&mut runner, &requests);
                let verifications = results.into_iter().enumerate().map(|(i, result)| {
                    let (key, signature) = (&keys[i % 2], signature(result));
                    super::verify(curve, curve.hash(), key.public_key(), &message(i), &signature)
                        .expect("aws-lc-rs accepts it");
                    let request =
                        VerifyRequest::new(curve, curve.hash(), key.public_key(), &message(i), &signature);
                    Request::EcdsaVerify(request.expect("an uncompressed point"))
                });
                // One key may have been seen often, and the other not yet.
                let (known, new): (Vec<_>, Vec<_>) =
                    verifications.partition(|r| [Op::P256VerifyKnown, Op::P384VerifyKnown].contains(&r.op()));
                for requests in [known, new] {
                    assert!(run(&mut runner, &requests).iter().all(|r| *r == Ok(Response::Verified)));
                }
            }
        }
        assert_eq!(runner.counters().redone, 0);
    });
}

/// Two signatures of one message differ: fresh randomness goes into the nonces.
#[test]
fn nonces_are_hedged() {
    let key = key(NistCurve::P256);
    each_tier(|tier| {
        let mut runner = Runner::new(tier);
        let fill = runner.capacity(Op::P256Sign).max(2);
        let requests = vec![Request::EcdsaSign(SignRequest::new(&key, b"twice")); fill];
        let requests = &requests[..runner.capacity(Op::P256Sign)];
        let mut seen: Vec<_> = run(&mut runner, requests).into_iter().map(signature).collect();
        seen.extend(run(&mut runner, requests).into_iter().map(signature));
        let count = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), count);
    });
}

/// A verification and the verdict that aws-lc-rs gives of it.
#[derive(Clone)]
struct Expected {
    request: VerifyRequest,
    verdict: Result<(), Error>,
}

impl Expected {
    fn of(request: VerifyRequest) -> Self {
        Self { verdict: request.run_scalar(), request }
    }
}

/// One, some and all lanes; Portable is too slow for more than one of them.
fn fills(tier: Tier, capacity: usize) -> Vec<usize> {
    let all = [1, (capacity.div_ceil(2) + 1).min(capacity), capacity];
    if tier.kind() == TierKind::Portable { all[2..].to_vec() } else { all.to_vec() }
}

/// Every case in batches of several fills, so that it stands in several lanes beside several neighbours.
fn check(cases: &[Expected]) {
    each_tier(|tier| {
        let mut runner = Runner::new(tier);
        let capacity = runner.capacity(cases[0].request.op());
        for fill in fills(tier, capacity) {
            // A key that was seen often has a queue of its own.
            let same = cases.chunk_by(|a, b| a.request.op() == b.request.op());
            for chunk in same.flat_map(|cases| cases.chunks(fill)) {
                let requests: Vec<_> =
                    chunk.iter().map(|c| Request::EcdsaVerify(c.request.clone())).collect();
                for (case, result) in chunk.iter().zip(run(&mut runner, &requests)) {
                    assert_eq!(result.map(drop), case.verdict, "{:?}", case.request);
                }
            }
        }
    });
}

/// A message's hash that is the number `z`, as long as the curve.
fn with_hash(
    curve: NistCurve,
    key: &EcdsaPrivateKey,
    z: &[u64],
    [r, s]: [[u64; MAX_LIMBS]; 2],
) -> VerifyRequest {
    let signature = encode(curve, &[r, s]);
    let mut request = VerifyRequest::new(curve, curve.hash(), key.public_key(), b"", &signature).unwrap();
    request.m_hash[..curve.scalar_len()].copy_from_slice(&curve.bytes(z));
    request
}

/// Numbers at the bounds of what r and s may be: 0, 1, n − 1, n, n + 1, p − n, the largest.
fn bounds<const N: usize, C: Curve<N>>() -> Vec<[u64; MAX_LIMBS]> {
    let wide = |x: &[u64; N]| std::array::from_fn(|i| x.get(i).copied().unwrap_or(0));
    let n = *C::ORDER.limbs();
    let offset = |d: i64| {
        let mut x = n;
        x[0] = x[0].wrapping_add_signed(d);
        wide(&x)
    };
    let small = |x: u64| std::array::from_fn(|i| if i == 0 { x } else { 0 });
    let all = [small(0), small(1), small(2), offset(-1), offset(0), offset(1), wide(&[u64::MAX; N])];
    all.to_vec()
}

fn edge_cases<const N: usize, C: Curve<N>>(curve: NistCurve)
where
    Portable: Kernel<C>,
{
    let (mut random, order) = (Random(31), C::ORDER);
    let mut draw = || order.reduced(&std::array::from_fn(|_| random.word()));
    let wide = |x: &[u64; N]| -> [u64; MAX_LIMBS] { std::array::from_fn(|i| x.get(i).copied().unwrap_or(0)) };
    let one = order.leave(&order.power_of_two(64 * N));
    let mut cases = Vec::new();
    for d in [one, order.neg(&one), draw(), draw()] {
        let key = EcdsaPrivateKey::new(curve, &curve.bytes(&d), None).unwrap();
        // Valid signatures with z = r·d, so that u₁·G = u₂·Q; and z = 0.
        let k = draw();
        let mut lanes = Lanes::<N, C, _>::new(portable());
        let r = order.reduced(&lanes.base_multiples(&[k]).iter().next().unwrap().unwrap().x);
        let rd = order.mul(&order.enter(&r), &d);
        let mut inverse = [order.enter(&k)];
        order.invert_all(&mut inverse);
        for z in [rd, [0; N], draw()] {
            let s = order.mul(&inverse[0], &order.add(&z, &rd));
            cases.push(with_hash(curve, &key, &z, [wide(&r), wide(&s)]));
            assert_eq!(cases.last().unwrap().run_scalar(), Ok(()));
            // The same s with −z makes opposite summands, or a sum that is not R.
            cases.push(with_hash(curve, &key, &order.neg(&z), [wide(&r), wide(&s)]));
        }
        for r in bounds::<N, C>() {
            for s in bounds::<N, C>() {
                cases.push(with_hash(curve, &key, &draw(), [r, s]));
            }
        }
    }
    let cases: Vec<_> = cases.into_iter().map(Expected::of).collect();
    check(&cases);
}

/// A key that is seen often gets a table, and later a larger one, wherever its signatures were verified; its
/// good and bad signatures have the same verdicts as before.
#[test]
fn keys_that_are_met_often() {
    // Other tests may have filled all places with tables that are in use.
    known::forget();
    each_tier(|tier| {
        for curve in CURVES {
            let mut runner = Runner::new(tier);
            if runner.capacity(sign_op(curve)) > 1 {
                meet_often(&mut runner, curve);
                assert_eq!(runner.counters().redone, 0);
            }
        }
    });
}

fn meet_often(runner: &mut Runner, curve: NistCurve) {
    let keys = [(); 2].map(|()| key(curve));
    let signatures = keys.each_ref().map(|key| key.sign(b"message").unwrap());
    let request = |key: usize, message: &[u8], signature: &[u8]| {
        VerifyRequest::new(curve, curve.hash(), keys[key].public_key(), message, signature).unwrap()
    };
    let good = |key: usize| request(key, b"message", &signatures[key]);
    // Alone: where that is below the break-even fill, aws-lc-rs verifies. A bad signature does not count.
    let meet = |runner: &mut Runner, key: usize| {
        let requests = [good(key), request(key, b"massage", &signatures[key])].map(Request::EcdsaVerify);
        assert_eq!(run(runner, &requests[..1]), [Ok(Response::Verified)]);
        assert_eq!(run(runner, &requests[1..]), [Err(Error::InvalidSignature)]);
    };
    let fresh = good(0).op();
    (1..known::SMALL).for_each(|_| meet(runner, 0));
    assert_eq!(good(0).op(), fresh);
    meet(runner, 0);
    let known = good(0).op();
    assert_ne!(known, fresh);
    // The second key has a small table when the first one has a large one.
    for uses in [known::SMALL, known::LARGE] {
        (known::SMALL..uses).for_each(|_| meet(runner, 0));
        for fill in 1..=runner.capacity(known) {
            let cases = (0..fill).map(|i| {
                let key = if uses == known::SMALL { 0 } else { i % 2 };
                let mut tampered = signatures[key].clone();
                *tampered.last_mut().unwrap() ^= 1;
                match i % 3 {
                    0 => (good(key), Ok(Response::Verified)),
                    1 => (request(key, b"massage", &signatures[key]), Err(Error::InvalidSignature)),
                    _ => (request(key, b"message", &tampered), Err(Error::InvalidSignature)),
                }
            });
            let (requests, expected): (Vec<_>, Vec<_>) = cases.unzip();
            let requests: Vec<_> = requests.into_iter().map(Request::EcdsaVerify).collect();
            assert!(requests.iter().all(|r| r.op() == known));
            assert_eq!(run(runner, &requests), expected);
        }
        (0..known::SMALL).for_each(|_| meet(runner, 1));
    }
    assert!(super::known_keys().made >= 3);
}

fn portable() -> Portable {
    let Tier::Portable(token) = Tier::portable() else { unreachable!() };
    token
}

#[test]
fn exceptional_sums_and_numbers_at_the_bounds() {
    edge_cases::<4, P256>(NistCurve::P256);
    edge_cases::<6, P384>(NistCurve::P384);
}

#[test]
fn malformed_keys_have_their_own_errors() {
    let other = key(NistCurve::P256);
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let der = pair.serialize_der();
    assert!(EcdsaPrivateKey::from_pkcs8_der(&der).is_ok());
    assert_eq!(EcdsaPrivateKey::from_pkcs8_der(&der[..40]).err(), Some(KeyError::Encoding));
    let replaced = |from: &[u8], to: &[u8]| {
        let at = der.windows(from.len()).position(|w| w == from).expect("it is there");
        let mut der = der.clone();
        der[at..at + from.len()].copy_from_slice(to);
        EcdsaPrivateKey::from_pkcs8_der(&der).err()
    };
    let public = EcdsaPrivateKey::from_pkcs8_der(&der).unwrap().public_key().to_vec();
    assert_eq!(replaced(&public, other.public_key()), Some(KeyError::PublicKey));
    // secp256r1 becomes an unknown curve, id-ecPublicKey an unknown algorithm.
    assert_eq!(
        replaced(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7], &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 6]),
        Some(KeyError::Algorithm)
    );
    assert_eq!(
        replaced(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1], &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 2]),
        Some(KeyError::Algorithm)
    );
    for curve in CURVES {
        let len = curve.scalar_len();
        for private in [vec![0; len], vec![0xff; len], vec![1; len - 1], vec![1; len + 1]] {
            let result = EcdsaPrivateKey::new(curve, &private, None);
            assert_eq!(result.err(), Some(KeyError::PrivateScalar));
        }
    }
}

#[test]
fn public_keys_that_lanes_do_not_serve_are_left_to_aws_lc_rs() {
    for curve in CURVES {
        let key = key(curve);
        let signature = key.sign(b"m").unwrap();
        let request = |public: &[u8]| VerifyRequest::new(curve, curve.hash(), public, b"m", &signature);
        assert_eq!(request(key.public_key()).unwrap().run_scalar(), Ok(()));
        let mut off_curve = key.public_key().to_vec();
        *off_curve.last_mut().unwrap() ^= 1;
        let mut compressed = key.public_key()[..1 + curve.scalar_len()].to_vec();
        compressed[0] = 2 + (key.public_key().last().unwrap() & 1);
        let mut above_p = key.public_key().to_vec();
        above_p[1..1 + curve.scalar_len()].fill(0xff);
        for public in [&off_curve[..], &compressed, &above_p, &[], &[0], &key.public_key()[1..]] {
            assert!(request(public).is_none());
        }
        assert_eq!(super::verify(curve, curve.hash(), &compressed, b"m", &signature), Ok(()));
        assert!(super::verify(curve, curve.hash(), &off_curve, b"m", &signature).is_err());
    }
}

#[test]
fn secrets_are_not_printed() {
    let key = key(NistCurve::P256);
    assert_eq!(format!("{key:?}"), "EcdsaPrivateKey(P256)");
}

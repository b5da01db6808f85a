//! Whole key exchanges through the runner of every tier, at every fill, against aws-lc-rs.

use crate::arch::{Tier, TierKind};
use crate::error::Error;
use crate::ops::kx::{AgreeRequest, Exchanged, Group, KeyPair, PeerKey, PrivateKey};
use crate::ops::testing::{each_tier, run};
use crate::ops::{Counters, Op, Request, Response, Runner};

/// Each group with its agreement and its key share.
const GROUPS: [(Group, Op, Op); 3] = [
    (Group::X25519, Op::X25519, Op::X25519Keygen),
    (Group::P256, Op::P256Ecdh, Op::P256Keygen),
    (Group::P384, Op::P384Ecdh, Op::P384Keygen),
];

fn exchange(peer: &KeyPair) -> Request {
    Request::Exchange(PeerKey::new(peer.private.group(), &peer.public).unwrap())
}

fn agree(own: &PrivateKey, peer: &KeyPair) -> Request {
    Request::Agree(AgreeRequest::new(own, &peer.public).unwrap())
}

/// Runs `test` with every tier that has lanes and that this machine has.
fn each_tier_with_lanes(test: impl Fn(Tier)) {
    each_tier(|tier| {
        if tier.kind() != TierKind::Scalar {
            test(tier);
        }
    });
}

/// The public key of an exchange, whose secret is what its peer computes of it.
#[track_caller]
fn checked(result: Result<Response, Error>, peer: &KeyPair) -> Vec<u8> {
    let Ok(Response::Exchanged(Exchanged { public, secret })) = result else { panic!("{result:?}") };
    assert_eq!(peer.private.agree(&public), Ok(secret));
    public
}

/// Counters of so many requests in lanes, and so many through aws-lc-rs.
fn counted(in_lanes: u64, scalar: u64) -> Counters {
    Counters { in_lanes, scalar, ..Counters::default() }
}

/// Alone, and among agreements: with each number of exchanges in each batch, in different lanes.
#[test]
fn exchanges_of_every_fill_among_agreements() {
    each_tier_with_lanes(|tier| {
        for (group, op, _) in GROUPS {
            let mut runner = Runner::new(tier).with_break_even(Some(1));
            let capacity = runner.capacity(op);
            let peers: Vec<_> = (0..capacity).map(|_| KeyPair::generate(group).unwrap()).collect();
            let own = KeyPair::generate(group).unwrap();
            let (mut fresh, mut wanted) = (Vec::new(), 0);
            for fill in 1..=capacity {
                for exchanges in 1..=fill {
                    // The last ones, and then from the first lane on again.
                    let is_exchange = |lane: usize| (lane + exchanges + 1) % fill < exchanges;
                    let requests = peers[..fill].iter().enumerate().map(|(lane, peer)| {
                        if is_exchange(lane) { exchange(peer) } else { agree(&own.private, peer) }
                    });
                    let results = run(&mut runner, &requests.collect::<Vec<_>>());
                    for (lane, (result, peer)) in results.into_iter().zip(&peers).enumerate() {
                        if is_exchange(lane) {
                            fresh.push(checked(result, peer));
                        } else {
                            let secret = own.private.agree(&peer.public).unwrap();
                            assert_eq!(result, Ok(Response::SharedSecret(secret)), "lane {lane} of {fill}");
                        }
                    }
                    wanted += fill + exchanges;
                    assert_eq!(runner.counters(), counted(wanted as u64, 0), "{exchanges} of {fill}");
                }
            }
            let all = fresh.len();
            fresh.sort();
            fresh.dedup();
            assert_eq!(fresh.len(), all, "no key is used twice");
        }
    });
}

#[test]
fn aws_lc_rs_does_an_exchange_alone() {
    for (group, ..) in GROUPS {
        let peer = KeyPair::generate(group).unwrap();
        checked(exchange(&peer).run_scalar(), &peer);
        let mut runner = Runner::new(Tier::Scalar);
        checked(run(&mut runner, &[exchange(&peer)]).remove(0), &peer);
        assert_eq!(runner.counters(), counted(0, 2));
    }
}

/// The agreement decides. Where it is worth its lanes the key pair is made there if that pays, too; else
/// aws-lc-rs does both, so that no key is imported.
#[test]
fn each_part_goes_the_cheaper_way() {
    each_tier_with_lanes(|tier| {
        for (group, agreement, share) in GROUPS {
            let peer = KeyPair::generate(group).unwrap();
            let run = |runner: &mut Runner, exchanges: usize, fill: usize| {
                let before = runner.counters();
                let exchanges = vec![exchange(&peer); exchanges];
                let agreements = vec![agree(&peer.private, &peer); fill - exchanges.len()];
                let results = run(runner, &[exchanges, agreements].concat());
                assert!(results.iter().all(Result::is_ok), "{results:?}");
                let after = runner.counters();
                (after.in_lanes - before.in_lanes, after.scalar - before.scalar)
            };
            // The same least fill for both.
            let mut runner = Runner::new(tier).with_break_even(Some(2));
            assert_eq!(run(&mut runner, 1, 1), (0, 2));
            assert_eq!(run(&mut runner, 1, 2), (2, 1), "a key pair alone, and two agreements");
            assert_eq!(run(&mut runner, 2, 2), (4, 0));
            // By the table a key share is worth its lanes sooner.
            let mut runner = Runner::new(tier);
            let pays = |op| runner.lanes_pay(op, 1);
            assert!(pays(share) || !pays(agreement), "else this says nothing");
            let in_lanes = if pays(agreement) { 2 } else { 0 };
            assert_eq!(run(&mut runner, 1, 1), (in_lanes, 2 - in_lanes), "{group:?} on {}", tier.kind());
        }
    });
}

/// Of an exchange both parts are measured, each for its own operation.
#[test]
fn both_parts_are_measured() {
    each_tier_with_lanes(|tier| {
        if tier.kind() == TierKind::Portable {
            return;
        }
        for (group, agreement, share) in GROUPS {
            let mut runner = Runner::new(tier).measuring();
            let peer = KeyPair::generate(group).unwrap();
            let parts: Vec<_> = exchange(&peer).parts().collect();
            assert_eq!(parts, [share, agreement]);
            let is_known =
                |runner: &Runner| [share, agreement].map(|op| !runner.alone_and_savings(op).0.is_zero());
            assert_eq!(is_known(&runner), [false; 2]);
            (0..3).for_each(|_| drop(checked(run(&mut runner, &[exchange(&peer)]).remove(0), &peer)));
            assert_eq!(is_known(&runner), [true; 2]);
            assert_eq!(
                runner.counters(),
                counted(0, 6),
                "until aws-lc-rs is measured, it does what is alone"
            );
            let full = vec![exchange(&peer); runner.capacity(agreement)];
            (0..3).for_each(|_| drop(run(&mut runner, &full)));
            let told: Vec<_> =
                std::iter::from_fn(|| runner.changed_break_even()).map(|known| known.op).collect();
            assert!(told.contains(&share) && told.contains(&agreement), "{told:?}");
        }
    });
}

#[test]
fn what_is_no_public_key_is_refused_before_anything_is_made() {
    for (group, ..) in GROUPS {
        let peer = KeyPair::generate(group).unwrap().public;
        assert!(PeerKey::new(group, &peer).is_ok());
        let longer = [&peer[..], &[0]].concat();
        let mut bad = vec![&peer[1..], &peer[..peer.len() - 1], &longer, &[]];
        let mut off = peer.clone();
        *off.last_mut().unwrap() ^= 1;
        if group != Group::X25519 {
            bad.push(&off);
        }
        for peer in bad {
            assert_eq!(PeerKey::new(group, peer).err(), Some(Error::PeerKey), "{group:?}, {peer:x?}");
        }
    }
}

/// The point of order 2, zero: the secret would be zero whatever the private key.
#[test]
fn points_of_small_order_are_refused_and_nobody_else() {
    let zero = || Request::Exchange(PeerKey::new(Group::X25519, &[0; 32]).unwrap());
    assert_eq!(zero().run_scalar(), Err(Error::PeerKey));
    let good = KeyPair::generate(Group::X25519).unwrap();
    each_tier(|tier| {
        let mut runner = Runner::new(tier).with_break_even(Some(1));
        for fill in 1..=runner.capacity(Op::X25519) {
            for lane in 0..fill {
                let mut requests = vec![exchange(&good); fill];
                requests[lane] = zero();
                for (i, result) in run(&mut runner, &requests).into_iter().enumerate() {
                    match i == lane {
                        true => assert_eq!(result, Err(Error::PeerKey)),
                        false => drop(checked(result, &good)),
                    }
                }
            }
        }
    });
}

#[test]
fn secrets_are_not_printed() {
    let result = exchange(&KeyPair::generate(Group::X25519).unwrap()).run_scalar();
    let Ok(Response::Exchanged(exchanged)) = result else { panic!("{result:?}") };
    let public = format!("{:?}", exchanged.public);
    assert_eq!(
        format!("{exchanged:?}"),
        format!("Exchanged {{ public: {public}, secret: SharedSecret(..) }}")
    );
}

//! The runner: what it does about a batch that panics, and in which floating-point environment batches run.

use super::lanes::LaneRunner;
use super::timings::Fills;
use super::*;
use crate::arch::testing::with_tier;
use crate::arch::{Tier, TierKind};
use crate::error::Error;
use rsa::testing::key;

fn requests() -> Vec<Request> {
    let agree = |group| {
        let pair = kx::KeyPair::generate(group).unwrap();
        Request::Agree(kx::AgreeRequest::new(&pair.private, &pair.public).unwrap())
    };
    let rsa = key("rsa2048.pkcs8");
    vec![
        agree(kx::Group::X25519),
        agree(kx::Group::P256),
        Request::Ed25519Sign(ed25519::SignRequest::new(
            &ed25519::PrivateKey::from_bytes(&[7; 32]).unwrap(),
            b"m",
        )),
        // Deterministic, as the others are: results can be compared.
        Request::RsaSign(rsa::SignRequest::new(&rsa, rsa::Padding::Pkcs1Sha256, b"m").unwrap()),
    ]
}

#[cfg(lanes)]
#[test]
fn batches_run_in_any_floating_point_environment() {
    use crate::arch::mxcsr::{CONTROL, DEFAULT, changed, current};
    // Each bit alone turned round, and each rounding mode; not the exceptions of several kinds, which are
    // bits like others.
    let environments: Vec<_> = (6..16).map(|bit| DEFAULT ^ 1 << bit).chain([DEFAULT | 3 << 13, 0]).collect();
    let requests = requests();
    let expected: Vec<_> = requests.iter().map(|request| request.run_scalar().unwrap()).collect();
    for kind in TierKind::DETECTABLE.iter().copied() {
        with_tier(kind, Tier::of_kind(kind), |tier| {
            let mut runner = Runner::new(tier).with_break_even(Some(1));
            for environment in &environments {
                for (request, expected) in requests.iter().zip(&expected) {
                    let mut results = Vec::with_capacity(8);
                    let after = changed(*environment, || {
                        runner.run(&[request], &mut results);
                        current() & CONTROL
                    });
                    assert_eq!(after, *environment);
                    assert_eq!(results, [Ok(expected.clone())], "{environment:x}");
                }
            }
            assert_eq!((runner.counters().panicked, runner.counters().redone), (0, 0), "{kind}");
        });
    }
}

/// Lanes that write some answers and then panic.
#[derive(Debug)]
struct Panicking;

impl LaneRunner for Panicking {
    fn run(
        &mut self,
        requests: &[&Request],
        _: Fills,
        counters: &mut Counters,
        results: &mut Vec<Result<Response, Error>>,
    ) {
        counters.in_lanes += requests.len() as u64;
        results.push(Ok(Response::Verified));
        std::panic::resume_unwind(Box::new("on purpose"));
    }
}

#[test]
fn a_batch_that_panics_is_done_again_by_aws_lc_rs() {
    for request in requests() {
        let mut runner = Runner::new(Tier::portable()).with_break_even(Some(1));
        runner.lanes = Some(std::array::from_fn(|_| Box::new(Panicking) as Box<dyn LaneRunner>));
        let mut results = vec![Err(Error::QueueFull)];
        runner.run(&[&request, &request], &mut results);
        let expected = request.run_scalar();
        assert_eq!(results, [Err(Error::QueueFull), expected.clone(), expected.clone()]);
        assert_eq!(runner.counters(), Counters { redone: 2, panicked: 1, ..Counters::default() });
        // The next batch has lanes that nothing was left in.
        results.clear();
        runner.run(&[&request], &mut results);
        assert_eq!(results, [expected]);
        assert_eq!(
            runner.counters(),
            Counters { redone: 2, panicked: 1, in_lanes: 1, ..Counters::default() }
        );
    }
}

/// Both parts are contained, each by itself.
#[test]
fn a_key_exchange_whose_lanes_panic_is_done_by_aws_lc_rs() {
    let peer = kx::KeyPair::generate(kx::Group::P256).unwrap();
    let request = Request::Exchange(kx::PeerKey::new(kx::Group::P256, &peer.public).unwrap());
    let mut runner = Runner::new(Tier::portable()).with_break_even(Some(1));
    runner.lanes = Some(std::array::from_fn(|_| Box::new(Panicking) as Box<dyn LaneRunner>));
    let mut results = Vec::new();
    runner.run(&[&request, &request], &mut results);
    assert_eq!(results.len(), 2);
    for result in results {
        let Ok(Response::Exchanged(kx::Exchanged { public, secret })) = result else { panic!("{result:?}") };
        assert_eq!(peer.private.agree(&public), Ok(secret));
    }
    // The agreements have new lanes.
    assert_eq!(runner.counters(), Counters { redone: 2, panicked: 1, in_lanes: 2, ..Counters::default() });
}

#[test]
fn a_runner_obeys_the_break_even_fill() {
    let fills = |least| {
        let runner = Runner::new(Tier::portable()).with_break_even(least);
        [0, 1, 2, 3, 4, 5].map(|fill| runner.lanes_pay(Op::X25519, fill))
    };
    assert_eq!(fills(Some(3)), [false, false, false, true, true, false]);
    assert_eq!(fills(Some(1000)), [false, false, false, false, true, false], "full batches run in lanes");
    assert_eq!(fills(Some(0)), [false, true, true, true, true, false]);
}

/// Every operation with a secret; of RSA's sizes the largest.
#[cfg(unix)]
fn secret_requests() -> Vec<Request> {
    let mut requests = requests();
    let rsa = key("rsa4096.pkcs8");
    requests.push(Request::RsaSign(rsa::SignRequest::new(&rsa, rsa::Padding::PssSha256, b"m").unwrap()));
    for curve in [NistCurve::P256, NistCurve::P384] {
        let key = ecdsa::EcdsaPrivateKey::new(curve, &vec![5; curve.scalar_len()], None).unwrap();
        requests.push(Request::EcdsaSign(ecdsa::SignRequest::new(&key, b"m")));
    }
    let pair = kx::KeyPair::generate(kx::Group::P384).unwrap();
    requests.push(Request::Agree(kx::AgreeRequest::new(&pair.private, &pair.public).unwrap()));
    for group in [kx::Group::X25519, kx::Group::P256, kx::Group::P384] {
        let peer = kx::KeyPair::generate(group).unwrap().public;
        let exchange = Request::Exchange(kx::PeerKey::new(group, &peer).unwrap());
        requests.extend([Request::Keygen(group), exchange]);
    }
    requests
}

/// The deepest byte that `body` leaves on its stack, as bytes below the stack's base.
#[cfg(unix)]
fn depth_left(body: impl FnOnce() + 'static) -> usize {
    let stack = crate::arch::FiberStack::new(1 << 20).unwrap();
    let mut routine = corosensei::Coroutine::<(), (), (), _>::with_stack(stack, |_, ()| body());
    assert!(routine.resume(()).as_return().is_some());
    let mut stack = routine.into_stack();
    // Far down it looks only now and then.
    (0..32).map(|_| stack.wipe()).max().unwrap()
}

/// What is wiped after an operation is at least as much as it has used.
#[cfg(unix)]
#[test]
fn nothing_is_left_below_what_is_wiped() {
    use crate::arch::{DEEPLY_WIPED, WIPED};
    /// Frames above it, of this test and of the runner, and what wiping itself leaves below.
    const FRAMES: usize = 3072;
    let mut left = Vec::new();
    for request in secret_requests() {
        let (again, name) = (request.clone(), request.op().name());
        let depth = depth_left(move || drop(again.run_scalar().unwrap()));
        left.push((format!("{name} alone"), depth, WIPED));
        for kind in TierKind::DETECTABLE.iter().copied().chain([TierKind::Portable]) {
            with_tier(kind, Tier::of_kind(kind), |tier| {
                let wiped = if kind.lanes() > 4 { DEEPLY_WIPED } else { WIPED };
                for fill in 1..=Runner::new(tier).capacity(request.op()) {
                    let request = request.clone();
                    let depth = depth_left(move || {
                        let mut runner = Runner::new(tier).with_break_even(Some(1));
                        runner.run(&vec![&request; fill], &mut Vec::new());
                    });
                    left.push((format!("{name}, {kind}, fill {fill}"), depth, wiped));
                }
            });
        }
    }
    let seen: Vec<_> = left.iter().filter(|(_, depth, wiped)| depth >= wiped).collect();
    assert_eq!(seen.len(), left.len(), "the control: how far down it was wiped is seen");
    left.retain(|(_, depth, wiped)| *depth > wiped + FRAMES);
    assert!(left.is_empty(), "{left:?}");
}

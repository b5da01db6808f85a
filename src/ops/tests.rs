//! The runner: what it does about a batch that panics, and in which floating-point environment batches run.

use super::lanes::LaneRunner;
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
        _: usize,
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

#[test]
fn a_runner_obeys_the_break_even_fill() {
    let runner = |fill| Runner::new(Tier::portable()).with_break_even(fill);
    assert_eq!(runner(Some(3)).break_even(Op::X25519), 3);
    assert_eq!(runner(Some(1000)).break_even(Op::X25519), runner(None).capacity(Op::X25519));
    assert_eq!(runner(Some(0)).break_even(Op::X25519), 1);
}

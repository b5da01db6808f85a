//! The lanes that compute on one NIST curve: ECDSA and ECDH.

use super::{LaneRunner, of_kind};
use crate::arch::prime::PrimeLanes;
use crate::arith::weierstrass::{Kernel, Lanes};
use crate::error::Error;
use crate::ops::kx::nist as ecdh;
use crate::ops::nist::ServedCurve;
use crate::ops::timings::Fills;
use crate::ops::{Counters, Request, Response, ecdsa};

#[derive(Debug)]
pub(super) struct NistLanes<const N: usize, C: ServedCurve<N>, K: PrimeLanes<C>>(Lanes<N, C, K>);

impl<const N: usize, C: ServedCurve<N>, K: Kernel<C>> NistLanes<N, C, K> {
    pub(super) fn new(kernel: K) -> Self {
        Self(Lanes::new(kernel))
    }
}

/// The lanes during one batch, whose numbers are wiped when it ends, be it by a panic.
struct Batch<'a, const N: usize, C: ServedCurve<N>, K: PrimeLanes<C>>(&'a mut Lanes<N, C, K>);

impl<const N: usize, C: ServedCurve<N>, K: PrimeLanes<C>> Drop for Batch<'_, N, C, K> {
    fn drop(&mut self) {
        self.0.wipe();
    }
}

impl<const N: usize, C: ServedCurve<N>, K: PrimeLanes<C>> LaneRunner for NistLanes<N, C, K> {
    fn verified(&mut self, request: &Request) {
        if let Request::EcdsaVerify(request) = request {
            ecdsa::count(&mut self.0, request);
        }
    }

    fn run(
        &mut self,
        requests: &[&Request],
        _: Fills,
        counters: &mut Counters,
        results: &mut Vec<Result<Response, Error>>,
    ) {
        let batch = &mut Batch(&mut self.0);
        let lanes = &mut *batch.0;
        match requests {
            [] => {}
            [Request::EcdsaSign(_), ..] => {
                let signatures = ecdsa::sign_batch(lanes, &of_kind!(requests, EcdsaSign), counters);
                results.extend(signatures.into_iter().map(|s| s.map(Response::Signature)));
            }
            [Request::EcdsaVerify(_), ..] => {
                let verdicts = ecdsa::verify_batch(lanes, &of_kind!(requests, EcdsaVerify), counters);
                results.extend(verdicts.into_iter().map(|v| v.map(|()| Response::Verified)));
            }
            [Request::Agree(_), ..] => {
                let secrets = ecdh::agree_batch(lanes, &of_kind!(requests, Agree), counters);
                results.extend(secrets.into_iter().map(|s| s.map(Response::SharedSecret)));
            }
            [Request::Keygen(_), ..] => {
                let pairs = ecdh::generate_batch(lanes, requests.len(), counters);
                results.extend(pairs.into_iter().map(|p| p.map(Response::KeyPair)));
            }
            [other, ..] => unreachable!("{:?} has lanes of its own", other.op()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::Tier;
    use crate::arch::prime::P256;
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

    #[test]
    fn a_batch_leaves_no_numbers_even_when_it_panics() {
        let Tier::Portable(kernel) = Tier::portable() else { unreachable!("a portable tier") };
        let mut lanes = Lanes::<4, P256, _>::new(kernel);
        for panics in [false, true] {
            let run = || {
                let batch = Batch(&mut lanes);
                assert!(batch.0.base_multiples(&[[7, 0, 0, 0]]).iter().all(|point| point.is_some()));
                assert!(!batch.0.is_wiped());
                if panics {
                    resume_unwind(Box::new("on purpose"));
                }
            };
            assert_eq!(catch_unwind(AssertUnwindSafe(run)).is_err(), panics);
            assert!(lanes.is_wiped());
        }
    }
}

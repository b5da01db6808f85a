//! The runner of one curve's batches.

use super::ServedCurve;
use crate::arch::prime::PrimeLanes;
use crate::arith::weierstrass;
use crate::error::Error;
use crate::ops::{Counters, LaneRunner, Op, Request, Response, ecdh, ecdsa, of_kind};

/// The kernels of a tier for one curve.
#[derive(Debug)]
pub(in crate::ops) struct Lanes<const N: usize, C: ServedCurve<N>, K: PrimeLanes<C>> {
    kernel: K,
    /// Made when the curve is first used.
    curve: Option<Box<weierstrass::Lanes<N, C, K>>>,
}

impl<const N: usize, C: ServedCurve<N>, K: PrimeLanes<C>> Lanes<N, C, K> {
    pub(in crate::ops) fn new(kernel: K) -> Self {
        Self { kernel, curve: None }
    }

    fn lanes(&mut self) -> &mut weierstrass::Lanes<N, C, K> {
        self.curve.get_or_insert_with(|| Box::new(weierstrass::Lanes::new(self.kernel)))
    }
}

impl<const N: usize, C: ServedCurve<N>, K: PrimeLanes<C>> LaneRunner for Lanes<N, C, K> {
    fn capacity(&self, _: Op) -> usize {
        K::LANES
    }

    fn verified(&mut self, request: &Request) {
        if let Request::EcdsaVerify(request) = request {
            ecdsa::count(|| self.lanes(), request);
        }
    }

    fn run(
        &mut self,
        requests: &[&Request],
        _: usize,
        counters: &mut Counters,
        results: &mut Vec<Result<Response, Error>>,
    ) {
        let lanes = self.lanes();
        match requests {
            [Request::EcdsaSign(_), ..] => {
                let signatures = ecdsa::sign_batch(lanes, &of_kind!(requests, EcdsaSign), counters);
                results.extend(signatures.into_iter().map(|s| s.map(Response::Signature)));
            }
            [Request::EcdsaVerify(_), ..] => {
                let verdicts = ecdsa::verify_batch(lanes, &of_kind!(requests, EcdsaVerify), counters);
                results.extend(verdicts.into_iter().map(|v| v.map(|()| Response::Verified)));
            }
            [Request::Ecdh(_), ..] => {
                let secrets = ecdh::agree_batch(lanes, &of_kind!(requests, Ecdh), counters);
                results.extend(secrets.into_iter().map(|s| s.map(Response::SharedSecret)));
            }
            [Request::EcdhKeygen(_), ..] => {
                let pairs = ecdh::generate_batch(lanes, requests.len(), counters);
                results.extend(pairs.into_iter().map(|p| p.map(Response::EcdhKeyPair)));
            }
            [] => {}
            [other, ..] => unreachable!("{:?} has lanes of its own", other.op()),
        }
        // The numbers of a batch do not stay.
        lanes.wipe();
    }
}

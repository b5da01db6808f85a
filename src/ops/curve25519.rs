//! The operations that the kernels for curve25519 run: X25519 and Ed25519.

use super::{Counters, LaneRunner, Op, Request, Response, ed25519, of_kind, scalar, x25519};
use crate::arith::curve25519::Kernel;
use crate::error::Error;

/// The kernels of a tier.
#[derive(Debug)]
pub(super) struct Lanes<K: Kernel>(K);

impl<K: Kernel> Lanes<K> {
    pub(super) fn new(kernel: K) -> Self {
        Self(kernel)
    }
}

impl<K: Kernel> LaneRunner for Lanes<K> {
    fn capacity(&self, _: Op) -> usize {
        K::LANES
    }

    fn run(
        &mut self,
        requests: &[&Request],
        _: usize,
        counters: &mut Counters,
        results: &mut Vec<Result<Response, Error>>,
    ) {
        let kernel = self.0;
        match requests {
            [] => {}
            [Request::X25519(_), ..] => {
                let secrets = x25519::agree_batch(kernel, &of_kind!(requests, X25519), counters);
                results.extend(secrets.into_iter().map(|s| s.map(Response::SharedSecret)));
            }
            [Request::X25519Keygen, ..] => {
                let pairs = x25519::generate_batch(kernel, &mut scalar::random, requests.len(), counters);
                results.extend(pairs.into_iter().map(|p| p.map(Response::X25519KeyPair)));
            }
            [Request::Ed25519Sign(_), ..] => {
                let signatures = ed25519::sign_batch(kernel, &of_kind!(requests, Ed25519Sign), counters);
                results.extend(signatures.into_iter().map(|s| s.map(Response::Signature)));
            }
            [Request::Ed25519Verify(_), ..] => {
                let verdicts = ed25519::verify_batch(kernel, &of_kind!(requests, Ed25519Verify), counters);
                results.extend(verdicts.into_iter().map(|v| v.map(|()| Response::Verified)));
            }
            [_, ..] => unreachable!("the other operations have lanes of their own"),
        }
    }
}

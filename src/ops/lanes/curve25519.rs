//! The lanes that compute on curve25519: X25519 and Ed25519.

use super::{LaneRunner, of_kind};
use crate::arith::curve25519::{Kernel, make_table};
use crate::error::Error;
use crate::ops::kx::x25519;
use crate::ops::timings::Fills;
use crate::ops::{Counters, Request, Response, ed25519};

#[derive(Debug)]
pub(super) struct Curve25519Lanes<K: Kernel>(K);

impl<K: Kernel> Curve25519Lanes<K> {
    pub(super) fn new(kernel: K) -> Self {
        // No handshake is to wait for it.
        make_table(kernel);
        Self(kernel)
    }
}

impl<K: Kernel> LaneRunner for Curve25519Lanes<K> {
    fn run(
        &mut self,
        requests: &[&Request],
        _: Fills,
        counters: &mut Counters,
        results: &mut Vec<Result<Response, Error>>,
    ) {
        let kernel = self.0;
        match requests {
            [] => {}
            [Request::Agree(_), ..] => {
                let secrets = x25519::agree_batch(kernel, &of_kind!(requests, Agree), counters);
                results.extend(secrets.into_iter().map(|s| s.map(Response::SharedSecret)));
            }
            [Request::Keygen(_), ..] => {
                let pairs = x25519::generate_batch(kernel, requests.len(), counters);
                results.extend(pairs.into_iter().map(|p| p.map(Response::KeyPair)));
            }
            [Request::Ed25519Sign(_), ..] => {
                let signatures = ed25519::sign_batch(kernel, &of_kind!(requests, Ed25519Sign), counters);
                results.extend(signatures.into_iter().map(|s| s.map(Response::Signature)));
            }
            [Request::Ed25519Verify(_), ..] => {
                let verdicts = ed25519::verify_batch(kernel, &of_kind!(requests, Ed25519Verify), counters);
                results.extend(verdicts.into_iter().map(|v| v.map(|()| Response::Verified)));
            }
            [other, ..] => unreachable!("{:?} has lanes of its own", other.op()),
        }
    }
}

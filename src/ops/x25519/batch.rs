//! A batch of agreements in lanes.

use super::AgreeRequest;
use crate::arch::field25519::Field25519Lanes;
use crate::arith::curve25519::{Job, Ladder};
use crate::error::Error;
use crate::ops::{Counters, LaneRunner, Op, Request, Response, SharedSecret};
use subtle::ConstantTimeEq;

/// The kernels of a tier for X25519.
#[derive(Debug)]
pub(in crate::ops) struct Lanes<K: Field25519Lanes>(K);

impl<K: Field25519Lanes> Lanes<K> {
    pub(in crate::ops) fn new(kernel: K) -> Self {
        Self(kernel)
    }
}

impl<K: Field25519Lanes> LaneRunner for Lanes<K> {
    fn capacity(&self, op: Op) -> usize {
        match op {
            Op::X25519 => K::LANES,
            _ => 1,
        }
    }

    fn run(
        &mut self,
        requests: &[&Request],
        counters: &mut Counters,
        results: &mut Vec<Result<Response, Error>>,
    ) {
        let requests = requests.iter().map(|r| match r {
            Request::X25519(r) => r,
            _ => unreachable!("a batch has requests of one operation"),
        });
        let requests: Vec<_> = requests.collect();
        counters.in_lanes += requests.len() as u64;
        results.extend(agree(self.0, &requests).into_iter().map(|s| s.map(Response::SharedSecret)));
    }
}

/// RFC 7748 §6.1 for each request, at most as many as there are lanes.
fn agree<K: Field25519Lanes>(kernel: K, requests: &[&AgreeRequest]) -> Vec<Result<SharedSecret, Error>> {
    let jobs: Vec<_> = requests.iter().map(|r| Job { scalar: r.key.expose(), u: &r.peer }).collect();
    // The numbers are wiped with the ladder.
    let mut ladder = Ladder::new(kernel);
    let secrets = ladder.run(&jobs);
    secrets
        .map(|secret| match bool::from(secret.ct_eq(&[0; 32])) {
            // That a peer's point has a small order is no secret.
            true => Err(Error::PeerKey),
            false => Ok(SharedSecret::copied_from(&*secret)),
        })
        .collect()
}

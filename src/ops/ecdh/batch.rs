//! Batches of key shares and agreements in lanes.
//!
//! A lane whose result is not a point of the curve met a fault (or a scalar that chance does not bring about): it is done
//! again through aws-lc-rs, and counted.

use super::{AgreeRequest, KeyPair};
use crate::arch::prime::PrimeLanes;
use crate::arith::weierstrass::Lanes;
use crate::error::Error;
use crate::ops::nist::{ServedCurve, narrow};
use crate::ops::{Counters, SharedSecret};
use zeroize::Zeroizing;

/// The x-coordinate of d·Q (SEC 1 §3.3.1) for each request, at most as many as there are lanes.
pub(in crate::ops) fn agree_batch<const N: usize, C: ServedCurve<N>, K: PrimeLanes<C>>(
    lanes: &mut Lanes<N, C, K>,
    requests: &[&AgreeRequest],
    counters: &mut Counters,
) -> Vec<Result<SharedSecret, Error>> {
    let scalars = requests.iter().map(|r| narrow(r.key.expose()));
    let scalars = Zeroizing::new(scalars.collect::<Vec<[u64; N]>>());
    let points: Vec<_> = requests.iter().map(|r| r.point.affine()).collect();
    let multiples = lanes.multiples_x(&scalars, &points);
    let results = requests.iter().zip(multiples.iter()).map(|(request, point)| match point {
        Some(point) => {
            counters.in_lanes += 1;
            Ok(SharedSecret::copied_from(&C::NAME.bytes(&point.x)))
        }
        None => {
            counters.redone += 1;
            request.run_scalar()
        }
    });
    results.collect()
}

/// `count` fresh key pairs, at most as many as there are lanes.
pub(in crate::ops) fn generate_batch<const N: usize, C: ServedCurve<N>, K: PrimeLanes<C>>(
    lanes: &mut Lanes<N, C, K>,
    count: usize,
    counters: &mut Counters,
) -> Vec<Result<KeyPair, Error>> {
    // Of the final size at once, and its elements stay in it: what it held is wiped when it is dropped.
    let mut scalars = Vec::with_capacity(count);
    for _ in 0..count {
        match C::NAME.random_scalar() {
            Ok(scalar) => scalars.push(scalar),
            Err(e) => return vec![Err(e); count],
        }
    }
    let narrowed = Zeroizing::new(scalars.iter().map(|d| narrow(d)).collect::<Vec<[u64; N]>>());
    let multiples = lanes.base_multiples(&narrowed);
    let results = scalars.iter().zip(multiples.iter()).map(|(d, point)| match point {
        Some(point) => {
            counters.in_lanes += 1;
            let public = C::NAME.encode(&point.x, &point.y);
            Ok(KeyPair::from_parts(C::NAME, d.clone(), public))
        }
        None => {
            counters.redone += 1;
            KeyPair::generate(C::NAME)
        }
    });
    results.collect()
}

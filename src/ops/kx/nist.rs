//! Batches of ECDH key shares and agreements over one NIST curve in lanes.
//!
//! A lane whose result is not a point of the curve met a fault (or a scalar that chance does not bring
//! about): it is recomputed by aws-lc-rs, and counted.

use super::{AgreeRequest, KeyPair, PrivateKey};
use crate::arch::prime::PrimeLanes;
use crate::arith::limbs;
use crate::arith::weierstrass::Lanes;
use crate::error::Error;
use crate::ops::nist::{ServedCurve, narrow};
use crate::ops::{Counters, NistCurve, SharedSecret};
use zeroize::Zeroizing;

/// The x-coordinate of d·Q (SEC 1 §3.3.1) for each request, at most as many as there are lanes.
pub(in crate::ops) fn agree_batch<const N: usize, C: ServedCurve<N>, K: PrimeLanes<C>>(
    lanes: &mut Lanes<N, C, K>,
    requests: &[&AgreeRequest],
    counters: &mut Counters,
) -> Vec<Result<SharedSecret, Error>> {
    let mut scalars = Zeroizing::new(vec![[0; N]; requests.len()]);
    for (scalar, request) in scalars.iter_mut().zip(requests) {
        limbs::from_be_bytes(scalar, request.key.expose());
    }
    let points = requests.iter().map(|r| r.peer.point.as_ref().expect("a point of the curve").affine());
    let multiples = lanes.multiples_x(&scalars, &points.collect::<Vec<_>>());
    let results = requests.iter().zip(multiples.iter()).map(|(request, point)| match point {
        Some(point) => {
            counters.in_lanes += 1;
            Ok(shared_secret(C::NAME, &point.x))
        }
        None => {
            counters.redone += 1;
            request.run_scalar()
        }
    });
    results.collect()
}

/// In a frame of its own, so that no limb is in a register or on the stack of the caller, who builds a
/// `Result`: the compiler copies that to the heap with what happens to be in its padding.
#[inline(never)]
fn shared_secret(curve: NistCurve, x: &[u64]) -> SharedSecret {
    SharedSecret::copied_from(&curve.bytes(x))
}

/// `count` fresh key pairs, at most as many as there are lanes.
pub(in crate::ops) fn generate_batch<const N: usize, C: ServedCurve<N>, K: PrimeLanes<C>>(
    lanes: &mut Lanes<N, C, K>,
    count: usize,
    counters: &mut Counters,
) -> Vec<Result<KeyPair, Error>> {
    let mut scalars = Zeroizing::new(vec![[0; N]; count]);
    for scalar in scalars.iter_mut() {
        match C::NAME.random_scalar() {
            Ok(random) => *scalar = narrow(&random),
            Err(e) => return vec![Err(e); count],
        }
    }
    let multiples = lanes.base_multiples(&scalars);
    let group = C::NAME.into();
    let results = scalars.iter().zip(multiples.iter()).map(|(d, point)| match point {
        Some(point) => {
            counters.in_lanes += 1;
            let private = PrivateKey::new(group, &C::NAME.bytes(d));
            Ok(KeyPair { private, public: C::NAME.encode(&point.x, &point.y) })
        }
        None => {
            counters.redone += 1;
            KeyPair::generate(group)
        }
    });
    results.collect()
}

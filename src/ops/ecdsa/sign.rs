//! A batch of ECDSA signatures: nonces, one multiplication of the base point in each lane, the rest one by
//! one.

use super::SignRequest;
use super::encode::encode;
use super::nonce::nonce;
use crate::arch::disclose_number;
use crate::arch::prime::PrimeLanes;
use crate::arith::limbs::is_zero;
use crate::arith::weierstrass::Lanes;
use crate::error::Error;
use crate::ops::Counters;
use crate::ops::nist::{Scalar, ServedCurve, narrow, widen};
use crate::ops::scalar;
use zeroize::Zeroizing;

/// Fresh randomness in each nonce, in bytes.
const ADDITIONAL: usize = 32;

/// Signs `requests`, at most as many as there are lanes, all of one curve, with a result for each.
///
/// A signature whose point is not on the curve is not released: that request is recomputed by aws-lc-rs,
/// and counted. This finds faults in the lanes; a whole verification would cost three signatures. Faults
/// elsewhere do not give the same nonce twice, which is what would reveal the key.
pub(in crate::ops) fn sign_batch<const N: usize, C: ServedCurve<N>, K: PrimeLanes<C>>(
    lanes: &mut Lanes<N, C, K>,
    requests: &[&SignRequest],
    counters: &mut Counters,
) -> Vec<Result<Vec<u8>, Error>> {
    let mut additional = Zeroizing::new(vec![0; ADDITIONAL * requests.len()]);
    if let Err(e) = scalar::random(&mut additional) {
        return requests.iter().map(|_| Err(e.clone())).collect();
    }
    let additional: Vec<_> = additional.chunks_exact(ADDITIONAL).collect();
    sign_with(lanes, requests, &additional, counters)
}

/// The same with the caller's additional input to the nonces.
pub(super) fn sign_with<const N: usize, C: ServedCurve<N>, K: PrimeLanes<C>>(
    lanes: &mut Lanes<N, C, K>,
    requests: &[&SignRequest],
    additional: &[&[u8]],
    counters: &mut Counters,
) -> Vec<Result<Vec<u8>, Error>> {
    let nonces = requests.iter().zip(additional).map(|(request, additional)| {
        let z = C::NAME.hash_to_scalar(request.m_hash());
        nonce(C::NAME, request.key.expose(), &z, additional)
    });
    let nonces: Vec<_> = nonces.collect();
    sign_with_nonces(lanes, requests, &nonces, counters)
}

/// The same with the caller's nonces, each of which must serve this once.
pub(super) fn sign_with_nonces<const N: usize, C: ServedCurve<N>, K: PrimeLanes<C>>(
    lanes: &mut Lanes<N, C, K>,
    requests: &[&SignRequest],
    nonces: &[Result<Scalar, Error>],
    counters: &mut Counters,
) -> Vec<Result<Vec<u8>, Error>> {
    // Where a nonce could not be made, the lanes compute something with one, and the request fails.
    let numbers = nonces.iter().map(|k| k.as_ref().map_or_else(|_| one(), |k| narrow(k)));
    let numbers = Zeroizing::new(numbers.collect::<Vec<[u64; N]>>());
    let multiples = lanes.base_multiples_x(&numbers);
    let order = C::ORDER;
    let mut inverses = Zeroizing::new(numbers.iter().map(|k| order.enter(k)).collect::<Vec<_>>());
    order.invert_all(&mut inverses);
    let lanes = requests.iter().zip(multiples.iter()).zip(inverses.iter()).zip(nonces);
    let signatures = lanes.map(|(((request, point), inverse), nonce)| {
        nonce.as_ref().map_err(Clone::clone)?;
        match point.and_then(|point| finish::<N, C>(request, &point.x, inverse)) {
            Some(signature) => {
                counters.in_lanes += 1;
                Ok(signature)
            }
            None => {
                counters.redone += 1;
                request.run_scalar()
            }
        }
    });
    signatures.collect()
}

fn one<const N: usize>() -> [u64; N] {
    std::array::from_fn(|i| u64::from(i == 0))
}

/// FIPS 186-5 §6.4.1, steps 6 to 10: r = x mod n, s = k⁻¹·(z + r·d) mod n. `inverse` is k⁻¹ in Montgomery
/// form. `None` if one of them is zero.
fn finish<const N: usize, C: ServedCurve<N>>(
    request: &SignRequest,
    x: &[u64; N],
    inverse: &[u64; N],
) -> Option<Vec<u8>> {
    let order = C::ORDER;
    let z = narrow(&C::NAME.hash_to_scalar(request.m_hash()));
    let d = Zeroizing::new(narrow::<N>(request.key.expose()));
    let r = disclose_number(order.reduced(x));
    let rd = Zeroizing::new(order.mul(&order.enter(&r), &d));
    let sum = Zeroizing::new(order.add(&z, &rd));
    let s = disclose_number(order.mul(inverse, &sum));
    let zero = is_zero(&r) | is_zero(&s);
    (!bool::from(zero)).then(|| encode(C::NAME, &[widen(&r), widen(&s)]))
}

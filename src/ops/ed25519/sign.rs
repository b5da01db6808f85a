//! A batch of Ed25519 signatures (RFC 8032 §5.1.6).

use super::{SIGNATURE_LEN, SignRequest};
use crate::arch::{Secret, disclose};
use crate::arith::curve25519::{BaseMultiplier, Kernel, order};
use crate::error::Error;
use crate::ops::{Counters, scalar};
use subtle::Choice;
use zeroize::Zeroizing;

/// Signs the messages of `requests`, at most as many as there are lanes, with a result for each.
///
/// A nonce's point that is not on the curve was miscomputed; its signature would give the private key away to
/// whoever has the right one of the same message, and so it is not made: the request is recomputed by
/// aws-lc-rs, and counted. That catches what goes wrong in the arithmetic, in the tables' contents and in the
/// inversion, wherever it does not happen to hit another point of the curve: that is, unless it replaced
/// whole table entries by others. It does not catch a wrong nonce or a wrong choice of entries; only a second
/// computation would.
pub(in crate::ops) fn sign_batch<K: Kernel>(
    kernel: K,
    requests: &[&SignRequest],
    counters: &mut Counters,
) -> Vec<Result<Vec<u8>, Error>> {
    let mut nonces = Secret::zeroed(requests.len());
    for (nonce, request) in nonces.expose_mut().iter_mut().zip(requests) {
        *nonce = *nonce_of(request);
    }
    // Step 3: R = r·B. The numbers are wiped with the multiplier.
    let mut multiplier = BaseMultiplier::new(kernel);
    let points = multiplier.points(nonces.expose());
    let finished = requests.iter().zip(nonces.expose()).zip(points);
    finished.map(|((request, nonce), point)| release(request, nonce, point, counters)).collect()
}

/// Steps 1 and 2: r = SHA-512(prefix ‖ M), modulo the group order.
fn nonce_of(request: &SignRequest) -> Zeroizing<order::Scalar> {
    let mut hash = Zeroizing::new([0; 64]);
    scalar::sha512(&[&*request.key.expose().prefix, &request.message], &mut hash);
    order::reduce_hash(&hash)
}

/// Steps 4 to 6, if R is on the curve.
fn release(
    request: &SignRequest,
    nonce: &order::Scalar,
    (r, on_curve): ([u8; 32], Choice),
    counters: &mut Counters,
) -> Result<Vec<u8>, Error> {
    if !disclose(on_curve) {
        counters.redone += 1;
        return request.run_scalar().map_err(|_| Error::FaultDetected);
    }
    counters.in_lanes += 1;
    // Step 4: k = SHA-512(R ‖ A ‖ M); step 5: S = r + k·s.
    let mut hash = [0; 64];
    scalar::sha512(&[&r, request.key.public_key(), &request.message], &mut hash);
    let k = order::reduce_hash(&hash);
    let s = order::multiply_add(&request.key.expose().a, &k, nonce);
    let mut signature = Vec::with_capacity(SIGNATURE_LEN);
    signature.extend_from_slice(&r);
    signature.extend_from_slice(&order::to_bytes(&s));
    Ok(signature)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::ed25519::PrivateKey;

    #[test]
    fn what_is_off_the_curve_is_not_used() {
        let request = SignRequest::new(&PrivateKey::from_bytes(&[3; 32]).unwrap(), b"message");
        let mut counters = Counters::default();
        let point = ([0x55; 32], Choice::from(0));
        let signature = release(&request, &nonce_of(&request), point, &mut counters).unwrap();
        assert_eq!(counters, Counters { redone: 1, ..Counters::default() });
        assert_eq!(signature, request.run_scalar().unwrap());
    }
}

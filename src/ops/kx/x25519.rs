//! Batches of X25519 key shares and agreements in lanes.

use super::{AgreeRequest, Group, KeyPair, PrivateKey};
use crate::arch::field25519::Field25519Lanes;
use crate::arch::{Secret, disclose};
use crate::arith::curve25519::{BaseMultiplier, Job, Kernel, Ladder, clamp, order};
use crate::error::Error;
use crate::ops::{Counters, SharedSecret, scalar};
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

/// Bytes of a private key, a public key and a shared secret.
const LEN: usize = 32;

/// RFC 7748 §6.1 for each request, at most as many as there are lanes.
pub(in crate::ops) fn agree_batch<K: Field25519Lanes>(
    kernel: K,
    requests: &[&AgreeRequest],
    counters: &mut Counters,
) -> Vec<Result<SharedSecret, Error>> {
    counters.in_lanes += requests.len() as u64;
    let jobs = requests.iter().map(|r| Job { scalar: array(r.key.expose()), u: array(&r.peer.bytes) });
    let jobs: Vec<_> = jobs.collect();
    // The numbers are wiped with the ladder.
    let mut ladder = Ladder::new(kernel);
    let secrets = ladder.run(&jobs);
    secrets
        .map(|secret| match disclose(secret.ct_eq(&[0; LEN])) {
            // That a peer's point has a small order is no secret.
            true => Err(Error::PeerKey),
            false => Ok(SharedSecret::copied_from(&*secret)),
        })
        .collect()
}

fn array(bytes: &[u8]) -> &[u8; LEN] {
    bytes.try_into().expect("keys of X25519 have 32 bytes")
}

/// `count` fresh key pairs, at most as many as there are lanes.
///
/// The public key X25519(a, 9) (RFC 7748 §6.1) is computed on edwards25519, the same curve, where multiples
/// of a fixed point need no doublings.
pub(in crate::ops) fn generate_batch<K: Kernel>(
    kernel: K,
    count: usize,
    counters: &mut Counters,
) -> Vec<Result<KeyPair, Error>> {
    let mut bytes = Secret::zeroed(LEN * count);
    if let Err(e) = scalar::random(bytes.expose_mut()) {
        return vec![Err(e); count];
    }
    let (keys, _) = bytes.expose().as_chunks::<LEN>();
    let mut scalars = Secret::zeroed(count);
    for (scalar, key) in scalars.expose_mut().iter_mut().zip(keys) {
        let mut clamped = Zeroizing::new(*key);
        clamp(&mut clamped);
        *scalar = order::from_bytes(&clamped);
    }
    // The numbers are wiped with the multiplier.
    let mut multiplier = BaseMultiplier::new(kernel);
    let shares = multiplier.key_shares(scalars.expose());
    keys.iter().zip(shares).map(|(key, share)| release(key, share, counters)).collect()
}

/// The pair, if its share was computed on the curve: else there was a fault, and another pair comes from
/// aws-lc-rs.
fn release(
    key: &[u8; LEN],
    (public, on_curve): ([u8; LEN], Choice),
    counters: &mut Counters,
) -> Result<KeyPair, Error> {
    if disclose(on_curve) {
        counters.in_lanes += 1;
        return Ok(KeyPair { private: PrivateKey::new(Group::X25519, key), public: public.to_vec() });
    }
    counters.redone += 1;
    KeyPair::generate(Group::X25519)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_off_the_curve_is_not_used() {
        let (mut counters, key, share) = (Counters::default(), [7; LEN], [0x55; LEN]);
        let pair = release(&key, (share, Choice::from(0)), &mut counters).unwrap();
        assert_eq!(counters, Counters { redone: 1, ..Counters::default() });
        assert!(pair.public != share && pair.private != PrivateKey::new(Group::X25519, &key));
        assert_eq!(pair.private.public_key(), Ok(pair.public));
        let pair = release(&key, (share, Choice::from(1)), &mut counters).unwrap();
        assert_eq!((&pair.public[..], counters.in_lanes), (&share[..], 1));
    }
}

//! Curve25519 in lanes: scalar multiplication for X25519 (RFC 7748), and edwards25519, the same curve in
//! another form, for key shares and Ed25519 (RFC 8032).

#[cfg(all(test, lanes, target_os = "linux"))]
mod counts;
mod edwards;
mod invert;
mod ladder;
pub(crate) mod order;
#[cfg(test)]
mod tests;

pub(crate) use edwards::{BaseMultiplier, Combination, Combiner, Kernel, Undecodable, make_table};
pub(crate) use ladder::{Job, Ladder};

use crate::arith::limbs::ct_lt;

/// p = 2^255 − 19, in little-endian limbs.
const P: [u64; 4] = [u64::MAX - 18, u64::MAX, u64::MAX, u64::MAX >> 1];

/// A scalar as the curve uses it (RFC 7748 §5, `decodeScalar25519`): a multiple of the cofactor 8, of exactly
/// 255 bits.
pub(crate) fn clamp(scalar: &mut [u8; 32]) {
    scalar[0] &= 248;
    scalar[31] = scalar[31] & 127 | 64;
}

/// The limbs of a u-coordinate (RFC 7748 §5, `decodeUCoordinate`): the unused top bit is ignored, and values
/// from p on are accepted.
fn decode_u(bytes: &[u8; 32]) -> [u64; 4] {
    let (words, _) = bytes.as_chunks::<8>();
    let mut limbs = std::array::from_fn(|i| u64::from_le_bytes(words[i]));
    limbs[3] &= u64::MAX >> 1;
    limbs
}

/// Whether limbs below 2^255 are those of p or above.
fn is_from_p_on(limbs: &[u64; 4]) -> bool {
    !bool::from(ct_lt(limbs, &P))
}

/// The bytes of a canonical element.
fn encode(limbs: &[u64; 4]) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (bytes, limb) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(limbs) {
        *bytes = limb.to_le_bytes();
    }
    bytes
}

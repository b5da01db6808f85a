//! Between plain limbs and a lane's digits.

use super::limbs::{self, MAX_LIMBS};
use crate::arch::lanes::{MontLanes, Shape};
use zeroize::Zeroizing;

/// Writes `x` into one lane as reduced digits: the number itself for unsigned digits; for balanced ones a
/// number congruent to it modulo R, in [−R/2, R/2).
///
/// The instruction trace depends on the lengths alone.
pub(crate) fn to_lane<K: MontLanes>(out: &mut [K::Vec], lane: usize, x: &[u64], shape: Shape) {
    let radix = shape.radix_bits;
    let mut carry = 0;
    for (i, v) in out[..shape.digits].iter_mut().enumerate() {
        let mut digit = bits_at(x, i * radix as usize, radix) as i64 + carry;
        if K::BALANCED {
            // 1 from half the radix on, without a branch.
            carry = (digit + (1 << (radix - 1))) >> radix;
            digit -= carry << radix;
        }
        K::set(v, lane, digit);
    }
}

/// Bits `start..start + count` of `x`, zero beyond its end; `count` < 64.
pub(crate) fn bits_at(x: &[u64], start: usize, count: u32) -> u64 {
    let (limb, shift) = (start / 64, start % 64);
    let low = x.get(limb).copied().unwrap_or(0);
    let high = x.get(limb + 1).copied().unwrap_or(0);
    let both = (u128::from(high) << 64) | u128::from(low);
    (both >> shift) as u64 & ((1 << count) - 1)
}

/// Reads one lane as a number below `n`, for a lane that holds a representative v with |v| < 2n (balanced) or
/// 0 ≤ v < 2n (unsigned); `out` and `n` have one length.
///
/// The instruction trace depends on the lengths alone.
pub(crate) fn from_lane<K: MontLanes>(out: &mut [u64], x: &[K::Vec], lane: usize, n: &[u64], shape: Shape) {
    let k = n.len();
    let mut wide = Zeroizing::new([0; MAX_LIMBS + 1]);
    let wide = &mut wide[..=k];
    gather_twos_complement::<K>(wide, x, lane, shape.radix_bits);
    let mut modulus = [0; MAX_LIMBS + 1];
    modulus[..k].copy_from_slice(n);
    let n = &modulus[..=k];
    // Balanced: −2n < v < 2n, so v + 2n is positive and below 4n.
    let (lift, reductions) = if K::BALANCED { (2, 3) } else { (0, 1) };
    for _ in 0..lift {
        limbs::add_assign(wide, n);
    }
    for _ in 0..reductions {
        let small = limbs::ct_lt(wide, n);
        limbs::sub_assign_if(!small, wide, n);
    }
    out.copy_from_slice(&wide[..k]);
}

/// Σ dᵢ·2^(radix·i) modulo 2^(64·len): signed digits, or digits that are not quite reduced, carry as they go.
fn gather_twos_complement<K: MontLanes>(out: &mut [u64], x: &[K::Vec], lane: usize, radix: u32) {
    let (mut pending, mut pending_bits, mut carry) = (0u128, 0, 0i64);
    let mut digits = x.iter();
    for limb in out {
        while pending_bits < 64 {
            // Past the last digit the carry is the sign, 0 or −1, and repeats for ever.
            let digit = digits.next().map_or(0, |v| K::get(v, lane)) + carry;
            carry = digit >> radix;
            pending |= ((digit & ((1 << radix) - 1)) as u128) << pending_bits;
            pending_bits += radix;
        }
        *limb = pending as u64;
        pending >>= 64;
        pending_bits -= 64;
    }
}

//! One lane's number between limbs and signed digits. Constant-time.

use super::{Field, RADIX};
use crate::arch::value_barrier;

/// Limbs of the largest field, and one more.
const LIMBS: usize = 7;

/// Bits 48·i to 48·i + 47 of a number.
const fn bits(limbs: &[u64], i: usize) -> i64 {
    let (limb, shift) = (RADIX as usize * i / 64, RADIX as usize * i % 64);
    let low = if limb < limbs.len() { limbs[limb] } else { 0 };
    let high = if limb + 1 < limbs.len() { limbs[limb + 1] } else { 0 };
    ((low as u128 | (high as u128) << 64) >> shift) as i64 & ((1 << RADIX) - 1)
}

/// Digits of a number below p, or of that number less p: reduced, and the number closer to zero than
/// 2^(64·limbs of p)/2 and a little.
pub(super) fn balanced<F: Field, const D: usize>(limbs: &[u64]) -> [i64; D] {
    let mut carry = 0;
    let mut digits = std::array::from_fn(|i| {
        let digit = bits(limbs, i) + carry;
        let width = if i + 1 < D { RADIX } else { F::TOP_BITS };
        carry = (digit + (1 << (width - 1))) >> width;
        digit - (carry << width)
    });
    for (i, factor) in F::FOLD {
        digits[*i] += carry * factor;
    }
    digits
}

/// 2^`LIFT_BITS`·p, in digits that are larger than any reduced one: each has borrowed one from the next.
pub(super) const fn lift<F: Field, const D: usize>() -> [i64; D] {
    let mut digits = [0; D];
    let multiple = shifted(F::P, F::LIFT_BITS);
    let mut i = 0;
    while i < D {
        let lent = if i > 0 { 1 } else { 0 };
        // The last digit takes all that is left.
        let borrowed = if i + 1 < D { 1 } else { bits(&multiple, D) };
        digits[i] = bits(&multiple, i) - lent + (borrowed << RADIX);
        i += 1;
    }
    digits
}

/// p · 2^shift.
const fn shifted(p: &[u64], shift: u32) -> [u64; LIMBS] {
    let mut out = [0; LIMBS];
    let mut i = 0;
    while i < p.len() {
        out[i] |= p[i] << shift;
        out[i + 1] |= ((p[i] as u128) << shift >> 64) as u64;
        i += 1;
    }
    out
}

/// x ← x − y, unless that is negative.
fn subtract_unless_negative(x: &mut [u64; LIMBS], y: &[u64; LIMBS]) {
    let mut borrow = 0;
    let difference: [u64; LIMBS] = std::array::from_fn(|i| {
        let wide = u128::from(x[i]).wrapping_sub(u128::from(y[i])).wrapping_sub(borrow);
        borrow = wide >> 127;
        wide as u64
    });
    let negative = value_barrier((borrow as u64).wrapping_neg());
    for (x, difference) in x.iter_mut().zip(difference) {
        *x = (*x & negative) | (difference & !negative);
    }
}

/// The number below p that reduced digits stand for.
pub(super) fn canonical<F: Field, const D: usize>(out: &mut [u64], digits: [i64; D]) {
    let mut wide = [0u64; LIMBS];
    let (mut pending, mut pending_bits, mut limb) = (0u128, 0, 0);
    for (digit, lift) in digits.iter().zip(const { lift::<F, D>() }) {
        // Digits overlap: what `pending` holds beyond its bits is a carry.
        pending += ((digit + lift) as u128) << pending_bits;
        pending_bits += RADIX;
        if pending_bits >= 64 {
            wide[limb] = pending as u64;
            (pending, pending_bits, limb) = (pending >> 64, pending_bits - 64, limb + 1);
        }
    }
    wide[limb] = pending as u64;
    // Lifted, the number is below 2^(LIFT_BITS + 1)·p.
    for shift in (0..=F::LIFT_BITS).rev() {
        subtract_unless_negative(&mut wide, &shifted(F::P, shift));
    }
    out.copy_from_slice(&wide[..F::P.len()]);
}

//! Natural numbers as little-endian slices of 64-bit limbs.
//!
//! Slices that one operation combines have the lengths that its documentation says; other lengths are a
//! programming error and panic. The instruction trace depends on the lengths only, never on the limbs, unless
//! a name ends in `_vartime`. The functions keep no secret on the stack beyond single words.

use crate::arch::value_barrier;
use subtle::{Choice, ConstantTimeEq};

/// The largest operand of functions that keep whole numbers on the stack: 64 limbs, 4096 bits.
pub(crate) const MAX_LIMBS: usize = 64;

/// `a + b + carry` as sum and carry; `carry` is 0 or 1.
#[inline(always)]
pub(crate) fn adc(a: u64, b: u64, carry: u64) -> (u64, u64) {
    let t = u128::from(a) + u128::from(b) + u128::from(carry);
    (t as u64, (t >> 64) as u64)
}

/// `a - b - borrow` as difference and borrow; `borrow` is 0 or 1.
#[inline(always)]
pub(crate) fn sbb(a: u64, b: u64, borrow: u64) -> (u64, u64) {
    let t = u128::from(a).wrapping_sub(u128::from(b) + u128::from(borrow));
    (t as u64, (t >> 64) as u64 & 1)
}

/// All ones if `bit` is 1, zero if it is 0, in a form that the optimizer does not turn into a branch.
#[inline(always)]
pub(crate) fn mask(bit: u64) -> u64 {
    debug_assert!(bit <= 1);
    value_barrier(bit.wrapping_neg())
}

/// [`mask`] of a [`Choice`].
#[inline(always)]
fn choice_mask(choice: Choice) -> u64 {
    mask(u64::from(choice.unwrap_u8()))
}

/// The [`Choice`] that is true if `bit` is 1.
#[inline(always)]
fn choice(bit: u64) -> Choice {
    Choice::from(bit as u8)
}

/// `out = a - b`; returns the borrow, 0 or 1. All three have one length.
pub(crate) fn sub(out: &mut [u64], a: &[u64], b: &[u64]) -> u64 {
    assert!(out.len() == a.len() && a.len() == b.len());
    let mut borrow = 0;
    for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
        (*out, borrow) = sbb(*a, *b, borrow);
    }
    borrow
}

/// `a += b`; returns the carry, 0 or 1. Both have one length.
pub(crate) fn add_assign(a: &mut [u64], b: &[u64]) -> u64 {
    add_masked(a, b, u64::MAX)
}

/// `a += limb`; returns the carry, 0 or 1.
pub(crate) fn add_limb_assign(a: &mut [u64], limb: u64) -> u64 {
    a.iter_mut().fold(limb, |carry, a| {
        let (sum, carry) = adc(*a, carry, 0);
        *a = sum;
        carry
    })
}

/// `a -= b`; returns the borrow, 0 or 1. Both have one length.
pub(crate) fn sub_assign(a: &mut [u64], b: &[u64]) -> u64 {
    sub_masked(a, b, u64::MAX)
}

/// `a += b` if `condition`, else `a` stays and the carry is 0. Both have one length.
pub(crate) fn add_assign_if(condition: Choice, a: &mut [u64], b: &[u64]) -> u64 {
    add_masked(a, b, choice_mask(condition))
}

/// `a -= b` if `condition`, else `a` stays and the borrow is 0. Both have one length.
pub(crate) fn sub_assign_if(condition: Choice, a: &mut [u64], b: &[u64]) -> u64 {
    sub_masked(a, b, choice_mask(condition))
}

fn add_masked(a: &mut [u64], b: &[u64], mask: u64) -> u64 {
    assert_eq!(a.len(), b.len());
    let mut carry = 0;
    for (a, b) in a.iter_mut().zip(b) {
        (*a, carry) = adc(*a, *b & mask, carry);
    }
    carry
}

fn sub_masked(a: &mut [u64], b: &[u64], mask: u64) -> u64 {
    assert_eq!(a.len(), b.len());
    let mut borrow = 0;
    for (a, b) in a.iter_mut().zip(b) {
        (*a, borrow) = sbb(*a, *b & mask, borrow);
    }
    borrow
}

/// Whether `a = b`. Both have one length.
pub(crate) fn ct_eq(a: &[u64], b: &[u64]) -> Choice {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).fold(0, |acc, (a, b)| acc | (a ^ b)).ct_eq(&0)
}

/// Whether `a < b`. Both have one length.
pub(crate) fn ct_lt(a: &[u64], b: &[u64]) -> Choice {
    assert_eq!(a.len(), b.len());
    choice(a.iter().zip(b).fold(0, |borrow, (a, b)| sbb(*a, *b, borrow).1))
}

/// Whether `a = 0`.
pub(crate) fn is_zero(a: &[u64]) -> Choice {
    a.iter().fold(0, |acc, a| acc | a).ct_eq(&0)
}

/// The number of bits of `a` without its leading zeros; 0 for 0.
pub(crate) fn bit_len_vartime(a: &[u64]) -> usize {
    let top = a.iter().rposition(|limb| *limb != 0);
    top.map_or(0, |i| 64 * (i + 1) - a[i].leading_zeros() as usize)
}

/// `a = 2·a + bit`; returns the bit shifted out. `bit` is 0 or 1.
pub(crate) fn shl1_assign(a: &mut [u64], bit: u64) -> u64 {
    a.iter_mut().fold(bit, |carry, limb| {
        let out = *limb >> 63;
        *limb = (*limb << 1) | carry;
        out
    })
}

/// `acc += a·factor`; returns the limb that leaves `acc`. Both slices have one length.
#[inline(always)]
pub(crate) fn mul_add_limb(acc: &mut [u64], a: &[u64], factor: u64) -> u64 {
    assert_eq!(acc.len(), a.len());
    let mut carry = 0;
    for (acc, a) in acc.iter_mut().zip(a) {
        let t = u128::from(*a) * u128::from(factor) + u128::from(*acc) + u128::from(carry);
        *acc = t as u64;
        carry = (t >> 64) as u64;
    }
    carry
}

/// `acc -= a·factor`; returns the limb that `acc` lacks. Both slices have one length.
#[inline(always)]
pub(crate) fn mul_sub_limb(acc: &mut [u64], a: &[u64], factor: u64) -> u64 {
    assert_eq!(acc.len(), a.len());
    let (mut carry, mut borrow) = (0, 0);
    for (acc, a) in acc.iter_mut().zip(a) {
        let t = u128::from(*a) * u128::from(factor) + u128::from(carry);
        (*acc, borrow) = sbb(*acc, t as u64, borrow);
        carry = (t >> 64) as u64;
    }
    // a·factor < 2^(64·len)·(2^64 − 1), so this does not overflow.
    carry + borrow
}

/// `out = a·b`, schoolbook; `out` is as long as `a` and `b` together.
pub(crate) fn mul(out: &mut [u64], a: &[u64], b: &[u64]) {
    assert_eq!(out.len(), a.len() + b.len());
    out.fill(0);
    for (i, b) in b.iter().enumerate() {
        out[i + a.len()] = mul_add_limb(&mut out[i..i + a.len()], a, *b);
    }
}

/// `out = a·a`; `out` is twice as long as `a`.
///
/// Each product of two different limbs is made once and doubled: little more than half the work of [`mul`].
pub(crate) fn square(out: &mut [u64], a: &[u64]) {
    assert_eq!(out.len(), 2 * a.len());
    out.fill(0);
    for (i, factor) in a.iter().enumerate() {
        out[i + a.len()] = mul_add_limb(&mut out[2 * i + 1..i + a.len()], &a[i + 1..], *factor);
    }
    let (mut doubled, mut carry) = (0, 0);
    for (pair, a) in out.chunks_exact_mut(2).zip(a) {
        let diagonal = u128::from(*a) * u128::from(*a);
        let (low, high) = ((pair[0] << 1) | doubled, (pair[1] << 1) | (pair[0] >> 63));
        doubled = pair[1] >> 63;
        (pair[0], carry) = adc(low, diagonal as u64, carry);
        (pair[1], carry) = adc(high, (diagonal >> 64) as u64, carry);
    }
}

/// `-n0⁻¹ mod 2^64` for odd `n0`: Newton's iteration, which doubles the number of correct bits.
pub(crate) fn neg_inv_u64(n0: u64) -> u64 {
    debug_assert!(n0 & 1 == 1);
    // n0·n0 = 1 mod 8, and this starting value is right in 5 bits: 5, 10, 20, 40, 80.
    let mut inverse = n0.wrapping_mul(3) ^ 2;
    for _ in 0..4 {
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(n0.wrapping_mul(inverse)));
    }
    inverse.wrapping_neg()
}

/// `out = -n⁻¹ mod 2^bits` for odd `n` of any length, `bits ≤ 64·out.len()`.
///
/// Limb by limb: the quotients of a Montgomery reduction of 1, since 1 + out·n is to be 0. That takes
/// `out.len()²/2` products of limbs; Newton's iteration over whole numbers takes more of them at these
/// lengths. `scratch` has at least the length of `out` and is left with values that belong to `n`: wipe it if
/// `n` is a secret.
pub(crate) fn neg_inv_pow2(out: &mut [u64], n: &[u64], bits: usize, scratch: &mut [u64]) {
    let len = out.len();
    assert!(bits <= 64 * len);
    let (n0_inv, t) = (neg_inv_u64(n[0]), &mut scratch[..len]);
    t.fill(0);
    t[0] = 1;
    for (i, out) in out.iter_mut().enumerate() {
        *out = t[i].wrapping_mul(n0_inv);
        let (row, rest) = t[i..].split_at_mut(n.len().min(len - i));
        let carry = mul_add_limb(row, &n[..row.len()], *out);
        add_limb_assign(rest, carry);
    }
    truncate(out, bits);
}

/// `a = a mod 2^bits`.
fn truncate(a: &mut [u64], bits: usize) {
    for (i, limb) in a.iter_mut().enumerate() {
        match bits.saturating_sub(64 * i) {
            0 => *limb = 0,
            kept @ 1..64 => *limb &= (1 << kept) - 1,
            _ => {}
        }
    }
}

/// The number with these big-endian bytes, which must fit: at most 8 for each limb of `out`.
pub(crate) fn from_be_bytes(out: &mut [u64], bytes: &[u8]) {
    assert!(bytes.len() <= 8 * out.len());
    out.fill(0);
    for (limb, chunk) in out.iter_mut().zip(bytes.rchunks(8)) {
        *limb = chunk.iter().fold(0, |limb, byte| (limb << 8) | u64::from(*byte));
    }
}

/// The low `8·out.len()` bits of `limbs` as big-endian bytes, filled up with leading zeros.
pub(crate) fn to_be_bytes(out: &mut [u8], limbs: &[u64]) {
    out.fill(0);
    for (chunk, limb) in out.rchunks_mut(8).zip(limbs) {
        let bytes = limb.to_be_bytes();
        chunk.copy_from_slice(&bytes[8 - chunk.len()..]);
    }
}

#[cfg(test)]
mod tests;

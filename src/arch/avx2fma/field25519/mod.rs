//! The field of 2^255 − 19 elements in AVX2+FMA lanes: six signed digits of 43 bits, held exactly in doubles.
//!
//! 6 · 43 = 258 bits, and 2^258 = 152: what a multiplication carries out of the last column comes back into the first,
//! times 152. Exact products are made as in [the Montgomery kernels](super). What is different:
//!
//! 1. There is no reduction apart from that: the 36 products go into 6 columns at once.
//! 2. The products are split at bit 45, not 43, because columns are longer by the factor 152. That leaves room for
//!    operands that are sums, so that additions need no carries.
//! 3. A result's one carry step is parallel: digits may exceed half the radix by a little, [`EXCESS`].

use crate::arch::field25519::{Element, Field25519Lanes, Reduced, Sum};
use crate::arch::lanes::Vec4;
use crate::arch::tier::{Avx2Fma, TierKind};

#[cfg(test)]
mod range_proof;
mod x86_64;

#[cfg(test)]
pub(in crate::arch) use x86_64::kernel_calls;

const DIGITS: usize = 6;
const RADIX: u32 = 43;

/// How much further from zero than half the radix a reduced digit may be.
#[cfg(test)]
const EXCESS: i64 = 1 << 25;

/// Half the radix in every digit but the last, in limbs.
const HALVES: [u64; 4] = spread([1 << 42, 1 << 42, 1 << 42, 1 << 42, 1 << 42, 0]);

/// 8p, in digits that are larger than any reduced one.
const EIGHT_P: [i64; DIGITS] =
    [(1 << 43) - 152, (1 << 43) - 1, (1 << 43) - 1, (1 << 43) - 1, (1 << 43) - 1, (1 << 43) - 1];

type Digits = Sum<Vec4, DIGITS>;

/// Σ dᵢ·2^(43·i) for digits below 2^43 and a sum below 2^256, in limbs.
const fn spread(digits: [u64; DIGITS]) -> [u64; 4] {
    let mut limbs = [0; 4];
    let mut i = 0;
    while i < DIGITS {
        let (limb, shift) = (43 * i / 64, 43 * i % 64);
        limbs[limb] |= digits[i] << shift;
        if shift > 64 - 43 && limb < 3 {
            limbs[limb + 1] |= digits[i] >> (64 - shift);
        }
        i += 1;
    }
    limbs
}

/// Bits 43·i to 43·i + 42 of a number.
fn bits(x: &[u64; 4], i: usize) -> u64 {
    let (limb, shift) = (RADIX as usize * i / 64, RADIX as usize * i % 64);
    let high = x.get(limb + 1).copied().unwrap_or(0);
    ((u128::from(x[limb]) | (u128::from(high) << 64)) >> shift) as u64 & ((1 << RADIX) - 1)
}

impl Field25519Lanes for Avx2Fma {
    const KIND: TierKind = TierKind::Avx2Fma;
    const LANES: usize = 4;
    type Mask = Vec4;
    type Sum = Digits;
    type Reduced = Reduced<Vec4, DIGITS>;

    fn assert_environment(self) {
        crate::arch::mxcsr::assert_default();
    }

    /// Adds half the radix to every digit but the last, and takes it away again after the number was cut into
    /// digits: that balances them without carries.
    fn set(out: &mut Self::Reduced, lane: usize, limbs: &[u64; 4]) {
        debug_assert!(limbs[3] >> 63 == 0);
        let mut carry = 0;
        let raised = std::array::from_fn(|i| {
            let sum = u128::from(limbs[i]) + u128::from(HALVES[i]) + carry;
            carry = sum >> 64;
            sum as u64
        });
        for (i, v) in out.0.0.iter_mut().enumerate() {
            let half = if i + 1 < DIGITS { 1 << (RADIX - 1) } else { 0 };
            v.0[lane] = ((bits(&raised, i) as i64 - half) as f64).to_bits();
        }
    }

    /// Adds 8p, which makes every digit positive.
    fn get(element: &Self::Reduced, lane: usize) -> Element {
        let mut wide = [0u64; 5];
        let (mut pending, mut pending_bits, mut limb) = (0u128, 0, 0);
        for (v, lift) in element.0.0.iter().zip(EIGHT_P) {
            // Digits overlap by a bit: what `pending` holds beyond its bits is a carry.
            pending += ((f64::from_bits(v.0[lane]) as i64 + lift) as u128) << pending_bits;
            pending_bits += RADIX;
            if pending_bits >= 64 {
                wide[limb] = pending as u64;
                (pending, pending_bits, limb) = (pending >> 64, pending_bits - 64, limb + 1);
            }
        }
        wide[limb] = pending as u64;
        Element::from_wide(&wide)
    }

    fn add_sub(self, sum: &mut Self::Sum, difference: &mut Self::Sum, a: &Self::Reduced, b: &Self::Reduced) {
        x86_64::add_sub(self, sum, difference, a, b);
    }

    fn add(self, out: &mut Self::Sum, a: &Self::Reduced, b: &Self::Reduced) {
        x86_64::add(self, out, a, b);
    }

    fn sub(self, out: &mut Self::Sum, a: &Self::Reduced, b: &Self::Reduced) {
        x86_64::sub(self, out, a, b);
    }

    fn reduce(self, out: &mut Self::Reduced, a: &Self::Sum) {
        x86_64::reduce(self, out, a);
    }

    fn mul(self, out: &mut Self::Reduced, a: &Self::Sum, b: &Self::Sum) {
        x86_64::mul(self, out, a, b);
    }

    fn sqr(self, out: &mut Self::Reduced, a: &Self::Sum) {
        x86_64::sqr(self, out, a);
    }

    fn add_121665(self, out: &mut Self::Sum, a: &Self::Reduced, b: &Self::Sum) {
        x86_64::add_121665(self, out, a, b);
    }

    fn assign_if(self, out: &mut Self::Sum, other: &Self::Sum, mask: &Vec4) {
        x86_64::assign_if(self, out, other, mask);
    }

    fn swap_if(
        self,
        a: &mut Self::Sum,
        b: &mut Self::Sum,
        x: &Self::Reduced,
        y: &Self::Reduced,
        mask: &Vec4,
    ) {
        x86_64::swap_if(self, a, b, x, y, mask);
    }

    fn negate_if(self, out: &mut Self::Sum, a: &Self::Reduced, mask: &Vec4) {
        x86_64::negate_if(self, out, a, mask);
    }
}

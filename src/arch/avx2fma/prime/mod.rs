//! The fields of P-256 and P-384 in AVX2+FMA lanes: signed digits of 48 bits, held exactly in doubles.
//!
//! Exact products are made as in [the Montgomery kernels](super). What is different, because the primes are sparse and
//! known:
//!
//! 1. There are no products with the prime. Modulo 2^48 times something it is −1, and its other terms are shifts.
//! 2. Quotient digits are not cut down to 48 bits: a column's whole value, below 2^53, is one. That saves a carry
//!    for each, and the time that the next would wait for it.
//! 3. Products are split at bit 48 with room for operands that are sums, so that additions need no carries.
//! 4. A result's one carry step is parallel: digits may exceed half the radix by a little, `EXCESS`.
//!
//! # How large elements are
//!
//! The digits of a reduced element are |d| ≤ 2^47 + `EXCESS`, and the last one is |d| ≤ `TOP`: that bounds the number, too.
//! Chains of operations stay within, because every operation does, whatever reduced elements it is given: `range_proof`
//! proves it for multiplications from their source, and for `combine` from the bounds.
//!
//! * P-256 has six digits, R = 2^288, and |x| < 20·p. R has 32 bits over p to absorb that.
//! * P-384 has eight digits, R = 2^432, and |x| is hardly above p/2: eight digits are just enough, and a quotient of nine keeps
//!   the product small.
//! * `combine` folds what its last digit has above p, as a multiple of 2^256 or 2^384, back into lower digits.

use crate::arch::lanes::Vec4;
use crate::arch::prime::{MAX_COMBINED, P256, P384, Prime, PrimeLanes, Reduced, Sum};
use crate::arch::tier::Avx2Fma;

mod digits;
#[cfg(test)]
mod range_proof;
mod x86_64;

#[cfg(test)]
pub(in crate::arch) use x86_64::kernel_calls;

const RADIX: u32 = 48;

/// A prime field, as the kernels hold its elements.
trait Field: Prime {
    /// How much further from zero than half the radix a reduced digit may be.
    #[cfg(test)]
    const EXCESS: i64;

    /// The bound of a reduced element's last digit.
    #[cfg(test)]
    const TOP: i64;

    /// A multiple of 2^`TOP_BITS` in the last digit can be folded: there it stands for 2^(64·limbs of p), a little more than p.
    const TOP_BITS: u32;

    /// That power of two modulo p: digits and their values.
    const FOLD: &'static [(usize, i64)];

    /// Elements are below 2^`LIFT_BITS`·p in absolute value.
    const LIFT_BITS: u32;
}

impl Field for P256 {
    #[cfg(test)]
    const EXCESS: i64 = 1 << 40;
    #[cfg(test)]
    const TOP: i64 = 19 << 16;
    const TOP_BITS: u32 = 16;
    // 2^256 = 2^224 − 2^192 − 2^96 + 1
    const FOLD: &'static [(usize, i64)] = &[(0, 1), (2, -1), (4, (1 << 32) - 1)];
    const LIFT_BITS: u32 = 5;
}

impl Field for P384 {
    #[cfg(test)]
    const EXCESS: i64 = 1 << 37;
    #[cfg(test)]
    const TOP: i64 = (1 << 47) + 64;
    const TOP_BITS: u32 = 48;
    // 2^384 = 2^128 + 2^96 − 2^32 + 1
    const FOLD: &'static [(usize, i64)] = &[(0, 1 - (1 << 32)), (2, 1 + (1 << 32))];
    const LIFT_BITS: u32 = 1;
}

macro_rules! prime_lanes {
    ($($prime:ty, $digits:literal, r: $r_bits:literal, $mul:ident, $sqr:ident;)*) => {$(
        impl PrimeLanes<$prime> for Avx2Fma {
            const LANES: usize = 4;
            const R_BITS: usize = $r_bits;
            type Vec = Vec4;
            type Sum = Sum<Vec4, $digits>;
            type Reduced = Reduced<Vec4, $digits>;

            fn assert_environment(self) {
                crate::arch::mxcsr::assert_default();
            }

            fn set(out: &mut Self::Reduced, lane: usize, limbs: &[u64]) {
                for (v, digit) in out.0.0.iter_mut().zip(digits::balanced::<$prime, $digits>(limbs)) {
                    v.0[lane] = (digit as f64).to_bits();
                }
            }

            fn get(out: &mut [u64], element: &Self::Reduced, lane: usize) {
                digits::canonical::<$prime, $digits>(out, element.0.0.map(|v| f64::from_bits(v.0[lane]) as i64));
            }

            fn add(self, out: &mut Self::Sum, a: &Self::Reduced, b: &Self::Reduced) {
                x86_64::add(self, out, a, b);
            }

            fn sub(self, out: &mut Self::Sum, a: &Self::Reduced, b: &Self::Reduced) {
                x86_64::sub(self, out, a, b);
            }

            fn combine<const A: i64, const B: i64, const C: i64>(
                self,
                out: &mut Self::Reduced,
                a: &Self::Reduced,
                b: &Self::Reduced,
                c: &Self::Reduced,
            ) {
                const { assert!(A.unsigned_abs() + B.unsigned_abs() + C.unsigned_abs() <= MAX_COMBINED) };
                x86_64::combine::<$prime, $digits, A, B, C>(self, out, a, b, c);
            }

            fn mul(self, out: &mut Self::Reduced, a: &Self::Sum, b: &Self::Sum) {
                x86_64::$mul(self, out, a, b);
            }

            fn sqr(self, out: &mut Self::Reduced, a: &Self::Sum) {
                x86_64::$sqr(self, out, a);
            }

            fn negate_if(self, out: &mut Self::Reduced, mask: &Vec4) {
                x86_64::negate_if(self, out, mask);
            }

            fn assign_if(self, out: &mut Self::Reduced, other: &Self::Reduced, mask: &Vec4) {
                x86_64::assign_if(self, out, other, mask);
            }
        }
    )*};
}
prime_lanes! {
    P256, 6, r: 288, mul_p256, sqr_p256;
    P384, 8, r: 432, mul_p384, sqr_p384;
}

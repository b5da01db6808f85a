//! The fields of P-256 and P-384 in AVX2+FMA lanes: signed digits of 48 bits, held exactly in doubles.
//!
//! Exact products are made as in [the Montgomery kernels](super::montgomery). What is different, because the
//! primes are sparse and known:
//!
//! 1. There are no products with the prime. Modulo 2^48 times something it is −1, and its other terms are
//!    shifts.
//! 2. Quotient digits are not cut down to 48 bits: a column's whole value, below 2^53, is one. That saves a
//!    carry for each, and the time that the next would wait for it.
//! 3. Products are split at bit 48 with room for operands that are sums, so that additions need no carries.
//! 4. A result's one carry step is parallel: digits may exceed half the radix by a little, `EXCESS`.
//!
//! # How large elements are
//!
//! The digits of a reduced element are |d| ≤ 2^47 + `EXCESS`, and the last one is |d| ≤ `TOP`: that bounds
//! the number, too. Chains of operations stay within, because every operation does, whatever reduced elements
//! it is given: `range_proof` proves it for multiplications from their source, and for `combine` from the
//! bounds.
//!
//! * P-256 has six digits, R = 2^288, and |x| < 20·p. R has 32 bits over p to absorb that.
//! * P-384 has eight digits, R = 2^432, and |x| is hardly above p/2: eight digits are just enough, and a
//!   quotient of nine keeps the product small.
//! * `combine` folds what its last digit has above p, as a multiple of 2^256 or 2^384, back into lower
//!   digits.

use super::doubles::{load, power, round, store};
use crate::arch::lanes::Vec4;
use crate::arch::prime::{MAX_COMBINED, P256, P384, Prime, PrimeLanes, Reduced, Sum};
use crate::arch::tier::Avx2Fma;
use std::arch::asm;
use std::arch::x86_64::{
    __m256d, _mm256_add_pd, _mm256_and_pd, _mm256_fmadd_pd, _mm256_mul_pd, _mm256_set1_pd, _mm256_setzero_pd,
    _mm256_sub_pd, _mm256_xor_pd,
};

mod digits;
#[cfg(test)]
mod range_proof;

const RADIX: u32 = 48;

/// A prime field, as the kernels hold its elements.
trait Field: Prime {
    /// How much further from zero than half the radix a reduced digit may be.
    #[cfg(test)]
    const EXCESS: i64;

    /// The bound of a reduced element's last digit.
    #[cfg(test)]
    const TOP: i64;

    /// A multiple of 2^`TOP_BITS` in the last digit can be folded: there it stands for 2^(64·limbs of p), a
    /// little more than p.
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
    ($($prime:ty, $digits:literal, r: $r_bits:literal, $mul:ident, $sqr:ident, $constants:ident;)*) => {$(
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
                let digits = element.0.0.map(|v| f64::from_bits(v.0[lane]) as i64);
                digits::canonical::<$prime, $digits>(out, digits);
            }

            fn add(self, out: &mut Self::Sum, a: &Self::Reduced, b: &Self::Reduced) {
                // SAFETY: the token proves AVX2.
                unsafe { add(out, a, b) }
            }

            fn sub(self, out: &mut Self::Sum, a: &Self::Reduced, b: &Self::Reduced) {
                // SAFETY: the token proves AVX2.
                unsafe { sub(out, a, b) }
            }

            fn combine<const A: i64, const B: i64, const C: i64>(
                self,
                out: &mut Self::Reduced,
                a: &Self::Reduced,
                b: &Self::Reduced,
                c: &Self::Reduced,
            ) {
                const { assert!(A.unsigned_abs() + B.unsigned_abs() + C.unsigned_abs() <= MAX_COMBINED) };
                // SAFETY: the token proves AVX2 and FMA.
                unsafe { combine::<$prime, $digits, A, B, C>(out, a, b, c) }
            }

            fn mul(self, out: &mut Self::Reduced, a: &Self::Sum, b: &Self::Sum) {
                // SAFETY: the token proves AVX2 and FMA; all three have as many vectors as the kernel wants,
                // aligned by their type; the borrows prove that `out` overlaps nothing.
                unsafe { kernels::$mul(out.0.0.as_mut_ptr(), a.0.as_ptr(), b.0.as_ptr(), &$constants) }
            }

            fn sqr(self, out: &mut Self::Reduced, a: &Self::Sum) {
                // SAFETY: as for the product; the second argument is not read.
                unsafe { kernels::$sqr(out.0.0.as_mut_ptr(), std::ptr::null(), a.0.as_ptr(), &$constants) }
            }

            fn negate_if(self, out: &mut Self::Reduced, mask: &Vec4) {
                // SAFETY: the token proves AVX2.
                unsafe { negate_if(out, mask) }
            }

            fn assign_if(self, out: &mut Self::Reduced, other: &Self::Reduced, mask: &Vec4) {
                // SAFETY: the token proves AVX2.
                unsafe { assign_if(out, other, mask) }
            }
        }
    )*};
}
prime_lanes! {
    P256, 6, r: 288, mul_p256, sqr_p256, P256_CONSTANTS;
    P384, 8, r: 432, mul_p384, sqr_p384, P384_CONSTANTS;
}

/// The assembly functions. All need AVX2 and FMA, and pointers to whole numbers, aligned as vectors are;
/// `out` overlaps nothing else.
mod kernels {
    use super::{Constants, Vec4};

    unsafe extern "sysv64" {
        /// asm/avx2fma_p256_mul.S
        #[link_name = "rustls_multibuffer_avx2fma_p256_mul"]
        pub(super) fn mul_p256(
            out: *mut Vec4,
            a: *const Vec4,
            b: *const Vec4,
            constants: *const Constants<4>,
        );

        /// asm/avx2fma_p256_sqr.S
        #[link_name = "rustls_multibuffer_avx2fma_p256_sqr"]
        pub(super) fn sqr_p256(
            out: *mut Vec4,
            unused: *const Vec4,
            a: *const Vec4,
            constants: *const Constants<4>,
        );

        /// asm/avx2fma_p384_mul.S
        #[link_name = "rustls_multibuffer_avx2fma_p384_mul"]
        pub(super) fn mul_p384(
            out: *mut Vec4,
            a: *const Vec4,
            b: *const Vec4,
            constants: *const Constants<9>,
        );

        /// asm/avx2fma_p384_sqr.S
        #[link_name = "rustls_multibuffer_avx2fma_p384_sqr"]
        pub(super) fn sqr_p384(
            out: *mut Vec4,
            unused: *const Vec4,
            a: *const Vec4,
            constants: *const Constants<9>,
        );
    }
}

/// What kernels read, each number in four lanes; the order is that of the offsets in `asm/avx2fma_prime.S`
/// and the field's own file.
#[repr(C, align(32))]
struct Constants<const N: usize>([[f64; 4]; N]);

const INV: f64 = power(-(RADIX as i32));

const N16: f64 = power(-16);

static P256_CONSTANTS: Constants<4> =
    Constants([[round(RADIX as i32); 4], [INV; 4], [power(16); 4], [-power(32); 4]]);

static P384_CONSTANTS: Constants<9> = Constants([
    [round(RADIX as i32); 4],
    [INV; 4],
    [round(16); 4],
    [N16; 4],
    [power(16); 4],
    [power(32); 4],
    [INV - N16; 4],
    [INV + N16; 4],
    [1.0 - power(33); 4],
]);

#[target_feature(enable = "avx2")]
fn add<const D: usize>(out: &mut Sum<Vec4, D>, a: &Reduced<Vec4, D>, b: &Reduced<Vec4, D>) {
    for i in 0..D {
        store(&mut out.0[i], _mm256_add_pd(load(&a.0.0[i]), load(&b.0.0[i])));
    }
}

#[target_feature(enable = "avx2")]
fn sub<const D: usize>(out: &mut Sum<Vec4, D>, a: &Reduced<Vec4, D>, b: &Reduced<Vec4, D>) {
    for i in 0..D {
        store(&mut out.0[i], _mm256_sub_pd(load(&a.0.0[i]), load(&b.0.0[i])));
    }
}

/// The sums, and one carry step in parallel. What rounding to multiples of 2^`TOP_BITS` takes out of the last
/// digit is folded into the digits of [`Field::FOLD`].
#[target_feature(enable = "avx2,fma")]
fn combine<F: Field, const D: usize, const A: i64, const B: i64, const C: i64>(
    out: &mut Reduced<Vec4, D>,
    a: &Reduced<Vec4, D>,
    b: &Reduced<Vec4, D>,
    c: &Reduced<Vec4, D>,
) {
    let mut digits = [_mm256_setzero_pd(); D];
    let mut carries = digits;
    for i in 0..D {
        let sum = times::<A>(None, &a.0.0[i]);
        let sum = times::<B>(sum, &b.0.0[i]);
        let sum = times::<C>(sum, &c.0.0[i]).unwrap_or(_mm256_setzero_pd());
        let round = _mm256_set1_pd(const { round(RADIX as i32) });
        let round = if i + 1 < D { round } else { _mm256_set1_pd(const { self::round(F::TOP_BITS as i32) }) };
        carries[i] = _mm256_sub_pd(_mm256_add_pd(sum, round), round);
        digits[i] = _mm256_sub_pd(sum, carries[i]);
    }
    for i in 1..D {
        digits[i] = _mm256_fmadd_pd(carries[i - 1], _mm256_set1_pd(INV), digits[i]);
    }
    for (i, value) in F::FOLD {
        let factor = _mm256_set1_pd(*value as f64 * const { power(-(F::TOP_BITS as i32)) });
        digits[*i] = _mm256_fmadd_pd(carries[D - 1], factor, digits[*i]);
    }
    for (out, digit) in out.0.0.iter_mut().zip(digits) {
        store(out, digit);
    }
}

/// sum + T·x.
#[target_feature(enable = "avx2,fma")]
fn times<const T: i64>(sum: Option<__m256d>, x: &Vec4) -> Option<__m256d> {
    let factor = _mm256_set1_pd(T as f64);
    match (T, sum) {
        (0, sum) => sum,
        (1, None) => Some(load(x)),
        (_, None) => Some(_mm256_mul_pd(load(x), factor)),
        (1, Some(sum)) => Some(_mm256_add_pd(sum, load(x))),
        (-1, Some(sum)) => Some(_mm256_sub_pd(sum, load(x))),
        (_, Some(sum)) => Some(_mm256_fmadd_pd(load(x), factor, sum)),
    }
}

#[target_feature(enable = "avx2")]
fn negate_if<const D: usize>(out: &mut Reduced<Vec4, D>, mask: &Vec4) {
    let sign = _mm256_and_pd(load(mask), _mm256_set1_pd(-0.0));
    for digit in &mut out.0.0 {
        let negated = _mm256_xor_pd(load(digit), sign);
        store(digit, negated);
    }
}

#[target_feature(enable = "avx2")]
fn assign_if<const D: usize>(out: &mut Reduced<Vec4, D>, other: &Reduced<Vec4, D>, mask: &Vec4) {
    let mask = load(mask);
    for (out, other) in out.0.0.iter_mut().zip(&other.0.0) {
        let chosen = blend(load(out), load(other), mask);
        store(out, chosen);
    }
}

/// Of each lane the second where the mask is set, else the first. A blend that the compiler cannot merge with
/// the store of its result into a masked store: what a mask switches off need not be written, and then the
/// addresses would tell the mask.
#[target_feature(enable = "avx2")]
fn blend(first: __m256d, second: __m256d, mask: __m256d) -> __m256d {
    let chosen;
    // SAFETY: reads and writes registers; the caller has AVX.
    unsafe {
        asm!(
            "vblendvpd {}, {}, {}, {}",
            out(ymm_reg) chosen, in(ymm_reg) first, in(ymm_reg) second, in(ymm_reg) mask,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    chosen
}

/// Every kernel once, for the tests of what all kernels have to keep to.
#[cfg(test)]
pub(super) fn kernel_calls() -> [crate::arch::tests::calls::Call; 4] {
    use crate::arch::tests::calls::{Argument, Argument::Number, Call, random_doubles, words_of};
    let operand = |seed, digits: usize| random_doubles(seed, 4 * digits, RADIX - 1);
    let input = |digits| Argument::In(operand(2, digits));
    let call = |name, function, digits, second, constants: &[u64]| {
        let constants = Argument::In(constants.to_vec());
        let arguments =
            vec![Argument::Out(operand(1, digits)), second, Argument::In(operand(3, digits)), constants];
        Call { name, function, arguments }
    };
    // SAFETY: doubles, without padding.
    let (p256, p384) = unsafe { (words_of(&P256_CONSTANTS), words_of(&P384_CONSTANTS)) };
    [
        call("avx2fma_p256_mul", kernels::mul_p256 as *const (), 6, input(6), &p256),
        call("avx2fma_p256_sqr", kernels::sqr_p256 as *const (), 6, Number(0), &p256),
        call("avx2fma_p384_mul", kernels::mul_p384 as *const (), 8, input(8), &p384),
        call("avx2fma_p384_sqr", kernels::sqr_p384 as *const (), 8, Number(0), &p384),
    ]
}

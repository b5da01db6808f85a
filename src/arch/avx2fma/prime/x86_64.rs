//! The calls into `asm/avx2fma_p256_*.S` and `asm/avx2fma_p384_*.S`, and the kernels that are too light for assembly.

use super::{Field, RADIX};
use crate::arch::lanes::Vec4;
use crate::arch::prime::{Reduced, Sum};
use crate::arch::tier::Avx2Fma;
use std::arch::asm;
use std::arch::x86_64::{
    __m256d, _mm256_add_pd, _mm256_and_pd, _mm256_fmadd_pd, _mm256_load_pd, _mm256_mul_pd, _mm256_set1_pd,
    _mm256_setzero_pd, _mm256_store_pd, _mm256_sub_pd, _mm256_xor_pd,
};

/// The assembly functions. All need AVX2 and FMA, and pointers to whole numbers, aligned as vectors are; `out` overlaps
/// nothing else.
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

/// What kernels read, each number in four lanes; the order is that of the offsets in `asm/avx2fma_prime.S` and the field's
/// own file.
#[repr(C, align(32))]
pub(super) struct Constants<const N: usize>(pub(super) [[f64; 4]; N]);

/// 2^exponent.
const fn power(exponent: i32) -> f64 {
    f64::from_bits(((1023 + exponent) as u64) << 52)
}

/// What added and taken away again rounds to multiples of 2^bits.
const fn round(bits: u32) -> f64 {
    1.5 * power(52 + bits as i32)
}

const INV: f64 = power(-(RADIX as i32));

const N16: f64 = power(-16);

pub(super) static P256_CONSTANTS: Constants<4> =
    Constants([[round(RADIX); 4], [INV; 4], [power(16); 4], [-power(32); 4]]);

pub(super) static P384_CONSTANTS: Constants<9> = Constants([
    [round(RADIX); 4],
    [INV; 4],
    [round(16); 4],
    [N16; 4],
    [power(16); 4],
    [power(32); 4],
    [INV - N16; 4],
    [INV + N16; 4],
    [1.0 - power(33); 4],
]);

macro_rules! products {
    ($($digits:literal: $mul:ident, $sqr:ident, $constants:ident;)*) => {$(
        pub(super) fn $mul(
            _: Avx2Fma,
            out: &mut Reduced<Vec4, $digits>,
            a: &Sum<Vec4, $digits>,
            b: &Sum<Vec4, $digits>,
        ) {
            // SAFETY: the token proves AVX2 and FMA; all three have as many vectors as the kernel wants, aligned by their
            // type; the borrows prove that `out` overlaps nothing.
            unsafe { kernels::$mul(out.0.0.as_mut_ptr(), a.0.as_ptr(), b.0.as_ptr(), &$constants) }
        }

        pub(super) fn $sqr(_: Avx2Fma, out: &mut Reduced<Vec4, $digits>, a: &Sum<Vec4, $digits>) {
            // SAFETY: as for the product; the second argument is not read.
            unsafe { kernels::$sqr(out.0.0.as_mut_ptr(), std::ptr::null(), a.0.as_ptr(), &$constants) }
        }
    )*};
}
products! {
    6: mul_p256, sqr_p256, P256_CONSTANTS;
    8: mul_p384, sqr_p384, P384_CONSTANTS;
}

pub(super) fn add<const D: usize>(
    _: Avx2Fma,
    out: &mut Sum<Vec4, D>,
    a: &Reduced<Vec4, D>,
    b: &Reduced<Vec4, D>,
) {
    // SAFETY: the token proves AVX2.
    unsafe { add_avx2(out, a, b) }
}

pub(super) fn sub<const D: usize>(
    _: Avx2Fma,
    out: &mut Sum<Vec4, D>,
    a: &Reduced<Vec4, D>,
    b: &Reduced<Vec4, D>,
) {
    // SAFETY: the token proves AVX2.
    unsafe { sub_avx2(out, a, b) }
}

pub(super) fn combine<F: Field, const D: usize, const A: i64, const B: i64, const C: i64>(
    _: Avx2Fma,
    out: &mut Reduced<Vec4, D>,
    a: &Reduced<Vec4, D>,
    b: &Reduced<Vec4, D>,
    c: &Reduced<Vec4, D>,
) {
    // SAFETY: the token proves AVX2 and FMA.
    unsafe { combine_avx2fma::<F, D, A, B, C>(out, a, b, c) }
}

pub(super) fn negate_if<const D: usize>(_: Avx2Fma, out: &mut Reduced<Vec4, D>, mask: &Vec4) {
    // SAFETY: the token proves AVX2.
    unsafe { negate_if_avx2(out, mask) }
}

pub(super) fn assign_if<const D: usize>(
    _: Avx2Fma,
    out: &mut Reduced<Vec4, D>,
    other: &Reduced<Vec4, D>,
    mask: &Vec4,
) {
    // SAFETY: the token proves AVX2.
    unsafe { assign_if_avx2(out, other, mask) }
}

#[target_feature(enable = "avx2")]
fn add_avx2<const D: usize>(out: &mut Sum<Vec4, D>, a: &Reduced<Vec4, D>, b: &Reduced<Vec4, D>) {
    for i in 0..D {
        store(&mut out.0[i], _mm256_add_pd(load(&a.0.0[i]), load(&b.0.0[i])));
    }
}

#[target_feature(enable = "avx2")]
fn sub_avx2<const D: usize>(out: &mut Sum<Vec4, D>, a: &Reduced<Vec4, D>, b: &Reduced<Vec4, D>) {
    for i in 0..D {
        store(&mut out.0[i], _mm256_sub_pd(load(&a.0.0[i]), load(&b.0.0[i])));
    }
}

/// The sums, and one carry step in parallel. What rounding to multiples of 2^`TOP_BITS` takes out of the last digit is folded
/// into the digits of [`Field::FOLD`].
#[target_feature(enable = "avx2,fma")]
fn combine_avx2fma<F: Field, const D: usize, const A: i64, const B: i64, const C: i64>(
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
        let round = _mm256_set1_pd(const { round(RADIX) });
        let round = if i + 1 < D { round } else { _mm256_set1_pd(const { self::round(F::TOP_BITS) }) };
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
fn negate_if_avx2<const D: usize>(out: &mut Reduced<Vec4, D>, mask: &Vec4) {
    let sign = _mm256_and_pd(load(mask), _mm256_set1_pd(-0.0));
    for digit in &mut out.0.0 {
        let negated = _mm256_xor_pd(load(digit), sign);
        store(digit, negated);
    }
}

#[target_feature(enable = "avx2")]
fn assign_if_avx2<const D: usize>(out: &mut Reduced<Vec4, D>, other: &Reduced<Vec4, D>, mask: &Vec4) {
    let mask = load(mask);
    for (out, other) in out.0.0.iter_mut().zip(&other.0.0) {
        let chosen = blend(load(out), load(other), mask);
        store(out, chosen);
    }
}

/// Of each lane the second where the mask is set, else the first. A blend that the compiler cannot merge with the store of its
/// result into a masked store: what a mask switches off need not be written, and then the addresses would tell the mask.
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

#[target_feature(enable = "avx2")]
fn load(v: &Vec4) -> __m256d {
    // SAFETY: `Vec4` is 32 bytes, aligned to 32.
    unsafe { _mm256_load_pd((v as *const Vec4).cast()) }
}

#[target_feature(enable = "avx2")]
fn store(v: &mut Vec4, value: __m256d) {
    // SAFETY: `Vec4` is 32 bytes, aligned to 32.
    unsafe { _mm256_store_pd((v as *mut Vec4).cast(), value) }
}

/// Every kernel once, for the tests of what all kernels have to keep to.
#[cfg(test)]
pub(in crate::arch) fn kernel_calls() -> Vec<crate::arch::calls::Call> {
    use crate::arch::calls::{Argument, Argument::Number, Call, random_doubles, words_of};
    let operand = |seed, digits: usize| random_doubles(seed, 4 * digits, RADIX - 1);
    let call = |name, function, digits, second, constants| {
        let arguments =
            vec![Argument::Out(operand(1, digits)), second, Argument::In(operand(3, digits)), constants];
        Call { name, function, arguments }
    };
    let [mul_p256, sqr_p256] = [kernels::mul_p256 as *const (), kernels::sqr_p256 as *const ()];
    let [mul_p384, sqr_p384] = [kernels::mul_p384 as *const (), kernels::sqr_p384 as *const ()];
    let input = |digits| Argument::In(operand(2, digits));
    // SAFETY: numbers of 64 bits and, where there is a schedule, groups of 16 bytes: no padding.
    let p256 = || Argument::In(unsafe { words_of(&P256_CONSTANTS) });
    // SAFETY: numbers of 64 bits and, where there is a schedule, groups of 16 bytes: no padding.
    let p384 = || Argument::In(unsafe { words_of(&P384_CONSTANTS) });
    vec![
        call("avx2fma_p256_mul", mul_p256, 6, input(6), p256()),
        call("avx2fma_p256_sqr", sqr_p256, 6, Number(0), p256()),
        call("avx2fma_p384_mul", mul_p384, 8, input(8), p384()),
        call("avx2fma_p384_sqr", sqr_p384, 8, Number(0), p384()),
    ]
}

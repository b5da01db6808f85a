//! The calls into `asm/avx2fma_field25519_*.S`, and the kernels that are too light for assembly.

use super::{DIGITS, Digits, RADIX};
use crate::arch::field25519::Reduced;
use crate::arch::lanes::Vec4;
use crate::arch::tier::Avx2Fma;
use std::arch::x86_64::{
    __m256d, _mm256_add_pd, _mm256_and_pd, _mm256_fmadd_pd, _mm256_fmsub_pd, _mm256_load_pd, _mm256_set1_pd,
    _mm256_store_pd, _mm256_sub_pd, _mm256_xor_pd,
};

unsafe extern "sysv64" {
    fn rustls_multibuffer_avx2fma_field25519_mul(
        out: *mut Vec4,
        a: *const Vec4,
        b: *const Vec4,
        constants: *const Constants,
    );
    fn rustls_multibuffer_avx2fma_field25519_sqr(
        out: *mut Vec4,
        a: *const Vec4,
        unused: *const Vec4,
        constants: *const Constants,
    );
}

/// What the kernels read; the offsets are those of `asm/avx2fma_field25519.S`.
#[repr(C, align(32))]
struct Constants {
    chi: [f64; 4],
    round: [f64; 4],
    inv: [f64; 4],
    wrap: [f64; 4],
    wrap_inv: [f64; 4],
}

/// 2^exponent.
const fn power(exponent: i32) -> f64 {
    f64::from_bits(((1023 + exponent) as u64) << 52)
}

const ROUND: f64 = 1.5 * power(52 + RADIX as i32);
const INV: f64 = power(-(RADIX as i32));
const WRAP: f64 = 152.0;

static CONSTANTS: Constants = Constants {
    chi: [1.5 * power(97); 4],
    round: [ROUND; 4],
    inv: [INV; 4],
    wrap: [WRAP; 4],
    wrap_inv: [WRAP * INV; 4],
};

type Element = Reduced<Vec4, DIGITS>;

pub(super) fn mul(_: Avx2Fma, out: &mut Element, a: &Digits, b: &Digits) {
    // SAFETY: the token proves AVX2 and FMA; all three are 6 vectors, aligned to 32 bytes; the borrows prove that `out`
    // overlaps nothing.
    unsafe {
        rustls_multibuffer_avx2fma_field25519_mul(
            out.0.0.as_mut_ptr(),
            a.0.as_ptr(),
            b.0.as_ptr(),
            &CONSTANTS,
        );
    }
}

pub(super) fn sqr(_: Avx2Fma, out: &mut Element, a: &Digits) {
    // SAFETY: as in `mul`; the third argument is not read.
    unsafe {
        rustls_multibuffer_avx2fma_field25519_sqr(
            out.0.0.as_mut_ptr(),
            a.0.as_ptr(),
            std::ptr::null(),
            &CONSTANTS,
        );
    }
}

pub(super) fn add_sub(_: Avx2Fma, sum: &mut Digits, difference: &mut Digits, a: &Element, b: &Element) {
    // SAFETY: the token proves AVX2 and FMA.
    unsafe { add_sub_avx2fma(sum, difference, a, b) }
}

pub(super) fn add(_: Avx2Fma, out: &mut Digits, a: &Element, b: &Element) {
    // SAFETY: the token proves AVX2 and FMA.
    unsafe { add_avx2fma(out, a, b) }
}

pub(super) fn reduce(_: Avx2Fma, out: &mut Element, a: &Digits) {
    // SAFETY: the token proves AVX2 and FMA.
    unsafe { reduce_avx2fma(out, a) }
}

pub(super) fn sub(_: Avx2Fma, out: &mut Digits, a: &Element, b: &Element) {
    // SAFETY: the token proves AVX2 and FMA.
    unsafe { sub_avx2fma(out, a, b) }
}

pub(super) fn add_121665(_: Avx2Fma, out: &mut Digits, a: &Element, b: &Digits) {
    // SAFETY: the token proves AVX2 and FMA.
    unsafe { add_121665_avx2fma(out, a, b) }
}

pub(super) fn assign_if(_: Avx2Fma, out: &mut Digits, other: &Digits, mask: &Vec4) {
    // SAFETY: the token proves AVX2 and FMA.
    unsafe { assign_if_avx2fma(out, other, mask) }
}

pub(super) fn swap_if(_: Avx2Fma, a: &mut Digits, b: &mut Digits, x: &Element, y: &Element, mask: &Vec4) {
    // SAFETY: the token proves AVX2 and FMA.
    unsafe { swap_if_avx2fma(a, b, x, y, mask) }
}

pub(super) fn negate_if(_: Avx2Fma, out: &mut Digits, a: &Element, mask: &Vec4) {
    // SAFETY: the token proves AVX2 and FMA.
    unsafe { negate_if_avx2fma(out, a, mask) }
}

#[target_feature(enable = "avx2,fma")]
fn add_sub_avx2fma(sum: &mut Digits, difference: &mut Digits, a: &Element, b: &Element) {
    for i in 0..DIGITS {
        let (a, b) = (load(&a.0.0[i]), load(&b.0.0[i]));
        store(&mut sum.0[i], _mm256_add_pd(a, b));
        store(&mut difference.0[i], _mm256_sub_pd(a, b));
    }
}

#[target_feature(enable = "avx2,fma")]
fn add_avx2fma(out: &mut Digits, a: &Element, b: &Element) {
    for i in 0..DIGITS {
        store(&mut out.0[i], _mm256_add_pd(load(&a.0.0[i]), load(&b.0.0[i])));
    }
}

/// One carry step, in parallel: a digit's nearest multiple of 2^43 goes on to the next digit.
#[target_feature(enable = "avx2,fma")]
fn reduce_avx2fma(out: &mut Element, a: &Digits) {
    let (round, inv, wrap_inv) = (_mm256_set1_pd(ROUND), _mm256_set1_pd(INV), _mm256_set1_pd(WRAP * INV));
    let mut high = [round; DIGITS];
    let mut low = [round; DIGITS];
    for i in 0..DIGITS {
        let digit = load(&a.0[i]);
        high[i] = _mm256_sub_pd(_mm256_add_pd(digit, round), round);
        low[i] = _mm256_sub_pd(digit, high[i]);
    }
    store(&mut out.0.0[0], _mm256_fmadd_pd(high[DIGITS - 1], wrap_inv, low[0]));
    for i in 1..DIGITS {
        store(&mut out.0.0[i], _mm256_fmadd_pd(high[i - 1], inv, low[i]));
    }
}

#[target_feature(enable = "avx2,fma")]
fn sub_avx2fma(out: &mut Digits, a: &Element, b: &Element) {
    for i in 0..DIGITS {
        store(&mut out.0[i], _mm256_sub_pd(load(&a.0.0[i]), load(&b.0.0[i])));
    }
}

/// Every product is below 2^61: `high` is its multiple of 2^43 next to it, and the FMA gives the exact rest. The
/// parts above are carried once, in parallel.
#[target_feature(enable = "avx2,fma")]
fn add_121665_avx2fma(out: &mut Digits, a: &Element, b: &Digits) {
    let (factor, round) = (_mm256_set1_pd(121_665.0), _mm256_set1_pd(ROUND));
    let (inv, wrap_inv) = (_mm256_set1_pd(INV), _mm256_set1_pd(WRAP * INV));
    let mut high = [round; DIGITS];
    let mut low = [round; DIGITS];
    for i in 0..DIGITS {
        let b = load(&b.0[i]);
        high[i] = _mm256_sub_pd(_mm256_fmadd_pd(b, factor, round), round);
        low[i] = _mm256_add_pd(load(&a.0.0[i]), _mm256_fmsub_pd(b, factor, high[i]));
    }
    store(&mut out.0[0], _mm256_fmadd_pd(high[DIGITS - 1], wrap_inv, low[0]));
    for i in 1..DIGITS {
        store(&mut out.0[i], _mm256_fmadd_pd(high[i - 1], inv, low[i]));
    }
}

/// Picks with logic and not with a blend: LLVM makes a masked store of a blend with what is in memory, which takes AMD's CPUs
/// dozens of cycles.
#[target_feature(enable = "avx2,fma")]
fn assign_if_avx2fma(out: &mut Digits, other: &Digits, mask: &Vec4) {
    let mask = load(mask);
    for i in 0..DIGITS {
        let (kept, other) = (load(&out.0[i]), load(&other.0[i]));
        let change = _mm256_and_pd(_mm256_xor_pd(kept, other), mask);
        store(&mut out.0[i], _mm256_xor_pd(kept, change));
    }
}

#[target_feature(enable = "avx2,fma")]
fn swap_if_avx2fma(a: &mut Digits, b: &mut Digits, x: &Element, y: &Element, mask: &Vec4) {
    let mask = load(mask);
    for i in 0..DIGITS {
        let (x, y) = (load(&x.0.0[i]), load(&y.0.0[i]));
        let change = _mm256_and_pd(_mm256_xor_pd(x, y), mask);
        store(&mut a.0[i], _mm256_xor_pd(x, change));
        store(&mut b.0[i], _mm256_xor_pd(y, change));
    }
}

/// Changes the digits' signs.
#[target_feature(enable = "avx2,fma")]
fn negate_if_avx2fma(out: &mut Digits, a: &Element, mask: &Vec4) {
    let sign = _mm256_and_pd(load(mask), _mm256_set1_pd(-0.0));
    for i in 0..DIGITS {
        store(&mut out.0[i], _mm256_xor_pd(load(&a.0.0[i]), sign));
    }
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
    let digits = |seed| random_doubles(seed, 4 * DIGITS, RADIX - 1);
    let call = |name, function, third| {
        // SAFETY: numbers of 64 bits and, where there is a schedule, groups of 16 bytes: no padding.
        let constants = Argument::In(unsafe { words_of(&CONSTANTS) });
        let arguments = vec![Argument::Out(digits(1)), Argument::In(digits(2)), third, constants];
        Call { name, function, arguments }
    };
    let (mul, sqr) = (rustls_multibuffer_avx2fma_field25519_mul, rustls_multibuffer_avx2fma_field25519_sqr);
    vec![
        call("avx2fma_field25519_mul", mul as *const (), Argument::In(digits(3))),
        call("avx2fma_field25519_sqr", sqr as *const (), Number(0)),
    ]
}

//! The calls into `asm/avx2fma_p256_*.S`, and the kernels that are too light for assembly.

use super::{Field, RADIX};
use crate::arch::lanes::Vec4;
use crate::arch::prime::{Reduced, Sum};
use crate::arch::tier::Avx2Fma;
use std::arch::x86_64::{
    __m256d, _mm256_add_pd, _mm256_and_pd, _mm256_blendv_pd, _mm256_fmadd_pd, _mm256_load_pd, _mm256_mul_pd,
    _mm256_set1_pd, _mm256_setzero_pd, _mm256_store_pd, _mm256_sub_pd, _mm256_xor_pd,
};

crate::arch::asm::assembly!(
    include_str!("../../../../asm/avx2fma_p256.S"),
    include_str!("../../../../asm/avx2fma_p256_mul.S"),
    include_str!("../../../../asm/avx2fma_p256_sqr.S"),
);

/// The assembly functions. All need AVX2 and FMA, and pointers to whole numbers, aligned as vectors are; `out` overlaps
/// nothing else.
pub(super) mod kernels {
    use super::{P256Constants, Vec4};

    crate::arch::asm::kernels! {
    /// asm/avx2fma_p256_mul.S
    fn mul_p256(out: *mut Vec4, a: *const Vec4, b: *const Vec4, constants: *const P256Constants)
        = "rustls_multibuffer_avx2fma_p256_mul";

    /// asm/avx2fma_p256_sqr.S
    fn sqr_p256(out: *mut Vec4, unused: *const Vec4, a: *const Vec4, constants: *const P256Constants)
        = "rustls_multibuffer_avx2fma_p256_sqr";
    }
}

/// What the kernels for P-256 read; the offsets are those of `asm/avx2fma_p256.S`.
#[repr(C, align(32))]
pub(super) struct P256Constants {
    chi: [f64; 4],
    inv: [f64; 4],
    p16: [f64; 4],
    n32: [f64; 4],
}

#[cfg(test)]
impl P256Constants {
    /// All of them, in order.
    pub(super) fn words(&self) -> Vec<f64> {
        [self.chi, self.inv, self.p16, self.n32].concat()
    }
}

/// 2^exponent.
const fn power(exponent: i32) -> f64 {
    f64::from_bits(((1023 + exponent) as u64) << 52)
}

/// What added and taken away again rounds to multiples of 2^bits.
const fn round(bits: u32) -> f64 {
    1.5 * power(52 + bits as i32)
}

const INV: f64 = power(-(RADIX as i32));

pub(super) static P256_CONSTANTS: P256Constants =
    P256Constants { chi: [round(RADIX); 4], inv: [INV; 4], p16: [power(16); 4], n32: [-power(32); 4] };

pub(super) fn mul_p256(_: Avx2Fma, out: &mut Reduced<Vec4, 6>, a: &Sum<Vec4, 6>, b: &Sum<Vec4, 6>) {
    // SAFETY: the token proves AVX2 and FMA; all three are 6 vectors, aligned by their type; the borrows prove that
    // `out` overlaps nothing.
    unsafe { kernels::mul_p256(out.0.0.as_mut_ptr(), a.0.as_ptr(), b.0.as_ptr(), &P256_CONSTANTS) }
}

pub(super) fn sqr_p256(_: Avx2Fma, out: &mut Reduced<Vec4, 6>, a: &Sum<Vec4, 6>) {
    // SAFETY: as in `mul_p256`; the second argument is not read.
    unsafe { kernels::sqr_p256(out.0.0.as_mut_ptr(), std::ptr::null(), a.0.as_ptr(), &P256_CONSTANTS) }
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
        let chosen = _mm256_blendv_pd(load(out), load(other), mask);
        store(out, chosen);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::TierKind;
    use crate::arch::testing::with_tier;

    /// The kernels keep to the calling convention.
    #[test]
    fn lanes_p256_calling_convention() {
        with_tier(TierKind::Avx2Fma, Avx2Fma::detect(), |_| {
            let [a, b] = [[Vec4::default(); 6]; 2];
            let mut out = [Vec4::default(); 6];
            for kernel in [kernels::mul_p256 as *const (), kernels::sqr_p256 as *const ()] {
                let arguments = [
                    out.as_mut_ptr() as usize,
                    a.as_ptr() as usize,
                    b.as_ptr() as usize,
                    &raw const P256_CONSTANTS as usize,
                    0,
                    0,
                ];
                // SAFETY: the tier was detected; these are the arguments that both kernels take.
                let violations = unsafe { crate::arch::abi::violations(kernel, arguments) };
                assert!(violations.is_empty(), "{violations:?}");
            }
        });
    }
}

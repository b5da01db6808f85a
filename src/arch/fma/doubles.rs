//! Doubles that hold integers: the constants that cut them, and vectors of them between memory and registers.

use crate::arch::lanes::Vec4;
use std::arch::x86_64::{__m256d, __m256i, _mm256_load_pd, _mm256_load_si256, _mm256_store_pd};

/// 2^exponent.
pub(super) const fn power(exponent: i32) -> f64 {
    f64::from_bits(((1023 + exponent) as u64) << 52)
}

/// 1.5·2^(52 + bits), in a binade whose unit in the last place is 2^bits: what added and taken away again
/// rounds to multiples of that.
pub(super) const fn round(bits: i32) -> f64 {
    1.5 * power(52 + bits)
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn load(v: &Vec4) -> __m256d {
    // SAFETY: `Vec4` is 32 bytes, aligned to 32.
    unsafe { _mm256_load_pd((v as *const Vec4).cast()) }
}

/// The same as integers.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn load_words(v: &Vec4) -> __m256i {
    // SAFETY: `Vec4` is 32 bytes, aligned to 32.
    unsafe { _mm256_load_si256((v as *const Vec4).cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn store(v: &mut Vec4, value: __m256d) {
    // SAFETY: `Vec4` is 32 bytes, aligned to 32.
    unsafe { _mm256_store_pd((v as *mut Vec4).cast(), value) }
}

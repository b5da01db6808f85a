//! The calls into `asm/avx2fma_*.S`.

use super::schedule::Schedule;
use super::{SIZES, Size};
use crate::arch::lanes::{Moduli, MontLanes, Shape, Vec4};
use crate::arch::tier::Avx2Fma;
use std::arch::global_asm;
use std::arch::x86_64::{
    __m256i, _mm256_blendv_epi8, _mm256_cmpeq_epi64, _mm256_load_si256, _mm256_set1_epi64x,
    _mm256_setzero_si256, _mm256_store_si256,
};

global_asm!(include_str!(concat!(env!("OUT_DIR"), "/avx2fma.S")), options(raw));

unsafe extern "sysv64" {
    fn rustls_multibuffer_avx2fma_mont_mul(
        acc: *mut Vec4,
        b: *const Vec4,
        n: *const Vec4,
        n_inv: *const Vec4,
        scratch: *mut Vec4,
        constants: *const Constants,
        digits: u64,
    );
    fn rustls_multibuffer_avx2fma_mont_sqr(
        acc: *mut Vec4,
        unused: *const Vec4,
        n: *const Vec4,
        n_inv: *const Vec4,
        scratch: *mut Vec4,
        constants: *const Constants,
        digits: u64,
    );
}

/// What the kernels read of a shape; the offsets are those of `asm/avx2fma_columns.S`.
#[repr(C, align(32))]
struct Constants {
    /// 1.5 · 2^(52+K): its binade's unit in the last place is 2^K.
    chi: [f64; 4],
    /// 2^−K.
    inv: [f64; 4],
    budget: u64,
    low_carry: u64,
    merged: u64,
    groups: u64,
    /// Whole blocks of seven digits.
    turns: u64,
    unused: [u64; 3],
    schedule: Schedule,
}

const fn constants(size: &Size) -> Constants {
    let k = size.shape.radix_bits as u64;
    // A power of two is its biased exponent; 1.5 sets the top mantissa bit.
    let chi = f64::from_bits(((1023 + 52 + k) << 52) | (1 << 51));
    let inv = f64::from_bits((1023 - k) << 52);
    Constants {
        chi: [chi; 4],
        inv: [inv; 4],
        budget: size.budget as u64,
        low_carry: size.low_carry as u64,
        merged: size.merged as u64,
        groups: size.groups() as u64,
        turns: (size.shape.digits / super::BLOCK) as u64,
        unused: [0; 3],
        schedule: Schedule::new(size),
    }
}

static CONSTANTS: [Constants; SIZES.len()] = {
    let [a, b, c, d, e] = &SIZES;
    [constants(a), constants(b), constants(c), constants(d), constants(e)]
};

fn constants_of(shape: Shape) -> &'static Constants {
    let i = SIZES.iter().position(|s| s.shape == shape).expect("a shape that Avx2Fma::shape gave");
    &CONSTANTS[i]
}

/// Everything that the assembly relies on about slices; the checks cost nothing beside a multiplication.
fn check(acc: &[Vec4], m: Moduli<'_, Vec4>, scratch: &[Vec4]) -> u64 {
    let digits = m.shape.digits;
    assert!(acc.len() == digits && m.n.len() == digits && m.n_inv.len() == digits);
    assert!(scratch.len() >= Avx2Fma::scratch_len(m.shape));
    digits as u64
}

pub(super) fn mont_mul(_: Avx2Fma, acc: &mut [Vec4], b: &[Vec4], m: Moduli<'_, Vec4>, scratch: &mut [Vec4]) {
    let digits = check(acc, m, scratch);
    assert_eq!(b.len(), acc.len());
    // SAFETY: the token proves AVX2 and FMA; `check` and the assertion above prove the lengths; `Vec4` is aligned to
    // 32 bytes; the borrows prove that `acc` and `scratch` overlap nothing.
    unsafe {
        rustls_multibuffer_avx2fma_mont_mul(
            acc.as_mut_ptr(),
            b.as_ptr(),
            m.n.as_ptr(),
            m.n_inv.as_ptr(),
            scratch.as_mut_ptr(),
            constants_of(m.shape),
            digits,
        );
    }
}

pub(super) fn mont_sqr(_: Avx2Fma, acc: &mut [Vec4], m: Moduli<'_, Vec4>, scratch: &mut [Vec4]) {
    let digits = check(acc, m, scratch);
    // SAFETY: as in `mont_mul`; the second argument is not read.
    unsafe {
        rustls_multibuffer_avx2fma_mont_sqr(
            acc.as_mut_ptr(),
            std::ptr::null(),
            m.n.as_ptr(),
            m.n_inv.as_ptr(),
            scratch.as_mut_ptr(),
            constants_of(m.shape),
            digits,
        );
    }
}

pub(super) fn select(_: Avx2Fma, out: &mut [Vec4], table: &[Vec4], index: &[u64]) {
    let index: &[u64; 4] = index.try_into().expect("one index a lane");
    assert!(!out.is_empty() && table.len().is_multiple_of(out.len()));
    // SAFETY: the token proves AVX2.
    unsafe { select_avx2(out, table, index) }
}

#[target_feature(enable = "avx2")]
fn select_avx2(out: &mut [Vec4], table: &[Vec4], index: &[u64; 4]) {
    let digits = out.len();
    let index = load(&Vec4(*index));
    let (blocks, rest) = out.as_chunks_mut();
    for (i, block) in blocks.iter_mut().enumerate() {
        select_columns::<{ super::BLOCK }>(block, table, digits, super::BLOCK * i, index);
    }
    let start = digits - rest.len();
    for (i, digit) in rest.iter_mut().enumerate() {
        select_columns::<1>(std::array::from_mut(digit), table, digits, start + i, index);
    }
}

/// `N` digits stay in registers while all entries pass by.
#[target_feature(enable = "avx2")]
fn select_columns<const N: usize>(
    out: &mut [Vec4; N],
    table: &[Vec4],
    digits: usize,
    start: usize,
    index: __m256i,
) {
    let mut found = [_mm256_setzero_si256(); N];
    for (entry, row) in table.chunks_exact(digits).enumerate() {
        let mask = _mm256_cmpeq_epi64(index, _mm256_set1_epi64x(entry as i64));
        for (f, digit) in found.iter_mut().zip(&row[start..start + N]) {
            *f = _mm256_blendv_epi8(*f, load(digit), mask);
        }
    }
    for (o, f) in out.iter_mut().zip(found) {
        // SAFETY: `Vec4` is 32 bytes, aligned to 32.
        unsafe { _mm256_store_si256((o as *mut Vec4).cast(), f) };
    }
}

#[target_feature(enable = "avx2")]
fn load(v: &Vec4) -> __m256i {
    // SAFETY: `Vec4` is 32 bytes, aligned to 32.
    unsafe { _mm256_load_si256((v as *const Vec4).cast()) }
}

/// Every kernel once, for the tests of what all kernels have to keep to.
#[cfg(test)]
pub(in crate::arch) fn kernel_calls() -> Vec<crate::arch::calls::Call> {
    use crate::arch::calls::{Argument, Argument::Number, Call, random_doubles, words_of};
    let calls = SIZES.iter().zip(&CONSTANTS).flat_map(|(Size { shape, .. }, constants)| {
        let words = |digits| 4 * digits;
        let input = |seed| Argument::In(random_doubles(seed, words(shape.digits), shape.radix_bits - 1));
        let call = |name, function, second| {
            let acc = Argument::Out(random_doubles(1, words(shape.digits), shape.radix_bits - 1));
            let scratch = Argument::Scratch(vec![0; words(Avx2Fma::scratch_len(*shape))]);
            // SAFETY: numbers of 64 bits and, where there is a schedule, groups of 16 bytes: no padding.
            let constants = Argument::In(unsafe { words_of(constants) });
            let arguments = vec![acc, second, input(3), input(4), scratch, constants, Number(shape.digits)];
            Call { name, function, arguments }
        };
        let (mul, sqr) = (rustls_multibuffer_avx2fma_mont_mul, rustls_multibuffer_avx2fma_mont_sqr);
        [
            call("avx2fma_mont_mul", mul as *const (), input(2)),
            call("avx2fma_mont_sqr", sqr as *const (), Number(0)),
        ]
    });
    calls.collect()
}

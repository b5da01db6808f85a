//! Montgomery multiplication in AVX2+FMA lanes: four numbers of signed digits, held exactly in doubles.
//!
//! # Departures from textbook Montgomery multiplication
//!
//! 1. Digits are signed and balanced, because a rounded-off rest is: |d| ≤ 2^(K−1) plus a small excess.
//! 2. Reduction is full-width: the quotient m = (T mod R)·n' mod R is one half-product instead of N digits
//!    that wait for each other.
//! 3. Nothing is ever subtracted at the end: R exceeds n by at least 4 bits, so results stay below n in
//!    absolute value by themselves.
//! 4. The code is rolled: a few routines for passes over 7 columns, and a table (`schedule.rs`) of what to
//!    call. Unrolled code would not fit the instruction caches and is slower.

use super::doubles::{load_words, power, round, store};
use crate::arch::lanes::{Moduli, MontLanes, Shape, Vec4};
use crate::arch::tier::{Avx2Fma, TierKind};
use schedule::{BLOCK, Schedule};
use std::arch::x86_64::{
    __m256i, _mm256_blendv_epi8, _mm256_castsi256_pd, _mm256_cmpeq_epi64, _mm256_set1_epi64x,
    _mm256_setzero_si256,
};

#[cfg(test)]
mod range_proof;
mod schedule;

/// A size of modulus that the kernels serve.
struct Size {
    /// Length of the moduli in bits.
    bits: usize,
    shape: Shape,
    /// Passes of seven products that the high accumulators take between two rebases.
    budget: u8,
    /// Whether columns are so long that they must carry their low accumulators before they are added up.
    low_carry: bool,
    /// Whether the upper halves of T and m·n share their accumulators.
    merged: bool,
}

impl Size {
    /// Groups of columns in each half of a product.
    const fn groups(&self) -> usize {
        self.shape.digits.div_ceil(BLOCK)
    }
}

/// Radix 2^49 is dense, but a high accumulator then holds only two passes. Elsewhere the number of digits is
/// the least that whole groups allow, and the radix the least that it allows: that leaves room never to
/// rebase, and mostly to merge.
const SIZES: [Size; 5] = [
    dense(1024, 21, 49, false),
    roomy(1536, 33, 47),
    dense(2048, 42, 49, true),
    roomy(3072, 70, 44),
    Size { merged: false, ..roomy(4096, 91, 46) },
];

const fn dense(bits: usize, digits: usize, radix_bits: u32, low_carry: bool) -> Size {
    Size { bits, shape: Shape { digits, radix_bits }, budget: 2, low_carry, merged: false }
}

const fn roomy(bits: usize, digits: usize, radix_bits: u32) -> Size {
    Size { bits, shape: Shape { digits, radix_bits }, budget: 255, low_carry: false, merged: true }
}

impl MontLanes for Avx2Fma {
    const KIND: TierKind = TierKind::Avx2Fma;
    const LANES: usize = 4;
    const BALANCED: bool = true;
    type Vec = Vec4;

    fn shape(bits: usize) -> Option<Shape> {
        SIZES.iter().find(|s| s.bits == bits).map(|s| s.shape)
    }

    fn scratch_len(shape: Shape) -> usize {
        // MBF_D of `asm/avx2fma_columns.S`; then the product (2 N), a zero, M (N), A2 (N).
        12 + 4 * shape.digits + 1
    }

    fn set(v: &mut Vec4, lane: usize, digit: i64) {
        v.0[lane] = (digit as f64).to_bits();
    }

    fn get(v: &Vec4, lane: usize) -> i64 {
        f64::from_bits(v.0[lane]) as i64
    }

    fn assert_environment(self) {
        crate::arch::mxcsr::assert_default();
    }

    fn mul(self, acc: &mut [Vec4], b: &[Vec4], m: Moduli<'_, Vec4>, scratch: &mut [Vec4]) {
        let digits = check(acc, m, scratch);
        assert_eq!(b.len(), acc.len());
        let (n, n_inv) = (m.n.as_ptr(), m.n_inv.as_ptr());
        let (acc, scratch) = (acc.as_mut_ptr(), scratch.as_mut_ptr());
        // SAFETY: the token proves AVX2 and FMA; `check` and the assertion above prove the lengths; `Vec4` is
        // aligned to 32 bytes; the borrows prove that `acc` and `scratch` overlap nothing.
        unsafe { kernels::mul(acc, b.as_ptr(), n, n_inv, scratch, constants_of(m.shape), digits) }
    }

    fn sqr(self, acc: &mut [Vec4], m: Moduli<'_, Vec4>, scratch: &mut [Vec4]) {
        let digits = check(acc, m, scratch);
        let (n, n_inv) = (m.n.as_ptr(), m.n_inv.as_ptr());
        let (acc, scratch) = (acc.as_mut_ptr(), scratch.as_mut_ptr());
        // SAFETY: as in `mul`; the second argument is not read.
        unsafe { kernels::sqr(acc, std::ptr::null(), n, n_inv, scratch, constants_of(m.shape), digits) }
    }

    fn select(self, out: &mut [Vec4], table: &[Vec4], index: &[u64]) {
        let index: &[u64; 4] = index.try_into().expect("one index a lane");
        assert!(!out.is_empty() && table.len().is_multiple_of(out.len()));
        // SAFETY: the token proves AVX2.
        unsafe { select(out, table, index) }
    }
}

/// The assembly functions. Both need AVX2 and FMA, and pointers to whole numbers.
mod kernels {
    use super::{Constants, Vec4};

    unsafe extern "sysv64" {
        /// asm/avx2fma_mont_mul.S
        #[link_name = "rustls_multibuffer_avx2fma_mont_mul"]
        pub(super) fn mul(
            acc: *mut Vec4,
            b: *const Vec4,
            n: *const Vec4,
            n_inv: *const Vec4,
            scratch: *mut Vec4,
            constants: *const Constants,
            digits: u64,
        );

        /// asm/avx2fma_mont_sqr.S
        #[link_name = "rustls_multibuffer_avx2fma_mont_sqr"]
        pub(super) fn sqr(
            acc: *mut Vec4,
            unused: *const Vec4,
            n: *const Vec4,
            n_inv: *const Vec4,
            scratch: *mut Vec4,
            constants: *const Constants,
            digits: u64,
        );
    }
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
    let k = size.shape.radix_bits as i32;
    Constants {
        chi: [round(k); 4],
        inv: [power(-k); 4],
        budget: size.budget as u64,
        low_carry: size.low_carry as u64,
        merged: size.merged as u64,
        groups: size.groups() as u64,
        turns: (size.shape.digits / BLOCK) as u64,
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

#[target_feature(enable = "avx2")]
fn select(out: &mut [Vec4], table: &[Vec4], index: &[u64; 4]) {
    let digits = out.len();
    let index = load_words(&Vec4(*index));
    let (blocks, rest) = out.as_chunks_mut();
    for (i, block) in blocks.iter_mut().enumerate() {
        select_columns::<BLOCK>(block, table, digits, BLOCK * i, index);
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
            *f = _mm256_blendv_epi8(*f, load_words(digit), mask);
        }
    }
    for (o, f) in out.iter_mut().zip(found) {
        store(o, _mm256_castsi256_pd(f));
    }
}

/// Every kernel once, for the tests of what all kernels have to keep to.
#[cfg(test)]
pub(super) fn kernel_calls() -> Vec<crate::arch::tests::calls::Call> {
    use crate::arch::tests::calls::{Argument, Argument::Number, Call, random_doubles, words_of};
    let calls = SIZES.iter().zip(&CONSTANTS).flat_map(|(Size { shape, .. }, constants)| {
        let words = |digits| 4 * digits;
        let input = |seed| Argument::In(random_doubles(seed, words(shape.digits), shape.radix_bits - 1));
        let call = |name, function, second| {
            let acc = Argument::Out(random_doubles(1, words(shape.digits), shape.radix_bits - 1));
            let scratch = Argument::Scratch(vec![0; words(Avx2Fma::scratch_len(*shape))]);
            // SAFETY: numbers of 64 bits, and a schedule's groups, which are 16 bytes: no padding.
            let constants = Argument::In(unsafe { words_of(constants) });
            let arguments = vec![acc, second, input(3), input(4), scratch, constants, Number(shape.digits)];
            Call { name, function, arguments }
        };
        [
            call("avx2fma_mont_mul", kernels::mul as *const (), input(2)),
            call("avx2fma_mont_sqr", kernels::sqr as *const (), Number(0)),
        ]
    });
    calls.collect()
}

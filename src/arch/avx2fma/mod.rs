//! The AVX2+FMA lane kernels: four numbers of signed digits, held exactly in doubles.
//!
//! # The picture
//!
//! AVX2 has no wide integer multiplier, but two FMA pipes. A double holds any integer up to 2^53; an FMA of two
//! 49-bit integers rounds their 98-bit product only once. Choose the addend so that the rounding happens at a known
//! bit, subtract what was rounded off, and a second FMA gives the rest *exactly*: two halves of a product, each in
//! a double, no integer instruction involved (`asm/avx2fma_columns.S` has the formula).
//!
//! Every number here is an exact integer. No denormal, infinity or NaN can occur: unused lanes hold zero, and the
//! bounds of `range_proof.rs` keep every sum below 2^53 units. The rounding mode must be the default one, to
//! nearest, with exceptions masked: a batch sets that (`arch/mxcsr.rs`), and it is asserted once a batch.
//!
//! # Departures from textbook Montgomery multiplication
//!
//! 1. Digits are signed and balanced, because a rounded-off rest is: |d| ≤ 2^(K−1) plus a small excess.
//! 2. Reduction is full-width: the quotient m = (T mod R)·n' mod R is one half-product instead of N digits that
//!    wait for each other.
//! 3. Nothing is ever subtracted at the end: R exceeds n by at least 4 bits, so results stay below n in absolute
//!    value by themselves.
//! 4. The code is rolled: a few routines for passes over 7 columns, and a table (`schedule.rs`) of what to call.
//!    Unrolled code would not fit the instruction caches and is slower.

use super::lanes::{Moduli, MontLanes, Shape, Vec4};
use super::tier::{Avx2Fma, TierKind};
use schedule::BLOCK;

mod field25519;
mod prime;
#[cfg(test)]
mod range_proof;
mod schedule;
mod x86_64;

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

/// Radix 2^49 is dense, but a high accumulator then holds only two passes. Elsewhere the number of digits is the
/// least that whole groups allow, and the radix the least that it allows: that leaves room never to rebase, and mostly
/// to merge.
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
        x86_64::mont_mul(self, acc, b, m, scratch);
    }

    fn sqr(self, acc: &mut [Vec4], m: Moduli<'_, Vec4>, scratch: &mut [Vec4]) {
        x86_64::mont_sqr(self, acc, m, scratch);
    }

    fn select(self, out: &mut [Vec4], table: &[Vec4], index: &[u64]) {
        x86_64::select(self, out, table, index);
    }
}

/// Every kernel once, for the tests of what all kernels have to keep to.
#[cfg(test)]
pub(super) fn kernel_calls() -> Vec<super::calls::Call> {
    let parts = [x86_64::kernel_calls(), field25519::kernel_calls(), prime::kernel_calls()];
    parts.into_iter().flatten().collect()
}

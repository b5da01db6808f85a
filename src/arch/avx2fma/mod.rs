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
//! nearest, with exceptions masked, as Rust leaves it; that is asserted once a batch.
//!
//! # Departures from textbook Montgomery multiplication
//!
//! 1. Digits are signed and balanced, because a rounded-off rest is: |d| ≤ 2^(K−1) plus a small excess.
//! 2. Reduction is full-width: the quotient m = (T mod R)·n' mod R is one half-product instead of N digits that
//!    wait for each other.
//! 3. Nothing is ever subtracted at the end: R exceeds n by at least 4 bits, so results stay below n in absolute
//!    value by themselves.

use super::lanes::{Moduli, MontLanes, Shape, Vec4};
use super::tier::{Avx2Fma, TierKind};

#[cfg(test)]
mod range_proof;
#[cfg(target_arch = "x86_64")]
mod x86_64;

/// Digits of a block: the kernels work on seven columns at a time.
const BLOCK: usize = 7;

/// A size of modulus that the kernels serve.
struct Size {
    /// Length of the moduli in bits.
    bits: usize,
    shape: Shape,
    /// Passes of seven products that the high accumulators take between two rebases.
    budget: u64,
    /// Whether columns are so long that a rebase must carry the low accumulators as well.
    low_carry: bool,
}

const fn size(bits: usize, blocks: usize, radix_bits: u32, budget: u64, low_carry: bool) -> Size {
    Size { bits, shape: Shape { digits: blocks * BLOCK, radix_bits }, budget, low_carry }
}

/// Digits come in blocks of seven, so the radix is chosen to make the blocks come out. Radix 2^49 is dense, but a
/// high accumulator then holds only two passes; where a block more allows a smaller radix, no rebase is needed.
const SIZES: [Size; 5] = [
    size(1024, 3, 49, 2, false),
    size(1536, 5, 45, u64::MAX >> 33, false),
    size(2048, 6, 49, 2, true),
    size(3072, 10, 44, u64::MAX >> 33, false),
    size(4096, 13, 46, u64::MAX >> 33, false),
];

impl MontLanes for Avx2Fma {
    const KIND: TierKind = TierKind::Avx2Fma;
    const LANES: usize = 4;
    const BALANCED: bool = true;
    type Vec = Vec4;

    fn shape(bits: usize) -> Option<Shape> {
        SIZES.iter().find(|s| s.bits == bits).map(|s| s.shape)
    }

    fn scratch_len(shape: Shape) -> usize {
        // Two carries, seven columns of X, D (2 N), a zero, M (N), A2 (N).
        2 + BLOCK + 4 * shape.digits + 1
    }

    fn set(v: &mut Vec4, lane: usize, digit: i64) {
        v.0[lane] = (digit as f64).to_bits();
    }

    fn get(v: &Vec4, lane: usize) -> i64 {
        f64::from_bits(v.0[lane]) as i64
    }

    fn assert_environment(self) {
        #[cfg(target_arch = "x86_64")]
        x86_64::assert_rounding();
    }

    fn mul(self, acc: &mut [Vec4], b: &[Vec4], m: Moduli<'_, Vec4>, scratch: &mut [Vec4]) {
        #[cfg(target_arch = "x86_64")]
        x86_64::mont_mul(self, acc, b, m, scratch);
    }

    fn sqr(self, acc: &mut [Vec4], m: Moduli<'_, Vec4>, scratch: &mut [Vec4]) {
        #[cfg(target_arch = "x86_64")]
        x86_64::mont_sqr(self, acc, m, scratch);
    }

    fn select(self, out: &mut [Vec4], table: &[Vec4], index: &[u64]) {
        #[cfg(target_arch = "x86_64")]
        x86_64::select(self, out, table, index);
    }
}

//! The field of 2^255 − 19 elements in AVX2+FMA lanes: six signed digits of 43 bits, held exactly in doubles.
//!
//! 6 · 43 = 258 bits, and 2^258 = 152: what a multiplication carries out of the last column comes back into
//! the first, times 152. Exact products are made as in [the Montgomery kernels](super::montgomery). What is
//! different:
//!
//! 1. There is no reduction apart from that: the 36 products go into 6 columns at once.
//! 2. The products are split at bit 45, not 43, because columns are longer by the factor 152. That leaves
//!    room for operands that are sums, so that additions need no carries.
//! 3. A result's one carry step is parallel: digits may exceed half the radix by a little, [`EXCESS`].

use super::doubles::{load, power, round, store};
use crate::arch::field25519::{Element, Field25519Lanes, Reduced, Sum};
use crate::arch::lanes::Vec4;
use crate::arch::tier::{Avx2Fma, TierKind};
use std::arch::x86_64::{
    _mm256_add_pd, _mm256_and_pd, _mm256_fmadd_pd, _mm256_fmsub_pd, _mm256_set1_pd, _mm256_sub_pd,
    _mm256_xor_pd,
};

#[cfg(test)]
mod range_proof;

const DIGITS: usize = 6;
const RADIX: u32 = 43;

/// How much further from zero than half the radix a reduced digit may be.
#[cfg(test)]
const EXCESS: i64 = 1 << 25;

/// Half the radix in every digit but the last, in limbs.
const HALVES: [u64; 4] = spread([1 << 42, 1 << 42, 1 << 42, 1 << 42, 1 << 42, 0]);

/// 8p, in digits that are larger than any reduced one.
const EIGHT_P: [i64; DIGITS] =
    [(1 << 43) - 152, (1 << 43) - 1, (1 << 43) - 1, (1 << 43) - 1, (1 << 43) - 1, (1 << 43) - 1];

type Digits = Sum<Vec4, DIGITS>;

/// Σ dᵢ·2^(43·i) for digits below 2^43 and a sum below 2^256, in limbs.
const fn spread(digits: [u64; DIGITS]) -> [u64; 4] {
    let mut limbs = [0; 4];
    let mut i = 0;
    while i < DIGITS {
        let (limb, shift) = (43 * i / 64, 43 * i % 64);
        limbs[limb] |= digits[i] << shift;
        if shift > 64 - 43 && limb < 3 {
            limbs[limb + 1] |= digits[i] >> (64 - shift);
        }
        i += 1;
    }
    limbs
}

/// Bits 43·i to 43·i + 42 of a number.
fn bits(x: &[u64; 4], i: usize) -> u64 {
    let (limb, shift) = (RADIX as usize * i / 64, RADIX as usize * i % 64);
    let high = x.get(limb + 1).copied().unwrap_or(0);
    ((u128::from(x[limb]) | (u128::from(high) << 64)) >> shift) as u64 & ((1 << RADIX) - 1)
}

impl Field25519Lanes for Avx2Fma {
    const KIND: TierKind = TierKind::Avx2Fma;
    const LANES: usize = 4;
    type Mask = Vec4;
    type Sum = Digits;
    type Reduced = Reduced<Vec4, DIGITS>;

    fn assert_environment(self) {
        crate::arch::mxcsr::assert_default();
    }

    /// Adds half the radix to every digit but the last, and takes it away again after the number was cut into
    /// digits: that balances them without carries.
    fn set(out: &mut Self::Reduced, lane: usize, limbs: &[u64; 4]) {
        debug_assert!(limbs[3] >> 63 == 0);
        let mut carry = 0;
        let raised = std::array::from_fn(|i| {
            let sum = u128::from(limbs[i]) + u128::from(HALVES[i]) + carry;
            carry = sum >> 64;
            sum as u64
        });
        for (i, v) in out.0.0.iter_mut().enumerate() {
            let half = if i + 1 < DIGITS { 1 << (RADIX - 1) } else { 0 };
            v.0[lane] = ((bits(&raised, i) as i64 - half) as f64).to_bits();
        }
    }

    /// Adds 8p, which makes every digit positive.
    fn get(element: &Self::Reduced, lane: usize) -> Element {
        let mut wide = [0u64; 5];
        let (mut pending, mut pending_bits, mut limb) = (0u128, 0, 0);
        for (v, lift) in element.0.0.iter().zip(EIGHT_P) {
            // Digits overlap by a bit: what `pending` holds beyond its bits is a carry.
            pending += ((f64::from_bits(v.0[lane]) as i64 + lift) as u128) << pending_bits;
            pending_bits += RADIX;
            if pending_bits >= 64 {
                wide[limb] = pending as u64;
                (pending, pending_bits, limb) = (pending >> 64, pending_bits - 64, limb + 1);
            }
        }
        wide[limb] = pending as u64;
        Element::from_wide(&wide)
    }

    fn add_sub(self, sum: &mut Self::Sum, difference: &mut Self::Sum, a: &Self::Reduced, b: &Self::Reduced) {
        // SAFETY: the token proves AVX2 and FMA.
        unsafe { add_sub(sum, difference, a, b) }
    }

    fn add(self, out: &mut Self::Sum, a: &Self::Reduced, b: &Self::Reduced) {
        // SAFETY: the token proves AVX2 and FMA.
        unsafe { add(out, a, b) }
    }

    fn sub(self, out: &mut Self::Sum, a: &Self::Reduced, b: &Self::Reduced) {
        // SAFETY: the token proves AVX2 and FMA.
        unsafe { sub(out, a, b) }
    }

    fn reduce(self, out: &mut Self::Reduced, a: &Self::Sum) {
        // SAFETY: the token proves AVX2 and FMA.
        unsafe { reduce(out, a) }
    }

    fn mul(self, out: &mut Self::Reduced, a: &Self::Sum, b: &Self::Sum) {
        // SAFETY: the token proves AVX2 and FMA; all three are 6 vectors, aligned to 32 bytes; the borrows
        // prove that `out` overlaps nothing.
        unsafe { kernels::mul(out.0.0.as_mut_ptr(), a.0.as_ptr(), b.0.as_ptr(), &CONSTANTS) }
    }

    fn sqr(self, out: &mut Self::Reduced, a: &Self::Sum) {
        // SAFETY: as in `mul`; the third argument is not read.
        unsafe { kernels::sqr(out.0.0.as_mut_ptr(), a.0.as_ptr(), std::ptr::null(), &CONSTANTS) }
    }

    fn add_121665(self, out: &mut Self::Sum, a: &Self::Reduced, b: &Self::Sum) {
        // SAFETY: the token proves AVX2 and FMA.
        unsafe { add_121665(out, a, b) }
    }

    fn assign_if(self, out: &mut Self::Sum, other: &Self::Sum, mask: &Vec4) {
        // SAFETY: the token proves AVX2 and FMA.
        unsafe { assign_if(out, other, mask) }
    }

    fn swap_if(
        self,
        a: &mut Self::Sum,
        b: &mut Self::Sum,
        x: &Self::Reduced,
        y: &Self::Reduced,
        mask: &Vec4,
    ) {
        // SAFETY: the token proves AVX2 and FMA.
        unsafe { swap_if(a, b, x, y, mask) }
    }

    fn negate_if(self, out: &mut Self::Sum, a: &Self::Reduced, mask: &Vec4) {
        // SAFETY: the token proves AVX2 and FMA.
        unsafe { negate_if(out, a, mask) }
    }
}

/// The assembly functions. Both need AVX2 and FMA, and pointers to whole elements.
mod kernels {
    use super::{Constants, Vec4};

    unsafe extern "sysv64" {
        /// asm/avx2fma_field25519_mul.S
        #[link_name = "rustls_multibuffer_avx2fma_field25519_mul"]
        pub(super) fn mul(out: *mut Vec4, a: *const Vec4, b: *const Vec4, constants: *const Constants);

        /// asm/avx2fma_field25519_sqr.S
        #[link_name = "rustls_multibuffer_avx2fma_field25519_sqr"]
        pub(super) fn sqr(out: *mut Vec4, a: *const Vec4, unused: *const Vec4, constants: *const Constants);
    }
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

const ROUND: f64 = round(RADIX as i32);
const INV: f64 = power(-(RADIX as i32));
const WRAP: f64 = 152.0;

static CONSTANTS: Constants = Constants {
    chi: [round(45); 4],
    round: [ROUND; 4],
    inv: [INV; 4],
    wrap: [WRAP; 4],
    wrap_inv: [WRAP * INV; 4],
};

#[target_feature(enable = "avx2,fma")]
fn add_sub(sum: &mut Digits, difference: &mut Digits, a: &Reduced<Vec4, DIGITS>, b: &Reduced<Vec4, DIGITS>) {
    for i in 0..DIGITS {
        let (a, b) = (load(&a.0.0[i]), load(&b.0.0[i]));
        store(&mut sum.0[i], _mm256_add_pd(a, b));
        store(&mut difference.0[i], _mm256_sub_pd(a, b));
    }
}

#[target_feature(enable = "avx2,fma")]
fn add(out: &mut Digits, a: &Reduced<Vec4, DIGITS>, b: &Reduced<Vec4, DIGITS>) {
    for i in 0..DIGITS {
        store(&mut out.0[i], _mm256_add_pd(load(&a.0.0[i]), load(&b.0.0[i])));
    }
}

/// One carry step, in parallel: a digit's nearest multiple of 2^43 goes on to the next digit.
#[target_feature(enable = "avx2,fma")]
fn reduce(out: &mut Reduced<Vec4, DIGITS>, a: &Digits) {
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
fn sub(out: &mut Digits, a: &Reduced<Vec4, DIGITS>, b: &Reduced<Vec4, DIGITS>) {
    for i in 0..DIGITS {
        store(&mut out.0[i], _mm256_sub_pd(load(&a.0.0[i]), load(&b.0.0[i])));
    }
}

/// Every product is below 2^61: `high` is its multiple of 2^43 next to it, and the FMA gives the exact rest.
/// The parts above are carried once, in parallel.
#[target_feature(enable = "avx2,fma")]
fn add_121665(out: &mut Digits, a: &Reduced<Vec4, DIGITS>, b: &Digits) {
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

/// Picks with logic and not with a blend: LLVM makes a masked store of a blend with what is in memory, which
/// takes AMD's CPUs dozens of cycles.
#[target_feature(enable = "avx2,fma")]
fn assign_if(out: &mut Digits, other: &Digits, mask: &Vec4) {
    let mask = load(mask);
    for i in 0..DIGITS {
        let (kept, other) = (load(&out.0[i]), load(&other.0[i]));
        let change = _mm256_and_pd(_mm256_xor_pd(kept, other), mask);
        store(&mut out.0[i], _mm256_xor_pd(kept, change));
    }
}

#[target_feature(enable = "avx2,fma")]
fn swap_if(
    a: &mut Digits,
    b: &mut Digits,
    x: &Reduced<Vec4, DIGITS>,
    y: &Reduced<Vec4, DIGITS>,
    mask: &Vec4,
) {
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
fn negate_if(out: &mut Digits, a: &Reduced<Vec4, DIGITS>, mask: &Vec4) {
    let sign = _mm256_and_pd(load(mask), _mm256_set1_pd(-0.0));
    for i in 0..DIGITS {
        store(&mut out.0[i], _mm256_xor_pd(load(&a.0.0[i]), sign));
    }
}

/// Every kernel once, for the tests of what all kernels have to keep to.
#[cfg(test)]
pub(super) fn kernel_calls() -> [crate::arch::tests::calls::Call; 2] {
    use crate::arch::tests::calls::{Argument, Argument::Number, Call, random_doubles, words_of};
    let digits = |seed| random_doubles(seed, 4 * DIGITS, RADIX - 1);
    let call = |name, function, third| {
        // SAFETY: doubles, without padding.
        let constants = Argument::In(unsafe { words_of(&CONSTANTS) });
        let arguments = vec![Argument::Out(digits(1)), Argument::In(digits(2)), third, constants];
        Call { name, function, arguments }
    };
    [
        call("avx2fma_field25519_mul", kernels::mul as *const (), Argument::In(digits(3))),
        call("avx2fma_field25519_sqr", kernels::sqr as *const (), Number(0)),
    ]
}

//! The fields of the curves in IFMA lanes, for both tiers: unsigned digits of 52 bits.
//!
//! A kernel is written once, over [`Words`]: a register that holds one 64-bit word of every lane. It is
//! compiled for either tier, inlined into functions that have the tier's features.
//!
//! Four habits are common to all fields here:
//!
//! 1. **A digit's upper bits need not be cleared.** The multiplier reads the low 52 bits of its factors and
//!    nothing else. So a [`Sum`](crate::arch::number::Sum), which is only ever multiplied, keeps in the upper
//!    12 bits of each digit what was already carried to the next one. The last digit, which carries to none,
//!    has to fit. The digits of a [`Reduced`](crate::arch::number::Reduced) element are clean.
//! 2. **Differences are lifted** by a multiple of p whose digits are larger than what is subtracted: all
//!    words are unsigned, and shifts carry no sign.
//! 3. **Multiples of p are subtracted before carries are propagated.** The last column alone tells how many,
//!    so one chain of carries does for both.
//! 4. **Bounds are code.** [`Words::below`] says how large a word can be. It compiles to nothing; the range
//!    proof runs the same kernels on intervals, where it is checked, and where a word that could leave 64
//!    bits is an error.

#[cfg(all(test, target_os = "linux"))]
mod counts;
#[cfg(test)]
mod digit_tests;
mod field25519;
mod jacobian;
mod kernels;
mod lookup;
pub(super) mod montgomery;
mod p256;
mod p384;
#[cfg(test)]
mod plain;
mod prime;
#[cfg(test)]
mod range_proof;
mod vectors;

#[cfg(test)]
pub(crate) use plain::PlainIfma;

/// Bits of a digit.
const RADIX: u32 = 52;
const MASK: u64 = (1 << RADIX) - 1;

/// One 64-bit word of every lane, in a register.
///
/// Arithmetic is modulo 2^64; kernels never rely on that but where they say so.
trait Words: Copy {
    /// The words in memory.
    type Vec;
    /// The proof that the CPU has the instructions.
    type Token: Copy;

    fn load(token: Self::Token, from: &Self::Vec) -> Self;
    fn store(self, to: &mut Self::Vec);
    /// The same word in every lane.
    fn splat(token: Self::Token, word: u64) -> Self;
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn and(self, other: Self) -> Self;
    fn shl(self, bits: u32) -> Self;
    fn shr(self, bits: u32) -> Self;
    /// `self` plus the low 52 bits of the product of the low 52 bits of a and b.
    fn madd_lo(self, a: Self, b: Self) -> Self;
    /// `self` plus bits 52 to 103 of the product of the low 52 bits of a and b.
    fn madd_hi(self, a: Self, b: Self) -> Self;
    /// `other` in lanes where `mask` is all ones, `self` where it is zero.
    fn choose(self, other: Self, mask: Self) -> Self;
    /// All ones where bit 63 is set, else zero.
    fn top_bit(self) -> Self;
    /// States that every word is below `end`.
    #[inline(always)]
    fn below(self, _end: u64) -> Self {
        self
    }
    /// States that no word is negative, because of what the number is that it is the last digit of.
    #[inline(always)]
    fn not_negative(self) -> Self {
        self
    }
}

/// Repeats a block for every value of an index below 8 and below a bound, so that indices into arrays of
/// registers are constants, however large the block is.
macro_rules! unrolled {
    ($i:ident < $end:expr => $block:block) => {
        unrolled!(@ $i $end, $block, 0 1 2 3 4 5 6 7)
    };
    (@ $i:ident $end:expr, $block:block, $($value:literal)*) => {$(
        if $value < $end {
            let $i: usize = $value;
            $block
        }
    )*};
}
use unrolled;

#[inline(always)]
fn load<W: Words, const D: usize>(token: W::Token, from: &[W::Vec; D]) -> [W; D] {
    let mut words = [W::splat(token, 0); D];
    for (word, from) in words.iter_mut().zip(from) {
        *word = W::load(token, from);
    }
    words
}

#[inline(always)]
fn store<W: Words, const D: usize>(words: [W; D], to: &mut [W::Vec; D]) {
    for (word, to) in words.into_iter().zip(to) {
        word.store(to);
    }
}

#[inline(always)]
fn splat<W: Words, const D: usize>(token: W::Token, from: [u64; D]) -> [W; D] {
    let mut words = [W::splat(token, 0); D];
    for (word, from) in words.iter_mut().zip(from) {
        *word = W::splat(token, from);
    }
    words
}

/// Adds to each digit what the one before it has beyond 52 bits, and leaves it there as well.
#[inline(always)]
fn carry<W: Words, const D: usize>(x: &mut [W; D]) {
    for i in 1..D {
        x[i] = x[i].add(x[i - 1].shr(RADIX));
    }
}

/// Clears what was carried.
#[inline(always)]
fn clean<W: Words, const D: usize>(token: W::Token, x: &mut [W; D]) {
    let mask = W::splat(token, MASK);
    for digit in &mut x[..D - 1] {
        *digit = digit.and(mask);
    }
}

#[inline(always)]
fn add<W: Words, const D: usize>(a: &[W; D], b: &[W; D]) -> [W; D] {
    let mut sum = *a;
    for (sum, b) in sum.iter_mut().zip(b) {
        *sum = sum.add(*b);
    }
    sum
}

#[inline(always)]
fn sub<W: Words, const D: usize>(a: &[W; D], b: &[W; D]) -> [W; D] {
    let mut difference = *a;
    for (difference, b) in difference.iter_mut().zip(b) {
        *difference = difference.sub(*b);
    }
    difference
}

#[inline(always)]
fn choose<W: Words, const D: usize>(a: &[W; D], b: &[W; D], mask: W) -> [W; D] {
    let mut chosen = *a;
    for (chosen, b) in chosen.iter_mut().zip(b) {
        *chosen = chosen.choose(*b, mask);
    }
    chosen
}

/// n times the number with these digits, in other digits: all but the last are at least (h − 1)·2^52.
const fn lifted<const D: usize>(p: [u64; D], n: u64, h: u64) -> [u64; D] {
    let mut digits = [0; D];
    let (mut i, mut carry) = (0, 0);
    while i < D {
        let sum = p[i] as u128 * n as u128 + carry;
        carry = sum >> RADIX;
        digits[i] = if i + 1 < D { (sum as u64 & MASK) + (h << RADIX) } else { sum as u64 };
        if i > 0 {
            digits[i] -= h;
        }
        i += 1;
    }
    digits
}

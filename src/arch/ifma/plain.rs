//! The kernels on plain words, four lanes of them: for tests of the kernels' source where no CPU has IFMA,
//! without an emulator.
//!
//! [`PlainIfma`] is a tier for tests: it implements what the IFMA tiers implement, and runs through the tests
//! of every tier. What it leaves out is the compiler's part: the instructions behind [`Words`].

use super::{MASK, RADIX, Words};
use crate::arch::lanes::Vec4;
use crate::arch::lookup::{LookupLanes, SharedTable};
use crate::arch::tier::{Portable, Tier};

/// The token of the plain words, which every CPU has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlainIfma;

/// Four lanes.
#[derive(Clone, Copy)]
pub(super) struct Plain([u64; 4]);

impl Plain {
    fn zip(self, other: Self, f: impl Fn(u64, u64) -> u64) -> Self {
        Self(std::array::from_fn(|lane| f(self.0[lane], other.0[lane])))
    }

    /// `self` plus a part of the product of the low 52 bits.
    fn madd(self, a: Self, b: Self, part: impl Fn(u128) -> u128) -> Self {
        let product = a.zip(b, |a, b| part(u128::from(a & MASK) * u128::from(b & MASK)) as u64);
        self.add(product)
    }
}

impl Words for Plain {
    type Vec = Vec4;
    type Token = PlainIfma;

    fn load(_: PlainIfma, from: &Vec4) -> Self {
        Self(from.0)
    }

    fn store(self, to: &mut Vec4) {
        to.0 = self.0;
    }

    fn splat(_: PlainIfma, word: u64) -> Self {
        Self([word; 4])
    }

    fn add(self, other: Self) -> Self {
        self.zip(other, u64::wrapping_add)
    }

    fn sub(self, other: Self) -> Self {
        self.zip(other, u64::wrapping_sub)
    }

    fn and(self, other: Self) -> Self {
        self.zip(other, |a, b| a & b)
    }

    fn shl(self, bits: u32) -> Self {
        Self(self.0.map(|word| word << bits))
    }

    fn shr(self, bits: u32) -> Self {
        Self(self.0.map(|word| word >> bits))
    }

    fn madd_lo(self, a: Self, b: Self) -> Self {
        self.madd(a, b, |product| product & u128::from(MASK))
    }

    fn madd_hi(self, a: Self, b: Self) -> Self {
        self.madd(a, b, |product| product >> RADIX)
    }

    fn choose(self, other: Self, mask: Self) -> Self {
        let kept = self.zip(mask, |word, mask| word & !mask);
        kept.zip(other.and(mask), |a, b| a | b)
    }

    fn top_bit(self) -> Self {
        Self(self.0.map(|word| (word >> 63).wrapping_neg()))
    }

    fn below(self, end: u64) -> Self {
        assert!(self.0.iter().all(|word| *word < end), "{:x?} is not below {end:x}", self.0);
        self
    }

    fn not_negative(self) -> Self {
        assert!(self.0.iter().all(|word| word >> 63 == 0), "{:x?} has a negative word", self.0);
        self
    }
}

fn portable() -> Portable {
    match Tier::portable() {
        Tier::Portable(token) => token,
        other => unreachable!("{other:?}"),
    }
}

impl LookupLanes<Vec4> for PlainIfma {
    fn select_own(self, out: &mut [Vec4], table: &[Vec4], entry_len: usize, start: usize, index: &Vec4) {
        portable().select_own(out, table, entry_len, start, index);
    }

    fn select_shared(self, out: &mut [Vec4], table: &SharedTable<Vec4>, start: usize, index: &Vec4) {
        portable().select_shared(out, table, start, index);
    }
}

mod fuzz;

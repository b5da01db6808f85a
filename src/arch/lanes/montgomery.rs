//! The lane trait: Montgomery arithmetic on one operand per lane, each lane with a modulus of its own.
//!
//! Algorithms above this layer are written once over [`MontLanes`]; a tier supplies the representation and
//! the three kernels. Numbers are stored **limb-major**: a number of `d` digits for `L` lanes is a slice of
//! `d` vectors, vector `i` holding digit `i` of every lane. All kernels are constant-time: their instruction
//! and address traces depend on the lengths alone.

use crate::arch::tier::TierKind;
use std::fmt::Debug;
use zeroize::{DefaultIsZeroes, Zeroize};

/// Digit `i` of four lanes. Aligned so that kernels may use aligned loads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(32))]
pub struct Vec4(pub [u64; 4]);

/// Digit `i` of eight lanes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Vec8(pub [u64; 8]);

/// The storage behind one digit of every lane: an aligned array of 64-bit words.
pub trait LaneVec:
    Copy + Default + Debug + Zeroize + AsRef<[u64]> + AsMut<[u64]> + Send + Sync + 'static
{
}

macro_rules! lane_vec {
    ($name:ident) => {
        impl DefaultIsZeroes for $name {}
        impl AsRef<[u64]> for $name {
            fn as_ref(&self) -> &[u64] {
                &self.0
            }
        }
        impl AsMut<[u64]> for $name {
            fn as_mut(&mut self) -> &mut [u64] {
                &mut self.0
            }
        }
        impl LaneVec for $name {}
    };
}
lane_vec!(Vec4);
lane_vec!(Vec8);

/// How a tier writes numbers of one size: `digits` digits of `radix_bits` bits, R = 2^(digits · radix_bits).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Digits of a number.
    pub digits: usize,
    /// Bits of a digit.
    pub radix_bits: u32,
}

impl Shape {
    /// The binary logarithm of R.
    pub fn r_bits(self) -> usize {
        self.digits * self.radix_bits as usize
    }
}

/// The moduli of a batch, one per lane, in the tier's digits.
#[derive(Clone, Copy, Debug)]
pub struct Moduli<'a, V> {
    /// The digits' size and count.
    pub shape: Shape,
    /// n, odd in every lane.
    pub n: &'a [V],
    /// −n⁻¹ mod R. Word-serial kernels read digit 0 only.
    pub n_inv: &'a [V],
}

/// How much further from zero than half the radix a reduced balanced digit may be: what one parallel carry
/// step leaves.
pub const EXCESS: i64 = 128;

/// Montgomery multiplication of `LANES` independent numbers at once.
///
/// **Almost-Montgomery form.** A number stands for its residue class: kernels accept and give any
/// representative v with |v| < 2n in digits that are *reduced* (below). Balanced tiers use signed digits and
/// signed representatives; unsigned ones give 0 ≤ v < 2n.
///
/// **Reduced digits.** Unsigned: 0 ≤ d < 2^radix_bits. Balanced: |d| ≤ 2^(radix_bits − 1) + [`EXCESS`].
///
/// **Unused lanes** hold zero in every operand and give zero.
pub trait MontLanes: Copy + Debug + Send + 'static {
    /// The tier that the kernels belong to.
    const KIND: TierKind;
    /// Lanes of a kernel.
    const LANES: usize;
    /// Whether digits are signed and balanced around zero.
    const BALANCED: bool;
    /// One digit of every lane.
    type Vec: LaneVec;

    /// The shape for moduli of exactly `bits` bits, if the tier has kernels for them: R ≥ 16·2^bits.
    fn shape(bits: usize) -> Option<Shape>;

    /// Vectors of scratch space that [`MontLanes::mul`] and [`MontLanes::sqr`] need. The caller wipes it.
    fn scratch_len(shape: Shape) -> usize;

    /// Stores a digit of one lane. `digit` is reduced, or any integer below 2^52 in absolute value that a
    /// later kernel's contract allows.
    fn set(v: &mut Self::Vec, lane: usize, digit: i64);

    /// Reads a digit of one lane.
    fn get(v: &Self::Vec, lane: usize) -> i64;

    /// Asserts, once a batch, what the kernels need of the thread's floating-point environment.
    ///
    /// # Panics
    /// If somebody changed it.
    fn assert_environment(self) {}

    /// acc ← acc · b · R⁻¹ mod n in every lane.
    fn mul(self, acc: &mut [Self::Vec], b: &[Self::Vec], m: Moduli<'_, Self::Vec>, scratch: &mut [Self::Vec]);

    /// acc ← acc² · R⁻¹ mod n in every lane.
    fn sqr(self, acc: &mut [Self::Vec], m: Moduli<'_, Self::Vec>, scratch: &mut [Self::Vec]);

    /// Squares `times` times in a row: acc ← acc^(2^times) · R^(1 − 2^times) mod n. Tiers that can keep the
    /// number in registers from one squaring to the next do.
    fn sqr_times(
        self,
        acc: &mut [Self::Vec],
        times: usize,
        m: Moduli<'_, Self::Vec>,
        scratch: &mut [Self::Vec],
    ) {
        for _ in 0..times {
            self.sqr(acc, m, scratch);
        }
    }

    /// out ← entry `index[lane]` of `table` in every lane. `table` is a sequence of entries of `out.len()`
    /// vectors each, their digits reduced, and has more than any index; every entry is read, so the address
    /// trace does not depend on `index`.
    fn select(self, out: &mut [Self::Vec], table: &[Self::Vec], index: &[u64]);
}

//! The lane trait for the fields of the NIST curves: one element per lane, in Montgomery form.
//!
//! Algorithms above this layer are written once over [`PrimeLanes`]; a tier supplies the representation and
//! the kernels. What the two types of elements mean, [`number`](super::number) says. Where digits are
//! unsigned, a reduced element is below 2p and a sum below 4p; where they are signed, their absolute values
//! are bounded, by the kernels' range proofs.
//!
//! All kernels are constant-time: no branch and no address depends on an element or on a mask. What comes out
//! of unused lanes means nothing.

pub use super::number::{Digits, Number, Reduced, Sum};

use super::LaneVec;
use super::lookup::LookupLanes;
use std::fmt::Debug;
use std::ops::Deref;

/// A prime that lanes compute modulo.
pub trait Prime: Copy + Debug + Send + Sync + 'static {
    /// The prime p, in little-endian limbs.
    const P: &'static [u64];
}

/// p = 2^256 − 2^224 + 2^192 + 2^96 − 1 of the curve P-256 (SP 800-186 §3.2.1.3).
#[derive(Clone, Copy, Debug)]
pub struct P256;

impl Prime for P256 {
    const P: &'static [u64] = &[u64::MAX, 0xffff_ffff, 0, 0xffff_ffff_0000_0001];
}

/// p = 2^384 − 2^128 − 2^96 + 2^32 − 1 of the curve P-384 (SP 800-186 §3.2.1.4).
#[derive(Clone, Copy, Debug)]
pub struct P384;

impl Prime for P384 {
    const P: &'static [u64] =
        &[0xffff_ffff, 0xffff_ffff_0000_0000, u64::MAX - 1, u64::MAX, u64::MAX, u64::MAX];
}

/// The most that the coefficients of one [`PrimeLanes::combine`] may add up to, as absolute values.
pub const MAX_COMBINED: u64 = 12;

/// Montgomery arithmetic modulo p on independent elements, one in each lane, for R =
/// 2^[`R_BITS`](Self::R_BITS).
///
/// Outputs are never inputs: the borrows see to it, and kernels may use an output as their scratch space.
pub trait PrimeLanes<P: Prime>: LookupLanes<Self::Vec> + Copy + Debug + Send + 'static {
    /// Lanes of a kernel.
    const LANES: usize;
    /// The binary logarithm of R.
    const R_BITS: usize;
    /// One word of every lane; as a mask, all ones or zero in each.
    type Vec: LaneVec;
    /// See [`number`](crate::arch::number).
    type Sum: Number;
    /// See [`number`](crate::arch::number).
    type Reduced: Digits<Vec = Self::Vec> + Deref<Target = Self::Sum>;

    /// Asserts, once a batch, what the kernels need of the thread's floating-point environment.
    ///
    /// # Panics
    /// If somebody changed it.
    fn assert_environment(self) {}

    /// Stores a number below p in one lane, as it is: not times R.
    fn set(out: &mut Self::Reduced, lane: usize, limbs: &[u64]);

    /// Reads the number in one lane, canonical: below p, as long as p.
    fn get(out: &mut [u64], element: &Self::Reduced, lane: usize);

    /// out ← a + b.
    fn add(self, out: &mut Self::Sum, a: &Self::Reduced, b: &Self::Reduced);

    /// out ← a − b.
    fn sub(self, out: &mut Self::Sum, a: &Self::Reduced, b: &Self::Reduced);

    /// out ← A·a + B·b + C·c, for |A| + |B| + |C| ≤ [`MAX_COMBINED`].
    fn combine<const A: i64, const B: i64, const C: i64>(
        self,
        out: &mut Self::Reduced,
        a: &Self::Reduced,
        b: &Self::Reduced,
        c: &Self::Reduced,
    );

    /// out ← a · b / R.
    fn mul(self, out: &mut Self::Reduced, a: &Self::Sum, b: &Self::Sum);

    /// out ← a² / R.
    fn sqr(self, out: &mut Self::Reduced, a: &Self::Sum);

    /// p ← 2·p on a curve y² = x³ − 3x + b, in Jacobian coordinates, where a tier has one kernel for it: else
    /// nothing is done, and the answer is `false`. The formulas, and what they are not defined for, are those
    /// of `arith::weierstrass`.
    fn double(self, _p: &mut [Self::Reduced; 3]) -> bool {
        false
    }

    /// p ← p + q for the affine coordinates of q: see [`double`](Self::double).
    fn add_affine(self, _p: &mut [Self::Reduced; 3], _q: &[Self::Reduced; 2]) -> bool {
        false
    }

    /// p ← p + q for X, Y, Z, Z² and Z³ of q: see [`double`](Self::double).
    fn add_jacobian(self, _p: &mut [Self::Reduced; 3], _q: &[Self::Reduced; 5]) -> bool {
        false
    }

    /// out ← −out in the lanes where `mask` is all ones. Where digits are unsigned, −0 is 2p, the one element
    /// that is not below that: sums and multiplications take it as any other.
    fn negate_if(self, out: &mut Self::Reduced, mask: &Self::Vec);

    /// out ← `other` in the lanes where `mask` is all ones.
    fn assign_if(self, out: &mut Self::Reduced, other: &Self::Reduced, mask: &Self::Vec);
}

//! The lane trait for the field of p = 2^255 − 19 elements: one element per lane.
//!
//! Algorithms above this layer are written once over [`Field25519Lanes`]; a tier supplies the representation
//! and the kernels. What the two types of elements mean, [`number`](super::number) says.
//!
//! All kernels are constant-time: no branch and no address depends on an element or on a mask. Unused lanes
//! hold the element zero, and give it.

mod element;

pub use element::Element;
pub(in crate::arch) use element::FOUR_P;

pub use super::number::{Digits, Number, Reduced, Sum};

use super::LaneVec;
use crate::arch::tier::TierKind;
use std::fmt::Debug;
use std::ops::Deref;
use zeroize::Zeroize;

/// Arithmetic modulo 2^255 − 19 on `LANES` independent elements at once.
///
/// Outputs are never inputs: the borrows see to it, and kernels use an output as their scratch space.
pub trait Field25519Lanes: Copy + Debug + Send + 'static {
    /// The tier that the kernels belong to.
    const KIND: TierKind;
    /// Lanes of a kernel.
    const LANES: usize;
    /// One word of every lane; as a mask, all ones or zero in each.
    type Mask: LaneVec;
    /// See the [module](self).
    type Sum: Number;
    /// See the [module](self).
    type Reduced: Digits<Vec = Self::Mask> + Deref<Target = Self::Sum>;

    /// Asserts, once a batch, what the kernels need of the thread's floating-point environment.
    ///
    /// # Panics
    /// If somebody changed it.
    fn assert_environment(self) {}

    /// Stores an element of one lane: four little-endian limbs of any number below 2^255.
    fn set(out: &mut Self::Reduced, lane: usize, limbs: &[u64; 4]);

    /// Reads the element of one lane.
    fn get(element: &Self::Reduced, lane: usize) -> Element;

    /// `sum` ← a + b, `difference` ← a − b.
    fn add_sub(self, sum: &mut Self::Sum, difference: &mut Self::Sum, a: &Self::Reduced, b: &Self::Reduced);

    /// out ← a + b.
    fn add(self, out: &mut Self::Sum, a: &Self::Reduced, b: &Self::Reduced) {
        let mut difference = Self::Sum::default();
        self.add_sub(out, &mut difference, a, b);
        difference.zeroize();
    }

    /// out ← a − b.
    fn sub(self, out: &mut Self::Sum, a: &Self::Reduced, b: &Self::Reduced);

    /// out ← a · b.
    fn mul(self, out: &mut Self::Reduced, a: &Self::Sum, b: &Self::Sum);

    /// out ← a: carries instead of a product, where a tier has a kernel for that.
    fn reduce(self, out: &mut Self::Reduced, a: &Self::Sum) {
        let mut one = Self::Reduced::default();
        (0..Self::LANES).for_each(|lane| Self::set(&mut one, lane, &[1, 0, 0, 0]));
        self.mul(out, a, &one);
    }

    /// out ← a².
    fn sqr(self, out: &mut Self::Reduced, a: &Self::Sum);

    /// out ← a + 121665 · b: (A − 2) / 4 of curve25519.
    fn add_121665(self, out: &mut Self::Sum, a: &Self::Reduced, b: &Self::Sum);

    /// All 255 steps of the Montgomery ladder (RFC 7748 §5), where a tier has one kernel for them: else
    /// nothing is done, and the answer is `false`.
    ///
    /// `points` are x and z of the point that is doubled first, and of the other one; `u` is the x-coordinate
    /// of their difference. Bit 64·i + j of `swaps` says for each lane whether the step of that bit of the
    /// scalar doubles the other point than the step before it. In the end the doubled point comes first.
    fn ladder(self, _points: [&mut Self::Reduced; 4], _u: &Self::Reduced, _swaps: &[Self::Mask; 4]) -> bool {
        false
    }

    /// out ← `other` in the lanes where `mask` is all ones.
    fn assign_if(self, out: &mut Self::Sum, other: &Self::Sum, mask: &Self::Mask);

    /// a ← x and b ← y, the other way round in the lanes where `mask` is all ones.
    fn swap_if(
        self,
        a: &mut Self::Sum,
        b: &mut Self::Sum,
        x: &Self::Reduced,
        y: &Self::Reduced,
        mask: &Self::Mask,
    ) {
        (*a, *b) = (**x, **y);
        self.assign_if(a, y, mask);
        self.assign_if(b, x, mask);
    }

    /// out ← a, and −a in the lanes where `mask` is all ones.
    fn negate_if(self, out: &mut Self::Sum, a: &Self::Reduced, mask: &Self::Mask) {
        let mut negative = Self::Sum::default();
        self.sub(&mut negative, &Self::Reduced::default(), a);
        *out = **a;
        self.assign_if(out, &negative, mask);
        negative.zeroize();
    }
}

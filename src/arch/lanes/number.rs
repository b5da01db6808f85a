//! Elements of a prime field in lanes: how large their digits are, as types.
//!
//! An element is never canonical inside the lanes: it is digits of a representative.
//!
//! * A [`Reduced`] one is what multiplications and carries give.
//! * A [`Sum`] is what the sum or difference of two reduced elements gives, and what multiplications take.
//!   Every reduced element is one, by dereferencing.
//!
//! So the compiler refuses a chain of additions that would leave the range for which the kernels are proven.

use super::LaneVec;
use std::fmt::Debug;
use std::ops::Deref;
use zeroize::{DefaultIsZeroes, Zeroize};

/// `D` digits of the sum or difference of two reduced elements, in each lane.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Sum<V, const D: usize>(pub(in crate::arch) [V; D]);

/// `D` reduced digits in each lane.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Reduced<V, const D: usize>(pub(in crate::arch) Sum<V, D>);

impl<V: LaneVec, const D: usize> Default for Sum<V, D> {
    fn default() -> Self {
        Self([V::default(); D])
    }
}

impl<V: LaneVec, const D: usize> Default for Reduced<V, D> {
    fn default() -> Self {
        Self(Sum::default())
    }
}

impl<V: LaneVec, const D: usize> DefaultIsZeroes for Sum<V, D> {}
impl<V: LaneVec, const D: usize> DefaultIsZeroes for Reduced<V, D> {}

impl<V, const D: usize> Deref for Reduced<V, D> {
    type Target = Sum<V, D>;

    fn deref(&self) -> &Sum<V, D> {
        &self.0
    }
}

/// What both kinds of element can do without a kernel.
pub trait Number: Copy + Default + Debug + Zeroize + Send + Sync + 'static {}

impl<V: LaneVec, const D: usize> Number for Sum<V, D> {}
impl<V: LaneVec, const D: usize> Number for Reduced<V, D> {}

/// A reduced element whose digits can be looked up in tables.
pub trait Digits: Number {
    /// One digit of every lane.
    type Vec: LaneVec;

    /// Its digits, lowest first.
    fn digits(&self) -> &[Self::Vec];

    /// Its digits, to be replaced by those of another reduced element.
    fn digits_mut(&mut self) -> &mut [Self::Vec];

    /// The digits of several elements, one after the other.
    fn all_digits_mut(elements: &mut [Self]) -> &mut [Self::Vec];

    /// In each lane the element that is `by` lanes further on, or that many from the first one after the
    /// last.
    fn rotated(&self, by: usize) -> Self {
        let mut rotated = Self::default();
        for (out, digit) in rotated.digits_mut().iter_mut().zip(self.digits()) {
            let (out, words) = (out.as_mut(), digit.as_ref());
            let lanes = words.len();
            (0..lanes).for_each(|lane| out[lane] = words[(lane + by) % lanes]);
        }
        rotated
    }
}

impl<V: LaneVec, const D: usize> Digits for Reduced<V, D> {
    type Vec = V;

    fn digits(&self) -> &[V] {
        &self.0.0
    }

    fn digits_mut(&mut self) -> &mut [V] {
        &mut self.0.0
    }

    fn all_digits_mut(elements: &mut [Self]) -> &mut [V] {
        // SAFETY: both types are transparent: an element is an array of `D` vectors, and so many are the
        // whole slice. The borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(elements.as_mut_ptr().cast(), D * elements.len()) }
    }
}

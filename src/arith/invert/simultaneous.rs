//! One inversion for a whole batch.

use subtle::Choice;
use zeroize::{Zeroize, Zeroizing};

/// The most elements of a batch: as many as a tier has lanes.
const MAX: usize = 8;

/// A field, and how it is computed in.
pub(crate) trait Field {
    /// An element.
    type Element: Copy + Zeroize;

    /// 0.
    fn zero(&self) -> Self::Element;
    /// 1.
    fn one(&self) -> Self::Element;
    /// a · b.
    fn mul(&self, a: &Self::Element, b: &Self::Element) -> Self::Element;
    /// The inverse of an element that is not zero.
    fn invert(&self, a: &Self::Element) -> Self::Element;
    /// Whether an element is zero.
    fn is_zero(&self, a: &Self::Element) -> Choice;
    /// `b` if `condition`, else `a`.
    fn select(&self, a: &Self::Element, b: &Self::Element, condition: Choice) -> Self::Element;
}

/// Replaces each of `elements`, at most eight, by its inverse, and zero by zero; constant-time.
///
/// After P. Montgomery, "Speeding the Pollard and elliptic curve methods of factorization", §10.3.1: the
/// inverse of the product of all gives each single one for three multiplications. A zero would spoil the
/// product, so it takes part as a one.
pub(crate) fn invert_all<F: Field>(field: &F, elements: &mut [F::Element]) {
    assert!(elements.len() <= MAX);
    let mut before = Zeroizing::new([field.zero(); MAX]);
    let mut zeros = [Choice::from(0); MAX];
    let mut product = Zeroizing::new(field.one());
    for ((element, before), zero) in elements.iter_mut().zip(before.iter_mut()).zip(&mut zeros) {
        *zero = field.is_zero(element);
        *element = field.select(element, &field.one(), *zero);
        *before = *product;
        *product = field.mul(&product, element);
    }
    let mut inverse = Zeroizing::new(field.invert(&product));
    for ((element, before), zero) in elements.iter_mut().zip(before.iter()).zip(&zeros).rev() {
        let own = Zeroizing::new(field.mul(before, &inverse));
        *inverse = field.mul(&inverse, element);
        *element = field.select(&own, &field.zero(), *zero);
    }
}

//! Inverses in the field of 2^255 − 19 elements.

use super::P;
use crate::arch::field25519::Element;
use crate::arith::invert::{self, Field};
use subtle::{Choice, ConditionallySelectable};
use zeroize::Zeroizing;

/// Replaces each of `elements`, at most eight, by its inverse, and zero by zero; constant-time.
pub(super) fn invert_all(elements: &mut [Element]) {
    invert::invert_all(&P25519, elements);
}

struct P25519;

impl Field for P25519 {
    type Element = Element;

    fn zero(&self) -> Element {
        Element::default()
    }

    fn one(&self) -> Element {
        Element::ONE
    }

    fn mul(&self, a: &Element, b: &Element) -> Element {
        a.mul(b)
    }

    fn invert(&self, element: &Element) -> Element {
        let limbs = Zeroizing::new(element.to_limbs());
        let mut inverse = Zeroizing::new([0; 4]);
        let exists = invert::invert(&mut *inverse, &*limbs, &P);
        debug_assert!(bool::from(exists), "p is prime");
        Element::from_limbs(&inverse)
    }

    fn is_zero(&self, a: &Element) -> Choice {
        a.is_zero()
    }

    fn select(&self, a: &Element, b: &Element, condition: Choice) -> Element {
        Element::conditional_select(a, b, condition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arith::testing::Operands;

    #[test]
    fn inverses_and_zeros_at_every_place() {
        let mut operands = Operands::new(9);
        let one = Element::ONE.to_limbs();
        for count in 0..=4 {
            for zeros in 0..1 << count {
                let elements: Vec<Element> = (0..count)
                    .map(|i| match zeros >> i & 1 {
                        0 => Element::from_limbs(&operands.random(4).try_into().unwrap()),
                        // Not canonical: p itself.
                        _ => Element::from_limbs(&P),
                    })
                    .collect();
                let mut inverses = elements.clone();
                invert_all(&mut inverses);
                for (i, (x, y)) in elements.iter().zip(&inverses).enumerate() {
                    let expected = if zeros >> i & 1 == 1 { [0; 4] } else { one };
                    assert_eq!(x.mul(y).to_limbs(), expected);
                    assert_eq!(bool::from(y.is_zero()), zeros >> i & 1 == 1);
                }
            }
        }
    }
}

//! One inversion for a whole batch.

use super::P;
use crate::arch::field25519::Element;
use crate::arith::invert;
use subtle::{Choice, ConditionallySelectable};
use zeroize::Zeroizing;

/// Replaces each of `elements`, at most `N`, by its inverse, and zero by zero; constant-time.
///
/// After P. Montgomery, "Speeding the Pollard and elliptic curve methods of factorization", §10.3.1: the inverse of
/// the product of all gives each single one for three multiplications. A zero would spoil the product, so it takes
/// part as a one.
pub(super) fn invert_all<const N: usize>(elements: &mut [Element]) {
    let mut before = Zeroizing::new([Element::ONE; N]);
    let mut zeros = [Choice::from(0); N];
    let mut product = Zeroizing::new(Element::ONE);
    for ((element, before), zero) in elements.iter_mut().zip(before.iter_mut()).zip(&mut zeros) {
        *zero = element.is_zero();
        element.conditional_assign(&Element::ONE, *zero);
        *before = *product;
        *product = product.mul(element);
    }
    let mut inverse = Zeroizing::new(invert_one(&product));
    for ((element, before), zero) in elements.iter_mut().zip(before.iter()).zip(&zeros).rev() {
        let own = before.mul(&inverse);
        *inverse = inverse.mul(element);
        *element = Element::conditional_select(&own, &Element::default(), *zero);
    }
}

/// The inverse of an element that is not zero.
fn invert_one(element: &Element) -> Element {
    let mut limbs = Zeroizing::new(element.to_limbs());
    let mut inverse = Zeroizing::new([0; 4]);
    let exists = invert::invert(&mut *inverse, &*limbs, &P);
    debug_assert!(bool::from(exists), "p is prime");
    limbs.copy_from_slice(&*inverse);
    Element::from_limbs(&limbs)
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
                invert_all::<4>(&mut inverses);
                for (i, (x, y)) in elements.iter().zip(&inverses).enumerate() {
                    let expected = if zeros >> i & 1 == 1 { [0; 4] } else { one };
                    assert_eq!(x.mul(y).to_limbs(), expected);
                    assert_eq!(bool::from(y.is_zero()), zeros >> i & 1 == 1);
                }
            }
        }
    }
}

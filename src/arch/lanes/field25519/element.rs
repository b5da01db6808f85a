//! One element of the field, in plain Rust: what the lanes are specified by, and what is left over when one
//! operation serves a whole batch.

use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::DefaultIsZeroes;

const RADIX: u32 = 51;
const MASK: u64 = (1 << RADIX) - 1;

/// 4p, in limbs that are larger than any weakly reduced one.
pub(in crate::arch) const FOUR_P: [u64; 5] =
    [(1 << 53) - 76, (1 << 53) - 4, (1 << 53) - 4, (1 << 53) - 4, (1 << 53) - 4];

/// An element of the field of 2^255 − 19 elements: any representative, in five limbs of 51 bits.
///
/// Limbs of a *weakly reduced* element, which all but `mul_wide` and `carried` take and
/// give, are below 2^52. Constant-time throughout.
#[derive(Clone, Copy, Debug, Default)]
pub struct Element([u64; 5]);

impl DefaultIsZeroes for Element {}

impl Element {
    /// 1.
    pub const ONE: Self = Self([1, 0, 0, 0, 0]);

    /// The element of four little-endian 64-bit limbs, any number below 2^256.
    pub fn from_limbs(x: &[u64; 4]) -> Self {
        let low = |i: usize, shift: u32| (x[i] >> shift) | (x[i + 1] << (64 - shift));
        Self([x[0] & MASK, low(0, 51) & MASK, low(1, 38) & MASK, low(2, 25) & MASK, x[3] >> 12])
    }

    /// The element of a number below 2^320 in five little-endian 64-bit limbs.
    pub fn from_wide(x: &[u64; 5]) -> Self {
        let mut low = [x[0], x[1], x[2], x[3]];
        let high = (x[3] >> 63) | (x[4] << 1);
        low[3] &= u64::MAX >> 1;
        let Self(mut limbs) = Self::from_limbs(&low);
        // 2^255 = 19, and the part above is below 2^65.
        let sum = u128::from(limbs[0]) + 19 * (u128::from(high) + (u128::from(x[4] >> 63) << 64));
        limbs[0] = sum as u64 & MASK;
        limbs[1] += (sum >> RADIX) as u64;
        Self(limbs)
    }

    /// The canonical representative, below 2^255 − 19, in little-endian 64-bit limbs.
    pub fn to_limbs(self) -> [u64; 4] {
        // Below 2^255 + 2^6 afterwards.
        let Self(x) = Self::carried(self.0.map(u128::from));
        // The quotient by p is the carry of x + 19 beyond bit 255: 0 or 1.
        let quotient = x.iter().fold(19, |carry, limb| (limb + carry) >> RADIX);
        let mut carry = 19 * quotient;
        let y = x.map(|limb| {
            let sum = limb + carry;
            carry = sum >> RADIX;
            sum & MASK
        });
        [y[0] | y[1] << 51, y[1] >> 13 | y[2] << 38, y[2] >> 26 | y[3] << 25, y[3] >> 39 | y[4] << 12]
    }

    /// The limbs, each below 2^52.
    pub(in crate::arch) fn limbs(self) -> [u64; 5] {
        self.0
    }

    /// The element with these limbs, each below 2^52.
    pub(in crate::arch) fn from_weakly_reduced(limbs: [u64; 5]) -> Self {
        debug_assert!(limbs.iter().all(|limb| limb >> 52 == 0));
        Self(limbs)
    }

    /// The element Σ xᵢ·2^(51·i), for xᵢ < 2^118, with its carries propagated: limbs 0 and 2 to 4 below 2^51,
    /// limb 1 below 2^51 + 2^22.
    pub(in crate::arch) fn carried(mut x: [u128; 5]) -> Self {
        for i in 0..4 {
            x[i + 1] += x[i] >> RADIX;
            x[i] &= u128::from(MASK);
        }
        x[0] += 19 * (x[4] >> RADIX);
        x[4] &= u128::from(MASK);
        x[1] += x[0] >> RADIX;
        x[0] &= u128::from(MASK);
        Self(x.map(|limb| limb as u64))
    }

    /// a · b of unreduced limbs, each below 2^54.
    pub(in crate::arch) fn mul_wide(a: &[u64; 5], b: &[u64; 5]) -> Self {
        let m = |i: usize, j: usize| u128::from(a[i]) * u128::from(b[j]);
        // A column has at most 77 products below 2^108, counted with the factor 19 = 2^255 mod p.
        Self::carried([
            m(0, 0) + 19 * (m(1, 4) + m(2, 3) + m(3, 2) + m(4, 1)),
            m(0, 1) + m(1, 0) + 19 * (m(2, 4) + m(3, 3) + m(4, 2)),
            m(0, 2) + m(1, 1) + m(2, 0) + 19 * (m(3, 4) + m(4, 3)),
            m(0, 3) + m(1, 2) + m(2, 1) + m(3, 0) + 19 * m(4, 4),
            m(0, 4) + m(1, 3) + m(2, 2) + m(3, 1) + m(4, 0),
        ])
    }

    /// `self` · `other`.
    pub fn mul(&self, other: &Self) -> Self {
        Self::mul_wide(&self.0, &other.0)
    }

    /// `self` + `other`.
    pub fn add(&self, other: &Self) -> Self {
        Self::carried(std::array::from_fn(|i| u128::from(self.0[i] + other.0[i])))
    }

    /// `self` − `other`.
    pub fn sub(&self, other: &Self) -> Self {
        Self::carried(std::array::from_fn(|i| u128::from(self.0[i] + FOUR_P[i] - other.0[i])))
    }

    /// Whether the element is zero.
    pub fn is_zero(&self) -> Choice {
        self.to_limbs().ct_eq(&[0; 4])
    }
}

impl ConditionallySelectable for Element {
    fn conditional_select(a: &Self, b: &Self, choice: Choice) -> Self {
        Self(std::array::from_fn(|i| u64::conditional_select(&a.0[i], &b.0[i], choice)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::testing::Random;
    use num_bigint::BigUint;

    fn big(words: &[u64]) -> BigUint {
        BigUint::from_slice(&words.iter().flat_map(|w| [*w as u32, (*w >> 32) as u32]).collect::<Vec<_>>())
    }

    fn p() -> BigUint {
        (BigUint::from(1u8) << 255) - 19u8
    }

    fn limbs<const N: usize>(x: &BigUint) -> [u64; N] {
        let digits = x.to_u64_digits();
        std::array::from_fn(|i| digits.get(i).copied().unwrap_or(0))
    }

    /// Around every multiple of p below 2^(64·N), at the other ends, and random.
    fn numbers<const N: usize>() -> Vec<[u64; N]> {
        let end = BigUint::from(1u8) << (64 * N);
        let mut random = Random(25519);
        let multiples = [0u8, 1, 2].map(|k| p() * k);
        let near = multiples.iter().flat_map(|m| [m + 1u8, m + 18u8, m + 19u8, m + 20u8, m.clone()]);
        let below = multiples[1..].iter().flat_map(|m| [m - 1u8, m - 19u8]);
        let ends = [&end - 1u8, &end - 38u8, &end >> 1u8];
        let drawn = (0..50).map(|_| random.below(&end)).collect::<Vec<_>>();
        near.chain(below).chain(ends).chain(drawn).filter(|x| x < &end).map(|x| limbs(&x)).collect()
    }

    #[test]
    fn representatives_become_canonical() {
        for x in numbers::<4>() {
            assert_eq!(big(&Element::from_limbs(&x).to_limbs()), big(&x) % p());
        }
        for x in numbers::<5>() {
            let element = Element::from_wide(&x);
            assert!(element.0.iter().all(|limb| limb >> 52 == 0));
            assert_eq!(big(&element.to_limbs()), big(&x) % p());
        }
    }

    #[test]
    fn products_are_those_of_the_integers() {
        let numbers = numbers::<4>();
        for a in &numbers {
            for b in &numbers {
                let product = Element::from_limbs(a).mul(&Element::from_limbs(b));
                assert_eq!(big(&product.to_limbs()), big(a) * big(b) % p());
            }
        }
        // The largest limbs that are allowed.
        let value = (0..5).fold(BigUint::ZERO, |sum, _| (sum << RADIX) + ((1u64 << 54) - 1));
        let product = Element::mul_wide(&[(1 << 54) - 1; 5], &[(1 << 54) - 1; 5]);
        assert!(product.0.iter().all(|limb| limb >> 52 == 0));
        assert_eq!(big(&product.to_limbs()), &value * &value % p());
    }

    #[test]
    fn sums_and_differences_are_those_of_the_integers() {
        let numbers = numbers::<4>();
        for a in &numbers {
            for b in &numbers {
                let [x, y] = [a, b].map(Element::from_limbs);
                let (sum, difference) = (x.add(&y), x.sub(&y));
                assert!(sum.0.iter().chain(&difference.0).all(|limb| limb >> 52 == 0));
                assert_eq!(big(&sum.to_limbs()), (big(a) + big(b)) % p());
                assert_eq!(big(&difference.to_limbs()), (big(a) + p() * 4u8 - big(b)) % p());
            }
        }
        // The largest limbs that are allowed, and the smallest.
        let largest = Element([(1 << 52) - 1; 5]);
        let difference = Element::default().sub(&largest);
        assert!(bool::from(difference.add(&largest).is_zero()));
    }

    #[test]
    fn only_multiples_of_p_are_zero() {
        for x in numbers::<4>() {
            let is_zero = bool::from(Element::from_limbs(&x).is_zero());
            assert_eq!(is_zero, big(&x) % p() == BigUint::ZERO, "{x:x?}");
        }
    }
}

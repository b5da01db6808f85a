//! Scalars as digits that are all odd, so that no step of a multiplication depends on a zero.
//!
//! After M. Joye and M. Tunstall, "Exponent recoding and regular exponentiation algorithms", AFRICACRYPT 2009: an odd
//! k = Σ dᵢ·2^(w·i), each dᵢ odd and |dᵢ| < 2^w. With tᵢ = ⌊k / 2^(w·i)⌋ mod 2^(w+1), made odd, dᵢ = tᵢ − 2^w; the last
//! digit is what is left, made odd.

use crate::arith::digits::bits_at;
use crate::arith::limbs::mask;
use crate::arith::modular::{Modulus, select};
use subtle::Choice;
use zeroize::Zeroizing;

/// An odd scalar, and whether it stands for its negative.
pub(super) struct Odd<const N: usize> {
    k: Zeroizing<[u64; N]>,
    /// All ones if the result is to be negated, else zero.
    pub(super) negate: u64,
}

/// One digit: ±(2·`index` + 1).
pub(super) struct Digit {
    pub(super) index: u64,
    /// All ones for a negative digit, else zero.
    pub(super) negative: u64,
}

impl<const N: usize> Odd<N> {
    /// For 0 < k < n: one of k and n − k is odd.
    pub(super) fn new(k: &[u64; N], order: &Modulus<N>) -> Self {
        let negative = Zeroizing::new(order.neg(k));
        let even = !k[0] & 1;
        let k = Zeroizing::new(select(k, &negative, Choice::from(even as u8)));
        Self { k, negate: mask(even) }
    }

    /// How many digits of `window` bits a scalar has.
    pub(super) const fn digits(window: usize) -> usize {
        (64 * N).div_ceil(window)
    }

    /// Digit `i`; constant-time.
    pub(super) fn digit(&self, i: usize, window: usize) -> Digit {
        let start = window * i;
        if i + 1 == Self::digits(window) {
            return Digit { index: bits_at(&*self.k, start, window as u32) >> 1, negative: 0 };
        }
        let t = bits_at(&*self.k, start, window as u32 + 1);
        let negative = mask(t >> window ^ 1);
        let low = (t & ((1 << window) - 1)) >> 1;
        Digit { index: low ^ negative & ((1 << (window - 1)) - 1), negative }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::prime::{P256, P384};
    use crate::arith::testing::{Operands, big};
    use crate::arith::weierstrass::Curve;
    use num_bigint::BigInt;

    fn check<const N: usize, C: Curve<N>>() {
        let mut operands = Operands::new(5);
        let n = BigInt::from(big(C::ORDER.limbs()));
        let mut scalars = operands.below(C::ORDER.limbs());
        scalars.extend((0..50).map(|_| C::ORDER.reduced(&operands.random(N).try_into().unwrap()).to_vec()));
        for k in scalars.iter().filter(|k| k.iter().any(|limb| *limb != 0)) {
            let k: [u64; N] = (*k.as_slice()).try_into().unwrap();
            let odd = Odd::new(&k, C::ORDER);
            for window in 2..=8 {
                let mut sum = BigInt::ZERO;
                for i in (0..Odd::<N>::digits(window)).rev() {
                    let Digit { index, negative } = odd.digit(i, window);
                    assert!(index < 1 << (window - 1));
                    let digit = BigInt::from(2 * index + 1) * if negative == 0 { 1 } else { -1 };
                    sum = (sum << window) + digit;
                }
                let sign = if odd.negate == 0 { 1 } else { -1 };
                assert_eq!((sum * sign - BigInt::from(big(&k))) % &n, BigInt::ZERO);
            }
        }
    }

    #[test]
    fn digits_add_up() {
        check::<4, P256>();
        check::<6, P384>();
    }
}

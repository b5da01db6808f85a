//! Scalars as digits that are all odd, so that no step of a multiplication depends on a zero.
//!
//! After M. Joye and M. Tunstall, "Exponent recoding and regular exponentiation algorithms", AFRICACRYPT
//! 2009: an odd k = Σ dᵢ·2^(w·i), each dᵢ odd and |dᵢ| < 2^w. With tᵢ = ⌊k / 2^(w·i)⌋ mod 2^(w+1), made odd,
//! dᵢ = tᵢ − 2^w; the last digit is what is left, made odd.

use crate::arch::lanes::LaneVec;
use crate::arith::limbs::mask;
use crate::arith::modular::{Modulus, select};
use subtle::Choice;
use zeroize::Zeroizing;

/// An odd scalar in each lane, and whether it stands for its negative.
pub(super) struct Odd<const N: usize, V: LaneVec> {
    /// Limb by limb.
    k: Zeroizing<[V; N]>,
    negate: V,
}

/// One digit of each scalar: ±(2·`index` + 1).
pub(super) struct Digit<V> {
    pub(super) index: V,
    /// All ones for a negative digit, else zero.
    pub(super) negative: V,
}

impl<const N: usize, V: LaneVec> Odd<N, V> {
    /// For 0 < k < n, at most one for each lane: one of k and n − k is odd. What the other lanes hold means
    /// nothing.
    pub(super) fn new(scalars: &[[u64; N]], order: &Modulus<N>) -> Self {
        let mut odd = Self { k: Zeroizing::new([V::default(); N]), negate: V::default() };
        for (lane, k) in scalars.iter().enumerate() {
            let negative = Zeroizing::new(order.neg(k));
            let even = !k[0] & 1;
            let k = Zeroizing::new(select(k, &negative, Choice::from(even as u8)));
            odd.k.iter_mut().zip(k.iter()).for_each(|(v, limb)| v.as_mut()[lane] = *limb);
            odd.negate.as_mut()[lane] = mask(even);
        }
        odd
    }

    /// Puts each of the scalars in the first `spacing` lanes into every lane that is a multiple of that
    /// further on.
    pub(super) fn spread(&mut self, spacing: usize) {
        for vector in self.k.iter_mut().chain([&mut self.negate]) {
            let lanes = vector.as_mut();
            (spacing..lanes.len()).for_each(|lane| lanes[lane] = lanes[lane - spacing]);
        }
    }

    /// All ones in the lanes whose results are to be negated, else zero.
    pub(super) fn negate(&self) -> &V {
        &self.negate
    }

    /// How many digits of `window` bits a scalar has.
    pub(super) const fn digits(window: usize) -> usize {
        (64 * N).div_ceil(window)
    }

    /// Digit `i`; constant-time.
    #[inline(always)]
    pub(super) fn digit(&self, i: usize, window: usize) -> Digit<V> {
        let (limb, shift) = (window * i / 64, window * i % 64);
        let (low, high) = (&self.k[limb], self.k.get(limb + 1).copied().unwrap_or_default());
        let last = i + 1 == Self::digits(window);
        let mut digit = Digit { index: V::default(), negative: V::default() };
        let words = low.as_ref().iter().zip(high.as_ref());
        let out = digit.index.as_mut().iter_mut().zip(digit.negative.as_mut());
        for ((index, negative), (low, high)) in out.zip(words) {
            (*index, *negative) = signed(low >> shift | high << 1 << (63 - shift), last, window);
        }
        digit
    }

    /// In each lane the digit that `at` names, by the lane of its scalar and its position among `count`;
    /// constant-time but for these. With more digits than a scalar has bits for, the upper ones are those of
    /// zeros.
    #[inline(always)]
    pub(super) fn digit_of_each(
        &self,
        at: impl Fn(usize) -> (usize, usize),
        window: usize,
        count: usize,
    ) -> Digit<V> {
        let mut digit = Digit { index: V::default(), negative: V::default() };
        let out = digit.index.as_mut().iter_mut().zip(digit.negative.as_mut());
        for (lane, (index, negative)) in out.enumerate() {
            let (lane, i) = at(lane);
            let (limb, shift) = (window * i / 64, window * i % 64);
            let word = |limb: usize| self.k.get(limb).map_or(0, |v| v.as_ref()[lane]);
            let word = word(limb) >> shift | word(limb + 1) << 1 << (63 - shift);
            (*index, *negative) = signed(word, i + 1 == count, window);
        }
        digit
    }
}

/// Index and sign of the digit whose bits are the lowest of `word`. The last digit takes what is left, and is
/// positive.
///
/// Without barriers, so that the compiler may do this in vectors: it sees no condition here, only words.
#[inline(always)]
fn signed(word: u64, last: bool, window: usize) -> (u64, u64) {
    let t = word | u64::from(last) << window;
    let negative = (t >> window & 1).wrapping_sub(1);
    ((t >> 1 ^ negative) & ((1 << (window - 1)) - 1), negative)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::lanes::Vec4;
    use crate::arch::prime::{P256, P384};
    use crate::arith::testing::{Operands, big};
    use crate::arith::weierstrass::Curve;
    use num_bigint::BigInt;

    fn check<const N: usize, C: Curve<N>>() {
        let mut operands = Operands::new(5);
        let n = BigInt::from(big(C::ORDER.limbs()));
        let mut scalars = operands.below(C::ORDER.limbs());
        scalars.extend((0..50).map(|_| C::ORDER.reduced(&operands.random(N).try_into().unwrap()).to_vec()));
        let scalars = scalars.iter().filter(|k| k.iter().any(|limb| *limb != 0));
        let scalars: Vec<[u64; N]> = scalars.map(|k| k.as_slice().try_into().unwrap()).collect();
        for chunk in scalars.chunks(4) {
            let odd = Odd::<N, Vec4>::new(chunk, C::ORDER);
            for window in 2..=8 {
                let mut sums = vec![BigInt::ZERO; chunk.len()];
                for i in (0..Odd::<N, Vec4>::digits(window)).rev() {
                    let Digit { index, negative } = odd.digit(i, window);
                    for (lane, sum) in sums.iter_mut().enumerate() {
                        let (index, negative) = (index.0[lane], negative.0[lane]);
                        assert!(index < 1 << (window - 1) && (negative == 0 || negative == u64::MAX));
                        let digit = BigInt::from(2 * index + 1) * if negative == 0 { 1 } else { -1 };
                        *sum = (&*sum << window) + digit;
                    }
                }
                for (lane, (sum, k)) in sums.into_iter().zip(chunk).enumerate() {
                    let sign = if odd.negate().0[lane] == 0 { 1 } else { -1 };
                    assert_eq!((sum * sign - BigInt::from(big(k))) % &n, BigInt::ZERO);
                }
            }
        }
    }

    /// Lanes take digits of each other's scalars, each at a position of its own.
    fn check_each<const N: usize, C: Curve<N>>() {
        let mut operands = Operands::new(6);
        let scalars: Vec<[u64; N]> =
            (0..4).map(|_| C::ORDER.reduced(&operands.random(N).try_into().unwrap())).collect();
        let odd = Odd::<N, Vec4>::new(&scalars, C::ORDER);
        for (window, count) in [(5, 80), (6, 64), (6, 72), (7, 56)] {
            for by in 0..4 {
                let mut sums = [const { BigInt::ZERO }; 4];
                for i in 0..count {
                    let from = |lane: usize| ((lane + by) % 4, (i + lane) % count);
                    let Digit { index, negative } = odd.digit_of_each(from, window, count);
                    for lane in 0..4 {
                        let digit = BigInt::from(2 * index.0[lane] + 1) << (window * from(lane).1);
                        sums[from(lane).0] += if negative.0[lane] == 0 { digit } else { -digit };
                    }
                }
                for (lane, sum) in sums.into_iter().enumerate() {
                    let k: Vec<u64> = odd.k.iter().map(|v| v.0[lane]).collect();
                    assert_eq!(sum, BigInt::from(big(&k)));
                }
            }
        }
    }

    #[test]
    fn digits_of_each_add_up() {
        check_each::<4, P256>();
        check_each::<6, P384>();
    }

    #[test]
    fn digits_add_up() {
        check::<4, P256>();
        check::<6, P384>();
    }
}

//! Arithmetic modulo a fixed public number of a few limbs: what is left over, one request at a time, when the
//! lanes have done the long part. The moduli are the primes and the group orders of curves.
//!
//! Everything is exact, below the modulus, and constant-time in the operands.

use super::invert::{Field, invert, invert_all};
use super::limbs::{adc, ct_lt, is_zero, mask, sbb};
use subtle::{Choice, ConditionallySelectable};
use zeroize::Zeroizing;

/// An odd modulus n of exactly 64·`N` bits, and what P. Montgomery's multiplication with R = 2^(64·N) needs.
#[derive(Debug)]
pub(crate) struct Modulus<const N: usize> {
    n: [u64; N],
    /// −n⁻¹ mod 2^64.
    n0_inv: u64,
    /// R mod n, which is 1 in Montgomery form.
    r: [u64; N],
    /// R² mod n.
    r2: [u64; N],
}

impl<const N: usize> Modulus<N> {
    /// For an odd `n` whose top bit is set.
    pub(crate) const fn new(n: [u64; N]) -> Self {
        assert!(n[0] & 1 == 1 && n[N - 1] >> 63 == 1);
        let mut inverse = n[0];
        let mut i = 0;
        // Newton's iteration; an odd number is its own inverse modulo 8.
        while i < 5 {
            inverse = inverse.wrapping_mul(2u64.wrapping_sub(n[0].wrapping_mul(inverse)));
            i += 1;
        }
        Self { r: power_of_two(&n, 64 * N), r2: power_of_two(&n, 128 * N), n0_inv: inverse.wrapping_neg(), n }
    }

    /// n.
    pub(crate) fn limbs(&self) -> &[u64; N] {
        &self.n
    }

    /// 2^`exponent` mod n.
    pub(crate) fn power_of_two(&self, exponent: usize) -> [u64; N] {
        power_of_two(&self.n, exponent)
    }

    /// a + b mod n.
    pub(crate) fn add(&self, a: &[u64; N], b: &[u64; N]) -> [u64; N] {
        let mut carry = 0;
        let sum = std::array::from_fn(|i| {
            let limb;
            (limb, carry) = adc(a[i], b[i], carry);
            limb
        });
        self.reduce_once(&sum, carry)
    }

    /// a − b mod n.
    pub(crate) fn sub(&self, a: &[u64; N], b: &[u64; N]) -> [u64; N] {
        let (difference, borrow) = subtract(a, b);
        let (addend, mut carry) = (mask(borrow), 0);
        std::array::from_fn(|i| {
            let limb;
            (limb, carry) = adc(difference[i], self.n[i] & addend, carry);
            limb
        })
    }

    /// −a mod n.
    pub(crate) fn neg(&self, a: &[u64; N]) -> [u64; N] {
        self.sub(&[0; N], a)
    }

    /// a mod n, for any a of 64·`N` bits.
    pub(crate) fn reduced(&self, a: &[u64; N]) -> [u64; N] {
        self.reduce_once(a, 0)
    }

    /// a + carry·R, which must be below 2n, modulo n.
    fn reduce_once(&self, a: &[u64; N], carry: u64) -> [u64; N] {
        let (difference, borrow) = subtract(a, &self.n);
        let keep = mask(sbb(carry, 0, borrow).1);
        std::array::from_fn(|i| difference[i] ^ keep & (difference[i] ^ a[i]))
    }

    /// a · b / R mod n, for a below n and any b.
    pub(crate) fn mul(&self, a: &[u64; N], b: &[u64; N]) -> [u64; N] {
        let (mut t, mut top) = ([0u64; N], 0u64);
        for b in b {
            let (mut carry, mut high) = (0, 0);
            let mut sum = [0; N];
            for i in 0..N {
                (sum[i], carry) = mul_add(a[i], *b, t[i], carry);
            }
            (top, high) = adc(top, carry, high);
            let quotient = sum[0].wrapping_mul(self.n0_inv);
            (_, carry) = mul_add(quotient, self.n[0], sum[0], 0);
            for i in 1..N {
                (t[i - 1], carry) = mul_add(quotient, self.n[i], sum[i], carry);
            }
            (t[N - 1], carry) = adc(top, carry, 0);
            top = high + carry;
        }
        self.reduce_once(&t, top)
    }

    /// a · R mod n: into Montgomery form. Any a.
    pub(crate) fn enter(&self, a: &[u64; N]) -> [u64; N] {
        self.mul(&self.r2, a)
    }

    /// a / R mod n: out of Montgomery form.
    #[cfg(test)]
    pub(crate) fn leave(&self, a: &[u64; N]) -> [u64; N] {
        let mut one = [0; N];
        one[0] = 1;
        self.mul(a, &one)
    }

    /// Replaces each of `elements`, at most eight in Montgomery form, by its inverse, and zero by zero. n
    /// must be prime.
    pub(crate) fn invert_all(&self, elements: &mut [[u64; N]]) {
        invert_all(self, elements);
    }
}

impl<const N: usize> Field for Modulus<N> {
    type Element = [u64; N];

    fn zero(&self) -> [u64; N] {
        [0; N]
    }

    fn one(&self) -> [u64; N] {
        self.r
    }

    fn mul(&self, a: &[u64; N], b: &[u64; N]) -> [u64; N] {
        self.mul(a, b)
    }

    fn invert(&self, element: &[u64; N]) -> [u64; N] {
        let mut inverse = Zeroizing::new([0; N]);
        // (x·R)⁻¹ = x⁻¹/R; two more factors R² make it x⁻¹·R, for R each in a multiplication.
        let exists = invert(&mut *inverse, element, &self.n);
        debug_assert!(bool::from(exists), "the modulus is prime");
        *inverse = self.enter(&inverse);
        self.enter(&inverse)
    }

    fn is_zero(&self, a: &[u64; N]) -> Choice {
        is_zero(a)
    }

    fn select(&self, a: &[u64; N], b: &[u64; N], condition: Choice) -> [u64; N] {
        select(a, b, condition)
    }
}

/// `b` if `condition`, else `a`.
pub(crate) fn select<const N: usize>(a: &[u64; N], b: &[u64; N], condition: Choice) -> [u64; N] {
    std::array::from_fn(|i| u64::conditional_select(&a[i], &b[i], condition))
}

/// Whether 0 < a < n.
pub(crate) fn is_unit<const N: usize>(a: &[u64; N], modulus: &Modulus<N>) -> Choice {
    ct_lt(a, &modulus.n) & !is_zero(a)
}

/// x·y + a + b, which fits two limbs.
#[inline(always)]
fn mul_add(x: u64, y: u64, a: u64, b: u64) -> (u64, u64) {
    let t = u128::from(x) * u128::from(y) + u128::from(a) + u128::from(b);
    (t as u64, (t >> 64) as u64)
}

/// a − b and the borrow.
fn subtract<const N: usize>(a: &[u64; N], b: &[u64; N]) -> ([u64; N], u64) {
    let mut borrow = 0;
    let difference = std::array::from_fn(|i| {
        let limb;
        (limb, borrow) = sbb(a[i], b[i], borrow);
        limb
    });
    (difference, borrow)
}

/// 2^exponent mod n, by doubling.
const fn power_of_two<const N: usize>(n: &[u64; N], exponent: usize) -> [u64; N] {
    let mut x = [0; N];
    x[0] = 1;
    let mut step = 0;
    while step < exponent {
        let (mut doubled, mut difference) = ([0u64; N], [0; N]);
        let (mut carry, mut borrow, mut i) = (0, 0, 0);
        while i < N {
            doubled[i] = x[i] << 1 | carry;
            carry = x[i] >> 63;
            let (d, first) = doubled[i].overflowing_sub(n[i]);
            let (d, second) = d.overflowing_sub(borrow);
            difference[i] = d;
            borrow = (first | second) as u64;
            i += 1;
        }
        // n is public.
        x = if carry >= borrow { difference } else { doubled };
        step += 1;
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arith::testing::{Operands, big, limbs};
    use crate::arith::weierstrass::Curve;
    use num_bigint::BigUint;

    fn array<const N: usize>(x: &[u64]) -> [u64; N] {
        x.try_into().unwrap()
    }

    fn check<const N: usize>(modulus: &Modulus<N>) {
        let mut operands = Operands::new(N as u64);
        let n = big(modulus.limbs());
        let r = BigUint::from(1u8) << (64 * N);
        let r_inverse = r.modinv(&n).unwrap();
        let values = operands.below(modulus.limbs());
        for a in values.iter().map(|a| array(a)) {
            let a: [u64; N] = a;
            assert_eq!(modulus.leave(&modulus.enter(&a)), a);
            assert_eq!(big(&modulus.enter(&a)), big(&a) * &r % &n);
            assert_eq!(big(&modulus.neg(&a)), (&n - big(&a)) % &n);
            for b in values.iter().map(|b| array(b)) {
                assert_eq!(big(&modulus.mul(&a, &b)), big(&a) * big(&b) * &r_inverse % &n);
                assert_eq!(big(&modulus.add(&a, &b)), (big(&a) + big(&b)) % &n);
                assert_eq!(big(&modulus.sub(&a, &b)), (big(&a) + &n - big(&b)) % &n);
            }
        }
        for b in operands.some(N).iter().map(|b| array(b)) {
            assert_eq!(big(&modulus.reduced(&b)), big(&b) % &n);
            assert_eq!(big(&modulus.enter(&b)), big(&b) * &r % &n);
            let a = array(&limbs(&(&n - 1u8), N));
            assert_eq!(big(&modulus.mul(&a, &b)), big(&a) * big(&b) * &r_inverse % &n);
        }
    }

    fn check_inverses<const N: usize>(modulus: &Modulus<N>) {
        let mut operands = Operands::new(77);
        let one = modulus.power_of_two(64 * N);
        for count in 0..=5 {
            for zeros in 0..1 << count {
                let draw = |i: usize| match zeros >> i & 1 {
                    0 => modulus.reduced(&array(&operands.random(N))),
                    _ => [0; N],
                };
                let elements: Vec<[u64; N]> = (0..count).map(draw).collect();
                let mut inverses = elements.clone();
                modulus.invert_all(&mut inverses);
                for (x, y) in elements.iter().zip(&inverses) {
                    let expected = if *x == [0; N] { [0; N] } else { one };
                    assert_eq!(modulus.mul(x, y), expected);
                }
            }
        }
    }

    #[test]
    fn arithmetic_is_that_of_big_integers() {
        use crate::arch::prime::{P256, P384};
        for modulus in [P256::FIELD, P256::ORDER] {
            check(modulus);
            check_inverses(modulus);
        }
        for modulus in [P384::FIELD, P384::ORDER] {
            check(modulus);
            check_inverses(modulus);
        }
        check(&Modulus::new([u64::MAX; 5]));
        check(&Modulus::new([1, 0, 1 << 63]));
    }
}

//! Operands with every digit at its bound, or zero, and with upper bits that must not count.

use super::{MASK, RADIX};
use crate::arch::field25519::Field25519Lanes;
use crate::arch::lanes::LaneVec;
use crate::arch::number::{Reduced, Sum};
use crate::arch::prime::{P256, P384, Prime, PrimeLanes};
use crate::arch::testing::with_tier;
use crate::arch::{Avx512Ifma, AvxIfma, TierKind};
use num_bigint::BigUint;

/// A sum whose digits are zero or at their bounds as the bits of `pattern` say, other ones in other lanes;
/// and the numbers that it stands for.
fn operand<V: LaneVec, const D: usize>(pattern: usize, last: u64) -> (Sum<V, D>, Vec<BigUint>) {
    let mut sum = Sum([V::default(); D]);
    let lanes = sum.0[0].as_ref().len();
    let mut values = vec![BigUint::ZERO; lanes];
    for (lane, value) in values.iter_mut().enumerate() {
        for i in (0..D).rev() {
            let bound = if i + 1 < D { MASK } else { last };
            let digit = if (pattern + 37 * lane) >> i & 1 == 1 { bound } else { 0 };
            *value = (&*value << RADIX) + digit;
            let carried = if i + 1 < D { (0xa5a + lane as u64) << RADIX } else { 0 };
            sum.0[i].as_mut()[lane] = digit | carried;
        }
    }
    (sum, values)
}

fn big(limbs: &[u64]) -> BigUint {
    limbs.iter().rev().fold(BigUint::ZERO, |sum, limb| (sum << 64) + *limb)
}

fn check_prime<P: Prime, V: LaneVec, K, const D: usize>(kernel: K)
where
    K: PrimeLanes<P, Vec = V, Sum = Sum<V, D>, Reduced = Reduced<V, D>>,
{
    let p = big(P::P);
    let last = u64::try_from((&p * 4u8) >> (52 * (D - 1))).unwrap() - 1;
    let r_inverse = (BigUint::from(1u8) << (52 * D)).modinv(&p).unwrap();
    for pattern in 0..1 << D {
        let (a, x) = operand::<V, D>(pattern, last);
        let (b, y) = operand::<V, D>((!pattern).wrapping_mul(5) & 0xffff, last);
        let (mut product, mut square) = (K::Reduced::default(), K::Reduced::default());
        kernel.mul(&mut product, &a, &b);
        kernel.sqr(&mut square, &a);
        for lane in 0..K::LANES {
            let mut out = vec![0; P::P.len()];
            K::get(&mut out, &product, lane);
            assert_eq!(big(&out), &x[lane] * &y[lane] * &r_inverse % &p, "{pattern:b}");
            K::get(&mut out, &square, lane);
            assert_eq!(big(&out), &x[lane] * &x[lane] * &r_inverse % &p, "{pattern:b}");
        }
    }
}

fn check_25519<V: LaneVec, K>(kernel: K)
where
    K: Field25519Lanes<Mask = V, Sum = Sum<V, 5>, Reduced = Reduced<V, 5>>,
{
    let p = (BigUint::from(1u8) << 255) - 19u8;
    let last = (1 << 47) + (1 << 12);
    for pattern in 0..1 << 5 {
        let (a, x) = operand::<V, 5>(pattern, last);
        let (b, y) = operand::<V, 5>((!pattern).wrapping_mul(5) & 0xffff, last);
        let (mut product, mut square) = (K::Reduced::default(), K::Reduced::default());
        kernel.mul(&mut product, &a, &b);
        kernel.sqr(&mut square, &a);
        for lane in 0..K::LANES {
            assert_eq!(big(&K::get(&product, lane).to_limbs()), &x[lane] * &y[lane] % &p, "{pattern:b}");
            assert_eq!(big(&K::get(&square, lane).to_limbs()), &x[lane] * &x[lane] % &p, "{pattern:b}");
        }
    }
}

macro_rules! digit_tests {
    ($($module:ident: $kind:ident, $token:expr;)*) => {$(
        mod $module {
            use super::*;

            #[test]
            fn lanes_digits_at_their_bounds() {
                with_tier(TierKind::$kind, $token, |kernel| {
                    check_prime::<P256, _, _, 5>(kernel);
                    check_prime::<P384, _, _, 8>(kernel);
                    check_25519(kernel);
                });
            }
        }
    )*};
}
digit_tests! {
    on_plain_words: Portable, Some(crate::arch::PlainIfma);
    avx_ifma: AvxIfma, AvxIfma::detect();
    avx512_ifma: Avx512Ifma, Avx512Ifma::detect();
}

use super::*;
use crate::arith::limbs::{mul as mul_wide, neg_inv_pow2};
use crate::arith::testing::{LENGTHS, Operands, big, limbs};
use num_bigint::BigUint;

fn radix(n: &[u64]) -> BigUint {
    BigUint::from(1u8) << (64 * n.len())
}

#[test]
fn products_in_montgomery_form() {
    let mut operands = Operands::new(1);
    for len in LENGTHS {
        for n in operands.moduli(len) {
            let (modulus, values) = (big(&n), operands.below(&n));
            let mut mont = Mont::new(&n);
            for a in &values {
                let mut square = a.clone();
                mont.square_assign(&mut square);
                for b in &values {
                    let (mut product, mut in_place) = (vec![7; len], a.clone());
                    mont.mul(&mut product, a, b);
                    assert!(big(&product) < modulus);
                    assert_eq!(big(&product) * radix(&n) % &modulus, big(a) * big(b) % &modulus);
                    mont.mul_assign(&mut in_place, b);
                    assert_eq!(in_place, product);
                    assert!(a != b || square == product);
                }
            }
        }
    }
}

#[test]
fn reduction_takes_everything_below_n_times_r() {
    let mut operands = Operands::new(2);
    for len in LENGTHS {
        for n in operands.moduli(len) {
            let modulus = big(&n);
            let most = &modulus * radix(&n) - 1u8;
            let others = [operands.rough(2 * len), operands.random(2 * len)].map(|t| big(&t) % (&most + 1u8));
            for value in [BigUint::ZERO, most].into_iter().chain(others) {
                let (mut out, mut t) = (vec![7; len], limbs(&value, 2 * len));
                redc(&mut out, &mut t, &n, crate::arith::limbs::neg_inv_u64(n[0]));
                assert!(big(&out) < modulus);
                assert_eq!(big(&out) * radix(&n) % &modulus, value % &modulus);
            }
            for a in operands.some(len) {
                let mut out = vec![7; len];
                Mont::new(&n).leave(&mut out, &a);
                assert!(big(&out) < modulus);
                assert_eq!(big(&out) * radix(&n) % &modulus, big(&a) % &modulus);
            }
        }
    }
}

#[test]
fn powers_of_two() {
    let mut operands = Operands::new(3);
    for len in LENGTHS {
        for n in operands.moduli(len) {
            for exponent in [0, 1, 63, 64 * len - 1, 64 * len, 64 * len + 1, 128 * len, 100_003] {
                let mut out = vec![7; len];
                pow_of_two_mod(&mut out, exponent, &n);
                let expected = BigUint::from(2u8).modpow(&exponent.into(), &big(&n));
                assert_eq!(big(&out), expected, "2^{exponent}, {len} limbs");
            }
        }
    }
}

#[test]
fn wide_values_and_even_moduli() {
    let mut operands = Operands::new(4);
    for len in [1, 2, 16, 32] {
        for mut n in operands.moduli(len) {
            for low in [n[0], n[0] - 1] {
                n[0] = low;
                for wide in [1, len, 2 * len, 2 * len + 3] {
                    for x in operands.some(wide) {
                        let mut out = vec![7; len];
                        reduce_wide(&mut out, &x, &n);
                        assert_eq!(big(&out), big(&x) % big(&n));
                    }
                }
            }
        }
    }
    let mut out = [7];
    reduce_wide(&mut out, &[u64::MAX, 3], &[1]);
    assert_eq!(out, [0]);
}

#[test]
fn powers() {
    let mut operands = Operands::new(5);
    for len in [1, 2, 3, 16, 33, 64] {
        for n in operands.moduli(len) {
            for base in operands.below(&n) {
                for exponent in [operands.rough(1), operands.rough(3), vec![0], vec![0, 1]] {
                    let mut out = vec![7; len];
                    mod_pow(&mut out, &base, &exponent, &n);
                    assert_eq!(big(&out), big(&base).modpow(&big(&exponent), &big(&n)));
                }
                for exponent in [1, 2, 3, 65537, (1 << 32) + 1] {
                    let mut out = vec![7; len];
                    mod_pow_vartime(&mut out, &base, exponent, &n);
                    assert_eq!(big(&out), big(&base).modpow(&exponent.into(), &big(&n)));
                }
            }
        }
    }
}

#[test]
fn full_length_powers() {
    let mut operands = Operands::new(6);
    for len in [16, 24, 32] {
        let n = operands.moduli(len).pop().unwrap();
        for exponent in [operands.random(len), vec![u64::MAX; len]] {
            let base = operands.below(&n).pop().unwrap();
            let mut out = vec![7; len];
            mod_pow(&mut out, &base, &exponent, &n);
            assert_eq!(big(&out), big(&base).modpow(&big(&exponent), &big(&n)));
        }
    }
}

/// The two ways to a quotient, limb by limb and full-width, are congruent: kernels use the second one.
#[test]
fn the_full_width_quotient_reduces_too() {
    let mut operands = Operands::new(7);
    for n in operands.moduli(16) {
        let mut n_inv = vec![0; 16];
        neg_inv_pow2(&mut n_inv, &n, 1024, &mut [0; 32]);
        let (a, b) = (operands.below(&n).pop().unwrap(), operands.below(&n).pop().unwrap());
        let mut t = vec![0; 32];
        mul_wide(&mut t, &a, &b);
        let quotient = big(&t[..16]) * big(&n_inv) % radix(&n);
        let sum = big(&t) + quotient * big(&n);
        let mut out = vec![0; 16];
        Mont::new(&n).mul(&mut out, &a, &b);
        assert_eq!(sum.clone() % radix(&n), BigUint::ZERO);
        assert_eq!((sum >> 1024) % big(&n), big(&out));
    }
}

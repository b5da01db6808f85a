use super::*;
use crate::arith::testing::{LENGTHS, Operands, big, limbs};
use num_bigint::BigUint;

/// Runs `check` on pairs of operands of every sampled length.
fn for_pairs(seed: u64, mut check: impl FnMut(&[u64], &[u64])) {
    let mut operands = Operands::new(seed);
    for len in LENGTHS {
        let values = operands.some(len);
        for a in &values {
            for b in &values {
                check(a, b);
            }
        }
    }
}

fn power(len: usize) -> BigUint {
    BigUint::from(1u8) << (64 * len)
}

#[test]
fn sums_and_differences() {
    for_pairs(1, |a, b| {
        let (len, modulus) = (a.len(), power(a.len()));
        let mut out = vec![7; len];
        let mut sum = a.to_vec();
        let carry = add_assign(&mut sum, b);
        assert_eq!(big(&sum) + modulus.clone() * carry, big(a) + big(b));

        let borrow = sub(&mut out, a, b);
        assert_eq!(big(&out) + big(b), big(a) + modulus * borrow);
        let mut in_place = a.to_vec();
        assert_eq!(sub_assign(&mut in_place, b), borrow);
        assert_eq!(in_place, out);
    });
}

#[test]
fn conditional_forms() {
    for_pairs(2, |a, b| {
        for condition in [false, true] {
            let choice = Choice::from(u8::from(condition));
            let (mut expected, mut got) = (a.to_vec(), a.to_vec());
            let carry = if condition { add_assign(&mut expected, b) } else { 0 };
            assert_eq!((add_assign_if(choice, &mut got, b), &got), (carry, &expected));
            let borrow = if condition { sub_assign(&mut expected, b) } else { 0 };
            assert_eq!((sub_assign_if(choice, &mut got, b), &got), (borrow, &expected));
        }
    });
}

#[test]
fn comparisons() {
    for_pairs(3, |a, b| {
        assert_eq!(bool::from(ct_eq(a, b)), a == b);
        assert_eq!(bool::from(ct_lt(a, b)), big(a) < big(b));
        assert_eq!(bool::from(is_zero(a)), big(a) == BigUint::ZERO);
        assert_eq!(bit_len_vartime(a) as u64, big(a).bits());
    });
}

#[test]
fn a_difference_in_one_bit_is_seen() {
    for len in LENGTHS {
        for bit in [0, 63, 64 * len - 1] {
            let (a, mut b) = (vec![0; len], vec![0; len]);
            b[bit / 64] |= 1 << (bit % 64);
            assert!(!bool::from(ct_eq(&a, &b)) && !bool::from(is_zero(&b)));
            assert!(bool::from(ct_lt(&a, &b)) && !bool::from(ct_lt(&b, &a)));
        }
    }
}

#[test]
fn products() {
    for_pairs(4, |a, b| {
        let mut out = vec![7; 2 * a.len()];
        mul(&mut out, a, b);
        assert_eq!(big(&out), big(a) * big(b));
        square(&mut out, a);
        assert_eq!(big(&out), big(a) * big(a));
    });
}

#[test]
fn products_of_unequal_lengths() {
    let mut operands = Operands::new(5);
    for (la, lb) in [(1, 9), (9, 1), (16, 3), (33, 32)] {
        for (a, b) in operands.some(la).iter().zip(operands.some(lb).iter().rev()) {
            let mut out = vec![7; la + lb];
            mul(&mut out, a, b);
            assert_eq!(big(&out), big(a) * big(b));
        }
    }
}

#[test]
fn doubling() {
    for_pairs(6, |a, b| {
        let (bit, mut twice) = (b[0] & 1, a.to_vec());
        let out = shl1_assign(&mut twice, bit);
        assert_eq!(big(&twice) + power(a.len()) * out, big(a) * 2u8 + bit);
    });
}

#[test]
fn negated_inverses_modulo_powers_of_two() {
    let mut operands = Operands::new(7);
    for len in LENGTHS {
        for n in operands.moduli(len) {
            assert_eq!(neg_inv_u64(n[0]).wrapping_mul(n[0]), u64::MAX);
            for bits in [1, 3, 49, 52, 63, 64, 65, 64 * len - 1, 64 * len, 64 * len + 29] {
                let mut out = vec![7; bits.div_ceil(64)];
                neg_inv_pow2(&mut out, &n, bits, &mut vec![7; 2 * bits.div_ceil(64)]);
                let modulus = BigUint::from(1u8) << bits;
                assert!(big(&out) < modulus);
                assert_eq!((big(&out) * big(&n) + 1u8) % modulus, BigUint::ZERO, "{len} limbs, {bits} bits");
            }
        }
    }
}

#[test]
fn negated_inverse_with_room_above() {
    let n = Operands::new(8).moduli(16).pop().unwrap();
    let mut out = vec![7; 20];
    neg_inv_pow2(&mut out, &n, 1040, &mut [7; 50]);
    assert_eq!((big(&out) * big(&n) + 1u8) % (BigUint::from(1u8) << 1040), BigUint::ZERO);
    assert_eq!(&out[17..], &[0; 3]);
}

#[test]
fn bytes() {
    let mut operands = Operands::new(9);
    for len in LENGTHS {
        for a in operands.some(len) {
            let mut padded = vec![7; 8 * len];
            to_be_bytes(&mut padded, &a);
            assert_eq!(BigUint::from_bytes_be(&padded), big(&a));
            let mut back = vec![7; len];
            from_be_bytes(&mut back, &padded);
            assert_eq!(back, a);

            let minimal = big(&a).to_bytes_be();
            from_be_bytes(&mut back, &minimal);
            assert_eq!(back, a);
            let mut exact = vec![7; minimal.len()];
            to_be_bytes(&mut exact, &a);
            assert_eq!(exact, minimal);
            let mut long = vec![7; 8 * len + 5];
            to_be_bytes(&mut long, &a);
            assert_eq!((&long[..5], &long[5..]), (&[0; 5][..], &padded[..]));
        }
    }
    assert_eq!(limbs(&BigUint::ZERO, 2), [0, 0]);
}

#[test]
#[should_panic(expected = "bytes.len() <= 8 * out.len()")]
fn bytes_that_do_not_fit_panic() {
    from_be_bytes(&mut [0; 2], &[0; 17]);
}

use super::*;
use crate::arith::mont::pow_of_two_mod;
use crate::arith::testing::{LENGTHS, Operands, big};
use num_bigint::BigUint;

/// Odd numbers with the top bit set, those among them that make suggested quotients wrong.
fn divisors(operands: &mut Operands, len: usize) -> Vec<Vec<u64>> {
    let mut least = vec![0; len];
    let mut hollow = vec![u64::MAX; len];
    hollow[len - 1] = 0;
    least[0] = 1;
    let random = (0..20).flat_map(|_| [operands.rough(len), operands.random(len)]).collect::<Vec<_>>();
    let mut divisors = [vec![least, hollow, vec![u64::MAX; len]], random].concat();
    for n in &mut divisors {
        n[0] |= 1;
        n[len - 1] |= 1 << 63;
    }
    divisors
}

#[test]
fn powers_of_two_are_those_of_big_integers() {
    let mut operands = Operands::new(11);
    let mut cases = 0;
    for len in LENGTHS {
        for n in divisors(&mut operands, len) {
            for exponent in [64 * len - 64, 64 * len - 1, 64 * len, 128 * len - 3, 128 * len + 77, 130 * len]
            {
                let mut out = vec![7; len];
                pow_of_two_mod_vartime(&mut out, exponent, &n);
                assert_eq!(big(&out), BigUint::from(2u8).modpow(&exponent.into(), &big(&n)), "{n:x?}");
                cases += 1;
            }
        }
    }
    assert_eq!(cases, LENGTHS.len() * 43 * 6);
}

#[test]
fn both_ways_agree() {
    let n = divisors(&mut Operands::new(12), 32).pop().unwrap();
    let (mut by_words, mut by_bits) = (vec![0; 32], vec![0; 32]);
    pow_of_two_mod_vartime(&mut by_words, 2 * 2080, &n);
    pow_of_two_mod(&mut by_bits, 2 * 2080, &n);
    assert_eq!(by_words, by_bits);
}

#[test]
fn quotients_of_words() {
    let mut operands = Operands::new(13);
    for _ in 0..10_000 {
        let [a, b, c, d] = [0; 4].map(|_| operands.rough(1)[0]);
        let (divisor, high, low) = (a | 1 << 63, b, if d & 1 == 0 { c } else { d });
        let dividend = u128::from(high) << 64 | u128::from(low);
        if high < divisor {
            let quotient = Divisor::new(divisor).divide(high, low);
            assert_eq!(u128::from(quotient), dividend / u128::from(divisor));
        }
    }
}

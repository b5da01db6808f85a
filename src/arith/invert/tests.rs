use super::*;
use crate::arith::testing::{LENGTHS, Operands, big, limbs};
use num_bigint::BigUint;

/// Inverts and compares with the extended Euclidean algorithm.
fn check(x: &[u64], n: &[u64]) {
    let mut out = vec![7; n.len()];
    let found = bool::from(invert(&mut out, x, n));
    match big(x).modinv(&big(n)) {
        Some(expected) => assert_eq!((found, big(&out)), (true, expected)),
        None => assert_eq!((found, big(&out)), (false, BigUint::ZERO)),
    }
}

#[test]
fn inverses_of_all_sizes() {
    let mut operands = Operands::new(1);
    for len in LENGTHS {
        for n in operands.moduli(len) {
            operands.below(&n).iter().for_each(|x| check(x, &n));
        }
    }
}

#[test]
fn many_of_one_limb() {
    let mut operands = Operands::new(2);
    for n in (3..400).step_by(2) {
        (0..n).for_each(|x| check(&[x], &[n]));
    }
    for _ in 0..10_000 {
        let n = operands.word() | 3;
        check(&[operands.word() % n], &[n]);
    }
}

#[test]
fn many_of_the_length_of_rsa_2048_primes() {
    let mut operands = Operands::new(3);
    for _ in 0..300 {
        let mut n = operands.random(16);
        n[0] |= 1;
        n[15] |= 1 << 63;
        operands.below(&n).iter().for_each(|x| check(x, &n));
    }
}

#[test]
fn common_factors_are_reported() {
    let mut operands = Operands::new(4);
    for len in [2, 16, 33, 64] {
        let mut factor = operands.random(len / 2);
        factor[0] |= 3;
        let mut cofactor = operands.random(len / 2);
        cofactor[0] |= 1;
        let n = limbs(&(big(&factor) * big(&cofactor)), len);
        let x = limbs(&(big(&factor) * (operands.word() | 1) % big(&n)), len);
        let mut out = vec![7; len];
        assert!(!bool::from(invert(&mut out, &x, &n)));
        assert_eq!(out, vec![0; len]);
    }
}

#[test]
fn values_next_to_powers_of_two_and_quotients_of_fibonacci_numbers() {
    // Long chains for gcd algorithms: neighbours in the Fibonacci sequence.
    let (mut a, mut b) = (BigUint::from(1u8), BigUint::from(2u8));
    while b.bits() <= 1024 {
        if b.bit(0) && b.bits() > 1000 {
            check(&limbs(&a, 16), &limbs(&b, 16));
        }
        (a, b) = (b.clone(), a + b);
    }
    let one = BigUint::from(1u8);
    for bits in 1000u32..1024 {
        let n = (&one << bits) - 1u8;
        for shift in [0, 1, 59, 60, 61, 62, 63, 64, bits - 1] {
            check(&limbs(&(&one << shift), 16), &limbs(&n, 16));
            check(&limbs(&(&n - (&one << shift)), 16), &limbs(&n, 16));
        }
    }
}

/// The size that has a bound of its own: the primes of the curves, and any moduli.
#[test]
fn many_of_the_length_of_curve_primes() {
    let p25519 = [u64::MAX - 18, u64::MAX, u64::MAX, u64::MAX >> 1];
    let p256 = [u64::MAX, 0xffff_ffff, 0, 0xffff_ffff_0000_0001];
    let mut operands = Operands::new(5);
    let mut moduli = vec![p25519.to_vec(), p256.to_vec(), vec![u64::MAX; 4]];
    moduli.extend((0..40).flat_map(|_| operands.moduli(4)));
    for n in &moduli {
        (0..5).flat_map(|_| operands.below(n)).for_each(|x| check(&x, n));
    }
    // Powers of two, and their opposites: the chains of zeros are the longest.
    for n in &moduli[..3] {
        for bit in 0..255 {
            let power = BigUint::from(1u8) << bit;
            check(&limbs(&power, 4), n);
            check(&limbs(&(big(n) - power), 4), n);
        }
    }
    let (mut a, mut b) = (BigUint::from(1u8), BigUint::from(2u8));
    while b.bits() <= 256 {
        if b.bit(0) && b.bits() > 192 {
            check(&limbs(&a, 4), &limbs(&b, 4));
        }
        (a, b) = (b.clone(), a + b);
    }
}

/// The bound for the lengths of one, 256-bit, 1024-bit and 2048-bit numbers, in whole batches.
#[test]
fn step_bound() {
    assert_eq!([64, 256, 1024, 2048].map(|bits| batches(bits) * BATCH), [180, 600, 2400, 4740]);
}

/// What one part takes from its words is what as many single steps make of a matrix.
#[test]
fn parts_are_division_steps() {
    let mut operands = Operands::new(6);
    let check = |delta: i64, f: i64, g: i64| {
        let (mut twice_delta, mut low, mut rows) = (delta, (f, g), [(1, 0), (0, 1)]);
        for _ in 0..PART {
            let [upper, lower] = rows;
            let add = |a: (i64, i64), b: (i64, i64), sign: i64| (a.0 + sign * b.0, a.1 + sign * b.1);
            if twice_delta > 0 && low.1 & 1 == 1 {
                (twice_delta, low) = (2 - twice_delta, (low.1, low.1.wrapping_sub(low.0) >> 1));
                rows = [add(lower, lower, 1), add(lower, upper, -1)];
            } else {
                let odd = low.1 & 1;
                (twice_delta, low.1) = (2 + twice_delta, low.1.wrapping_add(odd * low.0) >> 1);
                rows = [add(upper, upper, 1), add(lower, upper, odd)];
            }
        }
        let (found_delta, m) = part(delta, f, g);
        assert_eq!((found_delta, [(m.u, m.v), (m.q, m.r)]), (twice_delta, rows), "{delta} {f:x} {g:x}");
    };
    let ends = [0, 1, 2, 3, (1 << 19) - 1, 1 << 19, (1 << 19) + 1, (1 << 20) - 2, (1 << 20) - 1];
    for delta in [-41, -39, -21, -19, -3, -1, 1, 3, 19, 21, 39, 41] {
        for f in ends.iter().filter(|f| *f & 1 == 1) {
            ends.iter().for_each(|g| check(delta, *f, *g));
        }
        (0..2000).for_each(|_| check(delta, operands.word() as i64 >> 2 | 1, operands.word() as i64 >> 2));
    }
}

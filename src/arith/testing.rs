//! Operands for tests, and the conversions to the big integers that results are compared with.

use crate::arch::testing::Random;
use num_bigint::BigUint;

/// Reproducible operands, from a fixed seed.
pub(crate) struct Operands(Random);

impl Operands {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Random(seed))
    }

    pub(crate) fn word(&mut self) -> u64 {
        self.0.word()
    }

    pub(crate) fn random(&mut self, len: usize) -> Vec<u64> {
        (0..len).map(|_| self.word()).collect()
    }

    /// Limbs that are often 0 or all ones: the values at which carries run far.
    pub(crate) fn rough(&mut self, len: usize) -> Vec<u64> {
        (0..len).map(|_| [0, u64::MAX, 1, u64::MAX - 1, self.word()][(self.word() % 5) as usize]).collect()
    }

    /// Edge values, rough and random ones, all of `len` limbs.
    pub(crate) fn some(&mut self, len: usize) -> Vec<Vec<u64>> {
        let mut one = vec![0; len];
        one[0] = 1;
        let mut top = vec![0; len];
        top[len - 1] = 1 << 63;
        let edges = vec![vec![0; len], one, top, vec![u64::MAX; len]];
        edges
            .into_iter()
            .chain([self.rough(len), self.rough(len), self.random(len), self.random(len)])
            .collect()
    }

    /// Odd moduli greater than 1 of `len` limbs, with and without the top bit.
    pub(crate) fn moduli(&mut self, len: usize) -> Vec<Vec<u64>> {
        let mut three = vec![0; len];
        three[0] = 3;
        let mut top = vec![0; len];
        top[len - 1] = 1 << 63;
        let mut moduli = vec![three, top, vec![u64::MAX; len], self.rough(len), self.random(len)];
        moduli.iter_mut().for_each(|n| n[0] |= 3);
        moduli
    }

    /// Values below `n`: 0, 1, n − 1, (n − 1)/2 and random ones.
    pub(crate) fn below(&mut self, n: &[u64]) -> Vec<Vec<u64>> {
        let modulus = big(n);
        let edges = [big(&[0]), big(&[1]), &modulus - 1u8, (&modulus - 1u8) >> 1];
        let random = [self.rough(n.len()), self.random(n.len())].map(|x| big(&x) % &modulus);
        edges.into_iter().chain(random).map(|x| limbs(&x, n.len())).collect()
    }
}

/// The bytes that hexadecimal digits stand for.
pub(crate) fn from_hex(digits: &str) -> Vec<u8> {
    (0..digits.len() / 2).map(|i| u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).unwrap()).collect()
}

/// The lengths that tests sample from 1 to 64, the ones that RSA needs among them.
pub(crate) const LENGTHS: [usize; 14] = [1, 2, 3, 4, 5, 7, 8, 16, 17, 24, 31, 32, 48, 64];

pub(crate) fn big(limbs: &[u64]) -> BigUint {
    BigUint::from_slice(&limbs.iter().flat_map(|l| [*l as u32, (*l >> 32) as u32]).collect::<Vec<_>>())
}

pub(crate) fn limbs(x: &BigUint, len: usize) -> Vec<u64> {
    let mut limbs = x.to_u64_digits();
    assert!(limbs.len() <= len, "{} limbs do not fit {len}", limbs.len());
    limbs.resize(len, 0);
    limbs
}

//! What tests of the tiers share: the gate for machines that cannot run a tier, reproducible randomness, and
//! the conversions between digits and the big integers that results are compared with.

use super::TierKind;
use super::lanes::{Moduli, MontLanes, Shape};
use num_bigint::{BigInt, BigUint};
use std::io::Write;

/// Runs `test` with the tier's token, or says on standard error that this machine cannot.
///
/// # Panics
/// If the machine cannot run the tier although the environment variable `REQUIRE_TIERS`, a comma-separated list
/// of tier names, names it.
pub(crate) fn with_tier<T>(kind: TierKind, detected: Option<T>, test: impl FnOnce(T)) {
    if let Some(token) = detected {
        return test(token);
    }
    let required = std::env::var("REQUIRE_TIERS").unwrap_or_default();
    assert!(!is_named(&required, kind), "REQUIRE_TIERS names {kind}, which this machine cannot run");
    // Not eprintln!, which the test harness swallows when the test passes.
    writeln!(std::io::stderr(), "not run: {kind} (not offered by this CPU or operating system)").unwrap();
}

/// Whether the comma-separated `list` names the tier. A name that no tier has is a mistake, not a tier to skip.
fn is_named(list: &str, kind: TierKind) -> bool {
    let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.fold(false, |found, name| found | (name.parse::<TierKind>().expect("REQUIRE_TIERS") == kind))
}

/// Reproducible random numbers: SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: &BigUint) -> BigUint {
        let words: Vec<u32> = (0..bound.bits() / 32 + 3).map(|_| self.word() as u32).collect();
        BigUint::from_slice(&words) % bound
    }

    /// An odd number of exactly `bits` bits.
    pub(crate) fn modulus(&mut self, bits: usize) -> BigUint {
        let mut n = self.below(&(BigUint::from(1u8) << bits));
        n.set_bit(0, true);
        n.set_bit(bits as u64 - 1, true);
        n
    }
}

/// One number per lane, in digits. Balanced tiers get balanced digits, a carry out of the last one is dropped.
pub(crate) fn write<L: MontLanes>(shape: Shape, values: &[BigInt]) -> Vec<L::Vec> {
    let radix = BigInt::from(1u8) << shape.radix_bits;
    let half = &radix >> 1u8;
    let mut vectors = vec![L::Vec::default(); shape.digits];
    for (lane, value) in values.iter().enumerate() {
        let mut rest = value.clone();
        for v in &mut vectors {
            // The digit congruent to `rest`, from the tier's range; `>>` rounds down, whatever the sign.
            let mut digit = &rest - ((&rest >> shape.radix_bits) << shape.radix_bits);
            if L::BALANCED && digit >= half {
                digit -= &radix;
            }
            rest = (rest - &digit) >> shape.radix_bits;
            L::set(v, lane, i64::try_from(digit).unwrap());
        }
        let one = BigInt::from(1u8);
        assert!(rest == BigInt::ZERO || L::BALANCED && rest <= one, "a number too large for its digits");
    }
    vectors
}

/// The number in a lane.
pub(crate) fn read<L: MontLanes>(shape: Shape, vectors: &[L::Vec], lane: usize) -> BigInt {
    let digits = vectors[..shape.digits].iter().rev().map(|v| L::get(v, lane));
    digits.fold(BigInt::ZERO, |sum, digit| (sum << shape.radix_bits) + digit)
}

/// A batch's moduli: as integers, zero in unused lanes, and in digits.
pub(crate) struct TestModuli<L: MontLanes> {
    pub(crate) shape: Shape,
    pub(crate) values: Vec<BigUint>,
    n: Vec<L::Vec>,
    n_inv: Vec<L::Vec>,
}

impl<L: MontLanes> TestModuli<L> {
    /// The moduli `values` in the first lanes; the lanes that they do not fill are unused.
    pub(crate) fn new(shape: Shape, values: &[BigUint]) -> Self {
        let r = BigUint::from(1u8) << shape.r_bits();
        let mut values = values.to_vec();
        values.resize(L::LANES, BigUint::ZERO);
        let inverse = |n: &BigUint| {
            let inverse = n.modinv(&r).map_or(BigUint::ZERO, |inverse| &r - inverse);
            BigInt::from(inverse)
        };
        let signed: Vec<BigInt> = values.iter().map(|n| BigInt::from(n.clone())).collect();
        let inverses: Vec<BigInt> = values.iter().map(inverse).collect();
        let (n, n_inv) = (write::<L>(shape, &signed), write::<L>(shape, &inverses));
        Self { shape, values, n, n_inv }
    }

    pub(crate) fn moduli(&self) -> Moduli<'_, L::Vec> {
        Moduli { shape: self.shape, n: &self.n, n_inv: &self.n_inv }
    }

    /// Scratch space full of what an earlier operation may have left there.
    pub(crate) fn scratch(&self) -> Vec<L::Vec> {
        let mut dirty = L::Vec::default();
        dirty.as_mut().fill(0x5a5a_5a5a_5a5a_5a5a);
        vec![dirty; L::scratch_len(self.shape)]
    }
}

mod tests {
    use super::*;
    use crate::arch::Portable;

    #[test]
    #[should_panic(expected = "REQUIRE_TIERS names avx2-fma")]
    fn a_required_tier_must_run() {
        assert!(!is_named("", TierKind::Avx2Fma) && !is_named("scalar", TierKind::Avx2Fma));
        let named = is_named("avx512-ifma, avx2-fma", TierKind::Avx2Fma);
        assert!(!named, "REQUIRE_TIERS names avx2-fma");
    }

    #[test]
    #[should_panic(expected = "unknown tier")]
    fn a_misspelt_tier_is_refused() {
        is_named("avx512", TierKind::Avx2Fma);
    }

    #[test]
    fn digits_round_trip() {
        let shape = Portable::shape(1024).unwrap();
        let values = [1, 2, 3, 4].map(|seed| BigInt::from(Random(seed).modulus(1024)));
        let vectors = write::<Portable>(shape, &values);
        for (lane, value) in values.iter().enumerate() {
            assert_eq!(&read::<Portable>(shape, &vectors, lane), value);
        }
    }
}

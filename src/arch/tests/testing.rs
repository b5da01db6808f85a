//! What tests of the tiers share: the gate for machines that cannot run a tier, reproducible randomness, and
//! the conversions between digits and the big integers that results are compared with.

use crate::arch::TierKind;
use crate::arch::lanes::{Moduli, MontLanes, Shape};
use num_bigint::{BigInt, BigUint, Sign};
use std::io::Write;

/// Runs `test` with the tier's token, or says on standard error that this machine cannot, or was told not to.
///
/// The environment variable `ONLY_TIERS`, a comma-separated list of tier names, leaves all others out: an
/// emulator would spend most of its time on tiers that run anywhere.
///
/// # Panics
/// If the machine cannot run the tier although `REQUIRE_TIERS` names it, or `ONLY_TIERS` leaves out what that
/// requires.
pub(crate) fn with_tier<T>(kind: TierKind, detected: Option<T>, test: impl FnOnce(T)) {
    let required = std::env::var("REQUIRE_TIERS").unwrap_or_default();
    let left_out = std::env::var("ONLY_TIERS").is_ok_and(|only| !is_named(&only, kind));
    assert!(
        !left_out || !is_named(&required, kind),
        "ONLY_TIERS leaves out {kind}, which REQUIRE_TIERS names"
    );
    if left_out {
        writeln!(std::io::stderr(), "not run: {kind} (left out by ONLY_TIERS)").unwrap();
        return;
    }
    if let Some(token) = detected {
        return test(token);
    }
    assert!(!is_named(&required, kind), "REQUIRE_TIERS names {kind}, which this machine cannot run");
    // Not eprintln!, which the test harness swallows when the test passes.
    writeln!(std::io::stderr(), "not run: {kind} (not offered by this CPU or operating system)").unwrap();
}

/// Whether the comma-separated `list` names the tier. A name that no tier has is a mistake, not a tier to
/// skip.
fn is_named(list: &str, kind: TierKind) -> bool {
    let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
    let named = |name: &str| name.parse::<TierKind>().unwrap_or_else(|unknown| panic!("{unknown}"));
    names.fold(false, |found, name| found | (named(name) == kind))
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

/// One number per lane, in digits. Balanced tiers get balanced digits, modulo R.
pub(crate) fn write<L: MontLanes>(shape: Shape, values: &[BigInt]) -> Vec<L::Vec> {
    let mut vectors = vec![L::Vec::default(); shape.digits];
    for (lane, value) in values.iter().enumerate() {
        let mut digits = unsigned_digits(value.magnitude(), shape);
        if L::BALANCED {
            balance(&mut digits, shape.radix_bits);
        }
        let sign = if value.sign() == Sign::Minus { -1 } else { 1 };
        assert!(sign == 1 || L::BALANCED, "a negative number for a tier that has none");
        vectors.iter_mut().zip(digits).for_each(|(v, digit)| L::set(v, lane, sign * digit));
    }
    vectors
}

fn unsigned_digits(value: &BigUint, shape: Shape) -> Vec<i64> {
    assert!(value.bits() <= shape.r_bits() as u64, "a number too large for its digits");
    let mut words = value.to_u64_digits();
    words.resize(shape.r_bits() / 64 + 2, 0);
    let digit = |i: usize| {
        let (word, bit) = (i * shape.radix_bits as usize / 64, i * shape.radix_bits as usize % 64);
        let both = u128::from(words[word]) | u128::from(words[word + 1]) << 64;
        (both >> bit) as i64 & ((1 << shape.radix_bits) - 1)
    };
    (0..shape.digits).map(digit).collect()
}

/// Makes digits of 0 to 2^radix_bits signed ones of half the size.
fn balance(digits: &mut [i64], radix_bits: u32) {
    let mut carry = 0;
    for digit in digits {
        *digit += carry;
        carry = i64::from(*digit >= 1 << (radix_bits - 1));
        *digit -= carry << radix_bits;
    }
}

/// The number in a lane.
pub(crate) fn read<L: MontLanes>(shape: Shape, vectors: &[L::Vec], lane: usize) -> BigInt {
    let digits = || vectors[..shape.digits].iter().map(|v| L::get(v, lane));
    let positive = unsigned_sum(digits().map(|d| d.max(0) as u64), shape.radix_bits);
    let negative = unsigned_sum(digits().map(|d| d.min(0).unsigned_abs()), shape.radix_bits);
    BigInt::from(positive) - BigInt::from(negative)
}

/// The sum of digits below 2^63, each times 2^radix_bits to the power of its place.
fn unsigned_sum(digits: impl Iterator<Item = u64>, radix_bits: u32) -> BigUint {
    let (mut words, mut rest, mut bits) = (Vec::new(), 0u128, 0);
    for digit in digits {
        rest += u128::from(digit) << bits;
        bits += radix_bits;
        if bits >= 64 {
            words.push(rest as u64);
            rest >>= 64;
            bits -= 64;
        }
    }
    words.extend([rest as u64, (rest >> 64) as u64]);
    BigUint::from_slice(&words.iter().flat_map(|w: &u64| [*w as u32, (*w >> 32) as u32]).collect::<Vec<_>>())
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
        let mut values = values.to_vec();
        values.resize(L::LANES, BigUint::ZERO);
        let signed: Vec<BigInt> = values.iter().map(|n| BigInt::from(n.clone())).collect();
        let inverses: Vec<BigInt> =
            values.iter().map(|n| BigInt::from(negative_inverse(n, shape.r_bits()))).collect();
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

/// −n⁻¹ mod 2^bits, zero for the zero of an unused lane. By Newton's iteration: right bits double each time.
fn negative_inverse(n: &BigUint, bits: usize) -> BigUint {
    let modulus = BigUint::from(1u8) << bits;
    let mut inverse = n.clone();
    let mut right = 3;
    while right < bits {
        right *= 2;
        inverse = (&inverse * (&modulus + 2u8 - (n * &inverse) % &modulus)) % &modulus;
    }
    (&modulus - inverse) % modulus
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
    fn the_inverse_is_one() {
        let n = Random(7).modulus(1024);
        assert!((negative_inverse(&n, 1040) * n + 1u8).trailing_zeros() >= Some(1040));
        assert_eq!(negative_inverse(&BigUint::ZERO, 1040), BigUint::ZERO);
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

    #[test]
    fn balanced_digits_stand_for_the_same_number() {
        let shape = Shape { digits: 21, radix_bits: 49 };
        for seed in 0..20 {
            let value = Random(seed).modulus(1024);
            let mut digits = unsigned_digits(&value, shape);
            balance(&mut digits, shape.radix_bits);
            assert!(digits.iter().all(|d| (-(1 << 48)..1 << 48).contains(d)));
            let sum = digits.iter().rev().fold(BigInt::ZERO, |sum, d| (sum << 49u8) + d);
            assert_eq!(sum, BigInt::from(value));
        }
    }
}

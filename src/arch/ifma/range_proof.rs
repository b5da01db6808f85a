//! The range proof: the kernels themselves, run on intervals in place of words.
//!
//! [`Bound`] is one of the [`Words`]: what a word can be, in whatever lane. An operation whose result might
//! not fit 64 bits panics, and so does a right shift or a product of what might be negative. What intervals
//! of digits cannot show is said of whole numbers: see [`below`].

use super::field25519::{self, DIGITS};
use super::jacobian;
use super::prime::{self, Modulus};
use super::{MASK, RADIX, Words};
use crate::arch::prime::{P256, P384, Prime};
use num_bigint::BigUint;
use std::panic::catch_unwind;

/// From `min` to `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bound {
    min: i128,
    max: i128,
}

impl Bound {
    const fn upto(max: u64) -> Self {
        Self { min: 0, max: max as i128 }
    }

    #[track_caller]
    fn fitting(min: i128, max: i128) -> Self {
        assert!(min > -(1 << 63) && max < 1 << 64, "a word overflows: {min:x} to {max:x}");
        Self { min, max }
    }

    /// What the multiplier and shifts see, which know no signs.
    #[track_caller]
    fn unsigned(self) -> Self {
        assert!(self.min >= 0, "a word may be negative: {:x}", self.min);
        self
    }

    /// The low 52 bits.
    fn low(self) -> Self {
        if self.unsigned().max <= MASK.into() { self } else { Self::upto(MASK) }
    }

    fn product(a: Self, b: Self) -> Self {
        let (a, b) = (a.low(), b.low());
        Self { min: a.min * b.min, max: a.max * b.max }
    }

    fn contains(self, other: Self) -> bool {
        self.min <= other.min && other.max <= self.max
    }
}

impl Words for Bound {
    type Vec = Self;
    type Token = ();

    fn load((): (), from: &Self) -> Self {
        *from
    }

    fn store(self, to: &mut Self) {
        *to = self;
    }

    /// A word with bit 63 stands for a negative one.
    fn splat((): (), word: u64) -> Self {
        Self { min: (word as i64).into(), max: (word as i64).into() }
    }

    fn add(self, other: Self) -> Self {
        Self::fitting(self.min + other.min, self.max + other.max)
    }

    fn sub(self, other: Self) -> Self {
        Self::fitting(self.min - other.max, self.max - other.min)
    }

    fn and(self, other: Self) -> Self {
        assert!(other.min == other.max && (other.max + 1).count_ones() == 1, "a mask of low bits");
        if self.unsigned().max <= other.max { self } else { Self { min: 0, max: other.max } }
    }

    fn shl(self, bits: u32) -> Self {
        Self::fitting(self.min << bits, self.max << bits)
    }

    fn shr(self, bits: u32) -> Self {
        Self { min: self.unsigned().min >> bits, max: self.max >> bits }
    }

    fn madd_lo(self, a: Self, b: Self) -> Self {
        let product = Self::product(a, b);
        self.add(if product.max <= MASK.into() { product } else { Self::upto(MASK) })
    }

    fn madd_hi(self, a: Self, b: Self) -> Self {
        self.add(Self::product(a, b).shr(RADIX))
    }

    fn choose(self, other: Self, _: Self) -> Self {
        Self { min: self.min.min(other.min), max: self.max.max(other.max) }
    }

    fn top_bit(self) -> Self {
        Self { min: -1, max: 0 }
    }

    fn below(self, end: u64) -> Self {
        assert!(self.unsigned().max < end.into(), "{:x} is not below {end:x}", self.max);
        self
    }

    /// It may have lent a few units, no more.
    fn not_negative(self) -> Self {
        assert!(self.min >= -8, "{:x} is more than a last column has lent", self.min);
        Self { min: self.min.max(0), max: self.max }.below(1 << RADIX)
    }
}

const ZERO: Bound = Bound::upto(0);

/// Digits of numbers of some kind.
type Number<const D: usize> = [Bound; D];

/// The digits of numbers below `end` that are clean but for the last one: that is what is left of the number.
///
/// Intervals do not know it where a last digit has lent to the others what it gets back with their carries.
fn below<const D: usize>(end: &BigUint) -> Number<D> {
    let last = (end - 1u8) >> (RADIX as usize * (D - 1));
    let mut digits = [Bound::upto(MASK); D];
    digits[D - 1] = Bound::upto(last.try_into().unwrap());
    digits
}

/// The digits of a sum, computed on intervals, whose last one is that of a number below `end`: all others may
/// have kept what they carried.
#[track_caller]
fn sum_below<const D: usize>(mut digits: Number<D>, end: &BigUint) -> Number<D> {
    let last = below::<D>(end)[D - 1];
    assert!(digits[D - 1].max >= last.max, "the interval is narrower than the number's");
    assert!(last.max <= MASK.into(), "the last digit does not fit the multiplier");
    digits[D - 1] = last;
    digits.map(Bound::unsigned)
}

#[track_caller]
fn assert_clean<const D: usize>(digits: &Number<D>) {
    assert!(digits[..D - 1].iter().all(|d| Bound::upto(MASK).contains(*d)), "{digits:x?}");
}

fn big<P: Prime>() -> BigUint {
    BigUint::from_slice(&P::P.iter().flat_map(|w| [*w as u32, (*w >> 32) as u32]).collect::<Vec<_>>())
}

macro_rules! combinations {
    ($modulus:ty, $d:literal, $c:literal, $reduced:expr; $(($x:literal, $y:literal, $z:literal))*) => {$(
        let mut out = [ZERO; $d];
        prime::combine::<$modulus, Bound, $d, $c, $x, $y, $z>((), &mut out, [&$reduced; 3]);
        assert_clean(&out);
        // The number itself is below the next multiple of the last digit's weight.
        let end = BigUint::from(out[$d - 1].max as u128 + 1) << (52 * ($d - 1));
        assert!(end <= big::<$modulus>() * 2u8, "{} {} {}", $x, $y, $z);
        out[$d - 1].unsigned();
    )*};
}

/// Every kernel on every kind of operand, for one prime.
fn prove<P: Prime + Modulus<D, C>, const D: usize, const C: usize>() {
    let (p, r) = (big::<P>(), BigUint::from(1u8) << (52 * D));
    // −0 is 2p.
    let reduced: Number<D> = below(&(&p * 2u8 + 1u8));
    let (mut sum, mut difference, mut out) = ([ZERO; D], [ZERO; D], [ZERO; D]);
    prime::sum::<Bound, D>((), &mut sum, &reduced, &reduced);
    // a − b + 2p is not negative.
    prime::difference::<P, Bound, D, C>((), &mut difference, &reduced, &reduced);
    let sums = [sum, difference].map(|digits| sum_below(digits, &(&p * 4u8 + 1u8)));
    for a in &sums {
        prime::sqr::<P, Bound, D, C>((), &mut out, a);
        assert_clean(&out);
        for b in sums.iter().chain([&reduced]) {
            prime::mul::<P, Bound, D, C>((), &mut out, a, b);
            assert_clean(&out);
        }
    }
    // (a·b + m·p)/R for a, b ≤ 4p and m < R is below 2p.
    assert!(&p * &p * 16u8 + (&r - 1u8) * &p < r * &p * 2u8);
    out = reduced;
    prime::negate_if::<P, Bound, D, C>((), &mut out, &ZERO);
    assert_clean(&out);
    // 2p − x for 0 ≤ x ≤ 2p is one of them again: intervals do not know it of the last digit.
    assert!(out[D - 1].max <= reduced[D - 1].max + 1);
}

/// The number is at most 2p, as far as its digits tell.
#[track_caller]
fn assert_reduced<P: Prime, const D: usize>(digits: &Number<D>) {
    assert_clean(digits);
    let end = (BigUint::from(digits[D - 1].unsigned().max as u128) + 1u8) << (52 * (D - 1));
    assert!(end <= big::<P>() * 2u8, "{digits:x?}");
}

/// The group law takes and gives points of reduced elements, and lifts whatever it subtracts by enough.
fn prove_group_law<P: Prime + Modulus<D, C>, const D: usize, const C: usize>() {
    let any: Number<D> = below(&(big::<P>() * 2u8 + 1u8));
    let check = |law: &dyn Fn([&mut Number<D>; 3])| {
        let mut p = [any; 3];
        law(p.each_mut());
        p.iter().for_each(|c| assert_reduced::<P, D>(c));
    };
    check(&|p| jacobian::double::<P, Bound, D, C>((), p));
    check(&|p| jacobian::add_affine::<P, Bound, D, C>((), p, [&any; 2]));
    check(&|p| jacobian::add_jacobian::<P, Bound, D, C>((), p, [&any; 5]));
}

#[test]
fn the_group_law_keeps_its_bounds() {
    prove_group_law::<P256, 5, 10>();
    // It would hold for the other prime as well.
    prove_group_law::<P384, 8, 16>();
}

#[test]
fn nothing_overflows_modulo_p256() {
    prove::<P256, 5, 10>();
    let reduced = below(&(big::<P256>() * 2u8 + 1u8));
    combinations!(P256, 5, 10, reduced; (12, 0, 0) (0, -12, 0) (4, -4, -4) (1, -1, -10) (-1, 1, 10) (3, 0, 0)
        (-7, 0, 5) (11, -1, 0) (-11, 0, 1) (1, 0, 0) (-1, 0, 0) (6, -6, 0) (-5, -7, 0));
}

#[test]
fn nothing_overflows_modulo_p384() {
    prove::<P384, 8, 16>();
    let reduced = below(&(big::<P384>() * 2u8 + 1u8));
    combinations!(P384, 8, 16, reduced; (12, 0, 0) (0, -12, 0) (4, -4, -4) (1, -1, -10) (-1, 1, 10) (3, 0, 0)
        (-7, 0, 5) (11, -1, 0) (-11, 0, 1) (1, 0, 0) (-1, 0, 0) (6, -6, 0) (-5, -7, 0));
}

/// Reduced elements of the field of 2^255 − 19.
const REDUCED_25519: Number<DIGITS> = {
    let mut digits = [Bound::upto(MASK); DIGITS];
    digits[DIGITS - 1] = Bound::upto((1 << 47) + (1 << 12));
    digits
};

/// Sums of two of them, with upper bits left.
fn sums_25519() -> [Number<DIGITS>; 3] {
    let (mut sum, mut difference, mut scaled) = ([ZERO; DIGITS], [ZERO; DIGITS], [ZERO; DIGITS]);
    field25519::add_sub::<Bound>((), &mut sum, &mut difference, &REDUCED_25519, &REDUCED_25519);
    field25519::add_121665::<Bound>((), &mut scaled, &REDUCED_25519, &any_operand());
    [sum, difference, scaled]
}

/// An operand with anything in the upper bits of its digits, but for the last one.
fn any_operand() -> Number<DIGITS> {
    let mut digits = [Bound::upto(u64::MAX); DIGITS];
    digits[DIGITS - 1] = REDUCED_25519[DIGITS - 1];
    digits
}

#[test]
fn nothing_overflows_modulo_p25519() {
    let mut out = [ZERO; DIGITS];
    let last = REDUCED_25519[DIGITS - 1];
    let sums = sums_25519();
    for a in sums.iter().chain([&any_operand()]) {
        assert!(last.contains(a[DIGITS - 1]));
        field25519::sqr::<Bound>((), &mut out, a);
        assert_clean(&out);
        assert!(last.contains(out[DIGITS - 1]));
        for b in sums.iter().chain([&any_operand()]) {
            field25519::mul::<Bound>((), &mut out, a, b);
            assert_clean(&out);
            assert!(last.contains(out[DIGITS - 1]));
        }
    }
}

/// Columns of the ladder's points, before and after each step: minuends have the seeds.
fn ladder_points() -> field25519::Points<Bound> {
    let columns = [Bound::upto(1 << 56); DIGITS];
    let seeded = field25519::SEEDS.map(|s| Bound { min: s.into(), max: i128::from(s) + (1 << 56) });
    [seeded, columns, seeded, columns]
}

#[test]
fn a_step_of_the_ladder_keeps_its_bounds() {
    let before = ladder_points();
    let after = field25519::ladder_step((), before, &REDUCED_25519, ZERO);
    for (before, after) in before.as_flattened().iter().zip(after.as_flattened()) {
        assert!(before.contains(*after), "{before:x?}, {after:x?}");
    }
    // Halves of the seeds are doubled.
    assert!(field25519::SEEDS.iter().all(|seed| seed % 2 == 0));
    let seeds = field25519::SEEDS.iter().rev().fold(BigUint::ZERO, |sum, d| (sum << RADIX) + *d);
    assert_eq!(seeds, ((BigUint::from(1u8) << 255) - 19u8) * 514u16);
}

/// A prime whose columns lend nothing.
#[derive(Clone, Copy, Debug)]
struct Poor;

impl Prime for Poor {
    const P: &'static [u64] = <P384 as Prime>::P;
}

impl Modulus<8, 16> for Poor {
    const P: [u64; 8] = <P384 as Modulus<8, 16>>::P;
    const SEEDS: [u64; 16] = [0; 16];
    const TOP_BITS: u32 = <P384 as Modulus<8, 16>>::TOP_BITS;
    type Reduction<W: Words> = <P384 as Modulus<8, 16>>::Reduction<W>;

    fn start<W: Words>(token: W::Token) -> Self::Reduction<W> {
        P384::start(token)
    }

    fn step<W: Words>(reduction: &mut Self::Reduction<W>, t: &mut [W; 16], i: usize) {
        P384::step(reduction, t, i);
    }

    fn add_complement<W: Words>(x: &mut [W; 8], k: W) {
        P384::add_complement(x, k);
    }
}

/// The proof notices kernels without headroom.
#[test]
fn the_proof_can_fail() {
    let fails = |f: fn()| catch_unwind(f).is_err();
    assert!(!fails(prove::<P384, 8, 16>));
    assert!(fails(prove::<Poor, 8, 16>), "columns that lend nothing");
    assert!(fails(prove_group_law::<Poor, 8, 16>), "columns that lend nothing");
    let long = below::<5>(&(big::<P256>() * 20u8));
    let add = |p: Number<5>, q: Number<5>| {
        jacobian::add_affine::<P256, Bound, 5, 10>((), [p; 3].each_mut(), [&q; 2]);
    };
    let reduced = below(&(big::<P256>() * 2u8 + 1u8));
    assert!(catch_unwind(|| add(reduced, reduced)).is_ok());
    assert!(
        catch_unwind(|| add(below(&(big::<P256>() * 4u8)), reduced)).is_err(),
        "a subtrahend above its lift"
    );
    assert!(catch_unwind(|| add(reduced, long)).is_err(), "a factor above the multiplier's");
    let step = |points, u| {
        field25519::ladder_step((), points, &u, ZERO);
    };
    assert!(catch_unwind(|| step(ladder_points(), REDUCED_25519)).is_ok());
    assert!(
        catch_unwind(|| step(ladder_points(), [Bound::upto(MASK); DIGITS])).is_err(),
        "a long last digit"
    );
    let [x2, z2, x3, z3] = ladder_points();
    assert!(catch_unwind(|| step([z2, z2, x3, z3], REDUCED_25519)).is_err(), "a minuend without seeds");
    assert!(
        catch_unwind(|| step([x2, x2, x3, z3], REDUCED_25519)).is_err(),
        "a subtrahend as large as the seeds"
    );
    assert!(fails(|| _ = Bound::upto(u64::MAX).add(Bound::upto(1))));
    assert!(fails(|| _ = Bound::upto(1 << 63).shl(1)));
    assert!(fails(|| _ = ZERO.sub(Bound::upto(1)).shr(1)));
}

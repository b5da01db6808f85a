//! The proof of the kernels, checked mechanically: that every operation is exact, that results are right, and
//! reduced.
//!
//! The kernels compute with exact integers in doubles. The proof executes their assembly sources, every
//! instruction, on *linear forms* ([`form`]): what a register holds, as Σ coefficient·symbol, where a symbol
//! is a digit of an operand, a product of two of them, or what one rounding added. Symbols have bounds, so
//! forms have. Of each instruction [`machine`] asserts that its result is either a whole multiple of some 2^m
//! below 2^(m + 53), which a double holds, or is known to be in one binade, and is then rounded to a known
//! unit: a new symbol. So a rest `x·y − rounded(x·y)` is known to be small, where intervals would know
//! nothing.
//!
//! What comes out are forms for the digits of the result. Their bounds must be those of reduced digits; and
//! each symbol's coefficients, summed up modulo p with the weights of the digits and R, must be those of a·b:
//! roundings cancel. That is the result's congruence, for all operands within bounds.
//!
//! What is left to the lane tests is that the assembler and the processor do what the sources say.

mod form;
mod machine;
mod source;

use super::*;
use crate::arch::TierKind;
use crate::arch::testing::{Random, with_tier};
use form::{SCALE, Symbol};
use machine::Machine;
use num_bigint::{BigInt, BigUint, Sign};

/// A kernel's source, and what the proof must know about it.
#[derive(Clone)]
struct Kernel {
    source: String,
    constants: Vec<f64>,
    /// Registers with the operands: two, or one to be squared.
    operands: &'static [&'static str],
    r_bits: u32,
}

macro_rules! asm {
    ($name:literal) => {
        include_str!(concat!("../../../../asm/avx2fma_", $name, ".S"))
    };
}

const P256_SOURCES: [&str; 3] = [asm!("p256"), asm!("p256_mul"), asm!("p256_sqr")];
const P384_SOURCES: [&str; 3] = [asm!("p384"), asm!("p384_mul"), asm!("p384_sqr")];

fn kernels<const N: usize>(
    [macros, mul, sqr]: [&str; 3],
    constants: &Constants<N>,
    r_bits: usize,
) -> [Kernel; 2] {
    let kernel = |source: &str, operands| Kernel {
        source: [asm!("prime"), macros, source].concat(),
        constants: constants.0.concat(),
        operands,
        r_bits: r_bits as u32,
    };
    [kernel(mul, &["rsi", "rdx"]), kernel(sqr, &["rdx"])]
}

fn p256() -> [Kernel; 2] {
    kernels(P256_SOURCES, &P256_CONSTANTS, <Avx2Fma as PrimeLanes<P256>>::R_BITS)
}

fn p384() -> [Kernel; 2] {
    kernels(P384_SOURCES, &P384_CONSTANTS, <Avx2Fma as PrimeLanes<P384>>::R_BITS)
}

fn p<F: Field>() -> BigUint {
    BigUint::from_slice(&F::P.iter().flat_map(|w| [*w as u32, (*w >> 32) as u32]).collect::<Vec<_>>())
}

/// The bounds of a reduced element's digits.
fn reduced<F: Field, const D: usize>() -> [i64; D] {
    std::array::from_fn(|i| if i + 1 < D { (1 << (RADIX - 1)) + F::EXCESS } else { F::TOP })
}

/// Proves `kernel` for operands that are sums of `terms` reduced elements.
fn prove<F: Field, const D: usize>(kernel: &Kernel, terms: u64) {
    let digits = reduced::<F, D>().map(|d| terms * d as u64);
    let machine = Machine::run(&kernel.source, kernel.operands, &digits, &kernel.constants);
    let result = machine.result();
    for (digit, bound) in result.iter().zip(reduced::<F, D>()) {
        assert!(machine.bound(digit) <= BigUint::from(bound as u64) << SCALE, "a digit is not reduced");
        assert!(digit.multiple_of >= 0, "a digit is no integer");
    }
    let p = BigInt::from(p::<F>());
    let weight = |bits: u32| BigInt::from(1) << bits;
    let mut sum = std::collections::BTreeMap::<Symbol, BigInt>::new();
    for (i, digit) in result.iter().enumerate() {
        for (symbol, coefficient) in &digit.terms {
            *sum.entry(*symbol).or_default() += coefficient * weight(RADIX * i as u32 + kernel.r_bits);
        }
    }
    // Less a·b: with one operand twice, both products of two different digits are the same symbol.
    for (i, j) in (0..D).flat_map(|i| (0..D).map(move |j| (i, j))) {
        let (x, y) = ((0, i), (kernel.operands.len() - 1, j));
        let product = Symbol::Product(x.min(y), x.max(y));
        *sum.entry(product).or_default() -= weight(RADIX * (i + j) as u32 + SCALE);
    }
    assert!(sum.values().all(|c| c % &p == BigInt::ZERO), "not a·b/R");
}

#[test]
fn p256_is_exact_right_and_reduced() {
    p256().iter().for_each(|kernel| prove::<P256, 6>(kernel, 2));
}

#[test]
fn p384_is_exact_right_and_reduced() {
    p384().iter().for_each(|kernel| prove::<P384, 8>(kernel, 2));
}

/// Asserts that the proof notices operands that are too large, other constants, and sources that do something
/// else.
fn every_fault_is_noticed<F: Field, const D: usize>([mul, sqr]: [Kernel; 2], faults: &[(&str, &str)]) {
    let fails = |kernel: &Kernel, terms| std::panic::catch_unwind(|| prove::<F, D>(kernel, terms)).is_err();
    assert!(!fails(&mul, 2) && !fails(&sqr, 2));
    assert!(fails(&mul, 3) && fails(&sqr, 3), "sums of three");
    for i in (0..mul.constants.len()).step_by(4) {
        let mut other = mul.clone();
        other.constants[i..i + 4].iter_mut().for_each(|c| *c *= 2.0);
        assert!(fails(&other, 2), "another constant {i}");
    }
    for (from, to) in faults {
        let source = mul.source.replacen(from, to, 1);
        assert_ne!(source, mul.source);
        assert!(fails(&Kernel { source, ..mul.clone() }, 2), "{to} for {from}");
    }
}

#[test]
fn the_proof_of_p256_can_fail() {
    let faults = [
        ("PRIME_STEP 2, 8, 1", "PRIME_STEP 2, 8, 2"),
        ("PRIME_STEP 2, 8, 1", "PRIME_STEP 2, 7, 1"),
        ("PRIME_STEP 2, 8, 1\n", ""),
        ("PRIME_HAND_ON 1, 8", "PRIME_HAND_ON 1, 9"),
        ("P256_QUOTIENT 1, 7, 9, 11", "P256_QUOTIENT 1, 7, 9, 10"),
        ("P256_SHIFT 0, 6, 8, 1", "P256_SHIFT 0, 6, 8, 0"),
        ("P256_SHIFT 0, 6, 8, 1", "vxorpd ymm0, ymm0, ymm0"),
        ("vsubpd ymm10, ymm10, ymm5\n", ""),
        ("vzeroupper\n", ""),
        ("    ret\n", ""),
    ];
    every_fault_is_noticed::<P256, 6>(p256(), &faults);
}

#[test]
fn the_proof_of_p384_can_fail() {
    let faults = [
        ("P384_CARRY 9, 10\n", ""),
        ("P384_CARRY 10, 11\n", ""),
        ("P384_SPILL 3\n", ""),
        ("P384_KEEP 6, 10", "P384_KEEP 6, 9"),
        ("P384_LAST_TERM 4, 8", "P384_LAST_TERM 3, 8"),
        ("PRIME_STEP 1, 5, 0", "PRIME_STEP 1, 5, 1"),
        ("vsubpd ymm4, ymm4, ymm12\n", ""),
        ("vmovapd [rdi + 224], ymm4", "vmovapd [rdi + 256], ymm4"),
    ];
    every_fault_is_noticed::<P384, 8>(p384(), &faults);
}

/// `combine` gives reduced elements, `set` too, and `get` can lift what is reduced.
fn the_light_kernels_stay_exact<F: Field, const D: usize>() {
    let bounds = reduced::<F, D>();
    let carry = |i: usize, sum: i64| {
        let unit = 1i64 << if i + 1 < D { RADIX } else { F::TOP_BITS };
        // What is left, and how many units were taken out.
        (unit / 2, (sum + unit / 2) / unit)
    };
    let combined = bounds.map(|d| MAX_COMBINED as i64 * d);
    assert!(combined.iter().all(|d| *d < 1 << 52));
    let carried: [_; D] = std::array::from_fn(|i| carry(i, combined[i]));
    for i in 0..D {
        let from_below = if i > 0 { carried[i - 1].1 } else { 0 };
        let folded = F::FOLD.iter().filter(|(digit, _)| *digit == i).map(|(_, x)| x.abs() * carried[D - 1].1);
        let digit = carried[i].0 + from_below + folded.sum::<i64>();
        assert!(digit <= bounds[i], "digit {i}: {digit:x}");
    }
    let power = BigInt::from(1) << (RADIX as usize * (D - 1) + F::TOP_BITS as usize);
    let fold = F::FOLD.iter().fold(power, |sum, (i, x)| sum - (BigInt::from(*x) << (RADIX as usize * i)));
    assert_eq!(fold % BigInt::from(p::<F>()), BigInt::ZERO);
    // `get`: the lift makes every digit positive, and is a multiple of p that exceeds any reduced number.
    let lift = digits::lift::<F, D>();
    assert!(lift.iter().zip(bounds).all(|(lift, bound)| *lift > bound));
    let lifted = BigInt::from(p::<F>()) << F::LIFT_BITS;
    assert_eq!(sum(&lift), lifted);
    assert!(sum(&bounds) < lifted);
}

fn sum(digits: &[i64]) -> BigInt {
    digits.iter().rev().fold(BigInt::ZERO, |sum, digit| (sum << RADIX) + digit)
}

#[test]
fn light_kernels_of_p256_stay_exact() {
    the_light_kernels_stay_exact::<P256, 6>();
}

#[test]
fn light_kernels_of_p384_stay_exact() {
    the_light_kernels_stay_exact::<P384, 8>();
}

fn congruent<F: Field>(a: &BigInt, b: &BigInt) -> bool {
    (a - b) % BigInt::from(p::<F>()) == BigInt::ZERO
}

fn value<const D: usize>(element: &Sum<Vec4, D>, lane: usize) -> BigInt {
    sum(&element.0.map(|v| f64::from_bits(v.0[lane]) as i64))
}

/// Digits at a bound, with the signs that the bits say; another pattern in each lane.
fn extreme<const D: usize>(bounds: &[i64; D], signs: usize) -> Sum<Vec4, D> {
    let sign = |i: usize, lane: usize| if (signs >> i ^ lane) & 1 == 0 { 1 } else { -1 };
    Sum(std::array::from_fn(|i| {
        Vec4([0, 1, 2, 3].map(|lane| ((sign(i, lane) * bounds[i]) as f64).to_bits()))
    }))
}

#[track_caller]
fn assert_reduced<F: Field, const D: usize>(x: &Reduced<Vec4, D>) {
    for (v, bound) in x.0.0.iter().zip(reduced::<F, D>()) {
        assert!(v.0.iter().all(|d| f64::from_bits(*d).abs() <= bound as f64));
    }
}

/// Operands whose every digit is at a bound, of either sign, through every operation.
fn digits_at_their_bounds<F: Field, const D: usize>(kernel: Avx2Fma)
where
    Avx2Fma: PrimeLanes<F, Sum = Sum<Vec4, D>, Reduced = Reduced<Vec4, D>>,
{
    let r = BigInt::from(1) << <Avx2Fma as PrimeLanes<F>>::R_BITS;
    let bounds = reduced::<F, D>();
    let mut random = Random(48);
    for signs in 0..1 << D {
        for others in [signs, 0, !0, random.word() as usize] {
            let [a, b] = [signs, others].map(|signs| extreme(&bounds.map(|d| 2 * d), signs));
            let mut product = [Reduced::default(); 2];
            PrimeLanes::<F>::mul(kernel, &mut product[0], &a, &b);
            PrimeLanes::<F>::sqr(kernel, &mut product[1], &a);
            product.iter().for_each(assert_reduced::<F, D>);
            let [x, y] = [signs, others].map(|signs| Reduced(extreme(&bounds, signs)));
            let mut combined = [Reduced::default(); 2];
            PrimeLanes::<F>::combine::<4, 7, -1>(kernel, &mut combined[0], &x, &y, &product[0]);
            PrimeLanes::<F>::combine::<1, -8, 3>(kernel, &mut combined[1], &x, &y, &x);
            combined.iter().for_each(assert_reduced::<F, D>);
            for lane in 0..4 {
                let [va, vb, vx, vy] = [a, b, x.0, y.0].map(|x| value(&x, lane));
                let [product, square] = product.map(|x| value(&x, lane));
                assert!(congruent::<F>(&(&product * &r), &(&va * &vb)));
                assert!(congruent::<F>(&(square * &r), &(&va * &va)));
                assert!(congruent::<F>(&value(&combined[0], lane), &(&vx * 4 + &vy * 7 - product)));
                assert!(congruent::<F>(&value(&combined[1], lane), &(&vx * 4 - &vy * 8)));
                let mut read = vec![0; F::P.len()];
                <Avx2Fma as PrimeLanes<F>>::get(&mut read, &x, lane);
                let read = BigUint::from_slice(
                    &read.iter().flat_map(|w| [*w as u32, (*w >> 32) as u32]).collect::<Vec<_>>(),
                );
                assert!(read < p::<F>() && congruent::<F>(&BigInt::from_biguint(Sign::Plus, read), &vx));
            }
        }
    }
}

#[test]
fn lanes_p256_digits_at_their_bounds() {
    with_tier(TierKind::Avx2Fma, Avx2Fma::detect(), digits_at_their_bounds::<P256, 6>);
}

#[test]
fn lanes_p384_digits_at_their_bounds() {
    with_tier(TierKind::Avx2Fma, Avx2Fma::detect(), digits_at_their_bounds::<P384, 8>);
}

/// Chains of operations that make numbers larger stay within bounds.
fn chains<F: Field, const D: usize>(kernel: Avx2Fma)
where
    Avx2Fma: PrimeLanes<F, Sum = Sum<Vec4, D>, Reduced = Reduced<Vec4, D>>,
{
    let mut x = Reduced(extreme(&reduced::<F, D>(), 0));
    for _ in 0..200 {
        let before = x;
        PrimeLanes::<F>::combine::<12, 0, 0>(kernel, &mut x, &before, &before, &before);
        assert_reduced::<F, D>(&x);
    }
    let mut sum = Sum::default();
    for _ in 0..200 {
        PrimeLanes::<F>::add(kernel, &mut sum, &x, &x);
        PrimeLanes::<F>::sqr(kernel, &mut x, &sum);
        assert_reduced::<F, D>(&x);
    }
}

#[test]
fn lanes_p256_chains() {
    with_tier(TierKind::Avx2Fma, Avx2Fma::detect(), chains::<P256, 6>);
}

#[test]
fn lanes_p384_chains() {
    with_tier(TierKind::Avx2Fma, Avx2Fma::detect(), chains::<P384, 8>);
}

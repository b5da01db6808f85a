//! The range proof of the kernels, checked mechanically: interval arithmetic over the digit bounds.
//!
//! The kernels compute with exact integers in doubles. That is true if and only if, for operands that are
//! sums of two reduced elements, whose digits are |d| ≤ 2·(2^42 + [`EXCESS`]):
//!
//! 1. every high accumulator stays in the binade of chi: |H − chi| ≤ 2^(S+51), where S = 45 is the bit at
//!    which products are split;
//! 2. every low accumulator, every wrapped digit and every column value stays below 2^53;
//! 3. S is not below the radix, so that H is a whole number of carries;
//! 4. the digits that come out are reduced.
//!
//! The proof runs the assembly sources themselves: [`Program`] reads the rows and products of a kernel and
//! keeps for each accumulator its bound, and which digits were multiplied into it. What is left to
//! [`lanes_digits_at_their_bounds`] and the lane tests is that the macros do what they are named for.

use super::*;
use crate::arch::testing::{Random, with_tier};
use num_bigint::{BigInt, BigUint};

const MUL: &str = include_str!("../../../../asm/avx2fma_field25519_mul.S");
const SQR: &str = include_str!("../../../../asm/avx2fma_field25519_sqr.S");

/// What the macros are parametrized with.
#[derive(Clone, Copy)]
struct Parameters {
    radix: u32,
    /// The bit at which products are split.
    split: u32,
    /// 2^(6·radix) mod p.
    wrap: u128,
    /// Reduced elements in a sum.
    terms: u128,
}

const KERNEL: Parameters = Parameters { radix: RADIX, split: 45, wrap: 152, terms: 2 };

impl Parameters {
    fn half(self) -> u128 {
        1 << (self.radix - 1)
    }

    /// The bound of a reduced digit.
    fn reduced(self) -> u128 {
        self.half() + EXCESS as u128
    }

    /// The bound of an operand's digit.
    fn operand(self) -> u128 {
        self.terms * self.reduced()
    }

    /// The digits that a carry step leaves of columns with these bounds.
    fn carry(self, columns: [u128; DIGITS]) -> [u128; DIGITS] {
        let carries = columns.map(|v| {
            assert!(v < 1 << 53, "a column's value is no longer exact");
            (v + self.half()) >> self.radix
        });
        std::array::from_fn(|i| {
            let carry = if i == 0 { self.wrap * carries[DIGITS - 1] } else { carries[i - 1] };
            self.half() + carry
        })
    }
}

/// A factor of a product: a digit of an operand, times something.
#[derive(Clone, Copy, Debug)]
struct Factor {
    digit: usize,
    times: u128,
}

/// One column's accumulators: bounds of their absolute values, and the products that went in.
#[derive(Clone, Debug, Default)]
struct Column {
    high: u128,
    low: u128,
    products: Vec<(usize, usize, u128)>,
}

/// A kernel, executed on bounds.
struct Program {
    parameters: Parameters,
    /// ymm13 and ymm14.
    registers: [Option<Factor>; 2],
    /// Digits of the second operand that were multiplied by the wrap factor.
    wrapped: [bool; DIGITS],
    columns: [Column; DIGITS],
    finished: bool,
}

impl Program {
    /// Runs the source of a kernel, whose second operand is in register `second`.
    fn run(source: &str, second: &str, parameters: Parameters) -> Self {
        assert!(parameters.split >= parameters.radix, "a high accumulator is no whole number of carries");
        let mut program = Self {
            parameters,
            registers: [None; 2],
            wrapped: [false; DIGITS],
            columns: Default::default(),
            finished: false,
        };
        let code = source.lines().map(|l| l.split('#').next().unwrap().trim());
        let is_directive = |line: &str| ["", "FUNCTION", "END"].contains(&line.split(' ').next().unwrap());
        for line in code.filter(|l| !l.starts_with('.') && !is_directive(l)) {
            assert!(!program.finished, "code after the end: {line}");
            let (name, arguments) = line.split_once(' ').unwrap_or((line, ""));
            let arguments: Vec<_> = arguments.split(',').map(str::trim).collect();
            program.line(name, &arguments, second);
        }
        assert!(program.finished);
        program
    }

    fn line(&mut self, name: &str, arguments: &[&str], second: &str) {
        match (name, arguments) {
            ("vmovapd", ["ymm15", "[rcx + F25_CHI]"] | ["ymm14", "[rcx + F25_WRAP]"]) => {}
            ("vmovapd", ["ymm13", digit]) => {
                self.registers[0] = Some(Factor { digit: memory(digit, "rsi"), times: 1 });
            }
            ("vaddpd", ["ymm14", "ymm13", "ymm13"]) => {
                let row = self.registers[0].expect("a row digit");
                self.registers[1] = Some(Factor { times: 2 * row.times, ..row });
            }
            ("F25_TIMES_152", [operand, digit]) => {
                assert_eq!(*operand, second);
                assert!(self.parameters.wrap * self.parameters.operand() < 1 << 53, "a wrapped digit");
                self.wrapped[digit.parse::<usize>().unwrap()] = true;
            }
            ("F25_FIRST", [column, low, x, y]) => {
                assert!(self.columns[column.parse::<usize>().unwrap()].products.is_empty());
                self.product(column, low, ["13", "14"].iter().position(|r| r == x).unwrap(), y, second);
            }
            ("F25_STEP", [column, low, y]) => self.product(column, low, 0, y, second),
            ("F25_STEP_TWICE", [column, low, y]) => self.product(column, low, 1, y, second),
            ("F25_FINISH", [""]) => self.finished = true,
            _ => panic!("the proof does not know {name} {arguments:?}"),
        }
    }

    fn product(&mut self, column: &str, low: &str, x: usize, y: &str, second: &str) {
        let x = self.registers[x].expect("a row digit");
        let y = if y == "ymm13" {
            self.registers[0].expect("a row digit")
        } else if y.starts_with("[rdi") {
            let digit = memory(y, "rdi");
            assert!(self.wrapped[digit], "read before it was written");
            Factor { digit, times: self.parameters.wrap }
        } else {
            Factor { digit: memory(y, second), times: 1 }
        };
        let index: usize = column.parse().unwrap();
        assert_eq!(low.parse::<usize>().unwrap(), index + DIGITS, "the column's own low accumulator");
        let (operand, split) = (self.parameters.operand(), self.parameters.split);
        let times = x.times * y.times;
        let column = &mut self.columns[index];
        column.high += times * operand * operand + (1 << (split - 1));
        assert!(column.high <= 1 << (split + 51), "H leaves its binade");
        column.low += 1 << (split - 1);
        assert!(column.low < 1 << 53, "L is no longer exact");
        column.products.push((x.digit, y.digit, times));
    }

    /// `F25_FINISH`: the bounds of the digits that come out.
    fn finish(&self) -> [u128; DIGITS] {
        let parameters = self.parameters;
        parameters.carry(std::array::from_fn(|i| {
            let before = self.columns[(i + DIGITS - 1) % DIGITS].high >> parameters.radix;
            self.columns[i].low + before * if i == 0 { parameters.wrap } else { 1 }
        }))
    }

    /// The sum of all products x[i]·y[j] in column `c`, as a matrix of coefficients.
    fn coefficients(&self, c: usize) -> [[u128; DIGITS]; DIGITS] {
        let mut matrix = [[0; DIGITS]; DIGITS];
        for (i, j, times) in &self.columns[c].products {
            matrix[*i][*j] += times;
        }
        matrix
    }
}

/// The digit that `[register + 32·digit]` names.
fn memory(operand: &str, register: &str) -> usize {
    let inner = operand.strip_prefix('[').and_then(|o| o.strip_suffix(']')).expect(operand);
    let (base, offset) = inner.split_once(" + ").unwrap_or((inner, "0"));
    assert_eq!(base, register, "{operand}");
    let offset: usize = offset.parse().unwrap();
    assert!(offset.is_multiple_of(32) && offset < 32 * DIGITS);
    offset / 32
}

fn both(parameters: Parameters) -> [Program; 2] {
    let programs = [Program::run(MUL, "rdx", parameters), Program::run(SQR, "rsi", parameters)];
    for program in &programs {
        let out = program.finish();
        assert!(out.iter().all(|d| *d <= parameters.reduced()), "a digit is not reduced");
    }
    programs
}

#[test]
fn products_stay_exact_and_come_out_reduced() {
    both(KERNEL);
}

/// Every product of two digits is made exactly once, in its column, with its factor.
#[test]
fn every_product_is_in_its_column() {
    let [mul, sqr] = both(KERNEL);
    for c in 0..DIGITS {
        let (product, square) = (mul.coefficients(c), sqr.coefficients(c));
        for i in 0..DIGITS {
            for j in 0..DIGITS {
                let here = (i + j) % DIGITS == c;
                let factor = if i + j < DIGITS { 1 } else { 152 };
                assert_eq!(product[i][j], if here { factor } else { 0 });
                let pairs = if i == j { square[i][i] } else { square[i][j] + square[j][i] };
                assert_eq!(pairs, if here { factor * if i == j { 1 } else { 2 } } else { 0 });
            }
        }
    }
    assert_eq!((BigUint::from(1u8) << (43 * DIGITS)) % p(), 152u8.into());
}

/// `add_121665`: the result is a legal operand. `reduce`: the result is reduced.
#[test]
fn the_light_kernels_stay_exact() {
    let product = 121_665 * KERNEL.operand();
    assert!(product <= 1 << (RADIX + 51), "the product leaves the binade of the rounding constant");
    let carry = (product + KERNEL.half()) >> RADIX;
    for factor in [1, KERNEL.wrap] {
        // The FMA that gives the rest is exact, because rest and carry together are the product.
        let digit = KERNEL.reduced() + KERNEL.half() + factor * carry;
        assert!(digit <= KERNEL.operand(), "{digit:x}");
    }
    // `reduce`: of a sum.
    let sum = KERNEL.carry([KERNEL.operand(); DIGITS]);
    assert!(sum.iter().all(|digit| *digit <= KERNEL.reduced()), "{sum:x?}");
    // `set` gives balanced digits; the last one keeps what is left of 255 bits, and the raised number's
    // carry.
    assert!((1 << 40) < KERNEL.half());
    // `get`: 8p makes every digit positive, and a digit and its carry fit 128 bits with what is pending.
    assert!(EIGHT_P.iter().all(|d| *d > KERNEL.reduced() as i64));
    let eight_p = EIGHT_P.iter().rev().fold(BigInt::ZERO, |sum, d| (sum << RADIX) + d);
    assert_eq!(eight_p, BigInt::from(p()) * 8);
}

/// The proof notices kernels without headroom, and sources that do something else.
#[test]
fn the_proof_can_fail() {
    let fails = |parameters: Parameters| std::panic::catch_unwind(|| both(parameters)).is_err();
    assert!(!fails(KERNEL));
    assert!(fails(Parameters { terms: 3, ..KERNEL }), "sums of three");
    assert!(fails(Parameters { split: 44, ..KERNEL }), "products split at bit 44");
    assert!(fails(Parameters { split: 42, terms: 1, ..KERNEL }), "products split below the radix");
    assert!(fails(Parameters { radix: 44, split: 46, wrap: 152 << 6, ..KERNEL }), "radix 2^44");
    let planted = |from: &str, to: &str| {
        let source = MUL.replacen(from, to, 1);
        assert_ne!(source, MUL);
        std::panic::catch_unwind(|| Program::run(&source, "rdx", KERNEL)).is_err()
    };
    assert!(planted("F25_TIMES_152 rdx, 3", "F25_TIMES_152 rdx, 2"), "a digit that was not wrapped");
    assert!(planted("F25_STEP 2, 8, [rdx + 32]", "F25_STEP 2, 7, [rdx + 32]"), "another column's L");
    assert!(planted("F25_STEP 2, 8, [rdx + 32]", "vxorpd ymm0, ymm0, ymm0"), "an unknown instruction");
}

fn p() -> BigUint {
    (BigUint::from(1u8) << 255) - 19u8
}

fn value(digits: &Digits, lane: usize) -> BigInt {
    let digits = digits.0.iter().rev().map(|v| f64::from_bits(v.0[lane]) as i64);
    digits.fold(BigInt::ZERO, |sum, digit| (sum << RADIX) + digit)
}

/// Operands whose every digit is at a bound, with every pattern of signs.
#[test]
fn lanes_digits_at_their_bounds() {
    let bound = KERNEL.operand() as i64;
    let operand = |signs: usize| {
        let sign = |i: usize, lane: usize| if (signs >> i ^ lane) & 1 == 0 { bound } else { -bound };
        Sum(std::array::from_fn(|i| Vec4([0, 1, 2, 3].map(|lane| (sign(i, lane) as f64).to_bits()))))
    };
    let mut random = Random(43);
    with_tier(TierKind::Avx2Fma, Avx2Fma::detect(), |kernel| {
        for signs in 0..1 << DIGITS {
            for others in [signs, 0, 0b111111, random.word() as usize % 64] {
                let (a, b): (Digits, Digits) = (operand(signs), operand(others));
                let (mut product, mut square) = (Reduced::default(), Reduced::default());
                kernel.mul(&mut product, &a, &b);
                kernel.sqr(&mut square, &a);
                let mut sum = Digits::default();
                kernel.add_121665(&mut sum, &product, &b);
                let mut carried = Reduced::default();
                kernel.reduce(&mut carried, &a);
                for lane in 0..4 {
                    let [va, vb] = [&a, &b].map(|x| value(x, lane));
                    assert_congruent(&value(&product, lane), &(&va * &vb));
                    assert_congruent(&value(&square, lane), &(&va * &va));
                    assert_congruent(&value(&sum, lane), &(value(&product, lane) + &vb * 121_665));
                    assert_congruent(&value(&carried, lane), &va);
                    for digit in product.0.0.iter().chain(&square.0.0).chain(&carried.0.0) {
                        assert!(f64::from_bits(digit.0[lane]).abs() <= KERNEL.reduced() as f64);
                    }
                    assert!(sum.0.iter().all(|d| f64::from_bits(d.0[lane]).abs() <= bound as f64));
                }
            }
        }
    });
}

#[track_caller]
fn assert_congruent(a: &BigInt, b: &BigInt) {
    assert_eq!((a - b) % BigInt::from(p()), BigInt::ZERO);
}

/// Reduced digits at their bounds are read correctly.
#[test]
fn extreme_digits_are_read() {
    for digit in [KERNEL.reduced() as i64, -(KERNEL.reduced() as i64), 0, 1, -1] {
        let vector = Vec4([(digit as f64).to_bits(); 4]);
        let element = Reduced(Sum([vector; DIGITS]));
        let p = BigInt::from(p());
        let expected: BigInt = (value(&element, 1) % &p + &p) % &p;
        let limbs = Avx2Fma::get(&element, 1).to_limbs();
        let read = limbs.iter().rev().fold(BigInt::ZERO, |sum, limb| (sum << 64u8) + *limb);
        assert_eq!(read, expected);
    }
}

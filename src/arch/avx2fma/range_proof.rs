//! The range proof of the AVX2+FMA kernels, checked mechanically: interval arithmetic over the digit bounds.
//!
//! The kernels compute with exact integers in doubles. That is true if and only if, for inputs whose digits are
//! reduced, |d| ≤ B = 2^(K−1) + [`EXCESS`]:
//!
//! 1. every high accumulator stays in the binade of chi: |H − chi| ≤ 2^(K+51);
//! 2. every low accumulator, and every column value when a group is finished, stays below 2^53;
//! 3. what rebases collect, a multiple of 2^K, stays within 2^(K+53);
//! 4. the guard column is determined within 2^(K−1), so that rounding finds its carry;
//! 5. the digits that come out are reduced again, and the top one absorbs its carry.
//!
//! A product of x and y adds |x·y| + 2^(K−1) to the bound of H (what it adds is x·y rounded) and 2^(K−1) to that of L
//! (what it adds is the rest). The functions below follow the schedule of `asm/avx2fma_*.S` group by group and pass by
//! pass and assert each point at each step. What no interval can show, that the assembly does follow this schedule,
//! `digits_at_their_bounds` below and the lane tests show on numbers.

use super::*;
use crate::arch::lanes::EXCESS;
use crate::arch::testing::{Random, read, with_tier};
use num_bigint::{BigInt, BigUint};

/// Bounds of the absolute values in one column's accumulators.
#[derive(Clone, Copy, Default)]
struct Column {
    high: u128,
    low: u128,
    spilled: u128,
}

/// A column group while it is computed.
struct Group<'a> {
    size: &'a Size,
    columns: [Column; BLOCK],
    budget: u64,
    rebased: bool,
}

/// What a finished group hands to the next: bounds of its last column's H and of its last carry.
#[derive(Clone, Copy, Default)]
struct Carries {
    high: u128,
    carry: u128,
}

impl<'a> Group<'a> {
    fn new(size: &'a Size, low: u128) -> Self {
        let column = Column { low, ..Column::default() };
        Self { size, columns: [column; BLOCK], budget: size.budget, rebased: false }
    }

    fn k(&self) -> u32 {
        self.size.shape.radix_bits
    }

    fn half(&self) -> u128 {
        1 << (self.k() - 1)
    }

    /// `MBF_STEP` with factors bounded by B, one of them doubled `factor` times.
    fn step(&mut self, column: usize, factor: u128) {
        let (digit, half, k) = (digit(self.size), self.half(), self.k());
        let column = &mut self.columns[column];
        column.high += factor * digit * digit + half;
        assert!(column.high <= 1 << (k + 51), "H leaves its binade");
        column.low += half;
        assert!(column.low < 1 << 53, "L is no longer exact");
    }

    /// `MBF_SPEND`.
    fn spend(&mut self, passes: u64) {
        if self.budget < passes {
            self.rebase();
        }
        self.budget -= passes;
    }

    fn rebase(&mut self) {
        let (half, k) = (self.half(), self.k());
        for column in &mut self.columns {
            column.spilled += std::mem::take(&mut column.high);
            if self.size.low_carry {
                column.spilled += column.low + half;
                column.low = half;
            }
            assert!(column.spilled <= 1 << (k + 53), "X is no longer exact");
        }
        self.budget = self.size.budget;
        self.rebased = true;
    }

    fn pass(&mut self, weight: u64, factor: u128, reaches: impl Fn(usize, usize) -> bool) {
        self.spend(weight);
        for row in 0..BLOCK {
            for column in 0..BLOCK {
                if reaches(row, column) {
                    self.step(column, factor);
                }
            }
        }
    }

    /// The pairs i ≤ j of a diagonal block with 0 ≤ i + j − base ≤ 6 and j ≤ top, as `MBF_PAIRS` makes them.
    fn diagonal(&mut self, weight: u64, base: usize, top: usize) {
        self.spend(weight);
        for i in 0..BLOCK {
            for j in i..=top {
                if (base..base + BLOCK).contains(&(i + j)) {
                    self.step(i + j - base, if i == j { 1 } else { 2 });
                }
            }
        }
    }

    /// `mbf_finish`: asserts that the digits are reduced.
    fn finish(mut self, before: Carries) -> Carries {
        let (k, half) = (self.k(), self.half());
        if self.rebased && self.size.low_carry {
            for column in &mut self.columns {
                column.spilled += column.low + half;
                column.low = half;
            }
        }
        let mut carries = before;
        for column in &self.columns {
            let value = column.low + (carries.high >> k);
            assert!(value < 1 << 53, "a column's value is no longer exact");
            assert!((carries.carry >> k) < EXCESS as u128, "a digit is not reduced");
            carries = Carries { high: column.high + column.spilled, carry: value + self.half() };
            assert!(carries.high <= 1 << (k + 53));
        }
        carries
    }
}

fn digit(size: &Size) -> u128 {
    (1 << (size.shape.radix_bits - 1)) + EXCESS as u128
}

fn full(group: &mut Group<'_>) {
    group.pass(1, 1, |_, _| true);
}

/// `mbf_low_group` and `mbf_high_group` over a whole operand. Returns what leaves the lower and the upper half.
fn low_half(size: &Size) -> Carries {
    let blocks = size.shape.digits / BLOCK;
    (0..blocks).fold(Carries::default(), |carries, g| {
        let mut group = Group::new(size, 0);
        (0..g).for_each(|_| full(&mut group));
        group.pass(1, 1, |row, column| column >= row);
        group.finish(carries)
    })
}

fn high_half(size: &Size, mut carries: Carries, low: u128) {
    for fulls in (0..size.shape.digits / BLOCK).rev() {
        let mut group = Group::new(size, low);
        group.pass(1, 1, |row, column| column < row);
        (0..fulls).for_each(|_| full(&mut group));
        carries = group.finish(carries);
    }
}

/// The group loop of `avx2fma_mont_sqr.S`.
fn square(size: &Size) {
    let blocks = size.shape.digits / BLOCK;
    (0..2 * blocks).fold(Carries::default(), |carries, g| {
        let mut group = Group::new(size, 0);
        let first = g.saturating_sub(blocks);
        for r in first..g / 2 {
            let opens_the_upper_half = g >= blocks && r == first;
            group.pass(2, 2, |row, column| !opens_the_upper_half || column < row);
        }
        match g {
            _ if g % 2 == 0 => group.diagonal(1, 0, 6),
            _ if g == 2 * blocks - 1 => group.diagonal(1, 7, 6),
            _ => group.diagonal(2, 7, 13),
        }
        group.finish(carries)
    });
}

/// The guard column of `avx2fma_mont_reduce.S`: asserts that rounding finds the carry, returns it.
fn guard(size: &Size) -> Carries {
    let (k, digits) = (size.shape.radix_bits, size.shape.digits as u128);
    let (half, b) = (1u128 << (k - 1), digit(size));
    assert!(BLOCK as u128 * (b * b + half) <= 1 << (k + 51), "H leaves its binade within a turn");
    let high = digits * (b * b + half);
    assert!(high <= 1 << (k + 53), "the collected H is no longer exact");
    // Column N−1: low parts, the digit of T, what column N−2 carries. Not exact for long columns: each of the
    // additions may round, by at most half a unit of 2^54.
    let sum = digits * half + b + (high >> k);
    assert!(sum < 1 << 55);
    let rounding = (digits + 2) * 4;
    // What is left out of column N−2 and below: low parts and digits there, and H of N−3.
    let left_out = ((digits * half + b + (high >> k)) >> k) + 1;
    assert!(rounding + left_out < half, "rounding may miss the carry");
    Carries { high, carry: sum + half }
}

#[test]
fn no_accumulator_overflows() {
    for size in &SIZES {
        assert!(size.shape.digits % BLOCK == 0);
        // T = a·b and T = a².
        high_half(size, low_half(size), 0);
        square(size);
        // m = T·n' mod R, then the upper half of T + m·n, whose low accumulators start from T's digits.
        low_half(size);
        high_half(size, guard(size), digit(size));
    }
}

#[test]
fn results_stay_small_and_top_digits_absorb_their_carry() {
    for size in &SIZES {
        let Shape { digits, radix_bits } = size.shape;
        assert!(size.shape.r_bits() >= size.bits + 4, "R ≥ 16·2^bits");
        // |result| ≤ |a·b|/R + |m|·n/R ≤ 4n²/16n + n·(1/2 + 2^−30) < n: the top digit is what n leaves above the
        // others, and must round to a carry of zero.
        let top = size.bits as i64 - (radix_bits as usize * (digits - 1)) as i64;
        assert!(top < i64::from(radix_bits) - 1);
        let m = digit(size) as f64 / ((1u64 << radix_bits) - 1) as f64;
        assert!(m < 0.5 + 1e-9);
    }
}

/// The proof notices a kernel without headroom: one more pass between rebases, and denser digits.
#[test]
fn the_proof_can_fail() {
    let fails = |size: Size| std::panic::catch_unwind(|| square(&size)).is_err();
    assert!(fails(size(1024, 3, 49, 4, false)), "two doubled passes at radix 2^49");
    assert!(fails(size(2048, 6, 49, 2, false)), "long columns without a low carry");
    assert!(fails(size(1024, 3, 50, 2, false)), "radix 2^50");
    assert!(!fails(size(1024, 3, 49, 2, false)));
}

/// Numbers whose every digit is at a bound, of either sign: the worst that the proof allows for.
#[test]
fn lanes_digits_at_their_bounds() {
    with_tier(TierKind::Avx2Fma, Avx2Fma::detect(), |kernel| {
        for size in &SIZES {
            for signs in [[1, 1], [1, -1], [-1, -1]] {
                check_extremes(kernel, size, signs);
            }
        }
    });
}

fn check_extremes(kernel: Avx2Fma, size: &Size, signs: [i64; 2]) {
    let shape = size.shape;
    let n = (BigUint::from(1u8) << size.bits) - 1u8;
    let test = crate::arch::testing::TestModuli::<Avx2Fma>::new(
        shape,
        &[n.clone(), Random(5).modulus(size.bits), n.clone(), Random(6).modulus(size.bits)],
    );
    let number = |sign: i64| {
        let mut v = vec![Vec4::default(); shape.digits];
        // The top digits are left out, so that the product stays below R·n/4.
        let used = (size.bits - 1) / shape.radix_bits as usize;
        for v in &mut v[..used] {
            (0..4).for_each(|lane| Avx2Fma::set(v, lane, sign * digit(size) as i64));
        }
        v
    };
    let [a, b] = signs.map(number);
    let (mut product, mut square) = (a.clone(), a.clone());
    kernel.mul(&mut product, &b, test.moduli(), &mut test.scratch());
    kernel.sqr(&mut square, test.moduli(), &mut test.scratch());
    for (lane, n) in test.values.iter().enumerate() {
        let n = BigInt::from(n.clone());
        let [a, b] = [&a, &b].map(|v| read::<Avx2Fma>(shape, v, lane));
        for (factor, result) in [(&b, &product), (&a, &square)] {
            let result = read::<Avx2Fma>(shape, result, lane) << shape.r_bits();
            assert_eq!((result - &a * factor) % &n, BigInt::ZERO, "{} bits, lane {lane}", size.bits);
        }
    }
}

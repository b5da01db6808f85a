//! The range proof of the AVX2+FMA kernels, checked mechanically: interval arithmetic over the digit bounds.
//!
//! The kernels compute with exact integers in doubles. That is true if and only if, for inputs whose digits
//! are reduced, |d| ≤ B = 2^(K−1) + [`EXCESS`]:
//!
//! 1. every high accumulator stays in the binade of chi: |H − chi| ≤ 2^(K+51);
//! 2. every low accumulator, and every column value when a group is finished, stays below 2^53;
//! 3. what rebases collect, a multiple of 2^K, stays within 2^(K+53);
//! 4. the guard column is determined within 2^(K−1), so that rounding finds its carry;
//! 5. the digits that come out are reduced again, and the top one absorbs its carry.
//!
//! A product of x and y adds |x·y| + 2^(K−1) to the bound of H (what it adds is x·y rounded) and 2^(K−1) to
//! that of L (what it adds is the rest). The proof runs the schedule that the assembly runs (`schedule.rs`),
//! group by group and pass by pass, and asserts each point at each step. What no interval can show, that the
//! assembly's passes are those of the proof, `digits_at_their_bounds` below and the lane tests show on
//! numbers.

use super::schedule::{Close, Group, NARROW, Schedule};
use super::*;
use crate::arch::lanes::EXCESS;
use crate::arch::testing::{Random, read, with_tier};
use num_bigint::{BigInt, BigUint};
use std::ops::Range;

/// Bounds of the absolute values in one column's accumulators.
#[derive(Clone, Copy, Default)]
struct Column {
    high: u128,
    low: u128,
    spilled: u128,
}

/// A column group while it is computed.
struct Accumulators<'a> {
    size: &'a Size,
    columns: [Column; BLOCK],
    budget: u8,
    rebased: bool,
    /// Products made, where they are counted instead of bounded.
    counted: Option<usize>,
}

/// What a finished group hands to the next: bounds of its last column's H and of its last carry.
#[derive(Clone, Copy, Default)]
struct Carries {
    high: u128,
    carry: u128,
}

impl<'a> Accumulators<'a> {
    fn new(size: &'a Size, low: u128) -> Self {
        let column = Column { low, ..Column::default() };
        Self { size, columns: [column; BLOCK], budget: size.budget, rebased: false, counted: None }
    }

    fn k(&self) -> u32 {
        self.size.shape.radix_bits
    }

    fn half(&self) -> u128 {
        1 << (self.k() - 1)
    }

    /// `MBF_STEP` with a product bounded by `product`.
    fn step(&mut self, column: usize, product: u128) {
        if let Some(products) = &mut self.counted {
            *products += 1;
            return;
        }
        let (half, k) = (self.half(), self.k());
        let column = &mut self.columns[column];
        column.high += product + half;
        assert!(column.high <= 1 << (k + 51), "H leaves its binade");
        column.low += half;
        assert!(column.low < 1 << 53, "L is no longer exact");
    }

    /// `MBF_SPEND`.
    fn spend(&mut self, passes: u8) {
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

    /// The passes of `group`, in the order of `mbf_group` and `mbf_lower_group`, over operands with these
    /// digits. A digit out of range panics.
    fn run(&mut self, group: &Group, x: &[u128], y: &[u128]) {
        let columns = group.columns();
        let (mut row, mut base) = (group.x as usize / 32, group.y as usize / 32);
        // Doubled rows weigh twice.
        let factor = u128::from(group.weight);
        let mut pass = |this: &mut Self, rows: Range<usize>, reach: &dyn Fn(usize) -> Range<usize>| {
            this.spend(group.weight);
            let next = rows.end;
            for t in rows {
                reach(t).for_each(|c| this.step(c, factor * x[row + t] * y[base + c - t]));
            }
            (row, base) = (row + next, base.saturating_sub(next));
        };
        if group.triangle {
            pass(self, 1..columns, &|t| 0..t);
        }
        for _ in 0..group.full {
            pass(self, 0..BLOCK, &|_| 0..columns);
        }
        if group.close == Close::LowerTriangle {
            pass(self, 0..columns, &|t| t..columns);
        }
        match (group.close, group.narrow) {
            (Close::Nothing | Close::LowerTriangle, _) => {}
            (Close::Even, _) => self.diagonal(1, 0, columns, 6, &y[row..]),
            (Close::Odd, false) => self.diagonal(2, 7, columns, 13, &y[row..]),
            (Close::Odd, true) => self.diagonal(2, 9, columns, 13, &y[row..]),
            (Close::Last, _) => self.diagonal(1, 7, columns, 6, &y[row..]),
        }
    }

    /// The pairs i ≤ j of a diagonal block with base ≤ i + j < base + columns and j ≤ top, as `MBF_PAIRS`
    /// makes them.
    fn diagonal(&mut self, weight: u8, base: usize, columns: usize, top: usize, digits: &[u128]) {
        self.spend(weight);
        for i in 0..BLOCK {
            for j in i..=top {
                if (base..base + columns).contains(&(i + j)) {
                    let factor = if i == j { 1 } else { 2 };
                    self.step(i + j - base, factor * digits[i] * digits[j]);
                }
            }
        }
    }

    /// `mbf_finish`: asserts that the digits are reduced.
    fn finish(mut self, group: &Group, before: Carries) -> Carries {
        let (k, half) = (self.k(), self.half());
        if self.rebased && self.size.low_carry {
            for column in &mut self.columns {
                column.spilled += column.low + half;
                column.low = half;
            }
        }
        let mut carries = before;
        for column in &self.columns[..group.columns()] {
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

/// Digits of which nothing is known but that they are reduced: m, n', the lower half of T.
fn any(size: &Size) -> Vec<u128> {
    vec![digit(size); size.shape.digits]
}

/// Digits of a number below 2·2^bits in absolute value: the top one is what is left above the others.
fn value(size: &Size) -> Vec<u128> {
    let mut digits = any(size);
    let below = size.shape.radix_bits as usize * (size.shape.digits - 1);
    *digits.last_mut().unwrap() = if size.bits + 1 > below { (1 << (size.bits + 1 - below)) + 1 } else { 1 };
    digits
}

/// Operands of a half product, and its groups.
type Half<'a> = (&'a [Group], &'a [u128], &'a [u128]);

/// The lower half of a product or square: what it carries into the upper half.
fn lower_half(size: &Size, (groups, x, y): Half<'_>) -> Carries {
    groups.iter().fold(Carries::default(), |carries, group| {
        let mut accumulators = Accumulators::new(size, 0);
        accumulators.run(group, x, y);
        accumulators.finish(group, carries)
    })
}

/// An upper half, or two of them into the same accumulators, which start from `low`.
fn upper_half(size: &Size, halves: &[Half<'_>], carries: Carries, low: u128) {
    (0..size.groups()).fold(carries, |carries, i| {
        let mut accumulators = Accumulators::new(size, low);
        halves.iter().for_each(|(groups, x, y)| accumulators.run(&groups[i], x, y));
        accumulators.finish(&halves[0].0[i], carries)
    });
}

/// `avx2fma_mont_mul.S` or `avx2fma_mont_sqr.S`, given the groups of T.
fn kernel(size: &Size, [t_lower, t_upper]: [&[Group]; 2]) {
    let schedule = Schedule::new(size);
    let [lower, upper, ..] = schedule.lists(size);
    let (a, m) = (value(size), any(size));
    let from_t = lower_half(size, (t_lower, &a, &a));
    let (t, mn) = ((t_upper, &*a, &*a), (upper, &*m, &*a));
    // m = T·n' mod R.
    lower_half(size, (lower, &m, &m));
    let carries = guard(size);
    if size.merged {
        let both = Carries { high: carries.high + from_t.high, carry: carries.carry + from_t.carry };
        upper_half(size, &[t, mn], both, 0);
    } else {
        // The low accumulators of m·n start from T's digits.
        upper_half(size, &[t], from_t, 0);
        upper_half(size, &[mn], carries, digit(size));
    }
}

fn both_kernels(size: &Size) {
    let schedule = Schedule::new(size);
    let [lower, upper, square_lower, square_upper] = schedule.lists(size);
    kernel(size, [lower, upper]);
    kernel(size, [square_lower, square_upper]);
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
        let rest = size.shape.digits % BLOCK;
        // A narrow group has no code for rebases, and none to start from digits.
        assert!(rest == 0 || rest == NARROW && size.merged && size.budget == u8::MAX);
        both_kernels(size);
    }
}

/// Every product of two digits is made exactly once, in its column; in a square, those of different digits
/// once, doubled.
#[test]
fn the_schedule_is_complete() {
    for size in &SIZES {
        let schedule = Schedule::new(size);
        let [lower, upper, square_lower, square_upper] = schedule.lists(size);
        let digits = size.shape.digits;
        let products = |lists: [&[Group]; 2]| -> usize {
            let sums = lists.concat();
            sums.iter()
                .map(|group| {
                    let mut counting = Accumulators::new(size, 0);
                    counting.counted = Some(0);
                    counting.run(group, &value(size), &value(size));
                    counting.counted.unwrap()
                })
                .sum()
        };
        assert_eq!(products([lower, upper]), digits * digits, "{} bits", size.bits);
        assert_eq!(products([square_lower, square_upper]), digits * (digits + 1) / 2, "{} bits", size.bits);
    }
}

#[test]
fn results_stay_small_and_top_digits_absorb_their_carry() {
    for size in &SIZES {
        let Shape { digits, radix_bits } = size.shape;
        assert!(size.shape.r_bits() >= size.bits + 4, "R ≥ 16·2^bits");
        // |result| ≤ |a·b|/R + |m|·n/R ≤ 4n²/16n + n·(1/2 + 2^−30) < n: the top digit is what n leaves above
        // the others, and must round to a carry of zero.
        let top = size.bits as i64 - (radix_bits as usize * (digits - 1)) as i64;
        assert!(top < i64::from(radix_bits) - 1);
        let m = digit(size) as f64 / ((1u64 << radix_bits) - 1) as f64;
        assert!(m < 0.5 + 1e-9);
    }
}

/// The proof notices a kernel without headroom: one more pass between rebases, and denser digits.
#[test]
fn the_proof_can_fail() {
    let fails = |size: Size| std::panic::catch_unwind(|| both_kernels(&size)).is_err();
    let size = |bits, digits, radix, low_carry| dense(bits, digits, radix, low_carry);
    assert!(!fails(size(1024, 21, 49, false)));
    assert!(fails(Size { budget: 3, ..size(1024, 21, 49, false) }), "three passes at radix 2^49");
    assert!(fails(size(2048, 42, 49, false)), "long columns without a low carry");
    assert!(fails(size(1024, 21, 50, false)), "radix 2^50");
    assert!(fails(Size { merged: true, ..size(1024, 21, 49, false) }), "merged halves at radix 2^49");
    assert!(fails(roomy(1536, 33, 48)), "radix 2^48 without rebases");
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

//! The field of 2^255 − 19 elements: five digits of 52 bits.
//!
//! 2^260 is 608: the upper five columns of a product come back into the lower ones, times 608, once they have
//! carried among themselves. 2^255 is 19: before the lower columns carry, what the last of them has beyond 47
//! bits comes back into the first. So the last digit of whatever is multiplied is of 47 bits and a carry, and
//! nothing is lost when the last of the upper columns is multiplied by 608.

use crate::arch::field25519::Element;

use super::{MASK, RADIX, Words, add, carry, choose, clean, lifted, load, splat, store, sub};

/// Digits of an element.
pub(super) const DIGITS: usize = 5;

/// Bits of the last digit.
const TOP_BITS: u32 = 255 - 4 * RADIX;

pub(super) const P: [u64; DIGITS] =
    [(1 << RADIX) - 19, (1 << RADIX) - 1, (1 << RADIX) - 1, (1 << RADIX) - 1, (1 << TOP_BITS) - 1];

/// 4p: in digits at least as large as those of any reduced element.
const LIFT: [u64; DIGITS] = lifted(P, 4, 1);

/// Makes a multiplier's operand of columns below 2^60.
#[inline(always)]
pub(super) fn operand<W: Words>(token: W::Token, mut x: [W; DIGITS]) -> [W; DIGITS] {
    let k = x[4].shr(TOP_BITS);
    x[4] = x[4].and(W::splat(token, (1 << TOP_BITS) - 1));
    x[0] = x[0].madd_lo(k, W::splat(token, 19));
    carry(&mut x);
    x[4] = x[4].below(1 << RADIX);
    x
}

/// The digits of a number.
pub(super) fn digits(limbs: &[u64; 4]) -> [u64; DIGITS] {
    debug_assert!(limbs[3] >> 63 == 0);
    let at = |i: usize, shift: u32| limbs[i] >> shift | limbs[i + 1] << (64 - shift);
    [limbs[0] & MASK, at(0, 52) & MASK, at(1, 40) & MASK, at(2, 28) & MASK, limbs[3] >> 16]
}

/// The element with these digits, the last of which may have a few bits more.
pub(super) fn element(x: [u64; DIGITS]) -> Element {
    let limbs =
        [x[0] | x[1] << 52, x[1] >> 12 | x[2] << 40, x[2] >> 24 | x[3] << 28, x[3] >> 36 | x[4] << 16];
    Element::from_wide(&[limbs[0], limbs[1], limbs[2], limbs[3], x[4] >> 48])
}

/// A clean operand: a reduced element.
#[inline(always)]
fn reduced<W: Words>(token: W::Token, x: [W; DIGITS]) -> [W; DIGITS] {
    let mut x = operand(token, x);
    clean(token, &mut x);
    x
}

/// The columns of a · b, which start with `seeds`.
///
/// An upper column starts with what the one before it carries: that saves additions.
#[inline(always)]
pub(super) fn mul_columns<W: Words>(
    token: W::Token,
    seeds: [u64; DIGITS],
    a: &[W; DIGITS],
    b: &[W; DIGITS],
) -> [W; DIGITS] {
    let mut low: [W; DIGITS] = splat(token, seeds);
    let mut high = [W::splat(token, 0); DIGITS];
    for c in 0..DIGITS {
        if c > 0 {
            high[c] = high[c - 1].shr(RADIX);
        }
        for i in c..DIGITS {
            high[c] = high[c].madd_hi(a[i], b[DIGITS - 1 + c - i]);
        }
        for i in c + 1..DIGITS {
            high[c] = high[c].madd_lo(a[i], b[DIGITS + c - i]);
        }
    }
    for c in 0..DIGITS {
        for i in 0..c {
            low[c] = low[c].madd_hi(a[i], b[c - 1 - i]);
        }
        for i in 0..=c {
            low[c] = low[c].madd_lo(a[i], b[c - i]);
        }
    }
    fold(token, low, high)
}

/// The columns of a², which start with `seeds`: even ones.
///
/// Products of different digits are doubled together where there are enough of them, else made twice.
#[inline(always)]
pub(super) fn sqr_columns<W: Words>(token: W::Token, seeds: [u64; DIGITS], a: &[W; DIGITS]) -> [W; DIGITS] {
    let zero = W::splat(token, 0);
    let seed = |c: usize| W::splat(token, seeds[c]);
    let half = |c: usize| W::splat(token, seeds[c] / 2);
    let double = |x: W| x.add(x);
    let [a0, a1, a2, a3, a4] = *a;
    let h5 = zero.madd_hi(a0, a4).madd_hi(a1, a3).madd_lo(a1, a4).madd_lo(a2, a3);
    let h5 = double(h5).madd_hi(a2, a2);
    let h6 = zero.madd_hi(a1, a4).madd_hi(a2, a3).madd_lo(a2, a4);
    let h6 = double(h6).madd_lo(a3, a3).add(h5.shr(RADIX));
    let h7 = h6.shr(RADIX).madd_hi(a2, a4).madd_hi(a2, a4).madd_lo(a3, a4).madd_lo(a3, a4).madd_hi(a3, a3);
    let h8 = h7.shr(RADIX).madd_hi(a3, a4).madd_hi(a3, a4).madd_lo(a4, a4);
    let h9 = h8.shr(RADIX).madd_hi(a4, a4);
    let l0 = seed(0).madd_lo(a0, a0);
    let l1 = seed(1).madd_lo(a0, a1).madd_lo(a0, a1).madd_hi(a0, a0);
    let l2 = half(2).madd_hi(a0, a1).madd_lo(a0, a2);
    let l3 = half(3).madd_hi(a0, a2).madd_lo(a0, a3).madd_lo(a1, a2);
    let l4 = half(4).madd_hi(a0, a3).madd_hi(a1, a2).madd_lo(a0, a4).madd_lo(a1, a3);
    let l2 = double(l2).madd_lo(a1, a1);
    let l3 = double(l3).madd_hi(a1, a1);
    let l4 = double(l4).madd_lo(a2, a2);
    fold(token, [l0, l1, l2, l3, l4], [h5, h6, h7, h8, h9])
}

/// Adds the upper columns, which have carried, to the lower ones.
#[inline(always)]
fn fold<W: Words>(token: W::Token, mut low: [W; DIGITS], mut high: [W; DIGITS]) -> [W; DIGITS] {
    let wrap = W::splat(token, 608);
    // So that the last product has no part beyond 52 bits.
    high[4] = high[4].below((1 << RADIX) / 608);
    for c in 0..DIGITS {
        low[c] = low[c].madd_lo(high[c], wrap);
        if c + 1 < DIGITS {
            low[c + 1] = low[c + 1].madd_hi(high[c], wrap);
        }
    }
    low
}

#[inline(always)]
pub(super) fn mul<W: Words>(
    token: W::Token,
    out: &mut [W::Vec; DIGITS],
    a: &[W::Vec; DIGITS],
    b: &[W::Vec; DIGITS],
) {
    let (a, b) = (load(token, a), load(token, b));
    store(reduced::<W>(token, mul_columns(token, [0; DIGITS], &a, &b)), out);
}

#[inline(always)]
pub(super) fn sqr<W: Words>(token: W::Token, out: &mut [W::Vec; DIGITS], a: &[W::Vec; DIGITS]) {
    let a = load(token, a);
    store(reduced::<W>(token, sqr_columns(token, [0; DIGITS], &a)), out);
}

/// a + b.
#[inline(always)]
pub(super) fn sum<W: Words>(
    token: W::Token,
    out: &mut [W::Vec; DIGITS],
    a: &[W::Vec; DIGITS],
    b: &[W::Vec; DIGITS],
) {
    store(operand::<W>(token, add(&load(token, a), &load(token, b))), out);
}

/// Clears the upper bits, which were carried.
#[inline(always)]
pub(super) fn reduce<W: Words>(token: W::Token, out: &mut [W::Vec; DIGITS], a: &[W::Vec; DIGITS]) {
    let mut x = load::<W, DIGITS>(token, a);
    clean(token, &mut x);
    store(x, out);
}

/// a + b and a − b.
#[inline(always)]
pub(super) fn add_sub<W: Words>(
    token: W::Token,
    sum: &mut [W::Vec; DIGITS],
    difference: &mut [W::Vec; DIGITS],
    a: &[W::Vec; DIGITS],
    b: &[W::Vec; DIGITS],
) {
    let (a, b) = (load::<W, DIGITS>(token, a), load(token, b));
    store(operand(token, add(&a, &b)), sum);
    store(operand(token, sub(&add(&a, &splat(token, LIFT)), &b)), difference);
}

#[inline(always)]
pub(super) fn difference<W: Words>(
    token: W::Token,
    out: &mut [W::Vec; DIGITS],
    a: &[W::Vec; DIGITS],
    b: &[W::Vec; DIGITS],
) {
    let lifted = add(&load::<W, DIGITS>(token, a), &splat(token, LIFT));
    store(operand::<W>(token, sub(&lifted, &load(token, b))), out);
}

/// a + 121665 · b.
#[inline(always)]
pub(super) fn add_121665<W: Words>(
    token: W::Token,
    out: &mut [W::Vec; DIGITS],
    a: &[W::Vec; DIGITS],
    b: &[W::Vec; DIGITS],
) {
    store(operand(token, columns_121665::<W>(token, load(token, a), &load(token, b))), out);
}

/// The columns of a + 121665 · b.
#[inline(always)]
pub(super) fn columns_121665<W: Words>(token: W::Token, mut a: [W; DIGITS], b: &[W; DIGITS]) -> [W; DIGITS] {
    let factor = W::splat(token, 121_665);
    for c in 0..DIGITS {
        a[c] = a[c].madd_lo(b[c], factor);
        if c + 1 < DIGITS {
            a[c + 1] = a[c + 1].madd_hi(b[c], factor);
        }
    }
    let beyond = W::splat(token, 0).madd_hi(b[4], factor);
    a[0] = a[0].madd_lo(beyond, W::splat(token, 608));
    a
}

/// What the columns of a minuend start with in the ladder: 514p, in even digits above all columns of a
/// product.
pub(super) const SEEDS: [u64; DIGITS] = lifted(P, 514, 17);

/// The points of the ladder, in columns that have not been carried: x and z of both. Minuends have [`SEEDS`].
pub(super) type Points<W> = [[W; DIGITS]; 4];

/// One step of the ladder: `Ladder::step` of `arith::curve25519`, with the names of RFC 7748 §5.
///
/// What makes it a kernel of its own: nothing is stored in between, and a number that is not multiplied never
/// carries.
#[inline(always)]
pub(super) fn ladder_step<W: Words>(
    token: W::Token,
    [x2, z2, x3, z3]: Points<W>,
    u: &[W; DIGITS],
    swap: W,
) -> Points<W> {
    let (c, d) = (operand(token, add(&x3, &z3)), operand(token, sub(&x3, &z3)));
    let (a, b) = (operand(token, add(&x2, &z2)), operand(token, sub(&x2, &z2)));
    let (da, cb) = (mul_columns(token, SEEDS, &d, &a), mul_columns(token, [0; DIGITS], &c, &b));
    let (a, b) = (choose(&a, &c, swap), choose(&b, &d, swap));
    let (aa, bb) = (sqr_columns(token, SEEDS, &a), sqr_columns(token, [0; DIGITS], &b));
    let e = operand(token, sub(&aa, &bb));
    let w = operand(token, sqr_columns(token, [0; DIGITS], &operand(token, sub(&da, &cb))));
    let x3 = sqr_columns(token, SEEDS, &operand(token, add(&da, &cb)));
    let z3 = mul_columns(token, [0; DIGITS], u, &w);
    let t = operand(token, columns_121665(token, aa, &e));
    let x2 = mul_columns(token, SEEDS, &operand(token, aa), &operand(token, bb));
    let z2 = mul_columns(token, [0; DIGITS], &e, &t);
    [x2, z2, x3, z3]
}

/// The whole ladder: bit 64·i + j of `swaps` says whether the step for that bit of the scalar doubles another
/// point than the step before it.
#[inline(always)]
pub(super) fn ladder<W: Words>(
    token: W::Token,
    points: [&mut [W::Vec; DIGITS]; 4],
    u: &[W::Vec; DIGITS],
    swaps: &[W::Vec; 4],
) {
    let u = load(token, u);
    let [x2, z2, x3, z3] = points;
    let seeds = splat(token, SEEDS);
    let mut p = [load(token, x2), load(token, z2), load(token, x3), load(token, z3)];
    (p[0], p[2]) = (add(&p[0], &seeds), add(&p[2], &seeds));
    for (i, swaps) in swaps.iter().enumerate().rev() {
        let (mut swaps, mut steps) = (W::load(token, swaps), 64);
        if i == 3 {
            // A scalar has 255 bits.
            (swaps, steps) = (swaps.shl(1), 63);
        }
        for _ in 0..steps {
            p = ladder_step(token, p, &u, swaps.top_bit());
            swaps = swaps.shl(1);
        }
    }
    for (p, to) in p.into_iter().zip([x2, z2, x3, z3]) {
        store(reduced(token, p), to);
    }
}

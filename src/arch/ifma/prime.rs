//! What the fields of the NIST curves have in common: Montgomery arithmetic for R = 2^(52·D) ≥ 16p.
//!
//! Reduced elements are below 2p, sums below 4p: a product of two sums, below 16p², leaves the reduction
//! below 2p. How multiples of the one prime or the other are made, [`Modulus`] says: no prime here needs a
//! full product.

use super::{MASK, RADIX, Words, add, carry, choose, clean, lifted, load, splat, store, sub, unrolled};

/// A prime of `D` digits, whose products have `C` = 2·`D` columns.
pub(super) trait Modulus<const D: usize, const C: usize> {
    /// p.
    const P: [u64; D];
    /// What the columns of a product start with: digits of zero, even ones, so large that
    /// [`step`](Self::step) has from what to subtract.
    const SEEDS: [u64; C];
    /// Bits of p in its last digit.
    const TOP_BITS: u32;
    /// Constants and accumulators of a reduction.
    type Reduction<W: Words>;

    fn start<W: Words>(token: W::Token) -> Self::Reduction<W>;

    /// Adds the multiple of p·2^(52·i) for which column `i` becomes zero, and adds what that column carries
    /// to the next one.
    fn step<W: Words>(reduction: &mut Self::Reduction<W>, t: &mut [W; C], i: usize);

    /// Finishes the columns from `D` on.
    fn end<W: Words>(_: Self::Reduction<W>, _: &mut [W; C]) {}

    /// Adds k·(2^(52·(D−1) + `TOP_BITS`) − p), to columns that are at least 2^52 but for the last one.
    fn add_complement<W: Words>(x: &mut [W; D], k: W);
}

/// a · b / R.
#[inline(always)]
pub(super) fn mul<M: Modulus<D, C>, W: Words, const D: usize, const C: usize>(
    token: W::Token,
    out: &mut [W::Vec; D],
    a: &[W::Vec; D],
    b: &[W::Vec; D],
) {
    let (a, b) = (load(token, a), load(token, b));
    store(cleaned(token, mul_columns::<M, W, D, C, 1>(token, [0; D], [[&a, &b]])), out);
}

/// a² / R.
#[inline(always)]
pub(super) fn sqr<M: Modulus<D, C>, W: Words, const D: usize, const C: usize>(
    token: W::Token,
    out: &mut [W::Vec; D],
    a: &[W::Vec; D],
) {
    let a = load(token, a);
    store(cleaned(token, sqr_columns::<M, W, D, C>(token, &a)), out);
}

/// The sum of some products a · b, divided by R: columns that start with `seeds` and have not carried.
#[inline(always)]
pub(super) fn mul_columns<M: Modulus<D, C>, W: Words, const D: usize, const C: usize, const TERMS: usize>(
    token: W::Token,
    seeds: [u64; D],
    factors: [[&[W; D]; 2]; TERMS],
) -> [W; D] {
    let mut t: [W; C] = splat(token, M::SEEDS);
    for (i, seed) in seeds.into_iter().enumerate() {
        t[D + i] = W::splat(token, M::SEEDS[D + i].wrapping_add(seed));
    }
    let mut reduction = M::start::<W>(token);
    unrolled!(i < D => {
        for [a, b] in factors {
            for j in 0..D {
                t[i + j] = t[i + j].madd_lo(a[j], b[i]);
                t[i + j + 1] = t[i + j + 1].madd_hi(a[j], b[i]);
            }
        }
        // Later rows do not reach this column.
        M::step(&mut reduction, &mut t, i);
    });
    M::end(reduction, &mut t);
    upper(&t)
}

/// a² / R, in columns that have not carried.
#[inline(always)]
pub(super) fn sqr_columns<M: Modulus<D, C>, W: Words, const D: usize, const C: usize>(
    token: W::Token,
    a: &[W; D],
) -> [W; D] {
    let mut halves = M::SEEDS;
    for seed in &mut halves[1..C - 1] {
        *seed /= 2;
    }
    let mut t: [W; C] = splat(token, halves);
    unrolled!(i < D => {
        for j in i + 1..D {
            t[i + j] = t[i + j].madd_lo(a[i], a[j]);
            t[i + j + 1] = t[i + j + 1].madd_hi(a[i], a[j]);
        }
    });
    for column in &mut t[1..C - 1] {
        *column = column.add(*column);
    }
    for i in 0..D {
        t[2 * i] = t[2 * i].madd_lo(a[i], a[i]);
        t[2 * i + 1] = t[2 * i + 1].madd_hi(a[i], a[i]);
    }
    let mut reduction = M::start::<W>(token);
    unrolled!(i < D => {
        M::step(&mut reduction, &mut t, i);
    });
    M::end(reduction, &mut t);
    upper(&t)
}

#[inline(always)]
fn upper<W: Words, const D: usize, const C: usize>(t: &[W; C]) -> [W; D] {
    let mut x = [t[D]; D];
    x.copy_from_slice(&t[D..]);
    x
}

/// Columns as the digits of a reduced element.
#[inline(always)]
pub(super) fn cleaned<W: Words, const D: usize>(token: W::Token, mut x: [W; D]) -> [W; D] {
    carry(&mut x);
    clean(token, &mut x);
    x
}

/// Takes from columns the multiple of p that their last one tells, about all of it: k times, where k is what
/// that column has beyond p's bits. The rest is below 2^`TOP_BITS` in that column, and little enough in the
/// others, which are at least 2^52.
#[inline(always)]
pub(super) fn subtract_multiple<M: Modulus<D, C>, W: Words, const D: usize, const C: usize>(
    token: W::Token,
    x: &mut [W; D],
) {
    let k = x[D - 1].shr(M::TOP_BITS);
    x[D - 1] = x[D - 1].and(W::splat(token, (1 << M::TOP_BITS) - 1));
    M::add_complement(x, k);
}

/// a + b.
#[inline(always)]
pub(super) fn sum<W: Words, const D: usize>(
    token: W::Token,
    out: &mut [W::Vec; D],
    a: &[W::Vec; D],
    b: &[W::Vec; D],
) {
    let mut x = add::<W, D>(&load(token, a), &load(token, b));
    carry(&mut x);
    store(x, out);
}

/// a − b, plus 2p: not negative, because b is below that. For the same reason the last digit is not, once the
/// others have carried into it.
#[inline(always)]
pub(super) fn difference<M: Modulus<D, C>, W: Words, const D: usize, const C: usize>(
    token: W::Token,
    out: &mut [W::Vec; D],
    a: &[W::Vec; D],
    b: &[W::Vec; D],
) {
    let lifted = add(&load::<W, D>(token, a), &splat(token, const { lifted(M::P, 2, 1) }));
    let mut x = sub(&lifted, &load(token, b));
    carry(&mut x);
    store(x, out);
}

/// A·a + B·b + C·c.
///
/// Negative terms are lifted by 2p each, and all by 2p more.
#[inline(always)]
pub(super) fn combine<
    M: Modulus<D, C>,
    W: Words,
    const D: usize,
    const C: usize,
    const X: i64,
    const Y: i64,
    const Z: i64,
>(
    token: W::Token,
    out: &mut [W::Vec; D],
    terms: [&[W::Vec; D]; 3],
) {
    let mut x: [W; D] = splat(
        token,
        const {
            let lifts = 1 + negative(X) + negative(Y) + negative(Z);
            lifted(M::P, 2 * lifts, lifts)
        },
    );
    let [a, b, c] = terms;
    add_multiple::<W, D, X>(token, &mut x, a);
    add_multiple::<W, D, Y>(token, &mut x, b);
    add_multiple::<W, D, Z>(token, &mut x, c);
    subtract_multiple::<M, W, D, C>(token, &mut x);
    store(cleaned(token, x), out);
}

/// |n|, if that is negative.
const fn negative(n: i64) -> u64 {
    if n < 0 { n.unsigned_abs() } else { 0 }
}

/// Adds N·a, for |N| up to 12.
#[inline(always)]
fn add_multiple<W: Words, const D: usize, const N: i64>(token: W::Token, x: &mut [W; D], a: &[W::Vec; D]) {
    let n = const { N.unsigned_abs() };
    for (x, a) in x.iter_mut().zip(a) {
        if n == 0 {
            continue;
        }
        let a = W::load(token, a);
        let times = |bits: u32| if bits == 0 { a } else { a.shl(bits) };
        let (top, low) = (n.ilog2(), n.trailing_zeros());
        let term = match n.count_ones() {
            1 => times(top),
            2 => times(top).add(times(low)),
            // 7 or 11.
            _ => times(top).add(times(1)).add(a),
        };
        *x = if N < 0 { x.sub(term) } else { x.add(term) };
    }
}

/// −out where the mask is all ones, as 2p − out: of zero, 2p itself.
#[inline(always)]
pub(super) fn negate_if<M: Modulus<D, C>, W: Words, const D: usize, const C: usize>(
    token: W::Token,
    out: &mut [W::Vec; D],
    mask: &W::Vec,
) {
    let x = load::<W, D>(token, out);
    let mut negative = sub(&splat(token, const { lifted(M::P, 2, 1) }), &x);
    carry(&mut negative);
    clean(token, &mut negative);
    store(choose(&x, &negative, W::load(token, mask)), out);
}

/// `other` where the mask is all ones, else `out`.
#[inline(always)]
pub(super) fn assign_if<W: Words, const D: usize>(
    token: W::Token,
    out: &mut [W::Vec; D],
    other: &[W::Vec; D],
    mask: &W::Vec,
) {
    let (x, other) = (load::<W, D>(token, out), load::<W, D>(token, other));
    store(choose(&x, &other, W::load(token, mask)), out);
}

/// The digits of a number in limbs.
pub(super) const fn digits<const D: usize>(limbs: &[u64]) -> [u64; D] {
    let mut digits = [0; D];
    let mut i = 0;
    while i < D {
        let (limb, shift) = (RADIX as usize * i / 64, RADIX as usize * i % 64);
        digits[i] = limbs[limb] >> shift & MASK;
        if shift > 64 - RADIX as usize && limb + 1 < limbs.len() {
            digits[i] |= limbs[limb + 1] << (64 - shift) & MASK;
        }
        i += 1;
    }
    digits
}

/// 2^bits, as a digit of column `column`.
pub(super) const fn power(bits: u32, column: u32) -> u64 {
    assert!(bits >= column * RADIX && bits < (column + 1) * RADIX);
    1 << (bits - column * RADIX)
}

//! The group law of y² = x³ − 3x + b in Jacobian coordinates, one kernel for each sum: `double`, `add_affine`
//! and `add` of `arith::weierstrass`, with their formulas.
//!
//! What makes them kernels of their own:
//!
//! * Nothing is stored in between, and a column carries only where it is multiplied: the columns of a product
//!   are added to others as they are. Where they are subtracted, a [`lift`] has larger ones.
//! * Products of which only the sum is wanted are reduced together.
//! * Numbers are bounded by multiples of p, up to 11p, and not brought below 2p at each step. x and y are, in
//!   the end. [`operand`] says of each number that it is not negative and fits the multiplier; the range
//!   proof checks it.
//!
//! Points are any reduced elements: up to 2p, and that is what they become.
//!
//! Only P-256 has these kernels. Those of P-384 would save a tenth to a sixth of the instructions, but be 16
//! to 26 KB long, each, where whatever a loop runs should stay in the first-level cache.

use super::prime::{Modulus, cleaned, mul_columns, sqr_columns, subtract_multiple};
use super::{RADIX, Words, add, carry, lifted, load, store, sub};

/// A number in registers.
type Number<W, const D: usize> = [W; D];

/// Columns that stand for n·p, each but the last at least (h − 1)·2^52.
const fn lift<M: Modulus<D, C>, const D: usize, const C: usize>(n: u64, h: u64) -> [u64; D] {
    lifted(M::P, n, h)
}

/// a + n·b, column by column.
const fn plus<const D: usize>(mut a: [u64; D], n: u64, b: [u64; D]) -> [u64; D] {
    let mut i = 0;
    while i < D {
        a[i] += n * b[i];
        i += 1;
    }
    a
}

/// More than a column of one product or two, of their sum and its double: 2^58 and 2^61.
const ONE: u64 = 65;
const EIGHT: u64 = 513;

/// Carries: an operand of a multiplication, of columns that stand for a number that is not negative.
#[inline(always)]
fn operand<W: Words, const D: usize>(mut x: Number<W, D>) -> Number<W, D> {
    carry(&mut x);
    x[D - 1] = x[D - 1].below(1 << RADIX);
    x
}

/// An operand of the columns of products, perhaps with an element. These are not negative, whatever their
/// last column has lent to the others.
#[inline(always)]
fn product<W: Words, const D: usize>(mut x: Number<W, D>) -> Number<W, D> {
    carry(&mut x);
    x[D - 1] = x[D - 1].not_negative();
    x
}

#[inline(always)]
fn mul<M: Modulus<D, C>, W: Words, const D: usize, const C: usize>(
    token: W::Token,
    a: &Number<W, D>,
    b: &Number<W, D>,
) -> Number<W, D> {
    mul_columns::<M, W, D, C, 1>(token, [0; D], [[a, b]])
}

#[inline(always)]
fn seeded<M: Modulus<D, C>, W: Words, const D: usize, const C: usize>(
    token: W::Token,
    seeds: [u64; D],
    a: &Number<W, D>,
    b: &Number<W, D>,
) -> Number<W, D> {
    mul_columns::<M, W, D, C, 1>(token, seeds, [[a, b]])
}

#[inline(always)]
fn add_constant<W: Words, const D: usize>(token: W::Token, x: &Number<W, D>, c: [u64; D]) -> Number<W, D> {
    let mut sum = *x;
    for (sum, c) in sum.iter_mut().zip(c) {
        *sum = sum.add(W::splat(token, c));
    }
    sum
}

/// c − x.
#[inline(always)]
fn constant_minus<W: Words, const D: usize>(token: W::Token, c: [u64; D], x: &Number<W, D>) -> Number<W, D> {
    let mut difference = *x;
    for (difference, c) in difference.iter_mut().zip(c) {
        *difference = W::splat(token, c).sub(*difference);
    }
    difference
}

#[inline(always)]
fn shl<W: Words, const D: usize>(mut x: Number<W, D>, bits: u32) -> Number<W, D> {
    for x in &mut x {
        *x = x.shl(bits);
    }
    x
}

/// A reduced element.
#[inline(always)]
fn element<W: Words, const D: usize>(token: W::Token, from: &[W::Vec; D]) -> Number<W, D> {
    let mut x = load::<W, D>(token, from);
    x[D - 1] = x[D - 1].below(1 << RADIX);
    x
}

/// Stores columns as a reduced element. Those of products are small enough; others are brought below 2p
/// first.
#[inline(always)]
fn finish<M: Modulus<D, C>, W: Words, const D: usize, const C: usize>(
    token: W::Token,
    mut x: Number<W, D>,
    is_product: bool,
    out: &mut [W::Vec; D],
) -> Number<W, D> {
    if !is_product {
        subtract_multiple::<M, W, D, C>(token, &mut x);
    }
    let mut x = cleaned(token, x);
    x[D - 1] = if is_product { x[D - 1].not_negative() } else { x[D - 1].below(1 << RADIX) };
    store(x, out);
    x
}

/// p ← 2·p.
#[inline(always)]
pub(super) fn double<M: Modulus<D, C>, W: Words, const D: usize, const C: usize>(
    token: W::Token,
    [px, py, pz]: [&mut [W::Vec; D]; 3],
) {
    // No closures: they would not have the tier's features.
    let [x, y, z] = [element::<W, D>(token, px), element(token, py), element(token, pz)];
    let delta = sqr_columns::<M, W, D, C>(token, &z);
    let gamma = sqr_columns::<M, W, D, C>(token, &y);
    let z2 = mul::<M, W, D, C>(token, &operand(add(&y, &y)), &z);
    finish::<M, W, D, C>(token, z2, true, pz);
    // 3·(x − δ)·(x + δ)
    let a = operand(sub(&add_constant(token, &x, const { lift::<M, D, C>(2, ONE) }), &delta));
    let t = mul::<M, W, D, C>(token, &a, &product(add(&x, &delta)));
    let alpha = product(add(&add(&t, &t), &t));
    // −8·γ, before γ carries.
    let gammas = operand(constant_minus(token, const { lift::<M, D, C>(11, EIGHT) }, &shl(gamma, 3)));
    let gamma = product(gamma);
    // β is lifted by p, of which x takes eightfold back.
    let beta = seeded::<M, W, D, C>(token, const { lift::<M, D, C>(1, 2) }, &x, &gamma);
    let lift_x = const { plus(lift::<M, D, C>(10, EIGHT), 8, lift::<M, D, C>(1, 2)) };
    let square = sqr_columns::<M, W, D, C>(token, &alpha);
    let x2 = sub(&add_constant(token, &square, lift_x), &shl(beta, 3));
    let x2 = finish::<M, W, D, C>(token, x2, false, px);
    let s = operand(sub(&shl(beta, 2), &x2));
    let lift_y = const { lift::<M, D, C>(1, 2) };
    let y2 = mul_columns::<M, W, D, C, 2>(token, lift_y, [[&alpha, &s], [&gammas, &gamma]]);
    finish::<M, W, D, C>(token, y2, false, py);
}

/// p ← p + q, for an affine q.
#[inline(always)]
pub(super) fn add_affine<M: Modulus<D, C>, W: Words, const D: usize, const C: usize>(
    token: W::Token,
    [px, py, pz]: [&mut [W::Vec; D]; 3],
    q: [&[W::Vec; D]; 2],
) {
    // No closures: they would not have the tier's features.
    let [x, y, z] = [element::<W, D>(token, px), element(token, py), element(token, pz)];
    let [x2, y2] = [element::<W, D>(token, q[0]), element(token, q[1])];
    let zz = product(sqr_columns::<M, W, D, C>(token, &z));
    let t = product(mul::<M, W, D, C>(token, &z, &y2));
    let u2 = seeded::<M, W, D, C>(token, const { lift::<M, D, C>(3, 2) }, &x2, &zz);
    let s2 = seeded::<M, W, D, C>(token, const { lift::<M, D, C>(3, 2) }, &t, &zz);
    let (h, r) = (operand(sub(&u2, &x)), operand(sub(&s2, &y)));
    finish::<M, W, D, C>(token, mul::<M, W, D, C>(token, &z, &h), true, pz);
    finish_addition::<M, W, D, C>(token, [px, py], [&x, &y], &h, &r);
}

/// p ← p + q, of which there are X, Y, Z, Z², Z³.
#[inline(always)]
pub(super) fn add_jacobian<M: Modulus<D, C>, W: Words, const D: usize, const C: usize>(
    token: W::Token,
    [px, py, pz]: [&mut [W::Vec; D]; 3],
    q: [&[W::Vec; D]; 5],
) {
    // No closures: they would not have the tier's features.
    let [x, y, z] = [element::<W, D>(token, px), element(token, py), element(token, pz)];
    let [x2, y2, z2] = [element::<W, D>(token, q[0]), element(token, q[1]), element(token, q[2])];
    let [zz2, zzz2] = [element::<W, D>(token, q[3]), element(token, q[4])];
    let zz = product(sqr_columns::<M, W, D, C>(token, &z));
    let t = product(mul::<M, W, D, C>(token, &z, &y2));
    let u1 = mul::<M, W, D, C>(token, &x, &zz2);
    let s1 = mul::<M, W, D, C>(token, &y, &zzz2);
    let u2 = seeded::<M, W, D, C>(token, const { lift::<M, D, C>(3, ONE) }, &x2, &zz);
    let s2 = seeded::<M, W, D, C>(token, const { lift::<M, D, C>(3, ONE) }, &t, &zz);
    let (h, r) = (operand(sub(&u2, &u1)), operand(sub(&s2, &s1)));
    let zz2 = product(mul::<M, W, D, C>(token, &z, &z2));
    finish::<M, W, D, C>(token, mul::<M, W, D, C>(token, &zz2, &h), true, pz);
    finish_addition::<M, W, D, C>(token, [px, py], [&product(u1), &product(s1)], &h, &r);
}

/// x = r² − h³ − 2·u·h² and y = r·(u·h² − x) − s·h³.
#[inline(always)]
fn finish_addition<M: Modulus<D, C>, W: Words, const D: usize, const C: usize>(
    token: W::Token,
    [px, py]: [&mut [W::Vec; D]; 2],
    [u, s]: [&Number<W, D>; 2],
    h: &Number<W, D>,
    r: &Number<W, D>,
) {
    let hh = product(sqr_columns::<M, W, D, C>(token, h));
    // −h³
    let cube = constant_minus(token, const { lift::<M, D, C>(2, ONE) }, &mul::<M, W, D, C>(token, h, &hh));
    // Lifted by 2p, of which x takes twice as much back.
    let v = seeded::<M, W, D, C>(token, const { lift::<M, D, C>(2, 2) }, u, &hh);
    let lift_x = const { plus(lift::<M, D, C>(3, 2 * ONE), 2, lift::<M, D, C>(2, 2)) };
    let x = add(&add_constant(token, &sqr_columns::<M, W, D, C>(token, r), lift_x), &cube);
    let x = sub(&x, &add(&v, &v));
    let x = finish::<M, W, D, C>(token, x, false, px);
    let difference = operand(sub(&v, &x));
    let lift_y = const { lift::<M, D, C>(1, 2) };
    let y = mul_columns::<M, W, D, C, 2>(token, lift_y, [[r, &difference], [s, &operand(cube)]]);
    finish::<M, W, D, C>(token, y, false, py);
}

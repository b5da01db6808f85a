//! Inverses modulo an odd number in constant time: the division steps of D. J. Bernstein and B.-Y. Yang,
//! "Fast constant-time gcd computation and modular inversion", TCHES 2019(3),
//! <https://eprint.iacr.org/2019/266>.
//!
//! One division step takes (δ, f, g), f odd, to
//!
//! * (1 − δ, g, (g − f)/2) if δ > 0 and g is odd,
//! * (1 + δ, f, (g + (g mod 2)·f)/2) otherwise.
//!
//! Started at (1/2, n, x) with 0 ≤ x ≤ n < 2^b, it reaches g = 0 after at most (9437·b + 1)/4096 steps, and
//! then |f| = gcd(n, x). More steps change nothing. The paper starts at δ = 1 and needs a quarter more; for
//! 1/2 P. Wuille found the bound by convex hulls, and D. J. Bernstein's "hull-light" for all b, which J.
//! Harrison checked in HOL Light. We always make the number of steps for b = 64·k, so the trace depends on
//! the length only. δ is kept doubled.
//!
//! The next 60 steps depend only on the low 60 bits of f and g: they run on single words ([`division_steps`])
//! and give a matrix ((u, v), (q, r)) with |u| + |v| ≤ 2^60, |q| + |r| ≤ 2^60, which is then applied to the
//! whole numbers. Beside f and g go d and e with d·x = f and e·x = g modulo n; there the division by 2^60 is
//! exact after adding the right multiple of n.
//!
//! Whole numbers have limbs of as many bits as there are steps in a batch, 60, so that a division by 2^60
//! moves limbs, and a product of a limb and a matrix entry is one signed multiplication. The last limb has
//! the sign.

pub(crate) use simultaneous::{Field, invert_all};

use super::limbs::{MAX_LIMBS, mask, neg_inv_u64};
use crate::arch::value_barrier;
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

/// Division steps made at a time, and bits of a limb.
const BATCH: usize = 3 * PART;
const BATCH_MASK: u64 = (1 << BATCH) - 1;

/// Division steps that one pair of words makes.
const PART: usize = 20;

/// The division steps needed for numbers below 2^bits, in whole batches.
const fn batches(bits: usize) -> usize {
    (9437 * bits + 1).div_ceil(4096).div_ceil(BATCH)
}

/// The limbs of 60 bits for numbers from −2·2^bits to 2^bits.
const fn signed_limbs(bits: usize) -> usize {
    (bits + 2).div_ceil(BATCH)
}

/// The most of them.
const MAX_SIGNED: usize = signed_limbs(64 * MAX_LIMBS);

/// The matrix of some division steps, times 2 to the power of their number.
#[derive(Clone, Copy)]
struct Matrix {
    u: i64,
    v: i64,
    q: i64,
    r: i64,
}

/// `out = x⁻¹ mod n` for an odd `n > 1` and `x < n`, all of one length, at most [`MAX_LIMBS`]; constant-time
/// in both.
///
/// Returns whether there is an inverse, that is gcd(x, n) = 1. If not, `out` is zero.
pub(crate) fn invert(out: &mut [u64], x: &[u64], n: &[u64]) -> Choice {
    let k = n.len();
    assert!(k <= MAX_LIMBS && x.len() == k && out.len() == k && n[0] & 1 == 1);
    // The lengths of the curves have code of their own, whose loops the compiler unrolls.
    match k {
        4 => invert_in(
            &mut Zeroizing::new([[0; signed_limbs(256)]; 5]).each_mut().map(|a| &mut a[..]),
            out,
            x,
            n,
        ),
        6 => invert_in(
            &mut Zeroizing::new([[0; signed_limbs(384)]; 5]).each_mut().map(|a| &mut a[..]),
            out,
            x,
            n,
        ),
        _ => {
            let mut space = Zeroizing::new([[0; MAX_SIGNED]; 5]);
            invert_in(&mut space.each_mut().map(|a| &mut a[..signed_limbs(64 * k)]), out, x, n)
        }
    }
}

/// The same in the caller's space, zero at first.
#[inline(always)]
fn invert_in(space: &mut [&mut [i64]; 5], out: &mut [u64], x: &[u64], n: &[u64]) -> Choice {
    let [f, g, d, e, modulus] = space;
    split(f, n);
    split(g, x);
    split(modulus, n);
    e[0] = 1;
    let n_inv = neg_inv_u64(n[0]).wrapping_neg();
    let mut twice_delta = 1;
    for _ in 0..batches(64 * n.len()) {
        let matrix;
        (twice_delta, matrix) = division_steps(twice_delta, f[0] | f[1] << BATCH, g[0] | g[1] << BATCH);
        update_fg(f, g, matrix);
        update_de(d, e, matrix, modulus, n_inv);
    }
    finish(out, f, d, modulus)
}

/// The signed limbs of a number.
#[inline(always)]
fn split(out: &mut [i64], x: &[u64]) {
    for (i, out) in out.iter_mut().enumerate() {
        let (limb, shift) = (BATCH * i / 64, BATCH * i % 64);
        let at = |i: usize| u128::from(x.get(i).copied().unwrap_or(0));
        *out = ((at(limb) | at(limb + 1) << 64) >> shift) as i64 & BATCH_MASK as i64;
    }
}

/// From f = ±gcd and d·x = f to the inverse, if the gcd is 1: −2n < d < n on entry.
#[inline(always)]
fn finish(out: &mut [u64], f: &mut [i64], d: &mut [i64], n: &[i64]) -> Choice {
    let last = n.len() - 1;
    let sign = |a: &[i64]| value_barrier((a[last] >> 63) as u64) as i64;
    let negative = sign(f);
    normalize(f, negative, n, 0);
    // −n < d < n, then perhaps −d, then 0 ≤ d < n.
    let add = sign(d);
    normalize(d, 0, n, add);
    normalize(d, negative, n, 0);
    let add = sign(d);
    normalize(d, 0, n, add);
    let others = f[1..].iter().fold(f[0] ^ 1, |others, limb| others | limb);
    let found = others.ct_eq(&0);
    let keep = mask(found.unwrap_u8().into());
    for (i, out) in out.iter_mut().enumerate() {
        let (limb, shift) = (64 * i / BATCH, 64 * i % BATCH);
        let at = |i: usize| d.get(i).map_or(0, |limb| *limb as u128);
        *out = (at(limb) >> shift | at(limb + 1) << (BATCH - shift)) as u64 & keep;
    }
    found
}

/// a ← −a if `negate` is all ones, plus n if `add` is, with limbs of 60 bits but for the last one.
#[inline(always)]
fn normalize(a: &mut [i64], negate: i64, n: &[i64], add: i64) {
    let (last, mut carry) = (a.len() - 1, 0);
    for (i, (a, n)) in a.iter_mut().zip(n).enumerate() {
        carry += (*a ^ negate) - negate + (n & add);
        if i == last {
            *a = carry;
        } else {
            *a = carry & BATCH_MASK as i64;
            carry >>= BATCH;
        }
    }
}

/// [`BATCH`] division steps on the low words of f and g, in three parts.
fn division_steps(twice_delta: i64, f: i64, g: i64) -> (i64, Matrix) {
    let (twice_delta, first) = part(twice_delta, f, g);
    let (f, g) = first.apply(f, g);
    let (twice_delta, second) = part(twice_delta, f, g);
    let (f, g) = second.apply(f, g);
    let (twice_delta, third) = part(twice_delta, f, g);
    (twice_delta, third.after(&second).after(&first))
}

impl Matrix {
    /// The low bits of f and g after the steps of one part.
    #[inline(always)]
    fn apply(&self, f: i64, g: i64) -> (i64, i64) {
        let row = |a: i64, b: i64| a.wrapping_mul(f).wrapping_add(b.wrapping_mul(g)) >> PART;
        (row(self.u, self.v), row(self.q, self.r))
    }

    /// The product with the matrix of steps before these.
    #[inline(always)]
    fn after(&self, before: &Self) -> Self {
        let row = |a: i64, b: i64| (a * before.u + b * before.q, a * before.v + b * before.r);
        let ((u, v), (q, r)) = (row(self.u, self.v), row(self.q, self.r));
        Self { u, v, q, r }
    }
}

/// [`PART`] division steps; every step runs the same instructions.
///
/// A step needs the lowest bit of g, and so the steps of a part no more than the low 20 bits of f and g.
/// These are replaced by f + 2^41 and g + 2^62. The steps are linear in f and g: in the end f has become f' +
/// 2^21·u + 2^42·v, for its row (u, v) of the matrix, and g likewise. |f'| < 2^20, since |u| + |v| ≤ 2^20,
/// and so the three can be told from each other: v as the nearest multiple of 2^42, if 2^21·u + f' is between
/// ±2^41, with the half that belongs to the positive side: u may be 2^20, as long as no step swaps, but not
/// −2^20, as v is not zero from the first swap on, nor is r ever, an odd number.
///
/// No sum leaves 64 bits: after j steps |v| + |r| ≤ 2^(j+1) − 1, since the determinant is not zero, so |f| +
/// |g| is less than 2^63 − 2^(62−j) + 2^(41−j) + 2^21.
#[inline(always)]
fn part(mut twice_delta: i64, f: i64, g: i64) -> (i64, Matrix) {
    let low = (1 << PART) - 1;
    let (mut f, mut g) = ((f & low) + (1 << 41), (g & low) + (1 << 62));
    for _ in 0..PART {
        let odd = value_barrier((g & 1).wrapping_neg() as u64) as i64;
        let swap = value_barrier((twice_delta.wrapping_neg() >> 63 & odd) as u64) as i64;
        twice_delta = (twice_delta ^ swap) - swap + 2;
        // g ± f in place of g; if swapping, f + (g − f) = g in place of f.
        g += ((f ^ swap) - swap) & odd;
        f += g & swap;
        g >>= 1;
    }
    let row = |x: i64| {
        let v = (x + (1 << 41) - (1 << PART)) >> 42;
        let u = (x - (v << 42) + (1 << PART)) >> 21;
        (u, v)
    };
    let ((u, v), (q, r)) = (row(f), row(g));
    (twice_delta, Matrix { u, v, q, r })
}

/// `(f, g) = ((u·f + v·g)/2^60, (q·f + r·g)/2^60)`; the divisions are exact.
///
/// A row of the matrix is at most 2^60 in absolute sum: each column sum is below 2^121.
#[inline(always)]
fn update_fg(f: &mut [i64], g: &mut [i64], m: Matrix) {
    let (mut upper, mut lower) = (0, 0);
    for i in 0..f.len() {
        upper += wide(m.u, f[i]) + wide(m.v, g[i]);
        lower += wide(m.q, f[i]) + wide(m.r, g[i]);
        shift_in(f, i, &mut upper);
        shift_in(g, i, &mut lower);
    }
}

/// `(d, e) = ((u·d + v·e)/2^60, (q·d + r·e)/2^60)` modulo n; −2n < d, e < n before and after.
///
/// With n added to what is negative, d and e are between ±n, and so are the quotients. From them the multiple
/// of n that makes the division exact takes less than n more.
#[inline(always)]
fn update_de(d: &mut [i64], e: &mut [i64], m: Matrix, n: &[i64], n_inv: u64) {
    let last = n.len() - 1;
    let (d_negative, e_negative) = (d[last] >> 63, e[last] >> 63);
    let multiple = |a: i64, b: i64| {
        let lifted = (a & d_negative) + (b & e_negative);
        let low = (a as u64).wrapping_mul(d[0] as u64).wrapping_add((b as u64).wrapping_mul(e[0] as u64));
        lifted - (low.wrapping_mul(n_inv).wrapping_add(lifted as u64) & BATCH_MASK) as i64
    };
    let (of_upper, of_lower) = (multiple(m.u, m.v), multiple(m.q, m.r));
    let (mut upper, mut lower) = (0, 0);
    for i in 0..n.len() {
        upper += wide(m.u, d[i]) + wide(m.v, e[i]) + wide(of_upper, n[i]);
        lower += wide(m.q, d[i]) + wide(m.r, e[i]) + wide(of_lower, n[i]);
        shift_in(d, i, &mut upper);
        shift_in(e, i, &mut lower);
    }
}

#[inline(always)]
fn wide(a: i64, b: i64) -> i128 {
    i128::from(a) * i128::from(b)
}

/// Column i of a sum, with what the lower ones carry, becomes limb i − 1; the last one gives the last limb,
/// too.
#[inline(always)]
fn shift_in(out: &mut [i64], i: usize, column: &mut i128) {
    if i > 0 {
        out[i - 1] = *column as i64 & BATCH_MASK as i64;
    }
    *column >>= BATCH;
    if i + 1 == out.len() {
        out[i] = *column as i64;
    }
}

mod simultaneous;
#[cfg(test)]
mod tests;

//! Inverses modulo an odd number in constant time: the division steps of D. J. Bernstein and B.-Y. Yang, "Fast
//! constant-time gcd computation and modular inversion", TCHES 2019(3), <https://eprint.iacr.org/2019/266>.
//!
//! One division step takes (δ, f, g), f odd, to
//!
//! * (1 − δ, g, (g − f)/2) if δ > 0 and g is odd,
//! * (1 + δ, f, (g + (g mod 2)·f)/2) otherwise.
//!
//! Started at (1/2, n, x) with 0 ≤ x ≤ n < 2^b, it reaches g = 0 after at most (9437·b + 1)/4096 steps, and then |f| =
//! gcd(n, x). More steps change nothing. The paper starts at δ = 1 and needs a quarter more; for 1/2 P. Wuille found
//! the bound by convex hulls, and D. J. Bernstein's "hull-light" for all b, which J. Harrison checked in HOL Light. We
//! always make the number of steps for b = 64·k, so the trace depends on the length only. δ is kept doubled.
//!
//! The next 62 steps depend only on the low 62 bits of f and g: they run on single words and give a matrix
//! ((u, v), (q, r)) with |u| + |v| ≤ 2^62, |q| + |r| ≤ 2^62, which is then applied to the whole numbers. Beside
//! f and g go d and e with d·x = f and e·x = g modulo n; there the division by 2^62 is exact after adding the
//! right multiple of n.
//!
//! Whole numbers are signed here: two's complement with one limb more than n.

pub(crate) use simultaneous::{Field, invert_all};

use super::limbs::{self, MAX_LIMBS, ct_eq, mask, neg_inv_u64};
use crate::arch::value_barrier;
use subtle::Choice;
use zeroize::Zeroizing;

/// Division steps made at a time: the most whose matrix has entries that fit a word with sign.
const BATCH: usize = 62;
const BATCH_MASK: u64 = (1 << BATCH) - 1;

/// The division steps needed for numbers below 2^bits, in whole batches.
const fn batches(bits: usize) -> usize {
    (9437 * bits + 1).div_ceil(4096).div_ceil(BATCH)
}

/// The matrix of [`BATCH`] division steps, times 2^62.
#[derive(Clone, Copy)]
struct Matrix {
    u: i64,
    v: i64,
    q: i64,
    r: i64,
}

/// `out = x⁻¹ mod n` for an odd `n > 1` and `x < n`, all of one length, at most [`MAX_LIMBS`]; constant-time in
/// both.
///
/// Returns whether there is an inverse, that is gcd(x, n) = 1. If not, `out` is zero.
pub(crate) fn invert(out: &mut [u64], x: &[u64], n: &[u64]) -> Choice {
    let k = n.len();
    assert!(k <= MAX_LIMBS && x.len() == k && out.len() == k && n[0] & 1 == 1);
    // The lengths of the curves have code of their own, whose loops the compiler unrolls: a third faster.
    match k {
        4 => invert_in(&mut Zeroizing::new([[0; 5]; 4]).each_mut().map(|a| &mut a[..]), out, x, n),
        6 => invert_in(&mut Zeroizing::new([[0; 7]; 4]).each_mut().map(|a| &mut a[..]), out, x, n),
        _ => {
            let mut space = Zeroizing::new([[0; MAX_LIMBS + 1]; 4]);
            invert_in(&mut space.each_mut().map(|a| &mut a[..=k]), out, x, n)
        }
    }
}

/// The same in the caller's space, zero at first, one limb longer than n.
#[inline(always)]
fn invert_in(space: &mut [&mut [u64]; 4], out: &mut [u64], x: &[u64], n: &[u64]) -> Choice {
    let [f, g, d, e] = space;
    let k = f.len() - 1;
    let (out, x, n) = (&mut out[..k], &x[..k], &n[..k]);
    f[..k].copy_from_slice(n);
    g[..k].copy_from_slice(x);
    e[0] = 1;
    let n_inv = neg_inv_u64(n[0]);
    let mut twice_delta = 1;
    for _ in 0..batches(64 * k) {
        let matrix;
        (twice_delta, matrix) = division_steps(twice_delta, f[0], g[0]);
        update_fg(f, g, matrix);
        update_de(d, e, matrix, n, n_inv);
    }
    finish(out, f, d, n)
}

/// From f = ±gcd and d·x = f to the inverse, if the gcd is 1: −n ≤ d < n on entry.
#[inline(always)]
fn finish(out: &mut [u64], f: &mut [u64], d: &mut [u64], n: &[u64]) -> Choice {
    let k = n.len();
    let sign = mask(f[k] >> 63);
    negate_masked(f, sign);
    negate_masked(d, sign);
    let negative = mask(d[k] >> 63);
    for (out, n) in out.iter_mut().zip(n) {
        *out = n & negative;
    }
    limbs::add_assign(out, &d[..k]);
    let mut one = [0; MAX_LIMBS + 1];
    one[0] = 1;
    let found = ct_eq(f, &one[..=k]);
    let found_mask = mask(u64::from(found.unwrap_u8()));
    out.iter_mut().for_each(|limb| *limb &= found_mask);
    found
}

/// Two's complement `a = −a` if `mask` is all ones, else `a` stays.
#[inline(always)]
fn negate_masked(a: &mut [u64], mask: u64) {
    let mut carry = mask & 1;
    for a in a {
        (*a, carry) = limbs::adc(*a ^ mask, 0, carry);
    }
}

/// [`BATCH`] division steps on the low words of f and g; every step runs the same instructions.
fn division_steps(mut twice_delta: i64, mut f: u64, mut g: u64) -> (i64, Matrix) {
    let (mut u, mut v, mut q, mut r) = (1u64, 0u64, 0u64, 1u64);
    for _ in 0..BATCH {
        let odd = value_barrier((g & 1).wrapping_neg());
        let swap = value_barrier((twice_delta.wrapping_neg() >> 63) as u64 & odd);
        twice_delta = (twice_delta ^ swap as i64).wrapping_sub(swap as i64).wrapping_add(2);
        // g ± f in place of g; if swapping, f + (g − f) = g in place of f. The rows of the matrix likewise, but
        // it is the upper row that doubles, not the lower one that is halved.
        g = g.wrapping_add((f ^ swap).wrapping_sub(swap) & odd);
        q = q.wrapping_add((u ^ swap).wrapping_sub(swap) & odd);
        r = r.wrapping_add((v ^ swap).wrapping_sub(swap) & odd);
        f = f.wrapping_add(g & swap);
        u = u.wrapping_add(q & swap) << 1;
        v = v.wrapping_add(r & swap) << 1;
        g >>= 1;
    }
    (twice_delta, Matrix { u: u as i64, v: v as i64, q: q as i64, r: r as i64 })
}

/// `(f, g) = ((u·f + v·g)/2^62, (q·f + r·g)/2^62)`; the divisions are exact.
#[inline(always)]
fn update_fg(f: &mut [u64], g: &mut [u64], m: Matrix) {
    combine(f, g, m);
    shift_right(f);
    shift_right(g);
}

/// `(d, e) = ((u·d + v·e)/2^62, (q·d + r·e)/2^62)` modulo n; −n ≤ d, e < n before and after.
#[inline(always)]
fn update_de(d: &mut [u64], e: &mut [u64], m: Matrix, n: &[u64], n_inv: u64) {
    combine(d, e, m);
    divide_mod(d, n, n_inv);
    divide_mod(e, n, n_inv);
}

/// `(a, b) = (u·a + v·b, q·a + r·b)`.
///
/// A row of the matrix is at most 2^62 in absolute sum: each column sum is below 2^126 and with a carry below
/// 2^63 it fits `i128`; the results have at most 62 bits more than the larger of a and b.
#[inline(always)]
fn combine(a: &mut [u64], b: &mut [u64], m: Matrix) {
    let [u, v, q, r] = [m.u, m.v, m.q, m.r].map(i128::from);
    let (mut upper, mut lower) = (0i128, 0i128);
    let top = a.len() - 1;
    for i in 0..top {
        let (x, y) = (i128::from(a[i]), i128::from(b[i]));
        upper += u * x + v * y;
        lower += q * x + r * y;
        (a[i], b[i]) = (upper as u64, lower as u64);
        upper >>= 64;
        lower >>= 64;
    }
    let (x, y) = (i128::from(a[top] as i64), i128::from(b[top] as i64));
    (a[top], b[top]) = ((upper + u * x + v * y) as u64, (lower + q * x + r * y) as u64);
}

/// `a = a/2^62 mod n` for −2^62·n ≤ a ≤ 2^62·n; the result is at least −n and below n.
///
/// Adds to a the multiple c·n, −2^62 ≤ c < 2^62, that makes it divisible: the c ≥ 0 if a < 0, else the c < 0.
#[inline(always)]
fn divide_mod(a: &mut [u64], n: &[u64], n_inv: u64) {
    let negative = mask(a[n.len()] >> 63);
    let multiple = a[0].wrapping_mul(n_inv) & BATCH_MASK;
    let c = i128::from(multiple as i64 - ((1 << BATCH) & !negative) as i64);
    let mut acc = 0;
    for (a, n) in a.iter_mut().zip(n) {
        acc += i128::from(*a) + c * i128::from(*n);
        *a = acc as u64;
        acc >>= 64;
    }
    a[n.len()] = a[n.len()].wrapping_add(acc as u64);
    shift_right(a);
}

/// Two's complement `a = ⌊a/2^62⌋`.
#[inline(always)]
fn shift_right(a: &mut [u64]) {
    let top = a.len() - 1;
    for i in 0..top {
        a[i] = a[i] >> BATCH | a[i + 1] << (64 - BATCH);
    }
    a[top] = (a[top] as i64 >> BATCH) as u64;
}

mod simultaneous;
#[cfg(test)]
mod tests;

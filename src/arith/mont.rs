//! Arithmetic modulo an odd number, after P. Montgomery, "Modular multiplication without trial division".
//!
//! With k limbs and R = 2^(64·k), the Montgomery form of x is x·R mod n. Everything here is exact: results
//! are below n. The modulus may be a secret prime: the instruction trace depends on its length, not its
//! value.

use super::limbs::{
    MAX_LIMBS, ct_lt, mask, mul, mul_add_limb, neg_inv_u64, sbb, shl1_assign, square, sub_assign_if,
};
use zeroize::Zeroizing;

/// Bits that [`Mont::pow`] consumes between two multiplications.
#[cfg(test)]
const WINDOW: usize = 4;

/// An odd modulus n > 1 of at most [`MAX_LIMBS`] limbs, with workspace that is wiped when dropped.
pub(crate) struct Mont<'a> {
    n: &'a [u64],
    n0_inv: u64,
    wide: Zeroizing<[u64; 2 * MAX_LIMBS]>,
}

impl<'a> Mont<'a> {
    /// For the odd modulus `n`, greater than 1.
    pub(crate) fn new(n: &'a [u64]) -> Self {
        assert!(n.len() <= MAX_LIMBS && n[0] & 1 == 1);
        Self { n, n0_inv: neg_inv_u64(n[0]), wide: Zeroizing::new([0; 2 * MAX_LIMBS]) }
    }

    /// `out = a·b/R mod n`, for `a·b < n·R`; both as long as n.
    pub(crate) fn mul(&mut self, out: &mut [u64], a: &[u64], b: &[u64]) {
        let wide = &mut self.wide[..2 * self.n.len()];
        mul(wide, a, b);
        redc(out, wide, self.n, self.n0_inv);
    }

    /// `a = a·b/R mod n`, for `a·b < n·R`; both as long as n.
    pub(crate) fn mul_assign(&mut self, a: &mut [u64], b: &[u64]) {
        let wide = &mut self.wide[..2 * self.n.len()];
        mul(wide, a, b);
        redc(a, wide, self.n, self.n0_inv);
    }

    /// `a = a·a/R mod n`, for `a < n`, as long as n.
    pub(crate) fn square_assign(&mut self, a: &mut [u64]) {
        let wide = &mut self.wide[..2 * self.n.len()];
        square(wide, a);
        redc(a, wide, self.n, self.n0_inv);
    }

    /// `out = a/R mod n`: out of Montgomery form. Any `a` as long as n.
    pub(crate) fn leave(&mut self, out: &mut [u64], a: &[u64]) {
        let (low, high) = self.wide[..2 * self.n.len()].split_at_mut(self.n.len());
        low.copy_from_slice(a);
        high.fill(0);
        redc(out, &mut self.wide[..2 * self.n.len()], self.n, self.n0_inv);
    }

    /// `a = a^exponent` in Montgomery form, `a < n`. Constant-time in `a` and `exponent`; `exponent` has any
    /// number of limbs.
    ///
    /// Fixed windows of 4 bits from the top; the table of powers is read whole for every window.
    #[cfg(test)]
    pub(crate) fn pow(&mut self, a: &mut [u64], exponent: &[u64]) {
        let k = self.n.len();
        let mut powers = Zeroizing::new([0; MAX_LIMBS << WINDOW]);
        pow_of_two_mod(&mut powers[..k], 64 * k, self.n);
        for i in 1..1 << WINDOW {
            let (done, next) = powers.split_at_mut(i * k);
            self.mul(&mut next[..k], &done[(i - 1) * k..], a);
        }
        a.copy_from_slice(&powers[..k]);
        let mut factor = Zeroizing::new([0; MAX_LIMBS]);
        for i in (0..exponent.len() * 64 / WINDOW).rev() {
            for _ in 0..WINDOW {
                self.square_assign(a);
            }
            let window = exponent[i * WINDOW / 64] >> (i * WINDOW % 64) & ((1 << WINDOW) - 1);
            gather(&mut factor[..k], &powers[..k << WINDOW], window);
            self.mul_assign(a, &factor[..k]);
        }
    }

    /// `a = a^exponent` in Montgomery form, for a public `exponent ≥ 1`: square and multiply from the top.
    /// Constant-time in `a`.
    pub(crate) fn pow_vartime(&mut self, a: &mut [u64], exponent: u64) {
        assert_ne!(exponent, 0);
        let mut base = Zeroizing::new([0; MAX_LIMBS]);
        let base = &mut base[..self.n.len()];
        base.copy_from_slice(a);
        for i in (0..exponent.ilog2()).rev() {
            self.square_assign(a);
            if exponent >> i & 1 == 1 {
                self.mul_assign(a, base);
            }
        }
    }
}

/// `out` = entry `index` of `table`, whose entries are as long as `out`. Reads every entry.
#[cfg(test)]
fn gather(out: &mut [u64], table: &[u64], index: u64) {
    out.fill(0);
    for (i, entry) in table.chunks_exact(out.len()).enumerate() {
        // The difference is below 2^63, so its predecessor has the top bit only if it is zero.
        let here = mask((i as u64 ^ index).wrapping_sub(1) >> 63);
        for (out, limb) in out.iter_mut().zip(entry) {
            *out |= limb & here;
        }
    }
}

/// Montgomery reduction: `out = t/R mod n` for `t < n·R`, with R = 2^(64·k) for the k limbs of the odd `n`.
///
/// `t` has 2·k limbs and is overwritten; `n0_inv` is [`neg_inv_u64`] of n's lowest limb.
pub(crate) fn redc(out: &mut [u64], t: &mut [u64], n: &[u64], n0_inv: u64) {
    let k = n.len();
    assert!(out.len() == k && t.len() == 2 * k);
    let mut carry = 0;
    for i in 0..k {
        let quotient = t[i].wrapping_mul(n0_inv);
        let limb = mul_add_limb(&mut t[i..i + k], n, quotient);
        (t[i + k], carry) = super::limbs::adc(t[i + k], limb, carry);
    }
    // Now t/R = carry·R + high < 2·n: subtract n unless that is negative.
    let high = &t[k..];
    let borrow = super::limbs::sub(out, high, n);
    let keep = mask(sbb(carry, 0, borrow).1);
    for (out, high) in out.iter_mut().zip(high) {
        *out ^= keep & (*out ^ high);
    }
}

/// `a + carry·2^(64·k)`, known to be below 2·n, reduced below n.
fn reduce_once(a: &mut [u64], carry: u64, n: &[u64]) {
    let below = ct_lt(a, n);
    sub_assign_if(!below | subtle::Choice::from(carry as u8), a, n);
}

/// `out = 2^exponent mod n` for an odd `n > 1`; `out` is as long as `n`. For constants such as R and R².
///
/// `exponent` is public and may be many times the length of n: only its first 64·k bits are doublings, beyond
/// those it is halved by Montgomery squarings. Constant-time in `n`, which may be a secret prime.
pub(crate) fn pow_of_two_mod(out: &mut [u64], exponent: usize, n: &[u64]) {
    let double = |a: &mut [u64]| {
        let carry = shl1_assign(a, 0);
        reduce_once(a, carry, n);
    };
    let width = 64 * n.len();
    out.fill(0);
    out[0] = 1;
    for _ in 0..exponent.min(width) {
        double(out);
    }
    // From here out = 2^j·R stands for 2^j, and j grows from 0 to exponent − width.
    let more = exponent.saturating_sub(width);
    let mut mont = Mont::new(n);
    for i in (0..usize::BITS - more.leading_zeros()).rev() {
        mont.square_assign(out);
        if more >> i & 1 == 1 {
            double(out);
        }
    }
}

/// `out = x mod n` for an `n > 0` as long as `out`, odd or even, and an `x` of any length.
///
/// Constant-time in both; takes one pass over `out` for each bit of `x`, so it is for set-up work.
pub(crate) fn reduce_wide(out: &mut [u64], x: &[u64], n: &[u64]) {
    out.fill(0);
    for limb in x.iter().rev() {
        for i in (0..64).rev() {
            let carry = shl1_assign(out, limb >> i & 1);
            reduce_once(out, carry, n);
        }
    }
}

/// `out = base^exponent mod n` for an odd `n > 1` and `base < n`, all three as long as `n`; constant-time.
///
/// The specification of RSADP and RSASP1 (RFC 8017 §5.1.2, §5.2.1) that kernels are compared with, in tests.
#[cfg(test)]
pub(crate) fn mod_pow(out: &mut [u64], base: &[u64], exponent: &[u64], n: &[u64]) {
    with_montgomery_form(out, base, n, |mont, a| mont.pow(a, exponent));
}

/// `out = base^exponent mod n` for an odd `n > 1` and `base < n`, both as long as `n`, and a public
/// `exponent ≥ 1`.
///
/// The specification of RSAEP and RSAVP1 (RFC 8017 §5.1.1, §5.2.2). Constant-time in `base` and `n`.
#[cfg(test)]
pub(crate) fn mod_pow_vartime(out: &mut [u64], base: &[u64], exponent: u64, n: &[u64]) {
    with_montgomery_form(out, base, n, |mont, a| mont.pow_vartime(a, exponent));
}

#[cfg(test)]
fn with_montgomery_form(
    out: &mut [u64],
    base: &[u64],
    n: &[u64],
    compute: impl FnOnce(&mut Mont<'_>, &mut [u64]),
) {
    let mut a = Zeroizing::new([0; MAX_LIMBS]);
    let a = &mut a[..n.len()];
    let mut mont = Mont::new(n);
    pow_of_two_mod(a, 2 * 64 * n.len(), n);
    mont.mul_assign(a, base);
    compute(&mut mont, a);
    mont.leave(out, a);
}

#[cfg(test)]
mod tests;

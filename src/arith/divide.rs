//! Division by a public number, word by word: constants for the keys of peers, where nothing is secret.

use super::limbs::{add_assign, mul_sub_limb};

/// `out = 2^exponent mod n`, for a public, odd n whose top bit is set; `out` is as long as `n`.
///
/// D. Knuth, "The Art of Computer Programming", volume 2, §4.3.1, algorithm D, with a dividend that is a
/// power of two: each step appends a limb of zeros and subtracts the multiple of n that the top two limbs
/// suggest. For R² that takes about k² products of limbs, where doubling bit by bit takes 128·k² additions of
/// limbs.
///
/// # Panics
/// If `exponent` is less than 64·(k − 1), for k limbs.
pub(crate) fn pow_of_two_mod_vartime(out: &mut [u64], exponent: usize, n: &[u64]) {
    let (last, top) = (n.len() - 1, n[n.len() - 1]);
    assert!(n[0] & 1 == 1 && top >> 63 == 1 && exponent >= 64 * last);
    let divisor = Divisor::new(top);
    out.fill(0);
    out[last] = 1 << (exponent % 64);
    for _ in last..exponent / 64 {
        // D3. The suggestion is the quotient, or 1 or 2 more.
        let (high, next) = (out[last], if last == 0 { 0 } else { out[last - 1] });
        let quotient = if high < top { divisor.divide(high, next) } else { u64::MAX };
        out.copy_within(..last, 1);
        out[0] = 0;
        // D4. Multiply and subtract; D6. Add back.
        let mut above = high.wrapping_sub(mul_sub_limb(out, n, quotient));
        while above != 0 {
            above = above.wrapping_add(add_assign(out, n));
        }
    }
}

/// A divisor of at least 2^63 with its reciprocal (N. Möller, T. Granlund, "Improved division by invariant
/// integers", IEEE Transactions on Computers 60, 2011): two products instead of a division.
struct Divisor {
    divisor: u64,
    reciprocal: u64,
}

impl Divisor {
    fn new(divisor: u64) -> Self {
        debug_assert!(divisor >> 63 == 1);
        // (1): ⌊(2^128 − 1)/d⌋ − 2^64.
        let dividend = u128::from(!divisor) << 64 | u128::from(u64::MAX);
        Self { divisor, reciprocal: (dividend / u128::from(divisor)) as u64 }
    }

    /// ⌊(high·2^64 + low)/divisor⌋ for high < divisor: algorithm 4.
    fn divide(&self, high: u64, low: u64) -> u64 {
        let dividend = u128::from(high) << 64 | u128::from(low);
        let estimate = u128::from(self.reciprocal) * u128::from(high) + dividend;
        let mut quotient = ((estimate >> 64) as u64).wrapping_add(1);
        let mut remainder = low.wrapping_sub(quotient.wrapping_mul(self.divisor));
        if remainder > estimate as u64 {
            quotient = quotient.wrapping_sub(1);
            remainder = remainder.wrapping_add(self.divisor);
        }
        if remainder >= self.divisor { quotient.wrapping_add(1) } else { quotient }
    }
}

#[cfg(test)]
mod tests;

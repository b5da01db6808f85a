//! p = 2^384 − 2^128 − 2^96 + 2^32 − 1, in eight digits; R = 2^416.
//!
//! −1/p is 2^32 + 1 modulo 2^52: the quotient digit q of a column t is t + t·2^32. One product with
//! accumulation gives s = t + (t·2^32 mod 2^52), of which q is the low digit. Then t + q·(2^32 − 1) is the
//! 2^52-fold of what s has above that digit plus what q·2^32 has there: this is what the column carries. The
//! negative parts of q·p, q·2^96 and q·2^128, are gathered apart, and subtracted once from each column.

use super::prime::{Modulus, digits, power};
use super::{RADIX, Words};
use crate::arch::prime::{P384, Prime};

pub(super) struct Reduction<W> {
    /// Powers of two, each from the column where it begins.
    two_32: W,
    two_96: W,
    two_128: W,
    two_384: W,
    /// What is to be subtracted from the columns up to this.
    negative: [W; 11],
}

/// A column is reduced by at most three words of 52 bits.
const LIFT: u64 = 4;
const MIDDLE: u64 = (LIFT << RADIX) - LIFT;

impl Modulus<8, 16> for P384 {
    const P: [u64; 8] = digits(<Self as Prime>::P);
    const SEEDS: [u64; 16] = {
        let mut seeds = [MIDDLE; 16];
        seeds[0] = 0;
        seeds[1] = LIFT << RADIX;
        // The last column takes back what the one before it was lent.
        seeds[15] = LIFT.wrapping_neg();
        seeds
    };
    const TOP_BITS: u32 = 20;
    type Reduction<W: Words> = Reduction<W>;

    #[inline(always)]
    fn start<W: Words>(token: W::Token) -> Reduction<W> {
        Reduction {
            two_32: W::splat(token, power(32, 0)),
            two_96: W::splat(token, power(96, 1)),
            two_128: W::splat(token, power(128, 2)),
            two_384: W::splat(token, power(384, 7)),
            negative: [W::splat(token, 0); 11],
        }
    }

    #[inline(always)]
    fn step<W: Words>(r: &mut Reduction<W>, t: &mut [W; 16], i: usize) {
        let n = &mut r.negative;
        let column = if i == 0 { t[0] } else { t[i].sub(n[i]) };
        let s = column.madd_lo(column, r.two_32);
        t[i + 1] = t[i + 1].madd_hi(s, r.two_32).add(s.shr(RADIX));
        n[i + 1] = n[i + 1].madd_lo(s, r.two_96);
        n[i + 2] = n[i + 2].madd_hi(s, r.two_96).madd_lo(s, r.two_128);
        n[i + 3] = n[i + 3].madd_hi(s, r.two_128);
        t[i + 7] = t[i + 7].madd_lo(s, r.two_384);
        t[i + 8] = t[i + 8].madd_hi(s, r.two_384);
    }

    #[inline(always)]
    fn end<W: Words>(r: Reduction<W>, t: &mut [W; 16]) {
        for (t, n) in t[8..].iter_mut().zip(&r.negative[8..]) {
            *t = t.sub(*n);
        }
    }

    /// k·(2^128 + 2^96 − 2^32 + 1).
    #[inline(always)]
    fn add_complement<W: Words>(x: &mut [W; 8], k: W) {
        x[0] = x[0].add(k).sub(k.shl(32));
        x[1] = x[1].add(k.shl(96 - 52));
        x[2] = x[2].add(k.shl(128 - 104));
    }
}

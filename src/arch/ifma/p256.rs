//! p = 2^256 − 2^224 + 2^192 + 2^96 − 1, in five digits; R = 2^260.
//!
//! p is −1 modulo 2^52, so the digit to be cancelled is itself the quotient digit q, and subtracting q from
//! its column leaves what the column carries. The rest of q·p is q·2^96, q·2^192 and q·(2^256 − 2^224): one
//! factor of 52 bits each.

use super::prime::{Modulus, digits, power};
use super::{RADIX, Words};
use crate::arch::prime::{P256, Prime};

pub(super) struct Reduction<W> {
    /// 2^96, 2^192 and 2^256 − 2^224, each from the column where it begins.
    in_1: W,
    in_3: W,
    in_4: W,
}

impl Modulus<5, 10> for P256 {
    const P: [u64; 5] = digits(<Self as Prime>::P);
    const SEEDS: [u64; 10] = [0; 10];
    const TOP_BITS: u32 = 48;
    type Reduction<W: Words> = Reduction<W>;

    #[inline(always)]
    fn start<W: Words>(token: W::Token) -> Reduction<W> {
        Reduction {
            in_1: W::splat(token, power(96, 1)),
            in_3: W::splat(token, power(192, 3)),
            in_4: W::splat(token, <Self as Modulus<5, 10>>::P[4]),
        }
    }

    #[inline(always)]
    fn step<W: Words>(r: &mut Reduction<W>, t: &mut [W; 10], i: usize) {
        let q = t[i];
        // The quotient digit that waits for this column comes first.
        t[i + 1] = t[i + 1].madd_lo(q, r.in_1).add(q.shr(RADIX));
        t[i + 2] = t[i + 2].madd_hi(q, r.in_1);
        t[i + 3] = t[i + 3].madd_lo(q, r.in_3);
        t[i + 4] = t[i + 4].madd_hi(q, r.in_3).madd_lo(q, r.in_4);
        t[i + 5] = t[i + 5].madd_hi(q, r.in_4);
    }

    /// k·(2^224 − 2^192 − 2^96 + 1).
    #[inline(always)]
    fn add_complement<W: Words>(x: &mut [W; 5], k: W) {
        x[0] = x[0].add(k);
        x[1] = x[1].sub(k.shl(96 - 52));
        x[3] = x[3].sub(k.shl(192 - 156));
        x[4] = x[4].add(k.shl(224 - 208));
    }
}

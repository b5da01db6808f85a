//! One multiple of the base point in several lanes: a batch that is not full costs less for it.
//!
//! k·G is a sum over windows, each with a table of its own, and it does not matter who adds what. With p
//! lanes for a scalar, each adds one of p windows, and log₂ p additions across the lanes make their parts
//! one.
//!
//! **Lanes and windows.** Scalar s of a batch has the lanes s, s + m, s + 2·m, …, for the [`spacing`] m. A
//! [`SplitTable`] holds as many windows side by side as there are lanes. In
//! pass j of m, lane l is served by window l + j (modulo the lanes) of such a group: every lane gets an entry
//! from a window of its own, and in m passes every scalar from each of the group's windows. So one table
//! serves any number of parts, by the same look-up that reads a lane's own table.
//!
//! **Exceptional sums.** As elsewhere, they make Z zero, and the result is none ([`group`](super::group)).
//! They do not occur, but with negligible probability:
//!
//! * All points that are added are those of numbers Σ dᵢ·2^(w·i), over distinct windows i and for odd digits
//!   dᵢ. P ± Q is at infinity if and only if such a number, with the digits of P and perhaps the opposite
//!   ones of Q, is a multiple of n. It is not zero, as its lowest digit is odd.
//! * Before the last addition the windows are a part of those of each group. No multiple of n has such
//!   digits, with gaps between them: a test looks for one. So these additions have no exceptions, whatever k
//!   is.
//! * In the last addition P + Q is ±k·G, never at infinity, and P − Q is there for at most one k for each
//!   multiple of n below 2^(w·windows): for less than 2^33 scalars of 2^256, or two of 2^384. For a secret k
//!   that is negligible; who chooses a public one gets no result, as with any other exceptional sum.

use super::Curve;
use super::group::{Group, Point};
use super::recode::{Digit, Odd};
use crate::arch::lookup::{SplitTable, spacing};
use crate::arch::prime::{Digits, PrimeLanes};

/// Bits of a window: a larger one saves no addition, a smaller one few loads.
pub(super) const WINDOW: usize = 6;

impl<const N: usize, C: Curve<N>, K: PrimeLanes<C>> Group<N, C, K> {
    /// k·G for 0 < k < n in several lanes each, with the result in all of them; constant-time.
    pub(super) fn multiply_split(
        &mut self,
        table: &SplitTable<K::Vec>,
        scalars: &[[u64; N]],
    ) -> Point<K::Reduced> {
        let passes = spacing(scalars.len());
        let mut scalars = Odd::<N, K::Vec>::new(scalars, C::ORDER);
        scalars.spread(passes);
        let mut sum: Option<Point<K::Reduced>> = None;
        for group in (0..table.groups().len()).rev() {
            for pass in (0..passes).rev() {
                let multiple = self.look_up_split(table, &scalars, group, pass);
                match &mut sum {
                    None => sum = Some([multiple[0], multiple[1], self.one]),
                    Some(sum) => self.add_affine(sum, &multiple),
                }
            }
        }
        let mut sum = sum.expect("there is a window");
        self.add_parts(&mut sum, passes);
        self.kernel.negate_if(&mut sum[1], scalars.negate());
        sum
    }

    /// What each lane adds in a pass over a group.
    fn look_up_split(
        &self,
        table: &SplitTable<K::Vec>,
        scalars: &Odd<N, K::Vec>,
        group: usize,
        pass: usize,
    ) -> [K::Reduced; 2] {
        let table = table.groups();
        // The lane of the table: it is read for the one that is `pass` lanes before it.
        let at = |lane: usize| ((lane + K::LANES - pass) % K::LANES, group * K::LANES + lane);
        let Digit { index, negative } = scalars.digit_of_each(at, WINDOW, table.len() * K::LANES);
        let mut found = [K::Reduced::default(); 2];
        let digits = Digits::all_digits_mut(&mut found);
        self.kernel.select_own(digits, &table[group], digits.len(), 0, &index);
        self.kernel.negate_if(&mut found[1], &negative);
        match pass {
            0 => found,
            _ => found.map(|coordinate| coordinate.rotated(pass)),
        }
    }

    /// Adds the points in the lanes of each scalar, so far apart; all of these have the sum then.
    pub(super) fn add_parts(&mut self, sum: &mut Point<K::Reduced>, spacing: usize) {
        let mut distance = K::LANES / 2;
        while distance >= spacing {
            let other = self.cached(&sum.map(|coordinate| coordinate.rotated(distance)));
            self.add(sum, &other);
            distance /= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::prime::{P256, P384};
    use crate::arith::testing::big;
    use num_bigint::BigInt;

    /// The places in a group of windows that have been added in one lane, before and after each addition
    /// across lanes but the last: a bit for each.
    fn places(lanes: usize) -> Vec<u32> {
        let mut all = Vec::new();
        for passes in (0..).map(|i| 1 << i).take_while(|passes| *passes < lanes) {
            for lane in 0..lanes {
                let mut of_lane = (0..passes).fold(0, |places, pass| places | 1 << ((lane + pass) % lanes));
                let mut distance = lanes / 2;
                while distance >= passes {
                    all.push(of_lane);
                    of_lane |= (of_lane << distance | of_lane >> (lanes - distance)) & ((1 << lanes) - 1);
                    distance /= 2;
                }
                assert_eq!(of_lane, (1 << lanes) - 1);
            }
        }
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Sums of digits in some places of each group of windows; of the lowest group, perhaps not all of them
    /// yet.
    #[derive(Clone, Copy)]
    struct Sums {
        lanes: usize,
        places: u32,
        windows: usize,
    }

    impl Sums {
        fn has(&self, i: usize) -> bool {
            self.places >> (i % self.lanes) & 1 == 1
        }

        /// Whether x is such a sum over the windows from `i` on.
        fn contain(&self, x: &BigInt, i: usize) -> bool {
            if i == self.windows {
                return *x == BigInt::ZERO;
            }
            let low: i64 = (0..6).map(|i| i64::from(x.bit(i)) << i).sum();
            let digits = match (self.has(i), x.bit(0)) {
                // Two odd digits are possible, as the next one may borrow.
                (true, true) => vec![low, low - 64],
                (true, false) if i >= self.lanes => return false,
                _ if low != 0 => return false,
                _ => vec![low],
            };
            digits.iter().any(|digit| self.contain(&((x - *digit) >> WINDOW), i + 1))
        }

        /// Calls `found` for all m below 2^33 in absolute value for which the lowest eight digits may be
        /// those of m·n: what they are determines m modulo 2^48. `digit` is 1/n modulo 2^64 times the value
        /// of window i.
        fn multipliers(&self, m: u64, i: usize, digit: u64, found: &mut impl FnMut(i64)) {
            if i == 8 {
                let m = (m << 16) as i64 >> 16;
                if m != 0 && m.unsigned_abs() < 1 << 33 {
                    found(m);
                }
                return;
            }
            let next = digit << WINDOW;
            if !self.has(i) || i < self.lanes {
                self.multipliers(m, i + 1, next, found);
            }
            if self.has(i) {
                let odd = (1..64).step_by(2).flat_map(|d: u64| [d, d.wrapping_neg()]);
                odd.for_each(|d| self.multipliers(m.wrapping_add(digit.wrapping_mul(d)), i + 1, next, found));
            }
        }
    }

    #[test]
    fn sums_are_found() {
        let sums = Sums { lanes: 4, places: 0b0101, windows: 8 };
        let value = |digits: [i64; 8]| digits.iter().rev().fold(BigInt::ZERO, |x, d| (x << WINDOW) + *d);
        for digits in [[63, 0, -1, 0, 1, 0, 1, 0], [0, 0, 5, 0, -63, 0, 61, 0], [0, 0, 0, 0, 7, 0, -9, 0]] {
            assert!(sums.contain(&value(digits), 0));
        }
        for digits in [[1, 1, 1, 0, 1, 0, 1, 0], [1, 0, 1, 0, 0, 0, 1, 0], [2, 0, 1, 0, 1, 0, 1, 0]] {
            assert!(!sums.contain(&value(digits), 0));
        }
        // 1/3 in place of 1/n: m = 5 · 64^2 + 1 is found by the digits 3 and 15.
        let (third, mut found) = (0xaaaa_aaaa_aaaa_aaab, false);
        let sums = Sums { lanes: 8, ..sums };
        sums.multipliers(0, 0, third, &mut |m| found |= m == 5 << 12 | 1);
        assert!(found);
    }

    fn windows<const N: usize>(lanes: usize) -> usize {
        (64 * N).div_ceil(WINDOW).next_multiple_of(lanes)
    }

    #[test]
    fn no_multiple_of_the_order_has_gaps() {
        let n = BigInt::from(big(P256::ORDER.limbs()));
        for (lanes, bits) in [(4, 264), (8, 288)] {
            let windows = windows::<4>(lanes);
            assert_eq!(WINDOW * windows, bits);
            for places in places(lanes) {
                let sums = Sums { lanes, places, windows };
                let mut check = |m: i64| assert!(!sums.contain(&(&n * m), 0), "{m} {places:b}");
                match lanes {
                    // n is above 2^255.
                    4 => (1..1 << 9).flat_map(|m| [m, -m]).for_each(check),
                    _ => {
                        let n0 = P256::ORDER.limbs()[0];
                        let inverse =
                            (0..6).fold(n0, |x, _| x.wrapping_mul(2u64.wrapping_sub(n0.wrapping_mul(x))));
                        sums.multipliers(0, 0, inverse, &mut check);
                    }
                }
            }
        }
        // The only multiples of 384 bits are ±n.
        let n = BigInt::from(big(P384::ORDER.limbs()));
        for lanes in [4, 8] {
            let windows = windows::<6>(lanes);
            assert_eq!(WINDOW * windows, 384);
            for places in places(lanes) {
                let sums = Sums { lanes, places, windows };
                assert!(!sums.contain(&n, 0) && !sums.contain(&-&n, 0));
            }
        }
    }
}

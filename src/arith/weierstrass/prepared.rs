//! Verification with a public key that has a table of its own, like the base point's: u₁·G + u₂·Q without a doubling.
//!
//! Scalars and points of a verification are public, so entries are read where they are, each lane in the table of its key.

use super::Curve;
use super::fixed;
use super::group::{Affine, Lanes, Point};
use super::recode::{Digit, Odd};
use super::variable::Scalars;
use crate::arch::lookup::parts;
use crate::arch::prime::{Digits, PrimeLanes};
use std::marker::PhantomData;

/// The odd multiples of 2^(w·i)·Q for each window i, in the digits of one tier. About 230 KiB for P-256, 300 KiB for P-384.
pub(crate) struct PublicTable<C, K> {
    /// Both coordinates of an entry side by side; entries of a window, and windows, one after the other.
    words: Box<[u64]>,
    owner: PhantomData<fn(C, K)>,
}

impl<C, K> PublicTable<C, K> {
    /// Takes one to two milliseconds.
    pub(crate) fn new<const N: usize>(lanes: &mut Lanes<N, C, K>, q: &Affine<N>) -> Self
    where
        C: Curve<N>,
        K: PrimeLanes<C>,
    {
        let words = fixed::windows(lanes, q, C::FIXED_WINDOW).into_iter().flatten().flatten();
        Self { words: words.collect(), owner: PhantomData }
    }
}

impl<const N: usize, C: Curve<N>, K: PrimeLanes<C>> Lanes<N, C, K> {
    /// The verdicts, in order, as [`Lanes::check`] gives them; `tables` are those of the checks' keys.
    pub(crate) fn check_prepared(
        &mut self,
        checks: &[Scalars<N>],
        tables: &[&PublicTable<C, K>],
    ) -> Vec<Option<bool>> {
        assert!(checks.len() == tables.len() && checks.len() <= K::LANES);
        self.kernel.assert_environment();
        // A batch that leaves lanes empty has several for each check, which share its windows.
        let parts = parts(K::LANES, checks.len());
        let stride = K::LANES / parts;
        let windows = Odd::<N, K::Vec>::digits(C::FIXED_WINDOW).next_multiple_of(parts);
        let (u1, u2): (Vec<_>, Vec<_>) = checks.iter().map(|c| (c.u1, c.u2)).unzip();
        let [u1, u2] = [u1, u2].map(|scalars| {
            let mut odd = Odd::<N, K::Vec>::new(&scalars, C::ORDER);
            odd.spread(stride);
            odd
        });
        let entry_len = 2 * self.one.digits().len();
        let base = self.table.clone();
        let entry_of_g = |_, window: usize, index, i| base.windows[window].word_vartime(index, i);
        let entry_of_q = |lane: usize, window: usize, index, i| match tables.get(lane % stride) {
            Some(table) => table.words[((window << (C::FIXED_WINDOW - 1)) + index) * entry_len + i],
            None => 0,
        };
        let mut sum: Option<Point<K::Reduced>> = None;
        for first in (0..windows).step_by(parts) {
            let window = |lane: usize| first + lane / stride;
            let of_g = self.addends(&u1, windows, window, entry_of_g);
            let of_q = self.addends(&u2, windows, window, entry_of_q);
            for addend in [of_g, of_q] {
                match &mut sum {
                    None => sum = Some([addend[0], addend[1], self.one]),
                    Some(sum) => self.add_affine(sum, &addend),
                }
            }
        }
        let mut sum = sum.expect("there is a first window");
        self.add_parts(&mut sum, parts);
        let lanes = checks.iter().enumerate();
        lanes.map(|(lane, check)| self.has_x(&sum, lane, &check.r)).collect()
    }

    /// One addend in each lane, from its `window` of so many: `word` gives the words of the entry at an index of the lane's
    /// table.
    fn addends(
        &self,
        scalars: &Odd<N, K::Vec>,
        windows: usize,
        window: impl Fn(usize) -> usize,
        word: impl Fn(usize, usize, usize, usize) -> u64,
    ) -> [K::Reduced; 2] {
        let at = |lane| (lane, window(lane));
        let Digit { index, mut negative } = scalars.digit_of_each(at, C::FIXED_WINDOW, windows);
        let mut both = [K::Reduced::default(); 2];
        for (i, digit) in Digits::all_digits_mut(&mut both).iter_mut().enumerate() {
            let words = digit.as_mut().iter_mut().zip(index.as_ref()).enumerate();
            words.for_each(|(lane, (out, index))| *out = word(lane, window(lane), *index as usize, i));
        }
        let signs = negative.as_mut().iter_mut().zip(scalars.negate().as_ref());
        signs.for_each(|(sign, negate)| *sign ^= negate);
        self.kernel.negate_if(&mut both[1], &negative);
        both
    }
}

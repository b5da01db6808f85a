//! Verification with a public key that has a table of its own, like the base point's: u₁·G + u₂·Q without a
//! doubling.
//!
//! Scalars and points of a verification are public, so entries are read where they are, each lane in the
//! table of its key.

use super::Curve;
use super::fixed;
use super::group::{Affine, Group, Point};
use super::lanes::{Lanes, Scalars};
use super::recode::{Digit, Odd};
use crate::arch::lookup::spacing;
use crate::arch::prime::{Digits, PrimeLanes};
use std::marker::PhantomData;

/// Bits of a window of a small table.
const SMALL_WINDOW: usize = 4;

/// The odd multiples of 2^(w·i)·Q for each window i, in the digits of one tier.
pub(crate) struct PublicTable<C, K> {
    /// w.
    window: usize,
    /// Both coordinates of an entry side by side; entries of a window, and windows, one after the other.
    words: Box<[u64]>,
    owner: PhantomData<fn(C, K)>,
}

impl<C, K> PublicTable<C, K> {
    /// About 50 KiB for P-256, 100 KiB for P-384; takes a quarter of the time of a large one.
    pub(crate) fn small<const N: usize>(lanes: &mut Lanes<N, C, K>, q: &Affine<N>) -> Self
    where
        C: Curve<N>,
        K: PrimeLanes<C>,
    {
        Self::new(lanes, q, SMALL_WINDOW)
    }

    /// About 250 KiB for either curve; takes one to two milliseconds.
    pub(crate) fn large<const N: usize>(lanes: &mut Lanes<N, C, K>, q: &Affine<N>) -> Self
    where
        C: Curve<N>,
        K: PrimeLanes<C>,
    {
        Self::new(lanes, q, C::FIXED_WINDOW)
    }

    fn new<const N: usize>(lanes: &mut Lanes<N, C, K>, q: &Affine<N>, window: usize) -> Self
    where
        C: Curve<N>,
        K: PrimeLanes<C>,
    {
        let words = fixed::windows(&mut lanes.group, q, window).into_iter().flatten().flatten();
        Self { window, words: words.collect(), owner: PhantomData }
    }

    /// Whether it is one of the large ones.
    pub(crate) fn is_large(&self) -> bool {
        self.window > SMALL_WINDOW
    }

    /// The memory that it takes.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.words)
    }
}

impl<const N: usize, C: Curve<N>, K: PrimeLanes<C>> Lanes<N, C, K> {
    /// The verdicts, in order, as [`Lanes::check`] gives them; `tables` are those of the checks' keys, all of
    /// one size.
    pub(crate) fn check_prepared(
        &mut self,
        checks: &[Scalars<N>],
        tables: &[&PublicTable<C, K>],
    ) -> Vec<Option<bool>> {
        assert!(checks.len() == tables.len() && checks.len() <= K::LANES);
        self.group.kernel.assert_environment();
        let window = tables.first().map_or(C::FIXED_WINDOW, |table| table.window);
        assert!(tables.iter().all(|table| table.window == window));
        // A batch that leaves lanes empty has several for each check, which share its windows.
        let spacing = spacing(checks.len());
        let (u1, u2): (Vec<_>, Vec<_>) = checks.iter().map(|c| (c.u1, c.u2)).unzip();
        let entry_len = 2 * self.group.one.digits().len();
        let base = self.table;
        let of_g = |_, i: usize, index, digit| base.windows[i].word_vartime(index, digit);
        let of_q = |lane: usize, i: usize, index, digit| match tables.get(lane) {
            Some(table) => table.words[((i << (window - 1)) + index) * entry_len + digit],
            None => 0,
        };
        let mut sum = None;
        self.group.add_multiples_vartime(&mut sum, &u1, (spacing, C::FIXED_WINDOW), of_g);
        self.group.add_multiples_vartime(&mut sum, &u2, (spacing, window), of_q);
        let mut sum = sum.expect("there is a first window");
        self.group.add_parts(&mut sum, spacing);
        let lanes = checks.iter().enumerate();
        lanes.map(|(lane, check)| self.has_x(&sum, lane, &check.r)).collect()
    }
}

impl<const N: usize, C: Curve<N>, K: PrimeLanes<C>> Group<N, C, K> {
    /// Adds what the windows of a table give for the scalars, in lanes so far apart. `word` gives the words
    /// of a window's entry at an index, for one of the scalars.
    fn add_multiples_vartime(
        &mut self,
        sum: &mut Option<Point<K::Reduced>>,
        scalars: &[[u64; N]],
        (spacing, bits): (usize, usize),
        word: impl Fn(usize, usize, usize, usize) -> u64,
    ) {
        let mut odd = Odd::<N, K::Vec>::new(scalars, C::ORDER);
        odd.spread(spacing);
        let windows = match Odd::<N, K::Vec>::digits(bits) {
            windows if spacing == K::LANES => windows,
            windows => windows.next_multiple_of(K::LANES),
        };
        let shift = spacing.trailing_zeros();
        let parts = K::LANES >> shift;
        let mut first = 0;
        while first < windows {
            let window = |lane: usize| first + (lane >> shift);
            let digit = odd.digit_of_each(|lane| (lane, window(lane)), bits, windows);
            let word = |lane: usize, index, digit| word(lane & (spacing - 1), window(lane), index, digit);
            let addend = self.addend(digit, odd.negate(), word);
            match sum {
                None => *sum = Some([addend[0], addend[1], self.one]),
                Some(sum) => self.add_affine(sum, &addend),
            }
            first += parts;
        }
    }

    /// What each lane adds, with the signs of the digit and of the scalar.
    fn addend(
        &self,
        digit: Digit<K::Vec>,
        negate: &K::Vec,
        word: impl Fn(usize, usize, usize) -> u64,
    ) -> [K::Reduced; 2] {
        let Digit { index, mut negative } = digit;
        let mut both = [K::Reduced::default(); 2];
        for (i, digit) in Digits::all_digits_mut(&mut both).iter_mut().enumerate() {
            let words = digit.as_mut().iter_mut().zip(index.as_ref()).enumerate();
            words.for_each(|(lane, (out, index))| *out = word(lane, *index as usize, i));
        }
        let signs = negative.as_mut().iter_mut().zip(negate.as_ref());
        signs.for_each(|(sign, negate)| *sign ^= negate);
        self.kernel.negate_if(&mut both[1], &negative);
        both
    }
}

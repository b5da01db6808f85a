//! Verification with a public key that has a table of its own, like the base point's: u₁·G + u₂·Q without a doubling.
//!
//! Scalars and points of a verification are public, so entries are read where they are, each lane in the table of its key.

use super::Curve;
use super::fixed;
use super::group::{Affine, Lanes, Point};
use super::recode::{Digit, Odd};
use super::variable::Scalars;
use crate::arch::prime::{Digits, PrimeLanes};
use std::marker::PhantomData;

/// The odd multiples of 2^(w·i)·Q for each window i, in the digits of one tier. About 230 KiB for P-256, 300 KiB for P-384.
pub(crate) struct PublicTable<C, K> {
    /// Both coordinates of an entry side by side; entries of a window, and windows, one after the other.
    words: Box<[u64]>,
    owner: PhantomData<fn(C, K)>,
}

impl<C, K> PublicTable<C, K> {
    /// Takes about a millisecond.
    pub(crate) fn new<const N: usize>(lanes: &mut Lanes<N, C, K>, q: &Affine<N>) -> Self
    where
        C: Curve<N>,
        K: PrimeLanes<C>,
    {
        let words = fixed::windows(lanes, q).into_iter().flatten().flatten();
        Self { words: words.collect(), owner: PhantomData }
    }
}

/// The most digits that an element has.
const MAX_DIGITS: usize = 8;

/// What one lane adds for one window: digits of both coordinates, to be negated or not.
type Addend = ([u64; 2 * MAX_DIGITS], u64);

impl<const N: usize, C: Curve<N>, K: PrimeLanes<C>> Lanes<N, C, K> {
    /// The verdicts, in order, as [`Lanes::check`] gives them; `tables` are those of the checks' keys.
    pub(crate) fn check_prepared(
        &mut self,
        checks: &[Scalars<N>],
        tables: &[&PublicTable<C, K>],
    ) -> Vec<Option<bool>> {
        assert!(checks.len() == tables.len() && checks.len() <= K::LANES);
        self.kernel.assert_environment();
        let odd = |scalar: &[u64; N]| Odd::new(scalar, C::ORDER);
        let u1: Vec<_> = checks.iter().map(|c| odd(&c.u1)).collect();
        let u2: Vec<_> = checks.iter().map(|c| odd(&c.u2)).collect();
        let mut sum: Option<Point<K::Reduced>> = None;
        for window in 0..Odd::<N>::digits(C::FIXED_WINDOW) {
            let of_g = self.addends(u1.iter().map(|scalar| self.of_base(scalar, window)));
            let of_q = self.addends(u2.iter().zip(tables).map(|(scalar, t)| self.of_key(scalar, t, window)));
            for addend in [of_g, of_q] {
                match &mut sum {
                    None => sum = Some([addend[0], addend[1], self.one]),
                    Some(sum) => self.add_affine(sum, &addend),
                }
            }
        }
        let sum = sum.expect("there is a first window");
        let lanes = checks.iter().enumerate();
        lanes.map(|(lane, check)| self.has_x(&sum, lane, &check.r)).collect()
    }

    fn of_base(&self, scalar: &Odd<N>, window: usize) -> Addend {
        let Digit { index, negative } = scalar.digit(window, C::FIXED_WINDOW);
        let table = &self.table.0[window];
        let count = 2 * K::Reduced::default().digits().len();
        let word = |i| if i < count { table.word_vartime(index as usize, i) } else { 0 };
        (std::array::from_fn(word), negative ^ scalar.negate)
    }

    fn of_key(&self, scalar: &Odd<N>, table: &PublicTable<C, K>, window: usize) -> Addend {
        let Digit { index, negative } = scalar.digit(window, C::FIXED_WINDOW);
        let count = 2 * K::Reduced::default().digits().len();
        let start = ((window << (C::FIXED_WINDOW - 1)) + index as usize) * count;
        let mut words = [0; 2 * MAX_DIGITS];
        words[..count].copy_from_slice(&table.words[start..start + count]);
        (words, negative ^ scalar.negate)
    }

    /// One addend in each of the first lanes.
    fn addends(&self, each: impl Iterator<Item = Addend>) -> [K::Reduced; 2] {
        let mut both = [K::Reduced::default(); 2];
        let mut negative = K::Vec::default();
        let [x, y] = &mut both;
        for (lane, (words, sign)) in each.enumerate() {
            let digits = x.digits_mut().iter_mut().chain(y.digits_mut());
            digits.zip(words).for_each(|(digit, word)| digit.as_mut()[lane] = word);
            negative.as_mut()[lane] = sign;
        }
        self.kernel.negate_if(&mut both[1], &negative);
        both
    }
}

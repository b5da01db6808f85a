//! Multiples of any point.

use super::Curve;
use super::group::{Affine, Cached, Group, Point};
use super::recode::{Digit, Odd};
use crate::arch::Secret;
use crate::arch::prime::{Digits, PrimeLanes};

/// Bits of a window: 16 odd multiples. Of 4 bits, the additions saved in the table are fewer than those
/// added.
const WINDOW: usize = 5;

impl<const N: usize, C: Curve<N>, K: PrimeLanes<C>> Group<N, C, K> {
    /// k·Q in each of the first lanes.
    pub(super) fn multiply(&mut self, scalars: &[[u64; N]], points: &[Affine<N>]) -> Point<K::Reduced> {
        assert!(scalars.len() == points.len() && points.len() <= K::LANES);
        let scalars = Odd::<N, K::Vec>::new(scalars, C::ORDER);
        let table = self.odd_multiples(points);
        let digits = Odd::<N, K::Vec>::digits(WINDOW);
        let mut multiple = [K::Reduced::default(); 5];
        self.look_up_own(&mut multiple, &table, &scalars, digits - 1);
        let mut point = [multiple[0], multiple[1], multiple[2]];
        for digit in (0..digits - 1).rev() {
            (0..WINDOW).for_each(|_| self.double(&mut point));
            self.look_up_own(&mut multiple, &table, &scalars, digit);
            self.add(&mut point, &multiple);
        }
        self.kernel.negate_if(&mut point[1], scalars.negate());
        point
    }

    /// Q, 3·Q, 5·Q, …: five elements each, as vectors.
    pub(super) fn odd_multiples(&mut self, points: &[Affine<N>]) -> Secret<K::Vec> {
        let [x, y] = self.load(points.iter());
        let mut point = [x, y, self.one];
        let mut double = point;
        self.double(&mut double);
        let double = self.cached(&double);
        let digits = x.digits().len();
        let mut table = Secret::zeroed((5 * digits) << (WINDOW - 1));
        for (i, entry) in table.expose_mut().chunks_exact_mut(5 * digits).enumerate() {
            if i > 0 {
                self.add(&mut point, &double);
            }
            for (out, element) in entry.chunks_exact_mut(digits).zip(self.cached(&point)) {
                out.copy_from_slice(element.digits());
            }
        }
        table
    }

    /// The point that a digit of each scalar names: `found` ← X, Y, Z, Z², Z³.
    pub(super) fn look_up_own(
        &self,
        found: &mut Cached<K::Reduced>,
        table: &Secret<K::Vec>,
        scalars: &Odd<N, K::Vec>,
        window: usize,
    ) {
        let Digit { index, negative } = scalars.digit(window, WINDOW);
        let digits = Digits::all_digits_mut(found);
        self.kernel.select_own(digits, table.expose(), digits.len(), 0, &index);
        self.kernel.negate_if(&mut found[1], &negative);
    }
}

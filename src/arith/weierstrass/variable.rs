//! Multiples of any point, and what ECDSA and ECDH want of the curve.

use super::Curve;
use super::group::{Affine, Cached, Lanes, MAX_LANES, Point};
use super::recode::{Digit, Odd};
use crate::arch::prime::{Digits, PrimeLanes};
use crate::arch::{Secret, disclose};
use crate::arith::modular::Modulus;
use subtle::Choice;
use zeroize::Zeroizing;

/// Bits of a window: 16 odd multiples. Of 4 bits, the additions saved in the table are fewer than those added.
const WINDOW: usize = 5;

/// The points that a batch of multiplications gave, one for each request, and whether each is one: a lane that met an
/// exceptional sum, or whose computation went wrong, has no valid result.
pub(crate) struct Multiples<const N: usize> {
    points: Zeroizing<[Affine<N>; MAX_LANES]>,
    valid: [Choice; MAX_LANES],
    count: usize,
}

impl<const N: usize> Multiples<N> {
    /// The results in the order of the requests; `None` where there is no valid one.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Option<&Affine<N>>> {
        let pairs = self.points[..self.count].iter().zip(self.valid);
        pairs.map(|(point, valid)| disclose(valid).then_some(point))
    }
}

/// One verification: whether the point u₁·G + u₂·Q has an x-coordinate congruent to r modulo n. 0 < u₁, u₂ < n.
#[derive(Clone, Copy)]
pub(crate) struct Scalars<const N: usize> {
    pub(crate) u1: [u64; N],
    pub(crate) u2: [u64; N],
    pub(crate) r: [u64; N],
}

impl<const N: usize, C: Curve<N>, K: PrimeLanes<C>> Lanes<N, C, K> {
    /// k·G for each k, 0 < k < n; constant-time. `None` for the few k whose last digit makes an exceptional sum, such as 102
    /// on P-384.
    pub(crate) fn base_multiples(&mut self, scalars: &[[u64; N]]) -> Multiples<N> {
        self.kernel.assert_environment();
        let point = Zeroizing::new(self.multiply_base(scalars));
        self.results(&point, scalars.len(), true)
    }

    /// The same, but only x: y is zero in the results.
    pub(crate) fn base_multiples_x(&mut self, scalars: &[[u64; N]]) -> Multiples<N> {
        self.kernel.assert_environment();
        let point = Zeroizing::new(self.multiply_base(scalars));
        self.results(&point, scalars.len(), false)
    }

    /// x of k·Q for each pair, 0 < k < n and Q on the curve; y is zero in the results. Constant-time. `None` for the few k
    /// whose last digit makes an exceptional sum, such as 38 on P-384.
    pub(crate) fn multiples_x(&mut self, scalars: &[[u64; N]], points: &[Affine<N>]) -> Multiples<N> {
        self.kernel.assert_environment();
        let point = Zeroizing::new(self.multiply(scalars, points));
        self.results(&point, scalars.len(), false)
    }

    fn results(&mut self, point: &Point<K::Reduced>, count: usize, with_y: bool) -> Multiples<N> {
        Multiples { valid: self.is_valid(point, count), points: self.affine(point, count, with_y), count }
    }

    /// Wipes what the last operation left.
    pub(crate) fn wipe(&mut self) {
        self.work.wipe();
    }

    /// The verdicts, in order; `None` for a check that met an exceptional sum. The Q are on the curve.
    pub(crate) fn check(&mut self, checks: &[Scalars<N>], q: &[Affine<N>]) -> Vec<Option<bool>> {
        self.kernel.assert_environment();
        let (u1, u2): (Vec<_>, Vec<_>) = checks.iter().map(|c| (c.u1, c.u2)).unzip();
        let first = self.multiply_base(&u1);
        let mut sum = self.multiply(&u2, q);
        let first = self.cached(&first);
        self.add(&mut sum, &first);
        let lanes = checks.iter().enumerate();
        lanes.map(|(lane, check)| self.has_x(&sum, lane, &check.r)).collect()
    }

    /// Whether x = X/Z² is r modulo n. Since r < n and x < p < 2n, x is r or r + n.
    pub(super) fn has_x(&self, point: &Point<K::Reduced>, lane: usize, r: &[u64; N]) -> Option<bool> {
        let field: &Modulus<N> = C::FIELD;
        let [x, z] = [0, 2].map(|i| self.get(&point[i], lane));
        if z == [0; N] {
            return None;
        }
        let zz = field.mul(&z, &z);
        let is = |candidate: &[u64; N]| field.mul(&field.enter(candidate), &zz) == x;
        let (mut other, mut carry) = (*r, 0);
        for (limb, n) in other.iter_mut().zip(C::ORDER.limbs()) {
            (*limb, carry) = crate::arith::limbs::adc(*limb, *n, carry);
        }
        let fits = carry == 0 && field.reduced(&other) == other;
        Some(is(r) || fits && is(&other))
    }

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

//! What ECDSA and ECDH want of the curve, in batches.

use super::Curve;
use super::fixed::{self, FixedTable, Kernel};
use super::group::{Affine, Group, MAX_LANES, Point};
use crate::arch::disclose;
use crate::arch::prime::PrimeLanes;
use crate::arith::modular::Modulus;
use subtle::Choice;
use zeroize::Zeroizing;

/// The points that a batch of multiplications gave, one for each request, and whether each is one: a lane
/// that met an exceptional sum, or whose computation went wrong, has no valid result.
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

/// One verification: whether the point u₁·G + u₂·Q has an x-coordinate congruent to r modulo n. 0 < u₁, u₂ <
/// n.
#[derive(Clone, Copy)]
pub(crate) struct Scalars<const N: usize> {
    pub(crate) u1: [u64; N],
    pub(crate) u2: [u64; N],
    pub(crate) r: [u64; N],
}

/// The multiplications of one curve in the lanes of one tier; the numbers are wiped when it is dropped.
pub(crate) struct Lanes<const N: usize, C: Curve<N>, K: PrimeLanes<C>> {
    pub(super) group: Group<N, C, K>,
    pub(super) table: &'static FixedTable<C, K::Vec>,
}

impl<const N: usize, C: Curve<N>, K: PrimeLanes<C>> Lanes<N, C, K> {
    /// For this kernel. The first one of a curve and a tier computes the tables of the base point, which
    /// takes about a millisecond.
    pub(crate) fn new(kernel: K) -> Self
    where
        K: Kernel<C>,
    {
        let mut group = Group::new(kernel);
        Self { table: fixed::table(&mut group), group }
    }

    /// k·G for each k, 0 < k < n; constant-time. `None` for the few k whose last digit makes an exceptional
    /// sum, such as 102 on P-384.
    pub(crate) fn base_multiples(&mut self, scalars: &[[u64; N]]) -> Multiples<N> {
        self.group.kernel.assert_environment();
        let point = Zeroizing::new(self.multiply_base(scalars));
        self.results(&point, scalars.len(), true)
    }

    /// The same, but only x: y is zero in the results.
    pub(crate) fn base_multiples_x(&mut self, scalars: &[[u64; N]]) -> Multiples<N> {
        self.group.kernel.assert_environment();
        let point = Zeroizing::new(self.multiply_base(scalars));
        self.results(&point, scalars.len(), false)
    }

    /// x of k·Q for each pair, 0 < k < n and Q on the curve; y is zero in the results. Constant-time. `None`
    /// for the few k whose last digit makes an exceptional sum, such as 38 on P-384.
    pub(crate) fn multiples_x(&mut self, scalars: &[[u64; N]], points: &[Affine<N>]) -> Multiples<N> {
        self.group.kernel.assert_environment();
        let point = Zeroizing::new(self.group.multiply(scalars, points));
        self.results(&point, scalars.len(), false)
    }

    fn results(&mut self, point: &Point<K::Reduced>, count: usize, with_y: bool) -> Multiples<N> {
        let valid = self.group.is_valid(point, count);
        Multiples { valid, points: self.group.affine(point, count, with_y), count }
    }

    /// Wipes what the last operation left.
    pub(crate) fn wipe(&mut self) {
        self.group.wipe();
    }

    #[cfg(test)]
    pub(crate) fn is_wiped(&self) -> bool {
        self.group.is_wiped()
    }

    /// The verdicts, in order; `None` for a check that met an exceptional sum. The Q are on the curve.
    pub(crate) fn check(&mut self, checks: &[Scalars<N>], q: &[Affine<N>]) -> Vec<Option<bool>> {
        self.group.kernel.assert_environment();
        let (u1, u2): (Vec<_>, Vec<_>) = checks.iter().map(|c| (c.u1, c.u2)).unzip();
        let first = self.multiply_base(&u1);
        let mut sum = self.group.multiply(&u2, q);
        let first = self.group.cached(&first);
        self.group.add(&mut sum, &first);
        let lanes = checks.iter().enumerate();
        lanes.map(|(lane, check)| self.has_x(&sum, lane, &check.r)).collect()
    }

    /// Whether x = X/Z² is r modulo n. Since r < n and x < p < 2n, x is r or r + n.
    pub(super) fn has_x(&self, point: &Point<K::Reduced>, lane: usize, r: &[u64; N]) -> Option<bool> {
        let field: &Modulus<N> = C::FIELD;
        let [x, z] = [0, 2].map(|i| self.group.get(&point[i], lane));
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

    /// k·G in each of the first lanes, for 0 < k < n; constant-time.
    pub(super) fn multiply_base(&mut self, scalars: &[[u64; N]]) -> Point<K::Reduced> {
        self.table.multiply(&mut self.group, scalars)
    }
}

impl<const N: usize, C: Curve<N>, K: PrimeLanes<C>> std::fmt::Debug for Lanes<N, C, K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lanes({:?})", self.group.kernel)
    }
}

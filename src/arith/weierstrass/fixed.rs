//! Multiples of the base point, from a table.
//!
//! Every window of a scalar has a table of its own, of the odd multiples of 2^(w·i)·G, so that nothing is
//! doubled. All lanes share the tables. A batch that leaves lanes empty computes one multiple in several of
//! them: see [`split`].

use super::Curve;
use super::group::{Affine, Group, Point};
use super::recode::{Digit, Odd};
use super::split;
use crate::arch::lanes::LaneVec;
use crate::arch::lookup::{SharedTable, SplitTable, spacing};
use crate::arch::prime::{Digits, P256, P384, Prime, PrimeLanes};
use crate::arith::home::{Home, homes};
use std::marker::PhantomData;

/// What a curve's multiples are computed with: a tier's kernels, and a place for the tables of the base
/// point.
pub(crate) trait Kernel<C: Prime>:
    PrimeLanes<C> + Home<FixedTable<C, <Self as PrimeLanes<C>>::Vec>>
{
}

impl<C: Prime, K: PrimeLanes<C> + Home<FixedTable<C, <K as PrimeLanes<C>>::Vec>>> Kernel<C> for K {}

homes!(V => FixedTable<P256, V>);
homes!(V => FixedTable<P384, V>);

/// The tables of the base point of a curve, in the digits of a tier.
#[derive(Debug)]
pub(crate) struct FixedTable<C, V> {
    /// A table for each window, lowest first, as [`windows`] counts them.
    pub(super) windows: Vec<SharedTable<V>>,
    split: SplitTable<V>,
    curve: PhantomData<C>,
}

/// The tables of a curve for the kernel's tier, which the first call of a process computes.
pub(super) fn table<const N: usize, C: Curve<N>, K: Kernel<C>>(
    group: &mut Group<N, C, K>,
) -> &'static FixedTable<C, K::Vec> {
    K::home().get_or_init(|| {
        let entries = windows(group, &C::G, C::FIXED_WINDOW);
        FixedTable {
            windows: entries.iter().map(|entries| SharedTable::new(entries)).collect(),
            split: match C::FIXED_WINDOW {
                split::WINDOW => SplitTable::new(&entries),
                _ => SplitTable::new(&windows(group, &C::G, split::WINDOW)),
            },
            curve: PhantomData,
        }
    })
}

/// For each window i of w bits, lowest first, the digits of the odd multiples of 2^(w·i)·Q: for as many
/// windows as scalars have, and more until they are a multiple of the number of lanes.
pub(super) fn windows<const N: usize, C: Curve<N>, K: PrimeLanes<C>>(
    group: &mut Group<N, C, K>,
    q: &Affine<N>,
    w: usize,
) -> Vec<Vec<Vec<u64>>> {
    let mut windows = Vec::new();
    for bases in bases(group, q, w).chunks(K::LANES) {
        let multiples: Vec<_> =
            odd_multiples(group, bases, w).iter().map(|points| group.load(points.iter())).collect();
        for lane in 0..bases.len() {
            windows.push(multiples.iter().map(|point| digits(point, lane)).collect());
        }
    }
    windows
}

/// 2^(w·i)·Q for each window i.
fn bases<const N: usize, C: Curve<N>, K: PrimeLanes<C>>(
    group: &mut Group<N, C, K>,
    q: &Affine<N>,
    w: usize,
) -> Vec<Affine<N>> {
    let [x, y] = group.load([*q].iter());
    let mut point = [x, y, group.one];
    let mut bases = Vec::new();
    for _ in 0..Odd::<N, K::Vec>::digits(w).next_multiple_of(K::LANES) {
        bases.push(point);
        (0..w).for_each(|_| group.double(&mut point));
    }
    group.affine_all(&bases, 1).into_iter().flatten().collect()
}

/// 1, 3, 5, … times the bases, one in each lane.
fn odd_multiples<const N: usize, C: Curve<N>, K: PrimeLanes<C>>(
    group: &mut Group<N, C, K>,
    bases: &[Affine<N>],
    w: usize,
) -> Vec<Vec<Affine<N>>> {
    let [x, y] = group.load(bases.iter());
    let mut point = [x, y, group.one];
    let mut double = point;
    group.double(&mut double);
    let double = group.cached(&double);
    let mut multiples = Vec::new();
    for _ in 0..1 << (w - 1) {
        multiples.push(point);
        group.add(&mut point, &double);
    }
    group.affine_all(&multiples, bases.len())
}

/// The digits of both coordinates in one lane.
fn digits<R: Digits>(point: &[R; 2], lane: usize) -> Vec<u64> {
    point.iter().flat_map(|element| element.digits().iter().map(move |v| v.as_ref()[lane])).collect()
}

impl<C, V: LaneVec> FixedTable<C, V> {
    /// k·G in each of the first lanes, for 0 < k < n; constant-time.
    pub(super) fn multiply<const N: usize, K>(
        &self,
        group: &mut Group<N, C, K>,
        scalars: &[[u64; N]],
    ) -> Point<K::Reduced>
    where
        C: Curve<N>,
        K: PrimeLanes<C, Vec = V>,
    {
        assert!(scalars.len() <= K::LANES);
        if spacing(scalars.len()) < K::LANES {
            return group.multiply_split(&self.split, scalars);
        }
        let scalars = Odd::<N, K::Vec>::new(scalars, C::ORDER);
        let windows = Odd::<N, K::Vec>::digits(C::FIXED_WINDOW);
        let mut multiple = [K::Reduced::default(); 2];
        self.look_up(group.kernel, &mut multiple, &scalars, windows - 1);
        let mut point = [multiple[0], multiple[1], group.one];
        for window in (0..windows - 1).rev() {
            self.look_up(group.kernel, &mut multiple, &scalars, window);
            group.add_affine(&mut point, &multiple);
        }
        group.kernel.negate_if(&mut point[1], scalars.negate());
        point
    }

    /// The point that a digit of each scalar names: `found` ← x, y.
    pub(super) fn look_up<const N: usize, K>(
        &self,
        kernel: K,
        found: &mut [K::Reduced; 2],
        scalars: &Odd<N, K::Vec>,
        window: usize,
    ) where
        C: Curve<N>,
        K: PrimeLanes<C, Vec = V>,
    {
        let Digit { index, negative } = scalars.digit(window, C::FIXED_WINDOW);
        kernel.select_shared(Digits::all_digits_mut(found), &self.windows[window], 0, &index);
        kernel.negate_if(&mut found[1], &negative);
    }
}

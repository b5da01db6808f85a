//! Multiples of the base point, from a table.
//!
//! Every window of a scalar has a table of its own, of the odd multiples of 2^(w·i)·G, so that nothing is
//! doubled. All lanes share the tables. A batch that leaves lanes empty computes one multiple in several of
//! them: see [`split`].

use super::Curve;
use super::group::{Affine, Lanes, Point};
use super::recode::{Digit, Odd};
use super::split;
use crate::arch::lanes::LaneVec;
use crate::arch::lookup::{SharedTable, SplitTable, spacing};
use crate::arch::prime::{Digits, PrimeLanes};
use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The tables of the base point.
#[derive(Debug)]
pub(super) struct FixedTable<V> {
    /// A table for each window, lowest first, as [`windows`] counts them.
    pub(super) windows: Vec<SharedTable<V>>,
    pub(super) split: SplitTable<V>,
}

impl<V> Default for FixedTable<V> {
    fn default() -> Self {
        Self { windows: Vec::new(), split: SplitTable::default() }
    }
}

impl<V: LaneVec> FixedTable<V> {
    /// The tables of a curve for a tier, computed when they are first asked for, and kept.
    pub(super) fn shared<const N: usize, C: Curve<N>, K: PrimeLanes<C, Vec = V>>(
        lanes: &mut Lanes<N, C, K>,
    ) -> Arc<Self> {
        static TABLES: Mutex<Option<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>> = Mutex::new(None);
        let mut tables = TABLES.lock().unwrap_or_else(PoisonError::into_inner);
        let tables = tables.get_or_insert_default();
        let table = tables.entry(TypeId::of::<(C, K)>()).or_insert_with(|| Arc::new(Self::compute(lanes)));
        table.clone().downcast().expect("the type that its key names")
    }

    fn compute<const N: usize, C: Curve<N>, K: PrimeLanes<C, Vec = V>>(lanes: &mut Lanes<N, C, K>) -> Self {
        let entries = windows(lanes, &C::G, C::FIXED_WINDOW);
        Self {
            windows: entries.iter().map(|entries| SharedTable::new(entries)).collect(),
            split: match C::FIXED_WINDOW {
                split::WINDOW => SplitTable::new(&entries),
                _ => SplitTable::new(&windows(lanes, &C::G, split::WINDOW)),
            },
        }
    }
}

/// For each window i of w bits, lowest first, the digits of the odd multiples of 2^(w·i)·Q: for as many
/// windows as scalars have, and more until they are a multiple of the number of lanes.
pub(super) fn windows<const N: usize, C: Curve<N>, K: PrimeLanes<C>>(
    lanes: &mut Lanes<N, C, K>,
    q: &Affine<N>,
    w: usize,
) -> Vec<Vec<Vec<u64>>> {
    let mut windows = Vec::new();
    for bases in bases(lanes, q, w).chunks(K::LANES) {
        let multiples: Vec<_> =
            odd_multiples(lanes, bases, w).iter().map(|points| lanes.load(points.iter())).collect();
        for lane in 0..bases.len() {
            windows.push(multiples.iter().map(|point| digits(point, lane)).collect());
        }
    }
    windows
}

/// 2^(w·i)·Q for each window i.
fn bases<const N: usize, C: Curve<N>, K: PrimeLanes<C>>(
    lanes: &mut Lanes<N, C, K>,
    q: &Affine<N>,
    w: usize,
) -> Vec<Affine<N>> {
    let [x, y] = lanes.load([*q].iter());
    let mut point = [x, y, lanes.one];
    let mut bases = Vec::new();
    for _ in 0..Odd::<N, K::Vec>::digits(w).next_multiple_of(K::LANES) {
        bases.push(point);
        (0..w).for_each(|_| lanes.double(&mut point));
    }
    lanes.affine_all(&bases, 1).into_iter().flatten().collect()
}

/// 1, 3, 5, … times the bases, one in each lane.
fn odd_multiples<const N: usize, C: Curve<N>, K: PrimeLanes<C>>(
    lanes: &mut Lanes<N, C, K>,
    bases: &[Affine<N>],
    w: usize,
) -> Vec<Vec<Affine<N>>> {
    let [x, y] = lanes.load(bases.iter());
    let mut point = [x, y, lanes.one];
    let mut double = point;
    lanes.double(&mut double);
    let double = lanes.cached(&double);
    let mut multiples = Vec::new();
    for _ in 0..1 << (w - 1) {
        multiples.push(point);
        lanes.add(&mut point, &double);
    }
    lanes.affine_all(&multiples, bases.len())
}

/// The digits of both coordinates in one lane.
fn digits<R: Digits>(point: &[R; 2], lane: usize) -> Vec<u64> {
    point.iter().flat_map(|element| element.digits().iter().map(move |v| v.as_ref()[lane])).collect()
}

impl<const N: usize, C: Curve<N>, K: PrimeLanes<C>> Lanes<N, C, K> {
    /// k·G in each of the first lanes, for 0 < k < n; constant-time.
    pub(super) fn multiply_base(&mut self, scalars: &[[u64; N]]) -> Point<K::Reduced> {
        assert!(scalars.len() <= K::LANES);
        if spacing(scalars.len()) < K::LANES {
            return self.multiply_base_split(scalars);
        }
        let scalars = Odd::<N, K::Vec>::new(scalars, C::ORDER);
        let windows = Odd::<N, K::Vec>::digits(C::FIXED_WINDOW);
        let mut multiple = [K::Reduced::default(); 2];
        self.look_up(&mut multiple, &scalars, windows - 1);
        let mut point = [multiple[0], multiple[1], self.one];
        for window in (0..windows - 1).rev() {
            self.look_up(&mut multiple, &scalars, window);
            self.add_affine(&mut point, &multiple);
        }
        self.kernel.negate_if(&mut point[1], scalars.negate());
        point
    }

    /// The point that a digit of each scalar names: `found` ← x, y.
    pub(super) fn look_up(&self, found: &mut [K::Reduced; 2], scalars: &Odd<N, K::Vec>, window: usize) {
        let Digit { index, negative } = scalars.digit(window, C::FIXED_WINDOW);
        let table = &self.table.windows[window];
        self.kernel.select_shared(Digits::all_digits_mut(found), table, 0, &index);
        self.kernel.negate_if(&mut found[1], &negative);
    }
}
